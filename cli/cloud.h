/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `matrix cloud`: options (cloud_options.c), the contract before it (cloud_check.c), its guests
 * (cloud_guests.c), its cores (cloud_cores.c), the run itself (cloud.c), what changes in it (cloud_live.c) by
 * command (cloud_commands.c, cloud_command_add.c), who serves its metrics (cloud_metrics.c), what guests print and read (cloud_console.c), what a reload of its file changes
 * (cloud_reload.c, cloud_reload_apply.c, cloud_reload_moves.c, cloud_places.c), what is shown meanwhile
 * (cloud_screen.c), and the report of the contract at the end (cloud_report.c), split at each change
 * (cloud_periods.c).
 */
#ifndef CLI_CLOUD_H
#define CLI_CLOUD_H

#include "cli/service.h"
#include "cloud/builder.h"
#include "cloud/config_compare.h"
#include "cloud/lifecycle.h"
#include "control/command.h"
#include <limits.h>
#include <matrix/matrix.h>
#include <stdbool.h>
#include <stdio.h>

#define PROGRAM "matrix cloud"

/* The command line. */
struct cloud_options {
    const char *file, *report_path, *kvm_path;
    const char *control; /* PATH, auto or none; NULL: not said */
    const char *metrics; /* ADDRESS:PORT; NULL: none are served */
    uint64_t duration_ns, slice_ns;
    int core;
    unsigned cores, moves; /* 0: not said */
    int *cpus;             /* of the cores; NULL: not said */
    uint64_t rebalance_ns;
    bool has_rebalance;
    bool json, plain, quiet, check, keep;
};

/* Reads it; does not return if it is wrong (EXIT_BAD_USAGE) or asks for help. */
void cloud_options_parse(int argc, char **argv, struct cloud_options *options);

/* What a guest prints and reads; it outlives each vm. */
struct cloud_console {
    struct matrix_history *history; /* NULL: none was needed yet */
    bool has_input;
    int input_fd,
        input_end;       /* with has_input: a pipe; input_end is -1 after the end of the input */
    unsigned starts;     /* so far */
    uint64_t start_from; /* where in history the last begins */
};

/* A guest of the cloud while it runs. */
struct cloud_guest {
    struct matrix_vm *vm;         /* the one that runs or has ended last; NULL: none was made yet */
    size_t machine_index;         /* with a vm: its place on the machine */
    struct matrix_output *output; /* its own file; NULL: the shared one */
    int output_fd;
    bool loss_told; /* that the disk is full to which it prints */
    struct cloud_console console;
    double promised;            /* its share while all can run */
    struct matrix_error *error; /* why it could not be made the last time; NULL: it could */
    bool has_failed;            /* that is news to the lifecycle */
    bool has_been;              /* since it was added by command: it was made, and ran */
    struct matrix_vm_info past; /* the sums of those that ran before */
    struct matrix_core_guest
        left;                /* the same of its contracts, since which it has left the machine */
    struct matrix_vm *ended; /* the last of which the machine has told that it ended */
    struct cloud_leaving *leaving; /* it is on its way off the machine; NULL: it is not */
    char *name;                    /* of one that was removed; NULL: it was not */
    bool fault_shown;
    struct matrix_report *fault; /* of one that ran before, not shown yet */
    pid_t renderer;              /* of its fault report, to be waited for; 0: none */
    /* As of the last look at it, for rates. */
    uint64_t seen_cpu_ns;
    uint64_t seen_exits[MATRIX_EXIT_KIND_COUNT];
};

/* A guest's contract and what it was charged, at some moment or over a period. */
struct cloud_figures {
    unsigned weight;
    uint32_t floor_ppm, ceiling_ppm;
    uint64_t cpu_ns, contended_cpu_ns, contended_total_ns, entitled_ns;
    bool removed;
};

/* From one change to the next. */
struct cloud_period {
    uint64_t begin_ns; /* since the run began */
    char change[96];   /* what began it */
    unsigned guest_count;
    struct cloud_figures *guests; /* at its beginning */
};

struct cloud_periods {
    struct cloud_period *list;
    size_t count;
};

