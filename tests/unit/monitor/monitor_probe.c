/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A galeramon on real servers, without the rest of the daemon: prints each change of a server's
 * state with the time.
 *
 *   monitor_probe [-t seconds] [-i interval_ms] [-u user] [-p password] host:port ...
 *
 * Not a test by itself: a tool to watch the monitor against servers that are killed, stopped and
 * cut by hand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/monitor.h"

extern const struct sl_module sl_module_galeramon;

enum {
    SERVERS_MAX = 16,
    POLL_US = 10000
};

static struct sl_server *servers[SERVERS_MAX];
static unsigned count;

static void add_server(const char *target)
{
    struct sl_server_settings s = {0};
    struct sl_err err = SL_ERR_INIT;
    char name[32], host[128];
    sl_settings_defaults(&sl_settings_server, &s);
    const char *colon = strrchr(target, ':');
    if (count == SERVERS_MAX || !colon) {
        fprintf(stderr, "host:port expected (at most %d): %s\n", SERVERS_MAX, target);
        exit(2);
    }
    snprintf(host, sizeof(host), "%.*s", (int)(colon - target), target);
    snprintf(name, sizeof(name), "node%u", count + 1);
    free(s.address);
    s.address = strdup(host);
    s.port = atoi(colon + 1);
    if (sl_server_new(name, &s, count, 1, &servers[count], &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    sl_settings_clear(&sl_settings_server, &s);
    count++;
}

static void print_state(uint64_t start_ms)
{
    static char before[4096];
    char line[4096] = "";
    for (unsigned i = 0; i < count; i++) {
        char text[128];
        struct sl_server_info info;
        sl_server_info_get(servers[i], &info);
        sl_status_text(sl_server_status(servers[i]), 0, text, sizeof(text));
        size_t len = strlen(line);
        snprintf(line + len, sizeof(line) - len, " | %s%s%s%s", text,
                 info.state_details[0] ? " {" : "", info.state_details,
                 info.state_details[0] ? "}" : "");
    }
    if (strcmp(line, before) != 0) {
        printf("%8.3f%s\n", (double)(sl_clock_mono_ms() - start_ms) / 1000.0, line);
        fflush(stdout);
        memcpy(before, line, sizeof(before));
    }
}

int main(int argc, char **argv)
{
    struct sl_monitor_settings ms = {0};
    struct sl_galeramon_settings gs = {0};
    struct sl_err err = SL_ERR_INIT;
    int seconds = 60;
    sl_settings_defaults(&sl_settings_monitor, &ms);
    sl_settings_defaults(&sl_settings_galeramon, &gs);
    ms.user = strdup("maxuser");
    ms.password = strdup("SecretP@ssw0rd");
    for (int opt; (opt = getopt(argc, argv, "t:i:u:p:")) != -1;) {
        switch (opt) {
        case 't':
            seconds = atoi(optarg);
            break;
        case 'i':
            ms.monitor_interval = atoi(optarg);
            break;
        case 'u':
            free(ms.user);
            ms.user = strdup(optarg);
            break;
        case 'p':
            free(ms.password);
            ms.password = strdup(optarg);
            break;
        default:
            return 2;
        }
    }
    for (int i = optind; i < argc; i++) {
        add_server(argv[i]);
    }
    sl_dbc_library_init();
    struct sl_monitor_config config = {
        .name = "probe",
        .module = &sl_module_galeramon,
        .settings = &ms,
        .module_settings = &gs,
        .servers = servers,
        .server_count = count,
    };
    struct sl_monitor *m = NULL;
    if (sl_monitor_new(&config, &m, &err) < 0 || sl_monitor_start(m, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    uint64_t start_ms = sl_clock_mono_ms();
    while (sl_clock_mono_ms() - start_ms < (uint64_t)seconds * 1000) {
        print_state(start_ms);
        usleep(POLL_US);
    }
    uint64_t stop_ms = sl_clock_mono_ms();
    sl_monitor_stop(m);
    printf("ticks %llu, stop took %llu ms\n", (unsigned long long)sl_monitor_ticks(m),
           (unsigned long long)(sl_clock_mono_ms() - stop_ms));
    sl_monitor_free(m);
    for (unsigned i = 0; i < count; i++) {
        sl_server_free(servers[i]);
    }
    sl_settings_clear(&sl_settings_monitor, &ms);
    sl_dbc_library_end();
    return 0;
}
