// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A fault report as a JSON object. The names are a contract. Addresses and register values are
 * strings, "0x…": JSON's numbers do not hold 64 bits everywhere.
 */
#include "base/error.h"
#include "cli/json.h"
#include "cli/report.h"
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#define JSON_VERSION 1

/* Every json_*_new function below drops NULL values, so that want of memory ends in NULL. */
static json_t *hexadecimal(uint64_t value)
{
    return json_sprintf("0x%" PRIx64, value);
}

static json_t *place(const struct matrix_report_place *place)
{
    bool known = place->symbol[0];
    return json_pack("{s:o, s:o, s:o}", "address", hexadecimal(place->address), "symbol",
                     known ? cli_json_string(place->symbol) : json_null(), "offset",
                     known ? hexadecimal(place->offset) : json_null());
}

static json_t *access_object(const struct matrix_report *report)
{
    if (report->access == MATRIX_ACCESS_NONE)
        return json_null();
    json_t *object = place(&report->access_place);
    json_object_set_new(object, "kind", json_string(report_access_names[report->access]));
    json_object_set_new(object, "mapped", json_boolean(report->access_mapped));
    return object;
}

static json_t *registers(const struct matrix_report *report)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < REPORT_REGISTERS; i++)
        json_object_set_new(object, report_registers[i].name,
                            hexadecimal(report_register_value(report, &report_registers[i])));
    return object;
}

static json_t *code(const struct matrix_report *report)
{
    json_t *array = json_array();
    struct report_instruction instruction;
    for (unsigned offset = 0; report_instruction_at(report, offset, &instruction);
         offset += instruction.length) {
        char bytes[2 * MATRIX_REPORT_CODE + 1];
        for (unsigned i = 0; i < instruction.length; i++)
            snprintf(bytes + (size_t)2 * i, 3, "%02x", instruction.bytes[i]);
        json_array_append_new(array, json_pack("{s:o, s:s, s:s}", "address",
                                               hexadecimal(instruction.address), "bytes", bytes,
                                               "text", instruction.text));
    }
    return array;
}

static json_t *stack(const struct matrix_report *report)
{
    json_t *array = json_array();
    for (unsigned offset = 0; offset + sizeof(uint64_t) <= report->stack_bytes;
         offset += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, report->stack + offset, sizeof(word));
        json_array_append_new(array,
                              json_pack("{s:o, s:o}", "address", hexadecimal(report->rsp + offset),
                                        "value", hexadecimal(word)));
    }
    return array;
}

static json_t *stack_trace(const struct matrix_report *report)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < report->frame_count; i++)
        json_array_append_new(array, place(&report->frames[i]));
    return array;
}

struct matrix_error *report_write_json(FILE *file, const struct matrix_report *report)
{
    bool is_exception = report->vector >= 0;
    json_t *root = json_pack(
        "{s:i, s:o, s:I, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o}",         //
        "version", JSON_VERSION, "guest", cli_json_string(report->guest),                 //
        "vcpu", (json_int_t)report->vcpu, "reason", cli_json_string(report->reason),      //
        "explanation", cli_json_string(report->explanation),                              //
        "vector", is_exception ? json_integer(report->vector) : json_null(),              //
        "error_code", is_exception ? hexadecimal(report->error_code) : json_null(),       //
        "exit_reason", (json_int_t)report->exit_reason, "rip", place(&report->rip_place), //
        "access", access_object(report), "registers", registers(report),                  //
        "code", code(report), "stack", stack(report), "stack_trace", stack_trace(report));
    if (!root)
        return error_host(ENOMEM, "write the report as JSON");
    bool written = json_dumpf(root, file, JSON_COMPACT) == 0 && fputc('\n', file) != EOF;
    int number = errno;
    json_decref(root);
    return written ? NULL : error_host(number, "write the report as JSON");
}
