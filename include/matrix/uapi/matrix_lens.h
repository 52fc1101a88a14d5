/* SPDX-License-Identifier: GPL-2.0-or-later WITH Linux-syscall-note */
/*
 * The interface of /dev/matrix, the device of the kernel module matrix_lens: where the memory of
 * a process is, physical bytes, and who is whose child. Used by kernel/ and lens/; a program of
 * its own may use it too. docs/modules.md shows every request at work.
 *
 * Requests are extensible as those of sched_setattr(2) are. Each argument begins with its own
 * size in bytes as the caller knows it: a newer kernel takes what an older caller leaves out for
 * 0, and an older kernel refuses with E2BIG what it does not know and is not 0. What is named
 * "reserved" is 0. Every structure is the same for 32 and 64 bits: fixed-width fields, naturally
 * aligned, addresses as numbers.
 *
 * Pids are those of the caller's pid namespace (pid_namespaces(7)).
 *
 * Errors that every request can give:
 *   ENOTTY  no such request
 *   EINVAL  size, a flag or a reserved field is wrong, or a pid is not positive
 *   E2BIG   the argument is larger than what this kernel knows, and what is beyond is not 0
 *   EFAULT  an address of the caller's own memory is wrong
 *   ENOMEM  no memory
 *   ESRCH   no such process, or it has ended
 * and those that name a process:
 *   EPERM   the caller lacks CAP_SYS_PTRACE in the user namespace of the process
 */
#ifndef MATRIX_UAPI_MATRIX_LENS_H
#define MATRIX_UAPI_MATRIX_LENS_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MATRIX_LENS_DEVICE  "/dev/matrix"
#define MATRIX_LENS_VERSION 1

/* What this machine's module can do. */
#define MATRIX_LENS_CAN_REPARENT (1U << 0) /* not on PREEMPT_RT */
#define MATRIX_LENS_CAN_WRITE    (1U << 1) /* the kernel is not locked down */

/* MATRIX_LENS_INFO: takes nothing. The caller may be anyone who has the device open. */
struct matrix_lens_info {
	__u32 size;
	__u32 version;  /* out: MATRIX_LENS_VERSION of the module */
	__u32 features; /* out: MATRIX_LENS_CAN_* */
	__u32 page_size; /* out: bytes of the smallest page */
};

/*
 * An entry tells one page of PAGE_SIZE in 64 bits. It is 0 where no mapping covers the address.
 * The physical address of the page is entry & MATRIX_PAGE_ADDRESS; it is only there if
 * MATRIX_PAGE_PRESENT is set.
 */
#define MATRIX_PAGE_MAPPED     (1ULL << 0)  /* a mapping (VMA) covers the address */
#define MATRIX_PAGE_PRESENT    (1ULL << 1)  /* there is memory behind it */
#define MATRIX_PAGE_SWAPPED    (1ULL << 2)  /* its content is in swap */
#define MATRIX_PAGE_NO_ACCESS  (1ULL << 3)  /* present, but PROT_NONE, or awaits a NUMA hint */
#define MATRIX_PAGE_WRITABLE   (1ULL << 4)  /* a write needs no page fault first */
#define MATRIX_PAGE_DIRTY      (1ULL << 5)  /* written to by this mapping since it was last clean */
#define MATRIX_PAGE_FILE       (1ULL << 6)  /* of a file's page cache; tmpfs and memfd are files */
#define MATRIX_PAGE_ANONYMOUS  (1ULL << 7)  /* of no file: heap, stack, private copies */
#define MATRIX_PAGE_ZERO       (1ULL << 8)  /* the kernel's page of zeros, small or huge */
#define MATRIX_PAGE_KSM        (1ULL << 9)  /* merged by KSM; ANONYMOUS too */
#define MATRIX_PAGE_DEVICE     (1ULL << 10) /* no page of the kernel's: PFNMAP, devices, vvar */
#define MATRIX_PAGE_COMPOUND   (1ULL << 11) /* part of a larger page, however it is mapped */
#define MATRIX_PAGE_ADDRESS    0x000ffffffffff000ULL /* physical address in bytes */
#define MATRIX_PAGE_SIZE_SHIFT 52 /* two bits: how large a piece the page tables map here */
#define MATRIX_PAGE_SIZE_MASK  (3ULL << MATRIX_PAGE_SIZE_SHIFT)
#define MATRIX_PAGE_SIZE_4K    (1ULL << MATRIX_PAGE_SIZE_SHIFT)
#define MATRIX_PAGE_SIZE_2M    (2ULL << MATRIX_PAGE_SIZE_SHIFT)
#define MATRIX_PAGE_SIZE_1G    (3ULL << MATRIX_PAGE_SIZE_SHIFT)
#define MATRIX_PAGE_HUGETLB    (1ULL << 54) /* of the hugetlb pool */
#define MATRIX_PAGE_MOVING     (1ULL << 55) /* about to be moved (migration); ask again */
#define MATRIX_PAGE_SHMEM      (1ULL << 56) /* a FILE in memory and swap: tmpfs, memfd, shm */

