/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands of a cloud's control socket have in common. */
#ifndef CLI_CLOUD_COMMANDS_H
#define CLI_CLOUD_COMMANDS_H

#include "cli/cloud.h"

/* Finds a guest by its name; false: refused. */
bool cloud_command_guest(struct control_call *call, const char *name, unsigned *index);

/* The numbers of a contract in a request; whether one is there at all, the request itself says: no number means that
 * it is not. */
struct contract_request {
    json_int_t weight, floor_ppm, ceiling_ppm, latency_ns;
    json_int_t pin; /* PIN_NONE, or a core */
};

#define PIN_NONE (-1)

#define CONTRACT_FORMAT "s?I, s?I, s?I, s?I, s?I"
#define CONTRACT_MEMBERS(r)                                                                 \
    "weight", &(r)->weight, "floor_ppm", &(r)->floor_ppm, "ceiling_ppm", &(r)->ceiling_ppm, \
        "latency_ns", &(r)->latency_ns, "pin", &(r)->pin

/* Applies it to a contract; whether it can be kept is the policy's to say. False: refused. */
bool cloud_command_contract(struct control_call *call, const struct contract_request *request,
                            struct config_contract *contract);

/* The group of that name, or CONFIG_NO_GROUP. */
int cloud_command_group(const struct cloud *cloud, const char *name);

/* What a reload compares with must stay as it is until it is done: true, and refused, while one is under way. */
bool cloud_command_is_busy(struct control_call *call);

/* A guest as it is now. */
json_t *cloud_command_answer(const struct cloud *cloud, unsigned index);

/* cloud_command_add.c */
json_t *cloud_command_add(struct control_call *call);

#endif
