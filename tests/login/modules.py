# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs one module of the collection on a host, and returns its result.

Ansible packs each module once. What it does on every run (connect, become root and start Python) is done here with ssh,
sudo and a shell. Ansible would send the same sources on every run, and Python compile them; here that is done once per
release, and on each host a Python that has loaded the module waits for its parameters, in an ssh session that stays
open, as Ansible's do. Each run is a new process. Ansible itself runs a module where its own behaviour matters: how it
keeps connections, and what it prints.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import re
import shlex
import subprocess
import tempfile
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import preloaded
from hosts import Host
from hosts.resident import ANSWERS, NotStarted, ask
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
        Without it the module is run without Ansible.
    :param interpreter: a Python on the host.
    :param user: the account to log in as without Ansible.
    """
    by_backend = name in ("twofactor", "twofactor_adopt", "twofactor_info")
    values = {**({"backend": backend_of(host).name} if by_backend else {}), **(arguments or {})}
    if connection:
        return _run_by_ansible(host, name, values, check=check, connection=connection, interpreter=interpreter)
    packed = functools.partial(payload, name, {**values, "_ansible_check_mode": check})
    login = (*_ssh(host), f"{user}@{host.address}")
    started = time.monotonic()
    while True:
        if interpreter != PYTHON or name == "twofactor_confirm":
            # Byte code is that of one version, and a confirmation needs a connection that is newer than the change.
            words = [*login, _as_root(interpreter)]
            ended = subprocess.run(words, input=packed().encode(), capture_output=True, timeout=300, check=False)
        else:
            ended = _run_by_standby(host, name, login, packed)
        done = subprocess.CompletedProcess(
            ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode(errors="replace")
        )
        too_early = done.returncode == 255 and NOT_YET.search(done.stderr)
        if not too_early or time.monotonic() - started > RELOAD:
            return _answer_of_payload(done)
        time.sleep(0.2)


def _run_by_ansible(
    host: Host, name: str, values: t.Mapping[str, t.Any], *, check: bool, connection: Path, interpreter: str
) -> Answer:
    words = ["ansible", host.name, "-i", str(inventory_path(host.fleet)), "-m", f"fleet.auth.{name}"]
    words += [*(["-a", json.dumps(values)] if values else []), *(["--check"] if check else [])]
    variables = {"python_interpreter": interpreter, "pipelining": "true", "control_path_dir": connection}
    words += [word for key, value in variables.items() for word in ("-e", f"ansible_{key}={value}")]
    done = preloaded.run(*words, timeout=300)
    found = _RESULT.search(done.stdout)
    return Answer(found[1] if found else "nothing", json.loads(found[2]) if found else {}, done.stdout + done.stderr)


def _ssh(host: Host) -> list[str]:
    options = {
        "Port": host.port,
        "IdentityFile": f'"{host.key}"',
        "BatchMode": "yes",
        "ControlPath": "none",
        "KexAlgorithms": QUICK_KEX,
        # After a boot of the host, a session that was open is of no more use.
        "ServerAliveInterval": 3,
    }
    return ["ssh", *host.ssh_options, *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]


def _as_root(command: str) -> str:
    return f"/bin/sh -c {shlex.quote(f'sudo -H -S -n -u root /bin/sh -c {shlex.quote(command)} && sleep 0')}"


def _run_by_standby(
    host: Host, name: str, login: tuple[str, ...], packed: t.Callable[..., str]
) -> subprocess.CompletedProcess[bytes]:
    """Have a Python that has loaded the module run it: `_STANDBY` on the host."""
    archives: list[str] = []

    def sent(archive: str) -> str:
        archives.append(sent_to(host, archive))
        return archives[0]

    program = packed(sent=sent)
    if not host.exists(_STANDBY_PATH):
        host.write(_STANDBY_PATH, _STANDBY)
    command = (*login, _as_root(f"{PYTHON} {_STANDBY_PATH} {archives[0]} {name}"))
    try:
        return ask(command, (), program.encode(), timeout=300)
    except NotStarted as error:
        return error.ended


_STANDBY_PATH = "/srv/modules/standby"
_STANDBY = rf"""
{ANSWERS}
import base64, importlib, os
archive, module = sys.argv[1:]
with open(archive) as encoded, open(f"{{archive}}.zip", "wb") as decoded:
    decoded.write(base64.b64decode(encoded.read()))
sys.path.insert(0, f"{{archive}}.zip")
importlib.import_module(f"ansible_collections.fleet.auth.plugins.modules.{{module}}")
for _words, program in received():
    outputs = os.memfd_create("output"), os.memfd_create("errors")
    child = os.fork()
    if not child:
        break
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    answer(status, *(os.pread(output, os.fstat(output).st_size, 0) for output in outputs))
    for output in outputs:
        os.close(output)
else:
    sys.exit()
for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), *outputs)):
    os.dup2(file, number)
    os.close(file)
sys.argv = [""]
exec(compile(program, "<stdin>", "exec", dont_inherit=True))
"""


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
