/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listener: built from its section, opened on every worker, and what is done with a connection
 * that comes in.
 *
 * Opened and freed by the control thread; on_accept runs in the worker that took the connection.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/core.h"
#include "core/session.h"
#include "core/user_mapping.h"
#include "net/tls.h"

struct gate { /* one listener on one worker */
    struct sl_listener *listener;
    struct sl_worker *worker;
};

static void on_accept(void *arg, struct sl_loop *loop, int fd, const struct sockaddr_storage *peer,
                      const struct sockaddr_storage *local)
{
    struct gate *g = arg;
    struct sl_service *service = g->listener->service;
    if (!atomic_load_explicit(&g->listener->is_listening, memory_order_relaxed)) {
        close(fd);
    } else if (service->ops->accept) {
        service->ops->accept(g->listener, g->worker, fd, peer, local);
    } else {
        sl_session_accept(g->listener, g->worker, fd, peer);
    }
}

static int read_init_sql(const char *path, char ***ret, struct sl_err *err)
{
    *ret = NULL;
    if (!path) {
        return SL_OK;
    }
    FILE *f = fopen(path, "re");
    if (!f) {
        return sl_err_set(err, SL_ESYS, "connection_init_sql_file '%s': %m", path);
    }
    char **lines = sl_xcalloc(1, sizeof *lines);
    size_t count = 0, size = 0;
    char *line = NULL;
    int rc = SL_OK;
    while (getline(&line, &size, f) >= 0) {
        line[strcspn(line, "\r\n")] = 0;
        if (line[strspn(line, " \t")] == 0) {
            continue;
        }
        char **more = sl_realloc(lines, (count + 2) * sizeof *lines);
        if (!more) {
            rc = sl_err_set(err, SL_ENOMEM, "connection_init_sql_file '%s': out of memory", path);
            break;
        }
        lines = more;
        lines[count++] = sl_xstrdup(line);
        lines[count] = NULL;
    }
    free(line);
    fclose(f);
    *ret = lines; /* the owner frees what there is, also after an error */
    return rc;
}

struct option_state {
    struct sl_listener *listener;
    struct sl_err *err;
    int rc;
};

static void parse_option(void *arg, const char *item)
{
    struct option_state *o = arg;
    struct sl_listener *l = o->listener;
    const char *value = strchr(item, '=');
    size_t len = value ? (size_t)(value - item) : strlen(item);
    bool is_true = !value || strcmp(value + 1, "true") == 0 || strcmp(value + 1, "1") == 0 ||
                   strcmp(value + 1, "yes") == 0 || strcmp(value + 1, "on") == 0;
    if (len == 10 && strncmp(item, "match_host", len) == 0) {
        l->match_host = is_true;
    } else if (len == 22 && strncmp(item, "lower_case_table_names", len) == 0) {
        l->lower_case_table_names = value ? (unsigned)atoi(value + 1) : 1;
        if (l->lower_case_table_names > 2) {
            o->rc = sl_err_set(o->err, SL_EINVAL,
                               "authenticator_options: lower_case_table_names takes 0, 1 or 2");
        }
    } else {
        sl_log_warning("Listener '%s': authenticator option '%s' has no effect in this version",
                       l->name, item);
    }
}

int sl_listener_open(struct sl_core *c, struct sl_conf_listener *conf, struct sl_err *err)
{
    struct sl_listener *l = sl_xcalloc(1, sizeof *l);
    c->listeners[c->listener_count++] = l;
    l->name = conf->object.name;
    l->source_file = (char *)conf->object.file;
    l->settings = conf->settings;
    l->service = sl_core_service(c, conf->service->object.name);
    l->match_host = true;
    struct option_state options = {l, err, SL_OK};
    sl_conf_list_each(l->settings.authenticator_options, ',', parse_option, &options);
    int rc = options.rc;
    rc = rc < 0 ? rc : sl_server_tls_new(&conf->settings.tls, true, &l->tls, err);
    rc = rc < 0 ? rc
                : sl_proxy_networks_parse(l->settings.proxy_protocol_networks, &l->proxy_networks,
                                          err);
    rc = rc < 0 ? rc : read_init_sql(l->settings.connection_init_sql_file, &l->init_sql, err);
    if (rc == SL_OK && l->settings.user_mapping_file) {
        rc = sl_user_mapping_load(l->settings.user_mapping_file, c->config->secrets, &l->mapping,
                                  err);
    }
    if (rc == SL_OK) {
        rc = sl_listener_socket_new(l->settings.address, (uint16_t)l->settings.port,
                                    l->settings.socket, c->worker_count, &l->socket, err);
    }
    if (rc < 0) {
        return rc;
    }
    l->gates = sl_xcalloc(c->worker_count, sizeof *l->gates);
    for (unsigned i = 0; i < c->worker_count; i++) {
        l->gates[i] = (struct gate){l, &c->workers[i]};
        rc = sl_listener_socket_start(l->socket, i, c->workers[i].loop, on_accept, &l->gates[i],
                                      err);
        if (rc < 0) {
            return rc;
        }
    }
    atomic_store(&l->is_listening, true);
    sl_log_notice("Listening for connections at [%s]:%u (listener '%s', service '%s')",
                  l->settings.socket ? l->settings.socket : l->settings.address,
                  sl_listener_socket_port(l->socket), l->name, l->service->name);
    return SL_OK;
}

void sl_listener_free(struct sl_listener *l)
{
    sl_listener_socket_free(l->socket);
    sl_tls_context_unref(l->tls);
    sl_user_mapping_free(l->mapping);
    sl_proxy_networks_free(l->proxy_networks);
    for (char **line = l->init_sql; line && *line; line++) {
        sl_free(*line);
    }
    sl_free(l->init_sql);
    sl_free(l->gates);
    sl_free(l);
}
