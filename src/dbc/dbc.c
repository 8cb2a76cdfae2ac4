/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control-plane SQL client: libmariadb driven through its non-blocking calls, so that deadlines are
 * ours.
 *
 * The connector's own timeouts count whole seconds and start again with every read. Its
 * non-blocking API instead hands the wait to us: *_start() and *_cont() return which events they
 * want, we poll(2) until the deadline of the call.
 *
 *      start -> wants READ/WRITE -> poll -> cont -> ... -> 0: done
 *                                    \-> deadline: shutdown(2) the socket, cont(TIMEOUT) until
 *                                    done: broken
 *
 * Invariants:
 *   I1  a broken connection is shut down before the connector sees it again, so nothing it does can
 *       wait
 *   I2  no password and no row ever gets into an error text
 */
#include "dbc/dbc.h"

#include <errmsg.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "dbc/dbc_internal.h"

#define NO_DEADLINE UINT64_MAX
#define ABORT_ROUNDS_MAX 1000 /* the connector gives up after a handful */

struct sl_dbc {
    MYSQL *mysql;
    uint32_t read_timeout_ms;
    uint32_t write_timeout_ms;
    int cancel_fd;
    unsigned error; /* of the last call */
    bool broken;    /* I1 */
    bool timed_out; /* during the last call */
    unsigned aborts;
    char name[280]; /* "host:port" for messages */
};

struct sl_dbc_result {
    MYSQL_RES *res;
    MYSQL_ROW row;
    unsigned columns;
};

/* --- waiting ---------------------------------------------------------------------------------- */

static uint64_t deadline_in(uint64_t ms)
{
    return ms == 0 ? NO_DEADLINE : sl_clock_mono_us() + ms * 1000;
}

static void break_off(struct sl_dbc *d)
{
    my_socket fd = mysql_get_socket(d->mysql);
    if (fd >= 0) {
        shutdown(fd, SHUT_RDWR);
    }
    d->broken = true;
}

static short events_of(int wants)
{
    return (short)(((wants & MYSQL_WAIT_READ) != 0 ? POLLIN : 0) |
                   ((wants & MYSQL_WAIT_WRITE) != 0 ? POLLOUT : 0) |
                   ((wants & MYSQL_WAIT_EXCEPT) != 0 ? POLLPRI : 0));
}

static int ready_of(short got, int wants)
{
    int ready = ((got & (POLLIN | POLLHUP | POLLERR)) != 0 ? MYSQL_WAIT_READ : 0) |
                ((got & (POLLOUT | POLLHUP | POLLERR)) != 0 ? MYSQL_WAIT_WRITE : 0) |
                ((got & POLLPRI) != 0 ? MYSQL_WAIT_EXCEPT : 0);
    return ready & wants;
}

/* What to tell *_cont(): the events that came, or MYSQL_WAIT_TIMEOUT at the deadline. */
static int wait_for(struct sl_dbc *d, int wants, uint64_t deadline)
{
    while (!d->timed_out) {
        uint64_t now = sl_clock_mono_us();
        if (now >= deadline) {
            break;
        }
        uint64_t left_ms = deadline == NO_DEADLINE ? INT32_MAX : (deadline - now + 999) / 1000;
        struct pollfd fds[2] = {{.fd = mysql_get_socket(d->mysql), .events = events_of(wants)},
                                {.fd = d->cancel_fd > 0 ? d->cancel_fd : -1, .events = POLLIN}};
        int n = poll(fds, 2, (int)SL_MIN(left_ms, (uint64_t)INT32_MAX));
        if (n < 0 && errno != EINTR) {
            break;
        }
        if (n > 0 && fds[1].revents != 0) {
            break;
        }
        if (n > 0 && fds[0].revents != 0) {
            int ready = ready_of(fds[0].revents, wants);
            return ready != 0 ? ready
                              : wants & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE | MYSQL_WAIT_EXCEPT);
        }
    }
    d->timed_out = true;
    break_off(d);
    sl_assert(++d->aborts < ABORT_ROUNDS_MAX);
    return MYSQL_WAIT_TIMEOUT;
}

static void begin(struct sl_dbc *d)
{
    d->error = 0;
    d->timed_out = false;
    d->aborts = 0;
}

/* --- errors ----------------------------------------------------------------------------------- */

/* The connector's message may hold its own idea of the cause; after our deadline ours is the
 * right one. */
static int connect_error(struct sl_dbc *d, uint32_t timeout_ms, struct sl_err *err)
{
    d->error = mysql_errno(d->mysql);
    if (d->timed_out) {
        return sl_err_set(err, SL_ETIMEOUT, "cannot connect to '%s': no answer within %u ms",
                          d->name, timeout_ms);
    }
    return sl_err_set(err, sl_dbc_classify(d->error), "cannot connect to '%s': error %u: %s",
                      d->name, d->error, mysql_error(d->mysql));
}

