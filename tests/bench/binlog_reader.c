/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-binlog-reader: replicas that cost next to nothing. One thread reads any number of dump
 * connections with epoll, looks at event headers and throws the rest away.
 *
 *   bench-binlog-reader read   HOST PORT READERS POSITION
 *       from a GTID position to the end of the log: "BYTES EVENTS SECONDS"
 *   bench-binlog-reader follow HOST PORT READERS WRITER_HOST WRITER_PORT RATE SECONDS
 *       commits RATE rows a second into app.follow at the writer and notes when each arrives at
 *       each reader, counted from the moment the writer has its OK: "COUNT P50_US P99_US MAX_US"
 *   bench-binlog-reader stall  HOST PORT READERS SECONDS
 *       asks for everything and reads nothing
 *   bench-binlog-reader locate HOST PORT POSITION...
 *       microseconds from the dump request to the first event of a group, one line a position
 *
 * Accounts: repl_user and, for the writer, app. Server ids from 5001 on. A dump connection that
 * ends early, or an error packet, is a failure of the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <mysql.h>

enum {
    READERS_MAX = 256,
    COMMITS_MAX = 1 << 20,
    BLOCK_BYTES = 1 << 20,
    HEAD_BYTES = 4 + 1 + 19, /* packet header, status byte, event header */
    DUMP_NON_BLOCK = 1,
    DUMP_ANNOTATE = 2,
    EVENT_XID = 16,
    EVENT_GTID = 162,
    FIRST_SERVER_ID = 5001,
    PATIENCE_S = 90
};

struct reader {
    MYSQL *mysql;
    int fd;
    uint8_t head[HEAD_BYTES]; /* of the packet that is being read */
    uint32_t head_len;
    uint32_t skip;     /* bytes of the packet that are still to come */
    bool is_continued; /* the packet before was full: this one has no event header */
    bool has_ended;    /* EOF packet */
    uint64_t bytes, events, commits, gtids;
    int64_t *arrived_ns; /* per commit; NULL: not wanted */
};

static struct reader readers[READERS_MAX];
static unsigned reader_count;
static uint8_t block[BLOCK_BYTES];

static void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "bench-binlog-reader: ");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static MYSQL *log_in(const char *host, unsigned port, const char *user, const char *password)
{
    MYSQL *m = mysql_init(NULL);

    if (!m || !mysql_real_connect(m, host, user, password, NULL, port, NULL, 0)) {
        die("%s port %u: %s", host, port, m ? mysql_error(m) : "out of memory");
    }
    return m;
}

static void ask(MYSQL *m, const char *sql)
{
    if (mysql_query(m, sql)) {
        die("%s: %s", sql, mysql_error(m));
    }
    mysql_free_result(mysql_store_result(m));
}

static void write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        const ssize_t n = write(fd, data, len);
        if (n < 0) {
            die("write: %s", strerror(errno));
        }
        data += n;
        len -= (size_t)n;
    }
}

/* COM_BINLOG_DUMP without a file name: the GTID position decides. */
static void request_dump(struct reader *r, unsigned flags, uint32_t server_id)
{
    uint8_t p[4 + 11] = {11, 0, 0, 0, COM_BINLOG_DUMP, 4, 0, 0, 0, (uint8_t)flags, 0};

    for (int i = 0; i < 4; i++) {
        p[11 + i] = (uint8_t)(server_id >> (8 * i));
    }
    write_all(r->fd, p, sizeof(p));
}

static struct reader *open_reader(const char *host, unsigned port, const char *position)
{
    if (reader_count == READERS_MAX) {
        die("at most %d readers", READERS_MAX);
    }
    struct reader *r = &readers[reader_count++];
    const size_t size = strlen(position) + 64;
    char *text = malloc(size);

    r->mysql = log_in(host, port, "repl_user", "SecretP@ssw0rd");
    r->fd = mysql_get_socket(r->mysql);
    ask(r->mysql, "SET @master_heartbeat_period= 5000000000");
    ask(r->mysql, "SET @master_binlog_checksum= @@global.binlog_checksum");
    ask(r->mysql, "SET @mariadb_slave_capability=4");
    snprintf(text, size, "SET @slave_connect_state='%s'", position);
    ask(r->mysql, text);
    free(text);
    return r;
}

static void take_event(struct reader *r, int64_t now)
{
    const uint8_t *h = r->head;

    if (h[4] == 0xff) {
        die("an error packet: errno %u", (unsigned)(h[5] | h[6] << 8));
    }
    if (h[4] == 0xfe) {
        r->has_ended = true;
        return;
    }
    r->events++;
    r->gtids += h[9] == EVENT_GTID;
    if (h[9] == EVENT_XID) {
        if (r->arrived_ns && r->commits < COMMITS_MAX) {
            r->arrived_ns[r->commits] = now;
        }
        r->commits++;
    }
}

/* The head of a packet is complete: the packet header and what is there of the event header. */
static void take_head(struct reader *r, int64_t now)
{
    const uint32_t len =
        (uint32_t)r->head[0] | (uint32_t)r->head[1] << 8 | (uint32_t)r->head[2] << 16;
    const uint32_t had = r->head_len - 4;

    if (!r->is_continued) {
        take_event(r, now);
    }
    r->is_continued = len == 0xffffff;
    r->skip = len - had;
    r->head_len = 0;
}

