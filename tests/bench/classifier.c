/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-classifier: how long does the classifier need? Prints nanoseconds a statement for what an
 * OLTP load sends, and GB/s for long statements. Each figure is the median of several rounds. One
 * thread.
 *
 * Usage: bench-classifier [rounds]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sql/classify.h"
#include "sql/digest.h"

enum {
    ROUNDS_DEFAULT = 21,
    ROUNDS_MAX = 1001,
    LONG_BYTES = 1 << 20
};

static const char *const short_statements[] = {
    "SELECT c FROM sbtest1 WHERE id=5001",
    "SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN 5001 AND 5100 ORDER BY c",
    "UPDATE sbtest1 SET k=k+1 WHERE id=5001",
    "INSERT INTO sbtest1 (id, k, c, pad) VALUES (5001, 4987, '68487932199-96439406143', '6318828')",
    "BEGIN",
    "COMMIT",
    "SET NAMES utf8mb4",
    "SET autocommit=1",
};

/* The result is kept here so that no call can be left out. */
static volatile uint32_t sink;

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double round_ns(const uint8_t *sql, size_t len, unsigned loops)
{
    const uint64_t begin = now_ns();

    for (unsigned i = 0; i < loops; i++) {
        struct sl_sql_info info;
        sl_sql_classify(sql, len, 0, &info);
        sink = info.type;
    }
    return (double)(now_ns() - begin) / loops;
}

static double digest_round_ns(const uint8_t *sql, size_t len, unsigned loops)
{
    const uint64_t begin = now_ns();

    for (unsigned i = 0; i < loops; i++) {
        sink = (uint32_t)sl_sql_digest(sql, len, 0);
    }
    return (double)(now_ns() - begin) / loops;
}

typedef double round_fn(const uint8_t *sql, size_t len, unsigned loops);

static double median_ns(round_fn *fn, const char *sql, size_t len, unsigned loops, size_t rounds)
{
    double figures[ROUNDS_MAX];

    for (size_t i = 0; i < rounds; i++) {
        figures[i] = fn((const uint8_t *)sql, len, loops);
    }
    qsort(figures, rounds, sizeof(figures[0]), by_value);
    return figures[rounds / 2];
}

/* head, then rows of `left` counter `right` until the text is full, then tail. */
static char *long_statement(const char *head, const char *left, const char *right, const char *tail,
                            size_t *ret_len)
{
    char *text = sl_xcalloc(1, LONG_BYTES + 512);
    size_t used = (size_t)snprintf(text, LONG_BYTES, "%s", head);

    for (unsigned i = 1; used < LONG_BYTES; i++) {
        used += (size_t)sprintf(text + used, "%s%u%s", left, i, right);
    }
    text[used - 1] = '\0'; /* the last comma */
    used--;
    used += (size_t)sprintf(text + used, "%s", tail);
    *ret_len = used;
    return text;
}

static void bench_long(const char *name, const char *head, const char *left, const char *right,
                       const char *tail, size_t rounds)
{
    size_t len;
    char *text = long_statement(head, left, right, tail, &len);
    const double ns = median_ns(round_ns, text, len, 8, rounds);

    printf("%-60s %9.2f GB/s\n", name, (double)len / ns);
    sl_free(text);
}

int main(int argc, char **argv)
{
    const long wanted = argc > 1 ? strtol(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    const size_t rounds = wanted > 0 && wanted <= ROUNDS_MAX ? (size_t)wanted : ROUNDS_DEFAULT;

    for (size_t i = 0; i < SL_ARRAY_LEN(short_statements); i++) {
        const char *sql = short_statements[i];
        printf("%-60.60s %9.1f ns\n", sql, median_ns(round_ns, sql, strlen(sql), 20000, rounds));
    }
    const char *select = short_statements[0];
    printf("%-60s %9.1f ns\n", "digest of the point select",
           median_ns(digest_round_ns, select, strlen(select), 20000, rounds));
    bench_long("1 MB INSERT, sysbench rows", "INSERT INTO sbtest1 (k, c, pad) VALUES", "(",
               ", '68487932199-96439406143-93774651418-41631865787-96406072701-20604855487-"
               "25459966574-28203206787-41238978918-19503783441', "
               "'22195207048-70116052123-74140395089-76317954521-98694025897'),",
               "", rounds);
    bench_long("1 MB INSERT, short rows", "INSERT INTO t VALUES", "(", ",'name of it',NULL,1.5),",
               "", rounds);
    bench_long("1 MB SELECT .. IN (numbers)", "SELECT a FROM t WHERE id IN (", "", ",", ")",
               rounds);
    bench_long("1 MB SELECT .. IN (strings)", "SELECT a FROM t WHERE id IN (", "'key-", "',", ")",
               rounds);
    bench_long("1 MB SELECT .. OR .. OR", "SELECT a FROM t WHERE a = 0 OR 1 ", "OR (id = ", ") ",
               "", rounds);
    return 0;
}
