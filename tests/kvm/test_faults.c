// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each fault that guest/faulty.c can make ends that guest, and only it, with a report that says
 * what happened, where, and who called. The text of reports is for tests/cli.
 */
#include "tests/kvm/host.h"

#include <matrix/report.h>
#include <string.h>

#define VECTOR(number) (1U << (number))
#define NO_EXCEPTION   (1U << 31) /* ended by an exit, not by an exception */

struct expectation {
    const char *fault;
    /* More than one where a KVM without hardware behind it differs from a processor. */
    uint32_t vectors;
    const char *symbol; /* that the faulting instruction lies in; NULL: in none that is known */
    const char *caller; /* innermost in the stack trace */
    enum matrix_report_access access;
    bool mapped;
    const char *explanation;
};

static struct expectation expectations[] = {
    {"null", VECTOR(14), "fault_null", "third", MATRIX_ACCESS_READ, false, "a null pointer?"},
    {"page", VECTOR(14), "fault_page", "third", MATRIX_ACCESS_READ, false, "nothing is mapped"},
    {"kernel", VECTOR(14), "fault_kernel", "third", MATRIX_ACCESS_READ, true, "monitor's half"},
    {"protection", VECTOR(13), "fault_protection", "third", .explanation = "non-canonical"},
    {"write", VECTOR(14), "fault_write", "third", MATRIX_ACCESS_WRITE, true, "code, which is read"},
    {"jump", VECTOR(14), NULL, "fault_jump", MATRIX_ACCESS_EXECUTE, false, "jump to 0x1234567"},
    {"execute", VECTOR(14), "return_instruction", "fault_execute", MATRIX_ACCESS_EXECUTE, true,
     "not executable"},
    {"stack", VECTOR(14), "fault_stack", "fault_stack", MATRIX_ACCESS_WRITE, false, "overflowed"},
    {"stack-segment", VECTOR(12), "fault_stack_segment", "third", .explanation = "stack access"},
    {"stack-lost", VECTOR(6), "fault_stack_lost", "third", .explanation = "an instruction"},
    {"divide", VECTOR(0), "fault_divide", "third", .explanation = "division by zero"},
    {"opcode", VECTOR(6), "fault_opcode", "third", .explanation = "an instruction"},
    {"breakpoint", VECTOR(3), "fault_breakpoint", "third", .explanation = "INT3"},
    {"overflow", VECTOR(4), "fault_overflow", "third", .explanation = "INTO"},
    {"step", VECTOR(1), "fault_step", "third", .explanation = "RFLAGS.TF"},
    {"alignment", VECTOR(17), "fault_alignment", "third", .explanation = "unaligned"},
    {"x87", VECTOR(16), "fault_x87", "third", .explanation = "x87"},
    {"simd", VECTOR(19), "fault_simd", "third", .explanation = "MXCSR"},
    {"privileged", VECTOR(13), "fault_privileged", "third", .explanation = "privileged"},
    {"interrupts", VECTOR(13), "fault_interrupts", "third", .explanation = "privileged"},
    {"selector", VECTOR(13), "fault_selector", "third", .explanation = "segment selector"},
    {"port", VECTOR(13), "fault_port", "third", .explanation = "not permitted"},
    {"port-wide", VECTOR(13), "fault_port_wide", "third", .explanation = "not permitted"},
    {"port-in", NO_EXCEPTION, "fault_port_in", "third", .explanation = "input of 1 x 1 bytes"},
};

/* What QEMU's emulator of a processor does instead; no vector: the guest goes on unharmed. */
static const struct expectation emulated[] = {
    {"stack-segment", VECTOR(13), "fault_stack_segment", "third", .explanation = "non-canonical"},
    {"alignment", 0},
    {"simd", 0},
};

static const struct expectation *expectation_here(const struct expectation *expected)
{
    for (size_t i = 0; i < COUNT(emulated) && host_is_emulated(); i++)
        if (strcmp(emulated[i].fault, expected->fault) == 0)
            return &emulated[i];
    return expected;
}

static void assert_goes_on(const char *argument)
{
    struct test_guest guest = test_guest("faulty", argument);
    assert_int_equal(test_guest_run(&guest).end, MATRIX_CORE_ALL_ENDED);
    assert_contains(test_guest_text(&guest), "nothing happened");
    test_guest_destroy(&guest);
}

static struct matrix_report fault(const char *argument)
{
    struct test_guest guest = test_guest("faulty", argument);
    assert_int_equal(test_guest_run(&guest).end, MATRIX_CORE_ALL_ENDED);
    const struct matrix_report *report = matrix_vm_report(guest.vm);
    if (!report)
        fail_msg("no report; it printed: %s", test_guest_text(&guest));
    assert_int_equal(test_guest_info(&guest).state, MATRIX_VM_FAULTED);
    struct matrix_report copy = *report;
    test_guest_destroy(&guest);
    return copy;
}

