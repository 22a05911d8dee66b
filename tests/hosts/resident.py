# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run commands in a container through a process that stays there: ten times as fast as a ``docker exec`` for each.

The process is started by ``docker exec`` itself, so what it starts has the same namespaces, rights and environment. It
stays on the host as root while the tests run, and ends with them or with its container.
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

# Input: a line of JSON with the words of the command and the size of its standard input (null for none), then that
# input. Output: one byte when the input was read and before the command is started; then a line of JSON with the status
# and the sizes of the two outputs, and then these outputs.
_PROGRAM = r"""
import json, os, subprocess, sys
environment = {name: value for name, value in os.environ.items() if name != "LC_CTYPE"}  # this Python has put it there
requests, answers = sys.stdin.buffer, sys.stdout.buffer
for line in requests:
    words, size = json.loads(line)
    given = {"stdin": subprocess.DEVNULL} if size is None else {"input": requests.read(size)}
    answers.write(b"+")
    answers.flush()
    try:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        done = subprocess.run(words, **given, **pipes, env=environment, start_new_session=True)
        status, outputs = done.returncode, (done.stdout, done.stderr)
    except OSError as error:
        status, outputs = 127, (b"", str(error).encode())
    answers.write(json.dumps([status if status >= 0 else 128 - status, *map(len, outputs)]).encode() + b"\n")
    answers.write(b"".join(outputs))
    answers.flush()
"""

_idle: dict[str, list[_Resident]] = {}
"""The processes that wait for a command, by container."""
_lock = threading.Lock()


def execute(container: str, words: Sequence[str], data: bytes | None, timeout: float) -> _Done:
    """Run a command as root. Several threads may do so at a time.

    :param data: goes to standard input; without it standard input is empty.
    :param timeout: seconds.
    :returns: as from ``docker exec``: if a signal ended the program, the status is 128 plus the signal's number.
    :raises HostError: on a timeout.
    """
    while True:
        with _lock:
            waiting = _idle.setdefault(container, [])
            known = waiting.pop() if waiting else None
        resident = known or _Resident(container)
        done = resident.run(words, data, timeout)
        if done:
            if resident.alive:
                with _lock:
                    _idle[container].append(resident)
            return done
        if not known:
            # For instance, there is no Python, or the container does not run.
            interactive = [] if data is None else ["--interactive"]
            return docker("exec", *interactive, container, *words, input=data, check=False, timeout=timeout)


class _Resident:
    """The process in a container. It runs one command at a time."""

    def __init__(self, container: str) -> None:
        self._name = container
        self._client = subprocess.Popen(
            ["docker", "exec", "--interactive", container, "python3", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.alive = True

    def run(self, words: Sequence[str], data: bytes | None, timeout: float) -> _Done | None:
        """Run a command and return its result, or None if the process ended before it started the command."""
        late = threading.Event()
        timer = threading.Timer(timeout, self._end, [late])
        timer.start()
        try:
            return self._ask(words, data)
        finally:
            timer.cancel()
            if late.is_set():
                raise HostError(f"{' '.join(words)}\non {self._name} gave no answer within {timeout:.0f} s.")

    def _ask(self, words: Sequence[str], data: bytes | None) -> _Done | None:
        request = json.dumps([list(words), None if data is None else len(data)]).encode() + b"\n"
        requests, answers = t.cast(t.IO[bytes], self._client.stdin), t.cast(t.IO[bytes], self._client.stdout)
        started = b""
        with contextlib.suppress(BrokenPipeError):
            requests.write(request + (data or b""))
            requests.flush()
            started = answers.read(1)
        if not started:
            self.close()
            return None
        heading = answers.readline()
        if not heading.endswith(b"\n"):
            # The host ended while the command ran.
            return subprocess.CompletedProcess(list(words), 137, b"", self.close())
        status, output, errors = json.loads(heading)
        return subprocess.CompletedProcess(list(words), status, answers.read(output), answers.read(errors))

    def close(self) -> bytes:
        """End the process, and return its error output."""
        self.alive = False
        self._client.kill()
        with contextlib.suppress(BrokenPipeError):
            return self._client.communicate()[1]
        return b""

    def _end(self, late: threading.Event) -> None:
        late.set()
        self.alive = False
        self._client.kill()


_Done = subprocess.CompletedProcess[bytes]


@atexit.register
def _end_all() -> None:
    for resident in (resident for waiting in _idle.values() for resident in waiting):
        resident.close()
