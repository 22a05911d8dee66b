# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Some hosts have a problem, and the others are not affected by it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from controllers.fleet import SECRET, VARIABLES
from hosts import Host
from login import ssh
from login.people import Person, ansible_playbook, unwrapped
from login.policy import switched_at
from login.trouble import broken_disk, unreachable, unsynced_clock

_SLOW_SECONDS = 10
_FORKS = ("--forks", "20")


@contextlib.contextmanager
def _slow(host: Host) -> Iterator[None]:
    """Delay every module on this host."""
    python = host.run("readlink", "-f", "/usr/bin/python3").stdout.strip()
    host.run("rm", "/usr/bin/python3")
    host.write("/usr/bin/python3", f'#!/bin/sh\nsleep {_SLOW_SECONDS}\nexec {python} "$@"\n', 0o755)
    try:
        yield
    finally:
        host.run("ln", "-sf", python, "/usr/bin/python3")


def recap(output: str, outcome: str) -> set[str]:
    """The hosts for which the recap at the end of Ansible's output shows this outcome."""
    return set(re.findall(rf"^(\S+) +: ok=.* {outcome}=[1-9]", output, re.MULTILINE))


@pytest.fixture
def alices(machines: list[Host]) -> list[Person]:
    """The same person on each host, with one secret."""
    return [Person("alice", host, host.key, secret=SECRET) for host in machines]


def test_others_finish_and_each_one_in_trouble_is_named(
    machines: list[Host], alices: list[Person], tmp_path: Path
) -> None:
    failing, lost, unsynced, slow = in_trouble = machines[2:6]
    fleet, well = machines[0].fleet, [host for host in machines if host not in in_trouble]
    report = tmp_path / "status.json"
    with broken_disk(failing), unreachable(lost), unsynced_clock(unsynced):
        with _slow(slow):
            done = ansible_playbook("enable", fleet, *_FORKS, **VARIABLES)
        status = ansible_playbook("status", fleet, *_FORKS, **VARIABLES, twofactor_status_data=str(report))
    assert done.returncode == 4  # what ansible-playbook returns if hosts were unreachable, whatever else failed
    assert recap(done.stdout, "failed") == {failing.name, unsynced.name}
    assert recap(done.stdout, "unreachable") == {lost.name}
    said = unwrapped(done.stdout)
    assert f"Two-factor login on {failing.name}: No space left on device: /usr/local/sbin/" in said
    assert f"the clock of {unsynced.name} is not in sync" in said
    for person in alices:
        if person.host in (failing, unsynced, lost):
            assert person.by_key(batch=True).ok, person.host.name
        else:
            assert not person.by_key(batch=True).ok, person.host.name
    # None of the others waited for the slow host.
    assert max(map(switched_at, well)) < switched_at(slow)

    assert status.returncode == 0, status.stdout
    verdicts = {line["host"]: line["verdict"] for line in json.loads(report.read_text())["lines"]}
    expected = dict.fromkeys([host.name for host in machines], "on")
    assert verdicts == {**expected, failing.name: "drift", lost.name: "unreachable", unsynced.name: "refused"}

    again = ansible_playbook("enable", fleet, *_FORKS, **VARIABLES)
    assert again.returncode == 0, again.stdout
    assert set(re.findall(r"^(\S+) +: ok=\d+ +changed=0", again.stdout, re.MULTILINE)) == {
        host.name for host in [*well, slow]
    }
    ssh.fresh_step()
    for person in (alices[0], *alices[2:6]):
        login = person.by_key(person.code())
        assert login.ok, login.reason
