/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads all configuration files and merges them; the rules are in tree.h.
 *
 * Source of the rules: MaxScale 24.02 configuration guide (configuration, includes, environment
 * variables, persisted runtime changes). Two differences: files of the .d directory are read in
 * name order instead of none, and a key set twice in one section (not in a row) is an error.
 */
#include "conf/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "conf/tables.h"

#define DIR_DEPTH_MAX 16

struct loader {
    const struct sl_conf_options *options;
    struct sl_conf_tree *tree;
    struct sl_conf_report *report;
    bool substitutes; /* substitute_variables=true was seen */
};

static struct sl_conf_place of_file(const char *file)
{
    return (struct sl_conf_place){file, 0, NULL, NULL};
}

static struct sl_conf_place of_section(const struct sl_conf_section *s)
{
    return (struct sl_conf_place){s->file, s->line, s->name, NULL};
}

static struct sl_conf_place of_entry(const struct sl_conf_section *s, const struct sl_conf_entry *e)
{
    return (struct sl_conf_place){e->file, e->line, s->name, e->key};
}

static bool is_maxscale(const struct sl_conf_section *s)
{
    return strcmp(s->name, "maxscale") == 0;
}

static bool is_include(const struct sl_conf_section *s)
{
    const struct sl_conf_entry *type = sl_conf_section_find(s, "type");
    return type != NULL && strcmp(type->value, "include") == 0;
}

static bool is_directory_key(const char *key)
{
    const struct sl_setting *row = sl_settings_find(&sl_settings_global, key);
    return row != NULL && (row->flags & SL_SETTING_DIRECTORY) != 0;
}

/* Truth of a boolean of [maxscale]; a bad text counts as the default, and is reported later. */
static bool global_bool(const struct sl_conf_section *s, const char *key)
{
    const struct sl_setting *row = sl_settings_find(&sl_settings_global, key);
    struct sl_setting plain = *row;
    bool value = false;
    plain.offset = 0;
    sl_setting_parse(&plain, &value, row->default_text, NULL);
    const struct sl_conf_entry *e = s != NULL ? sl_conf_section_find(s, key) : NULL;
    if (e != NULL) {
        sl_setting_parse(&plain, &value, e->value, NULL);
    }
    return value;
}

/* ---- reading ---- */

static int read_whole(int fd, const char *path, struct sl_buf *out, struct sl_err *err)
{
    for (;;) {
        if (sl_buf_reserve(out, 65536) != 0) {
            return sl_err_set(err, SL_ENOMEM, "out of memory");
        }
        ssize_t n = read(fd, out->data + out->end, 65536);
        if (n == 0) {
            return 0;
        }
        if (n < 0) {
            return sl_err_set(err, SL_ESYS, "cannot read %s: %s", path, strerror(errno));
        }
        sl_buf_commit(out, (size_t)n);
        if (sl_buf_len(out) > SL_CONF_FILE_MAX_BYTES) {
            return sl_err_set(err, SL_ELIMIT, "larger than %d bytes", SL_CONF_FILE_MAX_BYTES);
        }
    }
}

static const char *keep_path(struct sl_conf_tree *tree, const char *path)
{
    tree->files = sl_realloc(tree->files, (tree->file_count + 1) * sizeof(*tree->files));
    sl_assert(tree->files != NULL);
    return tree->files[tree->file_count++] = sl_xstrdup(path);
}

static void read_sections(struct loader *l, const char *path, struct sl_conf_sections *out)
{
    const char *file = keep_path(l->tree, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        sl_conf_error(l->report, of_file(file), "cannot open: %s", strerror(errno));
        return;
    }
    struct sl_buf text = SL_BUF_INIT;
    struct sl_err err = SL_ERR_INIT;
    if (read_whole(fd, path, &text, &err) != 0) {
        sl_conf_error(l->report, of_file(file), "%s", err.text);
    } else {
        sl_ini_parse(file, sl_buf_slice(&text), out, l->report);
    }
    close(fd);
    if (text.data != NULL) {
        sl_wipe(text.data, text.capacity); /* passwords */
    }
    sl_buf_free(&text);
}

/* ---- environment variables ---- */

