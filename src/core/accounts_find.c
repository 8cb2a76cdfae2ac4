/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may log in: the search through the accounts, as the server itself does it. Pure; any thread.
 *
 * Order and matching follow MariaDB's sql/sql_acl.cc (get_magic_sort, acl_user_compare,
 * find_by_username_or_anon, compare_hostname, hostname_requires_resolving, check_user_can_set_role)
 * and sql/sql_db.cc (mysql_change_db). The words are in docs/internals/accounts.md;
 * tests/unit/core/accounts_probe.c compares both sides on a real server.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/map.h"
#include "core/accounts_internal.h"

#define HOST_PATTERN_MAX 255 /* characters of a host name in the grant tables since 10.6 */
#define WILDCARDS_MAX 31     /* counted no further: sql/sql_acl.cc packs them in five bits */
#define PUBLIC_ROLE "PUBLIC" /* granted to everybody since 10.11 */

enum match {
    MATCH_NO,
    MATCH_YES,
    MATCH_NAME_MISSING
};

/* The client, as patterns see it. */
struct peer {
    char ip[INET6_ADDRSTRLEN]; /* "" for unix sockets */
    uint32_t v4;               /* host byte order */
    const char *name;          /* NULL = not known */
    bool is_v4;
    bool any_host;   /* match_host is off */
    bool skip_names; /* skip_name_resolve */
};

/* --- patterns --------------------------------------------------------------------------------- */

static unsigned char fold_case(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

/* Backtracks to the latest '%' only, so the time is bounded by the product of both lengths. */
bool sl_accounts_like(struct sl_slice text, const char *pattern, bool fold)
{
    const unsigned char *p = (const unsigned char *)pattern, *star = NULL;
    size_t at = 0, star_at = 0;
    while (at < text.len) {
        if (*p == '%') {
            star = ++p;
            star_at = at;
            continue;
        }
        const unsigned char *literal = p[0] == '\\' && p[1] != '\0' ? p + 1 : p;
        bool is_one = *p == '_';
        unsigned char have = fold ? fold_case(text.data[at]) : text.data[at];
        unsigned char want = fold ? fold_case(*literal) : *literal;
        if (*p != '\0' && (is_one || have == want)) {
            p = literal + 1;
            at++;
        } else if (star != NULL) {
            p = star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    while (*p == '%') {
        p++;
    }
    return *p == '\0';
}

/* Four decimal numbers up to 255 with dots between, then `end`. */
static const char *parse_v4(const char *text, char end, uint32_t *ret)
{
    uint32_t ip = 0;
    for (int i = 0; i < 4; i++) {
        unsigned part = 0, digits = 0;
        for (; *text >= '0' && *text <= '9' && digits < 4; text++, digits++) {
            part = part * 10 + (unsigned)(*text - '0');
        }
        if (digits == 0 || part > 255 || *text != (i < 3 ? '.' : end)) {
            return NULL;
        }
        ip = ip << 8 | part;
        text++;
    }
    *ret = ip;
    return text;
}

void sl_host_pattern_parse(const char *text, struct sl_host_pattern *ret)
{
    *ret = (struct sl_host_pattern){.text = text};
    const char *mask = parse_v4(text, '/', &ret->net);
    if (mask == NULL || parse_v4(mask, '\0', &ret->mask) == NULL) {
        ret->net = ret->mask = 0;
    }
}

/*
 * The server ranks a pattern by how many strings it can match. With N literal characters, M times
 * '_' and K runs of '%': room L = max - N - M is what '%' may stand for (0 without '%'). The larger
 * of L and M is the number of digits of the count, so it goes first; at equal size a pattern with
 * '%' counts as the wider one.
 */
struct sl_host_rank sl_host_rank_of(const char *pattern)
{
    uint32_t literals = 0, ones = 0, runs = 0, prefix = 0;
    for (const char *p = pattern; *p != '\0'; p++) {
        if (*p == '%' || *p == '_') {
            prefix = runs == 0 && ones == 0 ? literals : prefix;
            ones += *p == '_';
            runs += *p == '%';
            while (*p == '%' && p[1] == '%') {
                p++;
            }
            continue;
        }
        if (*p == '\\' && p[1] != '\0') {
            p++;
        }
        literals++;
    }
    runs = SL_MIN(runs, (uint32_t)WILDCARDS_MAX);
    ones = SL_MIN(ones, (uint32_t)WILDCARDS_MAX);
    uint32_t fixed = SL_MIN(literals + ones, (uint32_t)HOST_PATTERN_MAX);
    uint32_t room = runs > 0 ? HOST_PATTERN_MAX - fixed : 0;
    if (room > ones) {
        return (struct sl_host_rank){room * 2 + 1, runs, ones, prefix};
    }
    return (struct sl_host_rank){ones * 2, room, runs, prefix};
}

int sl_host_rank_compare(struct sl_host_rank a, struct sl_host_rank b)
{
    const uint32_t x[] = {a.magnitude, a.second, a.third, a.prefix};
    const uint32_t y[] = {b.magnitude, b.second, b.third, b.prefix};
    for (unsigned i = 0; i < SL_ARRAY_LEN(x); i++) {
        if (x[i] != y[i]) {
            return x[i] < y[i] ? -1 : 1;
        }
    }
    return 0;
}

/* A name has letters: no ':' (IPv6), no '/' (netmask), and it does not begin with digits and a
 * dot, which the server takes for an address (sql/hostname.cc refuses such names from DNS). */
static bool may_be_name(const char *pattern)
{
    if (strpbrk(pattern, ":/") != NULL) {
        return false;
    }
    size_t digits = strspn(pattern, "0123456789");
    return digits == 0 || pattern[digits] != '.';
}

/* Rows that the server ignores altogether under skip_name_resolve: sql/sql_acl.cc,
 * hostname_requires_resolving. */
static bool needs_resolver(const char *pattern)
{
    return strpbrk(pattern, ":%_/") == NULL && strspn(pattern, ".0123456789") != strlen(pattern) &&
           strcasecmp(pattern, "localhost") != 0;
}

static void peer_init(struct peer *p, const struct sl_account_query *q, bool skip_names)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    *p = (struct peer){.name = q->host_name, .any_host = !q->match_host, .skip_names = skip_names};
    const struct sockaddr_storage *ss = q->client;
    if (ss->ss_family == AF_INET) {
        p->v4 = ntohl(((const struct sockaddr_in *)(const void *)ss)->sin_addr.s_addr);
        p->is_v4 = true;
    } else if (ss->ss_family == AF_INET6) {
        const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)ss)->sin6_addr;
        if (memcmp(in6->s6_addr, mapped, sizeof(mapped)) == 0) {
            memcpy(&p->v4, in6->s6_addr + sizeof(mapped), sizeof(p->v4));
            p->v4 = ntohl(p->v4);
            p->is_v4 = true;
        } else {
            inet_ntop(AF_INET6, in6, p->ip, sizeof(p->ip));
        }
    } else {
        p->name = "localhost";
    }
    if (p->is_v4) {
        struct in_addr in = {htonl(p->v4)};
        inet_ntop(AF_INET, &in, p->ip, sizeof(p->ip));
    }
    if (p->ip[0] != '\0' && skip_names) {
        p->name = "";
    } else if ((p->is_v4 && p->v4 == INADDR_LOOPBACK) || strcmp(p->ip, "::1") == 0) {
        /* the server asks no resolver here: sql/hostname.cc, is_ip_loopback */
        p->name = "localhost";
    }
}

