/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest: memory, virtual CPUs, and a program in it. A guest is made, given to a core
 * (matrix/core.h) that runs it, asked how it ended, and destroyed. Nothing here is shared between
 * guests, so that a process can have hundreds of them. Functions are not thread-safe for
 * one guest; different guests can live in different threads.
 */
#ifndef MATRIX_VM_H
#define MATRIX_VM_H

#include <matrix/error.h>
#include <matrix/guest/abi.h>
#include <matrix/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MATRIX_MEMORY_MINIMUM (2ULL << 20)
#define MATRIX_MEMORY_DEFAULT (16ULL << 20)
#define MATRIX_STACK_DEFAULT  (256ULL << 10)
#define MATRIX_VCPUS_MAX      16

/* How guest memory is backed; may be combined. It is private anonymous memory in any case. */
enum matrix_memory_flags {
    MATRIX_MEMORY_MERGEABLE = 1 << 0,  /* offered to KSM (MADV_MERGEABLE) */
    MATRIX_MEMORY_HUGE = 1 << 1,       /* transparent huge pages (MADV_HUGEPAGE) */
    MATRIX_MEMORY_LOCKED = 1 << 2,     /* never swapped (mlock) */
    MATRIX_MEMORY_PREFAULT = 1 << 3,   /* present from the start (MADV_POPULATE_WRITE) */
    MATRIX_MEMORY_SMALL_PAGES = 1 << 4 /* the guest's own page tables use 4 KiB pages only */
};

/*
 * Where guests' output goes. Several guests may share one, on different cores as well; lines are never
 * mixed. It must outlive them.
 */
struct matrix_output;

/* fd stays the caller's. Writing never blocks the caller's thread, whatever stands behind fd. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *matrix_output_create(int fd,
                                                                       struct matrix_output **);

/* Writes out what is left, for at most a second, and frees it. NULL is allowed. */
MATRIX_API void matrix_output_destroy(struct matrix_output *output);

/* Puts text in the queue and writes what the reader takes at once: all of it, or (false) nothing
 * because too much is waiting already. For what the caller itself has to say on the same terminal. */
MATRIX_API bool matrix_output_write(struct matrix_output *output, const char *text, size_t bytes);

/* Writes what the reader takes at once; true if nothing is left waiting. */
MATRIX_API bool matrix_output_flush(struct matrix_output *output);

/* The reader is gone (EPIPE), or writing failed (a full disk): errno, 0 while all is well. Guests that print
 * there are then stopped. */
MATRIX_API int matrix_output_failed(const struct matrix_output *output);

/* To be called before guests print there: a full disk is no failure from now on. What finds no room is refused
 * (guests whose output is lossy go on, and it is counted), and now and then it is tried again. */
MATRIX_API void matrix_output_outlast(struct matrix_output *output);

/* Why something may be missing in what was written: errno of the failure, or of the last full disk; or 0. */
MATRIX_API int matrix_output_lost(const struct matrix_output *output);

/*
 * What guests printed lately, byte for byte, and whatever became of it on its way to an output. It costs as
 * much memory as was printed, and never more than its size. A guest that takes another's place may go on
 * with its history; of guests that print to one at the same time there is one at most. It must outlive
 * them.
 */
struct matrix_history;

MATRIX_API MATRIX_MUST_CHECK struct matrix_error *matrix_history_create(size_t size,
                                                                        struct matrix_history **);

/* NULL is allowed. */
MATRIX_API void matrix_history_destroy(struct matrix_history *history);

/* How many bytes were printed so far, those that are forgotten included. */
MATRIX_API uint64_t matrix_history_end(const struct matrix_history *history);

/*
 * Reads from an offset on, in any thread, while the guest prints. *from: in, where to begin; out, where what
 * was read begins: further on if that was forgotten. Returns how many bytes it read; none if there are no
 * more, or if they were forgotten while it read.
 */
MATRIX_API size_t matrix_history_read(const struct matrix_history *history, uint64_t *from,
                                      char *text, size_t size);

