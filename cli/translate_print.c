// SPDX-License-Identifier: GPL-2.0-or-later
/* Chains of addresses, for people and as JSON. Called by translate. */
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/json.h"
#include "cli/page_flags.h"
#include "cli/translate.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Sharers of a page that people see; JSON has all. */
#define SHARERS_SHOWN 16

/* A line of a chain: stage, address, and what there is to say about it. */
static void print_stage(const char *stage, const char *address, const char *note)
{
    printf("  %-15s %-*s%s\n", stage, *note ? 18 : 0, address, note);
}

static void print_guest_stages(const struct translation *translation, const struct chain *chain)
{
    char address[24], size[FORMAT_BYTES], note[128] = "";
    const struct matrix_translation *t = &chain->t;
    const bool is_virtual = chain->first == STAGE_GUEST_VIRTUAL;
    if (is_virtual) {
        if (t->mapped)
            snprintf(note, sizeof(note), "page of %s, %c%c%c for the program",
                     format_size(size, t->page_bytes), t->readable ? 'r' : '-',
                     t->writable ? 'w' : '-', t->executable ? 'x' : '-');
        snprintf(address, sizeof(address), "0x%" PRIx64, chain->start);
        print_stage("guest virtual", address, note);
    }
    if (chain->has_gpa) {
        snprintf(address, sizeof(address), "0x%" PRIx64, chain->gpa);
        print_stage("guest physical", address,
                    !is_virtual ? ""
                    : t->agree  ? "KVM_TRANSLATE and the page tables agree"
                                : "KVM_TRANSLATE DISAGREES with the page tables");
    }
    if (chain->has_hva) {
        note[0] = '\0';
        if (chain->has_gpa)
            snprintf(note, sizeof(note), "%s of %s, from guest physical 0x%" PRIx64,
                     translation->target.vm ? "memory slot" : "memory (inferred)",
                     format_size(size, chain->region.bytes), chain->region.gpa);
        snprintf(address, sizeof(address), "0x%" PRIx64, chain->hva);
        print_stage("host virtual", address, note);
    }
}

static void print_physical(const struct chain *chain)
{
    char address[24] = "-", size[FORMAT_BYTES], flags[PAGE_FLAGS_BYTES];
    char note[PAGE_FLAGS_BYTES + 64];
    const uint64_t physical = chain_physical(chain);
    const uint64_t piece = matrix_page_piece_bytes(chain->entry);
    if (!chain->has_entry)
        return;
    if (physical)
        snprintf(address, sizeof(address), "0x%" PRIx64, physical);
    snprintf(note, sizeof(note), "%s%s%s", piece ? format_size(size, piece) : "",
             piece ? " piece: " : "", page_flags_text(flags, chain->entry));
    print_stage("host physical", address, note);
}

static void print_sharer(const struct ksm_sharer *sharer, bool is_first)
{
    printf("  %-15s ", is_first ? "merged with" : "");
    cli_print_escaped(stdout, sharer->subject->name);
    printf(" (process %d)", sharer->subject->pid);
    if (sharer->subject->kind != KSM_PROCESS)
        printf(", guest physical 0x%" PRIx64, sharer->gpa);
    printf(", host virtual 0x%" PRIx64 "\n", sharer->hva);
}

static void print_sharers(const struct translation *translation, const struct chain *chain)
{
    char text[FORMAT_BYTES];
    uint64_t found = 0;
    for (size_t i = 0; i < translation->sharers.count; i++) {
        const struct ksm_sharer *sharer = &translation->sharers.sharers[i];
        if (!chain_shares(translation, chain, sharer))
            continue;
        if (found++ < SHARERS_SHOWN)
            print_sharer(sharer, found == 1);
    }
    if (found > SHARERS_SHOWN)
        printf("  %-15s and %s more; --json has all\n", "",
               format_count(text, found - SHARERS_SHOWN));
    if (!translation->options->alone && chain->mappings > found + 1)
        printf("  %-15s %s more, of processes that cannot be seen from here\n", "",
               format_count(text, chain->mappings - found - 1));
    if (translation->options->alone && chain->mappings)
        printf("  %-15s %s mappings in all\n", "", format_count(text, chain->mappings));
}