static uint32_t head_wanted(const struct reader *r)
{
    if (r->head_len < 4) {
        return 4;
    }
    const uint32_t len =
        (uint32_t)r->head[0] | (uint32_t)r->head[1] << 8 | (uint32_t)r->head[2] << 16;
    const uint32_t rest = r->is_continued ? 0 : HEAD_BYTES - 4;

    return 4 + (len < rest ? len : rest);
}

static void take_bytes(struct reader *r, const uint8_t *data, size_t len, int64_t now)
{
    r->bytes += len;
    while (len > 0 || (r->head_len >= 4 && r->head_len == head_wanted(r))) {
        if (r->skip > 0) {
            const uint32_t n = r->skip < len ? r->skip : (uint32_t)len;
            r->skip -= n;
            data += n;
            len -= n;
            continue;
        }
        const uint32_t missing = head_wanted(r) - r->head_len;
        const uint32_t n = missing < len ? missing : (uint32_t)len;
        memcpy(r->head + r->head_len, data, n);
        r->head_len += n;
        data += n;
        len -= n;
        if (r->head_len >= 4 && r->head_len == head_wanted(r)) {
            take_head(r, now);
        }
    }
}

/* Reads what is there, one block at most; false: the connection has ended. */
static bool read_some(struct reader *r)
{
    const ssize_t n = recv(r->fd, block, sizeof(block), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (n <= 0) {
        return false;
    }
    take_bytes(r, block, (size_t)n, now_ns());
    return true;
}

static int watch_all(void)
{
    const int ep = epoll_create1(EPOLL_CLOEXEC);

    for (unsigned i = 0; i < reader_count; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.u32 = i};
        if (epoll_ctl(ep, EPOLL_CTL_ADD, readers[i].fd, &ev)) {
            die("epoll_ctl: %s", strerror(errno));
        }
    }
    return ep;
}

/* One turn; how many connections have ended in it. */
static unsigned turn(int ep, int wait_ms)
{
    struct epoll_event ev[64];
    unsigned ended = 0;
    const int n = epoll_wait(ep, ev, 64, wait_ms);

    for (int i = 0; i < n; i++) {
        if (ev[i].data.u32 >= reader_count) {
            continue; /* the writer: its owner looks for itself */
        }
        struct reader *r = &readers[ev[i].data.u32];
        const bool is_open = read_some(r);
        if (r->has_ended || !is_open) {
            if (!r->has_ended) {
                die("reader %u: the connection ended", (unsigned)ev[i].data.u32);
            }
            epoll_ctl(ep, EPOLL_CTL_DEL, r->fd, NULL);
            ended++;
        }
    }
    return ended;
}

static int do_read(char **argv)
{
    const unsigned port = (unsigned)atoi(argv[1]);
    const unsigned count = (unsigned)atoi(argv[2]);
    uint64_t bytes = 0;
    uint64_t events = 0;

    for (unsigned i = 0; i < count; i++) {
        open_reader(argv[0], port, argv[3]);
    }
    const int64_t start = now_ns();
    for (unsigned i = 0; i < count; i++) {
        request_dump(&readers[i], DUMP_NON_BLOCK | DUMP_ANNOTATE, FIRST_SERVER_ID + i);
    }
    const int ep = watch_all();
    for (unsigned left = count; left > 0;) {
        left -= turn(ep, 1000);
    }
    const double seconds = (double)(now_ns() - start) / 1e9;
    for (unsigned i = 0; i < count; i++) {
        bytes += readers[i].bytes;
        events += readers[i].events;
    }
    printf("%" PRIu64 " %" PRIu64 " %.3f\n", bytes, events, seconds);
    return 0;
}

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* The writer: one statement at a time on a socket of its own, in the loop of the readers. */
struct writer {
    MYSQL *mysql;
    int fd;
    bool is_waiting;
    uint64_t sent, done;
    int64_t *ok_ns;
};

static void send_commit(struct writer *w)
{
    char text[512];
    const int n = snprintf(text + 5, sizeof(text) - 5,
                           "INSERT INTO app.follow (k, c, pad) VALUES (%" PRIu64 ", '%0120" PRIu64
                           "', '%060" PRIu64 "')",
                           w->sent, w->sent, w->sent);

    text[0] = (char)((n + 1) & 255);
    text[1] = (char)((n + 1) >> 8);
    text[2] = 0;
    text[3] = 0;
    text[4] = 3; /* COM_QUERY */
    write_all(w->fd, (const uint8_t *)text, (size_t)n + 5);
    w->sent++;
    w->is_waiting = true;
}

static void take_ok(struct writer *w)
{
    uint8_t reply[512];
    const ssize_t n = recv(w->fd, reply, sizeof(reply), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n < 5 || reply[4] != 0) {
        die("the writer's statement failed");
    }
    w->ok_ns[w->done++] = now_ns();
    w->is_waiting = false;
}

