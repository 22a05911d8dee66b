# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Adopting hand-made set-ups: people log in with them before, and with the same app afterwards."""

from __future__ import annotations

import base64
import dataclasses
import os
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

import hosts
from hosts import Host
from login import ssh
from login.backends import GOOGLE, OATH, Backend, use
from login.modules import Answer, module, options, turn_on
from login.people import Person, Run, new_person, playbook, settings, unwrapped
from login.policy import JOURNAL, assert_nothing_left, assert_on

pytestmark = pytest.mark.release("debian12")

SSHD = "/etc/pam.d/sshd"
DROP_IN = "/etc/ssh/sshd_config.d/70-by-hand.conf"
USERS_FILE = "/etc/users.oath"
SHUTS_OUT = "/usr/local/bin/shuts-out"
LINES = {
    GOOGLE: "auth required pam_google_authenticator.so nullok [authtok_prompt=One-time password (by hand): ]",
    OATH: f"auth required pam_oath.so usersfile={USERS_FILE} window=5 digits=6",
}
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "adopt.md"


@pytest.fixture
def by_hand(host: Host) -> Iterator[t.Callable[[Backend], None]]:
    """Set a host up as by hand: a line at the end of sshd's PAM file, and keyboard-interactive logins."""
    host.install(GOOGLE.package, OATH.package)
    before = host.read(SSHD)

    def set_up(backend: Backend) -> None:
        host.write(SSHD, before + f"{LINES[backend]}\n".encode())
        host.write(DROP_IN, "KbdInteractiveAuthentication yes\nPasswordAuthentication no\n")
        host.run("systemctl", "reload", "ssh")

    yield set_up
    module(host, "twofactor", {"enabled": False, "purge_credentials": True})
    host.write(SSHD, before)
    host.run(f"rm --recursive --force {DROP_IN} {USERS_FILE} {SHUTS_OUT} /home/*/.google_authenticator")
    host.run("systemctl", "reload", "ssh")
    use(host, OATH)


def with_own_file(host: Host, *arguments: str) -> Person:
    """A person for whom the program google-authenticator has made the file in the home directory."""
    one = new_person(host)
    words = (
        "google-authenticator",
        "--time-based",
        "--disallow-reuse",
        "--force",
        "--window-size=3",
        "--no-rate-limit",
    )
    host.run(
        "runuser",
        "-u",
        one.name,
        "--",
        *words,
        "--quiet",
        *arguments,
        f"--secret=/home/{one.name}/.google_authenticator",
    )
    return dataclasses.replace(one, secret=own_lines(one)[0])


def own_file(person: Person) -> str:
    return f"/home/{person.name}/.google_authenticator"


def own_lines(person: Person) -> list[str]:
    return person.host.read(own_file(person)).decode().splitlines()


def users_line(person: Person, kind: str = "HOTP/T30", pin: str = "-") -> str:
    return f"{kind} {person.name} {pin} {base64.b32decode(person.secret).hex()}\n"


def users_file(host: Host, *lines: str) -> None:
    host.write(USERS_FILE, "".join(lines), mode=0o600)


def old_files(host: Host) -> dict[str, t.Any]:
    return host.snapshot([SSHD, DROP_IN, USERS_FILE, "/home"])


def adopt(host: Host, *arguments: str, **variables: t.Any) -> Run:
    run = playbook("adopt", host, *arguments, **variables)
    assert run.ok, run.output
    return run


def adopted_again(host: Host) -> Answer:
    """Run the module of the playbook once more, without the playbook."""
    done = module(host, "twofactor_adopt")
    assert done.ok, done.output
    return done


def says(run: Run, sentence: str) -> bool:
    return sentence in unwrapped(run.output)


def change_over(host: Host, folder: Path, old_line: str, **options: t.Any) -> Run:
    """Run the play from the guide for everyone who has a credential."""
    play = folder / "change_over.yml"
    play.write_text(GUIDE.read_text().partition("```yaml\n# change_over.yml\n")[2].partition("```")[0])
    return playbook(str(play), host, old_line=old_line, **settings(scope="enrolled", services=[], **options))


def enable(host: Host, folder: Path, old_line: str) -> None:
    """Turn two-factor login on with the play from the guide; before that, the old line makes a run refuse."""
    refused = module(host, "twofactor", options(scope="enrolled", services=[]), check=True)
    assert not refused.ok
    assert "asks for a code of its own, so that sshd would ask for two" in refused.message
    run = change_over(host, folder, old_line)
    assert run.ok, run.output