/* Leave the physical addresses out: then CAP_SYS_ADMIN is not needed. */
#define MATRIX_LENS_NO_ADDRESSES (1U << 0)

/*
 * MATRIX_LENS_TRANSLATE: the pages of a range, one entry each.
 *   EPERM   without CAP_SYS_ADMIN (unless NO_ADDRESSES)
 *   EINVAL  address is not a multiple of the page size, or the range ends beyond 2^64
 *   ENXIO   the process has no memory of its own: a kernel thread
 *   EINTR   a signal came before the first page; one that comes later cuts the range short
 * Each call is a snapshot page table by page table, not of the whole range at one instant.
 */
struct matrix_lens_translate {
	__u32 size;
	__u32 flags;   /* MATRIX_LENS_NO_ADDRESSES */
	__s32 pid;
	__u32 reserved;
	__u64 address; /* virtual, a multiple of the page size */
	__u64 count;   /* pages; out: how many entries were written */
	__u64 entries; /* address of __u64[count] in the caller's memory */
};

/*
 * MATRIX_LENS_FOOTPRINT: how much memory a process has, by a walk over all of it.
 *   ENXIO   as above
 *   EINTR   a signal came
 */
struct matrix_lens_footprint {
	__u32 size;
	__u32 flags; /* 0 */
	__s32 pid;
	__u32 mappings;            /* out, this and all below; how many */
	__u64 virtual_bytes;       /* of all mappings: VmSize */
	__u64 resident_bytes;      /* VmRSS: RAM, without hugetlb, zero pages, devices */
	__u64 resident_4k_bytes;   /* resident_bytes, by the size of what maps it */
	__u64 resident_2m_bytes;
	__u64 anonymous_bytes;     /* resident_bytes, by kind: RssAnon, RssFile, RssShmem */
	__u64 file_bytes;
	__u64 shmem_bytes;
	__u64 ksm_bytes;           /* of anonymous_bytes, merged by KSM */
	__u64 hugetlb_2m_bytes;
	__u64 hugetlb_1g_bytes;
	__u64 zero_bytes;          /* mapped to the kernel's zero page */
	__u64 device_bytes;        /* MATRIX_PAGE_DEVICE */
	__u64 swapped_bytes;       /* VmSwap; of shmem what this process saw swapped */
	__u64 no_access_bytes;     /* of resident_bytes, present but PROT_NONE */
};

/* Who is meant: a page of a process, or a physical address alone. */
#define MATRIX_LENS_PHYSICAL (1U << 0) /* pid and virtual_address are 0: the address alone counts */
/* Write though others see it: merged by KSM, shared after fork; not user memory. */
#define MATRIX_LENS_FORCE    (1U << 1)

/*
 * MATRIX_LENS_READ_BYTE, MATRIX_LENS_WRITE_BYTE: one byte at a physical address. The caller says
 * which process and virtual address it believes to be there; that is checked under the lock
 * that keeps it so, in one step with the access.
 *   EPERM     without CAP_SYS_ADMIN; PHYSICAL or a write without CAP_SYS_RAWIO, or the kernel is
 *             locked down (kernel_lockdown(7))
 *   ENXIO     as above
 *   ESTALE    that virtual address is not at that physical address (any more)
 *   EBUSY     write: others see this page too, and FORCE is not set: KSM, or shared after a fork
 *   EFAULT    also: there is no RAM at that address
 *   EACCES    never to be written, or not reachable: the zero page, reserved by the kernel or
 *             firmware, not in the kernel's map of memory (memfd_secret(2)), or there read-only.
 *             PHYSICAL or a write, without FORCE: also what is no user's memory
 *   EROFS     write: the page is of a file on disk, which would change without its knowing
 */
