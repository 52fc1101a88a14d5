# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel says of pages, read one by one and without any of Matrix's code."""
import struct

PAGE = 4096
RESERVATION = 1 << 40
KPF_ANON, KPF_HEAD, KPF_TAIL, KPF_HUGE, KPF_KSM, KPF_THP, KPF_ZERO = (
    1 << b for b in (12, 15, 16, 17, 21, 22, 24))


def numbers(path, first, count):
    """Numbers of 64 bits of a file, from an index on."""
    with open(path, "rb", buffering=0) as file:
        file.seek(first * 8)
        data = b""
        while len(data) < count * 8:
            more = file.read(count * 8 - len(data))
            if not more:
                break
            data += more
    data += bytes(count * 8 - len(data))
    return struct.unpack(f"{count}Q", data)


class Frames:
    """kpageflags and kpagecount, each frame asked for once."""

    def __init__(self):
        self.known = {}

    def __getitem__(self, frame):
        if frame not in self.known:
            self.known[frame] = (numbers("/proc/kpageflags", frame, 1)[0],
                                 numbers("/proc/kpagecount", frame, 1)[0])
        return self.known[frame]


def regions(pid):
    """Where anonymous memory can be: (start, pages)."""
    found = []
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
        for line in file:
            words = line.split(None, 5)
            start, end = (int(x, 16) for x in words[0].split("-"))
            rights, inode = words[1], int(words[4])
            name = words[5].strip() if len(words) > 5 else ""
            if (rights[3] == "p" and rights[:3] != "---" and (inode == 0 or rights[1] == "w")
                    and not name.startswith("[v") and end - start < RESERVATION):
                found.append((start, (end - start) // PAGE))
    return found


def pages(pid, start, count):
    """(address, pagemap entry) of each."""
    return [(start + i * PAGE, entry) for i, entry in
            enumerate(numbers(f"/proc/{pid}/pagemap", start // PAGE, count))]


def frame_of(entry):
    return entry & ((1 << 55) - 1) if entry >> 63 else None


def reckon(pids, believe_flag):
    """The counts of each process by state, and the groups: frame to a set of (pid, address)."""
    frames, places, counts = Frames(), {}, {pid: {} for pid in pids}
    states = {}
    for pid in pids:
        for start, count in regions(pid):
            for address, entry in pages(pid, start, count):
                states[pid, address] = first_state(frames, entry)
                if states[pid, address] == "candidate":
                    places.setdefault(frame_of(entry), set()).add((pid, address))
    groups = {}
    for frame, where in places.items():
        flags, mappings = frames[frame]
        merged = flags & KPF_KSM if believe_flag else len(where) > 1
        outside = max(mappings - len(where), 0) if believe_flag else 0
        if merged and len(where) + outside > 1:
            groups[frame] = where
            alone = len({pid for pid, _ in where}) == 1 and not outside
        for place in where:
            states[place] = ("private" if frame not in groups else
                             "within" if alone else "shared")
    for (pid, _), state in states.items():
        counts[pid][state] = counts[pid].get(state, 0) + 1
    return counts, groups


def first_state(frames, entry):
    if not entry >> 63:
        return "swapped" if entry >> 62 & 1 and entry & 31 < 31 else "untouched"
    if entry >> 61 & 1:
        return "other"
    flags = frames[frame_of(entry)][0]
    if flags & KPF_ZERO:
        return "zero"
    if not flags & KPF_ANON:
        return "other"
    return "huge" if flags & (KPF_HEAD | KPF_TAIL | KPF_HUGE | KPF_THP) else "candidate"


def xxh64(data):
    """XXH64 with seed 0 of a multiple of 32 bytes (github.com/Cyan4973/xxHash, its specification)."""
    p1, p2, p3, p4 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9,
                      0x85EBCA77C2B2AE63)
    mask = (1 << 64) - 1

    def rotate(x, n):
        return (x << n | x >> 64 - n) & mask

    def step(accumulator, lane):
        return rotate(accumulator + lane * p2 & mask, 31) * p1 & mask

    lanes = [p1 + p2 & mask, p2, 0, -p1 & mask]
    for stripe in struct.iter_unpack("<4Q", data):
        lanes = [step(a, b) for a, b in zip(lanes, stripe)]
    result = sum(rotate(a, n) for a, n in zip(lanes, (1, 7, 12, 18))) & mask
    for lane in lanes:
        result = ((result ^ step(0, lane)) * p1 + p4) & mask
    result = result + len(data) & mask
    result = (result ^ result >> 33) * p2 & mask
    result = (result ^ result >> 29) * p3 & mask
    return result ^ result >> 32
