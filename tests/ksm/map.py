#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`matrix ksm map` on real KSM: planted pages, against what the kernel says (oracle.py).

map.py BUILD_DIRECTORY     as root; on the host, and in the lab by tests/lab/ksm.sh
"""
import atexit
import contextlib
import fcntl
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.dom.minidom

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import oracle  # noqa: E402

MATRIX = os.path.join(os.path.abspath(sys.argv[1]), "matrix")
KSM = "/sys/kernel/mm/ksm/"
KHUGEPAGED = "/sys/kernel/mm/transparent_hugepage/khugepaged/"
LOCK = "/run/lock/matrix-ksm"
NONCE = int.from_bytes(os.urandom(7), "little")
PATIENCE_S = 400  # ksmd goes through all mergeable memory of the machine first, whoever's it is
EQUAL, PAIR, WITHIN, OWN, MANY = 40, 24, 32, 50, 300

tests = 0


def result(name, good, *details):
    global tests
    tests += 1
    print(f"{'ok' if good else 'not ok'} {tests} - {name}", flush=True)
    for detail in details if not good else ():
        print(f"#   {detail}"[:2000])


def skip(name, why):
    global tests
    tests += 1
    print(f"ok {tests} - {name} # SKIP {why}", flush=True)


def equal(name, got, wanted):
    result(name, got == wanted, f"got {got}", f"wanted {wanted}")


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def lock():
    """Others of this machine may be at it for minutes."""
    os.makedirs(os.path.dirname(LOCK), exist_ok=True)
    file = open(LOCK, "w", encoding="ascii")
    for _ in range(PATIENCE_S):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        time.sleep(1)
    return None


def turn(knobs, directory=KSM):
    """Sets what there is of them; at the end all is as before."""
    for name, value in knobs.items():
        path = directory + name
        if os.path.exists(path):
            atexit.register(write, path, re.sub(r".*\[(\S+)\].*", r"\1", read(path)))
            write(path, value)


class Planter:
    def __init__(self, *specs):
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "planter.py"), str(NONCE), *specs],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)
        self.pid = self.process.pid
        self.start = int(self.process.stdout.readline(), 16)

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def address(self, page):
        return self.start + page * oracle.PAGE

    def merging(self):
        return int(read(f"/proc/{self.pid}/ksm_merging_pages"))


def wait(condition):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.2)
    return False


def run(*arguments, **options):
    return subprocess.run([MATRIX, "ksm", "map", *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, **options)


def take(*arguments):
    done = run("--json", "--top", 1000000, *arguments)
    if done.returncode or done.stderr:
        print(f"Bail out! matrix ksm map: status {done.returncode}: {done.stderr}")
        sys.exit(1)
    return json.loads(done.stdout)


def groups_of(told):
    """frame to a set of (pid, address), as the map has it."""
    pids = [s["pid"] for s in told["subjects"]]
    return {g["frame"]: {(pids[p["subject"]], int(p["hva"], 16)) for p in g["places"]}
            for g in told["most_shared"]}


def pairs_by_oracle(groups, pids):
    counts = {}
    for where in groups.values():
        number = [sum(pid == p for p, _ in where) for pid in pids]
        for i in range(len(pids)):
            for j in range(i, len(pids)):
                if number[i] > 1 if i == j else number[i] and number[j]:
                    counts[i, j] = counts.get((i, j), 0) + 1
    return counts


def compare_with_oracle(told, what):
    pids = [s["pid"] for s in told["subjects"]]
    counts, groups = oracle.reckon(pids, told["rule"] != "mappings")
    names = ("untouched", "private", "within", "shared", "zero", "swapped", "huge", "other")
    equal(f"{what}: pages of each state are what pagemap, kpageflags and kpagecount say",
          [[s[f"{n}_pages"] for n in names] for s in told["subjects"]],
          [[counts[pid].get(n, 0) for n in names] for pid in pids])
    equal(f"{what}: every merged frame is where they say, and no other is told of",
          groups_of(told), {f: w for f, w in groups.items() if len(w) > 1})
    equal(f"{what}: pairs", {(p["first"], p["second"]): p["frames"] for p in told["pairs"]},
          pairs_by_oracle(groups, pids))
    return groups


def planted_groups(a, b, c):
    """What was planted, by content: frames of `same` pages may be several."""
    wanted = [{(p.pid, p.address(i)) for p in (a, b, c)} for i in range(EQUAL)]
    wanted += [{(p.pid, p.address(EQUAL + i)) for p in (a, b)} for i in range(PAIR)]
    first = EQUAL + PAIR
    wanted += [{(a.pid, a.address(first + half * WITHIN // 2 + i)) for i in range(WITHIN // 2)}
               for half in (0, 1)]
    many = {(a.pid, a.address(first + WITHIN + i)) for i in range(MANY)}
    many |= {(b.pid, b.address(first + i)) for i in range(MANY)}
    return wanted, many


def check_planted(told, a, b, c):
    wanted, many = planted_groups(a, b, c)
    found = list(groups_of(told).values())
    result("every planted content has its frame, with all places that it was planted at, and no other",
           all(w in found for w in wanted))
    rest = [w for w in found if w not in wanted]
    equal("content that is there more often than max_page_sharing has several frames",
          (set().union(*rest), len(rest) >= -(-2 * MANY // 256), sum(map(len, rest))),
          (many, True, 2 * MANY))
    equal("mappings, and contents, are those that were planted",
          (told["merged_mappings"], told["contents"]),
          (3 * EQUAL + 2 * PAIR + WITHIN + 2 * MANY, EQUAL + PAIR + 2 + 1))
    equal("what is saved is a page for each mapping beyond a frame's first",
          told["saved_bytes"], (told["merged_mappings"] - told["merged_frames"]) * oracle.PAGE)
    shares = sum(s["saved_bytes"] for s in told["subjects"])
    result("the processes' parts of it add up", abs(shares - told["saved_bytes"]) <= 3,
           shares, told["saved_bytes"])
    by_kernel = [p.merging() for p in (a, b, c)]
    equal("as many pages of each as the kernel counts (ksm_merging_pages)",
          [s["within_pages"] + s["shared_pages"] for s in told["subjects"]], by_kernel)


def check_content(told, a):
    first = a.address(0)
    group = next(g for g in told["most_shared"] if any(int(p["hva"], 16) == first
                                                       for p in g["places"]))
    with open(f"/proc/{a.pid}/mem", "rb", buffering=0) as memory:
        memory.seek(first)
        page = memory.read(oracle.PAGE)
    equal("content: the first bytes, and XXH64 by another's hand",
          (group["first_bytes"], group["xxh64"]), (page[:16].hex(), f"{oracle.xxh64(page):016x}"))


def check_write(before, a, b, c):
    """Writes break exactly the written pages."""
    written = [0, 7, EQUAL - 1, EQUAL + PAIR + 1]
    for page in written:
        a.tell(f"write {page}")
    told = take(a.pid, b.pid, c.pid)
    gone = {(a.pid, a.address(page)) for page in written}
    was, now = (set().union(*groups_of(t).values()) for t in (before, told))
    equal("after writes, exactly the written pages are not merged any more", was - now, gone)
    equal("and all else is where it was", now - was, set())
    compare_with_oracle(told, "after writes")
    c.tell("write 0")
    told = take(a.pid, b.pid, c.pid)
    last = next(s for s in told["subjects"] if s["pid"] == b.pid)
    if told["rule"] != "mappings":
        equal("the last one of a merge is private, and known as such",
              last["private_pages_once_merged"], 1)
    result("a page whose others were written to is not told as merged",
           all((b.pid, b.address(0)) not in w for w in groups_of(told).values()))


def check_outside(a):
    told = take(a.pid)
    subject = told["subjects"][0]
    if told["rule"] == "mappings":  # nothing is known of mappings outside, and nothing is made up
        equal("alone in a map, a process has only what it shares with itself",
              (subject["shared_pages"], subject["shared_pages_outside_only"]), (0, 0))
        compare_with_oracle(told, "one of three")
        return
    result("alone in a map, a process still has what it shares with others outside",
           EQUAL + PAIR <= subject["shared_pages_outside_only"] == subject["shared_pages"], subject)
    compare_with_oracle(told, "one of three")


def check_stable(*planters):
    told = take("--stable", *[p.pid for p in planters])
    equal("--stable: at rest nothing moves", [s["moved_pages"] for s in told["subjects"]],
          [0] * len(planters))
    done = run("--stable", *[p.pid for p in planters])
    result("--stable says so in words", "0 of " in done.stdout and "moved" in done.stdout,
           done.stdout)


def check_zero():
    """Zero pages that KSM maps to the kernel's own, swapped, untouched and huge pages."""
    if not os.path.exists(KSM + "use_zero_pages"):
        skip("zero pages", "this kernel has no use_zero_pages")
        return
    write(KSM + "use_zero_pages", "1")
    planter = Planter("zero:20", "none:30", "own:8")
    huge = int(planter.tell("huge"), 16)
    planter.tell("out 51")

    def states():
        frames = oracle.Frames()
        return [oracle.first_state(frames, e) for _, e in oracle.pages(planter.pid, planter.start,
                                                                       58)]

    if wait(lambda: states()[:20] == ["zero"] * 20):
        result("use_zero_pages: KSM has put the page of zeros there", True)
    else:
        skip("use_zero_pages: KSM has put the page of zeros there",
             f"not within {PATIENCE_S} s, or this kernel has no such page")
    told = take(planter.pid)
    compare_with_oracle(told, "zero, untouched, swapped and huge")
    subject, now = told["subjects"][0], states()
    result("untouched pages are told as such", subject["untouched_pages"] >= 30, subject)
    if len(read("/proc/swaps").splitlines()) < 2:
        print("# no swap here; the suite lab has it, and tests what is swapped")
    for state, there, page in (("swapped", now[51] == "swapped", "it did not go out"),
                               ("huge", oracle.first_state(oracle.Frames(), oracle.pages(
                                   planter.pid, huge + (2 << 20), 1)[0][1]) == "huge",
                                "the kernel gave no huge page")):
        if state == "swapped" and len(read("/proc/swaps").splitlines()) < 2:
            continue
        if there:
            result(f"{state} pages are told as such", subject[f"{state}_pages"] >= 1, subject)
        else:
            skip(f"{state} pages are told as such", page)


