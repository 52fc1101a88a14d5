/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `matrix top`: options and the loop (top.c), whose boards (top_look.c), memory (top_memory.c), rows out of looks
 * (top_model.c), what keys do (top_keys.c), what is asked for (top_act.c), the page (top_draw*.c), JSON
 * (top_json.c). Model, keys and page are pure.
 */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include "cli/grid.h"
#include "cli/status.h"
#include <matrix/vm.h>

#define TOP_NAME_BYTES MATRIX_BOARD_NAME_BYTES

/* --- memory ---------------------------------------------------------------------------------- */

/* What the kernel does not tell is negative. */
struct top_process {
    pid_t pid;
    uint64_t guests_bytes;                /* guest-physical */
    int64_t resident_bytes, merged_bytes; /* of the whole process; the second: by KSM */
    bool has_profit;
    int64_t profit_bytes; /* what KSM saves there, less what it costs */
};

struct top_memory {
    struct top_process *processes; /* in the order of their cores */
    size_t count;
    bool has_saved;
    int64_t saved_bytes; /* by KSM on the whole host, less what it costs */
};

struct matrix_error *top_memory_look(struct top_memory *memory,
                                     const struct status *status) MATRIX_MUST_CHECK;
void top_memory_free(struct top_memory *memory);

/* --- rows ------------------------------------------------------------------------------------ */

enum top_sort {
    TOP_BY_NAME,
    TOP_BY_STATE,
    TOP_BY_WEIGHT,
    TOP_BY_DUE,
    TOP_BY_SHARE,
    TOP_BY_ERROR,
    TOP_BY_EXITS,
    TOP_BY_CPU,
    TOP_BY_MEMORY,
    TOP_SORTS,
};

/* "name", "state", …: as --sort has them. */
extern const char *const top_sort_names[TOP_SORTS];

/* A line of the table: a guest, or a group with what its guests come to. */
struct top_row {
    const struct status_core *core;
    const struct matrix_board_guest *guest; /* NULL: it is a group */
    const struct matrix_board_group *group; /* NULL: it is a guest */
    const char *name;                       /* of any characters */
    uint64_t inside;                        /* the number of the group that it is in; 0: none */
    unsigned depth;                         /* of groups around it */
    uint32_t weight, floor_ppm, ceiling_ppm;
    size_t members;    /* guests of a group, and of the groups in it */
    double share, due; /* of all guests' CPU time on that core; NaN: unknown */
    double exits_per_s[MATRIX_EXIT_KIND_COUNT], all_exits_per_s;
    uint64_t cpu_ns, memory_bytes;
};

struct top_model {
    /* Groups with their members below them, those without a group among the groups. */
    struct top_row *rows;
    size_t count;
};

struct top_order {
    enum top_sort sort;
    bool reverse; /* the other way round than is usual for it */
    bool flat;    /* without groups */
};

/* Rows of a look. They refer to status, until that looks again. */
struct matrix_error *top_model_make(struct top_model *model, const struct status *status,
                                    const struct top_order *order) MATRIX_MUST_CHECK;
void top_model_free(struct top_model *model);

/* --- what is seen of it, and keys ------------------------------------------------------------ */

enum top_asks {
    TOP_ASKS_NOTHING,
    TOP_ASKS_WEIGHT, /* a number is being typed */
    TOP_ASKS_STOP,   /* y or n */
    TOP_ASKS_HELP,   /* any key */
};

/* Who is selected: that stays so when lines change places. */
struct top_selected {
    bool is_somebody, is_group;
    pid_t pid;
    uint64_t id;
    char name[TOP_NAME_BYTES];
};

struct top_view {
    struct top_order order;
    bool is_touched; /* before the first key whoever is first is selected */
    struct top_selected selected;
    size_t index;     /* of the selected row */
    size_t first_row; /* on the screen */
    size_t page;      /* rows that the screen has room for, as it was drawn last */
    bool is_frozen;
    enum top_asks asks;
    char typed[8];
    char message[256]; /* what became of the last action */
    bool is_error;
    uint64_t interval_ns;
    bool is_still; /* --once: no keys, nobody is selected */
};

enum top_verb { TOP_NOTHING, TOP_QUIT, TOP_LOOK, TOP_PAUSE, TOP_RESUME, TOP_STOP, TOP_SET };

/* What a key asks for. */
struct top_action {
    enum top_verb verb;
    struct top_selected who;
    unsigned weight; /* TOP_SET */
};

/* Finds the selected row again, or who is nearest. */
void top_view_select(struct top_view *view, const struct top_model *model);

struct top_action top_key(struct top_view *view, const struct top_model *model, int key);

/* A tenth more or less, but 1 at least, within what a weight may be. */
unsigned top_weight_next(unsigned weight, int direction);

/* --- the page -------------------------------------------------------------------------------- */

#define TOP_COLUMNS_LEAST 60
#define TOP_ROWS_LEAST    10

/* Everything there is to draw. */
struct top_scene {
    const struct status *status;
    const struct top_model *model;
    const struct top_memory *memory;
    struct top_view *view;
    const char *time; /* of the day */
};

void top_draw(struct grid *grid, const struct top_scene *scene);

/* How many rows a page has that shows all. */
unsigned top_rows_wanted(const struct top_scene *scene);

/* The parts of it; each returns the row behind it. */
unsigned top_draw_cores(struct grid *grid, unsigned row, const struct top_scene *scene,
                        unsigned room);
unsigned top_draw_table(struct grid *grid, unsigned row, const struct top_scene *scene,
                        unsigned room);
unsigned top_draw_selected(struct grid *grid, unsigned row, const struct top_scene *scene);
unsigned top_draw_delays(struct grid *grid, unsigned row, const struct status_core *core,
                         unsigned height);
unsigned top_draw_memory(struct grid *grid, unsigned row, const struct top_scene *scene);
void top_draw_help(struct grid *grid);

/* A bar of what was given, against what was due; either may be NaN. */
void top_draw_bar(struct grid *grid, unsigned row, unsigned column, unsigned cells, double share,
                  double due);

/* "3", "any". */
const char *top_core_name(const struct status_core *core, char text[24]);

/* --- looks, actions -------------------------------------------------------------------------- */

/* Whose boards: as the command line names them. */
struct top_source {
    const char *target;
    uint64_t seen; /* tells the sockets that were there from others */
};

/* Looks at all there are by now. complaint: out, what was wrong with one of them; NULL: nothing. */
struct matrix_error *top_look(struct top_source *source, struct status *status,
                              struct matrix_error **complaint) MATRIX_MUST_CHECK;

/* Asks for it over the control socket. text: out, what was done. */
struct matrix_error *top_act(const struct top_source *source, const struct top_action *action,
                             char text[static 128]) MATRIX_MUST_CHECK;

json_t *top_json(const struct status *status, const struct top_memory *memory);

#endif
