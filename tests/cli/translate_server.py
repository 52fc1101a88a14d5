# SPDX-License-Identifier: GPL-2.0-or-later
"""Sits at a control socket, PID.sock in DIRECTORY, and answers wrongly; for translate.sh.

translate_server.py DIRECTORY KIND [NAME]    NAME: of the socket, in place of its own pid
What it says of its memory is true but for what KIND is about, for readers look at its mappings.
"""
import ctypes
import json
import mmap
import os
import socket
import sys
import time

BYTES = 1 << 24
KEPT = mmap.mmap(-1, BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
ADDRESS = ctypes.addressof(ctypes.c_char.from_buffer(KEPT))
GUEST = {"name": "fake", "state": "running", "memory_bytes": BYTES, "vcpus": 1}


def reply(**members):
    return json.dumps({"version": 1, **members}).encode() + b"\n"


def listing(**members):
    return reply(guests=[GUEST], next=None, **members)


def translation(**members):
    whole = {"gva": "0x400000", "mapped": True, "gpa": "0x0", "hva": hex(ADDRESS), "page_bytes": 4096,
             "readable": True, "writable": False, "executable": True, "kvm_agrees": True}
    return reply(translations=[{**whole, **members}])


def memory(**members):
    return reply(regions=[{"gpa": "0x0", "hva": hex(ADDRESS), "bytes": BYTES, **members}])


def much():
    """Memory of 16 TiB, which is there, and which nobody will ever touch."""
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE
    return memory(hva=hex(libc.mmap(None, 1 << 44, mmap.PROT_READ, flags, -1, 0)), bytes=1 << 44)


# What is said to list, memory and translate.
KINDS = {
    "garbage": (b"\xff\x00{{{\n",) * 3,
    "endless": (b"x" * (1 << 20),) * 3,
    "other_version": (b'{"version":2}\n',) * 3,
    "array": (b"[]\n",) * 3,
    "error": (listing(), reply(error={"code": "c\x1b[2J", "message": "\x1b[31mred"}), b""),
    "endless_list": (reply(guests=[GUEST] * 64, next=64), b"", b""),
    "back_list": (reply(guests=[GUEST], next=1), b"", b""),
    "no_regions": (listing(), reply(regions=[]), b""),
    "odd_region": (listing(), memory(hva="0x1001"), b""),
    "wrapping_region": (listing(), memory(hva="0xfffffffffffff000"), b""),
    "negative_region": (listing(), memory(bytes=-4096), b""),
    "nowhere": (listing(), memory(hva="0x1000"), b""),
    "half_there": (listing(), memory(bytes=1 << 33), b""),
    "much": (listing(), much(), b""),
    "other_address": (listing(), memory(), translation(gva="0x400001")),
    "no_translation": (listing(), memory(), reply(translations=[])),
    "odd_translation": (listing(), memory(), translation(gpa="0x1")),
    "huge_page": (listing(), memory(), translation(page_bytes=3)),
    "contradiction": (listing(), memory(), translation(hva=hex(ADDRESS + 4096))),
    "silent": (None,) * 3,
    "good": (listing(), memory(), translation()),
}

answers = dict(zip(["list", "memory", "translate"], KINDS[sys.argv[2]]))
name = sys.argv[3] if len(sys.argv) > 3 else str(os.getpid())
listener = socket.socket(socket.AF_UNIX)
listener.bind(f"{sys.argv[1]}/{name}.sock")
listener.listen()
print(os.getpid(), flush=True)
while True:
    client, _ = listener.accept()
    with client, client.makefile("rb") as lines:
        request = lines.readline()
        if not request:
            continue
        answer = answers[json.loads(request)["command"]]
        if answer is None:
            time.sleep(600)
        try:
            client.sendall(answer)
        except OSError:
            pass
