# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No run shows a secret, whatever is run and however it ends: secrets are only in credentials and on sheets.

Each search also looks for a decoy in a place where it must be found: a search that finds nothing proves nothing.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import subprocess
import sys
import tempfile
import typing as t
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyotp
import pytest

from hosts import Host
from hosts.docker import STATE
from login import credential
from login.people import Person, Run, new_person, playbook, settings, unwrapped

pytestmark = pytest.mark.release("debian13")

DECOY = "decoy"
DECOY_FILE = "/var/tmp/decoy"
PIPELINING = {"debian13"}
"""Releases on which Ansible pipes modules to Python; on the others it copies them to files."""
FAILING_RELOAD = "/etc/systemd/system/ssh.service.d/failing-reload.conf"

Files = dict[str, set[str]]
"""Which secrets are in a file, by path."""


@dataclasses.dataclass
class Traces:
    """What many runs have left behind.

    :param home: the home directory of the user who ran Ansible.
    :param secrets: the secrets in base32, by their names in these tests.
    :param owners: the names of the secrets in each account's credential at the end; `printed` has those on each sheet,
        by the beginning of the sheet's name.
    :param enrolled: the secrets in the host's files while people were enrolled; `left` is the same afterwards.
    """

    home: Path
    secrets: dict[str, str]
    owners: dict[str, set[str]]
    printed: dict[str, set[str]]
    runs: dict[str, Run] = dataclasses.field(default_factory=dict)
    processes: str = ""
    journal: str = ""
    enrolled: Files = dataclasses.field(default_factory=dict)
    left: Files = dataclasses.field(default_factory=dict)
    modes: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def sheets(self) -> Path:
        """The directory of the enrolment sheets."""
        return self.home / "sheets"


@pytest.fixture(scope="module")
def traces(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traces]:
    """Run everything with a separate home for Ansible, and record all that can be seen of it."""
    home = tmp_path_factory.mktemp("home")
    given, retyped, made, stored = (new_person(host) for _number in range(4))
    found = Traces(
        home,
        {DECOY: pyotp.random_base32(), "given": given.secret, "retyped": retyped.secret},
        {
            given.name: {"given"},
            retyped.name: {"retyped"},
            made.name: {"made", "tablet", "paper"},
            stored.name: {"stored"},
        },
        {
            given.name: {"given"},
            retyped.name: {"retyped"},
            made.name: {"made"},
            f"{made.name}+tablet": {"tablet"},
            stored.name: {"stored"},
        },
    )
    (home / "tmp").mkdir()
    (home / "decoy").write_text(found.secrets[DECOY])
    (home / "password").write_text("of the store\n")
    host.write(DECOY_FILE, base64.b32decode(found.secrets[DECOY]).hex())
    with pytest.MonkeyPatch.context() as environment, _sampled(host, found):
        environment.setenv("HOME", str(home))
        environment.setenv("TMPDIR", str(home / "tmp"))
        environment.setenv("FLEET_AUTH_STORE", str(home / "store"))
        environment.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(home / "password"))
        host.run("sh", "-c", "sleep 2; :", "sh", found.secrets[DECOY])
        pipelining = {"ansible_pipelining": host.release in PIPELINING}
        _enable(host, found, (given, retyped, made, stored), pipelining)
        _fail(host, found, (given, retyped, made), pipelining)
        found.enrolled = _files(["/"], found.secrets, host)
        found.modes = {path: entry[0] for path, entry in host.snapshot(["/etc/oath"]).items()}
        _disable(host, found, given, pipelining)
    found.journal = host.run("journalctl", "--all", "--no-pager", "--output=verbose").stdout
    found.left = _files(["/"], found.secrets, host)
    yield found
    host.run("rm", DECOY_FILE)


def _seen(name: str, host: Host, *arguments: str, **variables: t.Any) -> Run:
    """Run a playbook in a process of its own, so that its command line and environment are those of a user's run."""
    return playbook(name, host, *arguments, anew=True, **variables)


def test_no_run_prints_a_secret(traces: Traces) -> None:
    assert {label: _found(run.output, traces.secrets) for label, run in traces.runs.items()} == {
        label: {DECOY} if label == "decoy" else set() for label in traces.runs
    }


def test_no_process_has_a_secret_on_its_command_line_or_in_its_environment(traces: Traces) -> None:
    assert _found(traces.processes, traces.secrets) == {DECOY}


def test_journal_has_no_secret(traces: Traces) -> None:
    assert _found(traces.journal, traces.secrets) == {DECOY}


def test_host_has_each_secret_only_in_its_credential_file(traces: Traces) -> None:
    credentials = {f"/etc/oath/{name}": secrets for name, secrets in traces.owners.items()}
    assert traces.enrolled == {DECOY_FILE: {DECOY}, **credentials}
    assert traces.left == {DECOY_FILE: {DECOY}}