struct matrix_lens_byte {
	__u32 size;
	__u32 flags;            /* MATRIX_LENS_PHYSICAL, MATRIX_LENS_FORCE */
	__s32 pid;
	__u8 value;             /* write: the new byte; out: what was there before */
	__u8 reserved[3];
	__u64 virtual_address;
	__u64 physical_address;
};

/* A process or thread. States are the letters of ps(1) and /proc/PID/stat. */
struct matrix_lens_task {
	__s32 pid;            /* of the process (thread group) */
	__s32 tid;            /* of the thread; equal to pid for the first one */
	__s32 parent_pid;     /* 0: outside the caller's pid namespace */
	__u32 cpu;            /* where it runs, or ran last */
	__u64 start_time_ns;  /* since boot; with pid the name of the process for ever */
	__u8 state;           /* 'R', 'S', 'D', 'T', 't', 'X', 'Z', 'P', 'I' */
	__u8 on_cpu;          /* 1: it runs at this moment; 0: it waits for a CPU, or sleeps */
	__u8 kernel_thread;   /* 1: it has no user's side */
	__u8 reserved[5];
	char name[16];        /* ends with 0 */
};

/*
 * MATRIX_LENS_RUNNING: every thread that runs or could run. Takes no pid.
 * MATRIX_LENS_CHILDREN: every child of a process, whichever of its threads made it.
 * Writes at most capacity tasks and says how many there were. EPERM only where a pid is named.
 */
struct matrix_lens_tasks {
	__u32 size;
	__u32 flags;    /* 0 */
	__s32 pid;      /* RUNNING: 0 */
	__u32 reserved;
	__u32 capacity; /* tasks that fit; larger than MATRIX_LENS_TASKS_MAX counts as that */
	__u32 count;    /* out: how many there were; may be more than fit */
	__u64 tasks;    /* address of struct matrix_lens_task[capacity] in the caller's memory */
};

#define MATRIX_LENS_TASKS_MAX 65536U

/*
 * MATRIX_LENS_REPARENT: makes a process the child of another. What follows is as if that one had
 * forked it: SIGCHLD and wait(2) are the new parent's. A wait() of the old parent that has no other
 * child to wait for ends with ECHILD. Nothing undoes it but another move.
 *   EPERM   without CAP_SYS_PTRACE over both; or one is a kernel thread, or the child is an
 *           init process
 *   ESRCH   also: one of them has ended, though it may not have been waited for
 *   EINVAL  also: pid is a thread and not a process, or both are the same process
 *   ELOOP   the new parent descends from the child
 *   EXDEV   they are in different pid namespaces
 *   EOPNOTSUPP on a PREEMPT_RT kernel
 */
struct matrix_lens_reparent {
	__u32 size;
	__u32 flags;         /* 0 */
	__s32 pid;
	__s32 parent_pid;    /* the new one; a thread stands for its process */
	__s32 old_parent_pid; /* out; 0: outside the caller's pid namespace */
	__u32 reserved;
};

/* The kernel goes by type, number and direction; sizes are told by the first field. */
#define MATRIX_LENS_IOCTL 0xE7
#define MATRIX_LENS_INFO       _IOWR(MATRIX_LENS_IOCTL, 0, struct matrix_lens_info)
#define MATRIX_LENS_TRANSLATE  _IOWR(MATRIX_LENS_IOCTL, 1, struct matrix_lens_translate)
#define MATRIX_LENS_FOOTPRINT  _IOWR(MATRIX_LENS_IOCTL, 2, struct matrix_lens_footprint)
#define MATRIX_LENS_READ_BYTE  _IOWR(MATRIX_LENS_IOCTL, 3, struct matrix_lens_byte)
#define MATRIX_LENS_WRITE_BYTE _IOWR(MATRIX_LENS_IOCTL, 4, struct matrix_lens_byte)
#define MATRIX_LENS_RUNNING    _IOWR(MATRIX_LENS_IOCTL, 5, struct matrix_lens_tasks)
#define MATRIX_LENS_CHILDREN   _IOWR(MATRIX_LENS_IOCTL, 6, struct matrix_lens_tasks)
#define MATRIX_LENS_REPARENT   _IOWR(MATRIX_LENS_IOCTL, 7, struct matrix_lens_reparent)

#endif