static void substitute_entry(struct loader *l, const struct sl_conf_section *s,
                             struct sl_conf_entry *e)
{
    if (e->value[0] != '$') {
        return;
    }
    const char *value = getenv(e->value + 1);
    if (value == NULL) {
        sl_conf_error(l->report, of_entry(s, e), "the environment variable '%.100s' is not set",
                      e->value + 1);
        return;
    }
    sl_free(e->value);
    e->value = sl_xstrdup(value);
}

/* Inside [maxscale] only what stands behind the switch is substituted. */
static void substitute_sections(struct loader *l, struct sl_conf_sections *sections)
{
    for (size_t i = 0; l->substitutes && i < sections->count; i++) {
        struct sl_conf_section *s = &sections->items[i];
        bool is_on = !is_maxscale(s);
        for (size_t k = 0; k < s->count; k++) {
            if (is_on) {
                substitute_entry(l, s, &s->entries[k]);
            }
            is_on = is_on || strcmp(s->entries[k].key, "substitute_variables") == 0;
        }
    }
}

/* ---- includes ---- */

static struct sl_conf_section *find_section(const struct sl_conf_sections *sections,
                                            const char *name)
{
    for (size_t i = 0; i < sections->count; i++) {
        if (strcmp(sections->items[i].name, name) == 0) {
            return &sections->items[i];
        }
    }
    return NULL;
}

/* Adds what the section does not have itself; later includes beat earlier ones, so callers go
 * backwards. */
static void take_entries(struct sl_conf_section *to, const struct sl_conf_section *from)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct sl_conf_entry *e = &from->entries[i];
        if (strcmp(e->key, "type") != 0 && sl_conf_section_find(to, e->key) == NULL) {
            sl_conf_section_add(to, e->key, e->value, e->file, e->line);
        }
    }
}

static void include_one(struct loader *l, struct sl_conf_sections *sections,
                        struct sl_conf_section *s, const struct sl_conf_entry *at, const char *name,
                        bool *used)
{
    const struct sl_conf_section *source = find_section(sections, name);
    if (source == NULL) {
        sl_conf_error(l->report, of_entry(s, at),
                      "there is no section '%.100s' in this file to include", name);
    } else if (!is_include(source)) {
        sl_conf_error(l->report, of_entry(s, at),
                      "section '%.100s' cannot be included: it is not of type include", name);
    } else {
        take_entries(s, source);
        used[source - sections->items] = true;
    }
}

static void resolve_section(struct loader *l, struct sl_conf_sections *sections,
                            struct sl_conf_section *s, bool *used)
{
    struct sl_conf_entry *e = sl_conf_section_find(s, "@include");
    if (e == NULL) {
        return;
    }
    if (is_include(s)) {
        sl_conf_error(l->report, of_entry(s, e), "an include section cannot include another one");
        return;
    }
    struct sl_conf_entry at = {e->key, e->value, e->file, e->line}; /* entries may move */
    char *names = sl_xstrdup(at.value);
    for (char *comma; *names != '\0';) {
        comma = strrchr(names, ',');
        char *name = comma != NULL ? comma + 1 : names;
        name += strspn(name, " \t");
        name[strcspn(name, " \t")] = '\0';
        if (*name != '\0') {
            include_one(l, sections, s, &at, name, used);
        }
        *(comma != NULL ? comma : names) = '\0';
    }
    sl_free(names);
}

/* Per file, as in the original: what is included must stand in the same file. */
static void resolve_includes(struct loader *l, struct sl_conf_sections *sections)
{
    bool *used = sl_xcalloc(sections->count + 1, sizeof(*used));
    for (size_t i = 0; i < sections->count; i++) {
        resolve_section(l, sections, &sections->items[i], used);
    }
    for (size_t i = 0; i < sections->count; i++) {
        const struct sl_conf_section *s = &sections->items[i];
        if (is_include(s) && !used[i]) {
            sl_conf_warning(l->report, of_section(s), "this include section is not used");
        }
    }
    sl_free(used);
}

/* ---- merging ---- */

static void move_section(struct sl_conf_sections *to, struct sl_conf_section *from)
{
    struct sl_conf_section *s = sl_conf_sections_add(to, from->name, from->file, from->line);
    sl_free(s->name);
    *s = *from;
    from->name = NULL;
    from->entries = NULL;
    from->count = 0;
}

/* A persisted [maxscale] replaces the static one, but for directories: those come from the main
 * file only. */