def test_controller_has_each_secret_only_on_its_sheet(traces: Traces, host: Host) -> None:
    sheets = {str(traces.sheets / f"{name}@{host.name}.html"): secrets for name, secrets in traces.printed.items()}
    files = _files([str(traces.home), str(STATE.parent)], traces.secrets)
    assert files == {str(traces.home / "decoy"): {DECOY}, **sheets}


def test_credentials_and_sheets_are_readable_by_their_owner_only(traces: Traces) -> None:
    assert traces.modes.pop("/etc/oath") == 0o700
    assert set(traces.modes.values()) == {0o600}
    assert traces.sheets.stat().st_mode & 0o7777 == 0o700
    assert {sheet.stat().st_mode & 0o7777 for sheet in traces.sheets.iterdir()} == {0o600}


def _enable(host: Host, found: Traces, people: Sequence[Person], pipelining: dict[str, bool]) -> None:
    """Give one secret as it is, one as a person types it, and one from the store; the host makes the others."""
    given, retyped, made, stored = people
    variables = settings(given, retyped, made, stored)
    variables["twofactor_users"][1]["secret"] = _groups(retyped.secret).lower()
    new = {"renew": "again", "devices": [{"name": "tablet"}], "recovery_codes": "first"}
    variables["twofactor_users"][2] = {"name": made.name, **new}
    variables["twofactor_users"][3]["secret"] = f"{{{{ lookup('fleet.auth.totp_secret', '{stored.name}') }}}}"
    variables |= {"twofactor_enrolment_dir": str(found.sheets), **pipelining}
    for label, arguments in (("check", ["--check"]), ("enable", [])):
        run = _seen("enable", host, "-vvvv", "--diff", *arguments, **variables)
        assert run.ok, run.output
        assert run.changed
        found.runs[label] = run
    # One run for the two playbooks that have no parameters of their own.
    reports = found.home / "reports.yml"
    reports.write_text(json.dumps([{"import_playbook": f"fleet.auth.{name}"} for name in ("status", "rollout")]))
    others: dict[str, dict[str, t.Any]] = {
        "enrol": {"users": [person.name for person in people]},
        "verify": {"user": given.name},
        "pass": {"user": stored.name, "hours": 1},
        str(reports): {},
    }
    for name, asked in others.items():
        for label, arguments in ((f"{name}, check", ["--check"]), (name, [])):
            code = {"code": given.code()} if name == "verify" else {}
            run = _seen(name, host, "-vvvv", "--diff", *arguments, **asked, **code, **variables)
            assert run.ok, run.output
            found.runs[label] = run
    lines = host.read(f"/etc/oath/{made.name}").decode().splitlines()
    keys = [bytes.fromhex(line.split()[3]) for line in lines if not line.startswith("#")]
    for label, key in zip(("made", "tablet", "paper"), keys, strict=True):
        found.secrets[label] = base64.b32encode(key).decode()
    found.secrets["stored"] = base64.b32encode(credential(host, stored.name)).decode()


def _fail(host: Host, found: Traces, people: Sequence[Person], pipelining: dict[str, bool]) -> None:
    """Runs that fail: in the role's arguments, with refusals of the module, and in the middle of a change."""
    variables = {**settings(*people), **pipelining}
    users = [{"name": person.name} for person in people]

    def fails(label: str, reason: str, **wrong: t.Any) -> None:
        run = _seen("enable", host, "-vvvv", "--diff", **{**variables, **wrong})
        assert not run.ok
        assert reason in unwrapped(run.output), run.output
        found.runs[label] = run

    def user(**entry: t.Any) -> list[dict[str, t.Any]]:
        return [*users, {"name": people[0].name + "x", **entry}]

    secret = found.secrets["refused"] = pyotp.random_base32()
    fails("decoy", "there is no account", twofactor_users=[{"name": found.secrets[DECOY]}])
    _refused(
        host,
        found,
        variables,
        {
            "there is no account": {"twofactor_users": user(secret=secret)},
            "holds 40 bytes": {"twofactor_users": user(secret=secret * 2)},
            "is not base32": {"twofactor_users": user(secret=f"{secret}!")},
            "must be one of": {"twofactor_users": user(secret=secret, state="gone")},
            "Supported parameters include": {"twofactor_users": user(secret=secret, secert=secret)},
            "and entry 1 is a list": {"twofactor_users": [user(secret=secret)]},
            "must be a whole number, and is a text": {
                "twofactor_users": user(secret=secret),
                "twofactor_otp_digits": "many",
            },
        },
    )
    host.write(FAILING_RELOAD, "[Service]\nExecReload=\nExecReload=/bin/false\n")
    host.run("systemctl", "daemon-reload")
    try:
        users[0]["secret"] = found.secrets["replaced"] = pyotp.random_base32()
        fails("reload", "does not reload", twofactor_users=users, twofactor_exempt_addresses=["192.0.2.7"])
    finally:
        host.run("rm", FAILING_RELOAD)
        host.run("systemctl", "daemon-reload")


