/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A running cloud reads its file again. Which thread does what: reading, checking and comparing take
 * milliseconds for a big file, and a slice is one. So that is an errand for the thread that makes guests,
 * while the core goes on; meanwhile nobody changes cloud->config, which that thread reads (commands that would
 * are refused). What has been found is then done in the core's thread, between slices, so much at a time
 * that it delays nobody by more than a fraction of a slice (cloud_reload_apply.c, cloud_reload_moves.c).
 */
#ifndef CLI_CLOUD_RELOAD_H
#define CLI_CLOUD_RELOAD_H

#include "cli/cloud.h"
#include "cloud/config_plan.h"

enum reload_state { RELOAD_CHECKING, RELOAD_CHANGING, RELOAD_DONE, RELOAD_REFUSED };

struct cloud_reload {
    struct cloud *cloud;
    unsigned number; /* counted from 1 */
    bool check;      /* nothing is to be changed */
    enum reload_state state;
    struct matrix_error *error; /* why it was refused */
    struct cloud_config new;    /* the file; once it holds, what is left of it */
    struct config_steps steps;
    struct config_plan plan;
    json_t *entries; /* what the answer says, of steps.guests and then of steps.groups */
    /* While it is being done: */
    struct cloud_config old;               /* as it was before */
    struct matrix_machine_group **leaving; /* for each of steps.groups that goes */
    unsigned *places;                      /* of each guest of the file: its index in the cloud */
    unsigned done;       /* moves of the plan, and then guests that have started */
    int pipe[2];         /* with a byte in it while there is more to do */
    bool waits;          /* the byte was taken out: there is, but something must happen first */
    bool removed_groups; /* since the cores were asked last */
    bool cores_asked;    /* they have not answered yet */
    unsigned tries;      /* of the next move */
};

/* cloud_reload_apply.c: the new description becomes the cloud's; what it says is done from then on, by
 * itself. Fails, changing nothing. */
struct matrix_error *cloud_reload_apply(struct cloud_reload *reload) MATRIX_MUST_CHECK;

/* cloud_reload_moves.c: does the next of the plan; false: it is to be tried again, a little later. */
bool cloud_reload_move(struct cloud_reload *reload, const struct config_move *move);

/* cloud_reload_moves.c: tells an error (NULL: none) with the entry of the answer that it is about. */
void cloud_reload_note(struct cloud_reload *reload, size_t entry, struct matrix_error *error);

/* cloud_reload_apply.c: does some of it. */
void cloud_reload_go_on(struct cloud_reload *reload);

/* cloud_reload.c: all is done. */
void cloud_reload_end(struct cloud_reload *reload);

#endif
