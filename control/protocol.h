/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What both ends of the control socket must agree on; docs/control.md is the description. One
 * request on a line, one answer on a line, both JSON objects.
 */
#ifndef CONTROL_PROTOCOL_H
#define CONTROL_PROTOCOL_H

#define CONTROL_VERSION 1

/* Bytes of a request, the newline not counted. */
#define CONTROL_REQUEST_MAX 4096
/* Bytes of an answer at most: a client reads no more. */
#define CONTROL_ANSWER_MAX (64 << 10)
/* Guests in one answer of "list", and addresses in one request of "translate": what is done between
 * two slices is bounded. */
#define CONTROL_LIST_MAX      64
#define CONTROL_TRANSLATE_MAX 64
#define CONTROL_NAME_BYTES    64
/* Bytes of what a guest printed in one answer of "logs", and of its input in one request of "input". */
#define CONTROL_LOGS_MAX  8192
#define CONTROL_INPUT_MAX 1024

#endif
