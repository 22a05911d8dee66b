# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run cut into slices: ansible-runner transmits each to its own container, as AWX does.

A worker has Python, the collection and ssh, as an execution environment has. The inventory, the variables and the key
are transmitted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hosts
from controllers.fleet import SECRET, VARIABLES
from hosts import Host
from hosts.docker import STATE
from login.people import Person, ansible_playbook
from login.trouble import broken_disk

_ROOT = STATE.parents[1]
_SLICES = 4
# What may differ between the report of one run and that of slices, because hosts are asked at different times.
_MEASURED = {"clock_error_seconds", "clock"}


def test_slices_bring_a_fleet_to_the_same_end_as_one_run(machines: list[Host], tmp_path: Path) -> None:
    fleet = machines[0].fleet
    slices = cut(machines, tmp_path)

    with ThreadPoolExecutor(_SLICES) as pool:
        list(pool.map(lambda one: one.run("enable", twofactor_enrolment_dir="{kept}/sheets"), slices))
    for one in slices:
        sheets = {path.name for path in (one.artifacts("enable") / "sheets").iterdir()}
        assert {f"bob@{host.name}.html" for host in one.hosts} <= sheets

    with ThreadPoolExecutor(_SLICES) as pool:
        list(pool.map(lambda one: one.run("status", twofactor_status_data="{kept}/status.json"), slices))
    reports = [str(one.artifacts("status") / "status.json") for one in slices]
    of_slices = report(fleet, tmp_path / "slices.json", twofactor_status_slices=reports)
    assert of_slices == report(fleet, tmp_path / "one.json")
    assert {(line["verdict"], line["enrolled"]) for line in of_slices} == {("on", 2)}

    before = [host.snapshot(["/etc"]) for host in machines]
    again = ansible_playbook("enable", fleet, "--forks", "20", **VARIABLES)
    assert again.returncode == 0, again.stdout
    assert again.stdout.count("changed=0 ") == len(machines)
    assert [host.snapshot(["/etc"]) for host in machines] == before

    for host in machines[:_SLICES]:
        alice = Person("alice", host, host.key, secret=SECRET)
        assert not alice.by_key().ok
        assert alice.by_key(alice.code()).ok


def test_failure_in_a_rollout_stops_its_own_slice(machines: list[Host], tmp_path: Path) -> None:
    broken = machines[_SLICES + 1]  # the second one of the second slice
    slices = cut(machines, tmp_path)

    def roll_out(one: Slice, *, fails: bool) -> None:
        one.run("rollout", fails=fails, twofactor_rollout_data="{kept}/rollout.json")

    with broken_disk(broken), ThreadPoolExecutor(_SLICES) as pool:
        list(pool.map(lambda one: roll_out(one, fails=broken in one.hosts), slices))
    outcomes = [[line["outcome"] for line in one.lines("rollout")] for one in slices]
    assert outcomes[1] == ["proven", "failed", "waiting"]
    assert outcomes[:1] + outcomes[2:] == [["proven"] * 3] * 3
    for untouched in machines[_SLICES + 1 :: _SLICES]:
        assert Person("alice", untouched, untouched.key).by_key(batch=True).ok

    roll_out(slices[1], fails=False)
    assert [line["outcome"] for line in slices[1].lines("rollout")] == ["right", "proven", "proven"]


def cut(machines: list[Host], directory: Path) -> list[Slice]:
    """Cut a fleet into slices as AWX does: slice n gets every `_SLICES`-th host."""
    return [Slice(directory / str(n), f"slice{n}", machines[n::_SLICES]) for n in range(_SLICES)]


def report(fleet: str, path: Path, **variables: t.Any) -> list[dict[str, t.Any]]:
    """The lines of a report of the whole fleet, without measured values."""
    wanted = {**VARIABLES, **variables, "twofactor_status_data": str(path)}
    done = ansible_playbook("status", fleet, "--forks", "20", **wanted)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = json.loads(path.read_text())["lines"]
    return [{key: value for key, value in line.items() if key not in _MEASURED} for line in lines]


class Slice:
    """A part of the fleet, and the directory that ansible-runner transmits for it."""

    def __init__(self, directory: Path, name: str, machines: list[Host]) -> None:
        self.directory = directory
        self.name = name
        self.hosts = machines
        self._write("inventory/hosts.json", {"all": {"hosts": {host.name: self._variables(host) for host in machines}}})
        self._write("inventory/known_hosts", (STATE / machines[0].fleet / "known_hosts").read_text())
        self._write("env/ssh_key", machines[0].key.read_text())
        # On a busy machine, a login may take longer than the ten seconds that Ansible allows.
        self._write("env/envvars", {"ANSIBLE_PIPELINING": "1", "ANSIBLE_TIMEOUT": "60"})
        (directory / "project").mkdir()

    def artifacts(self, playbook: str) -> Path:
        """The directory with the artifacts of a playbook."""
        return self.directory / "artifacts" / f"{self.name}-{playbook}"

    def lines(self, playbook: str) -> list[dict[str, t.Any]]:
        """The lines of the JSON file of a playbook, one per host."""
        lines: list[dict[str, t.Any]] = json.loads((self.artifacts(playbook) / f"{playbook}.json").read_text())["lines"]
        return lines

    def run(self, playbook: str, *, fails: bool = False, **paths: str) -> None:
        """Transmit a playbook to a new container, run it there, and process what comes back.

        In the values of *paths*, {kept} stands for the directory that comes back.
        """
        ident = f"{self.name}-{playbook}"
        # A relative path is relative to the project, because ansible-runner starts Ansible there.
        kept = {name: path.format(kept=f"../artifacts/{ident}") for name, path in paths.items()}
        self._write("env/extravars", {**VARIABLES, **kept})
        options = ["--ident", ident, "--playbook", f"fleet.auth.{playbook}"]
        sent = self._runner("transmit", str(self.directory), *options)
        done = subprocess.run(self._worker(), input=sent, capture_output=True, check=False, timeout=300)
        output = self._runner("process", str(self.directory), "--ident", ident, input=done.stdout).decode()
        assert ((self.artifacts(playbook) / "rc").read_text() != "0") == fails, output + done.stderr.decode()

    def _worker(self) -> list[str]:
        command = ["docker", "run", "--rm", "--interactive", "--label", f"fleet-auth-worker={self.name}"]
        command += ["--network", f"fleet-auth-{self.hosts[0].fleet}"]
        for path in sorted({sys.base_prefix, sys.prefix, str(_ROOT)}):
            command += ["--volume", f"{path}:{path}:ro"]
        # Hide the fleet's own directory, with its keys and reports.
        command += ["--tmpfs", str(_ROOT / "build"), "--env", f"PATH={sys.prefix}/bin:/usr/bin:/bin"]
        return [*command, "--env", "LC_ALL=C.UTF-8", hosts.image("debian12"), "ansible-runner", "worker"]

    def _runner(self, *arguments: str, input: bytes = b"") -> bytes:
        program = str(Path(sys.executable).with_name("ansible-runner"))
        return subprocess.run([program, *arguments], input=input, capture_output=True, check=False).stdout

    def _variables(self, host: Host) -> dict[str, t.Any]:
        """Variables that reach the host over the fleet's own network and check the same host key as from outside."""
        known = "-F none -o UserKnownHostsFile={{ inventory_dir }}/known_hosts -o StrictHostKeyChecking=yes"
        return {
            "ansible_host": host.name,
            "ansible_user": "ansible",
            "ansible_become": True,
            "ansible_ssh_common_args": f"{known} -o HostKeyAlias=[{host.address}]:{host.port}",
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def _write(self, name: str, content: t.Any) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(0o600)
