# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Docker command, as the rest of this package calls it, and the folder for all state."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

STATE = Path(__file__).resolve().parents[2] / "build" / "hosts"
_ENGINE = Path(__file__).with_name("engine")


class HostError(Exception):
    """A test host, or a tool that makes one, fails. The text says which, and shows its output."""


def docker(*arguments: str, input: bytes | None = None, check: bool = True, timeout: float = 300) -> Output:
    """Run ``docker ARGUMENTS``.

    :param input: goes to standard input. Without it standard input is empty, so nothing can wait for it.
    :param timeout: seconds.
    :raises HostError: on a status other than 0 if *check*, and on a timeout. The text never contains *input*.
    """
    stdin: dict[str, t.Any] = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
    shown = " ".join(arguments)
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, timeout=timeout, check=False, **stdin)
    except FileNotFoundError:
        raise HostError(f"There is no docker command here. Run {_ENGINE}, or install one.") from None
    except subprocess.TimeoutExpired:
        raise HostError(f"docker {shown}\ngave no answer within {timeout:.0f} s.") from None
    if check and done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise HostError(f"docker {shown}\nended with {done.returncode}:\n{said}")
    return done


Output = subprocess.CompletedProcess[bytes]


def engine_answers() -> bool:
    """Whether there is a Docker engine to talk to."""
    try:
        return docker("info", check=False, timeout=30).returncode == 0
    except HostError:
        return False


def ensure_engine() -> None:
    """Make sure that a Docker engine answers.

    :raises HostError: if there is none and none can be started; the engine script has printed what to do.
    """
    if subprocess.run([str(_ENGINE)], stdin=subprocess.DEVNULL, check=False).returncode:
        raise HostError("There is no Docker engine to start test hosts on; see above.")


def say(text: str) -> None:
    """Print what is being done."""
    print(f"hosts: {text}", flush=True)
