# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs no guests, and shows a board as if it did: made by docs/board.md, not by Matrix's own code. For
watching.sh and metrics.sh. What it says is made up, and so known to the test.

board_server.py DIRECTORY KIND [SECONDS]
    PID.sock in DIRECTORY answers; the run ends after SECONDS (default: never), the process later.
    What it was asked is appended to PID.asked there, a line each.
    KIND wild: where its guests have their memory nobody can have any.
    KIND slow: the answer to `reload` takes three seconds.
    KIND live: its figures go on in real time, and guests can be managed as those of a cloud.
"""
import array
import fcntl
import json
import mmap
import os
import socket
import struct
import sys
import threading
import time

GUEST_SLOTS, GROUP_SLOTS, STAY_SLOTS = 8, 2, 4096
PAGE = 4096
BUCKETS = 976
CORE_BYTES = 8 + 21 * 8 + BUCKETS * 4
GUEST = struct.Struct("<QQ64s64s16sIIIIQ5Q3Q8QQQQQiI12QQ")
GROUP = struct.Struct("<QQ64sIIIIQ")
STAY = struct.Struct("<QQQQQQIHBBQ")
F_ADD_SEALS, F_SEAL_SHRINK, F_SEAL_GROW = 1033, 2, 4
SLICE_NS = 1_000_000


def pages(size):
    return (size + PAGE - 1) // PAGE * PAGE


class Board:
    """The memory, as its writer sees it."""

    def __init__(self):
        self.guest_offset = PAGE + pages(CORE_BYTES)
        self.guest_bytes = 8 + GUEST.size
        self.group_offset = self.guest_offset + pages(GUEST_SLOTS * self.guest_bytes)
        self.group_bytes = 8 + GROUP.size
        self.stay_offset = self.group_offset + pages(GROUP_SLOTS * self.group_bytes)
        size = pages(self.stay_offset + STAY_SLOTS * STAY.size)
        self.fd = os.memfd_create("board", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, size)
        self.memory = mmap.mmap(self.fd, size)
        self.put(0, struct.pack("<8sIIQQQQQIIIIIIIIIIQ", b"matrixbd", 1, os.getpid(), size, now(), PAGE,
                                self.guest_offset, self.stay_offset, CORE_BYTES, self.guest_bytes,
                                STAY.size, GUEST_SLOTS, STAY_SLOTS, self.group_bytes, GROUP_SLOTS, 0, 0, 0,
                                self.group_offset))
        self.stays = 0
        self.used = 0

    def put(self, offset, data):
        self.memory[offset:offset + len(data)] = data

    def entry(self, offset, data):
        sequence, = struct.unpack_from("<Q", self.memory, offset)
        self.put(offset, struct.pack("<Q", sequence + 1))
        self.put(offset + 8, data)
        self.put(offset, struct.pack("<Q", sequence + 2))

    def core(self, ended_ns=0, delays=(), **fields):
        names = ["published_ns", "begun_ns", "ended_ns", "host_cpu", "slice_ns", "wall_ns",
                 "guests_cpu_ns", "overhead_ns", "idle_wall_ns", "decisions", "switches",
                 "timer_signals", "stale_signals", "delay_worst_ns", "delay_median_ns", "delay_p99_ns",
                 "guests", "guests_unlisted", "publish_cpu_ns", "publish_count", "delay_count"]
        values = {"published_ns": now(), "ended_ns": ended_ns, "slice_ns": SLICE_NS, **fields}
        self.entry(PAGE, struct.pack("<21Q", *(values.get(name, 0) for name in names)) +
                   struct.pack(f"<{BUCKETS}I", *(sum(1 for ns in delays if bucket_of(ns) == i)
                                                 for i in range(BUCKETS))))

    def guest(self, slot, identity, name, group=b"", state=b"ready", weight=1, floor=0, ceiling=0,
              cpu=0, contended=0, total=0, entitled=0, exits=0, work=0, seen=0, group_id=0):
        region = {"wild": (0, (1 << 47) - PAGE, 1 << 46) if identity == 1 else (5, PAGE + 7, 16 << 20)}
        self.entry(self.guest_offset + slot * self.guest_bytes, GUEST.pack(
            identity, seen or now(), name, group, state, weight, floor, ceiling, 1, 0, cpu, contended, 0, total,
            entitled, 1, 2, 3, exits, 0, 0, 0, 0, 0, 0, 0, work, 16 << 20, 0, 0, 0, 1,
            *region.get(kind, (0, PAGE, 16 << 20)), *[0] * 9, group_id))
        self.used = max(self.used, slot + 1)
        self.put(112, struct.pack("<Q", self.used))

    def group(self, slot, identity, name, weight, parent=0, floor=0, ceiling=0):
        self.entry(self.group_offset + slot * self.group_bytes,
                   GROUP.pack(identity, parent, name, weight, floor, ceiling, 0, 0))
        self.put(104, struct.pack("<Q", slot + 1))

    def stay(self, guest, start, end, cpu, came=0, left=0):
        self.put(self.stay_offset + self.stays % STAY_SLOTS * STAY.size,
                 STAY.pack(self.stays + 1, guest, start, end, cpu, 50, 2, 0, came, left, 0))
        self.stays += 1
        self.put(120, struct.pack("<Q", self.stays))

    def seal(self, seals=F_SEAL_SHRINK | F_SEAL_GROW):
        fcntl.fcntl(self.fd, F_ADD_SEALS, seals)


def bucket_of(ns):
    """Below 16 a bucket for each nanosecond, above 16 for each power of two."""
    if ns < 16:
        return ns
    exponent = ns.bit_length() - 1
    return (exponent - 3) * 16 + (ns >> (exponent - 4)) % 16


def now():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def show(board, state=b"ready", ended=0):
    """Neo and Morpheus after ten seconds: 70 and 30 % promised, 69 and 31 % given."""
    ten = 10_000_000_000
    seen = ended or now()
    board.group(0, 1, GROUP_NAME, 60, ceiling=800_000)
    board.guest(0, 1, NAMES[0], GROUP_NAME, b"running" if state == b"ready" else state, 70,
                200_000, 500_000, cpu=ten * 69 // 100, contended=ten * 69 // 100, total=ten,
                entitled=ten * 7 // 10, exits=5000, work=7, seen=seen, group_id=1)
    board.guest(1, 1 if kind == "twins" else 2, NAMES[1], b"", state, 30, cpu=ten * 31 // 100, contended=ten * 31 // 100,
                total=ten, entitled=ten * 3 // 10, exits=0, seen=seen)
    board.guest(2, 3, b"left", state=b"gone")
    board.core(ended, begun_ns=seen - ten, host_cpu=3, wall_ns=ten, guests_cpu_ns=ten,
               overhead_ns=ten // 100, publish_cpu_ns=ten // 10000, delay_median_ns=45000,
               delays=DELAYS, guests=2)


def run(board, seconds):
    """Seven slices of a millisecond for one, three for the other, again and again; real time plays no
    part in what is written, but for when it is."""
    end = now() + int(seconds * 1e9)
    time_ns = now()
    while now() < end:
        while time_ns + 10 * SLICE_NS < now():
            for turn in range(10):
                guest = 1 if turn < 7 else 2
                came = 0 if turn in (0, 7) else 1
                board.stay(guest, time_ns, time_ns + SLICE_NS, 999_000, came)
                time_ns += SLICE_NS
        show(board)
        time.sleep(0.02)
    show(board, b"stopped", ended=now())


class Live:
    """Neo in a group and Morpheus, who share what is not paused by weight; each tenth of a second 2000 exits."""

    def __init__(self, board):
        self.board = board
        self.begun, self.seen = now() - 1, now()
        self.all = 0
        self.zion = 100
        # name, group, weight, state, cpu, entitled, exits
        self.guests = [["neo", b"zion", 70, "running", 0, 0, 0], ["morpheus", b"", 30, "ready", 0, 0, 0],
                       ["mouse", b"zion", 1, "sleeping", 0, 0, 0]]

    def step(self):
        passed, self.seen = now() - self.seen, now()
        able = [g for g in self.guests if g[3] in ("running", "ready")]
        weight = sum(g[2] for g in able)
        for guest in able:
            # Morpheus has a tenth of the core less than what is his, and Neo has it.
            error = 0 if len(able) == 1 else passed // 10 * (1 if guest[0] == "neo" else -1)
            guest[4] += passed * guest[2] // weight + error
            guest[5] += passed * guest[2] // weight
            guest[6] += passed // 50_000
        self.all += passed if able else 0
        self.board.group(0, 1, b"zion", self.zion)
        for slot, (name, group, weight, state, cpu, entitled, exits) in enumerate(self.guests):
            self.board.guest(slot, slot + 1, name.encode(), group, state.encode(), weight, cpu=cpu,
                             contended=cpu, total=self.all, entitled=entitled, exits=exits, group_id=bool(group))
        self.board.core(begun_ns=self.begun, host_cpu=3, wall_ns=self.seen - self.begun,
                        guests_cpu_ns=self.all, overhead_ns=self.all // 100, switches=self.all // 1_000_000,
                        delays=DELAYS, delay_count=len(DELAYS), delay_median_ns=45_000,
                        delay_p99_ns=1_500_000, delay_worst_ns=3_000_000_000, guests=3)

    def answer(self, request):
        if "group" in request:
            self.zion = request["weight"]
            return {"group": request["group"], "weight": request["weight"]}
        guest = next((g for g in self.guests if g[0] == request.get("guest")), None)
        if not guest:
            return {"error": {"code": "no_such_guest", "message": "there is no guest of that name"}}
        if request["command"] == "set" and request["weight"] == 666:
            return {"error": {"code": "failed", "message": "the floors \x1b[31m pass 100 %"}}
        if request["command"] == "set":
            guest[2] = request["weight"]
        else:
            guest[3] = {"pause": "paused", "resume": "ready", "stop": "stopped"}[request["command"]]
        return {"guest": guest[0], "state": guest[3]}


def spoil(board, kind):
    if kind == "endless_entry":
        board.put(board.guest_offset, struct.pack("<Q", 1))
    elif kind == "many_slots":
        board.put(68, struct.pack("<I", 1 << 20))
    elif kind == "other_version":
        board.put(8, struct.pack("<I", 7))
    elif kind == "long_name":
        board.put(board.guest_offset + 24, b"x" * 64)
    elif kind == "bad_stays":
        for _ in range(3):
            board.stay(1, now() + 1000, now(), 0)


def answer(request, board, kind):
    if request["command"] == "list":
        guest = {"name": "neo", "state": "ready", "memory_bytes": 1 << 24, "vcpus": 1}
        return {"pid": os.getpid(), "guests": [guest], "next": None}, []
    if kind == "live" and request["command"] != "board":
        return live.answer(request), []
    if kind == "slow" and request["command"] == "reload":
        time.sleep(3)
        return {"error": {"code": "failed", "message": "it has only just been started"}}, []
    if kind == "old":
        return {"error": {"code": "unknown_command", "message": "see the command help"}}, []
    if kind == "no_descriptor":
        return {"pid": os.getpid(), "board_version": 1}, []
    if kind == "wrong_descriptor":
        return {"pid": os.getpid(), "board_version": 1}, [os.open("/dev/zero", os.O_RDONLY)]
    if kind == "many_descriptors":
        return {"pid": os.getpid(), "board_version": 1}, [board.fd] * 100
    return {"pid": os.getpid(), "board_version": 1}, [board.fd]


def serve(listener, board, kind):
    while True:
        client, _ = listener.accept()
        with client, client.makefile("rb") as lines:
            request = lines.readline()
            with open(f"{directory}/{os.getpid()}.asked", "ab") as asked:
                asked.write(request)
            if not request:
                continue
            members, fds = answer(json.loads(request), board, kind)
            line = json.dumps({"version": 1, **members}).encode() + b"\n"
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            try:
                client.sendmsg([line], rights)
            except OSError:
                pass


directory, kind = sys.argv[1:3]
NAMES = {"odd_name": (b"n\x1b[31m\xff", b"morpheus"),
         "hostile": (b'a"b\\c\nd\xff', 'é"} 1 # {x="\u202e'.encode())}.get(kind, (b"neo", b"morpheus"))
GROUP_NAME = b'\\"\n# EOF\n' if kind == "hostile" else b"tenant"
DELAYS = [45_000] * 90 + [1_500_000] * 9 + [3_000_000_000]
board = Board()
live = Live(board)
if kind == "live":
    live.step()
else:
    show(board)
spoil(board, kind)
if kind != "unsealed":
    board.seal()
listener = socket.socket(socket.AF_UNIX)
listener.bind(f"{directory}/{os.getpid()}.sock")
listener.listen()
print(os.getpid(), flush=True)
threading.Thread(target=serve, args=(listener, board, kind), daemon=True).start()
if kind in ("good", "hostile", "odd_name", "many_descriptors", "twins", "wild"):
    run(board, float(sys.argv[3]) if len(sys.argv) > 3 else 600)
elif kind == "live":
    while True:
        live.step()
        time.sleep(0.02)
elif kind == "bad_stays":
    while True:
        spoil(board, kind)
        time.sleep(0.01)
time.sleep(600)
