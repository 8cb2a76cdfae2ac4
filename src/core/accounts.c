/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User accounts: the builder, and how its rows become one immutable block.
 *
 * The builder belongs to one thread (a loader or a test). It keeps each distinct string once, in
 * one text pool, and rows as offsets into it. sl_accounts_build() sorts, drops doubles, and lays
 * everything out in a single allocation:
 *
 *   [struct sl_accounts][entries][groups][dbs][exact_dbs][roles][databases][slots][text]
 *
 * Invariants of the result:
 *   I1  entries are users sorted by (name, rank of host, host backwards), then roles sorted by
 *       name; no doubles
 *   I2  every table is sorted by user name, so a group is five ranges
 *   I3  nothing points outside the block; nothing is written after sl_accounts_build() but the
 *       reference count
 */
#include "core/accounts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/map.h"
#include "base/mem.h"
#include "core/accounts_internal.h"

enum table {
    TABLE_DBS,
    TABLE_EXACT,
    TABLE_ROLES,
    TABLE_PROXIES,
    TABLE_DATABASES,
    TABLE_COUNT
};

/* Offsets are into the text pool. */
struct raw_account {
    struct sl_account flags; /* its pointers are not used */
    uint32_t user, host, default_role;
    uint32_t plugin_name[SL_ACCOUNT_AUTH_MAX], string[SL_ACCOUNT_AUTH_MAX];
    uint32_t sequence; /* order of arrival: the first of doubles counts */
    bool is_role;
};

struct raw_row {
    uint32_t user, host, value;
};

struct raw_table {
    struct raw_row *rows;
    uint32_t count, capacity;
};

struct sl_accounts_builder {
    char *text;
    uint32_t text_len, text_capacity;
    uint32_t *slots; /* hash of string -> offset + 1 */
    uint32_t slot_count, slots_used;
    struct raw_account *accounts;
    uint32_t account_count, account_capacity;
    struct raw_table tables[TABLE_COUNT];
    bool has_databases;
    bool skip_name_resolve;
};

/* --- text pool -------------------------------------------------------------------------------- */

static int grow(void **array, uint32_t *capacity, uint32_t needed, size_t item_size, uint32_t max)
{
    if (needed <= *capacity) {
        return 0;
    }
    if (needed > max) {
        return SL_ELIMIT;
    }
    uint32_t size = SL_MIN(SL_MAX(SL_MAX(*capacity * 2, needed), 16u), max);
    void *grown = sl_realloc(*array, (size_t)size * item_size);
    if (grown == NULL) {
        return SL_ENOMEM;
    }
    *array = grown;
    *capacity = size;
    return 0;
}

static int rehash(struct sl_accounts_builder *b)
{
    uint32_t size = b->slot_count == 0 ? 64 : b->slot_count * 2;
    uint32_t *slots = sl_calloc(size, sizeof(*slots));
    if (slots == NULL) {
        return SL_ENOMEM;
    }
    for (uint32_t i = 0; i < b->slot_count; i++) {
        if (b->slots[i] == 0) {
            continue;
        }
        const char *text = b->text + b->slots[i] - 1;
        uint32_t at = (uint32_t)sl_hash(text, strlen(text)) & (size - 1);
        while (slots[at] != 0) {
            at = (at + 1) & (size - 1);
        }
        slots[at] = b->slots[i];
    }
    sl_free(b->slots);
    b->slots = slots;
    b->slot_count = size;
    return 0;
}

/* Offset of the one copy of `text`. NULL counts as "". */
static int intern(struct sl_accounts_builder *b, const char *text, uint32_t *ret)
{
    if (text == NULL) {
        text = "";
    }
    size_t len = strlen(text);
    if (len >= SL_ACCOUNTS_TEXT_MAX || b->text_len + len + 1 > SL_ACCOUNTS_TEXT_MAX) {
        return SL_ELIMIT;
    }
    if (b->slots_used * 4 >= b->slot_count * 3 && rehash(b) != 0) {
        return SL_ENOMEM;
    }
    uint32_t at = (uint32_t)sl_hash(text, len) & (b->slot_count - 1);
    while (b->slots[at] != 0) {
        if (strcmp(b->text + b->slots[at] - 1, text) == 0) {
            *ret = b->slots[at] - 1;
            return 0;
        }
        at = (at + 1) & (b->slot_count - 1);
    }
    int rc = grow((void **)&b->text, &b->text_capacity, b->text_len + (uint32_t)len + 1, 1,
                  SL_ACCOUNTS_TEXT_MAX);
    if (rc != 0) {
        return rc;
    }
    memcpy(b->text + b->text_len, text, len + 1);
    *ret = b->text_len;
    b->slots[at] = b->text_len + 1;
    b->slots_used++;
    b->text_len += (uint32_t)len + 1;
    return 0;
}

