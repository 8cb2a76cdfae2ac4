/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource `filters`. There are no filter modules, and the configuration check refuses filters of
 * unknown modules, so the list is empty and every name is unknown. Connection's thread.
 */
#include "admin/jsonapi.h"
#include "admin/resources.h"

void sl_admin_filters_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    sl_jsonapi_many(rq, rs, json_array());
}

void sl_admin_filter_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    sl_admin_fail_unknown(rs, rq->args[0], "filter");
}
