/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests over HTTP with libcurl. One connection is kept for all requests of the program.
 */
#ifndef SL_CLI_HTTP_H
#define SL_CLI_HTTP_H

#include "cli/call.h"
#include "cli/settings.h"

struct sl_cli_http;

/* `settings` must live as long. NULL when the library cannot start. */
struct sl_cli_http *sl_cli_http_open(const struct sl_cli_settings *settings);
void sl_cli_http_close(struct sl_cli_http *http);
struct sl_cli_transport *sl_cli_http_transport(struct sl_cli_http *http);

#endif
