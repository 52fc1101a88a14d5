// SPDX-License-Identifier: GPL-2.0-or-later
/* What the service manager is told about a cloud. By cloud.c and cloud_reload.c. */
#include "cli/cloud.h"

#include "base/clock.h"
#include <inttypes.h>

#define STATUS_NS 5000000000ULL

static void tell_status(struct cloud *cloud)
{
    unsigned runs = 0, guests = 0;
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        guests += !cloud->config.guests[i].removed;
        runs += cloud->lives.lives[i].state == LIFE_RUNNING;
    }
    service_tell(&cloud->service, "STATUS=%u of %u guests run", runs, guests);
}

void cloud_service_tick(struct cloud *cloud, uint64_t now_ns)
{
    if (cloud->service.fd < 0)
        return;
    if (!cloud->service_knows) /* the core runs, and all guests of the file are made */
        service_tell(&cloud->service, "READY=1");
    cloud->service_knows = true;
    service_tick(&cloud->service, now_ns);
    if (now_ns < cloud->next_status_ns)
        return;
    cloud->next_status_ns = now_ns + STATUS_NS;
    tell_status(cloud);
}

void cloud_service_reload(struct cloud *cloud, bool begins)
{
    if (begins)
        service_tell(&cloud->service, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                     clock_now_ns(CLOCK_MONOTONIC) / 1000);
    else
        service_tell(&cloud->service, "READY=1");
}
