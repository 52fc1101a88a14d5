// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a program can and cannot reach: tests/kvm/guests/touch.c reads, writes or calls a place, and
 * either goes on or is ended by the exception that it should be.
 */
#include "tests/kvm/host.h"

#include <matrix/report.h>
#include <stdio.h>
#include <string.h>

enum { ALLOWED = -1, GENERAL_PROTECTION = 13, PAGE_FAULT = 14 };

static struct touch {
    const char *access, *place;
    int vector; /* or ALLOWED */
    bool mapped;
} touches[] = {
    /* Text is read-only and executable. */
    {"read", "text", ALLOWED},
    {"write", "text", PAGE_FAULT, true},
    {"call", "text", ALLOWED},
    /* Constants are neither. */
    {"read", "constant", ALLOWED},
    {"write", "constant", PAGE_FAULT, true},
    {"call", "constant", PAGE_FAULT, true},
    /* Data is no code. */
    {"read", "variable", ALLOWED},
    {"write", "variable", ALLOWED},
    {"call", "variable", PAGE_FAULT, true},
    {"read", "heap", ALLOWED},
    {"write", "heap", ALLOWED},
    {"call", "heap", PAGE_FAULT, true},
    {"read", "heap-end", PAGE_FAULT, false},
    {"write", "heap-end", PAGE_FAULT, false},
    {"read", "stack", ALLOWED},
    {"write", "stack", ALLOWED},
    {"call", "stack", PAGE_FAULT, true},
    {"read", "guard", PAGE_FAULT, false},
    {"write", "guard", PAGE_FAULT, false},
    /* The start-of-day page is the monitor's word; the counter in it is the program's. */
    {"read", "start", ALLOWED},
    {"write", "start", PAGE_FAULT, true},
    {"call", "start", PAGE_FAULT, true},
    {"write", "argument", PAGE_FAULT, true},
    {"write", "work", ALLOWED},
    {"call", "work", PAGE_FAULT, true},
    /* Nothing is mapped at null, or near it. */
    {"read", "0", PAGE_FAULT, false},
    {"write", "0", PAGE_FAULT, false},
    {"call", "0", PAGE_FAULT, false},
    {"read", "0xffff", PAGE_FAULT, false},
    /* The stub: code, IDT, GDT, TSS with I/O bitmap and ring-0 stack (vmm/x86_64/system.h). */
    {"read", "0xffff800000000000", PAGE_FAULT, true},
    {"write", "0xffff800000000000", PAGE_FAULT, true},
    {"call", "0xffff800000000000", PAGE_FAULT, true},
    {"read", "0xffff800000001000", PAGE_FAULT, true},
    {"write", "0xffff800000001000", PAGE_FAULT, true},
    {"read", "0xffff800000002000", PAGE_FAULT, true},
    {"write", "0xffff800000002000", PAGE_FAULT, true},
    {"read", "0xffff800000003000", PAGE_FAULT, true},
    {"write", "0xffff800000003000", PAGE_FAULT, true},
    {"write", "0xffff800000003ff8", PAGE_FAULT, true},
    /* The page tables behind it are mapped nowhere, nor is memory at its physical address. */
    {"read", "0xffff800000013000", PAGE_FAULT, false},
    {"write", "0xffff800000013000", PAGE_FAULT, false},
    {"write", "0xc0000000", PAGE_FAULT, false},
    {"write", "0xfee00000", PAGE_FAULT, false},
    {"read", "0xffffffffffffffff", PAGE_FAULT, false},
    {"read", "0x800000000000", GENERAL_PROTECTION, false},
    {"write", "0xffff7fffffffffff", GENERAL_PROTECTION, false},
};

static void place_is_protected(void **state)
{
    static const struct {
        const char *access;
        enum matrix_report_access kind;
    } kinds[] = {
        {"read", MATRIX_ACCESS_READ},
        {"write", MATRIX_ACCESS_WRITE},
        {"call", MATRIX_ACCESS_EXECUTE},
    };
    const struct touch *touch = *state;
    if (touch->vector == ALLOWED) {
        assert_exits(test_guest("touch", touch->access, touch->place), 0);
        return;
    }
    struct test_guest guest = test_guest("touch", touch->access, touch->place);
    test_guest_run(&guest);
    const struct matrix_report *report = matrix_vm_report(guest.vm);
    assert_non_null(report);
    assert_int_equal(report->vector, touch->vector);
    for (size_t i = 0; i < COUNT(kinds) && touch->vector == PAGE_FAULT; i++)
        if (strcmp(kinds[i].access, touch->access) == 0)
            assert_int_equal(report->access, kinds[i].kind);
    assert_int_equal(report->access_mapped, touch->mapped);
    test_guest_destroy(&guest);
}

int main(int argc, char **argv)
{
    static char names[COUNT(touches)][64];
    struct CMUnitTest tests[COUNT(touches)];
    for (size_t i = 0; i < COUNT(touches); i++) {
        snprintf(names[i], sizeof(names[i]), "%s %s: %s", touches[i].access, touches[i].place,
                 touches[i].vector == ALLOWED ? "allowed" : "refused");
        tests[i] = (struct CMUnitTest){
            .name = names[i], .test_func = place_is_protected, .initial_state = &touches[i]};
    }
    return host_run_tests(argc, argv, "protection", tests, COUNT(tests));
}
