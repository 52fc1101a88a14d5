/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory of a board (include/matrix/board.h), from the side that writes it: made and sealed;
 * entries written so that a reader notices a torn copy. Knows nothing of cores. Called by board.
 */
#ifndef CLOUD_BOARD_MEMORY_H
#define CLOUD_BOARD_MEMORY_H

#include <matrix/board.h>

struct board_memory {
    int fd;
    struct matrix_board_header *header; /* the start of the mapping */
};

/* Makes it; pages are the kernel's until they are written to. stay_slots: a power of two. */
struct matrix_error *board_memory_make(uint32_t guest_slots, uint32_t group_slots,
                                       uint32_t stay_slots,
                                       struct board_memory *memory) MATRIX_MUST_CHECK;

void board_memory_release(struct board_memory *memory);

void board_memory_write_core(struct board_memory *memory, const struct matrix_board_core *core);

void board_memory_write_guest(struct board_memory *memory, uint32_t slot,
                              const struct matrix_board_guest *guest);

void board_memory_write_group(struct board_memory *memory, uint32_t slot,
                              const struct matrix_board_group *group);

/* Appends a stay, which gets its number. */
void board_memory_write_stay(struct board_memory *memory, struct matrix_board_stay *stay);

#endif
