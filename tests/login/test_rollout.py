# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rollout over a fleet: all hosts are asked first, then changed in batches; the first failure stops it."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest

import hosts
from hosts import PATIENCE, Host
from login import ssh
from login.backends import OATH
from login.people import POLICY, Person, ansible_playbook, furnish, inventory_path, unwrapped
from login.policy import assert_off, off, switched_at
from login.trouble import broken_disk, unreachable, unsynced_clock

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXPJBSWY3DP"
RELEASES = dict(zip(("web1", "web2", "web3", "web4", "web5"), ("debian12", "debian13") * 3, strict=False))
BATCHES = {"twofactor_rollout_batches": [1, 2, "100%"]}


class Ending(t.NamedTuple):
    """The result of a rollout."""

    ok: bool
    output: str
    data: dict[str, t.Any]
    cases: dict[str, str]
    """The result of each host in the JUnit file: passed, failure, error or skipped."""

    @property
    def outcomes(self) -> list[str]:
        """The outcome of each host, in the order of the inventory."""
        return [line["outcome"] for line in self.data["lines"]]

    def notes(self, host: str) -> str:
        """The notes about a host."""
        return next(str(line["notes"]) for line in self.data["lines"] if line["host"] == host)


@pytest.fixture(scope="module")
def machines(worker_id: str) -> Iterator[list[Host]]:
    name = hosts.of_this_checkout(f"rollout-{worker_id}")
    *up, _ntp = hosts.up(name, RELEASES, recreate=True)
    hosts.inventory(up, inventory_path(name))
    furnish(up, "alice", packages=[OATH.package])
    yield up
    hosts.down(name)


@pytest.fixture(autouse=True)
def everywhere_off(machines: list[Host]) -> None:
    for host in machines:
        off(host)
    ssh.fresh_step()


@pytest.fixture
def alices(machines: list[Host]) -> list[Person]:
    """The same person on each host, with one secret."""
    return [Person("alice", host, host.key, secret=SECRET) for host in machines]


@pytest.fixture
def roll_out(machines: list[Host], tmp_path: Path) -> t.Callable[..., Ending]:
    def run(*arguments: str, **options: t.Any) -> Ending:
        policy = {**POLICY, "users": [{"name": "alice", "secret": SECRET}]}
        variables: dict[str, t.Any] = {f"twofactor_{name}": value for name, value in policy.items()}
        data, junit = tmp_path / "reports" / "rollout.json", tmp_path / "reports" / "rollout.xml"
        files = {"twofactor_rollout_data": str(data), "twofactor_rollout_junit": str(junit)}
        variables |= {**BATCHES, **files, **options}
        done = ansible_playbook("rollout", machines[0].fleet, *arguments, **variables)
        assert SECRET not in done.stdout + done.stderr
        cases = {
            str(case.get("name")): case[0].tag if len(case) else "passed"
            for case in ElementTree.parse(junit).getroot().iter("testcase")  # noqa: S314 - our own
        }
        return Ending(done.returncode == 0, done.stdout + done.stderr, json.loads(data.read_text()), cases)

    return run


def test_whole_fleet_in_batches_and_a_second_rollout_changes_nothing(
    machines: list[Host], alices: list[Person], roll_out: t.Callable[..., Ending]
) -> None:
    ending = roll_out("--check")
    assert ending.ok, ending.output
    assert ending.outcomes == ["waiting"] * 5
    for alice in alices:
        assert_off(alice)

    ending = roll_out()
    assert ending.ok, ending.output
    assert ending.data["complete"]
    assert ending.outcomes == ["proven"] * 5
    assert ending.cases == dict.fromkeys(RELEASES, "passed")
    canary, *rest = map(switched_at, machines)
    assert canary < min(rest)
    assert max(rest[:2]) < min(rest[2:])
    for alice in alices:
        assert alice.by_key(alice.code()).ok
        assert not alice.by_key(batch=True).ok

    (said,) = (line for line in ending.output.splitlines() if line.startswith("Changes for "))
    assert said.startswith("Changes for web1, web2, web3, web4 and web5: ")
    assert ending.output.count("host  outcome") == 1
    assert "Validating arguments" not in ending.output
    assert "[ERROR]" not in ending.output
    check_verify(machines, alices[0])

    ending = roll_out()
    assert ending.ok, ending.output
    assert ending.outcomes == ["right"] * 5
    assert list(map(switched_at, machines)) == [canary, *rest]
    assert "changed=0" in ending.output
    assert "changed=1" not in ending.output


