/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handlers of all resources, for the table of routes, and the few builders that one resource
 * lends another.
 *
 * A handler runs on the connection's thread, may block for the documented time, and fills the
 * answer.
 */
#ifndef SL_ADMIN_RESOURCES_H
#define SL_ADMIN_RESOURCES_H

#include "admin/request.h"

struct sl_listener;
struct sl_server;
struct sl_service;
struct sl_histogram;

typedef void sl_admin_handler(struct sl_admin_request *rq, struct sl_admin_response *rs);

/* server.c */
sl_admin_handler sl_admin_servers_get, sl_admin_server_get, sl_admin_server_relation_get,
    sl_admin_server_set, sl_admin_server_clear;
/* service.c */
sl_admin_handler sl_admin_services_get, sl_admin_service_get, sl_admin_service_relation_get,
    sl_admin_service_listeners_get, sl_admin_service_listener_get, sl_admin_service_reload;
/* relay.c */
sl_admin_handler sl_admin_replicas_get, sl_admin_replica_get, sl_admin_service_replicas_get;
/* listener.c */
sl_admin_handler sl_admin_listeners_get, sl_admin_listener_get, sl_admin_listener_relation_get;
json_t *sl_admin_listener_json(const struct sl_admin_request *rq, const struct sl_listener *l);
/* monitor.c */
sl_admin_handler sl_admin_monitors_get, sl_admin_monitor_get, sl_admin_monitor_relation_get,
    sl_admin_monitors_wait;
/* session.c */
sl_admin_handler sl_admin_sessions_get, sl_admin_session_get, sl_admin_session_relation_get,
    sl_admin_session_delete;
/* digest.c */
sl_admin_handler sl_admin_digests_get, sl_admin_digests_delete;
/* classify.c */
sl_admin_handler sl_admin_classifier_get, sl_admin_classify_get;
/* tune.c */
sl_admin_handler sl_admin_maxscale_change, sl_admin_service_change;
/* filters.c */
sl_admin_handler sl_admin_filters_get, sl_admin_filter_get, sl_admin_filter_relation_get;
/* The chain of a service, in order. */
json_t *sl_admin_filter_references(const struct sl_service *s);
/* maxscale.c */
sl_admin_handler sl_admin_maxscale_get, sl_admin_threads_get, sl_admin_thread_get,
    sl_admin_logs_get, sl_admin_logs_flush, sl_admin_health_get;
/* module.c */
sl_admin_handler sl_admin_modules_get, sl_admin_module_get, sl_admin_module_read,
    sl_admin_module_run;
/* user.c */
sl_admin_handler sl_admin_users_get, sl_admin_users_inet_get, sl_admin_users_unix_get,
    sl_admin_user_get, sl_admin_user_create, sl_admin_user_change, sl_admin_user_delete;
/* auth (in user.c) */
sl_admin_handler sl_admin_auth_get;
/* metrics.c */
sl_admin_handler sl_admin_metrics_get;

#endif
