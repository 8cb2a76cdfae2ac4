/* SPDX-License-Identifier: Apache-2.0 */
/* Key file rules, the cipher against a vector made with openssl(1), and the two programs. */
#include "conf_test.h"

#include "conf/secrets.h"

/* echo -n SecretP@ssw0rd | openssl enc -aes-256-cbc -K 0001..1F -iv A0A1..AF */
#define VECTOR_KEY "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"
#define VECTOR "A0A1A2A3A4A5A6A7A8A9AAABACADAEAFA03D06D2A708710246ABAE748AFEBA10"

static void write_key(const struct scratch *s, const char *cipher, const char *key, mode_t mode)
{
    char text[512], path[256];
    snprintf(path, sizeof(path), "%s/.secrets", s->dir);
    unlink(path);
    snprintf(text, sizeof(text),
             "{\"description\": \"x\", \"maxscale_version\": \"24.02.1\", "
             "\"encryption_cipher\": \"%s\", \"encryption_key\": \"%s\"}",
             cipher, key);
    scratch_write(s, ".secrets", text);
    chmod(path, mode);
}

static void test_vector(void **state)
{
    struct scratch *s = *state;
    write_key(s, "EVP_aes_256_cbc", VECTOR_KEY, 0400);
    struct sl_secrets *secrets;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_secrets_load(s->dir, &secrets, &err), 0);
    assert_non_null(secrets);
    char *plain;
    assert_int_equal(sl_secrets_decrypt(secrets, VECTOR, &plain, &err), 0);
    assert_string_equal(plain, "SecretP@ssw0rd");
    sl_free(plain);
    /* lower case is hex too */
    char lower[] = VECTOR;
    for (char *p = lower; *p != '\0'; p++) {
        *p = (char)(*p >= 'A' ? *p | 0x20 : *p);
    }
    assert_int_equal(sl_secrets_decrypt(secrets, lower, &plain, &err), 0);
    assert_string_equal(plain, "SecretP@ssw0rd");
    sl_free(plain);
    sl_secrets_free(secrets);
}

static void test_round_trip(void **state)
{
    struct scratch *s = *state;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_secrets_create(s->dir, NULL, &err), 0);
    assert_int_equal(sl_secrets_create(s->dir, NULL, &err), SL_EEXIST);
    struct sl_secrets *secrets;
    assert_int_equal(sl_secrets_load(s->dir, &secrets, &err), 0);
    char longest[4097];
    memset(longest, 'x', 4096);
    longest[4096] = '\0';
    const char *const words[] = {"", "a", "exactly-16-bytes", "p\xc3\xa4ss", longest};
    for (size_t i = 0; i < 5; i++) {
        char *hex, *again, *plain;
        assert_int_equal(sl_secrets_encrypt(secrets, words[i], &hex, &err), 0);
        assert_int_equal(sl_secrets_encrypt(secrets, words[i], &again, &err), 0);
        assert_string_not_equal(hex, again); /* a fresh IV each time */
        assert_true(sl_secrets_looks_encrypted(hex));
        assert_int_equal(strspn(hex, "0123456789ABCDEF"), strlen(hex));
        assert_int_equal(sl_secrets_decrypt(secrets, hex, &plain, &err), 0);
        assert_string_equal(plain, words[i]);
        sl_free(hex);
        sl_free(again);
        sl_free(plain);
    }
    sl_secrets_free(secrets);
}

static void test_plain_text_stays(void **state)
{
    struct scratch *s = *state;
    struct sl_err err = SL_ERR_INIT;
    struct sl_secrets *secrets;
    write_key(s, "EVP_aes_256_cbc", VECTOR_KEY, 0400);
    assert_int_equal(sl_secrets_load(s->dir, &secrets, &err), 0);
    static const char *const words[] = {"SecretP@ssw0rd", "1234", "DEADBEEF", ""};
    for (size_t i = 0; i < 4; i++) {
        char *plain;
        assert_int_equal(sl_secrets_decrypt(secrets, words[i], &plain, &err), 0);
        assert_string_equal(plain, words[i]);
        sl_free(plain);
    }
    char *plain;
    char broken[] = VECTOR;
    broken[40] = broken[40] == '0' ? '1' : '0';
    assert_int_equal(sl_secrets_decrypt(secrets, broken, &plain, &err), SL_EINVAL);
    assert_non_null(strstr(err.text, ".secrets"));
    sl_secrets_free(secrets);
}

