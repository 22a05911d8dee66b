# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""People with an account on a host, and the playbooks, run as an administrator runs them."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import subprocess
import tempfile
import textwrap
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyotp
import yaml

import preloaded
from hosts import Host
from hosts.docker import STATE
from login import ssh
from login.backends import backend_of

PASSWORD = "correct horse"
POLICY: dict[str, t.Any] = {
    "ssh": True,
    "exempt_users": ["ansible"],
    "require_proof": False,
    "renew": "changed",
    "guard": "off",
}
"""The options of most tests: sshd on, Ansible's account exempt, no proof required, and no guard."""

_numbers = itertools.count(1)
_FAILURE = re.compile(r"^(?:fatal|failed): \[.+ => *\n((?:(?: {4}.*)?\n)+)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Person:
    """An account with a password, an authorised key, and its own secret."""

    name: str
    host: Host
    key: Path
    password: str = PASSWORD
    secret: str = dataclasses.field(default_factory=pyotp.random_base32)

    @property
    def entry(self) -> dict[str, str]:
        """The entry of the option `users`."""
        return {"name": self.name, "secret": self.secret}

    @property
    def credential(self) -> str:
        """The path of the credential on the host."""
        return f"{backend_of(self.host).directory}/{self.name}"

    def code(self, **how: t.Any) -> str:
        """The code that this person's phone shows."""
        return ssh.code(self.secret, **how)

    def by_password(self, code: str | None = None, **how: t.Any) -> ssh.Login:
        """Log in with the password, and the code if there is one."""
        return ssh.login(self.host, self.name, code=code, **{"password": self.password, **how})

    def by_key(self, code: str | None = None, **how: t.Any) -> ssh.Login:
        """Log in with the key, and the code if there is one."""
        return ssh.login(self.host, self.name, key=self.key, code=code, **how)


@dataclasses.dataclass(frozen=True)
class Run:
    """What a playbook printed, and its recap for the host."""

    status: int
    output: str
    recap: dict[str, int]

    @property
    def changed(self) -> bool:
        """Whether a task changed anything."""
        return self.recap["changed"] > 0

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return self.status == 0


def ansible_playbook(
    name: str, fleet: str, *arguments: str, anew: bool = False, **variables: t.Any
) -> subprocess.CompletedProcess[str]:
    """Run a playbook of the collection, or one given by its path, against a fleet, over ssh.

    The messages of failed tasks are appended to the output, because Ansible wraps the lines of a result.

    :param anew: start a new process, see `preloaded.run`.
    """
    playbook = name if name.endswith(".yml") else f"fleet.auth.{name}"
    words = ["ansible-playbook", playbook, "-i", str(inventory_path(fleet)), *arguments]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(variables, file)
        file.flush()
        done = preloaded.run(
            *words,
            *("--extra-vars", f"@{file.name}"),
            anew=anew,
            ANSIBLE_CALLBACK_RESULT_FORMAT="yaml",
            ANSIBLE_PIPELINING="1",
        )
    done.stdout += "".join(f"{line}\n" for line in _failures(done.stdout))
    return done


def _failures(output: str) -> t.Iterator[str]:
    """The `msg` of each failure in a playbook's output."""
    for result in _FAILURE.findall(output):
        yield str(yaml.safe_load(textwrap.dedent(result)).get("msg", ""))


def unwrapped(output: str) -> str:
    """The output with all line breaks as spaces, to search it for sentences: Ansible wraps lines."""
    return " ".join(output.split())


def playbook(name: str, host: Host, *arguments: str, **variables: t.Any) -> Run:
    """Run a playbook of the collection, or one given by its path, against one host, over ssh."""
    variables = {"twofactor_backend": backend_of(host).name, **variables}
    done = ansible_playbook(name, host.fleet, "--limit", host.name, *arguments, **variables)
    output = done.stdout + done.stderr
    recap = {"changed": 0, "failed": 0, "unreachable": 0}
    for line in done.stdout.splitlines():
        if line.startswith(host.name) and " : ok=" in line:
            recap = {key: int(value) for key, value in (word.split("=") for word in line.split(":")[1].split())}
    return Run(done.returncode, output, recap)


def inventory_path(fleet: str) -> Path:
    """The path of a fleet's inventory."""
    return STATE / fleet / "inventory.yml"


def settings(*people: Person, **options: t.Any) -> dict[str, t.Any]:
    """The variables of the role: these people enrolled and vouched for, sshd on, Ansible's account exempt."""
    values = {**POLICY, "users": [person.entry for person in people], **options}
    return {f"twofactor_{name}": value for name, value in values.items()}


def enable(host: Host, *people: Person, **options: t.Any) -> Run:
    """Turn two-factor login on for these people, and fail the test if that fails."""
    run = playbook("enable", host, **settings(*people, **options))
    assert run.ok, run.output
    return run


def furnish(machines: t.Sequence[Host], *people: str, packages: t.Sequence[str] = ()) -> None:
    """Make accounts on each host, with a password and an authorised key, and install packages."""

    def one(host: Host) -> None:
        if packages:
            host.install(*packages)
        for name in people:
            host.add_user(name, password=PASSWORD, authorized_key=host.key.with_suffix(".pub"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, machines))


def new_person(host: Host, **account: t.Any) -> Person:
    """Make an account that has not logged in yet."""
    made = Person(f"person{next(_numbers)}", host, host.key)
    host.add_user(made.name, **{"password": made.password, "authorized_key": host.key.with_suffix(".pub"), **account})
    return made
