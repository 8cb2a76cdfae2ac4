/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All configuration files -> one list of sections, before anything is known about their meaning.
 *
 *   main file ---+                    includes, $ENV       +-- one section per name
 *   main.d/ ** --+--> sections of each file ---------------+
 *   persistdir --+--> sections (no includes, no $ENV) -----+   (persisted ones replace static ones)
 *
 * Control thread. This is the only part of conf that reads configuration files.
 */
#ifndef SL_CONF_TREE_H
#define SL_CONF_TREE_H

#include "base/error.h"
#include "conf/ini.h"

#define SL_CONF_FILE_MAX_BYTES (64 * 1024 * 1024)

struct sl_conf_override { /* of the [maxscale] section, from the command line */
    const char *key;
    const char *value;
};

struct sl_conf_options {
    const char *main_file;
    /* Prefix of the default directories (--basedir), NULL for none. Directories that a file or an
     * override names are taken as they are. */
    const char *basedir;
    /* The same for all but libdir, execdir, sharedir and connector_plugindir (--runtimedir). */
    const char *runtimedir;
    /* Beat the files; ends with a NULL key; may be NULL. */
    const struct sl_conf_override *overrides;
};

struct sl_conf_tree {
    struct sl_conf_sections sections;
    char **files; /* every file read, for the places of the sections */
    size_t file_count;
};

/* Fills the tree as far as possible; what is wrong goes to the report. `tree` must be zeroed. */
void sl_conf_tree_load(const struct sl_conf_options *options, struct sl_conf_tree *tree,
                       struct sl_conf_report *report);
void sl_conf_tree_clear(struct sl_conf_tree *tree);

struct sl_conf_section *sl_conf_tree_find(const struct sl_conf_tree *tree, const char *name);

/* The default of a directory setting under --basedir and --runtimedir. The caller frees. */
char *sl_conf_directory_default(const struct sl_conf_options *options, const char *name);

#endif