def logs_in_with_the_next_code(person: Person) -> None:
    """Log in with the code after one that was already used; it is right within the window."""
    ssh.fresh_step()
    login = person.by_password(person.code(steps=1))
    assert login.ok, login.reason


@pytest.mark.parametrize(
    ("host", "backend"),
    [*((release, OATH) for release in hosts.RELEASES), (max(hosts.RELEASES), GOOGLE)],
    indirect=["host"],
    scope="module",
    ids=lambda value: value.name if isinstance(value, Backend) else value,
)
@pytest.mark.usefixtures("by_hand")
class TestOwnFiles:
    def test_people_keep_their_apps(
        self, host: Host, by_hand: t.Callable[[Backend], None], backend: Backend, tmp_path: Path
    ) -> None:
        use(host, backend)
        by_hand(GOOGLE)
        alice, bob = with_own_file(host), with_own_file(host)
        paper = [line for line in own_lines(alice) if not line.startswith('"')][1:]
        ssh.fresh_step(at_least=20)
        code = alice.code()
        assert alice.by_password(code).ok
        before = old_files(host)
        announced = adopt(host, "--check", "--diff")
        assert announced.changed
        assert says(announced, f"{alice.name} would be taken over.")
        assert not host.exists(backend.directory)
        run = adopt(host, "-vvvv", "--diff")
        assert run.changed
        for one in (alice, bob):
            assert says(run, f"{one.name} was taken over."), run.output
            assert one.secret not in run.output + announced.output
            assert base64.b32decode(one.secret + "=" * (-len(one.secret) % 8)).hex() not in run.output
            assert not any(line in run.output for line in own_lines(one)[-5:])
        assert says(run, "scratch codes on paper that pam_oath does not accept") == (backend is OATH)
        assert {entry[:3] for entry in host.snapshot([backend.directory]).values()} == {(0o700, 0, 0), (0o600, 0, 0)}
        assert old_files(host) == before
        assert not adopted_again(host).changed
        enable(host, tmp_path, LINES[GOOGLE])
        assert not alice.by_password(code).ok, "a used code is right again"
        logs_in_with_the_next_code(alice)
        assert_on(bob)
        assert alice.by_key(paper[0]).ok == (backend is GOOGLE)
        assert not alice.by_key(paper[0]).ok
        assert not adopted_again(host).changed
        assert module(host, "twofactor", {"enabled": False}).ok
        assert own_lines(alice)[0] == alice.secret
        assert host.exists(own_file(bob))


class TestUsersFile:
    def test_people_keep_their_apps(self, host: Host, by_hand: t.Callable[[Backend], None], tmp_path: Path) -> None:
        by_hand(OATH)
        alice = new_person(host)
        bob = dataclasses.replace(new_person(host), secret=base64.b32encode(os.urandom(10)).decode())
        users_file(host, users_line(alice), users_line(bob, "HOTP/T30/6"))
        ssh.fresh_step(at_least=20)
        code = alice.code()
        login = alice.by_password(code)
        assert login.ok, login.reason
        before = old_files(host)
        run = adopt(host)
        assert run.changed
        short = f"{USERS_FILE}: line 2 has a key of 10 bytes, and RFC 4226 asks for 16 at least"
        assert says(run, f"{bob.name}, what will be different: {short}")
        assert old_files(host) == before
        assert not adopt(host).changed
        enable(host, tmp_path, LINES[OATH])
        sheets = tmp_path / "sheets"
        assert playbook("enrol", host, user=bob.name, twofactor_enrolment_dir=str(sheets)).ok
        assert [path.name for path in sheets.iterdir()] == [f"{bob.name}@{host.name}.html"]
        info = module(host, "twofactor_info")["users"]
        assert (info[alice.name]["proven"], info[bob.name]["proven"]) == (True, False)
        assert not alice.by_password(code).ok, "a used code is right again"
        logs_in_with_the_next_code(alice)
        assert_on(bob)
        assert module(host, "twofactor", {"enabled": False}).ok
        assert host.snapshot([USERS_FILE]) == {path: one for path, one in before.items() if path == USERS_FILE}

    def test_old_line_is_put_back_if_the_change_fails(
        self, host: Host, by_hand: t.Callable[[Backend], None], tmp_path: Path
    ) -> None:
        by_hand(OATH)
        alice = new_person(host)
        users_file(host, users_line(alice))
        adopt(host)
        before = host.snapshot(["/etc/pam.d", DROP_IN])
        run = change_over(host, tmp_path, LINES[OATH], require_proof=True)
        assert not run.ok
        assert says(run, "The old line asks for codes as before"), run.output
        assert host.snapshot(["/etc/pam.d", DROP_IN]) == before
        assert alice.by_password(alice.code()).ok

    def test_old_line_is_put_back_if_nobody_gets_in_afterwards(
        self, host: Host, by_hand: t.Callable[[Backend], None], tmp_path: Path
    ) -> None:
        by_hand(OATH)
        alice = new_person(host)
        users_file(host, users_line(alice))
        adopt(host)
        host.write(SHUTS_OUT, f"#!/bin/sh\n! grep -q 'BEGIN fleet.auth' {SSHD}\n", mode=0o755)
        host.write(SSHD, f"account requisite pam_exec.so quiet {SHUTS_OUT}\n".encode() + host.read(SSHD))
        before = host.snapshot(["/etc/pam.d", DROP_IN])
        run = change_over(host, tmp_path, LINES[OATH], rollback_after=15)
        assert not run.ok
        assert says(run, "no new connection"), run.output
        assert says(run, "The old line asks for codes as before"), run.output
        assert host.snapshot(["/etc/pam.d", DROP_IN]) == before
        assert alice.by_password(alice.code()).ok


