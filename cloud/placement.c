// SPDX-License-Identifier: GPL-2.0-or-later
/* The books of who is on which core, and where somebody new goes. placement.h says what is promised. */
#include "cloud/placement_books.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "cloud/policy.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PERCENT(ppm) ((double)(ppm)*100 / PLACEMENT_MILLION)

struct matrix_error *placement_create(unsigned cores, struct placement **result)
{
    if (cores < 1 || cores > PLACEMENT_CORES_MAX)
        return error_usage("use 1 to 1024", "%u cores", cores);
    struct placement *placement = calloc(1, sizeof(*placement));
    if (placement)
        placement->cores = calloc(cores, sizeof(*placement->cores));
    if (!placement || !placement->cores) {
        free(placement);
        return error_host(ENOMEM, "place guests on %u cores", cores);
    }
    placement->core_count = cores;
    level_init(placement);
    *result = placement;
    return NULL;
}

void placement_destroy(struct placement *placement)
{
    if (!placement)
        return;
    level_release(placement);
    free(placement->cores);
    free(placement);
}

/* --- what is refused ------------------------------------------------------------------------------ */

struct matrix_error *placement_check(const struct placement *placement, const char *name,
                                     const struct placement_contract *contract)
{
    const uint32_t ceiling = contract->ceiling_ppm ? contract->ceiling_ppm : PLACEMENT_MILLION;
    if (contract->weight < 1 || contract->weight > POLICY_WEIGHT_MAX)
        return error_usage("use 1 to 10000", "weight %u of %s", contract->weight, name);
    if (ceiling > PLACEMENT_MILLION)
        return error_usage("use 100% or less", "the ceiling of %s, %g %%, is more than a core",
                           name, PERCENT(ceiling));
    if (contract->floor_ppm > ceiling)
        return error_usage("a floor is at most the ceiling",
                           "the floor of %s, %g %%, is above its ceiling of %g %%", name,
                           PERCENT(contract->floor_ppm), PERCENT(ceiling));
    if (contract->pinned && contract->core >= placement->core_count)
        return error_usage("cores are counted from 0", "%s is pinned to core %u of %u", name,
                           contract->core, placement->core_count);
    return NULL;
}

bool placement_has_room(const struct placement *placement, unsigned core, uint32_t floor_ppm)
{
    return placement->cores[core].floors + floor_ppm <= PLACEMENT_MILLION;
}

#define CORES_NAMED_MAX 8

/* "core 3: 55 %, core 0: 70 %", those with most room first. */
static void print_floors(FILE *file, const struct placement *placement)
{
    uint64_t after = 0; /* the last that was printed: its sum, and its number */
    unsigned last = 0, printed = 0;
    for (; printed < placement->core_count && printed < CORES_NAMED_MAX; printed++) {
        unsigned best = PLACEMENT_NOWHERE;
        for (unsigned k = 0; k < placement->core_count; k++) {
            const uint64_t floors = placement->cores[k].floors;
            const bool is_after = !printed || floors > after || (floors == after && k > last);
            if (is_after && (best == PLACEMENT_NOWHERE || floors < placement->cores[best].floors))
                best = k;
        }
        after = placement->cores[best].floors;
        last = best;
        fprintf(file, "%score %u: %g %%", printed ? ", " : "", best, PERCENT(after));
    }
    if (printed < placement->core_count)
        fprintf(file, ", %u others: no less", placement->core_count - printed);
}

/* Where there is one core, as that one says it itself: who has promises there. */
static struct matrix_error *refuse_only_core(const struct placement_core *core, const char *name,
                                             const struct placement_contract *contract)
{
    CLEANUP_FREE char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    if (!file)
        return error_host(errno, "add up floors");
    unsigned printed = 0;
    uint64_t others = 0;
    for (const struct placement_item *item = core->items; item; item = item->next) {
        if (!item->contract.floor_ppm)
            continue;
        if (printed++ < CORES_NAMED_MAX)
            fprintf(file, "%s %g %% + ", item->name, PERCENT(item->contract.floor_ppm));
        else
            others += item->contract.floor_ppm;
    }
    if (others)
        fprintf(file, "%u others %g %% + ", printed - CORES_NAMED_MAX, PERCENT(others));
    fprintf(file, "%s %g %% = %g %%", name, PERCENT(contract->floor_ppm),
            PERCENT(core->floors + contract->floor_ppm));
    if (fclose(file))
        return error_host(ENOMEM, "add up floors");
    return error_usage("lower some floors, or use more cores",
                       "the floors pass 100 %% of the core: %s", text);
}

struct matrix_error *placement_refuse(const struct placement *placement, const char *name,
                                      const struct placement_contract *contract)
{
    CLEANUP_FREE char *text = NULL;
    size_t bytes = 0;
    if (placement->core_count == 1)
        return refuse_only_core(&placement->cores[0], name, contract);
    if (contract->pinned) {
        const double floors = PERCENT(placement->cores[contract->core].floors);
        return error_usage("lower some floors, or pin it to another core",
                           "core %u, which %s is pinned to, has no room for its floor: "
                           "%g %% + %g %% = %g %%",
                           contract->core, name, floors, PERCENT(contract->floor_ppm),
                           floors + PERCENT(contract->floor_ppm));
    }
    FILE *file = open_memstream(&text, &bytes);
    if (!file)
        return error_host(errno, "add up floors");
    print_floors(file, placement);
    if (fclose(file))
        return error_host(ENOMEM, "add up floors");
    return error_usage("lower some floors, pin less, or use more cores",
                       "no core has room for the floor of %s, %g %%; floors are %s", name,
                       PERCENT(contract->floor_ppm), text);
}

