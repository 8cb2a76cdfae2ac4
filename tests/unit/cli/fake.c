/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A REST API made of files, see fake.h.
 */
#include "fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/text.h"

static FILE *open_file(const char *name)
{
    char *path = sl_xasprintf("%s/%s", CLI_DATA, name);
    FILE *file = fopen(path, "re");
    sl_free(path);
    return file;
}

static void read_into(FILE *file, struct sl_buf *out)
{
    char buffer[4096];
    size_t len;
    while ((len = fread(buffer, 1, sizeof(buffer), file)) > 0) {
        sl_cli_text_put_bytes(out, buffer, len);
    }
    fclose(file);
}

char *fake_read_file(const char *name)
{
    struct sl_buf text = SL_BUF_INIT;
    FILE *file = open_file(name);
    if (file == NULL) {
        fail_msg("no file %s", name);
    }
    read_into(file, &text);
    return sl_cli_text_take(&text);
}

static void answer_get(struct fake *fake, const char *path, struct sl_cli_reply *reply)
{
    char *name = sl_xasprintf("%s.json", fake->answer_from != NULL ? fake->answer_from : path);
    for (char *p = name; *p != '\0'; p++) {
        *p = strchr("/?=", *p) != NULL ? '_' : *p;
    }
    FILE *file = open_file(name);
    sl_free(name);
    if (file != NULL) {
        reply->code = 200;
        read_into(file, &reply->body);
        return;
    }
    reply->code = 404;
    snprintf(reply->reason, sizeof(reply->reason), "Not Found");
    sl_cli_text_put(&reply->body, "{\"errors\":[{\"detail\":\"x is not a server\"}]}");
}

static int send_fake(struct sl_cli_transport *self, const struct sl_cli_request *request,
                     struct sl_cli_reply *reply, struct sl_buf *error)
{
    struct fake *fake = SL_CONTAINER_OF(self, struct fake, transport);
    sl_cli_text_putf(&fake->log, "%s %s%s%s\n", request->method, request->path,
                     request->body != NULL ? " " : "", request->body != NULL ? request->body : "");
    if (fake->down != NULL && strcmp(fake->down, request->host) == 0) {
        sl_cli_text_putf(error, "Could not connect to %s", request->host);
        return SL_ECLOSED;
    }
    if (strcmp(request->method, "GET") == 0 && *request->path != '\0') {
        answer_get(fake, request->path, reply);
    } else {
        reply->code = *request->path == '\0' ? 200 : 204;
        sl_cli_text_put(&reply->warning, fake->warning != NULL ? fake->warning : "");
    }
    return SL_OK;
}

void fake_init(struct fake *fake)
{
    *fake = (struct fake){.transport.send = send_fake};
}

void fake_free(struct fake *fake)
{
    sl_buf_free(&fake->log);
}

int fake_run(struct fake *fake, const char *text, char **ret_out, char **ret_error)
{
    struct sl_buf out = SL_BUF_INIT;
    struct sl_buf error = SL_BUF_INIT;
    struct sl_cli_line line;
    struct sl_cli_line defaults = {0};
    struct sl_cli_settings settings = {0};
    char **words;
    size_t count;
    assert_int_equal(sl_cli_line_split(text, &words, &count, &error), SL_OK);
    int rc = sl_cli_line_parse(&line, count, (const char *const *)words, &error);
    rc = rc < 0 ? rc : sl_cli_settings_build(&settings, &line, &defaults, &error);
    rc = rc < 0 ? rc : sl_cli_command_run(&settings, &fake->transport, &line, &out, &error);
    for (size_t i = 0; i < count; i++) {
        sl_free(words[i]);
    }
    sl_free(words);
    sl_cli_settings_free(&settings);
    sl_cli_line_free(&line);
    *ret_out = sl_cli_text_take(&out);
    *ret_error = sl_cli_text_take(&error);
    return rc;
}