def check_pictures(*planters):
    with tempfile.TemporaryDirectory() as directory:
        pids = [p.pid for p in planters]
        for layout in ("rows", "hilbert"):
            png, svg = (os.path.join(directory, f"map.{kind}") for kind in ("png", "svg"))
            done = [run("--layout", layout, "--picture", path, *pids) for path in (png, svg)]
            equal(f"pictures in {layout} are drawn", [d.returncode for d in done], [0, 0])
            with open(png, "rb") as file:
                equal("the PNG is one", file.read(8), b"\x89PNG\r\n\x1a\n")
            result("the SVG is one",
                   xml.dom.minidom.parse(svg).documentElement.tagName == "svg")
        done = run("--picture", os.path.join(directory, "no", "map.png"), *pids)
        result("a picture that cannot be written is an error",
               done.returncode == 125 and "map.png: No such file or directory" in done.stderr,
               done.stderr)


def nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def check_refusals(planter):
    done = run(planter.pid, preexec_fn=nobody, cwd="/")
    result("without root: what is missing is named",
           done.returncode == 125 and "CAP_SYS" in done.stderr and "root" in done.stderr,
           done.returncode, done.stderr)
    for arguments, status, complaint in (
            ((2 ** 22 + 1,), 125, "no such process"),
            ((planter.pid, planter.pid), 122, "twice"),
            (("--picture", "map.gif", planter.pid), 122, "map.gif"),
            (("--top", "many", planter.pid), 122, "--top"),
            (("--layout", "round", planter.pid), 122, "round")):
        done = run(*arguments)
        result(f"refused: {' '.join(map(str, arguments))}".replace(str(planter.pid), "PID"),
               done.returncode == status and complaint in done.stderr, done.returncode, done.stderr)


