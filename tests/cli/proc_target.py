#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A process with memory of every kind that proc.sh looks at, and the oracle beside it.

  proc_target.py hold            maps memory, says where ("NAME ADDRESS PAGES" lines, then "ready"), waits
  proc_target.py check FILE PID  whether FILE, of `matrix proc translate --json`, is what pagemap says
  proc_target.py zero PID ADDRESS  whether the page there is the zero page: what kpageflags says
  proc_target.py name NAME       has this name (NAME may have \\xNN), and waits
  proc_target.py children        has a sleeping, a stopped and a zombie child: their pids, and waits
"""
import codecs
import ctypes
import json
import mmap
import os
import signal
import struct
import sys
import time

PAGE = 4096
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                      ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def map_pages(pages, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, fd=-1):
    address = libc.mmap(None, pages * PAGE, 3, flags, fd, 0)
    libc.madvise(address, pages * PAGE, 15)  # MADV_NOHUGEPAGE
    return address


def touch(address, pages):
    for page in range(pages):
        ctypes.memset(address + page * PAGE, page + 1, 1)


def hold():
    written = map_pages(64)
    touch(written, 64)
    untouched = map_pages(16)
    read = map_pages(4)
    for page in range(4):
        ctypes.string_at(read + page * PAGE, 1)
    closed = map_pages(8)
    touch(closed, 8)
    libc.mprotect(closed, 8 * PAGE, 0)
    shared = map_pages(8, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    touch(shared, 8)
    hole = map_pages(4)
    touch(hole, 4)
    libc.munmap(ctypes.c_void_p(hole + PAGE), ctypes.c_size_t(2 * PAGE))
    for name, address, pages in (("written", written, 64), ("untouched", untouched, 16),
                                 ("read", read, 4), ("closed", closed, 8), ("shared", shared, 8),
                                 ("hole", hole, 4)):
        print(name, hex(address), pages)
    print("ready", flush=True)
    time.sleep(600)


def check(path, pid):
    """Each page of each run, against /proc/PID/pagemap read here, eight bytes at a time."""
    result = json.load(open(path))
    pages = 0
    with open(f"/proc/{pid}/pagemap", "rb") as pagemap:
        for run in result["ranges"]:
            first = int(run["virtual_address"], 16)
            for page in range(run["pages"]):
                pagemap.seek((first // PAGE + page) * 8)
                entry, = struct.unpack("<Q", pagemap.read(8))
                present = bool(entry >> 63)
                assert present == ("present" in run["flags"]), (hex(first), page, run, hex(entry))
                if present:
                    frame = (entry & (1 << 55) - 1) * PAGE + first % PAGE
                    assert frame == int(run["physical_address"], 16) + page * PAGE, (run, hex(entry))
                else:
                    assert run["physical_address"] is None
                pages += 1
    print(pages)


def zero(pid, address):
    """Not every kernel has one: some that are guests themselves (pvm_no_zero_page) give a page."""
    with open(f"/proc/{pid}/pagemap", "rb") as pagemap, open("/proc/kpageflags", "rb") as flags:
        pagemap.seek(int(address, 16) // PAGE * 8)
        entry, = struct.unpack("<Q", pagemap.read(8))
        flags.seek((entry & (1 << 55) - 1) * 8)
        print("yes" if struct.unpack("<Q", flags.read(8))[0] >> 24 & 1 else "no")


def await_sleep(pid):
    while open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "S":
        time.sleep(0.01)


def children():
    def child(stops=False):
        pid = os.fork()
        if pid == 0:
            # By itself, after this: one that is stopped before outlives us, and holds our pipes open.
            libc.prctl(1, signal.SIGKILL)
            if stops:
                os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(600)
            os._exit(0)
        return pid
    sleeping, stopped = child(), child(stops=True)
    os.waitpid(stopped, os.WUNTRACED)
    zombie = os.fork()
    if zombie == 0:
        os._exit(0)
    os.waitid(os.P_PID, zombie, os.WEXITED | os.WNOWAIT)
    # A second thread's child is the process's child, too.
    import threading
    born = []
    event = threading.Event()

    def fork_in_thread():
        born.append(child())
        event.set()
        time.sleep(600)
    threading.Thread(target=fork_in_thread, daemon=True).start()
    event.wait()
    await_sleep(sleeping)
    await_sleep(born[0])
    print(sleeping, stopped, zombie, born[0])
    print("ready", flush=True)
    time.sleep(600)


if sys.argv[1] == "hold":
    hold()
elif sys.argv[1] == "check":
    check(sys.argv[2], sys.argv[3])
elif sys.argv[1] == "zero":
    zero(sys.argv[2], sys.argv[3])
elif sys.argv[1] == "children":
    children()
elif sys.argv[1] == "name":
    libc.prctl(15, codecs.escape_decode(sys.argv[2])[0])
    print("ready", flush=True)
    time.sleep(600)
