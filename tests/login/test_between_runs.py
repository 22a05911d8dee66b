# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes to a host between two runs, and how its guard reacts: alerts in the log, notes for the next run, repair."""

from __future__ import annotations

import time
import typing as t
from collections.abc import Iterator

import pytest

from hosts import PATIENCE, Host
from login import ssh
from login.modules import module, options, turn_on
from login.people import Person, new_person
from login.policy import WATCHED, assert_off, assert_on, off, reboot, somebody

pytestmark = pytest.mark.usefixtures("package")

SSHD = "/etc/pam.d/sshd"
COMMON = "/etc/pam.d/common-auth"
FIRST = "/etc/ssh/sshd_config.d/00-first.conf"
ALERTS = "/var/lib/fleet-auth-guard/alerts"
DEFAULTS = "/etc/default/ssh"
UNIT = "/etc/systemd/system/ssh.service.d/fallback.conf"
BEFORE = (
    "sshd reads another setting before /etc/ssh/sshd_config.d/00-twofactor.conf, or asks another PAM service, than "
    f"when fleet.auth looked at it ({FIRST}): it may let people in without a code"
)
STARTS = "starts sshd differently than when fleet.auth looked at it: it may let people in without a code"
LOST = f"{SSHD} has lost the block of fleet.auth: sshd lets people in without a code"

PROFILE = "/usr/share/pam-configs/guests"
GUESTS = """\
Name: Let everybody in
Default: no
Priority: 900
Auth-Type: Primary
Auth:
\t[success=end default=ignore]	pam_permit.so
"""
"""An authentication profile that comes before the others, as a package may contain it; pam-auth-update(8)."""
_APT = "DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes"


@pytest.fixture
def person(host: Host) -> Iterator[Person]:
    with somebody(host) as person:
        yield person


def logged(host: Host) -> list[str]:
    """The alerts that the guard has written to the system log since boot."""
    return host.run("journalctl -t fleet-auth-guard -p alert..alert -o cat -q").stdout.splitlines()


def noted(host: Host) -> dict[str, bool]:
    """The guard's notes for the next run, and whether the last occurrence of each is over."""
    lines = host.run("cat", ALERTS, check=False).stdout.splitlines()
    return {text: until != "-" for _since, until, text in (line.split("\t") for line in lines)}


def await_note(host: Host, text: str, *, over: bool = False) -> None:
    """Wait until the guard has noted this text or, with *over*, that it is over, and has ended."""
    deadline = time.monotonic() + PATIENCE
    while noted(host).get(text) is not over:
        assert time.monotonic() < deadline, (noted(host), logged(host))
        time.sleep(0.2)
    await_end_of_guard(host)


def await_guard(host: Host) -> None:
    """Wait until the guard has looked at the latest changes."""
    time.sleep(0.3)  # until systemd has seen the change and started the guard
    await_end_of_guard(host)


def await_end_of_guard(host: Host) -> None:
    """Wait until the guard does not run."""
    host.run("while systemctl is-active fleet-auth-guard.service | grep -q activating; do sleep 0.1; done")


def rights(host: Host) -> list[object]:
    """The mode, owner and further attributes of sshd's PAM file."""
    found = host.in_every_respect("/etc/pam.d")[SSHD]
    return [*found[:3], *found[4:]]


def reinstall(host: Host, maintainers: bytes) -> None:
    """Make the package of sshd replace changed files with the maintainer's."""
    # If the package is not newer, dpkg offers its own file only when it is told to ask.
    choices = "-o Dpkg::Options::=--force-confask -o Dpkg::Options::=--force-confnew"
    host.run(f"{_APT} {choices} --reinstall install openssh-server")
    assert host.read(SSHD) == maintainers


def upgrade(host: Host, newer: bytes) -> None:
    """Replace the file as dpkg does if a newer release of the package has another one."""
    host.write(f"{SSHD}.dpkg-new", newer)
    host.run("mv", f"{SSHD}.dpkg-new", SSHD)


