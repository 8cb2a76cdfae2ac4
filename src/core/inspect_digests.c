/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests for readers: each worker copies its table, the asker adds the copies up. The tables
 * themselves are never read by another thread.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/ask.h"
#include "core/core.h"
#include "core/inspect.h"

static void clear_row(struct sl_digest_info *row)
{
    sl_free(row->service);
    sl_free(row->text);
}

void sl_inspect_digests_clear(struct sl_digest_list *list)
{
    for (unsigned i = 0; i < list->count; i++) {
        clear_row(&list->rows[i]);
    }
    sl_free(list->rows);
    *list = (struct sl_digest_list){0};
}

static void copy_row(const struct sl_digest_row *from, struct sl_digest_list *to)
{
    if (from->n.count == 0) {
        return; /* its first statement is still running */
    }
    to->rows[to->count++] = (struct sl_digest_info){
        .hash = from->hash,
        .service = sl_strdup(from->service),
        .text = sl_strndup(from->text ? from->text : "", from->text_len),
        .is_cut = from->is_cut,
        .n = from->n,
    };
}

/* Also where a table that is not wanted any more goes. */
static void answer_copy(struct sl_worker *w, void *part, uint64_t arg)
{
    struct sl_digest_list *list = part;
    if (atomic_load(&w->core->query_digests) == 0) {
        sl_digests_free(w->digests);
        w->digests = NULL;
    }
    const struct sl_digests *d = w->digests;
    list->rows = d ? sl_calloc(d->count + 1, sizeof *list->rows) : NULL;
    if (!list->rows) {
        return;
    }
    for (uint32_t i = 0; i < d->count; i++) {
        copy_row(&d->rows[i], list);
    }
    copy_row(&d->others, list);
    list->thrown_out = d->thrown_out;
}

static void clear_copy(void *part)
{
    sl_inspect_digests_clear(part);
}

static void answer_reset(struct sl_worker *w, void *part, uint64_t arg)
{
    if (w->digests) {
        sl_digests_reset(w->digests);
    }
}

/* Equal for the same form of the same service; the row of what was thrown out is the last. */
static int compare_keys(const void *va, const void *vb)
{
    const struct sl_digest_info *a = va, *b = vb;
    if (!a->service || !b->service) {
        return (a->service == NULL) - (b->service == NULL);
    }
    if (a->hash != b->hash) {
        return a->hash < b->hash ? -1 : 1;
    }
    return strcmp(a->service, b->service);
}

static void merge(struct sl_digest_list *list)
{
    unsigned kept = 0;
    qsort(list->rows, list->count, sizeof *list->rows, compare_keys);
    for (unsigned i = 0; i < list->count; i++) {
        if (kept > 0 && compare_keys(&list->rows[kept - 1], &list->rows[i]) == 0) {
            sl_digest_numbers_merge(&list->rows[kept - 1].n, &list->rows[i].n);
            clear_row(&list->rows[i]);
        } else {
            list->rows[kept++] = list->rows[i];
        }
    }
    list->count = kept;
}

/* Loops count a monotonic time; people want a date. */
static void set_dates(struct sl_digest_list *list)
{
    int64_t wall_ms = sl_clock_wall_ms();
    uint64_t now_us = sl_clock_mono_us();
    for (unsigned i = 0; i < list->count; i++) {
        struct sl_digest_info *row = &list->rows[i];
        row->first_ms = wall_ms - (int64_t)(now_us - row->n.first_us) / 1000;
        row->last_ms = wall_ms - (int64_t)(now_us - row->n.last_us) / 1000;
    }
}

int sl_inspect_digests(struct sl_core *core, struct sl_digest_list *ret)
{
    static const struct sl_question question = {answer_copy, clear_copy,
                                                sizeof(struct sl_digest_list)};
    struct sl_answers *answers;
    *ret = (struct sl_digest_list){0};
    int rc = sl_ask(core, &question, 0, &answers);
    if (rc < 0) {
        return rc;
    }
    unsigned total = 0;
    for (unsigned i = 0; i < core->worker_count; i++) {
        total += ((struct sl_digest_list *)sl_answers_part(answers, i))->count;
    }
    ret->rows = sl_xcalloc(total + 1, sizeof *ret->rows);
    for (unsigned i = 0; i < core->worker_count; i++) {
        struct sl_digest_list *part = sl_answers_part(answers, i);
        if (part->count > 0) {
            memcpy(ret->rows + ret->count, part->rows, part->count * sizeof *part->rows);
        }
        ret->count += part->count;
        ret->thrown_out += part->thrown_out;
        part->count = 0; /* what the rows own has moved */
    }
    sl_answers_free(answers);
    merge(ret);
    set_dates(ret);
    return SL_OK;
}

int sl_inspect_digests_reset(struct sl_core *core)
{
    static const struct sl_question question = {answer_reset, NULL, 1};
    struct sl_answers *answers;
    int rc = sl_ask(core, &question, 0, &answers);
    if (rc == SL_OK) {
        sl_answers_free(answers);
    }
    return rc;
}
