# SPDX-License-Identifier: GPL-2.0-or-later
# A thin front to Meson and Ninja; `make help` lists what there is.
