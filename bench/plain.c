// SPDX-License-Identifier: GPL-2.0-or-later
/* A static program that prints a line and ends: how long the host takes for any process. */
#include <unistd.h>

int main(void)
{
    static const char line[] = "Hello from hello, with 16384 KiB of memory.\n";
    return write(STDOUT_FILENO, line, sizeof(line) - 1) < 0;
}
