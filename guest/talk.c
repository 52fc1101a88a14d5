// SPDX-License-Identifier: GPL-2.0-or-later
// Makes every hypercall, with good and bad arguments, and checks from inside what comes back. One
// line per check, a summary, status 0 if all is well. With --read it echoes its input instead.
#include <matrix/guest/sdk.h>

#define UNMAPPED      0x123456789000UL
#define KERNEL_HALF   0xffff800000000000UL
#define NON_CANONICAL 0x8000000000000000UL

static unsigned checks, failures;

static void check(bool holds, const char *what)
{
    checks++;
    failures += !holds;
    matrix_printf("%s %s\n", holds ? "ok  " : "FAIL", what);
}

static void check_equal(int64_t got, int64_t expected, const char *what)
{
    check(got == expected, what);
    if (got != expected)
        matrix_printf("     got %ld, expected %ld\n", got, expected);
}

/* --- the start-of-day page ------------------------------------------------------------------- */

/* The number of strings in a NULL-terminated list. */
static uint64_t count_strings(char **strings)
{
    uint64_t count = 0;

    while (strings[count])
        count++;
    return count;
}

static void check_start(int argc, char **argv, char **envp)
{
    const struct matrix_start *start = matrix_start();
    uint64_t here = (uint64_t)__builtin_frame_address(0);

    check_equal((int64_t)start->magic, MATRIX_START_MAGIC, "start page: magic");
    check_equal(start->version, MATRIX_ABI_VERSION, "start page: version");
    check(start->size >= sizeof(*start), "start page: size");
    check(*(const char *)start->name != '\0', "start page: the guest has a name");
    check_equal(argc, (int64_t)count_strings(argv), "start page: argc and argv agree");
    check_equal((int64_t)start->envc, (int64_t)count_strings(envp),
                "start page: envc and envp agree");
    check(here < start->stack_top && here >= start->stack_top - start->stack_bytes,
          "start page: this is the stack");
    check_equal(matrix_abi(), (int64_t)(start->version | start->features << 32),
                "abi: as in the start page");
    check_equal(matrix_memory_bytes(), (int64_t)start->memory_bytes,
                "memory_bytes: as in the start page");
}

static void check_heap(void)
{
    const struct matrix_start *start = matrix_start();
    volatile uint8_t *heap = (volatile uint8_t *)start->heap;

    check(start->heap_bytes >= 4096 && start->heap % 4096 == 0, "heap: pages of it");
    heap[0] = 1;
    heap[start->heap_bytes - 1] = 2;
    check(heap[0] == 1 && heap[start->heap_bytes - 1] == 2, "heap: writable to its last byte");
}

static void check_work(void)
{
    const uint64_t *work = (const uint64_t *)matrix_start()->work;
    uint64_t before = *work;

    matrix_work_add(42);
    check_equal((int64_t)(*work - before), 42, "work: counts");
}

/* --- output ---------------------------------------------------------------------------------- */

/* Prints a value on a line of its own, for whoever reads the output to compare. */
static void check_print(uint64_t number, uint64_t value, uint64_t base, const char *what)
{
    int64_t result = matrix_hypercall(number, value, base, 0);

    matrix_print_char('\n');
    check_equal(result, 0, what);
}

static void check_output(void)
{
    static const char greeting[] = "written\n";

    check_print(MATRIX_PRINT_U8, 0x1ff, 10, "print_u8: 255 above");
    check_print(MATRIX_PRINT_U8, 0x1ff, 16, "print_u8: 0xff above");
    check_print(MATRIX_PRINT_U32, 0x1ffffffff, 10, "print_u32: 4294967295 above");
    check_print(MATRIX_PRINT_U32, 0x1fffffffe, 16, "print_u32: 0xfffffffe above");
    check_print(MATRIX_PRINT_U64, UINT64_MAX, 10, "print_u64: 18446744073709551615 above");
    check_print(MATRIX_PRINT_U64, UINT64_MAX, 16, "print_u64: 0xffffffffffffffff above");
    check_print(MATRIX_PRINT_CHAR, '#', 0, "print_char: # above");
    check_equal(matrix_print_string("string\n"), 7, "print_string: its length");
    check_equal(matrix_print_string(""), 0, "print_string: the empty string");
    check_equal(matrix_write(greeting, sizeof(greeting) - 1), sizeof(greeting) - 1,
                "write: its length");
    check_equal(matrix_write(greeting, 0), 0, "write: nothing");
    check_equal(matrix_read((void *)matrix_start()->heap, 0), 0, "read: nothing");
}

/* --- bad arguments --------------------------------------------------------------------------- */

struct refusal {
    const char *what;
    uint64_t number, first, second, third;
    int64_t expected;
};

