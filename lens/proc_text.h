/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines and numbers of /proc, read: pure functions, so that tests and fuzzing reach them. Names in
 * these files are chosen by processes, and may look like anything.
 */
#ifndef LENS_PROC_TEXT_H
#define LENS_PROC_TEXT_H

#include <matrix/lens.h>

/* A mapping, as a line of /proc/PID/maps or smaps begins. */
struct proc_mapping {
    uint64_t start, end; /* start < end, both multiples of MATRIX_PAGE_BYTES */
    bool no_access;      /* neither readable, writable nor executable: PROT_NONE */
    bool is_gate;        /* [vsyscall]: the kernel's half, which is no mapping of the process */
};

/* False if the line is none of a mapping. */
bool proc_text_mapping(const char *line, struct proc_mapping *mapping);

/*
 * A field that is in kB, "Rss:    12 kB", of status, smaps or the like; in bytes. False if the line
 * is not that field, or its number is no number or too large.
 */
bool proc_text_kilobytes(const char *line, const char *field, uint64_t *bytes);

/*
 * /proc/PID/stat or /proc/PID/task/TID/stat. The name stands in brackets and may itself have
 * brackets, spaces and newlines; the last ')' ends it. ticks_per_s: of start_time. pid is set to
 * tid. False if that is not what the text is. name is cut to what fits.
 */
bool proc_text_stat(const char *text, uint64_t ticks_per_s, struct matrix_lens_task *task);

/* Of /proc/kpageflags: KPF_NOPAGE, no frame of RAM; KPF_KSM, merged, if it is true (lens/merged.h). */
#define PROC_FRAME_NO_PAGE (1ULL << 20)
#define PROC_FRAME_KSM     (1ULL << 21)

/* KPF_COMPOUND_HEAD, _TAIL, KPF_HUGE and KPF_THP: part of a larger page. */
#define PROC_FRAME_LARGE (1ULL << 15 | 1ULL << 16 | 1ULL << 17 | 1ULL << 22)

/*
 * An entry of MATRIX_PAGE_* from one of /proc/PID/pagemap and, if it is not NULL, that frame's of
 * /proc/kpageflags. mapping is the one that covers it.
 */
uint64_t proc_text_entry(uint64_t pagemap, const uint64_t *page_flags,
                         const struct proc_mapping *mapping);

/* The frame number in an entry of pagemap, 0 if there is none or it is hidden. */
uint64_t proc_text_frame(uint64_t pagemap);
bool proc_text_is_present(uint64_t pagemap);

#endif
