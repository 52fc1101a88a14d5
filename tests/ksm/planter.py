#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A process with known pages, for tests/ksm/map.py.

planter.py NONCE KIND:COUNT[:FIRST]...   pages in a row, of these kinds:
  equal   the content is the number FIRST + i and the nonce
  same    the content is the number FIRST and the nonce: all alike
  own     nobody else has the content
  zero    written to, with zeros
  none    never touched
Says its address, and obeys lines: "write PAGE" changes one, "huge" makes 4 MiB of huge pages and says
where, "out PAGE" has one swapped out. Ends with its input.
"""
import ctypes
import mmap
import os
import struct
import sys

PAGE = 4096
MADV_PAGEOUT = 21


def address(memory):
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def anonymous(size):
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def content(kind, first, i, nonce, page):
    if kind == "zero":
        return bytes(PAGE)
    number = {"equal": first + i, "same": first, "own": os.getpid() << 32 | page}[kind]
    return struct.pack("<QQ", number, nonce) + kind[:3].encode() * 100 + bytes(PAGE - 316)


def huge():
    memory = anonymous(4 << 20)
    memory.madvise(mmap.MADV_HUGEPAGE)
    for i in range(0, 4 << 20, PAGE):
        memory[i] = 1
    return memory


def main():
    nonce, specs = int(sys.argv[1]), [s.split(":") for s in sys.argv[2:]]
    memory = anonymous(sum(int(s[1]) for s in specs) * PAGE)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    page = 0
    for kind, count, *first in specs:
        for i in range(int(count)):
            if kind != "none":
                memory[page * PAGE:(page + 1) * PAGE] = content(
                    kind, int(first[0]) if first else 0, i, nonce, page)
            page += 1
    memory.madvise(mmap.MADV_MERGEABLE)
    kept = []
    print(hex(address(memory)), flush=True)
    for line in sys.stdin:
        word, *argument = line.split()
        if word == "write":
            memory[int(argument[0]) * PAGE + 100] = 0x5a
        elif word == "out":
            memory.madvise(MADV_PAGEOUT, int(argument[0]) * PAGE, PAGE)
        elif word == "huge":
            kept.append(huge())
        print(hex(address(kept[-1])) if word == "huge" else "done", flush=True)


main()
