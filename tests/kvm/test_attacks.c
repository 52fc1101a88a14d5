// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What guests can do to each other: for each attack, two neighbours keep their contract to within the bound
 * of docs/cloud.md at every stay on the core, find their memory as it was and end as they should; and the
 * attacker's end or limit is the documented one. A line of JSON for each has the figures: docs/attacks.md.
 */
#include "tests/kvm/attack_scene.h"

#include "vmm/vm.h"
#include "vmm/x86_64/system.h"
#include <math.h>
#include <string.h>

#define BOUND_NS (LAG_BOUND_SLICES * MATRIX_SLICE_DEFAULT_NS)

/* Against all contracts, the lags of the two others count as well, by its weight: 70 and 30 of 200. */
static const double guaranteed_bounds_ns[] = {(1 + 2 * 0.35) * BOUND_NS, (1 + 2 * 0.15) * BOUND_NS};

/* One stay in so many may be charged more than it lasted: the two clocks are not read at the same moment, and
 * the host may take the core away in between. */
#define OVERCHARGED_PART 50

/* Long stays that are enough to compare what was charged for them; and how much it has to be at least. */
#define LASTED_LEAST_NS (50.0 * MATRIX_SLICE_DEFAULT_NS)
#define CHARGE_LEAST    0.25

/* --- what only somebody with the monitor's memory in hand can do ------------------------------- */

#define OUTSIDE_GVA 0x600000400000 /* as in guests/attack.c */
#define OUTSIDE_GPA (8ULL << 30)   /* beyond all memory */

#define ENTRY_LARGE      (1ULL << 7)
#define ENTRY_NO_EXECUTE (1ULL << 63)
#define ENTRY_FLAGS      0xfffULL

static uint8_t *system_page(struct matrix_vm *vm, unsigned page)
{
    uint8_t *bytes = memory_at(&vm->memory, SYSTEM_GPA + page * PAGE_BYTES, PAGE_BYTES);
    assert_non_null(bytes);
    return bytes;
}

/* No exception can be delivered any more, nor the one that says so: a triple fault. */
static void lose_idt(struct matrix_vm *vm)
{
    memset(system_page(vm, 1), 0, PAGE_BYTES);
}

/* The handler of #UD (SDM vol. 3, 6.14.1) becomes cli; jmp . at CPL 0. */
static void spin_in_ring_0(struct matrix_vm *vm)
{
    static const uint8_t code[] = {0xfa, 0xeb, 0xfe};
    const uint8_t *gate = system_page(vm, 1) + 6 * 16;
    const unsigned entry = (gate[0] | gate[1] << 8) % PAGE_BYTES;
    memcpy(system_page(vm, 0) + entry, code, sizeof(code));
}

/* A page of the heap is mapped to where there is no memory. */
static void map_outside(struct matrix_vm *vm)
{
    uint64_t table = vm->paging.root_gpa;
    for (int level = 3;; level--) {
        uint64_t *entries = memory_at(&vm->memory, table, PAGE_BYTES);
        assert_non_null(entries);
        uint64_t *entry = &entries[OUTSIDE_GVA >> (12 + 9 * level) & 511];
        if (level == 0 || *entry & ENTRY_LARGE) {
            *entry = (*entry & ENTRY_FLAGS) | OUTSIDE_GPA;
            return;
        }
        table = *entry & ~ENTRY_FLAGS & ~ENTRY_NO_EXECUTE;
    }
}

/* --- attacks ----------------------------------------------------------------------------------- */

static const char *const all_faults[] = {
    "null",     "page",  "kernel",     "protection", "write",      "jump",
    "execute",  "stack", "stack-lost", "divide",     "opcode",     "breakpoint",
    "overflow", "step",  "x87",        "privileged", "interrupts", "selector",
    "syscall",  "int80", "port",       "port-wide",  "port-in",    NULL,
};

#define ATTACK(what) .argv = ARGUMENTS("attack", what)

