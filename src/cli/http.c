/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests over HTTP, see http.h. Loopback addresses are never asked for through a proxy.
 */
#include "cli/http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/text.h"

#define BODY_BYTES_MAX (256u << 20)
#define WARNING_BYTES_MAX 65536u
#define WARNING_HEADER "Mxs-Warning:"

struct sl_cli_http {
    struct sl_cli_transport transport;
    const struct sl_cli_settings *settings;
    CURL *curl;
    struct curl_slist *headers;
    char *no_proxy;
    char message[CURL_ERROR_SIZE];
};

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    struct sl_cli_reply *reply = user;
    size_t len = size * count;
    if (len > BODY_BYTES_MAX - sl_buf_len(&reply->body)) {
        return 0;
    }
    sl_cli_text_put_bytes(&reply->body, data, len);
    return len;
}

/* "HTTP/1.1 404 Not Found" */
static void take_status(struct sl_cli_reply *reply, const char *line, size_t len)
{
    const char *end = line + len;
    const char *space = memchr(line, ' ', len);
    space = space == NULL ? NULL : memchr(space + 1, ' ', (size_t)(end - space - 1));
    size_t used = space == NULL ? 0 : (size_t)(end - space - 1);
    used = SL_MIN(used, sizeof(reply->reason) - 1);
    memcpy(reply->reason, space == NULL ? "" : space + 1, used);
    reply->reason[used] = '\0';
    reply->reason[strcspn(reply->reason, "\r\n")] = '\0';
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    struct sl_cli_reply *reply = user;
    size_t len = size * count;
    size_t name_len = strlen(WARNING_HEADER);
    if (len > 5 && memcmp(data, "HTTP/", 5) == 0) {
        take_status(reply, data, len);
    } else if (len > name_len && strncasecmp(data, WARNING_HEADER, name_len) == 0 &&
               len <= WARNING_BYTES_MAX && sl_buf_len(&reply->warning) == 0) {
        char *text = sl_cli_text_copy(data + name_len, len - name_len);
        char *start = text + strspn(text, " \t");
        start[strcspn(start, "\r\n")] = '\0';
        sl_cli_text_put(&reply->warning, start);
        sl_free(text);
    }
    return len;
}

static void put_failure(struct sl_cli_http *http, CURLcode rc, const struct sl_cli_request *request,
                        struct sl_buf *error)
{
    const char *why = http->message[0] != '\0' ? http->message : curl_easy_strerror(rc);
    sl_cli_text_tame(http->message); /* may quote what the server sent */
    switch (rc) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        sl_cli_text_putf(error, "Could not connect to %s: %s", request->host, why);
        return;
    case CURLE_OPERATION_TIMEDOUT:
        sl_cli_text_putf(error, "Request to %s timed out after %ld ms (`%s %s`)", request->host,
                         http->settings->timeout_ms, request->method, request->path);
        return;
    case CURLE_WRITE_ERROR:
        sl_cli_text_putf(error, "Server at %s sent more than %u bytes", request->host,
                         BODY_BYTES_MAX);
        return;
    default:
        sl_cli_text_putf(error, "Request to %s failed: %s", request->host, why);
    }
    bool was_reset = rc == CURLE_RECV_ERROR || rc == CURLE_GOT_NOTHING || rc == CURLE_SEND_ERROR;
    if (was_reset && !http->settings->is_secure) {
        sl_cli_text_put(error, ". If the REST API uses TLS, try again with `--secure`");
    }
}

static void set_request(struct sl_cli_http *http, const struct sl_cli_request *request,
                        struct sl_cli_reply *reply, const char *url)
{
    CURL *curl = http->curl;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, reply);
    if (request->body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    } else if (strcmp(request->method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    } else {
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L); /* no body */
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

static int send_request(struct sl_cli_transport *self, const struct sl_cli_request *request,
                        struct sl_cli_reply *reply, struct sl_buf *error)
{
    struct sl_cli_http *http = SL_CONTAINER_OF(self, struct sl_cli_http, transport);
    char *url = sl_xasprintf("%s://%s/v1/%s", http->settings->is_secure ? "https" : "http",
                             request->host, request->path);
    set_request(http, request, reply, url);
    http->message[0] = '\0';
    CURLcode rc = curl_easy_perform(http->curl);
    sl_free(url);
    if (rc != CURLE_OK) {
        put_failure(http, rc, request, error);
        sl_buf_free(&reply->body);
        sl_buf_free(&reply->warning);
        return rc == CURLE_OPERATION_TIMEDOUT ? SL_ETIMEOUT : SL_ECLOSED;
    }
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &reply->code);
    return SL_OK;
}

/* The library looks at no_proxy only when CURLOPT_NOPROXY is not set, so both are joined. */
static char *join_no_proxy(void)
{
    const char *own = getenv("no_proxy") != NULL ? getenv("no_proxy") : getenv("NO_PROXY");
    if (own == NULL) {
        return sl_xstrdup("localhost,127.0.0.1,[::1]");
    }
    return sl_xasprintf("localhost,127.0.0.1,[::1],%s", own);
}

static void set_tls(CURL *curl, const struct sl_cli_settings *s)
{
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, s->verifies_server ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, s->verifies_server ? 2L : 0L);
    if (s->tls_key != NULL) {
        curl_easy_setopt(curl, CURLOPT_SSLKEY, s->tls_key);
        curl_easy_setopt(curl, CURLOPT_SSLCERT, s->tls_cert);
    }
    if (s->tls_passphrase != NULL) {
        curl_easy_setopt(curl, CURLOPT_KEYPASSWD, s->tls_passphrase);
    }
    if (s->tls_ca_cert != NULL) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, s->tls_ca_cert);
    }
}

struct sl_cli_http *sl_cli_http_open(const struct sl_cli_settings *settings)
{
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        return NULL;
    }
    struct sl_cli_http *http = sl_xcalloc(1, sizeof(*http));
    http->transport.send = send_request;
    http->settings = settings;
    http->curl = curl;
    http->no_proxy = join_no_proxy();
    http->headers = curl_slist_append(NULL, "Content-Type: application/json");
    sl_assert(http->headers != NULL);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, http->headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "sealanectl/" SL_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(curl, CURLOPT_USERNAME, settings->user);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, settings->password);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, http->no_proxy);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, settings->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->message);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    set_tls(curl, settings);
    return http;
}

void sl_cli_http_close(struct sl_cli_http *http)
{
    if (http == NULL) {
        return;
    }
    curl_easy_cleanup(http->curl);
    curl_slist_free_all(http->headers);
    sl_free(http->no_proxy);
    sl_free(http);
}

struct sl_cli_transport *sl_cli_http_transport(struct sl_cli_http *http)
{
    return &http->transport;
}