/* --- who is where ----------------------------------------------------------------------------------- */

static void come(struct placement *placement, struct placement_item *item, unsigned number)
{
    struct placement_core *core = &placement->cores[number];
    item->core = number;
    item->prev = NULL;
    item->next = core->items;
    if (item->next)
        item->next->prev = item;
    core->items = item;
    core->floors += item->contract.floor_ppm;
    level_count(&core->sums, item);
}

static void go(struct placement *placement, struct placement_item *item)
{
    struct placement_core *core = &placement->cores[item->core];
    if (item->prev)
        item->prev->next = item->next;
    else
        core->items = item->next;
    if (item->next)
        item->next->prev = item->prev;
    core->floors -= item->contract.floor_ppm;
    level_discount(&core->sums, item);
    item->core = PLACEMENT_NOWHERE;
}

void placement_put(struct placement *placement, struct placement_item *item, unsigned core)
{
    if (item->core == core)
        return;
    go(placement, item);
    come(placement, item, core);
}

/* Whether a core with that load is better than the best so far, for somebody with that floor. */
static bool is_better(const struct placement *placement, unsigned core, uint64_t load,
                      unsigned best, uint64_t best_load, uint32_t floor_ppm)
{
    const uint64_t enough = PLACEMENT_CORE + 1000; /* rounding adds up */
    if (best == PLACEMENT_NOWHERE)
        return true;
    if (floor_ppm && load <= enough && best_load <= enough) {
        const uint64_t floors = placement->cores[core].floors;
        const uint64_t best_floors = placement->cores[best].floors;
        return floors > best_floors || (floors == best_floors && load < best_load);
    }
    return load < best_load;
}

/* The core for an item that is on none, and takes part in the ideal; PLACEMENT_NOWHERE: none has room. */
static unsigned choose(const struct placement *placement, const struct placement_item *item)
{
    const struct placement_contract *contract = &item->contract;
    const uint64_t share = level_share(placement, item);
    unsigned best = PLACEMENT_NOWHERE;
    uint64_t best_load = 0;
    if (contract->pinned)
        return placement_has_room(placement, contract->core, contract->floor_ppm)
                   ? contract->core
                   : PLACEMENT_NOWHERE;
    for (unsigned k = 0; k < placement->core_count; k++) {
        if (!placement_has_room(placement, k, contract->floor_ppm))
            continue;
        const uint64_t load = level_load(placement, k) + share;
        if (is_better(placement, k, load, best, best_load, contract->floor_ppm)) {
            best = k;
            best_load = load;
        }
    }
    return best;
}

struct matrix_error *placement_add(struct placement *placement, struct placement_item *item,
                                   const char *name, const struct placement_contract *contract)
{
    RETURN_IF_ERROR(placement_check(placement, name, contract));
    RETURN_IF_ERROR(level_reserve(placement, placement->item_count + 1));
    *item = (struct placement_item){.contract = *contract,
                                    .core = PLACEMENT_NOWHERE,
                                    .activity = PLACEMENT_MILLION,
                                    .name = name};
    level_enter(placement, item);
    const unsigned core = choose(placement, item);
    if (core == PLACEMENT_NOWHERE) {
        level_leave(placement, item);
        return placement_refuse(placement, name, contract);
    }
    come(placement, item, core);
    placement->item_count++;
    return NULL;
}

void placement_remove(struct placement *placement, struct placement_item *item)
{
    go(placement, item);
    level_leave(placement, item);
    placement->item_count--;
}

/* On no core, with another contract. */
static void change(struct placement *placement, struct placement_item *item,
                   const struct placement_contract *contract)
{
    level_leave(placement, item);
    item->contract = *contract;
    level_enter(placement, item);
}

struct matrix_error *placement_set(struct placement *placement, struct placement_item *item,
                                   const struct placement_contract *contract)
{
    const struct placement_contract before = item->contract;
    const unsigned was = item->core;
    RETURN_IF_ERROR(placement_check(placement, item->name, contract));
    go(placement, item);
    change(placement, item, contract);
    const bool may_stay = (!contract->pinned || contract->core == was) &&
                          placement_has_room(placement, was, contract->floor_ppm);
    const unsigned core = may_stay ? was : choose(placement, item);
    struct matrix_error *error = NULL;
    if (core == PLACEMENT_NOWHERE) {
        error = placement_refuse(placement, item->name, contract);
        change(placement, item, &before);
    }
    come(placement, item, error ? was : core);
    return error;
}

/* --- what is to be expected -------------------------------------------------------------------------- */

double placement_share(const struct placement *placement, const struct placement_item *item)
{
    return (double)level_share(placement, item) / (double)PLACEMENT_CORE;
}

double placement_load(const struct placement *placement, unsigned core)
{
    return (double)level_load(placement, core) / (double)PLACEMENT_CORE;
}

double placement_floors(const struct placement *placement, unsigned core)
{
    return (double)placement->cores[core].floors / PLACEMENT_MILLION;
}

double placement_shortfall(const struct placement *placement)
{
    double most = 1;
    for (unsigned k = 0; k < placement->core_count; k++)
        most = placement_load(placement, k) > most ? placement_load(placement, k) : most;
    return most - 1;
}
