/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Canonical form and digest of statements; see digest.h. The canonical form is produced in pieces
 * that go to a sink: a caller's buffer, or a hash over blocks of fixed size.
 */
#include "sql/digest.h"

#include <string.h>

#include "base/assert.h"
#include "base/map.h"
#include "sql/lexer.h"

struct sink {
    char *out; /* room for size bytes */
    size_t size;
    size_t used;     /* of out */
    size_t total;    /* produced so far */
    bool is_hashing; /* when out is full: hash it and begin again */
    uint64_t hash;
};

/* An odd constant, so that the order of blocks matters. */
#define BLOCK_MULTIPLIER UINT64_C(0x9E3779B185EBCA87)

static void hash_block(struct sink *s)
{
    s->hash = (s->hash ^ sl_hash(s->out, s->used)) * BLOCK_MULTIPLIER;
    s->used = 0;
}

static void put(struct sink *s, const void *data, size_t len)
{
    const uint8_t *p = data;

    s->total += len;
    while (len > 0) {
        const size_t n = SL_MIN(len, s->size - s->used);
        if (n == 0) {
            return;
        }
        memcpy(s->out + s->used, p, n);
        s->used += n;
        p += n;
        len -= n;
        if (s->is_hashing && s->used == s->size) {
            hash_block(s);
        }
    }
}

static bool is_literal(const struct sl_token *tok)
{
    return tok->kind == SL_TOK_NUMBER || tok->kind == SL_TOK_STRING;
}

/* Can a value begin behind this token? Then '-' in front of a number is its sign, no subtraction.
 */
static bool is_value_next(const struct sl_token *tok)
{
    if (tok->kind == SL_TOK_OP) {
        return tok->op != ')' && tok->op != '.';
    }
    return tok->kind == SL_TOK_END ||
           (tok->kind == SL_TOK_WORD && (tok->word_flags & SL_WORD_RESERVED));
}

/* If the current '-' or '+' is the sign of a number, makes the number current. */
static void take_sign(struct sl_lexer *lx, struct sl_token *tok, const struct sl_token *last)
{
    struct sl_lexer ahead = *lx;
    struct sl_token number;

    if ((sl_token_is_op(tok, '-') || sl_token_is_op(tok, '+')) && is_value_next(last) &&
        sl_lexer_next(&ahead, &number) && number.kind == SL_TOK_NUMBER &&
        number.begin == tok->end) {
        number.begin = tok->begin;
        *tok = number;
        *lx = ahead;
    }
}

static void canonical(struct sink *s, const uint8_t *sql, size_t len, unsigned mode_bits)
{
    struct sl_lexer lx;
    struct sl_token tok;
    struct sl_token last = {.kind = SL_TOK_END};

    sl_lexer_init(&lx, sql, len, mode_bits);
    while (sl_lexer_next(&lx, &tok)) {
        take_sign(&lx, &tok, &last);
        if (s->total > 0 && tok.begin != last.end) {
            put(s, " ", 1);
        }
        if (is_literal(&tok)) {
            put(s, "?", 1);
        } else {
            put(s, tok.begin, (size_t)(tok.end - tok.begin));
        }
        last = tok;
    }
}

size_t sl_sql_canonical(const uint8_t *sql, size_t len, unsigned mode_bits, char *out,
                        size_t out_size)
{
    struct sink s = {.out = out, .size = out_size > 0 ? out_size - 1 : 0};

    canonical(&s, sql, len, mode_bits);
    if (out_size > 0) {
        out[s.used] = '\0';
    }
    return s.total;
}

uint64_t sl_sql_digest(const uint8_t *sql, size_t len, unsigned mode_bits)
{
    char block[512];
    struct sink s = {.out = block, .size = sizeof(block), .is_hashing = true};

    canonical(&s, sql, len, mode_bits);
    hash_block(&s);
    return s.hash;
}