def test_guard_reports_what_opens_a_door_within_seconds(host: Host, person: Person) -> None:
    maintainers, common = host.read(SSHD), host.read(COMMON)
    turn_on(host, person, guard="warn")
    await_guard(host)
    assert not logged(host)
    assert not noted(host)

    reinstall(host, maintainers)
    assert person.by_password().ok
    await_note(host, LOST)
    assert logged(host) == [LOST]
    info = module(host, "twofactor_info", options(person, guard="warn"))
    assert info["guard"]["mode"] == "warn"
    assert [(one["text"], one["until"]) for one in info["guard"]["alerts"]] == [(LOST, None)]
    mended = module(host, "twofactor", options(person, guard="warn"))
    assert mended.changed
    assert any(LOST in warning for warning in mended["warnings"])
    assert module(host, "twofactor", options(person, guard="warn")).changed is False
    await_guard(host)
    assert not noted(host)
    ssh.fresh_step()
    assert_on(person)

    # A missing module, a drop-in that is read first, another stack: each is noted as over once it is undone.
    gone = "pam_oath.so is gone: everybody who needs a code is denied"
    host.run(f"{_APT} purge libpam-oath")
    await_note(host, gone)
    host.write(FIRST, "Match all\n    AuthenticationMethods publickey\n")
    host.write(PROFILE, GUESTS)
    host.run("DEBIAN_FRONTEND=noninteractive pam-auth-update --enable guests")
    wins, root_wins = (
        f"sshd would not do what fleet.auth set for {name}: authenticationmethods is not "
        "'publickey,keyboard-interactive:pam keyboard-interactive:pam'"
        for name in (person.name, "root")
    )
    others = f"{COMMON} has changed since fleet.auth looked at it: sshd may let people in without a code"
    for text in (BEFORE, wins, root_wins, others):
        await_note(host, text)
    host.run("rm", FIRST)
    host.run(f"DEBIAN_FRONTEND=noninteractive pam-auth-update --package --remove guests && rm {PROFILE}")
    assert host.read(COMMON) == common
    host.install("libpam-oath")
    for text in (BEFORE, wins, root_wins, others, gone):
        await_note(host, text, over=True)
    assert sorted(logged(host)) == sorted([LOST, BEFORE, wins, root_wins, others, gone])

    # Drop-ins that concern another account or one address only, and changes to how sshd is started.
    before, options_before = len(logged(host)), host.read(DEFAULTS)
    for match in ("User nobody", "Address 10.0.0.0/8"):
        host.write(FIRST, f"Match {match}\n    AuthenticationMethods publickey\n")
        await_note(host, BEFORE)
        host.run("rm", FIRST)
        await_note(host, BEFORE, over=True)
    host.write(DEFAULTS, "SSHD_OPTS='-o UsePAM=no'\n")
    await_note(host, f"{DEFAULTS} {STARTS}")
    host.write(UNIT, "[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D -o UsePAM=no\n")
    await_note(host, f"{UNIT} {STARTS}")
    host.write(DEFAULTS, options_before)
    host.run("rm", "-r", UNIT.rpartition("/")[0])
    await_note(host, f"{DEFAULTS} {STARTS}", over=True)
    await_guard(host)
    assert sorted(logged(host)[before:]) == sorted([BEFORE, BEFORE, f"{DEFAULTS} {STARTS}", f"{UNIT} {STARTS}"])
    assert set(noted(host).values()) == {True}

    # A spelling that libpam reads as well.
    opened = f"{SSHD} has changed since fleet.auth wrote it: sshd may let people in without a code"
    with_block = host.read(SSHD)
    host.write(SSHD, b"[auth] sufficient pam_permit.so\n" + with_block)
    assert person.by_key().ok
    await_note(host, opened)
    host.write(SSHD, with_block)
    await_note(host, opened, over=True)
    many = len(logged(host))

    # Many changes at once do not stop the guard, and the recovery command lets somebody off without an alert.
    host.run("for n in $(seq 400); do echo '#' >/etc/pam.d/many-$n; done; rm /etc/pam.d/many-*")
    host.run("twofactor-recover", "--user", person.name)
    await_guard(host)
    assert host.run("systemctl is-active fleet-auth-guard.path").stdout == "active\n"
    assert len(logged(host)) == many
    host.run("rm", f"{SSHD}.dpkg-old")
    turn_on(host, person, guard="off")
    assert host.run("systemctl list-units --plain --no-legend 'fleet-auth*'").stdout == ""
    host.run("journalctl", "--rotate", "--vacuum-time=1s")


