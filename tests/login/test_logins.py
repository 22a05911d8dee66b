# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whoever has logged in is named before being locked out, and the status tells what a login finds."""

from __future__ import annotations

import pytest

from hosts import Host
from login.modules import module, options, turn_on
from login.people import PASSWORD, new_person
from login.policy import off, somebody

# The account, its password and its groups go where the host finds them, and /etc/shadow does not have them.
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
def test_whoever_logs_in_by_a_password_that_is_elsewhere_is_named(host: Host) -> None:
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
        told = module(host, "twofactor_info", {"exempt_users": ["ansible"]})
        assert person.name in [one["user"] for one in told["would_be_locked_out"]]
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
def test_status_tells_what_a_login_finds(host: Host) -> None:
    with somebody(host) as person:
        turn_on(host, person)

        def told() -> tuple[list[str], list[str], bool]:
            found = module(host, "twofactor_info", options(person))
            return found["lets_in"], found["denying"], found["enforced"]["sshd"]

        host.run("cp", "/etc/pam.d/sshd", "/etc/pam.d/sshd.dpkg-old")
        assert module(host, "twofactor_info", options(person))["enforced"] == {"sshd": True}
        assert told() == ([], [], True)

        host.run("sed", "-i", "1i auth [success=done default=ignore] pam_unix.so", "/etc/pam.d/common-auth")
        assert person.by_password().ok
        assert told() == (["sshd"], [], False)
        host.run("sed", "-i", "1d", "/etc/pam.d/common-auth")

        for match in (f"User {person.name}", "Address 10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"):
            host.write("/etc/ssh/sshd_config.d/00-a.conf", f"Match {match}\n    AuthenticationMethods publickey\n")
            host.run("systemctl", "reload", "ssh")
            assert person.by_key(batch=True).ok
            assert told() == (["sshd"], [], False)
        host.run("rm", "/etc/ssh/sshd_config.d/00-a.conf")
        host.run("systemctl", "reload", "ssh")

        host.run("dpkg", "--purge", "--force-depends", "libpam-oath")
        assert not person.by_password(person.code()).ok
        assert told() == ([], ["sshd"], False)
        found = module(host, "twofactor_info", options(person))
        assert person.name in [one["user"] for one in found["would_be_locked_out"]]
        host.install("libpam-oath")
        off(host)
        assert "fleet.auth" not in host.read("/etc/pam.d/sshd.dpkg-old").decode()
        host.run("rm", "/etc/pam.d/sshd.dpkg-old")
        assert person.by_password(methods="password", password=PASSWORD).ok
