// SPDX-License-Identifier: GPL-2.0-or-later
// Does one forbidden thing, as its argument says; without an argument it lists them. For tests of
// fault reports: the fault lies below main, first, second and third in the stack trace.
#include <matrix/guest/sdk.h>

/* Addresses that are certainly not mapped, or not for the program. */
#define UNMAPPED      0x123456789000UL
#define KERNEL_HALF   0xffff800000000000UL
#define NON_CANONICAL 0x8000000000000000UL

enum {
    FLAG_TRAP = 1 << 8,              /* EFLAGS.TF */
    FLAG_ALIGNMENT = 1 << 18,        /* EFLAGS.AC */
    MXCSR_ZERO_DIVIDE = 0x1d80,      /* the reset value, but with ZM clear */
    X87_CONTROL_ZERO_DIVIDE = 0x37b, /* likewise */
};

/*
 * A fault is plain assembly, so that the compiler cannot see what it would be free to leave out.
 * The empty statement keeps a frame in so small a function: without one the stack trace would
 * not have its caller.
 */
#define FAULT(...)                                                \
    do {                                                          \
        __asm__ volatile("" : : "r"(__builtin_frame_address(0))); \
        __asm__ volatile(__VA_ARGS__);                            \
    } while (0)

static inline void read_at(uint64_t address)
{
    FAULT("movq (%0), %%rax" : : "r"(address) : "rax", "memory");
}

static inline void call_at(uint64_t address)
{
    FAULT("call *%0" : : "r"(address) : "memory");
}

/* Sets a flag. Steps over the red zone, where the compiler may keep variables. */
#define SET_FLAG(flag)                                                                 \
    FAULT("subq $128, %%rsp\n\tpushfq\n\torq %0, (%%rsp)\n\tpopfq\n\taddq $128, %%rsp" \
          :                                                                            \
          : "i"(flag)                                                                  \
          : "cc", "memory")

static void fault_null(void)
{
    read_at(0);
}

static void fault_page(void)
{
    read_at(UNMAPPED);
}

static void fault_kernel(void)
{
    read_at(KERNEL_HALF);
}

static void fault_protection(void)
{
    read_at(NON_CANONICAL);
}

static void fault_write(void)
{
    FAULT("movb $0, (%0)" : : "r"(fault_write) : "memory");
}

static void fault_jump(void)
{
    call_at(UNMAPPED);
}

static void fault_execute(void)
{
    static uint8_t return_instruction[] = {0xc3};

    call_at((uint64_t)return_instruction);
}

/* A frame is smaller than the guard page, so that no call steps over it. */
static void fault_stack(void)
{
    volatile uint8_t frame[1024];

    frame[0] = 0;
    if (frame[0] == 0)
        fault_stack();
    frame[1] = 0; /* so that the call above is not the last thing, and not a loop */
}

/* Addresses made from RSP or RBP use the stack segment: SDM vol. 3, 6.15, #SS. */
static void fault_stack_segment(void)
{
    FAULT("movq (%%rsp, %0), %%rax" : : "r"(NON_CANONICAL) : "rax", "memory");
}

/* A fault with no stack to put anything on, and none to trace. */
static void fault_stack_lost(void)
{
    FAULT("movq %0, %%rsp\n\tud2" : : "r"(NON_CANONICAL) : "memory");
}

static void fault_divide(void)
{
    FAULT("xorl %%edx, %%edx\n\tdivl %0" : : "r"(0), "a"(1) : "rdx", "cc");
}

static void fault_opcode(void)
{
    FAULT("ud2");
}

static void fault_breakpoint(void)
{
    FAULT("int3");
}

static void fault_overflow(void)
{
    FAULT("int $4");
}

static void fault_step(void)
{
    SET_FLAG(FLAG_TRAP);
}

static void fault_alignment(void)
{
    static uint64_t words[2];

    SET_FLAG(FLAG_ALIGNMENT);
    read_at((uint64_t)words + 1);
}

static void fault_x87(void)
{
    uint16_t control = X87_CONTROL_ZERO_DIVIDE;

    FAULT("fninit\n\tfldcw %0\n\tfldz\n\tfld1\n\tfdiv %%st(1), %%st\n\tfwait"
          :
          : "m"(control)
          : "st", "st(1)");
}

static void fault_simd(void)
{
    uint32_t control = MXCSR_ZERO_DIVIDE;
    float one = 1.0F, zero = 0.0F;

    FAULT("ldmxcsr %1\n\tdivss %2, %0" : "+x"(one) : "m"(control), "x"(zero));
}

