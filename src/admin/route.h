/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of routes, and what happens to every request: authentication, conditions, handler.
 */
#ifndef SL_ADMIN_ROUTE_H
#define SL_ADMIN_ROUTE_H

#include "admin/request.h"
#include "admin/resources.h"

enum sl_admin_route_flag {
    SL_ADMIN_OPEN = 1,     /* no authentication */
    SL_ADMIN_BODY = 2,     /* 400 without a JSON body */
    SL_ADMIN_NO_CHANGE = 4 /* a write that changes no configuration */
};

struct sl_admin_route {
    enum sl_admin_method method;
    const char *pattern; /* "servers/:server" */
    sl_admin_handler *handler;
    unsigned flags;
};

/* The route of the request's path and method; fills rq->args. NULL: *ret_path_exists says whether
 * another method would do. */
const struct sl_admin_route *sl_admin_route_find(struct sl_admin_request *rq,
                                                 bool *ret_path_exists);
/* "GET, HEAD, OPTIONS, PUT" of the path into out. */
void sl_admin_route_methods(struct sl_admin_request *rq, char *out, size_t size);

/* Everything between the parsed request and the answer to be sent. */
void sl_admin_route_run(struct sl_admin_request *rq, struct sl_admin_response *rs);

#endif
