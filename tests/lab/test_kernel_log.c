// SPDX-License-Identifier: GPL-2.0-or-later
/* What the lab takes for a complaint of the kernel, and what it shows of the log. No machine. */
#include "lab/kernel_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the above */
#include <cmocka.h>

/* Lines as kernels wrote them. */
static const char *const complaints[] = {
    "[    3.99] Kernel panic - not syncing: sysrq triggered crash",
    "[    1.00] WARNING: CPU: 0 PID: 1 at mm/slub.c:1 kfree+0x1/0x2",
    "[    1.00] WARNING: possible circular locking dependency detected",
    "[    1.00] WARNING: possible recursive locking detected",
    "[    1.00] WARNING: suspicious RCU usage",
    "[    1.00] INFO: possible recursive locking detected",
    "[    1.00] INFO: trying to register non-static key.",
    "[    1.00] BUG: unable to handle page fault for address: ffff888000000000",
    "[    1.00] BUG: KASAN: use-after-free in f+0x1/0x2 [m]",
    "[    1.00] BUG: sleeping function called from invalid context at mm/mmap.c:1",
    "[    1.00] BUG: scheduling while atomic: cat/1/0x2",
    "[    1.00] kernel BUG at mm/slub.c:1!",
    "[    1.00] Oops: 0002 [#1] PREEMPT SMP NOPTI",
    "[    1.00] general protection fault, probably for non-canonical address 0x1: 0000 [#1]",
    "[    1.00] divide error: 0000 [#1] PREEMPT SMP",
    "[    1.00] invalid opcode: 0000 [#1] PREEMPT SMP",
    "[    1.00] UBSAN: array-index-out-of-bounds in f.c:1:2",
    "[   30.00] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [cat:1]",
    "[  240.00] INFO: task cat:1 blocked for more than 120 seconds.",
    "[   30.00] rcu: INFO: rcu_preempt self-detected stall on CPU",
    "[   30.00] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks: { 0 }",
    "[    1.00] kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    "[    1.00] refcount_t: underflow; use-after-free.",
};

/* Faults of programs, remarks at boot, and what only looks like trouble. */
static const char *const harmless[] = {
    "[    3.89] traps: gp[149] general protection fault ip:5583 sp:7ffc error:0 in gp[5583+1000]",
    "[    3.89] gp[150]: segfault at 8 ip 00005583 sp 00007ffc error 6 in gp[5583+1000]",
    "[    3.89] traps: gp[151] trap invalid opcode ip:5583 sp:7ffc error:0 in gp[5583+1000]",
    "[    3.89] traps: gp[152] trap divide error ip:5583 sp:7ffc error:0 in gp[5583+1000]",
    "[    2.03] AMD-Vi: AMD IOMMUv2 functionality not available - This is not a bug.",
    "[    1.48] PCI: Using host bridge windows from ACPI; if necessary, report a bug",
    "[    1.00] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on",
    "[    1.00] kmemleak: Kernel memory leak detector initialized (mem pool available: 1)",
    "[    1.00] m: loading out-of-tree module taints kernel.",
    "[    1.00] m: module verification failed: signature and/or required key missing",
    "",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_lines(void **state)
{
    for (size_t i = 0; i < COUNT(complaints); i++)
        if (!kernel_log_line_is_complaint(complaints[i], strlen(complaints[i])))
            fail_msg("no complaint: %s", complaints[i]);
    for (size_t i = 0; i < COUNT(harmless); i++)
        if (kernel_log_line_is_complaint(harmless[i], strlen(harmless[i])))
            fail_msg("a complaint: %s", harmless[i]);
}

static struct kernel_log *open_log(void)
{
    struct kernel_log *log = NULL;
    assert_null(kernel_log_open(NULL, NULL, &log));
    return log;
}

static void append(struct kernel_log *log, const char *text)
{
    kernel_log_append(log, text, strlen(text));
}

/* What write puts into a stream; the caller frees it. */
static char *written(const struct kernel_log *log, void (*write)(const struct kernel_log *, FILE *))
{
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    assert_non_null(stream);
    write(log, stream);
    fclose(stream);
    return text;
}

static void write_last_two(const struct kernel_log *log, FILE *to)
{
    kernel_log_write_end(log, 2, to);
}

static void test_empty(void **state)
{
    struct kernel_log *log = open_log();
    assert_int_equal(kernel_log_count_complaints(log), 0);
    char *text = written(log, kernel_log_write_complaints);
    assert_string_equal(text, "");
    free(text);
    text = written(log, write_last_two);
    assert_string_equal(text, "");
    free(text);
    kernel_log_free(log);
}

static void test_context(void **state)
{
    struct kernel_log *log = open_log();
    char line[64];
    for (int i = 0; i < 100; i++) {
        snprintf(line, sizeof(line), i == 10 || i == 12 || i == 90 ? "BUG: %d\r\n" : "line %d\r\n",
                 i);
        append(log, line);
    }
    append(log, "cut off");
    assert_int_equal(kernel_log_count_complaints(log), 3);

    char *text = written(log, kernel_log_write_complaints);
    assert_int_equal(strncmp(text, "  line 5\n", 9), 0);
    assert_non_null(strstr(text, "\n  line 9\n> BUG: 10\n  line 11\n> BUG: 12\n  line 13\n"));
    assert_non_null(strstr(text, "\n  line 42\n  ...\n  line 85\n"));
    assert_non_null(strstr(text, "\n  line 89\n> BUG: 90\n  line 91\n"));
    assert_null(strchr(text, '\r'));
    free(text);

    text = written(log, write_last_two);
    assert_string_equal(text, "  line 99\n  cut off\n");
    free(text);
    kernel_log_free(log);
}

/* A line may come in pieces, and the complaint may be the very first line. */
static void test_pieces(void **state)
{
    struct kernel_log *log = open_log();
    append(log, "WARN");
    append(log, "ING: here\nnext");
    assert_int_equal(kernel_log_count_complaints(log), 1);
    char *text = written(log, kernel_log_write_complaints);
    assert_string_equal(text, "> WARNING: here\n  next\n");
    free(text);
    kernel_log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_context),
        cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
