// SPDX-License-Identifier: GPL-2.0-or-later
/* Where the guests of a cloud print to, if the disk is full: they go on, and it is said at once. */
#include "cli/cloud.h"

#include "base/error.h"
#include "cli/common.h"
#include <errno.h>

struct matrix_error *cloud_output_create(int fd, struct matrix_output **output)
{
    RETURN_IF_ERROR(matrix_output_create(fd, output));
    matrix_output_outlast(*output);
    return NULL;
}

/* Once for each output. guest: whose it is; NULL: that of all who have none of their own. */
static void tell(const struct matrix_output *output, bool *told, const struct config_guest *guest)
{
    const int lost = output && !*told ? matrix_output_lost(output) : 0;
    if (!lost || lost == EPIPE)
        return;
    *told = true;
    const char *remedy = "make room: what they print until then is dropped";
    cli_fail(PROGRAM,
             guest ? error_new(MATRIX_ERROR_HOST, lost, remedy, "guest %s: write its output to %s",
                               guest->name, guest->output)
                   : error_new(MATRIX_ERROR_HOST, lost, remedy, "write what the guests print"));
}

void cloud_tell_losses(struct cloud *cloud)
{
    if (cloud->has_screen)
        return;
    tell(cloud->output, &cloud->loss_told, NULL);
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        tell(cloud->guests[i].output, &cloud->guests[i].loss_told, &cloud->config.guests[i]);
}
