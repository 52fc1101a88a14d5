/* SPDX-License-Identifier: MIT */
/*
 * The guest SDK: what a guest program in C includes. Thin inline wrappers around the
 * hypercalls of abi.h, and the little of a C library that a small program needs. A guest is
 * linked with guest/start.S and guest/library.c; docs/write-a-guest.md shows how.
 *
 * A wrapper returns what the hypercall returns; a negative result is one of MATRIX_E*.
 * A guest may use SSE2 but not AVX, and no port but the hypercall port.
 */
#ifndef MATRIX_GUEST_SDK_H
#define MATRIX_GUEST_SDK_H

#include <matrix/guest/abi.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The guest supplies main(), with or without its arguments (argc, argv, envp). Its result is the
 * guest's exit status. */

/* --- the hypercall itself -------------------------------------------------------------------- */

/* Makes hypercall `number`, and costs one exit. Unused arguments are passed as 0. */
static inline int64_t matrix_hypercall(uint64_t number, uint64_t first, uint64_t second,
                                       uint64_t third)
{
    int64_t result;

    __asm__ volatile("outb %%al, %[port]"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second),
                       "d"(third), [port] "i"(MATRIX_HYPERCALL_PORT)
                     : "memory");
    return result;
}

/* --- the guest itself ------------------------------------------------------------------------ */

/* start.S puts the start-of-day page's address here. */
extern const struct matrix_start *matrix_start_page;

/* The start-of-day page: memory, heap, stack, name, arguments. It is read-only. */
static inline const struct matrix_start *matrix_start(void)
{
    return matrix_start_page;
}

/* The ABI's version in bits 0-31, its features in bits 32-62. */
static inline int64_t matrix_abi(void)
{
    return matrix_hypercall(MATRIX_ABI, 0, 0, 0);
}

/* Ends the guest with status & 255. Returning from main does the same. */
__attribute__((noreturn)) static inline void matrix_exit(int status)
{
    matrix_hypercall(MATRIX_EXIT, (uint64_t)status, 0, 0);
    __builtin_unreachable();
}

/* Bytes of guest-physical memory. */
static inline int64_t matrix_memory_bytes(void)
{
    return matrix_hypercall(MATRIX_MEMORY_BYTES, 0, 0, 0);
}

/*
 * Counts n more units of work. Costs no exit: the counter lies in memory, and whoever watches
 * the guest reads it there. Atomic, because all vCPUs of a guest share the counter.
 */
static inline void matrix_work_add(uint64_t n)
{
    uint64_t *work = (uint64_t *)matrix_start()->work;

    __atomic_fetch_add(work, n, __ATOMIC_RELAXED);
}

/* --- time ------------------------------------------------------------------------------------ */

/* Nanoseconds on the given clock. */
static inline int64_t matrix_clock(enum matrix_clock clock)
{
    return matrix_hypercall(MATRIX_CLOCK, clock, 0, 0);
}

/* Gives the core away for at least so many nanoseconds. */
static inline int64_t matrix_sleep(uint64_t nanoseconds)
{
    return matrix_hypercall(MATRIX_SLEEP, nanoseconds, 0, 0);
}

/* Lets others run first, and returns when it is this guest's turn again. */
static inline int64_t matrix_yield(void)
{
    return matrix_hypercall(MATRIX_YIELD, 0, 0, 0);
}

/* --- output and input ------------------------------------------------------------------------ */

/* Prints the low 8 bits of a value; base is 10 or 16. */
static inline int64_t matrix_print_u8(uint64_t value, unsigned base)
{
    return matrix_hypercall(MATRIX_PRINT_U8, value, base, 0);
}

/* Prints the low 32 bits of a value; base is 10 or 16. */
static inline int64_t matrix_print_u32(uint64_t value, unsigned base)
{
    return matrix_hypercall(MATRIX_PRINT_U32, value, base, 0);
}

/* Prints a value; base is 10 or 16. */
static inline int64_t matrix_print_u64(uint64_t value, unsigned base)
{
    return matrix_hypercall(MATRIX_PRINT_U64, value, base, 0);
}

static inline int64_t matrix_print_char(char character)
{
    return matrix_hypercall(MATRIX_PRINT_CHAR, (unsigned char)character, 0, 0);
}

/* Prints a NUL-terminated string and returns its length. */
static inline int64_t matrix_print_string(const char *string)
{
    return matrix_hypercall(MATRIX_PRINT_STRING, (uint64_t)string, 0, 0);
}

/* Prints `length` bytes, at most MATRIX_BUFFER_MAX, and returns how many. */
static inline int64_t matrix_write(const void *bytes, size_t length)
{
    return matrix_hypercall(MATRIX_WRITE, (uint64_t)bytes, length, 0);
}

/* Waits for input and reads at most `length` bytes. Returns how many, 0 at the end. */
static inline int64_t matrix_read(void *bytes, size_t length)
{
    return matrix_hypercall(MATRIX_READ, (uint64_t)bytes, length, 0);
}

/* --- the monitor's view of the guest --------------------------------------------------------- */

/* Exits of this guest so far, this one included. */
static inline int64_t matrix_exits(void)
{
    return matrix_hypercall(MATRIX_EXITS, 0, 0, 0);
}

/* Exits of one kind so far; this one counts as a hypercall. */
static inline int64_t matrix_exits_of_kind(enum matrix_exit_kind kind)
{
    return matrix_hypercall(MATRIX_EXITS_OF_KIND, kind, 0, 0);
}

/* The guest-physical address behind a pointer. */
static inline int64_t matrix_gva_to_gpa(const volatile void *pointer)
{
    return matrix_hypercall(MATRIX_GVA_TO_GPA, (uint64_t)pointer, 0, 0);
}

/* The monitor's own (host-virtual) address of the byte behind a pointer. */
static inline int64_t matrix_gva_to_hva(const volatile void *pointer)
{
    return matrix_hypercall(MATRIX_GVA_TO_HVA, (uint64_t)pointer, 0, 0);
}

/* --- further vCPUs --------------------------------------------------------------------------- */

/*
 * Starts a vCPU that calls function(argument) on the given stack and stops when it returns.
 * The stack must stay untouched until then. Returns the new vCPU's index.
 */
int64_t matrix_vcpu_start(void (*function)(void *argument), void *argument, void *stack,
                          size_t stack_bytes);

/* Ends the calling vCPU; the last one ends the guest with status 0. */
__attribute__((noreturn)) static inline void matrix_vcpu_stop(void)
{
    matrix_hypercall(MATRIX_VCPU_STOP, 0, 0, 0);
    __builtin_unreachable();
}

static inline int64_t matrix_vcpu_index(void)
{
    return matrix_hypercall(MATRIX_VCPU_INDEX, 0, 0, 0);
}

/* --- the library ----------------------------------------------------------------------------- */

/* The longest text that one matrix_printf prints; what is longer is cut off. */
#define MATRIX_PRINTF_MAX 512

/*
 * Formats a text and prints it with a single hypercall. Knows %s %c %d %i %u %x %p %%, with
 * l, a width, 0 and -. Returns the length of what was printed.
 */
__attribute__((format(printf, 1, 2))) int64_t matrix_printf(const char *format, ...);

/* Reads a whole decimal or 0x-hexadecimal number. False if text is anything else. */
bool matrix_parse_u64(const char *text, uint64_t *value);

/* As in C. The compiler calls the first four by itself, also where the source does not. */
void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *bytes, int value, size_t length);
int memcmp(const void *left, const void *right, size_t length);
size_t strlen(const char *string);
int strcmp(const char *left, const char *right);

#endif
