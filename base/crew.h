/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A crew: threads that do the parts of one piece of work which do not depend on each other, on the CPUs that the
 * caller may use. They are there for one call only: for work that takes milliseconds.
 */
#ifndef BASE_CREW_H
#define BASE_CREW_H

#include <stddef.h>

/* More would wait for each other: most of the work is the kernel's, in its own tables. */
#define CREW_MAX 4

/*
 * Does part 0 to count - 1, each once, in any order; the caller is one of the crew, which has a thread for every
 * per_thread parts at most. part returns 0 or an errno, after which parts that are not begun are left out: the
 * first such errno is the result. Where no thread can be had, the caller does all.
 */
int crew_do(size_t count, size_t per_thread, int (*part)(void *context, size_t index),
            void *context);

#endif
