// SPDX-License-Identifier: GPL-2.0-or-later
/* Units of a plot's axes; see axis.h. */
#include "cli/axis.h"

#include <stddef.h>

static const struct axis_unit time_units[] = {
    {"s", 1}, {"min", 60}, {"h", 3600}, {"days", 86400}, {0}};
static const struct axis_unit size_units[] = {{"B", 1},        {"KiB", 0x1p10}, {"MiB", 0x1p20},
                                              {"GiB", 0x1p30}, {"TiB", 0x1p40}, {0}};

static const struct axis_unit *choose(const struct axis_unit *units, double most)
{
    while (units[1].name && most >= 3 * units[1].size)
        units++;
    return units;
}

const struct axis_unit *axis_time_unit(double most_s)
{
    return choose(time_units, most_s);
}

const struct axis_unit *axis_size_unit(double most_bytes)
{
    return choose(size_units, most_bytes);
}