static enum match match_host(const struct sl_host_pattern *h, const struct peer *p)
{
    if (p->any_host) {
        return MATCH_YES;
    }
    if (p->skip_names && needs_resolver(h->text)) {
        return MATCH_NO;
    }
    if (h->mask != 0 && p->is_v4) {
        return (p->v4 & h->mask) == h->net ? MATCH_YES : MATCH_NO;
    }
    if (p->ip[0] != '\0' && sl_accounts_like(sl_slice_text(p->ip), h->text, false)) {
        return MATCH_YES;
    }
    if (p->name == NULL) {
        /* "localhost" is never learnt from a resolver. */
        return may_be_name(h->text) && strcasecmp(h->text, "localhost") != 0 ? MATCH_NAME_MISSING
                                                                             : MATCH_NO;
    }
    if (p->name[0] == '\0') {
        return MATCH_NO;
    }
    return sl_accounts_like(sl_slice_text(p->name), h->text, true) ? MATCH_YES : MATCH_NO;
}

/* --- accounts --------------------------------------------------------------------------------- */

const struct sl_account_group *sl_accounts_group(const struct sl_accounts *a, struct sl_slice name)
{
    uint32_t at = (uint32_t)sl_hash(name.data, name.len) & a->slot_mask;
    for (; a->slots[at] != 0; at = (at + 1) & a->slot_mask) {
        const struct sl_account_group *g = &a->groups[a->slots[at] - 1];
        if (sl_slice_equal(name, sl_slice(g->name, g->name_len))) {
            return g;
        }
    }
    return NULL;
}

/* First entry of a name that matches, looking no further than `before` (NULL = to the end):
 * anonymous accounts win over a named one only when their host is more specific. */