class TestLeftOut:
    @pytest.fixture(autouse=True)
    def _packages(self, by_hand: t.Callable[[Backend], None]) -> None:
        by_hand(GOOGLE)

    def test_people_are_named_with_the_reason_and_without_the_secret(self, host: Host) -> None:
        counter, pin, slow, long, twice = (new_person(host) for _number in range(5))
        users_file(
            host,
            users_line(counter, "HOTP/E"),
            users_line(pin, pin="1234"),
            users_line(slow, "HOTP/T60"),
            users_line(long, "HOTP/T30/8"),
            users_line(twice),
            "HOTP/T30 stranger - 00112233445566778899\n",
        )
        clash = with_own_file(host)
        host.run("mv", own_file(clash), own_file(twice))
        host.run("chown", twice.name, own_file(twice))
        by_counter, gone, odd, spoilt = (with_own_file(host) for _number in range(4))
        host.run("sed", "--in-place", r's/" DISALLOW_REUSE/&\tx/', own_file(odd))
        host.run("sh", "-c", f"printf '\\000' >>{own_file(spoilt)}")
        host.run("sed", "--in-place", "s/TOTP_AUTH/HOTP_COUNTER 1/", own_file(by_counter))
        host.run("sed", "--in-place", "1d", own_file(gone))
        found = module(host, "twofactor_adopt")
        assert found.ok, found.output
        assert (found.changed, found["adopted"]) == (False, [])
        for person, reason in (
            (counter, "is for codes that are based on a counter (HOTP)"),
            (pin, "has a PIN"),
            (slow, "is for codes of 60 seconds, but interval is 30. Set interval to 60"),
            (long, "is for codes of 8 digits, but otp_digits is 6. Set otp_digits to 8"),
            (twice, f"{USERS_FILE}: line 5 and {own_file(twice)}: line 1 have different secrets"),
            (by_counter, "is for codes that are based on a counter (HOTP_COUNTER)"),
            (gone, "line 1 has no key in base32"),
            (odd, "has a DISALLOW_REUSE that pam_google_authenticator does not accept, so that every code is denied"),
            (spoilt, "has a NUL byte"),
        ):
            assert reason in found["left"].pop(person.name)
            assert person.secret not in found.output
        no_account = f"is for an account that {host.name} does not have. Remove it there"
        assert found["left"] == {"stranger": f"{USERS_FILE}: line 6 {no_account}"}
        assert not host.exists(OATH.directory)

    def test_links_and_files_of_somebody_else_are_left_out(self, host: Host) -> None:
        victim = with_own_file(host)
        link, hard, copied, wide, pipe, folder = (new_person(host) for _number in range(6))
        host.run("ln", "--symbolic", own_file(victim), own_file(link))
        host.run("ln", own_file(victim), own_file(hard))
        host.run("cp", "--preserve=ownership,mode", own_file(victim), own_file(copied))
        host.run("install", "-o", wide.name, "-m", "0644", own_file(victim), own_file(wide))
        host.run("mkfifo", "--mode=0600", own_file(pipe))
        host.run("chown", pipe.name, own_file(pipe))
        host.run("mkdir", own_file(folder))
        found = module(host, "twofactor_adopt")
        assert found.ok, found.output
        left: dict[str, str] = found["left"]
        assert found["adopted"] == []
        for person, reason in (
            (victim, "has further hard links"),
            (link, "is a symbolic link"),
            (hard, "belongs to neither the account nor root"),
            (copied, "belongs to neither the account nor root"),
            (wide, "(mode 0644)"),
            (pipe, "is not a regular file"),
            (folder, "is not a regular file"),
        ):
            assert reason in left[person.name]
        assert victim.secret not in found.output
        host.run("rm", own_file(hard))
        assert module(host, "twofactor_adopt")["adopted"] == [victim.name]

    def test_file_behind_a_linked_folder_is_left_out(self, host: Host) -> None:
        victim, link = with_own_file(host), new_person(host)
        host.run("mkdir", f"/home/{victim.name}/.ga")
        host.run("mv", own_file(victim), f"/home/{victim.name}/.ga/secret")
        host.run("ln", "--symbolic", f"/home/{victim.name}/.ga", f"/home/{link.name}/.ga")
        found = module(host, "twofactor_adopt", {"secret_file": "${HOME}/.ga/secret"})
        assert found["adopted"] == [victim.name]
        assert "is in a directory that is one" in found["left"][link.name]

    def test_users_file_that_others_can_write_is_refused(self, host: Host) -> None:
        one, own = new_person(host), with_own_file(host)
        users_file(host, users_line(one))
        host.run("chmod", "0664", USERS_FILE)
        found = module(host, "twofactor_adopt")
        assert not found.ok
        assert f"Nobody was taken over on {host.name}: {USERS_FILE} can be read or written by others" in found.message
        assert (
            "it is not certain which accounts are in it, and codes that it notes as used might be valid"
            in found.message
        )
        # The remedies in the message: leave the file out, or change its mode.
        assert module(host, "twofactor_adopt", {"users_files": []})["adopted"] == [own.name]
        host.run("chmod", "0600", USERS_FILE)
        assert module(host, "twofactor_adopt")["adopted"] == [one.name]

    def test_people_in_a_users_file_that_others_can_read_are_left_out(self, host: Host) -> None:
        shared, both, own = new_person(host), with_own_file(host), with_own_file(host)
        padded = dataclasses.replace(both, secret=both.secret + "=" * (-len(both.secret) % 8))
        users_file(host, users_line(shared), users_line(padded))
        host.run("chmod", "0640", USERS_FILE)
        found = module(host, "twofactor_adopt")
        assert found.ok, found.output
        assert found["adopted"] == [own.name]
        assert found["left"].keys() == {shared.name, both.name}
        assert all("(mode 0640). Make it 0600" in reason for reason in found["left"].values())
        host.run("chmod", "0600", USERS_FILE)
        found = module(host, "twofactor_adopt")
        assert (sorted(found["adopted"]), found["left"]) == (sorted([shared.name, both.name]), {})

    def test_run_is_refused_while_a_change_waits_to_be_confirmed(self, host: Host) -> None:
        first, second = new_person(host), with_own_file(host)
        turn_on(host, first, ssh=False, services=["su"], scope="enrolled", rollback_after=600)
        refused: Answer = module(host, "twofactor_adopt")
        assert not refused.ok
        assert (
            "an earlier change is not confirmed, or was interrupted. Run the role, which ends that" in refused.message
        )
        # Make it look like a killed run. The next run would wait for any other change to be confirmed.
        host.run("sed", "-i", "/^done/d", JOURNAL)
        assert not module(host, "twofactor_adopt").ok
        turn_on(host, first, ssh=False, services=["su"], scope="enrolled", rollback_after=0)
        assert module(host, "twofactor_adopt")["adopted"] == [second.name]
        assert module(host, "twofactor", {"enabled": False, "purge_credentials": True}).ok

    def test_run_is_refused_if_the_credentials_are_those_of_another_backend(self, host: Host) -> None:
        first, second = new_person(host), with_own_file(host)
        turn_on(host, first, ssh=False, services=["su"], scope="enrolled", rollback_after=0)
        refused = module(host, "twofactor_adopt", {"backend": GOOGLE.name})
        assert not refused.ok
        assert "Set backend to oath, or run the role first, which moves the credentials" in refused.message
        assert module(host, "twofactor_adopt", check=True)["adopted"] == [second.name]
        turn_on(host, first, ssh=False, services=["su"], scope="enrolled", backend=GOOGLE.name, rollback_after=0)
        assert module(host, "twofactor_adopt", {"backend": GOOGLE.name})["adopted"] == [second.name]
        assert module(host, "twofactor", {"enabled": False, "purge_credentials": True, "backend": GOOGLE.name}).ok


def test_relative_path_is_refused(host: Host) -> None:
    found = module(host, "twofactor_adopt", {"secret_file": "secret"})
    assert not found.ok
    assert "'secret' must be the path of each account's file. It begins with /" in found.message
    assert_nothing_left(host)
