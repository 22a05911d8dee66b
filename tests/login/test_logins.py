# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accounts that have logged in are named before they are locked out, and the status reports what a login finds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from hosts import Host
from login.modules import module, options, turn_on
from login.people import PASSWORD, Person, new_person
from login.policy import off, somebody

# Moves the account, its password and its groups to files that the host reads as well, so /etc/shadow lacks them.
_ELSEWHERE = r"""
set -e
mkdir -p /var/lib/extrausers
for file in passwd shadow group; do
    grep "^$1:" /etc/$file >/var/lib/extrausers/$file
    sed -i "/^$1:/d" /etc/$file
done
sed -i -E '/^(passwd|shadow|group):/ { s/ extrausers//; s/files/files extrausers/ }' /etc/nsswitch.conf
"""
_HOME = "sed -i 's/ extrausers//' /etc/nsswitch.conf; rm -rf /var/lib/extrausers"


@pytest.mark.usefixtures("package")
def test_account_whose_password_is_not_in_etc_shadow_is_named(host: Host) -> None:
    off(host)
    host.install("libnss-extrausers")
    person = new_person(host, authorized_key=None)
    host.run("sh", "-c", _ELSEWHERE, "sh", person.name)
    try:
        login = person.by_password(methods="password")
        assert login.ok, login.reason
        done = module(host, "twofactor", options())
        assert not done.ok
        assert f"{person.name} has logged in to sshd on {host.name} by password on 20" in done.message
        info = module(host, "twofactor_info", {"exempt_users": ["ansible"]})
        assert person.name in [one["user"] for one in info["would_be_locked_out"]]
        assert module(host, "twofactor", options(seen_days=0), check=True).ok
        of_su = options(ssh=False, services=["su"])
        assert (
            f"{person.name} has no credential and would be locked out of su" in module(host, "twofactor", of_su).message
        )
        turn_on(host, person)
        assert not person.by_password().ok
        login = person.by_password(person.code())
        assert login.ok, login.reason
    finally:
        off(host)
        host.run(_HOME)


@pytest.mark.usefixtures("package")
def test_status_agrees_with_logins(host: Host) -> None:
    with somebody(host) as person:
        turn_on(host, person)

        def reported() -> tuple[list[str], list[str], bool]:
            found = module(host, "twofactor_info", options(person))
            return found["lets_in"], found["denying"], found["enforced"]["sshd"]

        host.run("cp", "/etc/pam.d/sshd", "/etc/pam.d/sshd.dpkg-old")
        assert module(host, "twofactor_info", options(person))["enforced"] == {"sshd": True}
        assert reported() == ([], [], True)

        host.run("sed", "-i", "1i auth [success=done default=ignore] pam_unix.so", "/etc/pam.d/common-auth")
        assert person.by_password().ok
        assert reported() == (["sshd"], [], False)
        host.run("sed", "-i", "1d", "/etc/pam.d/common-auth")

        for match in (f"User {person.name}", "Address 10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"):
            host.write("/etc/ssh/sshd_config.d/00-a.conf", f"Match {match}\n    AuthenticationMethods publickey\n")
            host.run("systemctl", "reload", "ssh")
            assert person.by_key(batch=True).ok
            assert reported() == (["sshd"], [], False)
        host.run("rm", "/etc/ssh/sshd_config.d/00-a.conf")
        host.run("systemctl", "reload", "ssh")

        host.run("dpkg", "--purge", "--force-depends", "libpam-oath")
        assert not person.by_password(person.code()).ok
        assert reported() == ([], ["sshd"], False)
        found = module(host, "twofactor_info", options(person))
        assert person.name in [one["user"] for one in found["would_be_locked_out"]]
        host.install("libpam-oath")
        off(host)
        assert "fleet.auth" not in host.read("/etc/pam.d/sshd.dpkg-old").decode()
        host.run("rm", "/etc/pam.d/sshd.dpkg-old")
        assert person.by_password(methods="password", password=PASSWORD).ok


_DEFAULTS = "/etc/default/ssh"
_SETTINGS = "/etc/ssh/sshd_config.d/50-odd.conf"
_KEYS = "/usr/local/bin/keys-of-people"


@contextlib.contextmanager
def _sshd_with(host: Host, options: str = "", text: str = "") -> Iterator[None]:
    """Run sshd with these options in the file of its defaults, and with these settings in a drop-in."""
    before = host.read(_DEFAULTS)
    host.write(_DEFAULTS, f"SSHD_OPTS='{options}'\n")
    host.write(_SETTINGS, text)
    host.run("systemctl reset-failed ssh; systemctl restart ssh")
    try:
        yield
    finally:
        host.write(_DEFAULTS, before)
        host.run(f"rm {_SETTINGS}; systemctl reset-failed ssh; systemctl restart ssh")


