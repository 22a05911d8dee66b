# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pass lets a person in without a phone: with one code, once, until it expires."""

from __future__ import annotations

import json
import re
import stat
import time
import typing as t
from pathlib import Path

import pytest

from hosts import Host
from login import ssh
from login.backends import GOOGLE, OATH, backend_of
from login.modules import module, options, turn_on
from login.people import Person, new_person, playbook
from login.policy import reboot

pytestmark = [pytest.mark.backends(OATH, GOOGLE), pytest.mark.release("debian12")]
TIMER = "/etc/systemd/system/fleet-auth-passes.timer"
SERVICE = "fleet-auth-passes.service"
SCRIPT = "/usr/libexec/fleet-auth-end-passes"


def give_pass(person: Person, **asked: t.Any) -> str:
    """Give a pass, and return its code."""
    given = module(person.host, "twofactor_pass", {"user": person.name, **asked})
    assert given.ok, given.output
    return str(given["code"])


def expire(person: Person) -> None:
    """Make the person's pass expire."""
    path = person.credential
    text = re.sub(r"(?i)(pass[= ])20\d\d", r"\g<1>2020", person.host.read(path).decode())
    person.host.write(path, text, 0o600)


@pytest.fixture(scope="module")
def on(host: Host, package: None) -> Host:
    del package
    turn_on(host, scope="enrolled")
    return host


def enrolled(host: Host) -> Person:
    """A new person who is asked for codes."""
    made = new_person(host)
    done = module(host, "twofactor", options(made, services=[], scope="enrolled"))
    assert done.ok, done.output
    return made


@pytest.fixture
def person(on: Host) -> Person:
    return enrolled(on)


def test_pass_is_right_once_beside_the_codes_of_the_app(person: Person) -> None:
    code = give_pass(person, hours=8)
    assert person.by_key(code).ok
    assert not person.by_password(code).ok
    ssh.fresh_step()
    assert person.by_password(person.code()).ok


def test_further_pass_replaces_the_last_one(person: Person) -> None:
    first, second = give_pass(person), give_pass(person)
    assert not person.by_key(first).ok
    assert person.by_key(second).ok


def test_pass_expires_even_across_a_boot_and_leaves_nothing(person: Person) -> None:
    host, before = person.host, person.host.read(person.credential)
    code = give_pass(person, hours=1)
    until = module(host, "twofactor_info")["users"][person.name]["pass_until"]
    assert 3000 < time.mktime(time.strptime(until, "%Y-%m-%dT%H:%M:%SZ")) - time.mktime(time.gmtime()) <= 3600
    host.run("systemctl", "start", SERVICE)
    assert host.read(person.credential) != before, "a pass ends before its time"
    reboot(host)
    # While the service runs, as it may at a full minute, its timer shows no next time.
    host.run("systemctl", "start", SERVICE)
    (line,) = host.run("systemctl list-timers --plain --no-legend fleet-auth-passes.timer").stdout.splitlines()
    assert re.match(r"\w{3} \d", line), "a boot has stopped the timer"
    expire(person)
    host.run("systemctl", "start", SERVICE)
    assert not host.exists(TIMER)
    assert not host.exists(SCRIPT)
    assert host.read(person.credential) == before
    assert not person.by_key(code).ok
    assert host.run("systemctl list-units --all --plain --no-legend 'fleet-auth-passes*'").stdout == ""
    assert "pass" not in host.run("ls", "-A", backend_of(host).directory).stdout


def test_expired_pass_ends_while_others_stay_valid(on: Host, person: Person) -> None:
    other = enrolled(on)
    codes = give_pass(person), give_pass(other)
    expire(person)
    on.run("systemctl", "start", SERVICE)
    assert on.exists(TIMER)
    assert not person.by_key(codes[0]).ok
    assert other.by_key(codes[1]).ok


def test_playbook_writes_the_code_to_a_file_and_shows_it_nowhere(
    person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if variables say to become root everywhere, as in the guides, and nobody can on the controller."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANSIBLE_BECOME_ALLOW_SAME_USER", "1")
    everywhere = {"ansible_become": True, "ansible_become_exe": "/bin/false"}
    here = {person.host.name: {"ansible_become_exe": "sudo"}}
    (tmp_path / "everywhere.json").write_text(json.dumps({"all": {"vars": everywhere, "hosts": here}}))
    asked = {"user": person.name, "hours": 2, "twofactor_enrolment_dir": "./sheets", "twofactor_language": "es"}
    assert playbook("pass", person.host, "--check", **asked).ok
    assert not (tmp_path / "sheets").exists()
    run = playbook("pass", person.host, "-i", "everywhere.json", "-vvvv", "--diff", **asked)
    assert run.ok, run.output
    sheet = tmp_path / "sheets" / f"pass-{person.name}@{person.host.name}.txt"
    code = sheet.read_text().split()[0]
    assert f"\n\nUna contraseña de un solo uso para {person.name} en {person.host.name}.\nVale" in sheet.read_text()
    assert stat.S_IMODE(sheet.stat().st_mode) == 0o600
    assert stat.S_IMODE(sheet.parent.stat().st_mode) == 0o700
    assert code not in run.output
    assert person.by_key(code).ok


def test_role_gives_a_pass_in_a_custom_playbook(person: Person, tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text("""
- hosts: all
  gather_facts: false
  become: true
  tasks:
    - ansible.builtin.import_role:
        name: fleet.auth.twofactor
        tasks_from: pass
""")
    asked = {"twofactor_pass_user": person.name, "twofactor_enrolment_dir": str(tmp_path)}
    run = playbook(str(tmp_path / "play.yml"), person.host, **asked)
    assert run.ok, run.output
    assert person.by_key((tmp_path / f"pass-{person.name}@{person.host.name}.txt").read_text().split()[0]).ok


def test_refusals_name_what_is_wrong(on: Host, person: Person) -> None:
    for asked, message in (
        ({"user": person.name, "hours": 25}, "hours is 25; it must be from 1 to 24. Nothing was changed."),
        ({"user": "ansible"}, f"ansible has no credential on {on.name}. Enrol ansible"),
    ):
        refused = module(on, "twofactor_pass", asked)
        assert not refused.ok
        assert refused.message.startswith(message)
    assert "Name the account, with -e user=NAME" in playbook("pass", on).output
    on.run("twofactor-recover")
    refused = module(on, "twofactor_pass", {"user": person.name})
    assert refused.message == f"Two-factor login is off on {on.name}: {person.name} needs no pass. Log in without one."