def test_guard_does_not_take_a_change_of_accounts_for_an_open_door(host: Host, person: Person) -> None:
    """It asks sshd about one account of each kind, which may leave its group or the host."""
    wins = (
        f"sshd would not do what fleet.auth set for {person.name}: authenticationmethods is not "
        "'publickey,keyboard-interactive:pam keyboard-interactive:pam'"
    )
    host.run(f"groupadd asked && usermod --append --groups asked {person.name}")
    try:
        turn_on(host, person, guard="warn", scope="groups", scope_groups=["asked"])
        await_guard(host)
        host.run(f"gpasswd --delete {person.name} asked; touch /etc/pam.d/.look; rm /etc/pam.d/.look")
        await_guard(host)
        assert not noted(host)
        host.run("gpasswd", "--add", person.name, "asked")
        host.write(FIRST, "Match all\n    AuthenticationMethods publickey\n")
        await_note(host, wins)
    finally:
        host.run(f"rm -f {FIRST}; groupdel asked")


def test_guard_reports_a_silent_sshd_unless_it_is_only_being_replaced(host: Host, person: Person) -> None:
    gone = "mv /usr/sbin/sshd /usr/sbin/sshd.old; touch /etc/pam.d/other"
    back = "mv /usr/sbin/sshd.old /usr/sbin/sshd"
    turn_on(host, person, guard="warn")
    await_guard(host)
    known = logged(host)
    host.run(f"{gone}; sleep 3; {back}")
    await_guard(host)
    assert logged(host) == known
    # As after a boot, if a socket starts sshd when somebody connects.
    host.run("rmdir /run/sshd; touch /etc/pam.d/other")
    await_guard(host)
    assert logged(host) == known
    host.run(gone)
    silent = "sshd does not report its settings: it is not known whether it asks for a code"
    try:
        await_note(host, silent)
    finally:
        host.run(f"{back}; touch /etc/pam.d/other")
    assert logged(host)[len(known) :] == [silent]
    await_note(host, silent, over=True)
    off(host)


@pytest.mark.parametrize("host", ["debian13"], indirect=True)
def test_guard_reports_indirect_files_that_open_a_door(host: Host, person: Person) -> None:
    """Cockpit's configuration, what an included file of sshd's includes, and an EnvironmentFile of its unit."""
    unit, variables, nested = UNIT.replace("fallback", "variables"), "/etc/variables-of-sshd", "/etc/ssh/site/b.conf"
    host.write("/etc/pam.d/cockpit", "@include common-auth\n@include common-account\n@include common-session\n")
    host.write("/etc/cockpit/cockpit.conf", "[WebService]\nLoginTitle = here\n[Negotiate]\naction = none\n")
    host.write(f"{FIRST.rpartition('/')[0]}/60-site.conf", "Include /etc/ssh/site/a.conf\n")
    host.write("/etc/ssh/site/a.conf", f"Include {nested}\n")
    host.write(nested, "Banner none\n")
    host.write(unit, f"[Service]\nEnvironmentFile=-{variables}\n")
    host.run("systemctl", "daemon-reload")
    try:
        turn_on(host, person, guard="warn", services=["cockpit"])
        await_guard(host)
        before = len(logged(host))
        host.write("/etc/cockpit/cockpit.conf", "[WebService]\nLoginTitle = there\n[Negotiate]\naction = none\n")
        host.write(nested, "Banner none\nMatch User nobody\n  Banner none\n")
        await_guard(host)
        assert not noted(host)
        host.write("/etc/cockpit/cockpit.conf", "[WebService]\nLoginTitle = there\n")
        host.write(nested, "Match User nobody\n  PAMServiceName sshd-corp\n")
        host.write(variables, "SSHD_OPTS='-o UsePAM=no'\n")
        expected = [
            "/etc/cockpit/cockpit.conf has changed since fleet.auth looked at it: Cockpit may let people in without a "
            "code",
            BEFORE.replace(FIRST, nested),
            f"{variables} {STARTS}",
        ]
        for text in expected:
            await_note(host, text)
        assert sorted(logged(host)[before:]) == sorted(expected)
        refused = module(host, "twofactor_info", options(person, guard="warn", services=["cockpit"]))["refusals"]
        assert any(f"{nested} line 2: PAMServiceName sshd-corp (under 'Match User nobody')" in one for one in refused)
    finally:
        host.run(f"rm -rf /etc/ssh/site {FIRST.rpartition('/')[0]}/60-site.conf {unit} {variables}")
        host.run("systemctl", "daemon-reload")
        off(host)
        host.run("rm -r /etc/cockpit /etc/pam.d/cockpit")