struct cloud {
    struct cloud_config config;
    struct matrix_kvm *kvm;
    struct matrix_machine *machine;
    unsigned cores, moves;
    uint64_t rebalance_ns;
    int *cpus; /* the host CPU of each core; negative: any */
    struct control_server *control;
    struct control_commands commands;
    pid_t metrics; /* the child that serves them; 0: none */
    struct cloud_guest *guests;
    struct matrix_machine_group **groups;
    const char *file;
    char *directory;             /* of the file: what its paths are relative to */
    struct cloud_reload *reload; /* the last one; NULL: there was none */
    unsigned leaving;            /* guests that are on their way off the machine */
    bool keep_option;            /* whatever the file says */
    char *policy;                /* config.policy, which outlives the file as it was */
    struct lives lives;
    struct builder *builder;
    bool keeps;        /* it goes on when nothing runs */
    bool has_failures; /* a guest has_failed */
    bool has_refused;  /* a guest could not be made: if it was just added it is to be forgotten */
    bool has_ended;    /* the run is over */
    size_t on_machine; /* guests that were put there */
    json_t *added;     /* the requests that added guests: their strings are in use */
    struct cloud_periods periods;
    struct service service; /* who has started it, if it is a service */
    bool service_knows;     /* that it runs */
    uint64_t next_status_ns;
    uint64_t next_show_ns; /* CLOCK_MONOTONIC */
    uint64_t slice_ns;
    struct matrix_output *output;   /* where guests without a file of their own print */
    bool loss_told;                 /* that what guests print finds no room */
    int screen_pipe[2];             /* with a screen: what they print passes through here */
    struct matrix_output *terminal; /* where the screen is, or the line of progress */
    FILE *frame;                    /* being drawn */
    char *frame_text;
    size_t frame_bytes;
    bool has_screen, shows_progress, cursor_hidden;
    unsigned screen_lines;          /* on the terminal now, to be drawn over */
    uint64_t seen_ns, *seen_cpu_ns; /* the second: of each core */
};

/* `--check`: admits the contracts of the file, as a run would, and prints what they come to. */
struct matrix_error *cloud_check(const struct cloud *cloud, bool json, FILE *file);

/* Only that, on its cores but for other contracts: the first that cannot be kept is an error. */
struct matrix_error *cloud_check_contracts(const struct cloud *cloud,
                                           const struct cloud_config *config);

/* --- cloud_cores.c ------------------------------------------------------------------------------- */

/* How many cores there will be, and on which host CPUs, by options and file. */
struct matrix_error *cloud_cores_choose(struct cloud *cloud, const struct cloud_options *options);

/* Says on standard error if there are fewer host CPUs than cores. */
void cloud_cores_warn(const struct cloud *cloud);

/* What the loops of all cores did. */
void cloud_cores_sum(const struct cloud *cloud, struct matrix_core_statistics *sum);

/* --- cloud_guests.c ---------------------------------------------------------------------------- */

struct matrix_error *cloud_create_groups(struct cloud *cloud);
struct matrix_error *cloud_create_guests(struct cloud *cloud, const char *file);
void cloud_destroy_guests(struct cloud *cloud);

/* Whether the images of all guests can be loaded. */
struct matrix_error *cloud_check_guests(struct cloud *cloud, const char *file) MATRIX_MUST_CHECK;
struct matrix_error *cloud_check_image(const char *directory,
                                       const struct config_guest *guest) MATRIX_MUST_CHECK;

/* Says so if they may come to need more memory than there is, which is only taken when it is touched; and if the
 * policy does not keep what is promised. */
void cloud_guests_warn(const struct cloud *cloud);

/* Opens the file that the guest prints to, if it has one that is not open yet. */
struct matrix_error *cloud_open_output(struct cloud *cloud, unsigned index);

/* What a guest is made from. */
void cloud_describe_guest(const struct cloud *cloud, unsigned index, char path[PATH_MAX],
                          struct matrix_vm_options *options);

struct matrix_machine_contract cloud_contract(const struct cloud *cloud,
                                              const struct config_contract *config);

