# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""sudo asks for the code, also with a prompt of one's own. Ansible becomes root where no code is asked for.

The same applies to su and doas.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator

import pytest

import preloaded
from hosts import Host
from login import ssh
from login.doors import counted_wrong_codes
from login.modules import module, options
from login.people import PASSWORD, Person, inventory_path, new_person
from login.policy import off
from login.sudo import sudo

POLICY: dict[str, t.Any] = {"ssh": False, "services": ["sudo", "sudo-i"]}

BECOME = {
    "su": {"become_method": "su"},
    # Ansible's plugins for the others are in a collection that is not installed here. They start the programs this way.
    "doas": {"become_method": "su", "become_exe": "doas", "become_flags": "sh", "become_user": ""},
    "machinectl": {
        "become_method": "su",
        "become_exe": "machinectl",
        "become_flags": "-q shell .host /bin/sh",
        "become_user": "",
        "timeout": "4",
    },
    "run0": {
        "become_method": "su",
        "become_exe": "run0",
        "become_flags": "--background= /bin/sh",
        "become_user": "",
        "timeout": "4",
    },
}
"""Ansible's settings for becoming root with other programs."""


class People(t.NamedTuple):
    """Three people who may all use sudo; the first is asked for a code."""

    asked: Person
    exempt: Person
    with_no_password: Person


@pytest.fixture(scope="module")
def people(host: Host) -> Iterator[People]:
    host.install("libpam-oath")
    off(host)
    found = People(*(new_person(host, groups=["sudo"]) for _field in People._fields))
    host.write("/etc/sudoers.d/test", f"{found.with_no_password.name} ALL=(ALL) NOPASSWD: ALL\n", 0o440)
    done = module(
        host,
        "twofactor",
        options(
            found.asked, found.with_no_password, **POLICY, exempt_users=["ansible", found.exempt.name], scope="everyone"
        ),
    )
    assert done.ok, done.output
    yield found
    off(host)
    host.run("rm", "/etc/sudoers.d/test")
    for person in found:
        host.run("userdel", "--force", "--remove", person.name)


def become(person: Person, *arguments: str, **how: str) -> str:
    """What Ansible prints when it connects as a person with their key, and becomes root with a password."""
    words = ["ansible", person.host.name, "-i", str(inventory_path(person.host.fleet)), *arguments]
    alone = "-o ControlMaster=no -o ControlPath=none"
    variables = {"user": person.name, "become_password": PASSWORD, "ssh_args": alone, **how}
    words += [word for name, value in variables.items() for word in ("-e", f'ansible_{name}="{value}"')]
    for _attempt in range(4):
        done = preloaded.run(*words)
        # polkit discards what is typed before it turns the echo off, which it does after the prompt.
        if "==== AUTHENTICATING" not in done.stdout:
            break
    return done.stdout + done.stderr


def test_custom_prompt_is_used_for_both(people: People) -> None:
    ssh.fresh_step()
    done = sudo(people.asked, PASSWORD, people.asked.code(), prompt="[%u, for %p]")
    assert done.stdout == "root\n"
    name = people.asked.name
    assert done.stderr == f"[{name}, for {name}]" * 2


def test_prompts_differ_without_a_custom_one(people: People) -> None:
    done = sudo(people.asked, PASSWORD, people.asked.code(steps=1000))
    assert "password for" in done.stderr
    assert f"One-time password (OATH) for `{people.asked.name}'" in done.stderr
    assert done.stdout == ""


def test_login_shell_of_sudo_asks_as_well(people: People) -> None:
    ssh.fresh_step()
    assert sudo(people.asked, PASSWORD, people.asked.code(steps=1), login_shell=True).stdout == "root\n"
    assert sudo(people.asked, PASSWORD, login_shell=True).stdout == ""


def test_sudo_that_asks_another_service_is_refused_and_reported_as_not_enforced(people: People) -> None:
    host, service, rules = people.asked.host, "/etc/pam.d/sudo-corp", "/etc/sudoers.d/corp"
    wanted = options(people.asked, **POLICY, exempt_users=["ansible"], scope="enrolled")
    host.write(service, "@include common-auth\n@include common-account\n@include common-session-noninteractive\n")
    number = host.run("id", "-u", people.asked.name).stdout.strip()
    host.write(rules, f"Defaults:#{number} pam_service=sudo-corp\n", 0o440)
    try:
        assert sudo(people.asked, PASSWORD).stdout == "root\n"
        found = module(host, "twofactor_info", wanted)
        assert found["enforced"] == {"sudo": False, "sudo-i": True}
        refused = module(host, "twofactor", wanted)
        assert (
            f"uses the PAM service sudo-corp in place of sudo, at least for some users ({rules} line 1"
            in refused.message
        )
    finally:
        host.run("rm", service, rules)
    assert sudo(people.asked, PASSWORD).stdout == ""


@pytest.mark.parametrize("field", ["exempt", "with_no_password"])
def test_ansible_becomes_root_as_a_person_whom_sudo_asks_for_no_code(people: People, field: str) -> None:
    said = become(getattr(people, field), "-m", "command", "-a", "id -un")
    assert said.endswith("| CHANGED | rc=0 >>\nroot\n"), said