def check_verify(machines: list[Host], alice: Person) -> None:
    """Check that verify passes over a host where the user is not enrolled, and fails on a damaged credential."""
    ssh.fresh_step(at_least=15)
    path = alice.credential
    kept = {host.name: host.read(path) for host in machines[:2]}
    machines[0].run("rm", path)
    command = ("verify", machines[0].fleet)
    answers: dict[str, t.Any] = {"user": "alice", "code": alice.code(steps=1)}
    done = ansible_playbook(*command, **answers)
    assert done.returncode == 0, done.stdout
    told = "The code of alice was right on web2, web3, web4 and web5. It is used up, and alice is proven."
    assert told in done.stdout.splitlines()
    assert "alice has no credential on web1" in done.stdout
    machines[1].write(path, "HOTP/T30 alice - c0ffeezz\n", 0o600)
    done = ansible_playbook(*command, "--limit", "web2,web3", **answers)
    assert done.returncode == 2, done.stdout
    assert (
        "The credential of alice on web2, /etc/oath/alice, line 1 has no hexadecimal key" in done.stdout + done.stderr
    )
    for host in machines[:2]:
        host.write(path, kept[host.name], 0o600)


def test_invalid_batches_are_refused(machines: list[Host]) -> None:
    done = ansible_playbook("rollout", machines[0].fleet, twofactor_rollout_batches=[0])
    assert done.returncode
    assert "twofactor_rollout_batches is " in done.stdout
    assert "Nothing was changed." in unwrapped(done.stdout)


def test_failure_stops_the_rollout_and_the_next_one_continues_from_there(
    machines: list[Host], alices: list[Person], roll_out: t.Callable[..., Ending]
) -> None:
    with broken_disk(machines[1]):
        ending = roll_out()
    assert not ending.ok
    assert not ending.data["complete"]
    # The third host is in the same batch as the failing one, so it was started with it.
    assert ending.outcomes == ["proven", "failed", "proven", "waiting", "waiting"]
    assert ending.cases == dict(zip(RELEASES, ("passed", "failure", "passed", "skipped", "skipped"), strict=True))
    assert "/usr/local/sbin" in ending.notes("web2")
    assert "web2 failed, and follows its old policy" in ending.output
    assert alices[0].by_key(alices[0].code()).ok
    assert not alices[0].by_key(batch=True).ok
    for untouched in (1, 3, 4):
        assert_off(alices[untouched])

    before = switched_at(machines[0])
    ending = roll_out()
    assert ending.ok, ending.output
    assert ending.outcomes == ["right", "proven", "right", "proven", "proven"]
    assert switched_at(machines[0]) == before
    assert switched_at(machines[1]) < min(switched_at(machines[3]), switched_at(machines[4]))


def test_canary_that_lets_no_new_connection_in_is_the_last_host(
    machines: list[Host], alices: list[Person], roll_out: t.Callable[..., Ending]
) -> None:
    canary = machines[0]
    # Simulate a change that keeps everybody out.
    command = ["--unit", "shut", "--path-property=PathExists=/var/lib/fleet-auth/undo", "touch", "/run/nologin"]
    canary.run("systemd-run", *command)
    try:
        ending = roll_out(twofactor_rollback_after=30)
    finally:
        canary.run("sh", "-c", "systemctl stop shut.path shut.service; rm -f /run/nologin")
    assert not ending.ok
    assert ending.outcomes == ["failed"] + ["waiting"] * 4
    assert "no new connection to web1 gets in" in ending.notes("web1")
    canary.run("sh", "-c", "until ! [ -e /var/lib/fleet-auth ]; do sleep 0.2; done", timeout=PATIENCE)
    for alice in alices:
        assert_off(alice)


def test_host_that_is_not_ready_stops_all_before_anything_is_written(
    machines: list[Host], alices: list[Person], roll_out: t.Callable[..., Ending]
) -> None:
    _web1, unsynced, _web3, lost, _web5 = machines
    with unsynced_clock(unsynced), unreachable(lost):
        ending = roll_out()
        assert not ending.ok
        assert ending.outcomes == ["waiting", "refused", "waiting", "unreachable", "waiting"]
        assert ending.cases["web2"] == "failure"
        assert ending.cases["web4"] == "error"
        assert "the clock of web2 is not in sync" in ending.notes("web2")
        assert "port" in ending.notes("web4"), ending.output
        assert "ignoring" not in ending.output
        assert ending.output.count("the clock of web2 is not in sync") == 1
        for alice in (alices[0], alices[1], alices[2], alices[4]):
            assert_off(alice)

        ending = roll_out(twofactor_rollout_leave_out=True)
        assert not ending.ok
        assert ending.outcomes == ["proven", "refused", "proven", "unreachable", "proven"]
        assert_off(alices[1])
    assert_off(alices[3])


def test_host_that_is_lost_during_the_rollout_is_a_failure(
    machines: list[Host], alices: list[Person], roll_out: t.Callable[..., Ending]
) -> None:
    canary, lost, *_others = machines
    with ThreadPoolExecutor() as pool:
        rollout = pool.submit(roll_out, twofactor_rollout_batches=[1, 1, "100%"])
        canary.run("sh", "-c", "until [ -e /var/lib/fleet-auth/undo ]; do sleep 0.1; done", timeout=PATIENCE)
        with unreachable(lost):
            ending = rollout.result()
    assert not ending.ok
    assert ending.outcomes == ["proven", "failed", "waiting", "waiting", "waiting"]
    assert "reached over ssh" in ending.notes("web2")
    for alice in alices[1:]:
        assert_off(alice)
