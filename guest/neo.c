// SPDX-License-Identifier: GPL-2.0-or-later
// Neo: works, checks its work, and says now and then how far it is; see work.h.
#include "work.h"

int main(int argc, char **argv, char **envp)
{
    return work_run(0x6e656f, 0x283bcd021c989ece, argc, argv);
}
