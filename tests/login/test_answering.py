# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that answer each PAM prompt with the password: their services are refused, and close no code step."""

from __future__ import annotations

import pytest

from hosts import PATIENCE, Host
from login.doors import counted_wrong_codes
from login.modules import module, options, turn_on
from login.people import Person
from login.policy import WATCHED, assert_off, assert_on, off, somebody

pytestmark = pytest.mark.usefixtures("package")

IMAP = "import imaplib, sys; imaplib.IMAP4('127.0.0.1').login(sys.argv[1], sys.stdin.read())"
ATTEMPTS = 2


def by_dovecot(person: Person, password: str) -> bool:
    return person.host.run("python3", "-c", IMAP, person.name, input=password, check=False).returncode == 0


def by_xrdp(person: Person, password: str) -> bool:
    """Whether the login succeeds; the host has no desktop, so the session fails afterwards."""
    words = ("xrdp-sesrun", "-F", "0", person.name)
    done = person.host.run(*words, input=f"{password}\n", check=False, timeout=PATIENCE)
    said = done.stdout + done.stderr
    assert "Login failed" in said or "X server could not be started" in said, said
    return "Login failed" not in said


@pytest.mark.parametrize("host", ["debian13"], indirect=True)
def test_dovecot_and_xrdp_are_refused_and_right_passwords_are_not_counted(host: Host) -> None:
    # The hosts' package cache does not have these; they come from Debian's mirror.
    host.install("dovecot-imapd", "xrdp")
    try:
        with somebody(host) as person:
            before = host.snapshot(WATCHED)
            refused = module(host, "twofactor", options(person, services=["dovecot", "xrdp-sesman"]))
            for service, program in (("dovecot", "Dovecot"), ("xrdp-sesman", "xrdp")):
                assert (
                    f"{service} on {host.name} cannot ask for a code: {program} answers every PAM prompt"
                    in refused.message
                )
            assert host.snapshot(WATCHED) == before
            assert_off(person)

            done = turn_on(host, person, lockout={"attempts": ATTEMPTS})
            assert f"xrdp on {host.name} (process " in " ".join(done["warnings"])
            assert "dovecot" not in " ".join(done["warnings"])
            assert module(host, "twofactor_info", options(person))["enforced"] == {"sshd": True}
            for _attempt in range(ATTEMPTS):
                assert by_dovecot(person, person.password)
                assert by_xrdp(person, person.password)
            assert not by_dovecot(person, "wrong")
            assert counted_wrong_codes(person) == 0
            assert_on(person)
    finally:
        off(host)
        host.run("systemctl", "disable", "--now", "dovecot", "xrdp", "xrdp-sesman")
