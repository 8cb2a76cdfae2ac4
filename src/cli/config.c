/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file with defaults, see config.h. It holds a password: others must not be able to read it.
 * The dialect is that of the npm package "ini", which maxctrl uses: `key=value`, `key` alone for
 * true, comments with ; and #, quotes around a value.
 */
#include "cli/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/text.h"

#define LINE_BYTES_MAX 4096
#define FORBIDDEN_MODE 037 /* the group may read at most, others nothing; as in maxctrl */
#define GIVEN_MAX 64

static char *trim(char *text)
{
    text += strspn(text, " \t\r\n");
    size_t len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1])) {
        len--;
    }
    text[len] = '\0';
    return text;
}

static char *unquote(char *value)
{
    size_t len = strlen(value);
    if (len >= 2 && (*value == '"' || *value == '\'') && value[len - 1] == *value) {
        value[len - 1] = '\0';
        return value + 1;
    }
    return value;
}

static int take_key(struct sl_cli_line *ret, char *text, struct sl_buf *error)
{
    char *equals = strchr(text, '=');
    const char *value = "true";
    if (equals != NULL) {
        *equals = '\0';
        value = unquote(trim(equals + 1));
    }
    const char *key = trim(text);
    if (*key == '-') {
        sl_cli_text_putf(error, "`%s`: options are written without dashes", key);
        return SL_EINVAL;
    }
    const struct sl_cli_option *option = sl_cli_option_find(key, strlen(key));
    if (option == NULL || !option->is_global || strcmp(option->name, "config") == 0) {
        sl_cli_option_put_unknown(error, key, strlen(key));
        return SL_EINVAL;
    }
    if (!sl_cli_option_accepts(option, value, error)) {
        return SL_EINVAL;
    }
    if (ret->given_count == GIVEN_MAX) {
        sl_cli_text_put(error, "too many keys");
        return SL_EINVAL;
    }
    ret->given[ret->given_count++] =
        (struct sl_cli_given){option, sl_cli_text_copy(value, strlen(value))};
    return SL_OK;
}

static bool is_our_section(const char *text)
{
    return strcmp(text, "[maxctrl]") == 0 || strcmp(text, "[sealanectl]") == 0;
}

static int read_file(FILE *file, struct sl_cli_line *ret, struct sl_buf *error)
{
    char buffer[LINE_BYTES_MAX];
    bool is_ours = false;
    bool has_section = false;
    int rc = SL_OK;
    for (int number = 1; rc == SL_OK && fgets(buffer, sizeof(buffer), file) != NULL; number++) {
        char *text = trim(buffer);
        if (*text == '[') {
            is_ours = is_our_section(text);
            has_section |= is_ours;
        } else if (is_ours && *text != '\0' && *text != ';' && *text != '#') {
            rc = take_key(ret, text, error);
        }
        if (rc < 0) {
            sl_cli_text_putf(error, " (line %d)", number);
        }
    }
    sl_wipe(buffer, sizeof(buffer));
    if (rc == SL_OK && !has_section) {
        sl_cli_text_put(error, "there is no section [maxctrl]");
        return SL_EINVAL;
    }
    return rc;
}

static int load(const char *path, bool must_exist, struct sl_cli_line *ret, struct sl_buf *error)
{
    struct stat st;
    FILE *file = fopen(path, "re");
    if (file == NULL && errno == ENOENT && !must_exist) {
        return SL_ENOENT;
    }
    struct sl_buf reason = SL_BUF_INIT;
    int rc = SL_EINVAL;
    if (file == NULL || fstat(fileno(file), &st) != 0) {
        sl_cli_text_put(&reason, strerror(errno));
    } else if ((st.st_mode & FORBIDDEN_MODE) != 0) {
        sl_cli_text_putf(&reason, "others can use it (mode %o), it should be 600 or stricter",
                         (unsigned)st.st_mode & 0777);
    } else {
        rc = read_file(file, ret, &reason);
    }
    if (file != NULL) {
        fclose(file);
    }
    char *text = sl_cli_text_take(&reason);
    if (rc < 0) {
        sl_cli_text_putf(error, "Configuration file '%s': %s", path, text);
    }
    sl_free(text);
    return rc;
}

/* "~/" in front is the home directory. */
static char *expand(const char *path)
{
    const char *home = getenv("HOME");
    if (strncmp(path, "~/", 2) == 0 && home != NULL) {
        return sl_xasprintf("%s/%s", home, path + 2);
    }
    return sl_cli_text_copy(path, strlen(path));
}

static int load_named(const char *path, struct sl_cli_line *ret, struct sl_buf *error)
{
    size_t len = strlen(path);
    if (len < 4 || strcmp(path + len - 4, ".cnf") != 0) {
        sl_cli_text_putf(error, "Configuration file '%s': the name must end in .cnf", path);
        return SL_EINVAL;
    }
    char *full = expand(path);
    int rc = load(full, true, ret, error);
    sl_free(full);
    return rc;
}

int sl_cli_config_load(const struct sl_cli_line *line, const char *program, struct sl_cli_line *ret,
                       struct sl_buf *error)
{
    *ret = (struct sl_cli_line){.given = sl_xcalloc(GIVEN_MAX, sizeof(*ret->given))};
    const char *named = sl_cli_line_given(line, "config");
    if (named != NULL) {
        return load_named(named, ret, error);
    }
    if (getenv("HOME") == NULL) {
        return SL_OK;
    }
    const char *const programs[] = {program, "sealanectl", "maxctrl"};
    for (size_t i = 0; i < SL_ARRAY_LEN(programs); i++) {
        char *path = sl_xasprintf("%s/.%s.cnf", getenv("HOME"), programs[i]);
        int rc = load(path, false, ret, error);
        sl_free(path);
        if (rc != SL_ENOENT) {
            return rc;
        }
    }
    return SL_OK;
}
