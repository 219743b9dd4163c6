"""Plays a program in a pseudo-terminal:

    terminal.py STEPS COMMAND [ARGUMENT]...

STEPS is JSON, a list of:
    ["sees", REGEX]        waits until the screen drawn last matches
    ["keys", TEXT]         types
    ["size", COLUMNS, LINES]
    ["signal", NAME]       to the program
    ["stopped"], ["continue"]  waits until it is; lets it go on
    ["cooked"], ["raw"]    waits until the terminal is as it was; or is not
    ["end"]                waits until it ends

Prints JSON: the screen at the end of each step, everything that was written,
how the program ended, and whether the terminal was left as it had been found.
"""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

DEADLINE_S = float(os.environ.get("PTY_DEADLINE_S", "10"))


class Play:
    def __init__(self, command):
        self.master, self.slave = pty.openpty()
        self.size(160, 40)
        self.before = termios.tcgetattr(self.slave)
        self.written = b""
        self.status = None
        self.stopped = False
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for fd in (0, 1, 2):
                os.dup2(self.slave, fd)
            os.close(self.master)
            os.execvp(command[0], command)

    def size(self, columns, lines):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def look(self):
        if select.select([self.master], [], [], 0.02)[0]:
            try:
                self.written += os.read(self.master, 65536)
            except OSError:
                pass
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if pid and os.WIFSTOPPED(status):
                self.stopped = True
            elif pid and os.WIFCONTINUED(status):
                self.stopped = False
            elif pid:
                self.status = status

    # What was drawn last, from its top left on, without what only colours.
    def screen(self):
        text = self.written.decode("utf-8", "replace").split("\x1b[H")[-1]
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r\n", "\n")

    def wait(self, what, true):
        end = time.monotonic() + DEADLINE_S
        while not true():
            self.look()
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                sys.exit(f"not within {DEADLINE_S} s: {what}; the screen:\n{self.screen()}")

    def as_before(self):
        return termios.tcgetattr(self.slave) == self.before

    def step(self, kind, *args):
        if kind == "sees":
            self.wait(args[0], lambda: re.search(args[0], self.screen(), re.M))
        elif kind == "keys":
            os.write(self.master, args[0].encode())
        elif kind == "size":
            self.size(*args)
        elif kind == "signal":
            os.kill(self.pid, getattr(signal, args[0]))
        elif kind == "stopped":
            self.wait("it is stopped", lambda: self.stopped)
        elif kind == "continue":
            os.kill(self.pid, signal.SIGCONT)
        elif kind == "cooked":
            self.wait("the terminal is as it was", self.as_before)
        elif kind == "raw":
            self.wait("the terminal is taken", lambda: not self.as_before())
        elif kind == "end":
            self.wait("it ends", lambda: self.status is not None)
        else:
            sys.exit(f"no such step: {kind}")


def main():
    play = Play(sys.argv[2:])
    screens = []
    for step in json.loads(sys.argv[1]):
        play.step(*step)
        screens.append(play.screen())
    for _ in range(3):
        play.look()
    print(json.dumps({
        "screens": screens,
        "written": play.written.decode("utf-8", "replace"),
        "code": os.WEXITSTATUS(play.status) if os.WIFEXITED(play.status) else None,
        "signal": signal.Signals(os.WTERMSIG(play.status)).name if os.WIFSIGNALED(play.status) else None,
        "restored": play.as_before(),
    }))


main()