/* --- builder ---------------------------------------------------------------------------------- */

struct sl_accounts_builder *sl_accounts_builder_new(void)
{
    return sl_calloc(1, sizeof(struct sl_accounts_builder));
}

void sl_accounts_builder_free(struct sl_accounts_builder *b)
{
    if (b == NULL) {
        return;
    }
    if (b->text != NULL) {
        sl_wipe(b->text, b->text_len); /* hashes of passwords */
    }
    sl_free(b->text);
    sl_free(b->slots);
    sl_free(b->accounts);
    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        sl_free(b->tables[i].rows);
    }
    sl_free(b);
}

unsigned sl_accounts_builder_count(const struct sl_accounts_builder *b)
{
    return b->account_count;
}

static int intern_auth(struct sl_accounts_builder *b, const struct sl_account *account,
                       struct raw_account *raw)
{
    for (unsigned i = 0; i < raw->flags.auth_count; i++) {
        int rc = intern(b, account->auth[i].plugin_name, &raw->plugin_name[i]);
        if (rc == 0) {
            rc = intern(b, account->auth[i].string, &raw->string[i]);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int sl_accounts_builder_add_account(struct sl_accounts_builder *b, const struct sl_account *account,
                                    bool is_role)
{
    struct raw_account raw = {.flags = *account, .is_role = is_role, .sequence = b->account_count};
    raw.flags.auth_count = SL_MIN(account->auth_count, (unsigned)SL_ACCOUNT_AUTH_MAX);

    /* An empty host means any host (sql/sql_acl.cc, update_hostname). */
    const char *host = account->host == NULL || account->host[0] == '\0' ? "%" : account->host;
    int rc = intern(b, account->user, &raw.user);
    if (rc == 0) {
        rc = intern(b, is_role ? "" : host, &raw.host);
    }
    if (rc == 0) {
        rc = intern(b, account->default_role, &raw.default_role);
    }
    if (rc == 0) {
        rc = intern_auth(b, account, &raw);
    }
    if (rc == 0) {
        rc = grow((void **)&b->accounts, &b->account_capacity, b->account_count + 1, sizeof(raw),
                  SL_ACCOUNTS_ROWS_MAX);
    }
    if (rc == 0) {
        b->accounts[b->account_count++] = raw;
    }
    return rc;
}

static int add_row(struct sl_accounts_builder *b, enum table which, const char *user,
                   const char *host, const char *value)
{
    struct raw_table *t = &b->tables[which];
    struct raw_row row;
    int rc = intern(b, user, &row.user);
    if (rc == 0) {
        rc = intern(b, host, &row.host);
    }
    if (rc == 0) {
        rc = intern(b, value, &row.value);
    }
    if (rc == 0) {
        rc = grow((void **)&t->rows, &t->capacity, t->count + 1, sizeof(row), SL_ACCOUNTS_ROWS_MAX);
    }
    if (rc == 0) {
        t->rows[t->count++] = row;
    }
    return rc;
}

int sl_accounts_builder_add_db(struct sl_accounts_builder *b, const char *user, const char *host,
                               const char *db_pattern)
{
    return add_row(b, TABLE_DBS, user, host, db_pattern);
}

int sl_accounts_builder_add_exact_db(struct sl_accounts_builder *b, const char *user,
                                     const char *host, const char *db)
{
    return add_row(b, TABLE_EXACT, user, host, db);
}

int sl_accounts_builder_add_role(struct sl_accounts_builder *b, const char *user, const char *host,
                                 const char *role)
{
    return add_row(b, TABLE_ROLES, user, host, role);
}

int sl_accounts_builder_add_proxy(struct sl_accounts_builder *b, const char *user, const char *host)
{
    return add_row(b, TABLE_PROXIES, user, host, "");
}

void sl_accounts_builder_set_skip_name_resolve(struct sl_accounts_builder *b)
{
    b->skip_name_resolve = true;
}

int sl_accounts_builder_add_database(struct sl_accounts_builder *b, const char *db)
{
    int rc = add_row(b, TABLE_DATABASES, "", "", db);
    if (rc == 0) {
        b->has_databases = true;
    }
    return rc;
}

/* --- sorting ---------------------------------------------------------------------------------- */

/* I1. The last step, host names backwards, is the server's too (sql/sql_acl.cc,
 * acl_user_compare). */
static int compare_accounts(const void *pa, const void *pb, void *arg)
{
    const struct raw_account *a = pa, *b = pb;
    const char *text = arg;
    if (a->is_role != b->is_role) {
        return a->is_role ? 1 : -1;
    }
    int diff = strcmp(text + a->user, text + b->user);
    if (diff == 0 && a->host != b->host) {
        diff =
            sl_host_rank_compare(sl_host_rank_of(text + a->host), sl_host_rank_of(text + b->host));
        diff = diff != 0 ? diff : strcmp(text + b->host, text + a->host);
    }
    return diff != 0 ? diff : (a->sequence < b->sequence ? -1 : 1);
}

static int compare_rows(const void *pa, const void *pb, void *arg)
{
    const struct raw_row *a = pa, *b = pb;
    const char *text = arg;
    int diff = strcmp(text + a->user, text + b->user);
    if (diff == 0) {
        diff = strcmp(text + a->host, text + b->host);
    }
    return diff != 0 ? diff : strcmp(text + a->value, text + b->value);
}

/* Strings are interned: equal ones have the same offset. */
static bool same_account(const struct raw_account *x, const struct raw_account *y)
{
    return x->is_role == y->is_role && x->user == y->user && x->host == y->host;
}

static void sort_and_drop_doubles(struct sl_accounts_builder *b)
{
    uint32_t kept = 0;
    if (b->account_count > 0) {
        qsort_r(b->accounts, b->account_count, sizeof(*b->accounts), compare_accounts, b->text);
        for (uint32_t i = 0; i < b->account_count; i++) {
            if (kept == 0 || !same_account(&b->accounts[kept - 1], &b->accounts[i])) {
                b->accounts[kept++] = b->accounts[i];
            }
        }
    }
    b->account_count = kept;
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        struct raw_table *table = &b->tables[t];
        if (table->count == 0) {
            continue;
        }
        qsort_r(table->rows, table->count, sizeof(*table->rows), compare_rows, b->text);
        kept = 0;
        for (uint32_t i = 0; i < table->count; i++) {
            if (kept == 0 ||
                memcmp(&table->rows[kept - 1], &table->rows[i], sizeof(table->rows[i])) != 0) {
                table->rows[kept++] = table->rows[i];
            }
        }
        table->count = kept;
    }
}

/* --- groups: a merge over the five sorted tables ---------------------------------------------- */

enum source {
    FROM_USERS,
    FROM_ROLE_ENTRIES,
    FROM_DBS,
    FROM_EXACT,
    FROM_ROLES,
    FROM_COUNT
};

struct merge {
    const struct sl_accounts_builder *b;
    uint32_t at[FROM_COUNT], end[FROM_COUNT];
};

static void merge_start(struct merge *m, const struct sl_accounts_builder *b)
{
    uint32_t users = 0;
    while (users < b->account_count && !b->accounts[users].is_role) {
        users++;
    }
    *m = (struct merge){.b = b};
    m->end[FROM_USERS] = users;
    m->at[FROM_ROLE_ENTRIES] = users;
    m->end[FROM_ROLE_ENTRIES] = b->account_count;
    m->end[FROM_DBS] = b->tables[TABLE_DBS].count;
    m->end[FROM_EXACT] = b->tables[TABLE_EXACT].count;
    m->end[FROM_ROLES] = b->tables[TABLE_ROLES].count;
}

/* Name at the head of one source, NULL at its end. */
static const char *merge_peek(const struct merge *m, enum source s)
{
    static const enum table table_of[FROM_COUNT] = {
        [FROM_DBS] = TABLE_DBS, [FROM_EXACT] = TABLE_EXACT, [FROM_ROLES] = TABLE_ROLES};
    if (m->at[s] >= m->end[s]) {
        return NULL;
    }
    uint32_t user = s == FROM_USERS || s == FROM_ROLE_ENTRIES
                        ? m->b->accounts[m->at[s]].user
                        : m->b->tables[table_of[s]].rows[m->at[s]].user;
    return m->b->text + user;
}

/* The next name and its range in each source; false at the end. */
static bool merge_next(struct merge *m, const char **ret_name,
                       struct sl_account_range range[FROM_COUNT])
{
    const char *name = NULL;
    for (unsigned s = 0; s < FROM_COUNT; s++) {
        const char *head = merge_peek(m, s);
        if (head != NULL && (name == NULL || strcmp(head, name) < 0)) {
            name = head;
        }
    }
    if (name == NULL) {
        return false;
    }
    for (unsigned s = 0; s < FROM_COUNT; s++) {
        range[s].at = m->at[s];
        /* Interned: equal names have equal addresses. */
        while (merge_peek(m, s) == name) {
            m->at[s]++;
        }
        range[s].count = m->at[s] - range[s].at;
    }
    *ret_name = name;
    return true;
}

/* --- layout ----------------------------------------------------------------------------------- */

struct layout {
    size_t entries, groups, dbs, exact, roles, databases, slots, text, total;
    uint32_t group_count, slot_count;
};

static size_t place(size_t *total, size_t count, size_t size)
{
    size_t at = (*total + 15) & ~(size_t)15;
    *total = at + count * size;
    return at;
}

static void plan(const struct sl_accounts_builder *b, struct layout *l)
{
    struct merge m;
    struct sl_account_range range[FROM_COUNT];
    const char *name;
    *l = (struct layout){.total = sizeof(struct sl_accounts), .slot_count = 16};
    merge_start(&m, b);
    while (merge_next(&m, &name, range)) {
        l->group_count++;
    }
    while (l->slot_count < l->group_count * 2) {
        l->slot_count *= 2;
    }
    l->entries = place(&l->total, b->account_count, sizeof(struct sl_account_entry));
    l->groups = place(&l->total, l->group_count, sizeof(struct sl_account_group));
    l->dbs = place(&l->total, b->tables[TABLE_DBS].count, sizeof(struct sl_account_db_row));
    l->exact = place(&l->total, b->tables[TABLE_EXACT].count, sizeof(struct sl_account_db_row));
    l->roles = place(&l->total, b->tables[TABLE_ROLES].count, sizeof(struct sl_account_role_row));
    l->databases = place(&l->total, b->tables[TABLE_DATABASES].count, sizeof(char *));
    l->slots = place(&l->total, l->slot_count, sizeof(uint32_t));
    l->text = place(&l->total, b->text_len, 1);
}

static void fill_entries(const struct sl_accounts_builder *b, struct sl_accounts *a,
                         const char *text)
{
    for (uint32_t i = 0; i < b->account_count; i++) {
        const struct raw_account *raw = &b->accounts[i];
        struct sl_account_entry *e = &a->entries[i];
        e->account = raw->flags;
        e->account.user = text + raw->user;
        e->account.host = text + raw->host;
        e->account.default_role = text + raw->default_role;
        memset(e->account.auth, 0, sizeof(e->account.auth));
        for (unsigned k = 0; k < raw->flags.auth_count; k++) {
            e->account.auth[k].plugin = raw->flags.auth[k].plugin;
            e->account.auth[k].plugin_name = text + raw->plugin_name[k];
            e->account.auth[k].string = text + raw->string[k];
        }
        sl_host_pattern_parse(e->account.host, &e->host);
        e->rank = sl_host_rank_of(e->account.host);
        a->user_count += raw->is_role ? 0 : 1;
    }
}

static void fill_rows(const struct sl_accounts_builder *b, struct sl_accounts *a, const char *text)
{
    const struct raw_table *t = &b->tables[TABLE_DBS];
    for (uint32_t i = 0; i < t->count; i++) {
        sl_host_pattern_parse(text + t->rows[i].host, &a->dbs[i].host);
        a->dbs[i].db = text + t->rows[i].value;
    }
    t = &b->tables[TABLE_EXACT];
    for (uint32_t i = 0; i < t->count; i++) {
        sl_host_pattern_parse(text + t->rows[i].host, &a->exact_dbs[i].host);
        a->exact_dbs[i].db = text + t->rows[i].value;
    }
    t = &b->tables[TABLE_ROLES];
    for (uint32_t i = 0; i < t->count; i++) {
        sl_host_pattern_parse(text + t->rows[i].host, &a->roles[i].host);
        a->roles[i].role = text + t->rows[i].value;
    }
    t = &b->tables[TABLE_DATABASES];
    for (uint32_t i = 0; i < t->count; i++) {
        a->databases[i] = text + t->rows[i].value;
    }
}

static void fill_groups(const struct sl_accounts_builder *b, struct sl_accounts *a,
                        const char *text)
{
    struct merge m;
    struct sl_account_range range[FROM_COUNT];
    const char *name;
    merge_start(&m, b);
    for (uint32_t i = 0; merge_next(&m, &name, range); i++) {
        struct sl_account_group *g = &a->groups[i];
        g->name = text + (name - b->text);
        g->name_len = (uint32_t)strlen(g->name);
        g->accounts = range[FROM_USERS];
        g->role =
            range[FROM_ROLE_ENTRIES].count > 0 ? range[FROM_ROLE_ENTRIES].at : SL_ACCOUNT_NO_ROLE;
        g->dbs = range[FROM_DBS];
        g->exact_dbs = range[FROM_EXACT];
        g->roles = range[FROM_ROLES];
        uint32_t at = (uint32_t)sl_hash(g->name, g->name_len) & a->slot_mask;
        while (a->slots[at] != 0) {
            at = (at + 1) & a->slot_mask;
        }
        a->slots[at] = i + 1;
    }
}

static void apply_proxies(const struct sl_accounts_builder *b, struct sl_accounts *a)
{
    const struct raw_table *t = &b->tables[TABLE_PROXIES];
    for (uint32_t i = 0; i < t->count; i++) {
        const char *host = b->text + t->rows[i].host;
        const struct sl_account_group *g =
            sl_accounts_group(a, sl_slice_text(b->text + t->rows[i].user));
        for (uint32_t k = 0; g != NULL && k < g->accounts.count; k++) {
            struct sl_account *account = &a->entries[g->accounts.at + k].account;
            if (strcasecmp(account->host, host[0] == '\0' ? "%" : host) == 0) {
                account->has_proxy_grant = true;
            }
        }
    }
}

struct sl_accounts *sl_accounts_build(struct sl_accounts_builder *b)
{
    struct layout l;
    sort_and_drop_doubles(b);
    plan(b, &l);
    char *block = sl_calloc(1, l.total);
    if (block == NULL) {
        sl_accounts_builder_free(b);
        return NULL;
    }
    struct sl_accounts *a = (struct sl_accounts *)(void *)block;
    atomic_init(&a->refs, 1);
    a->entry_count = b->account_count;
    a->group_count = l.group_count;
    a->database_count = b->tables[TABLE_DATABASES].count;
    a->has_databases = b->has_databases;
    a->skip_name_resolve = b->skip_name_resolve;
    a->slot_mask = l.slot_count - 1;
    a->entries = (void *)(block + l.entries);
    a->groups = (void *)(block + l.groups);
    a->dbs = (void *)(block + l.dbs);
    a->exact_dbs = (void *)(block + l.exact);
    a->roles = (void *)(block + l.roles);
    a->databases = (void *)(block + l.databases);
    a->slots = (void *)(block + l.slots);
    if (b->text_len > 0) {
        memcpy(block + l.text, b->text, b->text_len);
    }
    fill_entries(b, a, block + l.text);
    fill_rows(b, a, block + l.text);
    fill_groups(b, a, block + l.text);
    apply_proxies(b, a);
    sl_accounts_builder_free(b);
    return a;
}

/* --- the published object --------------------------------------------------------------------- */

struct sl_accounts *sl_accounts_ref(struct sl_accounts *a)
{
    if (a != NULL) {
        atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    }
    return a;
}

void sl_accounts_unref(struct sl_accounts *a)
{
    if (a == NULL) {
        return;
    }
    uint32_t before = atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel);
    sl_assert(before > 0);
    if (before == 1) {
        for (uint32_t i = 0; i < a->entry_count; i++) {
            for (unsigned k = 0; k < a->entries[i].account.auth_count; k++) {
                char *string = (char *)(uintptr_t)a->entries[i].account.auth[k].string;
                sl_wipe(string, strlen(string));
            }
        }
        sl_free(a);
    }
}

unsigned sl_accounts_count(const struct sl_accounts *a)
{
    return a->entry_count;
}

const struct sl_account *sl_accounts_at(const struct sl_accounts *a, unsigned i, bool *ret_is_role)
{
    if (i >= a->entry_count) {
        return NULL;
    }
    if (ret_is_role != NULL) {
        *ret_is_role = i >= a->user_count;
    }
    return &a->entries[i].account;
}