struct matrix_vm_options {
    const char *name;             /* NULL: "guest" */
    uint64_t memory_bytes;        /* multiple of 4096, MATRIX_MEMORY_MINIMUM or more; 0: default */
    uint64_t stack_bytes;         /* 0: MATRIX_STACK_DEFAULT */
    unsigned memory_flags;        /* enum matrix_memory_flags */
    unsigned vcpus_max;           /* 1 to MATRIX_VCPUS_MAX; 0: MATRIX_VCPUS_MAX */
    const char *const *argv;      /* NULL-terminated; argv[0] is the program; NULL: none */
    const char *const *envp;      /* NULL-terminated; NULL: none */
    int input_fd;                 /* what MATRIX_READ reads; negative: nothing */
    struct matrix_output *output; /* NULL: output is thrown away */
    const char *tag;              /* put before each line; NULL: none */
    uint64_t output_rate;         /* with output_lossy: bytes per second let through; 0: no limit */
    bool output_lossy;            /* lines that cannot be written at once are dropped and counted;
                                 * otherwise the guest waits for its reader */
    bool output_escape;           /* control characters are shown as \xNN, as a terminal needs it */
    bool hide_host_addresses;     /* MATRIX_GVA_TO_HVA is refused */

    struct matrix_history *history; /* keeps what it prints; NULL: nothing does */
};

struct matrix_vm;

/*
 * Makes a guest from the ELF image at path and leaves its first virtual CPU ready to run.
 * Errors: MATRIX_ERROR_IMAGE names the file, field or segment; MATRIX_ERROR_USAGE the option;
 * MATRIX_ERROR_HOST what the host refused.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_vm_create(struct matrix_kvm *kvm, const char *path, const struct matrix_vm_options *options,
                 struct matrix_vm **vm);

/* Ends and frees a guest, whatever its state. NULL is allowed. */
MATRIX_API void matrix_vm_destroy(struct matrix_vm *vm);

enum matrix_vm_state {
    MATRIX_VM_ALIVE,   /* not ended yet; the core knows whether it runs, sleeps or waits */
    MATRIX_VM_EXITED,  /* by its own will: see status */
    MATRIX_VM_FAULTED, /* see matrix_vm_report */
    MATRIX_VM_STOPPED, /* by whoever runs it */
};

struct matrix_vm_info {
    const char *name;
    enum matrix_vm_state state;
    int status;            /* exit status, 0 to 255, when state is MATRIX_VM_EXITED */
    unsigned vcpus;        /* made so far */
    uint64_t memory_bytes; /* guest-physical */
    uint64_t work;         /* the guest's own counter */
    uint64_t exits_total;
    uint64_t exits[MATRIX_EXIT_KIND_COUNT];
    uint64_t dropped_lines, dropped_bytes; /* output that the limit did not let through */
};

MATRIX_API void matrix_vm_info(const struct matrix_vm *vm, struct matrix_vm_info *info);

/* "io", "interrupted", …: the names used in reports and JSON. */
MATRIX_API const char *matrix_exit_kind_name(enum matrix_exit_kind kind);
MATRIX_API const char *matrix_vm_state_name(enum matrix_vm_state state);

struct matrix_report;

/* The report of the fault that ended the guest; NULL if none did. Owned by the guest. */
MATRIX_API const struct matrix_report *matrix_vm_report(const struct matrix_vm *vm);

/* One guest-virtual address, followed to the monitor's memory. */
struct matrix_translation {
    uint64_t gva;
    uint64_t gpa;
    uint64_t hva;
    uint64_t page_bytes; /* size of the guest's page: 4 KiB, 2 MiB or 1 GiB */
    uint64_t kvm_gpa;    /* what KVM_TRANSLATE alone said, and kvm_mapped */
    bool mapped;
    bool readable, writable, executable; /* by the program (CPL 3) */
    bool agree; /* KVM_TRANSLATE and the walk of the page tables say the same */
    bool kvm_mapped;
};

/*
 * Translates gva in the address space of the guest's first virtual CPU, by KVM_TRANSLATE
 * (Documentation/virt/kvm/api.rst, 4.35) and by walking the guest's page tables.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_vm_translate(struct matrix_vm *vm, uint64_t gva, struct matrix_translation *translation);

/* The same by another virtual CPU; index is below the vcpus of struct matrix_vm_info. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_vm_translate_vcpu(struct matrix_vm *vm, unsigned index, uint64_t gva,
                         struct matrix_translation *translation);

/* A memory slot: guest-physical memory, and where it is in the monitor. */
struct matrix_region {
    uint64_t gpa;
    uint64_t hva;
    uint64_t bytes;
};

/* In the order of their making; false past the last one. */
MATRIX_API bool matrix_vm_region(const struct matrix_vm *vm, size_t index,
                                 struct matrix_region *region);

/* Finds the symbol that gva lies in: its name (valid while the guest lives) and the offset from its
 * start; NULL if there is none. */
MATRIX_API const char *matrix_vm_symbol(struct matrix_vm *vm, uint64_t gva, uint64_t *offset);

#ifdef __cplusplus
}
#endif
#endif