static void check_refusals(const struct refusal *refusals, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_equal(matrix_hypercall(refusals[i].number, refusals[i].first, refusals[i].second,
                                     refusals[i].third),
                    refusals[i].expected, refusals[i].what);
}

#define CHECK_REFUSALS(list) check_refusals(list, sizeof(list) / sizeof((list)[0]))

static void check_bad_numbers(void)
{
    static const struct refusal refusals[] = {
        {"hypercall: the first unknown", MATRIX_HYPERCALL_COUNT, 0, 0, 0, MATRIX_ENOSYS},
        {"hypercall: 255", 255, 0, 0, 0, MATRIX_ENOSYS},
        {"hypercall: known low bits", MATRIX_YIELD | 1UL << 32, 0, 0, 0, MATRIX_ENOSYS},
        {"hypercall: the largest", UINT64_MAX, 0, 0, 0, MATRIX_ENOSYS},
        {"print_u8: base 0", MATRIX_PRINT_U8, 1, 0, 0, MATRIX_EINVAL},
        {"print_u32: base 8", MATRIX_PRINT_U32, 1, 8, 0, MATRIX_EINVAL},
        {"print_u64: base 2^32 + 10", MATRIX_PRINT_U64, 1, 10 | 1UL << 32, 0, MATRIX_EINVAL},
        {"clock: the first unknown", MATRIX_CLOCK, MATRIX_CLOCK_CPU + 1, 0, 0, MATRIX_EINVAL},
        {"clock: the largest", MATRIX_CLOCK, UINT64_MAX, 0, 0, MATRIX_EINVAL},
        {"exits_of_kind: the first unknown", MATRIX_EXITS_OF_KIND, MATRIX_EXIT_KIND_COUNT, 0, 0,
         MATRIX_EINVAL},
        {"exits_of_kind: the largest", MATRIX_EXITS_OF_KIND, UINT64_MAX, 0, 0, MATRIX_EINVAL},
    };

    CHECK_REFUSALS(refusals);
}

static void check_bad_output(void)
{
    const struct matrix_start *start = matrix_start();
    uint64_t guard_end = start->stack_top - start->stack_bytes;
    const struct refusal refusals[] = {
        {"write: from 0", MATRIX_WRITE, 0, 1, 0, MATRIX_EFAULT},
        {"write: from unmapped memory", MATRIX_WRITE, UNMAPPED, 1, 0, MATRIX_EFAULT},
        {"write: from the kernel half", MATRIX_WRITE, KERNEL_HALF, 1, 0, MATRIX_EFAULT},
        {"write: not canonical", MATRIX_WRITE, NON_CANONICAL, 1, 0, MATRIX_EFAULT},
        {"write: around the end", MATRIX_WRITE, UINT64_MAX - 10, 100, 0, MATRIX_EFAULT},
        {"write: out of the guard page", MATRIX_WRITE, guard_end - 8, 16, 0, MATRIX_EFAULT},
        {"write: too long", MATRIX_WRITE, start->heap, MATRIX_BUFFER_MAX + 1, 0, MATRIX_E2BIG},
        {"write: length below zero", MATRIX_WRITE, start->heap, UINT64_MAX, 0, MATRIX_E2BIG},
        {"print_string: at 0", MATRIX_PRINT_STRING, 0, 0, 0, MATRIX_EFAULT},
        {"print_string: unmapped", MATRIX_PRINT_STRING, UNMAPPED, 0, 0, MATRIX_EFAULT},
        {"print_string: kernel half", MATRIX_PRINT_STRING, KERNEL_HALF, 0, 0, MATRIX_EFAULT},
        {"print_string: the last byte", MATRIX_PRINT_STRING, UINT64_MAX, 0, 0, MATRIX_EFAULT},
        {"print_string: endless", MATRIX_PRINT_STRING, start->heap, 0, 0, MATRIX_E2BIG},
    };

    if (start->heap_bytes <= MATRIX_BUFFER_MAX) {
        check(false, "heap: long enough for a string that is too long");
        return;
    }
    memset((void *)start->heap, 'x', MATRIX_BUFFER_MAX + 1);
    CHECK_REFUSALS(refusals);
}