static struct attack attacks[] = {
    {"nothing", .argv = ARGUMENTS("spin")},
    {"every fault, one after the other", .argv = ARGUMENTS("faulty", "null"), .next = all_faults,
     .state = MATRIX_VM_FAULTED, .lives_least = COUNT(all_faults) - 1},
    {"a triple fault", .argv = ARGUMENTS("faulty", "opcode"), .tamper = lose_idt,
     .state = MATRIX_VM_FAULTED, .explanation = "triple fault", .lives_least = 2},
    {"spins in ring 0, interrupts off", .argv = ARGUMENTS("faulty", "opcode"),
     .tamper = spin_in_ring_0},
    {"reads outside its memory", ATTACK("read-outside"), .tamper = map_outside,
     .state = MATRIX_VM_FAULTED, .explanation = "not there", .lives_least = 2},
    {"writes outside its memory", ATTACK("write-outside"), .tamper = map_outside,
     .state = MATRIX_VM_FAULTED, .explanation = "not there", .lives_least = 2},
    {"executes outside its memory", ATTACK("execute-outside"), .tamper = map_outside,
     .state = MATRIX_VM_FAULTED, .lives_least = 2},
    {"ends badly at once, always", ATTACK("fail"), .state = MATRIX_VM_EXITED, .lives_least = 2},
    {"hypercalls", ATTACK("calls")},
    {"unknown hypercalls", ATTACK("unknown-calls")},
    {"hypercalls with bad pointers", ATTACK("bad-pointers")},
    {"hypercalls at random", .argv = ARGUMENTS("random", "1000000", "7", "wild"),
     .may_end_anyhow = true},
    {"lines to nobody, dropped", ATTACK("long-lines"), .drops = true},
    {"lines to nobody, waiting", ATTACK("long-lines"), .rests = true, .output = ATTACK_WAITS},
    {"lines beyond its rate", .argv = ARGUMENTS("chatter"), .output = ATTACK_TERMINAL,
     .drops = true},
    {"empty lines", ATTACK("characters"), .output = ATTACK_TERMINAL, .drops = true},
    {"64 KiB without a line's end", ATTACK("long-writes"), .output = ATTACK_TERMINAL,
     .drops = true},
    {"64 KiB of control characters", ATTACK("controls"), .output = ATTACK_TERMINAL, .drops = true},
    {"sleeps of a nanosecond", ATTACK("sleeps"), .rests = true},
    {"sleeps of 20 us", ATTACK("naps"), .rests = true},
    {"leaves before its slice is over", ATTACK("dodge"), .rests = true},
    {"yields", ATTACK("yields")},
    {"16 virtual CPUs", ATTACK("vcpus")},
    {"writes to all of 256 MiB", ATTACK("fill-memory"), .memory_bytes = 256 << 20},
};

/* In slices, which times mean something by. */
static double slices(double first_ns, double second_ns)
{
    return fmax(first_ns, second_ns) / MATRIX_SLICE_DEFAULT_NS;
}

/* What a nanosecond of the attacker's cost it, against what one of the neighbours' cost them: what a guest's exits
 * take is its own. Other load on the machine makes it less for both; what it took at once for longest
 * is left out. */
static double relative_charge(const struct attack_result *result)
{
    const double lasted_ns = (double)(result->lasted_ns[1] - result->away_ns[1]);
    if (lasted_ns < LASTED_LEAST_NS)
        return 1;
    const double neighbours =
        (double)result->charged_ns[0] / (double)(result->lasted_ns[0] - result->away_ns[0]);
    return (double)result->charged_ns[1] / lasted_ns / neighbours;
}

static void print_figures(const struct attack *attack, const struct attack_result *result)
{
    const struct lag *least = result->guaranteed;
    print_message("# {\"attack\":\"%s\",\"stays\":%lu,\"cpu_ns\":%lu,\"loop_share\":%.4f,"
                  "\"attacker_share\":%.4f,\"share_error_pp\":%.4f,",
                  attack->name, result->stays, result->total_ns, result->loop_share,
                  result->attacker_share, 100 * (result->share - 0.7));
    print_message("\"worst_lag_slices\":%.3f,\"worst_lag_less_overruns_slices\":%.3f,"
                  "\"worst_shortfall_slices\":%.3f,"
                  "\"worst_shortfall_less_overruns_slices\":%.3f,",
                  slices(result->mutual.worst_ns, 0), slices(result->mutual.beyond_ns, 0),
                  slices(least[0].worst_ns, least[1].worst_ns),
                  slices(least[0].beyond_ns, least[1].beyond_ns));
    print_message("\"relative_charge\":%.3f,\"overcharged_stays\":%lu,"
                  "\"attacker_lives\":%lu,\"attacker_exits\":%lu,"
                  "\"dropped_lines\":%lu}\n",
                  relative_charge(result), result->overcharges, result->lives, result->exits,
                  result->dropped_lines);
}

static void assert_neighbours(const struct attack_result *result)
{
    static const int exits[] = ATTACK_NEIGHBOUR_EXITS;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(result->ended[i].state, MATRIX_VM_EXITED);
        assert_int_equal(result->ended[i].status, exits[i]);
        assert_true(result->unharmed[i]);
        assert_true(result->guaranteed[i].beyond_ns <= guaranteed_bounds_ns[i]);
    }
    assert_true(result->mutual.beyond_ns <= BOUND_NS);
    assert_true(result->is_exact);
    assert_true(result->overcharges <= result->stays / OVERCHARGED_PART);
}

static void neighbours_keep_their_contract(void **state)
{
    const struct attack *attack = *state;
    const struct attack_result result = attack_run(attack);
    print_figures(attack, &result);
    assert_neighbours(&result);
    assert_true(attack->rests || relative_charge(&result) >= CHARGE_LEAST);
    assert_true(attack->may_end_anyhow || result.state == attack->state);
    assert_true(result.lives >= attack->lives_least);
    assert_int_equal(result.unexplained, 0);
    if (attack->state == MATRIX_VM_FAULTED)
        assert_int_equal(result.faults, result.lives);
    assert_true(attack->drops == (result.dropped_lines > 0));
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[COUNT(attacks)];
    for (size_t i = 0; i < COUNT(attacks); i++)
        tests[i] = (struct CMUnitTest){.name = attacks[i].name,
                                       .test_func = neighbours_keep_their_contract,
                                       .initial_state = &attacks[i]};
    return host_run_tests(argc, argv, "attacks", tests, COUNT(tests));
}
