#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command whose reader is difficult: a terminal that stands still, a full pipe, a slow one.
Called by cloud_output.sh. What was read goes to standard output; the status is the command's, or 99 if
it had to be killed after LIMIT seconds.

usage: reader.py HOW COMMAND [ARGUMENT...], with HOW one of
  terminal       a terminal of 24 lines, read at once
  terminal-term  the same; SIGTERM half a second after the first output
  stalled        a terminal that is never read
  stalled-term   the same; SIGTERM half a second after the first output
  stderr         standard error is a full pipe that is never read
  stderr-term    the same; SIGTERM half a second after the first output on standard output
  trickle        standard output is a pipe of a page that is read at 10 KB/s
  late=TEXT      standard output is a pipe that is read only from 0.3 s after it was full, until
                 TEXT comes; then SIGTERM. Status 98 if it does not come.
"""
import array
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

LIMIT = 60
PIPE_BYTES = 65536


def bytes_waiting(fd):
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


def read_some(fd, limit=65536):
    """What can be read now; b"" at the end, None if nothing has come in 20 ms."""
    if not select.select([fd], [], [], 0.02)[0]:
        return None
    try:
        return os.read(fd, limit)
    except OSError:  # EIO: nobody has the terminal open any more
        return b""


def show(data):
    if data:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    return data


def full_pipe():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    return reader, writer


class Command:
    def __init__(self, arguments, **streams):
        self.start = time.monotonic()
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, **streams)

    def is_running(self):
        """Until it has ended, or must be ended."""
        if self.process.poll() is not None:
            return False
        if time.monotonic() - self.start > LIMIT:
            self.process.kill()
            self.process.wait()
            sys.stdout.flush()
            os._exit(99)
        return True

    def wait_until(self, condition):
        while self.is_running() and not condition():
            time.sleep(0.02)

    def terminate(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def status(self):
        while self.is_running():
            time.sleep(0.02)
        # Killed by a signal that it did not handle: not what 128 + n says.
        return self.process.returncode if self.process.returncode >= 0 else 97


def on_terminal(arguments, is_read, term):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 132, 0, 0))
    command = Command(arguments, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    if term:
        command.wait_until(lambda: select.select([master], [], [], 0)[0])
        time.sleep(0.5)
        command.terminate()
    while is_read and show(read_some(master)) != b"":
        command.is_running()
    return command.status()


def with_full_stderr(arguments, term):
    _, full = full_pipe()
    reader, writer = os.pipe()
    command = Command(arguments, stdout=writer, stderr=full)
    os.close(writer)
    seen = 0.0
    while (data := show(read_some(reader))) != b"":
        command.is_running()
        seen = seen or (time.monotonic() if data else 0.0)
        if term and seen and time.monotonic() > seen + 0.5:
            command.terminate()
            term = False
    return command.status()


def trickle(arguments):
    command = Command(arguments, stdout=subprocess.PIPE)
    pipe = command.process.stdout.fileno()
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
    while show(read_some(pipe, 500)) != b"":
        if command.is_running():
            time.sleep(0.05)
    return command.status()


def late(arguments, text):
    command = Command(arguments, stdout=subprocess.PIPE)
    pipe = command.process.stdout.fileno()
    command.wait_until(lambda: bytes_waiting(pipe) > PIPE_BYTES - 4096)
    time.sleep(0.3)
    seen = b""
    limit = time.monotonic() + LIMIT
    while text not in seen and time.monotonic() < limit:
        seen += show(read_some(pipe)) or b""
    command.terminate()
    while show(read_some(pipe)) != b"":
        command.is_running()
    status = command.status()
    return status if text in seen else 98


def main():
    how, arguments = sys.argv[1], sys.argv[2:]
    term = how.endswith("-term")
    if how.startswith("late="):
        return late(arguments, how[5:].encode() + b"\n")
    if how == "trickle":
        return trickle(arguments)
    if how.startswith("stderr"):
        return with_full_stderr(arguments, term)
    return on_terminal(arguments, how.startswith("terminal"), term)


sys.exit(main())