static void check_bad_input(void)
{
    const struct matrix_start *start = matrix_start();
    uint64_t guard_end = start->stack_top - start->stack_bytes;
    const struct refusal refusals[] = {
        {"read: to 0", MATRIX_READ, 0, 1, 0, MATRIX_EFAULT},
        {"read: to unmapped memory", MATRIX_READ, UNMAPPED, 1, 0, MATRIX_EFAULT},
        {"read: to the kernel half", MATRIX_READ, KERNEL_HALF, 1, 0, MATRIX_EFAULT},
        {"read: around the end", MATRIX_READ, UINT64_MAX - 10, 100, 0, MATRIX_EFAULT},
        {"read: into the guard page", MATRIX_READ, guard_end - 8, 16, 0, MATRIX_EFAULT},
        {"read: to the program's text", MATRIX_READ, (uint64_t)check_bad_input, 1, 0,
         MATRIX_EFAULT},
        {"read: to the start page", MATRIX_READ, (uint64_t)start, 1, 0, MATRIX_EFAULT},
        {"read: too long", MATRIX_READ, start->heap, MATRIX_BUFFER_MAX + 1, 0, MATRIX_E2BIG},
    };

    if (start->features & MATRIX_FEATURE_READ)
        CHECK_REFUSALS(refusals);
    else
        check(matrix_read((void *)start->heap, 1) == 0, "read: at the end without an input");
}

/* --- registers and exits --------------------------------------------------------------------- */

static void check_registers(void)
{
    register uint64_t r8 __asm__("r8") = 8;
    register uint64_t r9 __asm__("r9") = 9;
    register uint64_t r10 __asm__("r10") = 10;
    register uint64_t r11 __asm__("r11") = 11;
    uint64_t rax = MATRIX_YIELD, rcx = 1, rdx = 2, rsi = 3, rdi = 4;
    float xmm = 5.0F;
    bool preserved;

    __asm__ volatile("outb %%al, %[port]"
                     : "+a"(rax), "+c"(rcx), "+d"(rdx), "+S"(rsi), "+D"(rdi), "+r"(r8), "+r"(r9),
                       "+r"(r10), "+r"(r11), "+x"(xmm)
                     : [port] "i"(MATRIX_HYPERCALL_PORT)
                     : "memory");
    /* In one go: the next call may use these registers. */
    // cppcheck-suppress knownConditionTrueFalse
    preserved = rcx == 1 && rdx == 2 && rsi == 3 && rdi == 4 && r8 == 8 && r9 == 9 && r10 == 10 &&
                r11 == 11 && xmm == 5.0F;
    check(rax == 0, "yield: 0");
    check(preserved, "registers: preserved, but for RAX");
}

