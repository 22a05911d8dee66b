# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs one module of the collection on a host, and returns its result.

Ansible packs each module once. What it does on every run (connect, become root and start Python) is done here with ssh,
sudo and a shell, as with pipelining, at a third of the cost. Ansible would send the same sources on every run, and
Python compile them; here that is done once per host and once per release. Ansible itself runs a module where its own
behaviour matters: how it keeps connections, and what it prints.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import re
import shlex
import subprocess
import tempfile
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

from hosts import Host
from login.backends import backend_of
from login.payload import payload
from login.people import POLICY, Person, inventory_path
from login.ssh import NOT_YET, QUICK_KEX, RELOAD

PYTHON = "/usr/bin/python3"
_RESULT = re.compile(r"^\S+ \| (SUCCESS|CHANGED|FAILED!|UNREACHABLE!) => (\{.*^\})", re.MULTILINE | re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a module returned; if the module was not reached, what Ansible printed."""

    status: str
    values: dict[str, t.Any]
    output: str

    @property
    def ok(self) -> bool:
        """Whether the module did not fail."""
        return self.status in ("SUCCESS", "CHANGED")

    @property
    def changed(self) -> bool:
        """Whether the module reports a change."""
        return bool(self.values.get("changed"))

    @property
    def message(self) -> str:
        """Why the module failed."""
        return str(self.values.get("msg", self.output))

    def __getitem__(self, name: str) -> t.Any:
        """Return one of the return values."""
        return self.values[name]


class Command(t.NamedTuple):
    """How to start Ansible for one module: the command line and the environment."""

    words: list[str]
    environment: dict[str, str]


def command(
    host: Host,
    name: str,
    arguments: t.Mapping[str, t.Any],
    *,
    check: bool = False,
    connection: Path | None = None,
    interpreter: str = PYTHON,
) -> Command:
    """Build the command with which Ansible itself runs a module; the parameters are those of `module`."""
    arguments = _arguments(host, name, arguments)
    words = ["ansible", host.name, "-i", str(inventory_path(host.fleet)), "-m", f"fleet.auth.{name}"]
    words += ["-e", f"ansible_python_interpreter={interpreter}", *(["-a", json.dumps(arguments)] if arguments else [])]
    words += ["--check"] if check else []
    multiplexed = {"ANSIBLE_SSH_CONTROL_PATH_DIR": str(connection)} if connection else {}
    alone = {} if connection else {"ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o ControlPath=none"}
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1", **multiplexed, **alone}
    return Command(words, environment)


def module(
    host: Host,
    name: str,
    arguments: t.Mapping[str, t.Any] | None = None,
    *,
    check: bool = False,
    connection: Path | None = None,
    interpreter: str = PYTHON,
    user: str = "ansible",
) -> Answer:
    """Run a module of the collection.

    :param check: run in check mode.
    :param connection: a directory, see `connections`. Runs with the same directory share one of Ansible's connections.
        Without it the module gets its own ssh connection.
    :param interpreter: a Python on the host.
    :param user: the account to log in as, if the module gets its own connection.
    """
    if connection:
        words, environment = command(
            host, name, arguments or {}, check=check, connection=connection, interpreter=interpreter
        )
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=300, check=False
        )
        return answer(done.stdout, done.stderr)
    program = payload(
        name,
        {**_arguments(host, name, arguments or {}), "_ansible_check_mode": check},
        # Byte code is that of one version.
        sent=functools.partial(sent_to, host) if interpreter == PYTHON else None,
    )
    as_root = f"sudo -H -S -n -u root /bin/sh -c {shlex.quote(interpreter)}"
    options = {
        "Port": host.port,
        "IdentityFile": f'"{host.key}"',
        "BatchMode": "yes",
        "ControlPath": "none",
        "KexAlgorithms": QUICK_KEX,
    }
    words = ["ssh", *host.ssh_options, *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]
    words += [f"{user}@{host.address}", f"/bin/sh -c {shlex.quote(f'{as_root} && sleep 0')}"]
    started = time.monotonic()
    while True:
        done = subprocess.run(words, input=program, capture_output=True, text=True, timeout=300, check=False)
        too_early = done.returncode == 255 and NOT_YET.search(done.stderr)
        if not too_early or time.monotonic() - started > RELOAD:
            return _answer_of_payload(done)
        time.sleep(0.2)


def sent_to(host: Host, archive: str) -> str:
    """The path on the host of a module's archive with byte code in place of its sources, compiled by its Python."""
    path = f"/srv/modules/{hashlib.sha256(archive.encode()).hexdigest()[:16]}"
    if not host.exists(path):
        if (host.release, path) not in _compiled:
            _compiled[host.release, path] = host.run("python3", "-c", _COMPILE, input=archive).stdout
        host.write(path, _compiled[host.release, path])
    return path


_compiled: dict[tuple[str, str], str] = {}
_COMPILE = """
import base64, importlib.util, io, marshal, sys, zipfile
source = zipfile.ZipFile(io.BytesIO(base64.b64decode(sys.stdin.read())))
made = io.BytesIO()
with zipfile.ZipFile(made, "w") as target:
    for info in source.infolist():
        text = source.read(info)
        if info.filename.endswith(".py"):
            code = compile(text, info.filename, "exec", dont_inherit=True)
            # As PEP 552 has it: byte code that is not compared with a source.
            heading = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(text)
            target.writestr(info.filename + "c", heading + marshal.dumps(code))
        else:
            target.writestr(info, text)
sys.stdout.write(base64.b64encode(made.getvalue()).decode())
"""


def _arguments(host: Host, name: str, arguments: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    by_backend = name in ("twofactor", "twofactor_adopt", "twofactor_info")
    return {"backend": backend_of(host).name, **arguments} if by_backend else arguments


def _answer_of_payload(done: subprocess.CompletedProcess[str]) -> Answer:
    """Parse what a module printed. As Ansible does, leave out the parameters, and report no change by default."""
    begin = done.stdout.find("{")
    if begin < 0:
        status = "UNREACHABLE!" if done.returncode == 255 else "FAILED!"
        return Answer(status, {}, f"{done.stdout}{done.stderr}")
    values = {"changed": False, **json.loads(done.stdout[begin:])}
    values.pop("invocation", None)
    if "warnings" in values:
        values["warnings"] = [warning["event"]["msg"] for warning in values["warnings"]]
    status = "FAILED!" if values.get("failed") else "CHANGED" if values.get("changed") else "SUCCESS"
    shown = (json.dumps(values, indent=4), *values.get("warnings", ()), done.stdout[:begin], done.stderr)
    return Answer(status, values, "\n".join(shown))


def answer(stdout: str, stderr: str) -> Answer:
    """Parse what Ansible printed."""
    found = _RESULT.search(stdout)
    values = json.loads(found[2]) if found else {}
    return Answer(found[1] if found else "nothing", values, stdout + stderr)


def options(*people: Person, **values: t.Any) -> dict[str, t.Any]:
    """The module's options: these people enrolled and vouched for, sshd on, Ansible's account exempt."""
    return {**POLICY, "users": [person.entry for person in people], **values}


def turn_on(host: Host, *people: Person, **values: t.Any) -> Answer:
    """Turn two-factor login on for these people with the module alone, and fail the test if that fails."""
    done = module(host, "twofactor", options(*people, **values))
    assert done.ok, done.output
    return done


@contextlib.contextmanager
def connections(host: Host) -> Iterator[Path]:
    """A directory for a connection that stays open until the end of the block."""
    # The path of a socket is limited to about 100 characters.
    with tempfile.TemporaryDirectory(prefix="cp") as folder:
        try:
            yield Path(folder)
        finally:
            for socket in Path(folder).iterdir():
                words = ["ssh", *host.ssh_options, "-o", f"ControlPath={socket}", "-O", "exit", host.address]
                subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
