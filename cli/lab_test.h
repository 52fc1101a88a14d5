/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `matrix lab test`: whether the lab can be trusted. Called by cli/lab.c. */
#ifndef CLI_LAB_TEST_H
#define CLI_LAB_TEST_H

#include <stdbool.h>

/* Runs all checks, prints them, and returns the exit status. */
int lab_test(bool json);

/* The part that runs inside: /dev/kvm is there, has API version 12, and makes a machine. */
int lab_test_check_kvm(void);

#endif
