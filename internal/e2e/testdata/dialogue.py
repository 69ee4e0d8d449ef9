#!/usr/bin/env python3
"""Speaks to rcli as programs do that drive shells through their screens: Netmiko, and
Ansible's network_cli. They find the prompt by a regular expression, send a line, read
until the prompt comes again, take the echo and the prompt off, and look for error
messages in what is left. Usage: dialogue.py RCLI [FLAG]..."""

import os
import re
import sys

import pexpect

# Ansible's terminal_stdout_re and terminal_stderr_re, as plugins for such shells have them.
PROMPT = re.compile(r"[\r\n]?(?:\[edit[^\r\n]*\]\S*\r?\n)?[\w.-]+@[\w.-]+[>#] ?$")
ERRORS = [re.compile(p, re.M) for p in (r"^error:", r"unknown command", r"syntax error", r"did you mean")]
ESCAPE = "\x1b"
MORE = re.compile(r"--\s*more|\(END\)|^:$", re.I | re.M)


class Session:
    """A session in the manner of netmiko.BaseConnection."""

    def __init__(self, argv):
        env = dict(os.environ, TERM="dumb", LANG="C")
        self.child = pexpect.spawn(argv[0], argv[1:], env=env, encoding="utf-8", timeout=20, dimensions=(24, 80))
        self.all = ""
        self.read()
        self.base = self.find_prompt().rstrip(">#")

    def read(self):
        """Reads until the prompt is the last thing there is."""
        text = ""
        while True:
            text += self.child.read_nonblocking(4096, timeout=20)
            if PROMPT.search(text):
                self.all += text
                return text

    def find_prompt(self):
        self.child.send("\n")
        lines = self.read().replace("\r", "").strip().splitlines()
        return lines[-1].strip()

    def send(self, command):
        """send_command: the output without echo and prompt."""
        self.child.send(command + "\n")
        text = self.read().replace("\r", "")
        echo, _, output = text.partition("\n")
        check(echo.strip() == command, f"the echo of {command!r} is {echo!r}")
        return PROMPT.sub("", output).strip("\n")


def check(ok, what):
    if not ok:
        print("dialogue: " + what, file=sys.stderr)
        sys.exit(1)


def failed(output):
    return any(e.search(output) for e in ERRORS)


def main():
    s = Session(sys.argv[1:])
    check(s.find_prompt() == s.base + ">", f"the prompt is {s.find_prompt()!r}, want {s.base}>")

    out = s.send("show interfaces")
    check("ge0" in out and "ge1" in out, f"show interfaces prints {out!r}")
    check(not failed(out), "show interfaces looks like an error")
    long = s.send("show route")
    check(long.count("\n") > 30, f"a long answer has {long.count(chr(10))} lines")

    for wrong in ("shwo interfaces", "show interfaces ge77", "show route nonsense"):
        out = s.send(wrong)
        check(failed(out), f"{wrong!r} is not seen to fail: {out!r}")
    check(s.find_prompt() == s.base + ">", "the prompt is lost after an error")

    # Configuration mode: config_mode, send_config_set, commit, exit_config_mode.
    s.send("configure")
    check(s.find_prompt() == s.base + "#", f"in configuration mode the prompt is {s.find_prompt()!r}")
    for command in ("set interface ge0 description scraped", "set interface ge1 description scraped-too"):
        out = s.send(command)
        check(not failed(out), f"{command!r} fails: {out!r}")
    out = s.send("set interface ge0 mru 9700")
    check(failed(out), f"a value out of range is not seen to fail: {out!r}")
    out = s.send("commit")
    check(not failed(out), f"commit fails: {out!r}")
    out = s.send("set interface ge1 unit 0 family inet address 192.0.2.1/24")
    check(not failed(out), f"an address that is taken fails before the commit: {out!r}")
    out = s.send("commit")
    check(failed(out), f"a refused commit is not seen to fail: {out!r}")
    out = s.send("discard")
    check(not failed(out), f"discard fails: {out!r}")
    s.send("exit")
    check(s.find_prompt() == s.base + ">", f"behind exit the prompt is {s.find_prompt()!r}")
    out = s.send("show interfaces ge0 --json")
    check('"scraped"' in out, f"the commit is not seen: {out!r}")

    check(ESCAPE not in s.all, "there are escapes in what comes: " + repr(s.all[max(0, s.all.find(ESCAPE) - 40):][:80]))
    check(not MORE.search(s.all), "a pager waits")

    s.child.send("exit\n")
    s.child.expect(pexpect.EOF, timeout=20)
    s.child.close()
    check(s.child.exitstatus == 0, f"exit code {s.child.exitstatus}")


main()