static void run_writer(struct writer *w, int ep, double rate, double seconds)
{
    const int64_t start = now_ns();
    const uint64_t total = (uint64_t)(rate * seconds);

    while (w->done < total) {
        const int64_t due = start + (int64_t)(1e9 * (double)w->sent / rate);
        const int64_t left_ns = due - now_ns();
        if (!w->is_waiting && left_ns <= 0) {
            send_commit(w);
        }
        turn(ep,
             w->is_waiting ? 10 : (int)(left_ns / 1000000) + (left_ns > 0 && left_ns < 1000000));
        if (w->is_waiting) {
            take_ok(w);
        }
    }
}

static bool has_all(uint64_t commits)
{
    for (unsigned i = 0; i < reader_count; i++) {
        if (readers[i].commits < commits) {
            return false;
        }
    }
    return true;
}

static void print_latencies(const struct writer *w)
{
    const uint64_t count = w->done * reader_count;
    int64_t *us = calloc(count, sizeof(*us));
    uint64_t n = 0;

    for (unsigned i = 0; i < reader_count; i++) {
        for (uint64_t c = 0; c < w->done; c++) {
            us[n++] = (readers[i].arrived_ns[c] - w->ok_ns[c]) / 1000;
        }
    }
    qsort(us, n, sizeof(*us), by_value);
    printf("%" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64 "\n", n, us[n / 2], us[n * 99 / 100],
           us[n - 1]);
    free(us);
}

/* Where the log of a server ends, as it says itself. */
static void end_of_log(MYSQL *m, char *out, size_t size)
{
    if (mysql_query(m, "SELECT @@global.gtid_binlog_pos")) {
        die("%s", mysql_error(m));
    }
    MYSQL_RES *res = mysql_store_result(m);
    MYSQL_ROW row = res ? mysql_fetch_row(res) : NULL;
    snprintf(out, size, "%s", row && row[0] ? row[0] : "");
    mysql_free_result(res);
}

static int do_follow(char **argv)
{
    const unsigned count = (unsigned)atoi(argv[2]);
    struct writer w = {.mysql = log_in(argv[3], (unsigned)atoi(argv[4]), "app", "app")};
    char position[4096];

    w.fd = mysql_get_socket(w.mysql);
    w.ok_ns = calloc(COMMITS_MAX, sizeof(*w.ok_ns));
    end_of_log(w.mysql, position, sizeof(position));
    for (unsigned i = 0; i < count; i++) {
        struct reader *r = open_reader(argv[0], (unsigned)atoi(argv[1]), position);
        r->arrived_ns = calloc(COMMITS_MAX, sizeof(*r->arrived_ns));
        request_dump(r, DUMP_ANNOTATE, FIRST_SERVER_ID + i);
    }
    const int ep = watch_all();
    struct epoll_event ev = {.events = EPOLLIN, .data.u32 = READERS_MAX};
    epoll_ctl(ep, EPOLL_CTL_ADD, w.fd, &ev);
    run_writer(&w, ep, atof(argv[5]), atof(argv[6]));
    const int64_t end = now_ns() + (int64_t)PATIENCE_S * 1000000000;
    while (!has_all(w.done)) {
        if (now_ns() > end) {
            die("commits are missing %d s after the last one", PATIENCE_S);
        }
        turn(ep, 100);
    }
    print_latencies(&w);
    return 0;
}

static int do_stall(char **argv)
{
    const unsigned count = (unsigned)atoi(argv[2]);

    for (unsigned i = 0; i < count; i++) {
        struct reader *r = open_reader(argv[0], (unsigned)atoi(argv[1]), "");
        request_dump(r, DUMP_ANNOTATE, FIRST_SERVER_ID + i);
    }
    puts("stalled");
    fflush(stdout);
    poll(NULL, 0, atoi(argv[3]) * 1000);
    return 0;
}

static int do_locate(char **argv)
{
    for (char **position = argv + 2; *position; position++) {
        reader_count = 0;
        memset(&readers[0], 0, sizeof(readers[0]));
        struct reader *r = open_reader(argv[0], (unsigned)atoi(argv[1]), *position);
        const int64_t start = now_ns();
        request_dump(r, DUMP_ANNOTATE, FIRST_SERVER_ID);
        struct pollfd p = {.fd = r->fd, .events = POLLIN};
        while (r->gtids == 0) {
            poll(&p, 1, 10000);
            if (!(p.revents & POLLIN) || !read_some(r)) {
                die("no group after %s", *position);
            }
        }
        printf("%" PRId64 "\n", (now_ns() - start) / 1000);
        close(r->fd);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments; /* at least */
        int (*run)(char **argv);
    } modes[] = {{"read", 4, do_read},
                 {"follow", 7, do_follow},
                 {"stall", 4, do_stall},
                 {"locate", 3, do_locate}};

    for (unsigned i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(argv[1], modes[i].name) == 0 && argc - 2 >= modes[i].arguments) {
            return modes[i].run(argv + 2);
        }
    }
    die("usage: read | follow | stall | locate, see the head of the source");
    return 1;
}