@contextlib.contextmanager
def _accounts(host: Host, *names: str) -> Iterator[list[Person]]:
    """Accounts with these names, each with a key and a password."""
    made = [Person(name, host, host.key) for name in names]
    for number, one in enumerate(made):
        # sshd treats the path of the keys as a pattern.
        host.run("useradd", "--badname", "--create-home", "--home-dir", f"/home/odd{number}", one.name)
        host.add_user(one.name, password=PASSWORD, authorized_key=host.key.with_suffix(".pub"))
    try:
        yield made
    finally:
        for one in made:
            host.run("userdel", "--force", "--remove", one.name)


@pytest.mark.parametrize("host", ["debian13"], indirect=True)
@pytest.mark.usefixtures("package")
def test_accounts_that_get_in_by_rare_settings_are_named_and_no_others(host: Host) -> None:
    off(host)
    locked_out = "has no credential and would be locked out"
    with _accounts(host, "a@b", "CORP\\joe", "mary") as (at, joe, mary):
        # No tool makes a group with such a name, but directories have them.
        groups = host.read("/etc/group")
        host.write("/etc/group", groups + rf"linux admins:x:7777:{joe.name}".encode() + b"\n")
        allowed = "AllowUsers a@b@* ansible\nAllowGroups a@b ansible\n"
        with _sshd_with(host, text=allowed):
            assert [one.by_key(batch=True).ok for one in (at, joe, mary)] == [True, False, False]
            refused = module(host, "twofactor", options()).message
            assert f"a@b {locked_out}" in refused
            assert "joe" not in refused
            assert "mary" not in refused
        with _sshd_with(host, text='AllowGroups "linux admins" ansible\n'):
            assert [one.by_key(batch=True).ok for one in (at, joe, mary)] == [False, True, False]
            refused = module(host, "twofactor", options()).message
            assert f"CORP\\joe {locked_out}" in refused
            assert "Exempt a group of the account" in refused
            # sshd logs special characters of a name differently from how they were typed.
            assert joe.by_password(methods="password").ok
            host.run("usermod", "--lock", joe.name)
            host.run("mv", "/home/odd1/.ssh", "/home/odd1/away")
            refused = module(host, "twofactor", options()).message
            assert rf"CORP\joe has logged in to sshd on {host.name} by password" in refused
            assert not {"a@b", "mary"} & {*refused.replace(",", " ").split()}
        # Keys from a command that only the unit's options name, and other options that its defaults may set.
        host.run("cp /home/odd2/.ssh/authorized_keys /etc/ssh/keys-of-all; rm /home/odd2/.ssh/authorized_keys")
        host.write(_KEYS, '#!/bin/sh\n[ "$1" != mary ] || cat /etc/ssh/keys-of-all\n', 0o755)
        with _sshd_with(host, f"-o AuthorizedKeysCommand={_KEYS} -o AuthorizedKeysCommandUser=nobody"):
            host.run("usermod", "--lock", "mary")
            assert mary.by_key(batch=True).ok
            refused = module(host, "twofactor", options(at)).message
            assert f"mary {locked_out}" in refused
        # Without PAM, sshd denies accounts with a locked password, so Ansible's account gets an invalid one instead.
        host.run("usermod", "--password", "*", "ansible")
        with _sshd_with(host, "-o UsePAM=no"):
            assert f"'-o UsePAM=no' in {_DEFAULTS} keeps PAM" in module(host, "twofactor", options(at)).message
        # A way in that only our own settings open is not one from before. It is not named, neither now nor later.
        host.set_password("mary", PASSWORD)
        people = {"exempt_users": ["ansible", "root"], "seen_days": 0}
        with _sshd_with(host, text="PasswordAuthentication no\nKbdInteractiveAuthentication no\n"):
            assert not mary.by_password().ok
            wanted = options(at, ssh_first_factors=["publickey"], **people)
            assert module(host, "twofactor", wanted).changed
            assert not module(host, "twofactor", wanted).changed
            assert not mary.by_password().ok
            assert not at.by_key(batch=True).ok
            assert at.by_key(at.code()).ok
            off(host)
        host.write("/etc/group", groups)
        host.run(f"rm {_KEYS} /etc/ssh/keys-of-all")