static void check_exits(void)
{
    int64_t before = matrix_exits_of_kind(MATRIX_EXIT_KIND_HYPERCALL);
    int64_t after = matrix_exits_of_kind(MATRIX_EXIT_KIND_HYPERCALL);
    int64_t all_before, all_after, sum = 0;

    check_equal(after - before, 1, "exits_of_kind: a hypercall is one exit");
    all_before = matrix_exits();
    for (int kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        sum += matrix_exits_of_kind(kind);
    all_after = matrix_exits();
    /* Between the questions a signal may cause further exits, but never fewer. */
    check(all_after - all_before >= MATRIX_EXIT_KIND_COUNT + 1, "exits: one more per hypercall");
    check(sum > all_before && sum < all_after, "exits: the sum over all kinds");
    check_equal(matrix_exits_of_kind(MATRIX_EXIT_KIND_FAULT), 0, "exits_of_kind: no fault yet");
}

/* --- time ------------------------------------------------------------------------------------ */

static void check_clock(enum matrix_clock clock, const char *what)
{
    int64_t last = matrix_clock(clock);
    bool holds = last >= 0;

    for (int i = 0; i < 100; i++) {
        int64_t now = matrix_clock(clock);

        holds = holds && now >= last;
        last = now;
    }
    check(holds, what);
}

static void check_time(void)
{
    const int64_t nap = 20000000;
    int64_t before = matrix_clock(MATRIX_CLOCK_MONOTONIC);

    check_equal(matrix_sleep((uint64_t)nap), 0, "sleep: 0");
    check(matrix_clock(MATRIX_CLOCK_MONOTONIC) - before >= nap, "sleep: at least so long");
    check_equal(matrix_sleep(0), 0, "sleep: not at all");
    check_clock(MATRIX_CLOCK_MONOTONIC, "clock: monotonic never goes back");
    check_clock(MATRIX_CLOCK_CPU, "clock: CPU time never goes back");
    check(matrix_clock(MATRIX_CLOCK_REALTIME) > 1577836800000000000, "clock: 2020 is over");
}

/* --- addresses ------------------------------------------------------------------------------- */

static void check_translation(uint64_t number, const char *what)
{
    static uint8_t page[4096] __attribute__((aligned(4096)));
    int64_t first = matrix_hypercall(number, (uint64_t)&page[0], 0, 0);
    int64_t last = matrix_hypercall(number, (uint64_t)&page[4095], 0, 0);

    check(first >= 0 && last - first == 4095 && first % 4096 == 0, what);
}

static void check_addresses(void)
{
    static const struct refusal gpa_refusals[] = {
        {"gva_to_gpa: 0", MATRIX_GVA_TO_GPA, 0, 0, 0, MATRIX_EFAULT},
        {"gva_to_gpa: unmapped", MATRIX_GVA_TO_GPA, UNMAPPED, 0, 0, MATRIX_EFAULT},
        {"gva_to_gpa: kernel half", MATRIX_GVA_TO_GPA, KERNEL_HALF, 0, 0, MATRIX_EFAULT},
        {"gva_to_gpa: not canonical", MATRIX_GVA_TO_GPA, NON_CANONICAL, 0, 0, MATRIX_EFAULT},
    };
    static const struct refusal hva_refusals[] = {
        {"gva_to_hva: unmapped", MATRIX_GVA_TO_HVA, UNMAPPED, 0, 0, MATRIX_EFAULT},
        {"gva_to_hva: kernel half", MATRIX_GVA_TO_HVA, KERNEL_HALF, 0, 0, MATRIX_EFAULT},
    };

    check_translation(MATRIX_GVA_TO_GPA, "gva_to_gpa: a page is one page");
    check(matrix_gva_to_gpa(&checks) < matrix_memory_bytes(), "gva_to_gpa: within the memory");
    CHECK_REFUSALS(gpa_refusals);
    if (matrix_start()->features & MATRIX_FEATURE_HOST_ADDRESSES) {
        check_translation(MATRIX_GVA_TO_HVA, "gva_to_hva: a page is one page");
        CHECK_REFUSALS(hva_refusals);
    } else {
        check_equal(matrix_gva_to_hva(&checks), MATRIX_EPERM, "gva_to_hva: not allowed");
    }
}

/* --- a second vCPU --------------------------------------------------------------------------- */

enum { COUNT_LIMIT = 100000, PATIENCE_MS = 10000 };

static struct {
    uint64_t count;
    int64_t index;
} second;

static void count_up(void *argument)
{
    check(argument == &second, "vcpu_start: the argument arrives");
    second.index = matrix_vcpu_index();
    for (uint64_t count = 1; count <= COUNT_LIMIT; count++)
        __atomic_store_n(&second.count, count, __ATOMIC_RELEASE);
}

static void check_vcpus(void)
{
    static uint8_t stack[8192] __attribute__((aligned(16)));
    const uint64_t entry = (uint64_t)count_up, top = (uint64_t)stack + sizeof(stack);
    const struct refusal refusals[] = {
        {"vcpu_start: at 0", MATRIX_VCPU_START, 0, top, 0, MATRIX_EFAULT},
        {"vcpu_start: kernel half", MATRIX_VCPU_START, KERNEL_HALF, top, 0, MATRIX_EFAULT},
        {"vcpu_start: entry is data", MATRIX_VCPU_START, top - 8, top, 0, MATRIX_EFAULT},
        {"vcpu_start: stack unmapped", MATRIX_VCPU_START, entry, UNMAPPED, 0, MATRIX_EFAULT},
    };
    int64_t index;

    check_equal(matrix_vcpu_index(), 0, "vcpu_index: the first is 0");
    if (!(matrix_start()->features & MATRIX_FEATURE_VCPUS)) {
        check(matrix_vcpu_start(count_up, &second, stack, sizeof(stack)) < 0,
              "vcpu_start: refused without the feature");
        return;
    }
    CHECK_REFUSALS(refusals);
    index = matrix_vcpu_start(count_up, &second, stack, sizeof(stack));
    check_equal(index, 1, "vcpu_start: the second is 1");
    for (int ms = 0; ms < PATIENCE_MS; ms++) {
        if (__atomic_load_n(&second.count, __ATOMIC_ACQUIRE) == COUNT_LIMIT)
            break;
        matrix_sleep(1000000);
    }
    check_equal((int64_t)second.count, COUNT_LIMIT, "vcpu_start: it counts");
    check_equal(second.index, index, "vcpu_index: of the second");
}

/* --------------------------------------------------------------------------------------------- */

static int echo(void)
{
    static char buffer[4096];
    int64_t length;

    while ((length = matrix_read(buffer, sizeof(buffer))) > 0)
        matrix_write(buffer, (size_t)length);
    return length < 0;
}

int main(int argc, char **argv, char **envp)
{
    if (argc == 2 && strcmp(argv[1], "--read") == 0)
        return echo();
    check_start(argc, argv, envp);
    check_heap();
    check_work();
    check_output();
    check_bad_numbers();
    check_bad_output();
    check_bad_input();
    check_registers();
    check_exits();
    check_time();
    check_addresses();
    check_vcpus();
    matrix_printf("%u checks, %u failed\n", checks, failures);
    return failures != 0;
}
