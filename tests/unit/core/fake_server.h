/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A MariaDB server that is not one: greets, lets everybody in, answers each command with something
 * plausible, and breaks where a test tells it to. No thread: the test calls fake_server_pump().
 *
 *   SELECT ...   a result set of `rows` rows: the server's name, the statement
 *   PREPARE      an OK with the next id and as many parameters as the text has '?'
 *   EXECUTE      an OK whose affected rows are the statement's id
 *   all others   an OK with the server's status
 */
#ifndef TESTS_UNIT_CORE_FAKE_SERVER_H
#define TESTS_UNIT_CORE_FAKE_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"

#define FAKE_CONNS 16
#define FAKE_LOG 512

/* What the next statement whose text starts with `fault_text` meets. */
enum fake_fault {
    FAKE_NONE,
    FAKE_FREEZE,       /* no answer */
    FAKE_CLOSE_BEFORE, /* FIN instead of a reply */
    FAKE_RST_BEFORE,
    FAKE_CUT_HEADER,      /* two bytes of the first packet, then FIN */
    FAKE_CUT_COUNT,       /* the column count, then FIN */
    FAKE_CUT_DEFINITION,  /* in the middle of the first column definition */
    FAKE_CUT_DEFINITIONS, /* behind all definitions and their EOF */
    FAKE_CUT_ROW,         /* in the middle of the second row */
    FAKE_CUT_ROWS,        /* behind the last row: the final EOF is missing */
    FAKE_RST_ROW,         /* as CUT_ROW, with a reset */
    FAKE_GARBAGE,         /* nonsense instead of a reply */
    FAKE_GARBAGE_MIDDLE,  /* nonsense behind the definitions */
    FAKE_BAD_SEQUENCE,    /* a good reply with wrong sequence numbers */
    FAKE_TWO_REPLIES,     /* the reply, and then one that nobody asked for */
    FAKE_ERR_NOT_READY,   /* 1047, as a Galera node outside the primary component */
    FAKE_ERR_SHUTDOWN,    /* 1053, then FIN */
    FAKE_ERR_SYNTAX,      /* 1064: an error like any other */
    FAKE_ERR_READ_ONLY,   /* 1290 */
    FAKE_ERR_DEADLOCK,    /* 1213: the transaction is gone */
    FAKE_FAULT_COUNT
};

enum fake_login {
    FAKE_LOGIN_OK,
    FAKE_LOGIN_GARBAGE,
    FAKE_LOGIN_DENIED,
    FAKE_LOGIN_CLOSE,
    FAKE_LOGIN_SILENT
};

struct fake_conn {
    int fd; /* -1: free */
    bool is_greeted, is_in;
    uint64_t capabilities; /* of the client */
    uint16_t status;
    uint32_t next_stmt;
    uint64_t forced_id;
    struct sl_buf in;
};

struct fake_server {
    const char *name;
    int listen_fd; /* -1: down */
    uint16_t port;
    const char *alias;  /* in rows, instead of the name, if set */
    uint64_t insert_id; /* of an INSERT; 0: none */
    enum fake_fault fault;
    const char *fault_text;
    unsigned faults_left; /* how many statements meet the fault */
    enum fake_login login;
    unsigned rows;     /* of a SELECT */
    bool hold_replies; /* nothing is answered while set */
    bool keeps_quiet;  /* no log: for tests that count memory */
    struct fake_conn conns[FAKE_CONNS];
    char *log[FAKE_LOG]; /* statements and commands in the order of their arrival */
    unsigned logged;
    unsigned accepted;
};

void fake_server_start(struct fake_server *f, const char *name);
void fake_server_stop(struct fake_server *f);
/* Kills all connections (and listens no more if `down`). */
void fake_server_kill(struct fake_server *f, bool down);
/* Listens again on the old port. */
void fake_server_revive(struct fake_server *f);
void fake_server_pump(struct fake_server *f);
unsigned fake_server_connections(const struct fake_server *f);
/* How many statements starting with this text have come since the last forget. */
unsigned fake_server_count(const struct fake_server *f, const char *prefix);
void fake_server_forget(struct fake_server *f);
void fake_server_break(struct fake_server *f, enum fake_fault fault, const char *text);

#endif
