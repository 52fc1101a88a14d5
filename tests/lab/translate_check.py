# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares what `matrix translate --json` said with the kernel and the guest; for translate.sh.

translate_check.py stages FILE PID PLACES   what the guest says that it wrote is there
translate_check.py merged FILE PID          all sharers are at one frame, and there are no others
"""
import json
import struct
import sys

PAGE = 4096
KPF_KSM = 21


def pagemap(pid, address):
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as file:
        file.seek(address // PAGE * 8)
        entry = struct.unpack("Q", file.read(8))[0]
    assert entry >> 63, f"{address:#x} is not present in {pid}"
    return entry & ((1 << 55) - 1)


def of_frame(name, frame):
    with open(f"/proc/{name}", "rb", buffering=0) as file:
        file.seek(frame * 8)
        return struct.unpack("Q", file.read(8))[0]


def word_at(pid, address):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        file.seek(address)
        return struct.unpack("Q", file.read(8))[0]


def number(text):
    return int(text, 16)


def stages(result, pid, places):
    places = [line.split() for line in open(places)]
    assert result["pid"] == pid and len(places) == len(result["addresses"]) == 5
    for (name, address, word), said in zip(places, result["addresses"]):
        assert number(said["guest_virtual_address"]) == int(address, 16), name
        hva, gpa = number(said["host_virtual_address"]), number(said["guest_physical_address"])
        slot, page = said["memory_slot"], said["guest_page"]
        assert page["kvm_agrees"] and page["writable"] and not page["executable"], name
        assert word_at(pid, hva) == int(word, 16), f"{name}: another word at {hva:#x}"
        assert hva - number(slot["hva"]) == gpa - number(slot["gpa"]) < slot["bytes"], name
        frame = pagemap(pid, hva)
        assert number(said["physical_address"]) == frame * PAGE + hva % PAGE, name
        assert ("ksm" in said["flags"]) == bool(of_frame("kpageflags", frame) >> KPF_KSM & 1), name


def merged(result, pid):
    said = result["addresses"][0]
    frame = number(said["physical_address"]) // PAGE
    assert of_frame("kpageflags", frame) >> KPF_KSM & 1
    assert pagemap(pid, number(said["host_virtual_address"])) == frame
    for other in said["merged_with"]:
        hva = number(other["host_virtual_address"])
        assert pagemap(other["pid"], hva) == frame, other
    assert of_frame("kpagecount", frame) == len(said["merged_with"]) + 1 == said["frame_mappings"]


with open(sys.argv[2]) as file:
    answer = json.load(file)
if sys.argv[1] == "stages":
    stages(answer, int(sys.argv[3]), sys.argv[4])
else:
    merged(answer, int(sys.argv[3]))
