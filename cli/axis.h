/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Units of a plot's axes, so that the numbers at them are short. */
#ifndef CLI_AXIS_H
#define CLI_AXIS_H

/* A unit, and how much of seconds or bytes it is. */
struct axis_unit {
    const char *name;
    double size;
};

/* The largest of which the most is three or more. */
const struct axis_unit *axis_time_unit(double most_s);
const struct axis_unit *axis_size_unit(double most_bytes);

#endif