static void keep_directories(struct sl_conf_section *persisted, const struct sl_conf_section *old)
{
    size_t kept = 0;
    for (size_t i = 0; i < persisted->count; i++) {
        struct sl_conf_entry *e = &persisted->entries[i];
        if (is_directory_key(e->key)) {
            sl_free(e->key);
            sl_free(e->value);
        } else {
            persisted->entries[kept++] = *e;
        }
    }
    persisted->count = kept;
    for (size_t i = 0; old != NULL && i < old->count; i++) {
        const struct sl_conf_entry *e = &old->entries[i];
        if (is_directory_key(e->key)) {
            sl_conf_section_add(persisted, e->key, e->value, e->file, e->line);
        }
    }
}

static void merge_section(struct loader *l, struct sl_conf_section *s)
{
    struct sl_conf_section *old = find_section(&l->tree->sections, s->name);
    if (is_maxscale(s) && s->is_runtime) {
        keep_directories(s, old);
    }
    if (old == NULL) {
        move_section(&l->tree->sections, s);
        return;
    }
    if (old->is_runtime == s->is_runtime) {
        sl_conf_error(l->report, of_section(s), "the section exists already, in %s:%d", old->file,
                      old->line);
        return;
    }
    sl_conf_warning(l->report, of_section(s),
                    "changes made at runtime replace the section of %s:%d, which has no effect",
                    old->file, old->line);
    sl_conf_section_clear(old);
    *old = *s;
    s->name = NULL;
    s->entries = NULL;
    s->count = 0;
}

static void merge_sections(struct loader *l, struct sl_conf_sections *sections)
{
    for (size_t i = 0; i < sections->count; i++) {
        if (!is_include(&sections->items[i])) {
            merge_section(l, &sections->items[i]);
        }
    }
    sl_conf_sections_clear(sections);
}

/* ---- files ---- */

static void load_main(struct loader *l)
{
    struct sl_conf_sections sections = {.items = NULL};
    read_sections(l, l->options->main_file, &sections);
    l->substitutes = global_bool(find_section(&sections, "maxscale"), "substitute_variables");
    substitute_sections(l, &sections);
    resolve_includes(l, &sections);
    merge_sections(l, &sections);
}

static void load_extra(struct loader *l, const char *path)
{
    struct sl_conf_sections sections = {.items = NULL};
    read_sections(l, path, &sections);
    substitute_sections(l, &sections);
    resolve_includes(l, &sections);
    for (size_t i = 0; i < sections.count; i++) {
        struct sl_conf_section *s = &sections.items[i];
        if (is_maxscale(s)) {
            sl_conf_error(l->report, of_section(s),
                          "the global section may only stand in the main file %s",
                          l->options->main_file);
            sl_conf_section_clear(s);
            *s = sections.items[--sections.count];
            i--;
        }
    }
    merge_sections(l, &sections);
}

static void load_persisted(struct loader *l, const char *path)
{
    struct sl_conf_sections sections = {.items = NULL};
    read_sections(l, path, &sections);
    for (size_t i = 0; i < sections.count; i++) {
        sections.items[i].is_runtime = true;
    }
    merge_sections(l, &sections);
}

static bool is_config_name(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && strcmp(name + len - 4, ".cnf") == 0;
}

static void walk(struct loader *l, const char *dir, int depth,
                 void (*load)(struct loader *l, const char *path));

static void walk_item(struct loader *l, const char *path, const char *name, int depth,
                      void (*load)(struct loader *l, const char *path))
{
    struct stat link, target;
    if (lstat(path, &link) != 0 || stat(path, &target) != 0) {
        sl_conf_warning(l->report, of_file(path), "ignored: %s", strerror(errno));
    } else if (S_ISDIR(target.st_mode) && S_ISLNK(link.st_mode)) {
        sl_conf_warning(l->report, of_file(path), "ignored: a symbolic link to a directory");
    } else if (S_ISDIR(target.st_mode)) {
        walk(l, path, depth + 1, load);
    } else if (S_ISREG(target.st_mode) && is_config_name(name)) {
        load(l, path);
    }
}

