/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main program of the fuzz targets where libFuzzer does not drive them: plays the seeds of a
 * directory, and a few mutations of each, which are the same in every run. So the ordinary build and
 * the unit tests notice a target that has fallen behind the code it tests.
 *
 *   fuzz_NAME CORPUS
 *
 * What it was doing is told when the target ends it.
 */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum {
    MUTATIONS = 24, /* of a seed */
    CHANGES_MAX = 3 /* in a mutation */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *seed_name = "no bytes";
static int mutation;

static void tell(int signo)
{
    fprintf(stderr, "seed '%s', mutation %d\n", seed_name, mutation);
    signal(signo, SIG_DFL);
    raise(signo);
}

/* Exactly its bytes: a read behind the end is seen. */
static void play(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (!copy) {
        abort();
    }
    memcpy(copy, data, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

/* One change in place; the new length, which is never larger. */
static size_t change(uint8_t *data, size_t len, struct sl_rng *rng)
{
    static const uint8_t borders[] = {0, 1, 0x7f, 0x80, 0xfb, 0xff};
    size_t at = sl_rng_next(rng) % len;
    size_t piece = 1 + sl_rng_next(rng) % (len - at);
    switch (sl_rng_next(rng) % 5) {
    case 0: /* torn */
        return at;
    case 1:
        data[at] ^= (uint8_t)(1 << sl_rng_next(rng) % 8);
        return len;
    case 2:
        data[at] = borders[sl_rng_next(rng) % sizeof borders];
        return len;
    case 3: /* a piece is missing */
        memmove(data + at, data + at + piece, len - at - piece);
        return len - piece;
    default: /* a piece of what is in front comes again */
        memmove(data + at, data + sl_rng_next(rng) % (at + 1), piece);
        return len;
    }
}

static void play_seed(const uint8_t *seed, size_t len)
{
    struct sl_rng rng;
    uint8_t *data = malloc(len > 0 ? len : 1);
    if (!data) {
        abort();
    }
    mutation = 0;
    play(seed, len);
    sl_rng_seed(&rng, len);
    for (mutation = 1; mutation <= MUTATIONS && len > 0; mutation++) {
        size_t left = len;
        memcpy(data, seed, len);
        for (unsigned i = sl_rng_next(&rng) % CHANGES_MAX + 1; i > 0 && left > 0; i--) {
            left = change(data, left, &rng);
        }
        play(data, left);
    }
    free(data);
}

/* False: it cannot be read. */
static bool play_file(const char *directory, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    bool is_read = file && fseek(file, 0, SEEK_END) == 0;
    long len = is_read ? ftell(file) : -1;
    uint8_t *seed = len >= 0 ? malloc((size_t)len + 1) : NULL;
    is_read =
        seed && fseek(file, 0, SEEK_SET) == 0 && fread(seed, 1, (size_t)len, file) == (size_t)len;
    if (is_read) {
        seed_name = name;
        play_seed(seed, (size_t)len);
    } else {
        fprintf(stderr, "cannot read %s\n", path);
    }
    free(seed);
    if (file) {
        fclose(file);
    }
    return is_read;
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    int count = argc == 2 ? scandir(argv[1], &entries, is_shown, alphasort) : -1;
    if (count <= 0) {
        fprintf(stderr, "Usage: %s CORPUS, a directory of seeds\n", argv[0]);
        return 2;
    }
    signal(SIGABRT, tell);
#ifndef __SANITIZE_ADDRESS__ /* which tells more itself */
    signal(SIGSEGV, tell);
#endif
    play((const uint8_t *)"", 0);
    bool is_good = true;
    for (int i = 0; i < count; i++) {
        is_good = play_file(argv[1], entries[i]->d_name) && is_good;
        free(entries[i]);
    }
    free(entries);
    return is_good ? 0 : 1;
}
