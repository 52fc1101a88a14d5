// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Carries bytes between the lab's machine and the host's streams, listens to its control
 * channel, and watches the clock and the signals. One poll loop; called by lab/lab.c.
 *
 * Nothing here blocks: a host stream that nobody reads holds up only its own channel, as a
 * full pipe would.
 */
#include "lab/flow.h"
#include "lab/internal.h"
#include "lab/wire.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A kernel that has not come to the command by now never will; a busy host needs a fifth, with KASAN. */
#define BOOT_NS_MAX (300 * UINT64_C(1000000000))

/* From the end of the command to the end of QEMU: the machine only turns itself off. */
#define OFF_NS_MAX (20 * UINT64_C(1000000000))

#define MESSAGES_MAX 4096

/* Ctrl-], as in telnet, ends the machine of `matrix lab shell`. */
#define ESCAPE_KEY 0x1d

struct relay {
    const struct lab_options *options;
    struct lab_machine *machine;
    struct lab_result *result;
    struct flow input, output, errors; /* with a terminal: keys, and screen in output */
    struct wire control;               /* to the machine: the job, then messages */
    char messages[MESSAGES_MAX + 1];
    size_t messages_length;
    int signals;
    uint64_t start_ns, deadline_ns;
    bool ready, exited, acknowledged, stopping;
};

/* --- the control channel --------------------------------------------------------------------- */

static void send_terminal_size(struct relay *relay)
{
    struct winsize size;
    char line[32];
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size))
        return;
    int length = snprintf(line, sizeof(line), "%u %u\n", size.ws_row, size.ws_col);
    wire_queue(&relay->control, line, (size_t)length);
}

static void limit_time(struct relay *relay, uint64_t length_ns)
{
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + length_ns;
    if (relay->deadline_ns == 0 || deadline_ns < relay->deadline_ns)
        relay->deadline_ns = deadline_ns;
}

static void obey(const char *line, void *context)
{
    struct relay *relay = context;
    int status;
    unsigned long long taint;
    if (strcmp(line, "ready") == 0) {
        relay->ready = true;
        relay->result->boot_ns = clock_now_ns(CLOCK_MONOTONIC) - relay->start_ns;
        relay->deadline_ns = 0;
        if (relay->options->timeout_ns)
            limit_time(relay, relay->options->timeout_ns);
        if (relay->options->terminal)
            send_terminal_size(relay);
    } else if (sscanf(line, "exit %d %llu", &status, &taint) == 2) {
        relay->exited = true;
        relay->result->end = LAB_COMMAND_ENDED;
        relay->result->number = status;
        relay->result->taint = taint;
    }
}

/* --- the log and QEMU's words ---------------------------------------------------------------- */

/* Both return whether there was something. */
static bool read_log(struct relay *relay)
{
    char bytes[4096];
    ssize_t got = read(relay->machine->channels[LAB_LOG], bytes, sizeof(bytes));
    if (got > 0)
        kernel_log_append(relay->result->log, bytes, (size_t)got);
    return got > 0;
}

static bool read_messages(struct relay *relay)
{
    char bytes[512];
    ssize_t got = read(relay->machine->channels[LAB_MESSAGES], bytes, sizeof(bytes));
    for (ssize_t i = 0; i < got && relay->messages_length < MESSAGES_MAX; i++)
        relay->messages[relay->messages_length++] = bytes[i];
    return got > 0;
}

/* --- the loop -------------------------------------------------------------------------------- */

static void stop(struct relay *relay, enum lab_end end, int number)
{
    if (relay->stopping)
        return;
    relay->stopping = true;
    relay->result->end = end;
    relay->result->number = number;
    kill(relay->machine->pid, SIGKILL);
}

static void read_signal(struct relay *relay)
{
    struct signalfd_siginfo signal;
    if (read(relay->signals, &signal, sizeof(signal)) != sizeof(signal))
        return;
    if (signal.ssi_signo == SIGWINCH)
        send_terminal_size(relay);
    else if (signal.ssi_signo != SIGCHLD)
        stop(relay, LAB_INTERRUPTED, (int)signal.ssi_signo);
}

static void close_input(struct relay *relay)
{
    shutdown(relay->machine->channels[LAB_INPUT], SHUT_WR);
    relay->input.from = -1;
}

