# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stacks as found on real hosts: chains of includes, services that include others, vendor files, locked accounts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hosts import Host
from login import ssh
from login.doors import by_pam
from login.modules import module, options, turn_on
from login.people import PASSWORD
from login.policy import CODE_PROMPT, WATCHED, Pair, off, pair
from login.test_between_runs import await_note

# As on hardened hosts; the first line should be requisite.
LOCKING = """\
auth required pam_faillock.so preauth silent deny=2 unlock_time=900
auth [success=1 default=ignore] pam_unix.so nullok
auth [default=die] pam_faillock.so authfail deny=2 unlock_time=900
auth required pam_faillock.so authsucc deny=2 unlock_time=900
"""
ACCOUNT = "account required pam_permit.so\n"
VENDOR = "/usr/lib/pam.d"
SITE = "/etc/found-pam"
FILES = {
    # As on Arch, Gentoo and Alpine: a chain of includes, and a module given by its path.
    "/etc/pam.d/far-door": f"auth include far-remote\n{ACCOUNT}",
    "/etc/pam.d/far-remote": "auth include far-login\n",
    "/etc/pam.d/far-login": "auth required pam_shells.so\nauth requisite pam_nologin.so\nauth include far-auth\n",
    "/etc/pam.d/far-auth": (
        "auth [success=1 default=bad] {unix} try_first_pass nullok\nauth requisite pam_deny.so\n"
        "auth optional pam_permit.so\nauth required pam_env.so\n"
    ),
    "/etc/pam.d/inner-door": f"@include common-auth\n{ACCOUNT}",
    "/etc/pam.d/outer-door": f"auth include inner-door\n{ACCOUNT}",
    f"{VENDOR}/vendor-door": f"auth substack common-auth\n{ACCOUNT}",
    # Included by full path, past a file of the same name that libpam would prefer, and through a link.
    "/etc/pam.d/path-door": f"@include {VENDOR}/path-auth\n{ACCOUNT}",
    "/etc/pam.d/path-auth": "auth required pam_deny.so\n",
    f"{VENDOR}/path-auth": f"auth required pam_env.so\nauth substack {SITE}/link\n",
    f"{SITE}/auth": "@include /etc/pam.d/common-auth\n",
    f"{VENDOR}/only-vendors": "auth include common-auth\n",
}
LOST = "/etc/pam.d/lost-door"
DOORS = ["far-door", "inner-door", "outer-door", "vendor-door", "path-door"]


@pytest.fixture
def people(host: Host) -> Iterator[Pair]:
    with pair(host) as people:
        yield people


def test_code_is_asked_for_behind_includes_through_another_service_and_by_a_vendors_service(
    host: Host, people: Pair
) -> None:
    (unix,) = host.run("sh", "-c", "ls /usr/lib/*/security/pam_unix.so").stdout.split()
    host.run("mkdir", "-p", VENDOR, SITE)
    host.run("ln", "-s", "auth", f"{SITE}/link")
    for path, text in FILES.items():
        host.write(path, text.replace("{unix}", unix))
    try:
        before = host.snapshot(WATCHED)
        for door in DOORS:
            assert by_pam(people.enrolled, door, PASSWORD)[0], door
            assert not by_pam(people.enrolled, door, "wrong")[0], door
        wanted = people.policy(*DOORS, window=len(DOORS), guard="warn")
        turn_on(host, people.enrolled, **wanted)
        # libpam includes nothing from the directory of vendors' services if only the name is given.
        for line in ("auth include only-vendors", "@include only-vendors", "auth substack /etc/pam.d/only-vendors"):
            host.write(LOST, f"{line}\n{ACCOUNT}")
            assert not by_pam(people.enrolled, "lost-door", PASSWORD)[0], line
            refused = module(host, "twofactor", options(people.enrolled, **{**wanted, "services": ["lost-door"]}))
            assert f"Give the full path, {VENDOR}/only-vendors, or leave lost-door out" in refused.message, line
        host.write(LOST, f"auth include {VENDOR}/only-vendors\n{ACCOUNT}")
        assert by_pam(people.enrolled, "lost-door", PASSWORD)[0]
        host.run("rm", LOST)
        info = module(host, "twofactor_info", options(people.enrolled, **wanted))
        assert info["enforced"] == {"sshd": True, **dict.fromkeys(DOORS, True)}
        assert info["changes"] == []
        assert host.read("/etc/pam.d/outer-door") == FILES["/etc/pam.d/outer-door"].encode()
        assert host.exists("/etc/pam.d/vendor-door")
        for door in DOORS:
            assert by_pam(people.exempt, door, PASSWORD)[0], door
            assert not by_pam(people.exempt, door, "wrong")[0], door
            assert not by_pam(people.enrolled, door, PASSWORD)[0], door
            entered, asked = by_pam(people.enrolled, door, "wrong", "000000")
            assert not entered
            assert CODE_PROMPT not in asked, door
        ssh.fresh_step()
        for number, door in enumerate(DOORS):
            assert by_pam(people.enrolled, door, PASSWORD, people.enrolled.code(steps=number))[0], door
        inner, opened = f"{SITE}/auth", f"{SITE}/link has changed since fleet.auth looked at it: "
        host.write(inner, f"auth sufficient pam_permit.so\n{FILES[inner]}")
        await_note(host, f"{opened}path-door may let people in without a code")
        host.write(inner, FILES[inner])
        off(host)
        assert host.snapshot(WATCHED) == before
    finally:
        off(host)
        host.run("rm", "-rf", *FILES, SITE, LOST)


def test_every_pam_service_that_asks_for_a_password_is_listed(host: Host, people: Pair) -> None:
    door, path = "strange-vpn", "/etc/pam.d/strange-vpn"
    host.write(path, f"@include common-auth\n{ACCOUNT}")
    try:
        assert by_pam(people.enrolled, door, PASSWORD)[0]
        doors = {one["name"]: one for one in module(host, "twofactor_info", options(**people.policy()))["doors"]}
        assert (doors[door]["kind"], doors[door]["state"], doors[door]["seen"]) == ("local", "unknown", path)
        assert not {"cron", "common-auth", "other"} & doors.keys()
        turn_on(host, people.enrolled, **people.policy(door))
        doors = {one["name"]: one for one in module(host, "twofactor_info", options(**people.policy(door)))["doors"]}
        assert doors[door]["state"] == "covered"
        assert not by_pam(people.enrolled, door, PASSWORD)[0]
    finally:
        off(host)
        host.run("rm", path)


def test_prompts_do_not_reveal_whether_the_password_of_a_locked_account_was_right(host: Host, people: Pair) -> None:
    common = host.read("/etc/pam.d/common-auth")
    host.write("/etc/pam.d/common-auth", LOCKING)
    try:
        turn_on(host, people.enrolled, **people.policy())
        login = people.enrolled.by_password(people.enrolled.code())
        assert login.ok, login.reason
        for _attempt in range(3):
            assert not people.enrolled.by_password("000000", password="wrong").ok
        wrong = people.enrolled.by_password("000000", password="wrong")
        right = people.enrolled.by_password("000000")
        assert not right.ok
        assert right.prompts == wrong.prompts
        assert not any(CODE_PROMPT in prompt for prompt in right.prompts)
        host.run("faillock", "--user", people.enrolled.name, "--reset")
        ssh.fresh_step()
        login = people.enrolled.by_password(people.enrolled.code(steps=1))
        assert login.ok, login.reason
    finally:
        off(host)
        host.write("/etc/pam.d/common-auth", common)
