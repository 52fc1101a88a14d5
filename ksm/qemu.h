/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the memory of a QEMU guest is, without QEMU's help: inferred from its command line and its
 * mappings. It is RAM of a PC (qemu-system-x86_64, qemu-system-i386; machine pc or q35, and what is
 * derived from them) that is one piece of QEMU's memory: of the size that -m names, which no other
 * mapping has. QEMU puts what does not fit below its PCI hole at 4 GiB:
 *
 *   pc (hw/i386/pc_piix.c)   less than 3.5 GiB: all of it below; else 3 GiB
 *   q35 (hw/i386/pc_q35.c)   less than 2.75 GiB: all of it below; else 2 GiB
 *
 * With NUMA nodes of their own memory, or max-ram-below-4g, nothing is inferred. The first mebibyte
 * is told as RAM as a whole, though ROMs lie over parts of it.
 */
#ifndef KSM_QEMU_H
#define KSM_QEMU_H

#include "ksm/mappings.h"
#include "ksm/subject.h"

struct ksm_qemu {
    char name[64];      /* of -name; "" without */
    uint64_t ram_bytes; /* of -m */
    uint64_t low_bytes; /* of it, from 0 on; the rest begins at 4 GiB */
};

/*
 * Reads a command line, as /proc/PID/cmdline has it: words that each end with a 0. False if it is
 * none of a QEMU whose memory is where the above says. Pure.
 */
bool ksm_qemu_parse(const char *words, size_t size, struct ksm_qemu *qemu);

/*
 * The one piece of that size among the mappings: its address; 0 if there is none, or several.
 * Private anonymous memory goes before all else. Pure.
 */
uint64_t ksm_qemu_find_ram(const struct ksm_qemu *qemu, const struct ksm_mapping *mappings,
                           size_t count);

/*
 * Fills kind, regions and, where -name gave one, the name of a subject with a pid, if it is such a
 * QEMU. False: it is none, and subject is as before.
 */
bool ksm_qemu_detect(struct ksm_subject *subject, const struct ksm_mapping *mappings, size_t count);

#endif