static void drain(struct relay *relay, struct flow *flow)
{
    if (flow->deaf || flow_sendable(flow) == 0)
        return;
    int number = flow_drain(flow);
    if (number == 0)
        return;
    flow->deaf = true;
    /* The reader of our output went away: so would the command, were it run here. */
    if (flow != &relay->input)
        stop(relay, LAB_INTERRUPTED, SIGPIPE);
}

/* What poll watches, in this order. */
enum {
    ON_SIGNAL,
    ON_CONTROL,
    ON_LOG,
    ON_MESSAGES,
    ON_INPUT,
    FROM_OUTPUT,
    FROM_ERRORS,
    TO_INPUT,
    TO_OUTPUT,
    TO_ERRORS,
    POLLED
};

static void watch(const struct flow *flow, struct pollfd *from, struct pollfd *to)
{
    *from = (struct pollfd){.fd = flow_wants_more(flow) ? flow->from : -1, .events = POLLIN};
    *to = (struct pollfd){.fd = !flow->deaf && flow_sendable(flow) > 0 ? flow->to : -1,
                          .events = POLLOUT};
}

static void set_watches(const struct relay *relay, struct pollfd *polled)
{
    const int *channels = relay->machine->channels;
    polled[ON_SIGNAL] = (struct pollfd){.fd = relay->signals, .events = POLLIN};
    polled[ON_CONTROL] = (struct pollfd){
        .fd = channels[LAB_CONTROL],
        .events = (short)(POLLIN | (relay->control.outgoing_length > 0 ? POLLOUT : 0))};
    polled[ON_LOG] = (struct pollfd){.fd = channels[LAB_LOG], .events = POLLIN};
    polled[ON_MESSAGES] = (struct pollfd){.fd = channels[LAB_MESSAGES], .events = POLLIN};
    watch(&relay->input, &polled[ON_INPUT], &polled[TO_INPUT]);
    watch(&relay->output, &polled[FROM_OUTPUT], &polled[TO_OUTPUT]);
    watch(&relay->errors, &polled[FROM_ERRORS], &polled[TO_ERRORS]);
}

static void carry(struct relay *relay, const struct pollfd *polled)
{
    if (polled[ON_LOG].revents)
        read_log(relay);
    if (polled[ON_MESSAGES].revents)
        read_messages(relay);
    if (polled[ON_CONTROL].revents & POLLOUT)
        wire_send(&relay->control);
    if (polled[ON_CONTROL].revents & POLLIN)
        wire_read(&relay->control, obey, relay);

    if (polled[ON_INPUT].revents)
        flow_fill(&relay->input);
    if (polled[FROM_OUTPUT].revents)
        flow_fill(&relay->output);
    if (polled[FROM_ERRORS].revents)
        flow_fill(&relay->errors);

    if (polled[TO_INPUT].revents)
        drain(relay, &relay->input);
    if (polled[TO_OUTPUT].revents)
        drain(relay, &relay->output);
    if (polled[TO_ERRORS].revents)
        drain(relay, &relay->errors);

    if (relay->input.from >= 0 && flow_is_done(&relay->input) && !relay->options->terminal)
        close_input(relay);
    if (relay->options->terminal && memchr(relay->input.bytes, ESCAPE_KEY, relay->input.used))
        stop(relay, LAB_INTERRUPTED, SIGINT);
    if (polled[ON_SIGNAL].revents)
        read_signal(relay);
}

/* Once the command has ended and all it wrote is with its readers, the machine may go. */
static void acknowledge(struct relay *relay)
{
    bool delivered =
        relay->options->terminal || (flow_is_done(&relay->output) && flow_is_done(&relay->errors));
    if (!relay->exited || relay->acknowledged || !delivered)
        return;
    relay->acknowledged = true;
    wire_queue(&relay->control, "end\n", 4);
    limit_time(relay, OFF_NS_MAX);
}

static void check_clock(struct relay *relay)
{
    if (relay->deadline_ns == 0 || clock_now_ns(CLOCK_MONOTONIC) < relay->deadline_ns)
        return;
    if (relay->acknowledged) /* a machine that will not turn off: what counts is there */
        kill(relay->machine->pid, SIGKILL);
    else
        stop(relay, LAB_TIMED_OUT, 0);
}

