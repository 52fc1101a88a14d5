/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file that describes a cloud: which guests, under which contract. YAML; documented with all
 * its keys in docs/cloud.md. Read by `matrix cloud`.
 */
#ifndef CLOUD_CONFIG_H
#define CLOUD_CONFIG_H

#include "cloud/lifecycle.h"
#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_GUESTS_MAX 1024
#define CONFIG_GROUPS_MAX 256
#define CONFIG_NO_GROUP   (-1)
#define CONFIG_CORE_ANY   (-1)
#define CONFIG_CORE_UNSET (-2)
#define CONFIG_CORES_MAX  1024
#define CONFIG_MOVES_MAX  64

#define CONFIG_REBALANCE_MINIMUM_NS 100000000ULL

/* What the file says of a contract; 0: nothing. */
struct config_contract {
    unsigned weight;
    uint32_t floor_ppm, ceiling_ppm;
    uint64_t latency_ns;
    int group; /* index in groups; CONFIG_NO_GROUP */
    bool is_pinned;
    unsigned pin; /* to this core, counted from 0 */
};

struct config_group {
    const char *name;
    struct config_contract contract; /* its group comes before it in the file */
    char *own_name; /* the name, if it is of no document (config_carry_over); else NULL */
    bool missing;   /* of a cloud that runs: it could not be made */
};

struct config_guest {
    const char *name;
    const char *image;
    const char **argv;     /* NULL-terminated; argv[0] is the image */
    const char *output;    /* a file; NULL: the cloud's own standard output */
    bool console;          /* it has an input, for `matrix attach` */
    uint64_t memory_bytes; /* 0: the default */
    struct config_contract contract;
    bool mergeable; /* its memory is offered to KSM */
    struct life_rules life;
    /* Of a cloud that runs, not of a file: */
    bool added;   /* by command: no file names it */
    bool removed; /* it has left, and stays for the report; only its name means something */
};

struct cloud_config {
    struct config_guest *guests;
    struct config_group *groups;
    unsigned guest_count, group_count;
    const char *policy;             /* NULL: the default */
    bool keep;                      /* it goes on when all have ended: more may be started */
    int core;                       /* host CPU, CONFIG_CORE_ANY or CONFIG_CORE_UNSET */
    unsigned cores;                 /* 0: nothing was said */
    int *cpus;                      /* a host CPU for each core; NULL: nothing was said */
    uint64_t rebalance_ns;          /* guests are moved so often at most; 0: never */
    unsigned moves;                 /* so many at a time; 0: the default */
    uint64_t slice_ns, duration_ns; /* 0: the default; without end */
    void *document;                 /* holds the strings above */
};

/* Reads text; name stands for the file in messages, which also name the key. */
struct matrix_error *config_parse(const char *text, size_t bytes, const char *name,
                                  struct cloud_config *config);

struct matrix_error *config_read(const char *path, struct cloud_config *config);

void config_free(struct cloud_config *config);

#endif
