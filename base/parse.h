/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sizes, durations, numbers and names as people write them, read and printed in one place, so that
 * every option, config key and report means the same by "64M" and "10ms".
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <matrix/error.h>
#include <stdint.h>

/*
 * Reads a size: digits, an optional decimal part, and an optional unit (K, M, G or T, each
 * binary and optionally followed by "i", "B" or "iB"; case does not matter). "64M", "4GiB",
 * "1.5G", "4096". Refused: signs, spaces, anything after the unit, what is no whole number
 * of bytes or exceeds 64 bits.
 */
struct matrix_error *parse_size(const char *text, uint64_t *bytes) MATRIX_MUST_CHECK;

/*
 * Reads a duration: as above, but the unit is obligatory: ns, us, ms, s, m or min, h.
 * "10ms", "1.5s", "2min".
 */
struct matrix_error *parse_duration(const char *text, uint64_t *nanoseconds) MATRIX_MUST_CHECK;

/* Reads an unsigned number, decimal or with 0x hexadecimal, from minimum to maximum. */
struct matrix_error *parse_u64(const char *text, uint64_t minimum, uint64_t maximum,
                               uint64_t *value) MATRIX_MUST_CHECK;

#define PARSE_WHOLE 1000000

/* Reads a part of a core, "20%" or "12.5 %": more than 0 % and at most 100 %, in parts per million. */
struct matrix_error *parse_percent(const char *text, uint32_t *ppm) MATRIX_MUST_CHECK;

#define NAME_LENGTH_MAX 32

/*
 * Refuses what is no name for a guest or VM: 1 to NAME_LENGTH_MAX letters, digits, '-', '_' and '.', so
 * that it may stand in a file's name and in a table. The complaint begins with the key, "name".
 */
struct matrix_error *parse_check_name(const char *name) MATRIX_MUST_CHECK;

/* Holds whatever the functions below write: 2^64 with separators and the longest unit. */
#define FORMAT_BYTES 32

/* Each writes into buffer and returns it, so that it can stand in a printf argument. */
char *format_size(char buffer[FORMAT_BYTES], uint64_t bytes);           /* "64 MiB", "1.5 GiB" */
char *format_duration(char buffer[FORMAT_BYTES], uint64_t nanoseconds); /* "31 us", "1.00 ms" */
char *format_count(char buffer[FORMAT_BYTES], uint64_t count);          /* "1,234,567" */

#endif
