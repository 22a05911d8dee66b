# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that stay on a host and answer requests there, at a small part of the cost of a new connection for each.

`execute` has such a process, which ``docker exec`` starts, run commands as root: ten times as fast as a ``docker exec``
for each. They have the same namespaces, rights and environment. The process stays while the tests run, and ends with
them or with its container.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import subprocess
import threading
import typing as t
from collections.abc import Sequence

from .docker import HostError, docker

ANSWERS = r"""
import json, sys
requests, answers = sys.stdin.buffer, sys.stdout.buffer
def received():
    for line in requests:
        words, size = json.loads(line)
        data = None if size is None else requests.read(size)
        answers.write(b"+")
        answers.flush()
        yield words, data
def answer(status, *outputs):
    answers.write(json.dumps([status if status >= 0 else 128 - status, *map(len, outputs)]).encode() + b"\n")
    answers.write(b"".join(outputs))
    answers.flush()
"""
"""The part of a process's program that talks to `ask`.

A request is a line of JSON with some words and the size of the data that follows (null for none), and then the data.
The answer is one byte when the request was read and before it is carried out; then a line of JSON with the status and
the sizes of the standard output and the standard error, and then these.
"""

_PROGRAM = rf"""
import os, subprocess
{ANSWERS}
environment = {{name: value for name, value in os.environ.items() if name != "LC_CTYPE"}}  # this Python put it there
for words, data in received():
    given = {{"stdin": subprocess.DEVNULL}} if data is None else {{"input": data}}
    try:
        pipes = {{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}}
        done = subprocess.run(words, **given, **pipes, env=environment, start_new_session=True)
        answer(done.returncode, done.stdout, done.stderr)
    except OSError as error:
        answer(127, b"", str(error).encode())
"""

_Done = subprocess.CompletedProcess[bytes]

_idle: dict[tuple[str, ...], list[_Resident]] = {}
"""The processes that wait for a request, by the command that started them."""
_lock = threading.Lock()
_END = 5.0
"""Seconds within which a process ends that has closed its output."""


def execute(container: str, words: Sequence[str], data: bytes | None, timeout: float) -> _Done:
    """Run a command as root. Several threads may do so at a time.

    :param data: goes to standard input; without it standard input is empty.
    :param timeout: seconds.
    :returns: as from ``docker exec``: if a signal ended the program, the status is 128 plus the signal's number.
    :raises HostError: on a timeout.
    """
    try:
        return ask(("docker", "exec", "--interactive", container, "python3", "-c", _PROGRAM), words, data, timeout)
    except NotStarted:
        # For instance, there is no Python, or the container does not run.
        interactive = [] if data is None else ["--interactive"]
        return docker("exec", *interactive, container, *words, input=data, check=False, timeout=timeout)


class NotStarted(Exception):
    """A command did not start a process that answers."""

    def __init__(self, ended: _Done) -> None:
        super().__init__(ended.stderr.decode(errors="replace"))
        self.ended = ended
        """How the command ended."""


def ask(command: tuple[str, ...], words: Sequence[str], data: bytes | None, timeout: float) -> _Done:
    """Have a process that `command` starts, or has started earlier, answer a request. Its program has `ANSWERS`.

    :param timeout: seconds.
    :raises HostError: on a timeout.
    :raises NotStarted: if the command does not start such a process.
    """
    while True:
        with _lock:
            waiting = _idle.setdefault(command, [])
            known = waiting.pop() if waiting else None
        resident = known or _Resident(command)
        done = resident.run(words, data, timeout)
        if done:
            if resident.alive:
                with _lock:
                    _idle[command].append(resident)
            return done
        if not known:
            raise NotStarted(resident.close())


class _Resident:
    """A process on a host. It answers one request at a time."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.alive = True

    def run(self, words: Sequence[str], data: bytes | None, timeout: float) -> _Done | None:
        """Return the answer to a request, or None if the process ended before it read the request."""
        late = threading.Event()
        timer = threading.Timer(timeout, self._end, [late])
        timer.start()
        try:
            return self._ask(words, data)
        finally:
            timer.cancel()
            if late.is_set():
                raise HostError(f"{' '.join(words)}\nin {self._client.args!r} gave no answer within {timeout:.0f} s.")

    def _ask(self, words: Sequence[str], data: bytes | None) -> _Done | None:
        request = json.dumps([list(words), None if data is None else len(data)]).encode() + b"\n"
        requests, answers = t.cast(t.IO[bytes], self._client.stdin), t.cast(t.IO[bytes], self._client.stdout)
        started = b""
        with contextlib.suppress(BrokenPipeError):
            requests.write(request + (data or b""))
            requests.flush()
            started = answers.read(1)
        if not started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._client.wait(_END)
            return None
        heading = answers.readline()
        if not heading.endswith(b"\n"):
            # The host ended while the request was carried out.
            return subprocess.CompletedProcess(list(words), 137, b"", self.close().stderr)
        status, output, errors = json.loads(heading)
        return subprocess.CompletedProcess(list(words), status, answers.read(output), answers.read(errors))

    def close(self) -> _Done:
        """End the process if it has not ended, and return its status and its output."""
        self.alive = False
        self._client.kill()
        output = errors = b""
        with contextlib.suppress(BrokenPipeError):
            output, errors = self._client.communicate()
        return subprocess.CompletedProcess(self._client.args, self._client.returncode, output, errors)

    def _end(self, late: threading.Event) -> None:
        late.set()
        self.alive = False
        self._client.kill()


@atexit.register
def _end_all() -> None:
    for resident in (resident for waiting in _idle.values() for resident in waiting):
        resident.close()
