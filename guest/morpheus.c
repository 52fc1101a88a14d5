// SPDX-License-Identifier: GPL-2.0-or-later
// Morpheus: works, checks its work, and says now and then how far it is; see work.h.
#include "work.h"

int main(int argc, char **argv, char **envp)
{
    return work_run(0x6d6f727068657573, 0x3faf8c431eb7d4f2, argc, argv);
}
