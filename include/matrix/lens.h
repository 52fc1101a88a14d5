/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lens: looks into the processes of this machine. Where their memory is, how much it is, who
 * runs, who is whose child; and, with the kernel module matrix_lens, changes a byte or a parent.
 *
 * There are two sources. "module" is /dev/matrix, "proc" is /proc, for machines without the module.
 * Both answer in the same form, with the types of matrix/uapi/matrix_lens.h; what /proc cannot tell
 * is not set, as each function says. Nothing is held between two calls, so that a lens may be used
 * by several threads at once.
 *
 * Pids are those of the caller's pid namespace. A pid can be that of another process by the next
 * call: who looks again and again compares start_time_ns of matrix_lens_process.
 *
 * Errors: number is an errno, the same whichever the source, and as in the table at the top of
 * matrix/uapi/matrix_lens.h: ESRCH no such process, or it has ended; EPERM what the caller may not;
 * ENXIO the process has no memory of its own (a kernel thread, a zombie); EOPNOTSUPP only the
 * module can do this, or not on this kernel. Arguments that make no sense are of kind
 * MATRIX_ERROR_USAGE, all else MATRIX_ERROR_HOST.
 */
#ifndef MATRIX_LENS_H
#define MATRIX_LENS_H

#include <matrix/error.h>
#include <matrix/uapi/matrix_lens.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the page that an entry stands for. */
#define MATRIX_PAGE_BYTES 4096ULL

struct matrix_lens;

enum matrix_lens_source {
    MATRIX_LENS_BEST,   /* the module if it can be used, else /proc */
    MATRIX_LENS_MODULE, /* the module, or an error that says why not */
    MATRIX_LENS_PROC,
};

/*
 * Opens a lens.
 *
 * source: MATRIX_LENS_BEST, unless two sources are to be compared.
 * With MATRIX_LENS_BEST it fails only without memory or file descriptors. A module that is there
 * but may not be used is passed over; what only it can do then says why.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *matrix_lens_open(enum matrix_lens_source source,
                                                                   struct matrix_lens **lens);

/* NULL is allowed. */
MATRIX_API void matrix_lens_close(struct matrix_lens *lens);

/* "module" or "proc"; a constant. */
MATRIX_API const char *matrix_lens_source_name(const struct matrix_lens *lens);

/* What only the module can do, and this one can: MATRIX_LENS_CAN_*. 0 with /proc. */
MATRIX_API unsigned matrix_lens_features(const struct matrix_lens *lens);

/* --- memory ----------------------------------------------------------------------------------- */

/*
 * Translates pages of a process: an entry of MATRIX_PAGE_* for each.
 *
 * address: virtual, a multiple of MATRIX_PAGE_BYTES.
 * count:   pages; address + count * MATRIX_PAGE_BYTES is at most 2^64.
 * flags:   0, or MATRIX_LENS_NO_ADDRESSES: no physical addresses, which needs no CAP_SYS_ADMIN.
 * entries: filled whole, or an error: signals in between do no harm.
 *
 * A snapshot page table by page table, not of all at one instant. 1 GiB costs some 10 ms by the
 * module, some 30 to 100 ms by /proc.
 *
 * By /proc: WRITABLE, DIRTY and DEVICE memory behind a PFNMAP mapping are not told, and the piece's
 * size (MATRIX_PAGE_SIZE_MASK) only where it must be 4 KiB; NO_ACCESS is told of mappings that are
 * PROT_NONE. With MATRIX_LENS_NO_ADDRESSES also not: ZERO, KSM, ANONYMOUS, COMPOUND, HUGETLB,
 * SHMEM. KSM is the kernel's word; where that is wrong (Linux 6.12) it is told of anonymous pages of
 * 4 KiB with more than one mapping, in processes that have merged pages.
 *
 * EPERM without CAP_SYS_ADMIN (unless NO_ADDRESSES), ESRCH, ENXIO; EINVAL: address, count or flags.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_lens_translate(const struct matrix_lens *lens, pid_t pid, uint64_t address, size_t count,
                      unsigned flags, uint64_t *entries);

/* Bytes of the piece that the page tables map there: 4 KiB, 2 MiB or 1 GiB; 0: not told. */
static inline uint64_t matrix_page_piece_bytes(uint64_t entry)
{
    const uint64_t size = (entry & MATRIX_PAGE_SIZE_MASK) >> MATRIX_PAGE_SIZE_SHIFT;
    return size ? MATRIX_PAGE_BYTES << (9 * (size - 1)) : 0;
}

/* The value of a field that the source does not tell. */
#define MATRIX_FOOTPRINT_UNKNOWN UINT64_MAX

/*
 * How much memory a process has, in bytes. Fields and what they count are those of
 * struct matrix_lens_footprint; "m": MATRIX_FOOTPRINT_UNKNOWN by /proc; "k": by /proc where smaps
 * has no line for KSM (older kernels, or without CONFIG_KSM).
 */
