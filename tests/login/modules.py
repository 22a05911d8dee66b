# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One module of the collection run on a host, over a connection of one's choice, and what it returned."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import subprocess
import tempfile
import typing as t
from collections.abc import Iterator
from pathlib import Path

from hosts import Host
from login.backends import backend_of
from login.people import POLICY, Person, inventory_path

_RESULT = re.compile(r"^\S+ \| (SUCCESS|CHANGED|FAILED!|UNREACHABLE!) => (\{.*^\})", re.MULTILINE | re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a module returned; or, where it was not reached, what Ansible said."""

    status: str
    values: dict[str, t.Any]
    output: str

    @property
    def ok(self) -> bool:
        """Whether it did not fail."""
        return self.status in ("SUCCESS", "CHANGED")

    @property
    def changed(self) -> bool:
        """Whether it says that it changed anything."""
        return bool(self.values.get("changed"))

    @property
    def message(self) -> str:
        """Why it failed."""
        return str(self.values.get("msg", self.output))

    def __getitem__(self, name: str) -> t.Any:
        """A return value."""
        return self.values[name]


class Command(t.NamedTuple):
    """How to start Ansible for one module: the words, and the environment."""

    words: list[str]
    environment: dict[str, str]


def command(
    host: Host,
    name: str,
    arguments: t.Mapping[str, t.Any],
    *,
    check: bool = False,
    connection: Path | None = None,
    interpreter: str = "/usr/bin/python3",
) -> Command:
    """Build the command that `module` runs."""
    if name in ("twofactor", "twofactor_adopt", "twofactor_info"):
        arguments = {"backend": backend_of(host).name, **arguments}
    words = ["ansible", host.name, "-i", str(inventory_path(host.fleet)), "-m", f"fleet.auth.{name}"]
    words += ["-e", f"ansible_python_interpreter={interpreter}", *(["-a", json.dumps(arguments)] if arguments else [])]
    words += ["--check"] if check else []
    multiplexed = {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(connection)} if connection else {}
    alone = {} if connection else {"ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o ControlPath=none"}
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1", **multiplexed, **alone}
    return Command(words, environment)


def module(host: Host, name: str, arguments: t.Mapping[str, t.Any] | None = None, **how: t.Any) -> Answer:
    """Run a module of the collection.

    :param check: in check mode.
    :param connection: a directory, see `connections`: who names the same one comes over the same connection. Without it
        the module comes over a connection of its own.
    :param interpreter: a Python on the host.
    """
    words, environment = command(host, name, arguments or {}, **how)
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    return answer(done.stdout, done.stderr)


def answer(stdout: str, stderr: str) -> Answer:
    """Read what Ansible printed."""
    found = _RESULT.search(stdout)
    values = json.loads(found[2]) if found else {}
    return Answer(found[1] if found else "nothing", values, stdout + stderr)


def options(*people: Person, **values: t.Any) -> dict[str, t.Any]:
    """The options of the module: these people enrolled and vouched for, sshd on, Ansible's account exempt."""
    return {**POLICY, "users": [person.entry for person in people], **values}


def turn_on(host: Host, *people: Person, **values: t.Any) -> Answer:
    """Turn two-factor login on for these people by the module alone, and stop the test where that fails."""
    done = module(host, "twofactor", options(*people, **values))
    assert done.ok, done.output
    return done


@contextlib.contextmanager
def connections(host: Host) -> Iterator[Path]:
    """A directory for a connection that stays until the end of the block."""
    # The path of a socket may have no more than some hundred characters.
    with tempfile.TemporaryDirectory(prefix="cp") as folder:
        try:
            yield Path(folder)
        finally:
            for socket in Path(folder).iterdir():
                words = ["ssh", *host.ssh_options, "-o", f"ControlPath={socket}", "-O", "exit", host.address]
                subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