static enum match first_match(const struct sl_accounts *a, struct sl_slice name,
                              const struct peer *p, const struct sl_account_entry *before,
                              const struct sl_account_entry **ret)
{
    const struct sl_account_group *g = sl_accounts_group(a, name);
    for (uint32_t i = 0; g != NULL && i < g->accounts.count; i++) {
        const struct sl_account_entry *e = &a->entries[g->accounts.at + i];
        if (before != NULL && sl_host_rank_compare(e->rank, before->rank) >= 0) {
            return MATCH_NO;
        }
        enum match m = match_host(&e->host, p);
        if (m != MATCH_NO) {
            *ret = e;
            return m;
        }
    }
    return MATCH_NO;
}

/* --- databases -------------------------------------------------------------------------------- */

struct db_check {
    const struct sl_accounts *a;
    const struct peer *peer; /* NULL: judge by own_host */
    const char *own_host;
    struct sl_slice db;
    bool fold;
};

static bool row_host_applies(const struct db_check *c, const struct sl_host_pattern *h)
{
    if (c->peer != NULL) {
        return match_host(h, c->peer) == MATCH_YES;
    }
    return strcasecmp(h->text, c->own_host) == 0 || strcmp(h->text, "%") == 0;
}

/* Grants of one name: of a user (rows whose host applies) or of a role (rows without a host). */
static bool group_allows(const struct db_check *c, const struct sl_account_group *g, bool is_role)
{
    for (uint32_t i = 0; i < g->dbs.count; i++) {
        const struct sl_account_db_row *row = &c->a->dbs[g->dbs.at + i];
        bool applies = is_role ? row->host.text[0] == '\0'
                               : row->host.text[0] != '\0' && row_host_applies(c, &row->host);
        if (applies && sl_accounts_like(c->db, row->db, c->fold)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < g->exact_dbs.count; i++) {
        const struct sl_account_db_row *row = &c->a->exact_dbs[g->exact_dbs.at + i];
        bool applies = is_role ? row->host.text[0] == '\0'
                               : row->host.text[0] != '\0' && row_host_applies(c, &row->host);
        bool equal = c->fold ? sl_slice_equal_nocase(c->db, row->db)
                             : sl_slice_equal(c->db, sl_slice_text(row->db));
        if (applies && equal) {
            return true;
        }
    }
    return false;
}

/* A role and the roles granted to it, each once. Returns how many. */
static unsigned collect_roles(const struct sl_accounts *a, const char *role,
                              const struct sl_account_group *todo[SL_ACCOUNT_ROLES_MAX])
{
    unsigned count = 0;
    const struct sl_account_group *g = sl_accounts_group(a, sl_slice_text(role));
    if (g != NULL && g->role != SL_ACCOUNT_NO_ROLE) {
        todo[count++] = g;
    }
    for (unsigned i = 0; i < count; i++) {
        for (uint32_t k = 0; k < todo[i]->roles.count && count < SL_ACCOUNT_ROLES_MAX; k++) {
            const struct sl_account_role_row *row = &a->roles[todo[i]->roles.at + k];
            g = sl_accounts_group(a, sl_slice_text(row->role));
            bool is_new = g != NULL && g->role != SL_ACCOUNT_NO_ROLE && row->host.text[0] == '\0';
            for (unsigned seen = 0; seen < count && is_new; seen++) {
                is_new = todo[seen] != g;
            }
            if (is_new) {
                todo[count++] = g;
            }
        }
    }
    return count;
}

static bool role_allows(const struct db_check *c, const char *role)
{
    const struct sl_account_group *todo[SL_ACCOUNT_ROLES_MAX];
    unsigned count = collect_roles(c->a, role, todo);
    for (unsigned i = 0; i < count; i++) {
        if (c->a->entries[todo[i]->role].account.has_global_db_access ||
            group_allows(c, todo[i], true)) {
            return true;
        }
    }
    return false;
}

/* A default role that is not granted is ignored by the server. */
static bool role_is_granted(const struct db_check *c, const struct sl_account_group *user,
                            const char *role)
{
    for (uint32_t i = 0; user != NULL && i < user->roles.count; i++) {
        const struct sl_account_role_row *row = &c->a->roles[user->roles.at + i];
        if (row->host.text[0] != '\0' && strcmp(row->role, role) == 0 &&
            row_host_applies(c, &row->host)) {
            return true;
        }
    }
    return false;
}

static bool db_allows(const struct db_check *c, const struct sl_account *account)
{
    if (account->has_global_db_access || sl_slice_equal_nocase(c->db, "information_schema")) {
        return true;
    }
    const struct sl_account_group *own = sl_accounts_group(c->a, sl_slice_text(account->user));
    const struct sl_account_group *anybody = sl_accounts_group(c->a, sl_slice_text(""));
    if ((own != NULL && group_allows(c, own, false)) ||
        (anybody != NULL && anybody != own && group_allows(c, anybody, false))) {
        return true; /* a row for user '' holds for everybody: sql/sql_acl.cc, acl_db_find */
    }
    if (account->default_role[0] != '\0' && role_is_granted(c, own, account->default_role) &&
        role_allows(c, account->default_role)) {
        return true;
    }
    return role_allows(c, PUBLIC_ROLE);
}

bool sl_accounts_db_is_allowed(const struct sl_accounts *a, const struct sl_account *account,
                               struct sl_slice db, unsigned lower_case_table_names)
{
    struct db_check c = {
        .a = a, .own_host = account->host, .db = db, .fold = lower_case_table_names != 0};
    return db_allows(&c, account);
}

/* --- global privileges ------------------------------------------------------------------------ */

static uint32_t role_privileges(const struct sl_accounts *a, const char *role)
{
    const struct sl_account_group *todo[SL_ACCOUNT_ROLES_MAX];
    unsigned count = collect_roles(a, role, todo);
    uint32_t all = 0;
    for (unsigned i = 0; i < count; i++) {
        all |= a->entries[todo[i]->role].account.privileges;
    }
    return all;
}

uint32_t sl_accounts_privileges(const struct sl_accounts *a, const struct sl_account *account)
{
    struct db_check c = {.a = a, .own_host = account->host};
    const struct sl_account_group *own = sl_accounts_group(a, sl_slice_text(account->user));
    uint32_t all = account->privileges | role_privileges(a, PUBLIC_ROLE);
    if (account->default_role[0] != '\0' && role_is_granted(&c, own, account->default_role)) {
        all |= role_privileges(a, account->default_role);
    }
    return all;
}

/* --- the decision, in parts ------------------------------------------------------------------- */

static bool db_exists(const struct sl_accounts *a, struct sl_slice db, bool fold)
{
    if (!a->has_databases || sl_slice_equal_nocase(db, "information_schema")) {
        return true; /* not known: the server will tell */
    }
    for (uint32_t i = 0; fold && i < a->database_count; i++) {
        if (sl_slice_equal_nocase(db, a->databases[i])) {
            return true;
        }
    }
    uint32_t low = 0, high = fold ? 0 : a->database_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        size_t len = strlen(a->databases[mid]);
        int diff = memcmp(a->databases[mid], db.data, SL_MIN(len, db.len));
        if (diff == 0 && len == db.len) {
            return true;
        }
        if (diff < 0 || (diff == 0 && len < db.len)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return false;
}

/* --- the decision ----------------------------------------------------------------------------- */

/* What the server checks after the password, in its order: acl_authenticate() and
 * mysql_change_db(). */
static enum sl_account_verdict judge(const struct sl_accounts *a, const struct sl_account_query *q,
                                     const struct peer *p, const struct sl_account *account)
{
    if ((account->requires_tls && !q->client_has_tls) ||
        (account->requires_x509 && !q->client_has_certificate)) {
        return SL_ACCOUNT_NEEDS_TLS;
    }
    if (account->is_locked) {
        return SL_ACCOUNT_LOCKED;
    }
    if (q->database.len == 0) {
        return SL_ACCOUNT_OK;
    }
    struct db_check c = {
        .a = a, .peer = p, .db = q->database, .fold = q->lower_case_table_names != 0};
    if (!db_allows(&c, account)) {
        return SL_ACCOUNT_DB_DENIED;
    }
    return db_exists(a, q->database, c.fold) ? SL_ACCOUNT_OK : SL_ACCOUNT_NO_DATABASE;
}

enum sl_account_verdict sl_accounts_find(const struct sl_accounts *a,
                                         const struct sl_account_query *q,
                                         const struct sl_account **ret_account)
{
    const struct sl_account_entry *found = NULL, *anonymous = NULL;
    struct peer p;
    *ret_account = NULL;
    if (!q->allow_root && sl_slice_equal(q->user, sl_slice_text("root"))) {
        return SL_ACCOUNT_ROOT_REFUSED;
    }
    peer_init(&p, q, q->skip_name_resolve || a->skip_name_resolve);
    enum match named = first_match(a, q->user, &p, NULL, &found);
    if (named == MATCH_NAME_MISSING) {
        return SL_ACCOUNT_NEEDS_NAME;
    }
    enum match any =
        q->user.len == 0 ? MATCH_NO : first_match(a, sl_slice_text(""), &p, found, &anonymous);
    if (any == MATCH_NAME_MISSING) {
        return SL_ACCOUNT_NEEDS_NAME;
    }
    if (any == MATCH_YES) {
        found = anonymous;
    }
    if (found == NULL) {
        return SL_ACCOUNT_UNKNOWN;
    }
    *ret_account = &found->account;
    return judge(a, q, &p, &found->account);
}

const struct sl_account *sl_accounts_decoy(const struct sl_accounts *a, struct sl_slice user)
{
    if (a->user_count == 0) {
        return NULL;
    }
    return &a->entries[sl_hash(user.data, user.len) % a->user_count].account;
}
