#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's console from a terminal, and by bare requests. Called by console.sh; prints `pass` or `fail` and a
name for each thing that it shows, and the end of the list.

usage: console_client.py MATRIX SOCKET   with the guests echo, deaf, spin, hello and flood there
"""
import base64
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import time

MATRIX, SOCKET = sys.argv[1:]
PATIENCE_S = 60


def check(name, holds):
    print("pass" if holds else "fail", name, flush=True)


# --- on a terminal --------------------------------------------------------------------------------


class Terminal:
    """`matrix attach` on a terminal of its own."""

    def __init__(self, *arguments):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.seen = b""
        self.process = subprocess.Popen(
            [MATRIX, "attach", *arguments], stdin=self.slave, stdout=self.slave, stderr=self.slave,
            start_new_session=True)

    def shows(self, text, patience_s=PATIENCE_S):
        end = time.monotonic() + patience_s
        while text not in self.seen and time.monotonic() < end:
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536)
        return text in self.seen

    def types(self, keys):
        os.write(self.master, keys)

    def is_changed(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def is_restored(self):
        end = time.monotonic() + PATIENCE_S
        while termios.tcgetattr(self.slave) != self.before and time.monotonic() < end:
            time.sleep(0.05)
        return termios.tcgetattr(self.slave) == self.before

    def status(self):
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None


def on_a_terminal():
    terminal = Terminal("echo")
    check("attach: on a terminal it says which key leaves", terminal.shows(b"Ctrl-] leaves"))
    check("... each key goes at once", terminal.is_changed())
    terminal.types(b"knock")
    check("... to the guest, which answers", terminal.shows(b"knock"))
    terminal.types(b"\r\x03\x1b[31m")
    check("... Ctrl-C as well, and what a terminal might take for a command is escaped",
          terminal.shows(b"knock\r\n\\x03\\x1b[31m"))
    terminal.types(b"\x1d")
    check("... the key leaves, with status 0", terminal.status() == 0)
    check("... and the terminal is as it was", terminal.is_restored())

    terminal = Terminal("--detach-key", "^P", "--raw", "--lines", "0", "echo")
    terminal.shows(b"Ctrl-P leaves")
    terminal.types(b"\x1d\x1b[0m")
    check("attach: with another key, and raw", terminal.shows(b"\x1d\x1b[0m"))
    terminal.types(b"\x10")
    check("... that one leaves", terminal.status() == 0 and terminal.is_restored())

    for number in signal.SIGTERM, signal.SIGHUP, signal.SIGINT:
        terminal = Terminal("echo")
        terminal.shows(b"leaves")
        terminal.process.send_signal(number)
        check(f"attach: {number.name} ends it", terminal.status() == 128 + number)
        check("... and the terminal is as it was", terminal.is_restored())
    terminal = Terminal("echo")
    terminal.shows(b"leaves")
    terminal.process.kill()
    check("attach: also after SIGKILL", terminal.is_restored())

    terminal = Terminal("--echo", "deaf")
    terminal.shows(b"leaves")
    for _ in range(12):
        terminal.types(b"x" * 1000)
        terminal.shows(b"x" * 1000)
    check("attach: a guest that does not read keeps nobody, there is a bell", terminal.shows(b"\a"))
    terminal.types(b"\x1d")
    check("... and the key leaves", terminal.status() == 0 and terminal.is_restored())


# --- bare requests --------------------------------------------------------------------------------


class Client:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(SOCKET)
        self.answers = self.socket.makefile()

    def send(self, command, **members):
        request = {"version": 1, "command": command, **members}
        self.socket.sendall((json.dumps(request) + "\n").encode())

    def ask(self, command, **members):
        self.send(command, **members)
        return json.loads(self.answers.readline())


def code(answer):
    return answer.get("error", {}).get("code")


def bare_requests():
    client = Client()
    whole = client.ask("logs", guest="hello")
    text = base64.b64decode(whole["data"])
    check("logs: from the beginning", (whole["from"], whole["lost_bytes"]) == (0, 0)
          and text.startswith(b"Hello") and whole["next"] == whole["end"] == len(text))
    part = client.ask("logs", guest="hello", **{"from": 6, "max": 4})
    check("logs: a part", base64.b64decode(part["data"]) == text[6:10] and part["next"] == 10)
    check("logs: nothing new", client.ask("logs", guest="hello", **{"from": len(text)})["data"] == "")
    old = client.ask("logs", guest="flood", **{"from": 5})
    check("logs: what is lost is counted",
          old["lost_bytes"] == old["from"] - 5 == old["end"] - 65536 - 5)
    check("logs: whatever is asked for, not too much",
          len(base64.b64decode(client.ask("logs", guest="flood", max=2**62)["data"])) == 8192)
    bad = [{"from": -1}, {"from": -2**63}, {"from": len(text) + 1}, {"from": 2**63 - 1}, {"from": "0"},
           {"from": 1.5}, {"from": None}, {"from": []}, {"max": 0}, {"max": -1}, {"max": "9"}, {"lines": 1}]
    for members in bad:
        check(f"logs: refused: {members}",
              code(client.ask("logs", guest="hello", **members)) == "bad_request")
    check("logs: no such guest", code(client.ask("logs", guest="nobody")) == "no_such_guest")
    check("logs: which guest", code(client.ask("logs")) == "which_guest")

    check("input: refused by who has none", code(client.ask("input", guest="spin", data="")) == "no_input")
    check("input: no such guest", code(client.ask("input", guest="nobody", data="")) == "no_such_guest")
    too_much = base64.b64encode(b"x" * 1025).decode()
    for data in "x", "Zg", "Zg==Zg==", "Z g=", 7, None, ["Zg=="], too_much:
        check(f"input: refused: {str(data)[:20]}",
              code(client.ask("input", guest="deaf", data=data)) == "bad_request")
    check("input: refused: eof of a wrong type",
          code(client.ask("input", guest="deaf", data="", eof="yes")) == "bad_request")
    piece = base64.b64encode(b"x" * 1024).decode()
    taken = [client.ask("input", guest="deaf", data=piece)["taken"] for _ in range(20)]
    check("input: what a guest does not read is bounded", sum(taken) <= 4096 and taken[-1] == 0)
    check("... and its end waits with the rest",
          client.ask("input", guest="deaf", data=piece, eof=True)["eof"] is False)
    check("input: the end", client.ask("input", guest="deaf", eof=True)["eof"] is True)
    check("... comes once", code(client.ask("input", guest="deaf", data=piece)) == "failed")

    flood = Client()
    for _ in range(2000):
        flood.send("logs", guest="flood", **{"from": 0})
        if not select.select([], [flood.socket], [], 0)[1]:
            break
    check("logs: others are answered while one floods and does not read",
          client.ask("logs", guest="hello")["end"] == len(text))


on_a_terminal()
bare_requests()
check("the end of the list", True)