/* MATRIX_ERROR_USAGE: when the file was read again, that group could not be made. */
struct matrix_error *cloud_check_group(const struct cloud *cloud, int group) MATRIX_MUST_CHECK;

/* A guest's first vm comes under contract, and is the cloud's. */
struct matrix_error *cloud_put_on_machine(struct cloud *cloud, unsigned index,
                                          struct matrix_vm *vm);

/* Has it looked up anew what everyone is promised. */
void cloud_tell_promises(struct cloud *cloud);

/* Its vm was replaced: what it did is added to the past. */
void cloud_guest_ends_as(struct cloud_guest *guest, const struct matrix_vm *vm);

/* Its state for people and reports: the core's, or that it does not run because of its lifecycle. */
const char *cloud_guest_state(const struct cloud *cloud, unsigned index);

/* The guest as the machine knows it; false: it was not made yet. Of guests on other cores than the first, as of
 * the last tick. */
bool cloud_guest_on_machine(const struct cloud *cloud, unsigned index,
                            struct matrix_machine_guest *guest);

/* The same with those that ran before. */
void cloud_guest_look(const struct cloud *cloud, unsigned index, struct matrix_core_guest *contract,
                      struct matrix_vm_info *info);

/* --- cloud_places.c ------------------------------------------------------------------------------ */

/* What a guest was given is added up, and its shares follow from that. */
void cloud_add_figures(struct matrix_core_guest *sum, const struct matrix_core_guest *more);

/*
 * A guest ends, if it has not, and leaves the machine; what it did stays. That takes a while: until then it is there
 * as it was, and cloud->leaving counts it. Then it may come again, made anew.
 */
struct matrix_error *cloud_leave_machine(struct cloud *cloud, unsigned index);

/* A guest that is leaving has ended: its figures are final. */
void cloud_leaving_ended(struct cloud *cloud, unsigned index);

/* The machine has let go of a guest: true if it was one that was leaving. */
bool cloud_has_left(struct cloud *cloud, struct matrix_vm *vm);

/* Calls function(what), in some thread, when nothing uses it any more that is being made or destroyed now. */
void cloud_retire(struct cloud *cloud, void (*function)(void *what), void *what);

/* The guest's own file is closed when nobody prints there any more; of one that leaves: when it has left. */
void cloud_close_output(struct cloud *cloud, unsigned index);

/* --- cloud_reload.c ------------------------------------------------------------------------------ */

/* Reads the file again; what becomes of it is told by cloud_reload_answer(). check: but changes nothing. */
struct matrix_error *cloud_reload_begin(struct cloud *cloud, bool check);

/* Whatever it waited for may have happened: at a tick, or a guest has left. */
void cloud_reload_wake(struct cloud *cloud);

/* Nobody else may change guests and contracts. */
bool cloud_reload_is_under_way(const struct cloud *cloud);

/* How it goes, with up to CONTROL_LIST_MAX entries, beginning with that one. There was one. */
json_t *cloud_reload_answer(const struct cloud *cloud, size_t from);

void cloud_reload_free(struct cloud *cloud);

/* --- cloud_service.c ----------------------------------------------------------------------------- */

/* At each tick: that it runs, at the first; a sign of life; how many guests run. */
void cloud_service_tick(struct cloud *cloud, uint64_t now_ns);

/* A reload begins, or has come to its end. */
void cloud_service_reload(struct cloud *cloud, bool begins);

/* --- cloud_metrics.c ----------------------------------------------------------------------------- */

/* Starts `matrix metrics` if that is asked for, and says where it is; what is wrong with the address is an error. */
struct matrix_error *cloud_metrics_start(struct cloud *cloud,
                                         const struct cloud_options *options) MATRIX_MUST_CHECK;

/* At each tick: whether it has ended, which is told. */
void cloud_metrics_look(struct cloud *cloud);

/* Ends it, if there is one. */
void cloud_metrics_stop(struct cloud *cloud);

/* --- cloud_live.c -------------------------------------------------------------------------------- */

/* A copy of its last fault stays, to be shown when the screen is gone. */
void cloud_keep_fault(struct cloud_guest *guest, const struct matrix_vm *vm);