/* The callers, from the given one outwards: the same for every fault. */
static void assert_traced(const struct matrix_report *report, const char *caller)
{
    static const char *const callers[] = {"third", "second", "first", "main", "_start"};
    unsigned frame = 0;
    assert_in_range(report->frame_count, 5, MATRIX_REPORT_FRAMES);
    assert_string_equal(report->frames[0].symbol, caller);
    while (strcmp(report->frames[frame].symbol, "third") != 0)
        if (++frame == report->frame_count)
            return; /* deeper than a report goes: fault_stack calls itself many times */
    for (size_t i = 0; i < COUNT(callers); i++)
        assert_string_equal(report->frames[frame + i].symbol, callers[i]);
    assert_int_equal(report->frame_count, frame + COUNT(callers));
}

static void fault_is_reported(void **state)
{
    const struct expectation *expected = expectation_here(*state);
    if (!expected->vectors) {
        assert_goes_on(expected->fault);
        return;
    }
    const struct matrix_report report = fault(expected->fault);

    assert_int_equal(report.magic, MATRIX_REPORT_MAGIC);
    assert_string_equal(report.guest, "faulty");
    assert_int_equal(report.vcpu, 0);
    assert_true(expected->vectors & (report.vector < 0 ? NO_EXCEPTION : VECTOR(report.vector)));
    assert_contains(report.explanation, expected->explanation);
    assert_int_equal(report.access, expected->access);
    assert_int_equal(report.access_mapped, expected->mapped);
    if (expected->symbol)
        assert_contains(report.rip_place.symbol, expected->symbol);
    else
        assert_string_equal(report.rip_place.symbol, "");
    assert_traced(&report, expected->caller);
    /* The program's state, and not that of the stub below it. */
    assert_int_equal(report.cs & 3, 3);
    assert_int_equal(report.ss & 3, 3);
    assert_true(report.rip < 0x800000000000);
}

/* --- what differs between machines, and is a report on all ----------------------------------- */

static void system_call_is_reported(void **state)
{
    const struct matrix_report report = fault("syscall");
    assert_true((VECTOR(6) | VECTOR(14)) & VECTOR(report.vector));
}

static void software_interrupt_is_reported(void **state)
{
    const struct matrix_report report = fault("int80");
    assert_true((VECTOR(6) | VECTOR(13)) & VECTOR(report.vector));
    assert_string_equal(report.rip_place.symbol, "fault_int80");
}

/* Some KVMs make single outputs of it, which are hypercalls with whatever RAX holds. */
static void string_output_does_no_harm(void **state)
{
    struct test_guest guest = test_guest("faulty", "port-string");
    test_guest_run(&guest);
    const struct matrix_report *report = matrix_vm_report(guest.vm);
    if (report)
        assert_string_equal(report->reason, "port I/O");
    else
        assert_int_equal(test_guest_info(&guest).state, MATRIX_VM_EXITED);
    test_guest_destroy(&guest);
}

/* --- details ------------------------------------------------------------------------------- */

static void report_has_the_code_and_the_stack(void **state)
{
    static const uint8_t ud2[] = {0x0f, 0x0b};
    const struct matrix_report report = fault("opcode");
    assert_int_equal(report.code_bytes, MATRIX_REPORT_CODE);
    assert_memory_equal(report.code, ud2, sizeof(ud2));
    assert_int_equal(report.stack_bytes, MATRIX_REPORT_STACK);
    /* Frame pointer and return address: the stack's first words, as the trace has them. */
    assert_memory_equal(report.stack + 8, &report.frames[0].address, 8);
}

static void report_has_the_registers_of_the_fault(void **state)
{
    struct matrix_report report = fault("page");
    assert_int_equal(report.cr2, 0x123456789000);
    assert_int_equal(report.access_place.address, 0x123456789000);
    assert_int_equal(report.rip_place.address, report.rip);
    assert_in_range(report.rsp, 0x6ffffff00000, 0x700000000000);

    report = fault("divide");
    assert_int_equal(report.rax, 1); /* the dividend */
    assert_int_equal(report.rdx, 0);

    report = fault("stack-lost");
    assert_int_equal(report.rsp, 0x8000000000000000);
    assert_int_equal(report.stack_bytes, 0);

    report = fault("selector");
    assert_int_equal(report.error_code, 0x1000);
}

static void report_without_code_has_none(void **state)
{
    const struct matrix_report report = fault("jump");
    assert_int_equal(report.rip, 0x123456789000);
    assert_int_equal(report.code_bytes, 0);
}

static void no_report_without_fault(void **state)
{
    struct test_guest guest = test_guest("hello");
    test_guest_run(&guest);
    assert_null(matrix_vm_report(guest.vm));
    test_guest_destroy(&guest);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[64];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(expectations); i++)
        tests[count++] = (struct CMUnitTest){.name = expectations[i].fault,
                                             .test_func = fault_is_reported,
                                             .initial_state = &expectations[i]};
    const struct CMUnitTest others[] = {
        cmocka_unit_test(system_call_is_reported),
        cmocka_unit_test(software_interrupt_is_reported),
        cmocka_unit_test(string_output_does_no_harm),
        cmocka_unit_test(report_has_the_code_and_the_stack),
        cmocka_unit_test(report_has_the_registers_of_the_fault),
        cmocka_unit_test(report_without_code_has_none),
        cmocka_unit_test(no_report_without_fault),
    };
    for (size_t i = 0; i < COUNT(others); i++)
        tests[count++] = others[i];
    return host_run_tests(argc, argv, "faults", tests, count);
}
