# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""People enrol themselves at a terminal, on a host without Cockpit: accepted afterwards, or with an invitation."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import stat
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from browser import decoded
from hosts import Host
from login import ssh
from login.modules import module, options
from login.people import PASSWORD, Person, new_person, playbook, unwrapped
from login.policy import off

pytestmark = pytest.mark.release("debian13")

GROUP = "enrollers"
POLICY = {
    "ssh": False,
    "services": [],
    "scope": "groups",
    "scope_groups": [GROUP],
    "require_proof": True,
    "self_service": True,
    "time_sync": {"required": False},
}
OFFER = "You have no second factor here yet. Set one up"
KEY = re.compile(r"^ +((?:[A-Z2-7]{4} ){7}[A-Z2-7]{4})\s*$", re.MULTILINE)
PLACES = ("/etc/pam.d", "/etc/profile.d", "/etc/ssh", "/etc/systemd", "/usr/local", "/usr/libexec", "/usr/share")


@pytest.fixture(scope="module")
def on(host: Host, package: None) -> Iterator[Host]:
    """A host that asks nobody for codes yet, and on which people may enrol themselves."""
    del package
    host.install("qrencode")
    off(host)
    host.run("groupadd", "--force", GROUP)
    before = host.snapshot(PLACES)
    apply(host)
    yield host
    off(host)
    assert host.snapshot(PLACES) == before
    assert not host.exists("/var/lib/fleet-auth-invitations")
    host.run("groupdel", GROUP)


def apply(host: Host, **policy: t.Any) -> None:
    done = module(host, "twofactor", options(**{**POLICY, **policy}))
    assert done.ok, done.output
    assert not module(host, "twofactor", options(**{**POLICY, **policy})).changed


@contextlib.contextmanager
def somebody(host: Host) -> Iterator[Person]:
    """A person who is the only one in scope."""
    person = new_person(host)
    host.run("usermod", "-aG", GROUP, person.name)
    try:
        yield person
        apply(host)
    finally:
        host.run("gpasswd", "-d", person.name, GROUP)


@contextlib.contextmanager
def terminal(person: Person) -> Iterator[pexpect.spawn[str]]:
    child = ssh.terminal(person.host, person.name, PASSWORD)
    try:
        yield child
    finally:
        ssh.end(child)


@contextlib.contextmanager
def offered(person: Person, how: str) -> Iterator[pexpect.spawn[str]]:
    """A terminal that has offered the person to enrol. A busy host lets a login go on without that, so log in anew."""
    for _login in range(3):
        with terminal(person) as child:
            if child.expect([rf"{OFFER}{how}:\s+twofactor-enrol", rf"{person.name}@.*\$ $"]) == 0:
                yield child
                return
    pytest.fail(f"{person.name} is offered nothing")


def key_of(shown: str) -> str:
    """The key to type, after a check that the QR code has the same one."""
    found = KEY.search(shown)
    assert found, shown
    secret = found[1].replace(" ", "")
    assert f"secret={secret}" in scanned(shown)
    return secret


def scanned(shown: str) -> str:
    """The text of the QR code on a terminal. Each line holds two rows of pixels, as upper and lower half blocks."""
    halves = {" ": (0, 0), "▀": (255, 0), "▄": (0, 255), "█": (255, 255)}
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip("\r") for line in shown.split("\n")]
    lines = [line for line in lines if len(line) > 20 and set(line) <= set(halves)]
    rows = [[halves[one][half] for one in line for _column in range(8)] for line in lines for half in (0, 1)]
    pixels = bytes(pixel for row in rows for _line in range(8) for pixel in row)
    picture = b"P5 %d %d 255\n%s" % (len(rows[0]), len(rows) * 8, pixels)
    (text,) = decoded(picture)
    return text


def finish(child: pexpect.spawn[str], person: Person) -> tuple[Person, list[str]]:
    """Type a wrong code and the right one, and return the enrolled person and the recovery codes."""
    child.expect("The code that your app shows for it: ")
    enrolled = dataclasses.replace(person, secret=key_of(child.before or ""))
    child.sendline(enrolled.code(steps=1000))
    child.expect("This is not the code of the new key")
    assert not person.host.exists(person.credential)
    child.expect("The code that your app shows for it: ")
    ssh.fresh_step()
    child.sendline(enrolled.code(steps=-1))
    child.expect("Press Enter once you have kept them")
    recovery = re.findall(r"^ +\d+\. (\d{6})", child.before or "", re.MULTILINE)
    assert len(set(recovery)) == 10
    child.sendline("")
    return enrolled, recovery


def test_self_enrolled_person_is_asked_for_codes_once_accepted(on: Host) -> None:
    with somebody(on) as alice:
        for quiet in (alice.by_key(command="bash -lc 'id -un'"), alice.by_key(command="bash -lic 'id -un' </dev/null")):
            assert (quiet.output, OFFER in quiet.reason) == (alice.name, False)
        with offered(alice, "") as child:
            child.sendline("twofactor-enrol renew")
            child.expect("You have not set up two-factor login yet.")
            child.sendline("twofactor-enrol")
            enrolled, recovery = finish(child, alice)
            child.expect("once\\s+that\\s+is\\s+accepted")
            child.sendline("twofactor-enrol")
            child.expect("once\\s+that\\s+is\\s+accepted")
            child.sendline("exit")
            child.expect(pexpect.EOF)
            assert OFFER not in (child.before or "")
        assert not on.run("twofactor-enrol", "--offer", user=alice.name).stdout
        shown = on.run("journalctl --no-pager; ps axww").stdout
        assert f"{alice.name}: enrol done\n" in shown
        assert not any(secret in shown for secret in (enrolled.secret, *recovery))

        made = time.strftime("%Y-%m-%d", time.gmtime())
        refused = module(on, "twofactor", options(**{**POLICY, "ssh": True}))
        assert not refused.ok
        told = f"{alice.name} enrolled on {on.name} on {made} (terminal) with nothing but the first factor."
        assert told in refused.message, refused.message
        run = module(on, "twofactor", options(**POLICY))
        assert any(one.startswith(f"{alice.name} ({made}, terminal) enrolled on {on.name} ") for one in run["warnings"])
        assert module(on, "twofactor_info", options(**POLICY))["users"][alice.name]["self_made"] == f"{made}/terminal"
        status = playbook("status", on, **{f"twofactor_{name}": value for name, value in POLICY.items()})
        assert f"{alice.name} enrolled alone on {made} (terminal)" in unwrapped(status.output), status.output

        assert playbook("accept", on, user=alice.name).changed
        apply(on, ssh=True)
        assert not enrolled.by_password().ok
        assert enrolled.by_password(enrolled.code()).ok
        assert enrolled.by_key(recovery[0]).ok