def test_guard_reports_a_change_in_the_moment_before_its_end(host: Host, person: Person) -> None:
    late = "/run/systemd/system/fleet-auth-guard.service.d/late.conf"
    turn_on(host, person, guard="warn")
    await_guard(host)
    # After its last look the guard stays for a while, in which systemd does not watch.
    host.write(late, "[Service]\nExecStart=/bin/sh -c 'touch /run/looked; sleep 3'\n")
    host.run("systemctl", "daemon-reload")
    host.run("touch /etc/pam.d/other; while [ ! -e /run/looked ]; do sleep 0.1; done")
    host.write(FIRST, "Match all\n    AuthenticationMethods publickey\n")
    try:
        await_note(host, BEFORE)
    finally:
        host.run("rm", "-r", FIRST, late.rpartition("/")[0], "/run/looked")
        host.run("systemctl", "daemon-reload")
    await_note(host, BEFORE, over=True)
    off(host)


def test_guard_that_does_not_watch_is_named_and_started_again(host: Host, person: Person) -> None:
    unit = "fleet-auth-guard.path"
    watching = options(person, guard="warn")
    turn_on(host, person, guard="warn")
    files = lasting_files(host)
    host.run("systemctl", "stop", unit)
    info = module(host, "twofactor_info", watching)
    assert info["guard"]["mode"] == "off"
    assert any(f"the guard of {host.name} has failed or been stopped" in one for one in info["drift"])
    mended = module(host, "twofactor", watching)
    assert mended["changes"] == [f"stop {unit}", f"start {unit}"]
    assert host.run("systemctl", "is-active", unit).stdout.strip() == "active"
    assert lasting_files(host) == files
    assert module(host, "twofactor_info", watching)["guard"]["mode"] == "warn"
    assert module(host, "twofactor", watching).changed is False
    off(host)


def lasting_files(host: Host) -> dict[str, t.Any]:
    """A host's files, without the time stamp that systemd writes at boot; systemd-update-done.service(8)."""
    return {path: entry for path, entry in host.snapshot(WATCHED).items() if path != "/etc/.updated"}


def in_every_respect(host: Host) -> object:
    """What decides logins and starts units, with attributes, ACLs and hard links."""
    return host.in_every_respect("/etc/pam.d", "/etc/systemd/system")


def test_guard_puts_a_lost_block_back(host: Host, person: Person) -> None:
    before, in_detail = lasting_files(host), in_every_respect(host)
    maintainers = host.read(SSHD)
    turn_on(host, person, guard="repair")
    await_guard(host)
    protected = host.read(SSHD)
    host.run("systemctl", "stop", "fleet-auth-guard.path")
    upgrade(host, maintainers.replace(b"# PAM", b"# The PAM", 1) + b"# A later release.\n")
    host.run("chmod", "0640", SSHD)
    host.run("setfattr", "-n", "user.kept", "-v", "yes", SSHD, check=False)
    kept = rights(host)
    assert person.by_password().ok
    reboot(host)
    await_note(host, LOST, over=True)
    assert host.read(SSHD) == protected.replace(b"# PAM", b"# The PAM", 1) + b"# A later release.\n"
    assert rights(host) == kept
    ssh.fresh_step()
    assert_on(person)

    # A file with unknown contents stays as it is, and is reported.
    upgrade(host, b"auth sufficient pam_permit.so\n" + maintainers)
    await_guard(host)
    await_note(host, LOST)
    assert host.read(SSHD) == b"auth sufficient pam_permit.so\n" + maintainers
    upgrade(host, maintainers)
    await_note(host, LOST, over=True)
    assert host.read(SSHD) == protected
    assert not person.by_password().ok

    off(host)
    assert lasting_files(host) == before
    assert in_every_respect(host) == in_detail
    assert not host.exists("/var/lib/fleet-auth-guard")
    assert host.run("systemctl list-units --plain --no-legend 'fleet-auth*'").stdout == ""
    assert_off(person)

    turn_on(host, new_person(host), person, guard="warn")
    host.run("twofactor-recover")
    await_guard(host)
    assert not host.exists(ALERTS)
    assert host.run("systemctl list-units --plain --no-legend 'fleet-auth*'").stdout == ""