static void fault_privileged(void)
{
    FAULT("hlt");
}

static void fault_interrupts(void)
{
    FAULT("cli");
}

static void fault_selector(void)
{
    FAULT("movl %0, %%ds" : : "r"(0x1000));
}

static void fault_syscall(void)
{
    FAULT("syscall" : : "a"(0) : "rcx", "r11", "memory");
}

static void fault_int80(void)
{
    FAULT("int $0x80" : : "a"(0) : "memory");
}

static void fault_port(void)
{
    FAULT("outb %%al, $0x80" : : "a"(0));
}

static void fault_port_wide(void)
{
    FAULT("outl %%eax, %0" : : "i"(MATRIX_HYPERCALL_PORT), "a"(0));
}

static void fault_port_in(void)
{
    FAULT("inb %0, %%al" : : "i"(MATRIX_HYPERCALL_PORT) : "rax");
}

static void fault_port_string(void)
{
    const char *bytes = "0123456789";
    uint64_t count = 10;

    FAULT("rep outsb" : "+S"(bytes), "+c"(count) : "d"(MATRIX_HYPERCALL_PORT));
}

static void spin(void)
{
    for (;;)
        matrix_work_add(1);
}

static const struct fault {
    const char *name;
    void (*cause)(void);
    const char *description;
} faults[] = {
    {"null", fault_null, "reads at address 0"},
    {"page", fault_page, "reads where nothing is mapped"},
    {"kernel", fault_kernel, "reads in the kernel's half of the address space"},
    {"protection", fault_protection, "reads at an address that is not canonical"},
    {"write", fault_write, "writes to the program's text"},
    {"jump", fault_jump, "calls where nothing is mapped"},
    {"execute", fault_execute, "calls into the program's data"},
    {"stack", fault_stack, "calls itself until the stack ends"},
    {"stack-segment", fault_stack_segment, "reads a stack address that is not canonical"},
    {"stack-lost", fault_stack_lost, "executes ud2 without a usable stack pointer"},
    {"divide", fault_divide, "divides by zero"},
    {"opcode", fault_opcode, "executes ud2"},
    {"breakpoint", fault_breakpoint, "executes int3"},
    {"overflow", fault_overflow, "executes int $4"},
    {"step", fault_step, "sets the trap flag"},
    {"alignment", fault_alignment, "asks for alignment checks, and reads an unaligned word"},
    {"x87", fault_x87, "divides by zero on the x87 with that exception unmasked"},
    {"simd", fault_simd, "divides by zero in SSE with that exception unmasked"},
    {"privileged", fault_privileged, "executes hlt"},
    {"interrupts", fault_interrupts, "executes cli"},
    {"selector", fault_selector, "loads a segment that does not exist"},
    {"syscall", fault_syscall, "executes syscall"},
    {"int80", fault_int80, "executes int $0x80"},
    {"port", fault_port, "writes to port 0x80"},
    {"port-wide", fault_port_wide, "writes four bytes to the hypercall port"},
    {"port-in", fault_port_in, "reads from the hypercall port"},
    {"port-string", fault_port_string, "writes a string to the hypercall port"},
    {"spin", spin, "no fault, but no end either"},
};

enum { FAULT_COUNT = sizeof(faults) / sizeof(faults[0]) };

/* The empty statement behind each call keeps it from becoming a jump without a frame. */
#define KEEP_FRAME() __asm__ volatile("")

__attribute__((noipa)) static void third(const struct fault *fault)
{
    fault->cause();
    KEEP_FRAME();
}

__attribute__((noipa)) static void second(const struct fault *fault)
{
    third(fault);
    KEEP_FRAME();
}

__attribute__((noipa)) static void first(const struct fault *fault)
{
    second(fault);
    KEEP_FRAME();
}

int main(int argc, char **argv, char **envp)
{
    for (int i = 0; i < FAULT_COUNT; i++) {
        if (argc != 2) {
            matrix_printf("%-13s  %s\n", faults[i].name, faults[i].description);
        } else if (strcmp(argv[1], faults[i].name) == 0) {
            first(&faults[i]);
            matrix_printf("faulty: %s: nothing happened\n", argv[1]);
            return 1;
        }
    }
    if (argc == 2)
        matrix_printf("faulty: %s: no such fault\n", argv[1]);
    return argc == 1 ? 0 : 2;
}
