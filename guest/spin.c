// SPDX-License-Identifier: GPL-2.0-or-later
// Never makes an exit: only a timer takes the core away from it. Counts its work.
#include <matrix/guest/sdk.h>

int main(int argc, char **argv, char **envp)
{
    for (;;)
        matrix_work_add(1);
}