/* All guests start, or wait; before the machine runs. */
struct matrix_error *cloud_live_begin(struct cloud *cloud);

/* For matrix_machine_options. */
void cloud_live_ended(struct matrix_machine *machine, struct matrix_vm *vm, void *context);
void cloud_live_removed(struct matrix_machine *machine, struct matrix_vm *vm, void *context);
void cloud_live_refused(struct matrix_machine *machine, struct matrix_vm *vm,
                        const struct matrix_error *error, void *context);

/* Whatever is due by now is done; ends the run when nothing is left to run. */
void cloud_live_look(struct cloud *cloud);

typedef struct matrix_error *cloud_life_command(struct lives *lives, unsigned index,
                                                uint64_t now_ns);

/* Carries out life_start, life_stop, … by command; name is for messages. */
struct matrix_error *cloud_live_command(struct cloud *cloud, unsigned index,
                                        cloud_life_command *command, const char *name);

/* Changes a contract; from the next slice on it holds. */
struct matrix_error *cloud_live_set(struct cloud *cloud, unsigned index,
                                    const struct config_contract *config);
struct matrix_error *cloud_live_set_group(struct cloud *cloud, unsigned index,
                                          const struct config_contract *config);

/* One more guest, which starts; *config is the cloud's from then on, its strings stay. *index: its place, which is
 * that of a guest of its name which was removed, if there was one. */
struct matrix_error *cloud_live_add(struct cloud *cloud, const struct config_guest *config,
                                    unsigned *index);

/* The place of a guest of that name that was removed; CONFIG_NOWHERE. */
int cloud_find_removed(const struct cloud *cloud, const char *name);

/* --- cloud_commands.c ---------------------------------------------------------------------------- */

/* What the control socket of a cloud can do beside looking; context: the cloud. */
struct control_commands cloud_commands(struct cloud *cloud);

/* --- cloud_console.c ----------------------------------------------------------------------------- */

/* Makes what the guest's next vm prints to and reads from; what the one before has not read is gone. */
struct matrix_error *cloud_console_open(struct cloud *cloud, unsigned index);

/* A vm of the guest is about to run, and the one before it has ended. */
void cloud_console_begin(struct cloud_guest *guest);

void cloud_console_close(struct cloud_guest *guest);

json_t *cloud_command_logs(struct control_call *call);
json_t *cloud_command_input(struct control_call *call);

/* --- cloud_periods.c ----------------------------------------------------------------------------- */

/* Something has changed, or the run begins: a new period of the report. */
void cloud_periods_split(struct cloud *cloud, const char *change, ...)
    __attribute__((format(printf, 2, 3)));
void cloud_periods_free(struct cloud *cloud);

/* A guest's contract in that period, and what it was charged; false: it came later. */
bool cloud_period_share(const struct cloud *cloud, size_t period, unsigned index,
                        struct cloud_figures *figures);

/* --- cloud_outputs.c ----------------------------------------------------------------------------- */

/* An output that outlasts a full disk. */
struct matrix_error *cloud_output_create(int fd, struct matrix_output **output) MATRIX_MUST_CHECK;

/* What has been lost that way is told, once for each. */
void cloud_tell_losses(struct cloud *cloud);

/* --- cloud_screen.c, cloud_report.c -------------------------------------------------------------- */

/* Draws the table anew, below what guests have printed since. */
void cloud_screen_draw(struct cloud *cloud);

/* Takes the table away, and leaves the terminal as it was; once. */
void cloud_screen_end(struct cloud *cloud);

/* One line that says how it goes, where there is no screen. */
void cloud_progress_print(struct cloud *cloud);

/* The contract: promised and given, for people. */
struct matrix_error *cloud_report_print(const struct cloud *cloud, FILE *file);

/* cloud_report_cores.c: each core, its load, its floors and its loop: for people, and as JSON. */
struct matrix_error *cloud_report_print_cores(const struct cloud *cloud, FILE *file);
json_t *cloud_report_cores_json(const struct cloud *cloud);

/* The same as JSON; the fields are documented in docs/cloud.md. */
struct matrix_error *cloud_report_write_json(const struct cloud *cloud, FILE *file);

#endif
