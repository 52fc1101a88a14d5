# SPDX-License-Identifier: GPL-2.0-or-later
"""A terminal in which a program runs: what it shows is read, and keys are pressed. It knows the few sequences that
Matrix's screens use, and calls any other a mistake. And TAP, for tests that are written in Python."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

PATIENCE = 60
SEQUENCE = re.compile(rb"\x1b\[([?0-9;]*)([A-Za-z])")


class Screen:
    def __init__(self, command, columns=80, rows=24, **environment):
        self.size = columns, rows
        self.raw = b""
        self.lines = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.modes = set()
        self.colours = self.frames = 0
        self.status = None
        begin, go = os.pipe()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.read(begin, 1)  # how the terminal was set before has been seen
            os.environ.update({"LC_ALL": "C.UTF-8", "TERM": "xterm", **environment})
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvp(command[0], command)
        self.settings = termios.tcgetattr(self.fd)
        os.write(go, b".")
        os.close(begin)
        os.close(go)

    # --- what it writes

    def sequence(self, parameters, last):
        columns, rows = self.size
        if last in "hl" and parameters in ("?25", "?7", "?1049"):
            (self.modes.add if last == "h" else self.modes.discard)(parameters)
        elif last == "J" and parameters == "2":
            self.lines = [[" "] * columns for _ in range(rows)]
        elif last == "H" and not parameters:
            self.row = self.column = 0
            self.frames += 1
        elif last == "K" and not parameters:
            if self.row < rows:
                self.lines[self.row][self.column:] = [" "] * (columns - self.column)
        elif last == "m":
            self.colours += parameters not in ("", "0")
        else:
            raise AssertionError(f"a sequence that no screen needs: {parameters!r} {last}")

    def character(self, text):
        columns, rows = self.size
        if text == "\r":
            self.column = 0
        elif text == "\n":
            self.row += 1
        elif text < " " or "\x7f" <= text < "\xa0":
            raise AssertionError(f"a control character: {text!r}")
        else:
            assert self.row < rows and self.column < columns, f"{text!r} is beyond the edge: {self.text()}"
            self.lines[self.row][self.column] = text
            self.column += 1

    def feed(self, data):
        self.raw += data
        while self.raw:
            match = SEQUENCE.match(self.raw)
            if match:
                self.raw = self.raw[match.end():]
                self.sequence(match[1].decode(), match[2].decode())
                continue
            if self.raw[0] == 0x1b and len(self.raw) < 16:
                return  # its rest has not come
            length = 1 if self.raw[0] < 0x80 else 2 if self.raw[0] < 0xe0 else 3 if self.raw[0] < 0xf0 else 4
            if len(self.raw) < length:
                return
            self.character(self.raw[:length].decode())
            self.raw = self.raw[length:]

    def read(self, seconds):
        """False when nobody has the terminal open any more."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        if data:
            self.feed(data)
        return bool(data)

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.lines)

    # --- what is done with it

    def shows(self, what, seconds=PATIENCE):
        """Whether it comes to show a regular expression, or what a function says of the text."""
        end = time.monotonic() + seconds
        while True:
            # What is seen is a whole frame: nothing more is on its way.
            more = select.select([self.fd], [], [], 0)[0]
            found = what(self.text()) if callable(what) else re.search(what, self.text(), re.M)
            if found and not more:
                return True
            if time.monotonic() > end or not self.read(0.1):
                return bool(found)

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def resize(self, columns, rows):
        self.size = columns, rows
        self.lines = [[" "] * columns for _ in range(rows)]
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def signal(self, number):
        os.kill(self.pid, number)

    def ends(self):
        """Its status, as a shell has it."""
        end = time.monotonic() + PATIENCE
        while self.status is None and time.monotonic() < end:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status >> 8 if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        return self.status

    def is_as_before(self):
        """The terminal was given back: its modes, its page, its cursor."""
        now = termios.tcgetattr(self.fd)
        return now[:4] == self.settings[:4] and self.modes == {"?25", "?7"}

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


tests = 0


def check(name, good, seen=""):
    global tests
    tests += 1
    print(f"{'ok' if good else 'not ok'} {tests} - {name}", flush=True)
    if not good:
        print("# " + str(seen).replace("\n", "\n# "), flush=True)


def finish():
    print(f"1..{tests}")
    sys.exit(0)
