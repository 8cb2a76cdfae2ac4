/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SQL lexer: cuts MariaDB statement text into tokens that point into the text. No allocation,
 * no copy, one pass, any thread. It follows the server's own lexer (MariaDB sql/sql_lex.cc) where
 * that decides what is code and what is not: quotes, backslashes, comments, executable comments.
 *
 * Limits, both on the safe side: the character set is taken to be one in which no multi-byte
 * character holds a quote or a backslash (all but big5, cp932, gbk, sjis), and executable comments
 * are judged for server version SL_SQL_SERVER_VERSION (see has_version_comment).
 */
#ifndef SL_SQL_LEXER_H
#define SL_SQL_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "sql/classify.h"
#include "sql/words.h"

/* Executable comments up to this version count as code. */
#define SL_SQL_SERVER_VERSION 101100u
/* From here on (the oldest server still supported) what a versioned comment does depends on the
 * server. */
#define SL_SQL_UNSURE_VERSION 100500u

enum sl_token_kind {
    SL_TOK_END,
    SL_TOK_WORD,   /* identifier or keyword, unquoted */
    SL_TOK_QUOTED, /* quoted identifier; text is what is between the quotes */
    SL_TOK_STRING, /* any string, hex or bit literal with quotes; text is the inside, still escaped
                    */
    SL_TOK_NUMBER,
    SL_TOK_USERVAR, /* @v @`v` @'v'; text is the name */
    SL_TOK_SYSVAR,  /* @@[scope.]v; text is the last part */
    SL_TOK_HOST,    /* @host behind an account name; text is the host */
    SL_TOK_PARAM,   /* ? */
    SL_TOK_OP,      /* `op` is the character, or SL_OP_ASSIGN */
    SL_TOK_COMMENT  /* only with want_comments; text is the inside */
};

enum {
    SL_OP_ASSIGN = 256 /* := */
};

enum sl_word_flags {
    SL_WORD_KEYWORD = 1,  /* reserved, or a type or clause name: no function, no account name */
    SL_WORD_SAFE = 2,     /* built-in function that only reads */
    SL_WORD_ADJACENT = 4, /* ... when '(' follows at once, or with IGNORE_SPACE */
    SL_WORD_PRIMARY = 8,
    SL_WORD_LOCK = 16,
    SL_WORD_LAST = 32,
    SL_WORD_RESERVED = 64 /* cannot be the name of a table unless quoted */
};

enum sl_var_scope {
    SL_SCOPE_NONE,
    SL_SCOPE_SESSION,
    SL_SCOPE_GLOBAL
};

struct sl_token {
    uint8_t kind;       /* enum sl_token_kind */
    uint8_t word_flags; /* enum sl_word_flags; 0 for unknown words and behind a dot */
    uint8_t scope;      /* SYSVAR: enum sl_var_scope */
    bool is_after_dot;  /* part of a qualified name */
    uint16_t word;      /* WORD: enum sl_word, also behind a dot */
    uint16_t op;
    const uint8_t *begin; /* the whole token in the text */
    const uint8_t *end;
    struct sl_slice text;
};

struct sl_lexer {
    const uint8_t *pos;
    const uint8_t *end;
    unsigned mode_bits;
    uint8_t last_kind; /* of the token before, for '.' and '@' */
    uint8_t last_flags;
    uint16_t last_op;
    const uint8_t *last_end;
    bool in_executable; /* inside an executable comment */
    bool want_comments; /* give SL_TOK_COMMENT too */
    bool is_broken;     /* an unterminated string, name or comment was met */
    bool has_executable_comment;
    bool has_version_comment; /* one whose effect depends on the server's version */
};

/* mode_bits: enum sl_sql_mode_bits. ORACLE implies ANSI_QUOTES and IGNORE_SPACE, as in the server.
 */
void sl_lexer_init(struct sl_lexer *lx, const uint8_t *sql, size_t len, unsigned mode_bits);

/* Gives the next token; false (kind END) at the end of the text. */
bool sl_lexer_next(struct sl_lexer *lx, struct sl_token *tok);

/* Skips a stretch of numbers, commas, brackets and blanks without making tokens of them: for long
 * lists of values. Never skips into a word. A no-op where none begins. */
void sl_lexer_skip_list(struct sl_lexer *lx);

/* Looks the word up; SL_W_NONE if it is not in the table. *ret_flags gets enum sl_word_flags. */
enum sl_word sl_word_find(const uint8_t *data, size_t len, uint8_t *ret_flags);

/* Is the token this character? */
static inline bool sl_token_is_op(const struct sl_token *tok, int op)
{
    return tok->kind == SL_TOK_OP && tok->op == op;
}

/* Is the token this keyword (not quoted, not part of a qualified name)? */
static inline bool sl_token_is_word(const struct sl_token *tok, enum sl_word word)
{
    return tok->kind == SL_TOK_WORD && tok->word == word && !tok->is_after_dot;
}

#endif