static int milliseconds_left(const struct relay *relay)
{
    if (relay->deadline_ns == 0)
        return -1;
    uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
    uint64_t left = relay->deadline_ns > now ? (relay->deadline_ns - now) / 1000000 + 1 : 0;
    return left > 60000 ? 60000 : (int)left;
}

static bool machine_is_gone(struct relay *relay)
{
    if (relay->machine->pid > 0 && waitpid(relay->machine->pid, NULL, WNOHANG) == 0)
        return false;
    relay->machine->pid = 0;
    return true;
}

static struct matrix_error *loop(struct relay *relay)
{
    while (!machine_is_gone(relay)) {
        struct pollfd polled[POLLED];
        set_watches(relay, polled);
        if (poll(polled, POLLED, milliseconds_left(relay)) < 0 && errno != EINTR)
            return error_host(errno, "wait for the lab's machine");
        carry(relay, polled);
        acknowledge(relay);
        check_clock(relay);
    }
    return NULL;
}

/* Whether the reader of flow takes something within a second. */
static bool is_taken(const struct flow *flow)
{
    struct pollfd to = {.fd = flow->to, .events = POLLOUT};
    return poll(&to, 1, 1000) > 0;
}

/*
 * QEMU is gone: what it still left in the sockets. A command that came to its end has had
 * everything delivered, so that a reader that is asleep misses only what a kill cut off.
 */
static void read_rest(struct relay *relay)
{
    while (read_log(relay))
        ;
    while (read_messages(relay))
        ;
    struct flow *const flows[] = {&relay->output, &relay->errors};
    for (size_t i = 0; i < 2; i++) {
        while (!flow_is_done(flows[i]) && !flows[i]->deaf) {
            if (flow_wants_more(flows[i]))
                flow_fill(flows[i]);
            if (flow_sendable(flows[i]) > 0 && !is_taken(flows[i]))
                break;
            drain(relay, flows[i]);
        }
    }
}

static struct matrix_error *open_signals(int *signals)
{
    *signals = -1;
    sigset_t watched;
    sigemptyset(&watched);
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD, SIGWINCH};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaddset(&watched, numbers[i]);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    signal(SIGPIPE, SIG_IGN);
    *signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    return *signals < 0 ? error_host(errno, "watch for signals") : NULL;
}

static void set_flows(struct relay *relay, const struct lab_job *job)
{
    const int *channels = relay->machine->channels;
    bool terminal = relay->options->terminal;
    relay->input.from = job->input || terminal ? STDIN_FILENO : -1;
    relay->input.to = channels[terminal ? LAB_TERMINAL : LAB_INPUT];
    relay->output.from = channels[terminal ? LAB_TERMINAL : LAB_OUTPUT];
    relay->output.to = STDOUT_FILENO;
    relay->output.mark = terminal ? NULL : job->mark;
    relay->errors.from = channels[LAB_ERRORS];
    relay->errors.to = STDERR_FILENO;
    relay->errors.mark = job->mark;
}

struct matrix_error *lab_relay(const struct lab_options *options, const struct lab_job *job,
                               struct lab_machine *machine, struct lab_result *result)
{
    CLEANUP_FREE struct relay *relay = calloc(1, sizeof(*relay));
    if (!relay || !wire_queue(&relay->control, job->script, job->script_length))
        return error_host(ENOMEM, "talk to the lab's machine");
    relay->control.fd = machine->channels[LAB_CONTROL];
    relay->options = options;
    relay->machine = machine;
    relay->result = result;
    relay->start_ns = clock_now_ns(CLOCK_MONOTONIC);
    limit_time(relay, BOOT_NS_MAX);
    result->end = LAB_MACHINE_DIED;
    set_flows(relay, job);

    sigset_t before;
    sigprocmask(SIG_SETMASK, NULL, &before);
    struct matrix_error *error = open_signals(&relay->signals);
    if (!error)
        error = loop(relay);
    if (!error)
        read_rest(relay);
    if (relay->signals >= 0)
        close(relay->signals);
    sigprocmask(SIG_SETMASK, &before, NULL);
    wire_free(&relay->control);
    if (!error && !(result->messages = strdup(relay->messages)))
        error = error_host(ENOMEM, "keep QEMU's messages");
    return error;
}
