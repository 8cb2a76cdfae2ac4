/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the global options come to, see settings.h.
 */
#include "cli/settings.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/text.h"

#define DEFAULT_PORT "8989"
#define HOSTS_MAX 256
#define TIMEOUT_MS_MAX (24 * 3600 * 1000L)

static const struct {
    const char *suffix;
    long ms;
} UNITS[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}};

static const char *value_of(const struct sl_cli_line *line, const struct sl_cli_line *defaults,
                            const char *option)
{
    const char *value = sl_cli_line_given(line, option);
    return value != NULL ? value : sl_cli_line_text(defaults, option);
}

static bool is_on(const struct sl_cli_line *line, const struct sl_cli_line *defaults,
                  const char *option)
{
    return strcmp(value_of(line, defaults, option), "true") == 0;
}

static int parse_timeout(const char *text, long *ret_ms, struct sl_buf *error)
{
    char *end;
    long number = strtol(text, &end, 10);
    bool is_number = end != text && *text >= '0' && *text <= '9';
    for (size_t i = 0; is_number && i < SL_ARRAY_LEN(UNITS); i++) {
        if (strcmp(end, UNITS[i].suffix) == 0 && number <= TIMEOUT_MS_MAX / UNITS[i].ms) {
            *ret_ms = number * UNITS[i].ms;
            return SL_OK;
        }
    }
    sl_cli_text_putf(error,
                     "`%s` is no time-out: expected a number with h, m, s or ms, "
                     "at most 24h",
                     text);
    return SL_EINVAL;
}

/* A name without a port gets the default one; [..] protects the colons of IPv6. */
static char *complete_host(const char *text, size_t len)
{
    char *host = sl_cli_text_copy(text, len);
    const char *behind = strrchr(host, ']');
    if (strchr(behind != NULL ? behind : host, ':') != NULL) {
        return host;
    }
    char *full = sl_xasprintf("%s:" DEFAULT_PORT, host);
    sl_free(host);
    return full;
}

static int parse_hosts(struct sl_cli_settings *s, const char *text, struct sl_buf *error)
{
    s->hosts = sl_xcalloc(HOSTS_MAX, sizeof(*s->hosts));
    while (*(text += strspn(text, ", ")) != '\0') {
        size_t len = strcspn(text, ", ");
        if (s->host_count == HOSTS_MAX) {
            sl_cli_text_putf(error, "More than %d hosts", HOSTS_MAX);
            return SL_EINVAL;
        }
        if (memchr(text, '/', len) != NULL || memchr(text, '@', len) != NULL) {
            sl_cli_text_putf(error, "`%.*s` is no host:port", (int)SL_MIN(len, 200), text);
            return SL_EINVAL;
        }
        s->hosts[s->host_count++] = complete_host(text, len);
        text += len;
    }
    if (s->host_count == 0) {
        sl_cli_text_put(error, "No hosts given");
        return SL_EINVAL;
    }
    return SL_OK;
}

int sl_cli_settings_build(struct sl_cli_settings *s, const struct sl_cli_line *line,
                          const struct sl_cli_line *defaults, struct sl_buf *error)
{
    *s = (struct sl_cli_settings){
        .user = value_of(line, defaults, "user"),
        .is_quiet = is_on(line, defaults, "quiet"),
        .skips_sync = is_on(line, defaults, "skip-sync"),
        .is_secure = is_on(line, defaults, "secure"),
        .verifies_server = is_on(line, defaults, "tls-verify-server-cert"),
        .tls_key = value_of(line, defaults, "tls-key"),
        .tls_passphrase = value_of(line, defaults, "tls-passphrase"),
        .tls_cert = value_of(line, defaults, "tls-cert"),
        .tls_ca_cert = value_of(line, defaults, "tls-ca-cert"),
        .style = {.is_tsv = is_on(line, defaults, "tsv")},
    };
    s->password = sl_xstrdup(value_of(line, defaults, "password"));
    if ((s->tls_key == NULL) != (s->tls_cert == NULL)) {
        sl_cli_text_put(error, "`--tls-key` and `--tls-cert` need each other");
        return SL_EINVAL;
    }
    int rc = parse_timeout(value_of(line, defaults, "timeout"), &s->timeout_ms, error);
    return rc < 0 ? rc : parse_hosts(s, value_of(line, defaults, "hosts"), error);
}

void sl_cli_settings_free(struct sl_cli_settings *s)
{
    if (s->password != NULL) {
        sl_wipe(s->password, strlen(s->password));
    }
    sl_free(s->password);
    for (size_t i = 0; i < s->host_count; i++) {
        sl_free(s->hosts[i]);
    }
    sl_free(s->hosts);
    *s = (struct sl_cli_settings){0};
}