static bool is_connection_error(unsigned number)
{
    return (number >= CR_MIN_ERROR && number <= CR_MAX_ERROR) ||
           (number >= CER_MIN_ERROR && number <= CER_MAX_ERROR) ||
           sl_dbc_classify(number) == SL_ESYS;
}

static int call_error(struct sl_dbc *d, const char *what, uint64_t timeout_ms, struct sl_err *err)
{
    d->error = mysql_errno(d->mysql);
    if (d->timed_out) {
        d->error = CR_SERVER_LOST;
        return sl_err_set(err, SL_ETIMEOUT, "%s on '%s': no answer within %llu ms", what, d->name,
                          (unsigned long long)timeout_ms);
    }
    if (is_connection_error(d->error)) {
        break_off(d);
        return sl_err_set(err, SL_ESYS, "%s on '%s': error %u: %s", what, d->name, d->error,
                          mysql_error(d->mysql));
    }
    return sl_err_set(err, SL_EINVAL, "%s on '%s': error %u: %s", what, d->name, d->error,
                      mysql_error(d->mysql));
}

/* --- connecting ------------------------------------------------------------------------------- */

static void name_target(struct sl_dbc *d, const struct sl_dbc_config *config, uint16_t port)
{
    if (config->socket != NULL && config->socket[0] != '\0') {
        snprintf(d->name, sizeof(d->name), "%s", config->socket);
    } else if (config->host != NULL && strchr(config->host, ':') != NULL) {
        snprintf(d->name, sizeof(d->name), "[%s]:%u", config->host, port);
    } else {
        snprintf(d->name, sizeof(d->name), "%s:%u", config->host != NULL ? config->host : "", port);
    }
}

static int connect_port(struct sl_dbc *d, const struct sl_dbc_config *config, uint16_t port,
                        uint64_t deadline, struct sl_err *err)
{
    name_target(d, config, port);
    begin(d);
    d->broken = false;
    d->mysql = mysql_init(NULL);
    if (d->mysql == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory for a connection to '%s'", d->name);
    }
    int rc = sl_dbc_options_apply(d->mysql, config, err);
    if (rc != 0) {
        return rc;
    }
    bool by_socket = config->socket != NULL && config->socket[0] != '\0';
    MYSQL *done = NULL;
    int wants =
        mysql_real_connect_start(&done, d->mysql, by_socket ? NULL : config->host, config->user,
                                 config->password != NULL ? config->password : "", config->database,
                                 port, by_socket ? config->socket : NULL, 0);
    while (wants != 0) {
        wants = mysql_real_connect_cont(&done, d->mysql, wait_for(d, wants, deadline));
    }
    if (done == NULL || d->timed_out) {
        return connect_error(d, config->connect_timeout_ms, err);
    }
    return 0;
}

static void drop_handle(struct sl_dbc *d)
{
    if (d->mysql != NULL) {
        mysql_close(d->mysql);
        d->mysql = NULL;
    }
}

int sl_dbc_connect(const struct sl_dbc_config *config, struct sl_dbc **ret, struct sl_err *err)
{
    struct sl_err local = SL_ERR_INIT;
    if (err == NULL) {
        err = &local;
    }
    struct sl_dbc *d = sl_calloc(1, sizeof(*d));
    if (d == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory for a connection");
    }
    d->read_timeout_ms = config->read_timeout_ms;
    d->write_timeout_ms = config->write_timeout_ms;
    d->cancel_fd = config->cancel_fd;

    uint64_t deadline = deadline_in(config->connect_timeout_ms);
    bool has_extra =
        config->extra_port != 0 && (config->socket == NULL || config->socket[0] == '\0');
    int rc = connect_port(d, config, has_extra ? config->extra_port : config->port, deadline, err);
    if (has_extra && (rc == SL_ESYS || rc == SL_ELIMIT)) {
        drop_handle(d);
        rc = connect_port(d, config, config->port, deadline, err);
    }
    if (rc != 0) {
        sl_dbc_close(d);
        return rc;
    }
    *ret = d;
    return 0;
}

void sl_dbc_close(struct sl_dbc *d)
{
    if (d == NULL) {
        return;
    }
    /* COM_QUIT goes into the empty send buffer of a good connection; a broken one was shut down
     * (I1). */
    drop_handle(d);
    sl_free(d);
}

/* --- statements ------------------------------------------------------------------------------- */

int sl_dbc_ping(struct sl_dbc *d, struct sl_err *err)
{
    uint64_t deadline = deadline_in(d->read_timeout_ms);
    int failed = 1;
    begin(d);
    if (d->broken) {
        d->error = CR_SERVER_GONE_ERROR;
        return sl_err_set(err, SL_ESYS, "ping on '%s': the connection is broken", d->name);
    }
    int wants = mysql_ping_start(&failed, d->mysql);
    while (wants != 0) {
        wants = mysql_ping_cont(&failed, d->mysql, wait_for(d, wants, deadline));
    }
    return failed == 0 && !d->timed_out ? 0 : call_error(d, "ping", d->read_timeout_ms, err);
}