void translate_print(const struct translation *translation)
{
    const struct ksm_subject *subject = &translation->target.subject;
    for (size_t i = 0; i < translation->count; i++) {
        const struct chain *chain = &translation->chains[i];
        cli_print_escaped(stdout, subject->name);
        printf(" (process %d): 0x%" PRIx64 "\n", subject->pid, chain->start);
        print_guest_stages(translation, chain);
        print_physical(chain);
        print_sharers(translation, chain);
        if (chain->missing[0])
            printf("  %-15s ", "ends here:");
        if (chain->missing[0])
            cli_print_escaped(stdout, chain->missing);
        if (chain->missing[0])
            putchar('\n');
        if (chain->has_moved)
            puts("  the page has moved meanwhile: ask again");
    }
    printf("source: %s\n", matrix_lens_source_name(translation->lens));
}

/* --- JSON ------------------------------------------------------------------------------------ */

static json_t *address_or_null(bool is_known, uint64_t address)
{
    return is_known ? cli_json_address(address) : json_null();
}

static json_t *guest_page(const struct chain *chain)
{
    const struct matrix_translation *t = &chain->t;
    if (chain->first != STAGE_GUEST_VIRTUAL || !t->mapped)
        return json_null();
    return json_pack("{s:I, s:b, s:b, s:b, s:b}", "page_bytes", (json_int_t)t->page_bytes,
                     "readable", t->readable, "writable", t->writable, "executable", t->executable,
                     "kvm_agrees", t->agree);
}

static json_t *slot(const struct chain *chain)
{
    if (!chain->has_gpa || !chain->has_hva)
        return json_null();
    return json_pack("{s:o, s:o, s:I}", "gpa", cli_json_address(chain->region.gpa), "hva",
                     cli_json_address(chain->region.hva), "bytes", (json_int_t)chain->region.bytes);
}

static json_t *merged_with(const struct translation *translation, const struct chain *chain)
{
    json_t *list = json_array();
    for (size_t i = 0; i < translation->sharers.count; i++) {
        const struct ksm_sharer *sharer = &translation->sharers.sharers[i];
        if (!chain_shares(translation, chain, sharer))
            continue;
        json_array_append_new(
            list, json_pack("{s:o, s:i, s:o, s:o}", "name", cli_json_string(sharer->subject->name),
                            "pid", sharer->subject->pid, "guest_physical_address",
                            address_or_null(sharer->subject->kind != KSM_PROCESS, sharer->gpa),
                            "host_virtual_address", cli_json_address(sharer->hva)));
    }
    return list;
}

static json_t *chain_json(const struct translation *translation, const struct chain *chain)
{
    const uint64_t physical = chain_physical(chain);
    const uint64_t piece = chain->has_entry ? matrix_page_piece_bytes(chain->entry) : 0;
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "guest_virtual_address",
        address_or_null(chain->first == STAGE_GUEST_VIRTUAL, chain->start), "guest_page",
        guest_page(chain), "guest_physical_address", address_or_null(chain->has_gpa, chain->gpa),
        "memory_slot", slot(chain), "host_virtual_address",
        address_or_null(chain->has_hva, chain->hva), "physical_address",
        address_or_null(physical != 0, physical), "mapped_piece_bytes",
        piece ? json_integer((json_int_t)piece) : json_null(), "flags",
        chain->has_entry ? page_flags_json(chain->entry) : json_null(), "merged_with",
        translation->options->alone ? json_null() : merged_with(translation, chain),
        "frame_mappings", chain->mappings ? json_integer((json_int_t)chain->mappings) : json_null(),
        "has_moved", chain->has_moved, "missing",
        chain->missing[0] ? cli_json_string(chain->missing) : json_null());
}

struct matrix_error *translate_print_json(const struct translation *translation)
{
    static const char *const kinds[] = {
        [KSM_PROCESS] = "process", [KSM_MATRIX_GUEST] = "matrix", [KSM_QEMU] = "qemu"};
    const struct ksm_subject *subject = &translation->target.subject;
    json_t *chains = json_array();
    for (size_t i = 0; i < translation->count; i++)
        json_array_append_new(chains, chain_json(translation, &translation->chains[i]));
    return cli_json_print(json_pack("{s:i, s:s, s:o, s:i, s:s, s:o}", "version", 1, "source",
                                    matrix_lens_source_name(translation->lens), "name",
                                    cli_json_string(subject->name), "pid", subject->pid, "kind",
                                    kinds[subject->kind], "addresses", chains),
                          false);
}