/* Hidden files and directories are left out; a directory that does not exist is empty. */
static void walk(struct loader *l, const char *dir, int depth,
                 void (*load)(struct loader *l, const char *path))
{
    struct dirent **items;
    int count = depth < DIR_DEPTH_MAX ? scandir(dir, &items, NULL, alphasort) : -1;
    if (count < 0) {
        if (depth >= DIR_DEPTH_MAX) {
            sl_conf_error(l->report, of_file(dir), "more than %d directories deep", DIR_DEPTH_MAX);
        } else if (errno != ENOENT) {
            sl_conf_error(l->report, of_file(dir), "cannot read: %s", strerror(errno));
        }
        return;
    }
    for (int i = 0; i < count; i++) {
        if (items[i]->d_name[0] != '.') {
            char *path = sl_xasprintf("%s/%s", dir, items[i]->d_name);
            walk_item(l, path, items[i]->d_name, depth, load);
            sl_free(path);
        }
        free(items[i]); /* of scandir() */
    }
    free(items);
}

/* ---- the whole ---- */

static const char *override_of(const struct sl_conf_options *options, const char *key)
{
    const struct sl_conf_override *o = options->overrides;
    for (; o != NULL && o->key != NULL; o++) {
        if (strcmp(o->key, key) == 0) {
            return o->value;
        }
    }
    return NULL;
}

static char *persist_directory(struct loader *l, const struct sl_conf_section *global)
{
    const char *text = override_of(l->options, "persistdir");
    const struct sl_conf_entry *e =
        global != NULL ? sl_conf_section_find(global, "persistdir") : NULL;
    if (text == NULL && e != NULL && e->value[0] != '\0') {
        text = e->value;
    }
    return text != NULL ? sl_xstrdup(text) : sl_conf_directory_default(l->options, "persistdir");
}

static void apply_overrides(struct loader *l)
{
    const struct sl_conf_override *o = l->options->overrides;
    if (o == NULL || o->key == NULL) {
        return;
    }
    struct sl_conf_section *s = find_section(&l->tree->sections, "maxscale");
    if (s == NULL) {
        s = sl_conf_sections_add(&l->tree->sections, "maxscale", "command line", 0);
    }
    for (; o->key != NULL; o++) {
        struct sl_conf_entry *e = sl_conf_section_find(s, o->key);
        if (e == NULL) {
            sl_conf_section_add(s, o->key, o->value, "command line", 0);
        } else {
            sl_free(e->value);
            e->value = sl_xstrdup(o->value);
            e->file = "command line";
            e->line = 0;
        }
    }
}

void sl_conf_tree_load(const struct sl_conf_options *options, struct sl_conf_tree *tree,
                       struct sl_conf_report *report)
{
    struct loader l = {.options = options, .tree = tree, .report = report};
    load_main(&l);
    char *extra = sl_xasprintf("%s.d", options->main_file);
    walk(&l, extra, 0, load_extra);
    sl_free(extra);
    const struct sl_conf_section *global = find_section(&tree->sections, "maxscale");
    if (global_bool(global, "load_persisted_configs")) {
        char *persisted = persist_directory(&l, global);
        walk(&l, persisted, 0, load_persisted);
        sl_free(persisted);
    }
    apply_overrides(&l);
}

void sl_conf_tree_clear(struct sl_conf_tree *tree)
{
    sl_conf_sections_clear(&tree->sections);
    for (size_t i = 0; i < tree->file_count; i++) {
        sl_free(tree->files[i]);
    }
    sl_free(tree->files);
    *tree = (struct sl_conf_tree){.files = NULL};
}

struct sl_conf_section *sl_conf_tree_find(const struct sl_conf_tree *tree, const char *name)
{
    return find_section(&tree->sections, name);
}

char *sl_conf_directory_default(const struct sl_conf_options *options, const char *name)
{
    static const char *const program_dirs[] = {"libdir", "execdir", "sharedir"};
    const struct sl_setting *row = sl_settings_find(&sl_settings_global, name);
    sl_assert(row != NULL && (row->flags & SL_SETTING_DIRECTORY) != 0);
    if (row->default_text == NULL) {
        return NULL;
    }
    bool is_program = false;
    for (size_t i = 0; i < SL_ARRAY_LEN(program_dirs); i++) {
        is_program = is_program || strcmp(program_dirs[i], name) == 0;
    }
    const char *prefix = options->basedir;
    if (!is_program && options->runtimedir != NULL) {
        prefix = options->runtimedir;
    }
    const char *tail = row->default_text;
    if (prefix != NULL && strncmp(tail, "/usr/", 5) == 0) {
        tail += 4; /* a private tree has no /usr level */
    }
    return sl_xasprintf("%s%s", prefix != NULL ? prefix : "", tail);
}
