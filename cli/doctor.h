/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * matrix-doctor: what this host can and cannot do for guests. A check fills a line: what was
 * found, and what would help. Checks only look; they change nothing on the host, but for what a killed
 * experiment has left.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <stdbool.h>

enum doctor_status {
    DOCTOR_OK,
    DOCTOR_WARNING, /* guests run without it, but something will be missing */
    DOCTOR_MISSING, /* if it is required: no guest can run here */
};

struct doctor_line {
    const char *name; /* from the table; of several lines of a check, each has its own */
    bool required;
    enum doctor_status status;
    char found[256];
    char remedy[384]; /* empty: none */
};

/* What the checks look at. */
struct doctor_host {
    const char *kvm_path;
    int kvm_fd;     /* negative: could not be opened */
    int kvm_number; /* errno of that */
    bool has_vmx, has_svm;
    bool is_amd;
    bool is_virtual; /* it runs under a hypervisor itself */
};

struct doctor_check {
    const char *name;
    bool required;
    void (*run)(const struct doctor_host *host, struct doctor_line *line);
    /* Instead of run: a line for each index, until it is false. */
    bool (*run_each)(const struct doctor_host *host, unsigned index, struct doctor_line *line);
};

void doctor_found(struct doctor_line *line, enum doctor_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void doctor_remedy(struct doctor_line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* doctor_kvm.c */
void doctor_check_processor(const struct doctor_host *host, struct doctor_line *line);
void doctor_check_device(const struct doctor_host *host, struct doctor_line *line);
void doctor_check_version(const struct doctor_host *host, struct doctor_line *line);
bool doctor_check_capability(const struct doctor_host *host, unsigned index,
                             struct doctor_line *line);

/* doctor_guest.c */
void doctor_check_vm(const struct doctor_host *host, struct doctor_line *line);
void doctor_check_guest(const struct doctor_host *host, struct doctor_line *line);

/* doctor_host.c */
void doctor_check_memory(const struct doctor_host *host, struct doctor_line *line);
void doctor_check_locked_memory(const struct doctor_host *host, struct doctor_line *line);
void doctor_check_huge_pages(const struct doctor_host *host, struct doctor_line *line);
void doctor_check_ksm(const struct doctor_host *host, struct doctor_line *line);
/* A line only where a killed experiment has left something: the one check that mends. */
bool doctor_check_knobs(const struct doctor_host *host, unsigned index, struct doctor_line *line);
void doctor_check_timers(const struct doctor_host *host, struct doctor_line *line);
void doctor_check_lab(const struct doctor_host *host, struct doctor_line *line);
void doctor_check_modules(const struct doctor_host *host, struct doctor_line *line);

/* doctor_lens.c */
void doctor_check_lens(const struct doctor_host *host, struct doctor_line *line);

#endif