def _refused(host: Host, found: Traces, variables: dict[str, t.Any], cases: dict[str, dict[str, t.Any]]) -> None:
    """Run one play in which each of these settings is refused for its reason, after which the next one is tried.

    The play contains no secret, because Ansible may show its lines: it takes all values from variables.
    """
    tasks = [
        {
            "block": [
                {
                    "ansible.builtin.include_role": {"name": "fleet.auth.twofactor", "rolespec_validate": False},
                    "vars": {name: f"{{{{ cases[{reason!r}].{name} }}}}" for name in wrong},
                }
            ],
            "rescue": [{"ansible.builtin.debug": {"msg": "It was refused."}}],
        }
        for reason, wrong in cases.items()
    ]
    roles = {name: f"{{{{ usual.{name} }}}}" for name in variables if name.startswith("twofactor_")}
    play = {"hosts": "fleet", "gather_facts": False, "become": True, "vars": roles, "tasks": tasks}
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        json.dump([play], file)
        file.flush()
        others = {name: value for name, value in variables.items() if name not in roles}
        run = _seen(file.name, host, "-vvvv", "--diff", usual=variables, cases=cases, **others)
    assert run.ok, run.output
    assert run.recap["rescued"] == len(cases)
    said = unwrapped(run.output)
    assert [reason for reason in cases if reason not in said] == []
    found.runs["refused"] = run


def _disable(host: Host, found: Traces, somebody: Person, pipelining: dict[str, bool]) -> None:
    purge = {"twofactor_purge_credentials": True}
    runs: dict[str, tuple[str, list[str], dict[str, t.Any]]] = {
        "recover one": ("recover", [], {"user": somebody.name}),
        "disable, check": ("disable", ["--check"], purge),
        "disable": ("disable", [], purge),
    }
    for label, (name, arguments, variables) in runs.items():
        run = _seen(name, host, "-vvvv", "--diff", *arguments, **pipelining, **variables)
        assert run.ok, run.output
        assert run.changed
        found.runs[label] = run


_SAMPLE = """
import os, select, sys, time
seen, since, all_next = set(), {}, 0.0
print("ready", flush=True)
while not select.select([sys.stdin], [], [], float(sys.argv[1]))[0]:
    now = time.monotonic()
    since = {process: since.get(process, now) for process in os.listdir("/proc") if process.isdigit()}
    oldest, all_next = (now - 1, all_next) if now < all_next else (0, now + 1)
    for process in [process for process, first in since.items() if first >= oldest]:
        try:
            for name in ("cmdline", "environ"):
                with open(f"/proc/{process}/{name}", "rb", 0) as file:
                    seen.add(file.read())
        except OSError:
            pass
sys.stdout.buffer.write(b"\\n".join(seen))
"""
"""Reads each process as often as asked during its first second, when it may still call exec, and rarely later."""


@contextlib.contextmanager
def _sampled(host: Host, found: Traces) -> Iterator[None]:
    """Record the command line and the environment of all processes, here and on the host."""
    with contextlib.ExitStack() as stack:
        samplers = [
            stack.enter_context(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            for words in (
                [sys.executable, "-c", _SAMPLE, "0.03"],
                ["docker", "exec", "--interactive", host.container, "python3", "-c", _SAMPLE, "0.003"],
            )
        ]
        for sampler in samplers:
            assert sampler.stdout
            assert sampler.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            seen = [sampler.communicate()[0].decode(errors="replace") for sampler in samplers]
    assert all(_found(text, {DECOY: found.secrets[DECOY]}) for text in seen)
    found.processes = "\n".join(seen)


def _forms(secret: str) -> tuple[str, ...]:
    """All forms in which a base32 secret may be seen, in lower case."""
    key = base64.b32decode(secret)
    return secret.lower(), key.hex(), base64.b64encode(key).decode().rstrip("=").lower()


def _found(text: str, secrets: dict[str, str]) -> set[str]:
    """Which secrets are in a text, even if spaces and line breaks cut them."""
    squeezed = "".join(text.split()).lower()
    return {name for name, secret in secrets.items() if any(form in squeezed for form in _forms(secret))}


def _files(paths: Sequence[str], secrets: dict[str, str], host: Host | None = None) -> Files:
    """Which secrets are in files below *paths*, here or on a host. The journal is left to journalctl."""
    forms = {form: name for name, secret in secrets.items() for form in (*_forms(secret), _groups(secret).lower())}
    words = ["grep", "--recursive", "--text", "--only-matching", "--ignore-case", "--fixed-strings", "--null"]
    words += ["--devices=skip", "--no-messages", *(f"--exclude-dir={name}" for name in ("proc", "sys", "journal"))]
    words += ["--file=-", *paths]
    patterns = "\n".join(forms)
    if host is None:
        output = subprocess.run(words, input=patterns, capture_output=True, text=True, check=False).stdout
    else:
        output = host.run(*words, input=patterns, check=False).stdout
    files: Files = {}
    for line in output.splitlines():
        path, _null, form = line.partition("\0")
        files.setdefault(path, set()).add(forms[form.lower()])
    return files


def _groups(secret: str) -> str:
    """A secret in groups of four, as people type it."""
    return " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
