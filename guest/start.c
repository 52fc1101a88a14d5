// SPDX-License-Identifier: MIT
/*
 * Where a guest begins, and where its further vCPUs begin. No assembly is needed: the monitor
 * enters both as a C function that was called. Every guest is linked with this and library.c.
 */
#include <matrix/guest/sdk.h>

/* Whoever has no use for the arguments may leave them out: they come in registers. */
int main(int argc, char **argv, char **envp);

const struct matrix_start *matrix_start_page;

/* The linker's default entry point. */
__attribute__((noreturn)) void _start(const struct matrix_start *start);

void _start(const struct matrix_start *start)
{
    matrix_start_page = start;
    matrix_exit(main((int)start->argc, (char **)start->argv, (char **)start->envp));
}

/* What a new vCPU shall do; it lies at the top of that vCPU's stack. */
struct call {
    void (*function)(void *argument);
    void *argument;
};

__attribute__((noreturn, force_align_arg_pointer)) static void vcpu_begin(const struct call *call)
{
    call->function(call->argument);
    matrix_vcpu_stop();
}

int64_t matrix_vcpu_start(void (*function)(void *argument), void *argument, void *stack,
                          size_t stack_bytes)
{
    uint64_t top = ((uint64_t)stack + stack_bytes - sizeof(struct call)) & ~15UL;

    *(struct call *)top = (struct call){function, argument};
    return matrix_hypercall(MATRIX_VCPU_START, (uint64_t)vcpu_begin, top, top);
}
