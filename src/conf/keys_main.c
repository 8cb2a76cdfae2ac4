/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealanekeys (also maxkeys): makes the key that encrypts passwords of the configuration file.
 *
 *   sealanekeys [-u USER] [DIRECTORY]
 *
 * Never overwrites a key: the passwords encrypted with it would be lost. Options as MaxScale's
 * maxkeys.
 */
#include <getopt.h>
#include <stdio.h>
#include <sys/types.h>
#include <pwd.h>
#include <unistd.h>

#include "conf/secrets.h"

#define DEFAULT_OWNER "maxscale"

static void print_usage(FILE *out)
{
    fputs("Usage: sealanekeys [OPTION]... [DIRECTORY]\n"
          "Make the key DIRECTORY/.secrets (default: " SL_SECRETS_DEFAULT_DIR ").\n\n"
          "  -u, --user=USER  who shall own the file (default: " DEFAULT_OWNER
          " if that user exists)\n"
          "  -h, --help       this text\n",
          out);
}

/* Only root can give files away; without the default user the file stays the caller's. */
static const char *default_owner(void)
{
    return geteuid() == 0 && getpwnam(DEFAULT_OWNER) != NULL ? DEFAULT_OWNER : NULL;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"user", required_argument, NULL, 'u'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *owner = NULL;
    for (int c; (c = getopt_long(argc, argv, "u:h", options, NULL)) != -1;) {
        switch (c) {
        case 'u':
            owner = optarg;
            break;
        case 'h':
            print_usage(stdout);
            return 0;
        default:
            print_usage(stderr);
            return 1;
        }
    }
    if (argc - optind > 1) {
        print_usage(stderr);
        return 1;
    }
    const char *dir = argc > optind ? argv[optind] : SL_SECRETS_DEFAULT_DIR;
    struct sl_err err = SL_ERR_INIT;
    if (sl_secrets_create(dir, owner != NULL ? owner : default_owner(), &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("A new key was written to %s/" SL_SECRETS_FILE ".\n", dir);
    return 0;
}