def main():
    if os.getuid() or not os.path.exists(KSM + "run"):
        print("1..0 # SKIP needs root, and a kernel with KSM")
        return
    if not os.path.exists("/proc/self/ksm_merging_pages"):
        print("1..0 # SKIP this kernel does not count the merged pages of a process")
        return
    held = lock()
    if not held:
        print(f"1..0 # SKIP another holds {LOCK}")
        return
    turn({"run": "0", "max_page_sharing": read(KSM + "max_page_sharing"), "use_zero_pages": "0",
          "advisor_mode": "none", "smart_scan": "0", "pages_to_scan": "50000",
          "sleep_millisecs": "1"})
    # It makes huge pages of small ones, and of merged ones, whenever it comes by.
    turn({"scan_sleep_millisecs": "100000000"}, KHUGEPAGED)
    a = Planter(f"equal:{EQUAL}:0", f"equal:{PAIR}:1000", f"same:{WITHIN // 2}:2000",
                f"same:{WITHIN // 2}:2001", f"same:{MANY}:3000", f"own:{OWN}", "none:10")
    b = Planter(f"equal:{EQUAL}:0", f"equal:{PAIR}:1000", f"same:{MANY}:3000", f"own:{OWN}")
    c = Planter(f"equal:{EQUAL}:0", f"own:{OWN}")
    told = take(a.pid, b.pid, c.pid)
    equal("before KSM runs, nothing is merged", (told["merged_frames"], told["pairs"]), (0, []))
    write(KSM + "run", "1")
    wanted = [EQUAL + PAIR + WITHIN + MANY, EQUAL + PAIR + MANY, EQUAL]
    if not wait(lambda: [p.merging() for p in (a, b, c)] == wanted):
        skip("all else", f"KSM did not get round in {PATIENCE_S} s: "
                         f"{[p.merging() for p in (a, b, c)]} of {wanted} pages merged")
    else:
        check_zero()  # while KSM is at work
        write(KSM + "run", "0")
        told = take(a.pid, b.pid, c.pid)
        print(f"# merged is known by: {told['rule']}")
        compare_with_oracle(told, "planted")
        check_planted(told, a, b, c)
        check_content(told, a)
        equal("looking moves nothing, not even at the content", groups_of(take(a.pid, b.pid, c.pid)),
              groups_of(told))
        check_stable(a, b, c)
        check_outside(a)
        check_pictures(a, b, c)
        check_write(told, a, b, c)
        check_refusals(a)
    print(f"1..{tests}")


main()