/* Later result sets of a CALL are read and dropped. */
static int drain(struct sl_dbc *d, uint64_t deadline)
{
    while (mysql_more_results(d->mysql)) {
        int next = 1;
        int wants = mysql_next_result_start(&next, d->mysql);
        while (wants != 0) {
            wants = mysql_next_result_cont(&next, d->mysql, wait_for(d, wants, deadline));
        }
        if (next > 0) {
            return SL_ESYS;
        }
        MYSQL_RES *res = NULL;
        wants = mysql_store_result_start(&res, d->mysql);
        while (wants != 0) {
            wants = mysql_store_result_cont(&res, d->mysql, wait_for(d, wants, deadline));
        }
        mysql_free_result(res);
    }
    return 0;
}

static int run(struct sl_dbc *d, const char *sql, uint64_t deadline, MYSQL_RES **ret)
{
    int failed = 1;
    int wants = mysql_real_query_start(&failed, d->mysql, sql, strlen(sql));
    while (wants != 0) {
        wants = mysql_real_query_cont(&failed, d->mysql, wait_for(d, wants, deadline));
    }
    if (failed != 0) {
        return SL_EINVAL;
    }
    wants = mysql_store_result_start(ret, d->mysql);
    while (wants != 0) {
        wants = mysql_store_result_cont(ret, d->mysql, wait_for(d, wants, deadline));
    }
    if (d->timed_out || (*ret == NULL && mysql_errno(d->mysql) != 0)) {
        return SL_EINVAL;
    }
    return drain(d, deadline);
}

int sl_dbc_query(struct sl_dbc *d, const char *sql, struct sl_dbc_result **ret, struct sl_err *err)
{
    uint64_t timeout_ms =
        d->read_timeout_ms == 0 ? 0 : (uint64_t)d->read_timeout_ms + d->write_timeout_ms;
    MYSQL_RES *res = NULL;
    if (ret != NULL) {
        *ret = NULL;
    }
    begin(d);
    if (d->broken) {
        d->error = CR_SERVER_GONE_ERROR;
        return sl_err_set(err, SL_ESYS, "statement on '%s': the connection is broken", d->name);
    }
    /* The write timeout only adds room for statements that do not fit the socket's buffer. */
    size_t small = 64 * 1024;
    timeout_ms = strlen(sql) < small ? d->read_timeout_ms : timeout_ms;
    if (run(d, sql, deadline_in(timeout_ms), &res) != 0) {
        mysql_free_result(res);
        return call_error(d, "statement", timeout_ms, err);
    }
    if (res == NULL || ret == NULL) {
        mysql_free_result(res);
        return 0;
    }
    struct sl_dbc_result *r = sl_calloc(1, sizeof(*r));
    if (r == NULL) {
        mysql_free_result(res);
        return sl_err_set(err, SL_ENOMEM, "out of memory for a result of '%s'", d->name);
    }
    r->res = res;
    r->columns = mysql_num_fields(res);
    *ret = r;
    return 0;
}

/* --- results ---------------------------------------------------------------------------------- */

bool sl_dbc_next(struct sl_dbc_result *r)
{
    r->row = mysql_fetch_row(r->res);
    return r->row != NULL;
}

const char *sl_dbc_value(const struct sl_dbc_result *r, unsigned column)
{
    return r->row == NULL || column >= r->columns ? NULL : r->row[column];
}

int sl_dbc_column_index(const struct sl_dbc_result *r, const char *name)
{
    const MYSQL_FIELD *fields = mysql_fetch_fields(r->res);
    for (unsigned i = 0; i < r->columns; i++) {
        if (strcasecmp(fields[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

void sl_dbc_result_free(struct sl_dbc_result *r)
{
    if (r != NULL) {
        mysql_free_result(r->res);
        sl_free(r);
    }
}

/* --- the rest --------------------------------------------------------------------------------- */

unsigned sl_dbc_errno(const struct sl_dbc *d)
{
    return d->error;
}

const char *sl_dbc_version(const struct sl_dbc *d)
{
    /* 10.x servers put this in front for old replicas (client protocol, greeting). */
    static const char prefix[] = "5.5.5-";
    const char *version = mysql_get_server_info(d->mysql);
    if (version == NULL) {
        return "";
    }
    return strncmp(version, prefix, sizeof(prefix) - 1) == 0 ? version + sizeof(prefix) - 1
                                                             : version;
}

uint64_t sl_dbc_thread_id(const struct sl_dbc *d)
{
    return mysql_thread_id(d->mysql);
}

int sl_dbc_library_init(void)
{
    signal(SIGPIPE, SIG_IGN); /* TLS writes of the connector know no MSG_NOSIGNAL */
    return mysql_library_init(0, NULL, NULL) == 0 ? 0 : SL_ENOMEM;
}

void sl_dbc_library_end(void)
{
    mysql_library_end();
}

void sl_dbc_thread_end(void)
{
    mysql_thread_end();
}