static void test_bad_files(void **state)
{
    struct scratch *s = *state;
    struct sl_secrets *secrets;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_secrets_load(s->dir, &secrets, &err), 0);
    assert_null(secrets); /* no file: passwords are plain */
    static const struct {
        const char *cipher, *key, *error;
        mode_t mode;
    } rows[] = {
        {"EVP_aes_256_cbc", VECTOR_KEY, "mode 0400", 0440},
        {"EVP_aes_256_cbc", VECTOR_KEY, "mode 0400", 0600},
        {"EVP_aes_128_cbc", VECTOR_KEY, "encryption_cipher", 0400},
        {"EVP_aes_256_cbc", "0011", "64 hex digits", 0400},
        {"EVP_aes_256_cbc", "zz" VECTOR_KEY, "64 hex digits", 0400},
        {"EVP_aes_256_cbc\"", VECTOR_KEY, "JSON", 0400},
        {"EVP_aes_256_cbc", VECTOR_KEY "\" \"", "JSON", 0400},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        write_key(s, rows[i].cipher, rows[i].key, rows[i].mode);
        assert_int_equal(sl_secrets_load(s->dir, &secrets, &err), SL_EINVAL);
        assert_non_null(strstr(err.text, rows[i].error));
        assert_null(strstr(err.text, VECTOR_KEY)); /* no message may hold the key */
        assert_null(secrets);
    }
    char path[256];
    snprintf(path, sizeof(path), "%s/.secrets", s->dir);
    unlink(path);
    scratch_write(s, ".secrets", "012345678901234567890123456789012345678901234567");
    chmod(path, 0400);
    assert_int_equal(sl_secrets_load(s->dir, &secrets, &err), SL_EINVAL);
    assert_non_null(strstr(err.text, "2.5"));
    unlink(path);
    mkdir(path, 0400);
    assert_int_equal(sl_secrets_load(s->dir, &secrets, &err), SL_EINVAL);
    assert_non_null(strstr(err.text, "regular file"));
}

/* First line of the command's output; the exit code is returned. */
static int run(const char *command, char *line, size_t size)
{
    FILE *f = popen(command, "r");
    assert_non_null(f);
    line[0] = '\0';
    if (fgets(line, (int)size, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
    }
    return pclose(f);
}

static void test_programs(void **state)
{
    struct scratch *s = *state;
    const char *keys = getenv("SEALANE_KEYS"), *passwd = getenv("SEALANE_PASSWD");
    assert_non_null(keys);
    assert_non_null(passwd);
    char command[1024], line[1024], hex[512];
    snprintf(command, sizeof(command), "%s %s nopass 2>&1", passwd, s->dir);
    assert_int_not_equal(run(command, line, sizeof(line)), 0); /* no key yet */
    snprintf(command, sizeof(command), "%s %s 2>&1", keys, s->dir);
    assert_int_equal(run(command, line, sizeof(line)), 0);
    assert_int_not_equal(run(command, line, sizeof(line)), 0); /* never overwritten */
    struct stat st;
    snprintf(command, sizeof(command), "%s/.secrets", s->dir);
    assert_int_equal(stat(command, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
    snprintf(command, sizeof(command), "%s %s 'my secret'", passwd, s->dir);
    assert_int_equal(run(command, hex, sizeof(hex)), 0);
    assert_int_equal(strlen(hex), 64);
    snprintf(command, sizeof(command), "%s -d %s %s", passwd, s->dir, hex);
    assert_int_equal(run(command, line, sizeof(line)), 0);
    assert_string_equal(line, "my secret");
    snprintf(command, sizeof(command), "echo %s | %s -i -d %s", hex, passwd, s->dir);
    assert_int_equal(run(command, line, sizeof(line)), 0);
    assert_string_equal(line, "my secret");
    snprintf(command, sizeof(command), "%s -d %s nonsense 2>&1", passwd, s->dir);
    assert_int_not_equal(run(command, line, sizeof(line)), 0);
    snprintf(command, sizeof(command), "%s 2>&1", passwd);
    assert_int_not_equal(run(command, line, sizeof(line)), 0);
}

static int open_state(void **state)
{
    *state = calloc(1, sizeof(struct scratch));
    scratch_open(*state);
    return 0;
}

static int close_state(void **state)
{
    scratch_close(*state);
    free(*state);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_state, close_state)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_vector),    TEST(test_round_trip), TEST(test_plain_text_stays),
        TEST(test_bad_files), TEST(test_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
