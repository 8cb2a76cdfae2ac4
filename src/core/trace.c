/* SPDX-License-Identifier: Apache-2.0 */
/* The last statements of a session; see the header. */
#include "core/trace.h"

#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"

#define TEXT_MIN 64 /* first size of a text buffer */

static void free_entries(struct sl_trace_entry *entries, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        sl_free(entries[i].text);
    }
    sl_free(entries);
}

void sl_trace_clear(struct sl_trace *t)
{
    free_entries(t->entries, t->capacity);
    t->entries = NULL;
    t->capacity = t->count = t->newest = 0;
}

int sl_trace_resize(struct sl_trace *t, unsigned capacity)
{
    if (capacity == t->capacity) {
        return SL_OK;
    }
    if (capacity == 0) {
        sl_trace_clear(t);
        return SL_OK;
    }
    struct sl_trace_entry *entries = sl_calloc(capacity, sizeof *entries);
    if (!entries) {
        return SL_ENOMEM;
    }
    unsigned kept = SL_MIN(capacity, t->count);
    for (unsigned i = 0; i < kept; i++) { /* oldest of those first */
        struct sl_trace_entry *from = sl_trace_at(t, kept - 1 - i);
        entries[i] = *from;
        from->text = NULL;
    }
    free_entries(t->entries, t->capacity);
    t->entries = entries;
    t->capacity = capacity;
    t->count = kept;
    t->newest = kept > 0 ? kept - 1 : 0;
    return SL_OK;
}

struct sl_trace_entry *sl_trace_at(const struct sl_trace *t, unsigned i)
{
    return i < t->count ? &t->entries[(t->newest + t->capacity - i) % t->capacity] : NULL;
}

struct sl_trace_entry *sl_trace_begin(struct sl_trace *t, uint8_t command, int64_t received_ms,
                                      uint64_t now_us)
{
    sl_assert(t->capacity > 0);
    t->newest = t->count > 0 ? (t->newest + 1) % t->capacity : 0;
    t->count = SL_MIN(t->count + 1, t->capacity);
    struct sl_trace_entry *e = &t->entries[t->newest];
    *e = (struct sl_trace_entry){
        .number = ++t->next_number,
        .received_ms = received_ms,
        .begun_us = now_us,
        .command = command,
        .text = e->text,
        .text_capacity = e->text_capacity,
    };
    return e;
}

void sl_trace_text(struct sl_trace_entry *e, struct sl_slice text)
{
    uint32_t len = (uint32_t)SL_MIN(text.len, (size_t)SL_TRACE_TEXT_MAX);
    e->full_len = (uint32_t)SL_MIN(text.len, (size_t)UINT32_MAX);
    e->text_len = 0;
    if (len > e->text_capacity) {
        uint32_t capacity = SL_MAX(e->text_capacity, (uint32_t)TEXT_MIN);
        while (capacity < len) {
            capacity *= 2;
        }
        sl_free(e->text);
        e->text = sl_malloc(capacity);
        e->text_capacity = e->text ? capacity : 0;
    }
    if (len > 0 && e->text) {
        memcpy(e->text, text.data, len);
        e->text_len = len;
    }
}

void sl_trace_sent(struct sl_trace_entry *e, unsigned position)
{
    if (e->reply_count == SL_TRACE_SERVERS_MAX) {
        e->more_replies += e->more_replies < UINT8_MAX;
        return;
    }
    e->replies[e->reply_count++] =
        (struct sl_trace_reply){.position = (uint16_t)position, .state = SL_TRACE_PENDING};
}

static struct sl_trace_reply *find_pending(struct sl_trace_entry *e, unsigned position)
{
    for (unsigned i = 0; i < e->reply_count; i++) {
        if (e->replies[i].position == position && e->replies[i].state == SL_TRACE_PENDING) {
            return &e->replies[i];
        }
    }
    return NULL;
}

static void settle(struct sl_trace_entry *e, struct sl_trace_reply *r,
                   enum sl_trace_reply_state state, uint64_t now_us)
{
    r->state = (uint8_t)state;
    r->duration_us = now_us > e->begun_us ? now_us - e->begun_us : 0;
}

void sl_trace_replied(struct sl_trace *t, unsigned position, bool is_error, uint64_t now_us)
{
    for (unsigned i = SL_MIN(t->count, (unsigned)SL_TRACE_LOOK_BACK); i-- > 0;) {
        struct sl_trace_entry *e = sl_trace_at(t, i);
        struct sl_trace_reply *r = find_pending(e, position);
        if (r) {
            settle(e, r, is_error ? SL_TRACE_ERROR : SL_TRACE_OK, now_us);
            return;
        }
    }
}

void sl_trace_lost(struct sl_trace *t, unsigned position, uint64_t now_us)
{
    for (unsigned i = 0; i < t->count; i++) {
        struct sl_trace_entry *e = sl_trace_at(t, i);
        for (struct sl_trace_reply *r; (r = find_pending(e, position)) != NULL;) {
            settle(e, r, SL_TRACE_LOST, now_us);
        }
    }
}

void sl_trace_end(struct sl_trace_entry *e, uint64_t now_us)
{
    e->is_complete = true;
    e->duration_us = now_us > e->begun_us ? now_us - e->begun_us : 0;
}

size_t sl_trace_memory(const struct sl_trace *t)
{
    size_t bytes = t->capacity * sizeof *t->entries;
    for (unsigned i = 0; i < t->capacity; i++) {
        bytes += t->entries[i].text_capacity;
    }
    return bytes;
}

static bool has_word(struct sl_slice text, const char *word, size_t len)
{
    for (size_t i = 0; i + len <= text.len; i++) {
        if ((text.data[i] | 0x20) == word[0] &&
            strncasecmp((const char *)text.data + i, word, len) == 0) {
            return true;
        }
    }
    return false;
}

bool sl_trace_is_secret(struct sl_slice text)
{
    return has_word(text, "password", 8) || has_word(text, "identified", 10);
}