def test_ansible_reports_a_wrong_password_if_sudo_asks_for_a_code(people: People) -> None:
    """Both prompts are Ansible's, so it takes the second for the first again. It tries once, and gives a wrong code."""
    before = counted_wrong_codes(people.asked)
    said = become(people.asked, "-m", "command", "-a", "id -un")
    assert "Incorrect sudo password" in said, said
    assert counted_wrong_codes(people.asked) == before + 1


def test_run_that_would_keep_ansible_from_becoming_root_is_refused(host: Host, people: People) -> None:
    off(host)
    wanted = options(people.asked, people.exempt, people.with_no_password, **POLICY)
    said = become(people.asked, "-m", "fleet.auth.twofactor", "-a", json.dumps(wanted))
    assert "cannot answer sudo's second prompt, for the code" in said
    # A rule that continues after ALL, and comes after the group's rule.
    host.write("/etc/sudoers.d/without-passwd", f"{people.asked.name} ALL=(ALL:ALL) ALL, !/usr/bin/passwd\n", 0o440)
    said = become(people.asked, "-m", "fleet.auth.twofactor", "-a", json.dumps(wanted))
    assert "cannot answer sudo's second prompt, for the code" in said
    host.run("rm", "/etc/sudoers.d/without-passwd")
    for field in ("exempt", "with_no_password"):
        person = getattr(people, field)
        exempt = ["ansible", people.exempt.name]
        said = become(
            person, "-m", "fleet.auth.twofactor", "-a", json.dumps({**wanted, "exempt_users": exempt}), "--check"
        )
        assert "CHANGED" in said, said


@pytest.fixture
def root_has_a_password(host: Host) -> Iterator[None]:
    before = host.run("getent shadow root | cut -d: -f2").stdout.strip()
    host.set_password("root", PASSWORD)
    yield
    host.run("usermod", "--password", before, "root")


def run_that_makes_it_ask(people: People, by: Person, program: str, *exempt: str, service: str = "") -> str:
    """What a run prints that becomes root with this program and would make it, or this service, ask for codes."""
    asking = [service or program]
    wanted = options(*people, ssh=False, services=asking, scope="everyone", exempt_users=["ansible", *exempt])
    return become(by, "-m", "fleet.auth.twofactor", "-a", json.dumps(wanted), "--check", **BECOME[program])


@pytest.mark.parametrize("host", ["debian13"], indirect=True, scope="module")
@pytest.mark.usefixtures("root_has_a_password")
def test_run_that_would_keep_ansible_from_becoming_root_by_su_is_refused(host: Host, people: People) -> None:
    """su asks for root's password and root's code."""
    off(host)
    said = run_that_makes_it_ask(people, people.asked, "su")
    assert "cannot answer su's second prompt, for the code" in said, said
    said = run_that_makes_it_ask(people, people.asked, "su", "root")
    assert "CHANGED" in said, said


@pytest.mark.parametrize("host", ["debian13"], indirect=True, scope="module")
def test_run_that_would_keep_ansible_from_becoming_root_by_doas_is_refused(host: Host, people: People) -> None:
    off(host)
    host.install("opendoas")
    rules = f"permit :sudo\npermit nopass {people.with_no_password.name}\n"
    host.write("/etc/doas.conf", rules, 0o400)
    said = run_that_makes_it_ask(people, people.asked, "doas")
    assert "cannot answer doas's second prompt, for the code" in said, said
    for person in (people.exempt, people.with_no_password):
        said = run_that_makes_it_ask(people, person, "doas", people.exempt.name)
        assert "CHANGED" in said, said
    host.run("rm", "/etc/doas.conf")


RULE = """\
polkit.addRule(function(action, subject) {{
    if (subject.user == "{name}") {{ return polkit.Result.YES; }}
}});
polkit.addAdminRule(function(action, subject) {{ return ["unix-user:" + subject.user]; }});
"""
"""One person becomes root without a password. polkit asks the others for their own, and offers no other account."""


@pytest.mark.parametrize("host", ["debian13"], indirect=True, scope="module")
def test_run_that_would_keep_ansible_from_becoming_root_by_polkit_is_refused(host: Host, people: People) -> None:
    """systemd starts what these programs are told to start; it runs outside the process tree of the ssh session."""
    off(host)
    host.install("polkitd", "systemd-container")
    host.write("/etc/polkit-1/rules.d/10-test.rules", RULE.format(name=people.with_no_password.name))
    for program in ("machinectl", "run0"):
        asked = run_that_makes_it_ask(people, people.asked, program, service="polkit-1")
        assert f"becomes root on {host.name} by {program} with a password" in asked, asked
        assert "cannot answer polkit-1's second prompt, for the code" in asked
    said = run_that_makes_it_ask(people, people.with_no_password, "machinectl", service="polkit-1")
    assert "CHANGED" in said, said
    host.run("rm", "/etc/polkit-1/rules.d/10-test.rules")