struct matrix_footprint {
    uint64_t mappings; /* how many; not bytes */
    uint64_t virtual_bytes;
    uint64_t resident_bytes;
    uint64_t resident_4k_bytes, resident_2m_bytes;     /* of it, by the size of what maps it */
    uint64_t anonymous_bytes, file_bytes, shmem_bytes; /* of it, by kind */
    uint64_t ksm_bytes;                                /* k; of anonymous_bytes */
    uint64_t hugetlb_2m_bytes, hugetlb_1g_bytes;
    uint64_t zero_bytes;   /* m */
    uint64_t device_bytes; /* m */
    uint64_t swapped_bytes;
    uint64_t no_access_bytes; /* by /proc: of mappings that are PROT_NONE */
};

/*
 * The module walks the page tables. /proc/PID/smaps does that, too, one mapping after the other:
 * the sum is not of one instant where the process is at work.
 *
 * EPERM: the process belongs to another (without CAP_SYS_PTRACE); ESRCH, ENXIO.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_lens_footprint(const struct matrix_lens *lens, pid_t pid,
                      struct matrix_footprint *footprint);

/*
 * Only virtual and resident bytes and what is swapped, cheap enough for a hundred times a second:
 * /proc/PID/status whatever the source. The kernel may be some pages behind (Linux 6.1: up to 64
 * for each thread). All other fields are MATRIX_FOOTPRINT_UNKNOWN, but for anonymous, file and
 * shmem bytes.
 *
 * ESRCH, ENXIO.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_lens_footprint_quick(const struct matrix_lens *lens, pid_t pid,
                            struct matrix_footprint *footprint);

/* --- processes -------------------------------------------------------------------------------- */

/* Tasks as matrix/uapi/matrix_lens.h has them; name is whatever the process calls itself. */
struct matrix_task_list {
    struct matrix_lens_task *tasks;
    size_t count; /* of tasks */
    size_t total; /* how many there were; more than count only beyond MATRIX_LENS_TASKS_MAX */
};

/* Frees what is in the list, and not the list. */
MATRIX_API void matrix_task_list_free(struct matrix_task_list *list);

/*
 * Every thread that runs or could run. By /proc: on_cpu is never set, start_time_ns is a multiple
 * of 10 ms, and what started or ended meanwhile may be missing.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_lens_running(const struct matrix_lens *lens, struct matrix_task_list *list);

/*
 * Every child of a process, whichever of its threads made it; zombies too. The number of a thread
 * stands for its process. By /proc as above.
 * ESRCH; EPERM by the module without CAP_SYS_PTRACE.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_lens_children(const struct matrix_lens *lens, pid_t pid, struct matrix_task_list *list);

/* Every process, or one, by its first thread. Always by /proc. ESRCH for one that is not there. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_lens_processes(const struct matrix_lens *lens, struct matrix_task_list *list);
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_lens_process(const struct matrix_lens *lens, pid_t pid, struct matrix_lens_task *task);

/* --- what only the module can do; by /proc each fails with EOPNOTSUPP ------------------------- */

/* A byte of memory: of a process, which is checked, or physical alone. */
struct matrix_place {
    pid_t pid;                 /* 0 with MATRIX_LENS_PHYSICAL */
    unsigned flags;            /* MATRIX_LENS_PHYSICAL, MATRIX_LENS_FORCE */
    uint64_t virtual_address;  /* of the byte; 0 with MATRIX_LENS_PHYSICAL */
    uint64_t physical_address; /* of the byte; with a pid it must be where that page is */
};

/*
 * Reads, or writes, the byte at a physical address. With a pid it is checked in one step with the
 * access that this page of the process is there.
 *
 * old: out, what was there before; NULL is allowed.
 * ESTALE: the page is elsewhere by now, translate again. EBUSY: others see this page, and FORCE is
 * not set. EROFS: a page of a file on disk. EACCES: never to be written, or not reachable. EFAULT:
 * no RAM there. EPERM, ESRCH, ENXIO, EOPNOTSUPP.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_lens_read_byte(const struct matrix_lens *lens, const struct matrix_place *place,
                      uint8_t *value);
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_lens_write_byte(const struct matrix_lens *lens, const struct matrix_place *place,
                       uint8_t value, uint8_t *old);

/*
 * Makes a process the child of another, as if that one had forked it. Nothing undoes it but
 * another move.
 *
 * parent_pid:     the new parent; the number of a thread stands for its process.
 * old_parent_pid: out, 0 if it is outside the caller's pid namespace; NULL is allowed.
 * EPERM, ESRCH, EINVAL, ELOOP (the new parent descends from the child), EXDEV (different pid
 * namespaces), EOPNOTSUPP.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_lens_reparent(const struct matrix_lens *lens, pid_t pid, pid_t parent_pid,
                     pid_t *old_parent_pid);

#ifdef __cplusplus
}
#endif
#endif
