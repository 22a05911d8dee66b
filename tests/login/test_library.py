# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The library itself: a login that it calls allowed, denied or failed is just that. On hosts as Debian ships them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hosts import Host
from login import ssh
from login.people import PASSWORD, Person, new_person

pytestmark = pytest.mark.release("debian13")


@pytest.fixture(scope="module")
def alice(host: Host) -> Person:
    return new_person(host)


def test_key_gets_in_and_output_is_that_of_the_command(alice: Person) -> None:
    login = alice.by_key(command="echo out; echo err >&2; exit 3")
    assert (login.ok, login.output, login.prompts, login.reason) == (True, "out", (), "err")


def test_password_gets_in_and_its_prompt_is_reported(alice: Person) -> None:
    login = alice.by_password()
    assert (login.ok, login.output) == (True, alice.name)
    assert login.prompts == (f"{alice.name}@127.0.0.1's password:",)


def test_wrong_password_is_denied(alice: Person) -> None:
    login = alice.by_password(password="wrong")
    assert not login.ok
    assert "Permission denied" in login.reason


def test_prompt_without_an_answer_is_denied(alice: Person) -> None:
    login = ssh.login(alice.host, alice.name)
    assert not login.ok
    assert len(login.prompts) == 1
    assert "asked for a password" in login.reason


def test_batch_mode_asks_for_nothing(alice: Person) -> None:
    login = alice.by_password(batch=True)
    assert (login.ok, login.prompts) == (False, ())


def test_key_that_does_not_exist_is_an_error(alice: Person) -> None:
    with pytest.raises(FileNotFoundError, match="no_such_key"):
        ssh.login(alice.host, alice.name, key=Path("no_such_key"))


def test_reload_is_waited_for_and_a_dropped_connection_is_no_denial(alice: Person) -> None:
    alice.host.run("systemctl", "restart", "--no-block", "ssh")
    assert alice.by_key().ok
    alice.host.run("systemctl", "stop", "ssh")
    try:
        with pytest.raises(ssh.ConnectionFailed, match="neither allowed nor denied"):
            alice.by_key()
    finally:
        alice.host.run("systemctl", "start", "ssh")


def test_sftp_fetches_a_file(alice: Person) -> None:
    assert ssh.sftp(alice.host, alice.name, "/etc/hostname", password=PASSWORD).output == f"{alice.host.name}\n"
    assert not ssh.sftp(alice.host, alice.name, "/etc/hostname").ok


@pytest.mark.parametrize(("at", "expected"), [(59, "94287082"), (1111111109, "07081804"), (20000000000, "65353130")])
def test_codes_are_those_of_rfc_6238(at: int, expected: str) -> None:
    key = b"12345678901234567890"
    assert ssh.code(key, digits=8, at=at) == expected
    assert ssh.code(key, digits=8, at=at - 30, steps=1) == expected


def test_credential_is_the_key_of_the_first_token(alice: Person) -> None:
    alice.host.write(
        "/etc/oath/library", "# none\nHOTP/T30\tlibrary\t-\t00ff\t0\t123456\t2026-01-01T00:00:00L\n", 0o600
    )
    try:
        assert ssh.credential(alice.host, "library") == b"\x00\xff"
    finally:
        alice.host.run("rm", "/etc/oath/library")


def test_snapshot_shows_contents_modes_and_links(alice: Person) -> None:
    host = alice.host
    host.write("/srv/a b/file", "one", 0o600)
    host.run("ln", "-s", "nowhere", "/srv/a b/link")
    before = host.snapshot(["/srv", "/does-not-exist"])
    assert before["/srv/a b/link"][3] == "-> nowhere"
    assert host.snapshot(["/srv"]) == before
    host.write("/srv/a b/file", "two", 0o600)
    host.run("chmod", "0700", "/srv/a b")
    after = host.snapshot(["/srv"])
    assert {path for path in after if after[path] != before[path]} == {"/srv/a b", "/srv/a b/file"}
    host.run("rm", "-r", "/srv/a b")