def test_invited_person_needs_no_acceptance(on: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with somebody(on) as bob:
        asked = {"user": bob.name, "hours": 2, "twofactor_enrolment_dir": "./sheets", "twofactor_language": "fr"}
        assert playbook("invite", on, "--check", **asked).ok
        assert not (tmp_path / "sheets").exists()
        run = playbook("invite", on, "-vvvv", "--diff", **asked)
        assert run.ok, run.output
        sheet = tmp_path / "sheets" / f"invitation-{bob.name}@{on.name}.txt"
        code = sheet.read_text().split()[0]
        assert f"\n\nUne invitation pour {bob.name} sur {on.name}, à configurer" in sheet.read_text()
        assert [stat.S_IMODE(one.stat().st_mode) for one in (sheet, sheet.parent)] == [0o600, 0o700]
        kept = f"/var/lib/fleet-auth-invitations/{bob.name}"
        found = on.run("stat", "-c", "%a %U", kept, kept.rpartition("/")[0]).stdout.split("\n")
        assert found[:2] == ["600 root", "700 root"]
        assert not any(code[:4] in text for text in (run.output, on.read(kept).decode()))

        invited = module(on, "twofactor_info", options(**POLICY))["invitations"][bob.name]
        assert invited["tries"] == 5
        assert f" {invited['until']}.\n" in sheet.read_text()

        with offered(bob, ", with your invitation") as child:
            child.sendline("twofactor-enrol")
            child.expect("Your invitation: ")
            child.sendline("ABCD-EFGH-IJKL-MNOP")
            child.expect("This is not your invitation. Type it again. Tries that are left: 4.")
            child.expect("Your invitation: ")
            child.sendline(code.lower().replace("-", " "))
            enrolled, _recovery = finish(child, bob)
            child.expect("It is set up|Two-factor login is set up")
        assert not on.exists(kept)
        info = module(on, "twofactor_info", options(**POLICY))
        assert info["invitations"] == {}
        user = info["users"][bob.name]
        assert (user["proven"], user["self_made"]) == (True, None)
        again = module(on, "twofactor_invitation", {"user": bob.name})
        assert again.message.startswith(f"{bob.name} has a credential on {on.name}, and needs no invitation.")
        apply(on, ssh=True)
        assert not enrolled.by_key(batch=True).ok
        assert enrolled.by_key(enrolled.code()).ok


def test_wrong_tries_void_an_invitation_and_refusals_name_what_is_wrong(on: Host) -> None:
    with somebody(on) as carol:
        code = str(module(on, "twofactor_invitation", {"user": carol.name})["code"])
        with terminal(carol) as child:
            child.sendline("twofactor-enrol")
            for left in (4, 3, 2, 1):
                child.expect("Your invitation: ")
                child.sendline("ABCD-EFGH-IJKL-MNOP")
                child.expect(f"Tries that are left: {left}.")
            child.expect("Your invitation: ")
            child.sendline("ABCD-EFGH-IJKL-MNOP")
            child.expect("Too many invitations were wrong, so yours is void.")
            child.sendline("twofactor-enrol")
            child.expect("Too many invitations were wrong, so yours is void.")
        assert f"{carol.name}: wrong invitation, 0 tries left" in on.run("journalctl --no-pager").stdout
        assert module(on, "twofactor_info", options(**POLICY))["invitations"][carol.name]["tries"] == 0
        another = str(module(on, "twofactor_invitation", {"user": carol.name})["code"])
        assert another != code
        for asked, message in (
            (
                {"user": carol.name, "hours": 337},
                "hours is 337; it must be from 1 to 336. Nothing was changed.",
            ),
            ({"user": "nobody-here"}, f"{on.name} has no account nobody-here, so nobody was invited."),
            ({"user": "../carol"}, "'../carol' is not the name of an account that can have a credential."),
            ({"user": "www-data"}, f"Nobody logs in with www-data on {on.name}: its user ID is below UID_MIN"),
            ({"user": "ansible"}, f"ansible is exempt on {on.name} and needs no code, so nobody was invited."),
        ):
            refused = module(on, "twofactor_invitation", asked)
            assert not refused.ok
            assert refused.message.startswith(message)
        apply(on, self_service=False)
        refused = module(on, "twofactor_invitation", {"user": carol.name})
        assert refused.message.startswith(
            f"Nobody can enrol alone on {on.name}, so {carol.name} has no use for an invitation."
        )
        assert not on.exists("/var/lib/fleet-auth-invitations")
        assert carol.by_key(command="test ! -e /usr/local/bin/twofactor-enrol").ok
        apply(on, offer_enrolment=False)
        assert on.exists("/usr/local/bin/twofactor-enrol")
        assert not on.exists("/etc/profile.d/fleet-auth-twofactor.sh")
