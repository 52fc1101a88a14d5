#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What manage.sh tests once more, with all guests of its files on the second of two cores: commands go there, and
# back, by letter. Usage: manage_cores.sh BUILD-DIRECTORY
second_core=yes
. "$(dirname "$0")/manage.sh"
