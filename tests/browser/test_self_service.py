# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page in Cockpit on which people enrol themselves, and the socket behind it."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, FrameLocator, Page

import hosts
from browser import decoded
from browser.test_cockpit import CODE, PICTURES, SHELL, Console
from hosts import PATIENCE, Host
from login import ssh
from login.backends import GOOGLE, OATH, Backend, use
from login.doors import counted_wrong_codes
from login.modules import module, options
from login.people import PASSWORD, Person, new_person, playbook, settings
from login.policy import JOURNAL, TALLY, assert_closed, off

FILES = (
    "/etc/pam.d",
    "/etc/profile.d",
    "/etc/ssh",
    "/etc/systemd",
    "/etc/tmpfiles.d",
    "/usr/libexec",
    "/usr/local",
    "/usr/share/cockpit",
)
BEGIN = {"do": "begin", "place": "cockpit", "code": "", "invitation": ""}
POLICY = {"services": ["cockpit"], "scope": "enrolled", "self_service": True}
BY_OATH = [pytest.param((release, OATH), id=release) for release in hosts.WITH_COCKPIT]
BY_GOOGLE = pytest.param(("debian13-cockpit", GOOGLE), id="debian13-google")
# A client that sends too much may find the connection closed before the answer.
_ASK = """
import contextlib, socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect("/run/fleet-auth/self-service.sock")
    with contextlib.suppress(ConnectionError):
        connection.sendall(sys.stdin.buffer.read())
        connection.shutdown(socket.SHUT_WR)
    with contextlib.suppress(ConnectionError):
        print(connection.makefile().read(), end="")
"""
# Opens this many connections, sends a request on each, and keeps them open until its standard input ends.
_HOLD = """
import socket, sys
held = []
for _number in range(int(sys.argv[1])):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect("/run/fleet-auth/self-service.sock")
    connection.settimeout(10)
    try:
        connection.sendall(b'{"do":"status"}\\n')
        answer = connection.makefile().readline()
    except ConnectionError:
        answer = ""
    held.append(connection)
    print('"ok": true' in answer, flush=True)
sys.stdin.read()
"""
# Enrols these accounts, all at the same moment, each in its own process.
_AT_ONCE = """
import base64, json, os, pwd, socket, sys, time
sys.path.insert(0, "/usr/libexec/fleet-auth")
from fleet_auth._backends.hotp import hotp

def enrol(name):
    account = pwd.getpwnam(name)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("/run/fleet-auth/self-service.sock")
        lines = connection.makefile("rw")
        def ask(**request):
            print(json.dumps(request), file=lines, flush=True)
            return json.loads(lines.readline())
        begun = ask(do="begin", what="enrol", place="cockpit", code="", invitation="")
        key = base64.b32decode(begun["secret"])
        done = ask(do="prove", code=hotp(key, int(time.time()) // 30, 6))
        print(json.dumps([name, key.hex(), done.get("recovery_codes")]), flush=True)

children = []
for name in sys.argv[1:]:
    child = os.fork()
    if not child:
        enrol(name)
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""
# Runs the program with its own socket and shorter time limits, and a client that sends nothing, or sends too slowly.
# Prints how long the connection lasts, and how long the program runs.
_SHORT_LIVED = """
import os, socket, sys, time
sys.path.insert(0, "/usr/libexec/fleet-auth")
from fleet_auth._self_service import program
program.IDLE_SECONDS, program.LIFE_SECONDS = map(int, sys.argv[1:3])
listener = socket.socket(socket.AF_UNIX)
listener.bind("\\0fleet-auth-test")
listener.listen()
if not os.fork():
    program.serve(listener)
    os._exit(0)
listener.close()
began = time.monotonic()
connection = socket.socket(socket.AF_UNIX)
connection.connect("\\0fleet-auth-test")
try:
    while sys.argv[3] == "slowly":
        connection.sendall(b" ")
        time.sleep(0.2)
    connection.recv(100)
except OSError:
    pass
print(time.monotonic() - began)
os.wait()
print(time.monotonic() - began)
"""


@pytest.fixture(scope="module", params=BY_OATH)
def console(cockpits: dict[str, Host], neighbour: Browser, request: pytest.FixtureRequest) -> Iterator[Console]:
    place: tuple[str, Backend] = request.param
    release, backend = place
    host = cockpits[release]
    use(host, backend)
    host.install(backend.package, "qrencode")
    off(host)
    exempt = new_person(host)
    before = host.snapshot(FILES)
    enforce(host)
    yield Console(host, neighbour, exempt, iter(()), before)
    off(host)
    # The next file's host may have the same name.
    use(host, OATH)


def enforce(host: Host, *people: Person) -> None:
    """Run the module; afterwards everyone who has enrolled is asked for codes."""
    done = module(host, "twofactor", options(*people, **POLICY))
    assert done.ok, done.output


def ask(host: Host, user: str, data: str | bytes) -> list[str]:
    """Send this to the socket as an account, and return the lines of the answer."""
    return host.run("python3", "-c", _ASK, input=data, user=user).stdout.splitlines()


def self_enrolled(host: Host) -> tuple[Person, list[str]]:
    """Return a person who has enrolled over the socket and is asked for codes, and the recovery codes."""
    person = new_person(host)
    _name, key, recovery = json.loads(host.run("python3", "-c", _AT_ONCE, person.name).stdout)
    enforce(host)
    ssh.fresh_step()
    return dataclasses.replace(person, secret=base64.b32encode(bytes.fromhex(key)).decode()), recovery


@dataclasses.dataclass(frozen=True)
class SelfService:
    """The self-service page, open in a person's Cockpit."""

    page: Page
    frame: FrameLocator
    release: str

    def press(self, what: str) -> None:
        self.frame.locator(f"button[data-what={what}]").click()

    def submit(self, code: str) -> None:
        self.frame.locator("#code").fill(code)
        # Cockpit's own page may take the focus away at any time.
        self.frame.locator("#code").press("Enter")

    def scan(self) -> str:
        """The secret that a phone reads from the screen."""
        self.frame.locator("#qr img, #error:not(:empty)").first.wait_for()
        assert not self.frame.locator("#error").inner_text()
        self.page.wait_for_timeout(300)
        (uri,) = decoded(self.page.screenshot(full_page=True))
        return parse_qs(urlsplit(uri).query)["secret"][0]

    def error(self) -> str:
        self.frame.locator("#error:not(:empty)").wait_for()
        return self.frame.locator("#error").inner_text()

    def prove(self, person: Person) -> str:
        """Type a code of the new key and return it: that of the previous step, so that the current one stays unused."""
        ssh.fresh_step()
        code = person.code(steps=-1)
        self.submit(code)
        return code

    def recovery_codes(self) -> list[str]:
        """The recovery codes, which the page shows once."""
        self.frame.locator("#codes li").first.wait_for()
        return self.frame.locator("#codes li").all_inner_texts()

    def await_text(self, text: str) -> None:
        """Wait until the page shows this text."""
        self.frame.get_by_text(text).wait_for()

    def picture(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{self.release}-self-service-{name}.png")


@contextlib.contextmanager
def visit(console: Console, person: Person, code: str | None = None) -> Iterator[SelfService]:
    with console.visit() as login:
        found = login.submit(PASSWORD, person.name)
        if found == CODE and code:
            found = login.submit(code)
        assert found == SHELL
        page = login.page
        page.set_viewport_size({"width": 1000, "height": 900})
        page.get_by_role("link", name="Two-factor login").click()
        frame = page.frame_locator("iframe[name*='fleet-auth']")
        frame.locator("#state:not(:empty), #error:not(:empty)").first.wait_for()
        yield SelfService(page, frame, console.host.release)


@pytest.mark.parametrize("console", [*BY_OATH, BY_GOOGLE], indirect=True, scope="module")
def test_somebody_enrols_and_renews_and_logs_in_with_the_new_codes(console: Console) -> None:
    host = console.host
    person = new_person(host)
    with visit(console, person) as mine:
        mine.frame.locator("button[data-what=enrol]").wait_for()
        mine.picture("home")
        mine.press("enrol")
        person = dataclasses.replace(person, secret=mine.scan())
        mine.picture("scan")
        assert mine.frame.locator("#submit").inner_text() == "Verify"
        mine.await_text("The new key is valid once the second one is done.")
        link = mine.frame.locator("#open")
        assert parse_qs(urlsplit(link.get_attribute("href") or "").query)["secret"] == [person.secret]
        assert not link.is_visible()
        mine.frame.locator("#copy").click()
        mine.await_text("Copied. Clear the clipboard")
        mine.page.emulate_media(color_scheme="dark")
        mine.picture("scan-dark")
        mine.page.set_viewport_size({"width": 360, "height": 800})
        assert link.is_visible()
        mine.picture("scan-phone")
        mine.page.set_viewport_size({"width": 1000, "height": 900})
        mine.page.emulate_media(color_scheme="light")
        mine.submit(person.code(steps=1000))
        assert "not the code of the new key" in mine.error()
        assert not host.exists(person.credential)
        mine.prove(person)
        recovery = mine.recovery_codes()
        assert len(set(recovery)) == 10
        mine.picture("recovery-codes")
        mine.frame.locator("#kept").click()
        mine.frame.locator("#facts:not([hidden])").wait_for()
        assert recovery[0] not in mine.page.content() + mine.frame.locator("body").inner_html()
    enforce(host)
    before = host.read(person.credential)
    enforce(host)
    assert host.read(person.credential) == before
    assert not person.by_key(batch=True).ok
    assert not person.by_key(person.code(steps=1000)).ok
    assert person.by_key(person.code()).ok

    with visit(console, person, recovery[0]) as mine:
        mine.press("renew")
        mine.submit(person.code(steps=1000))
        assert "wrong" in mine.error()
        assert counted_wrong_codes(person) == 1
        mine.picture("wrong-code")
        mine.submit(recovery[1])
        renewed = dataclasses.replace(person, secret=mine.scan())
        assert has_credential_of(person)
        assert not has_credential_of(renewed)
        used = mine.prove(renewed)
        mine.press("recovery-codes")
        mine.submit(used)
        assert "used already" in mine.error()
        mine.submit(renewed.code())
        anew = mine.recovery_codes()
        assert not set(anew) & set(recovery)
        mine.frame.locator("#kept").click()
        mine.await_text("Recovery codes left: 10")
    ssh.fresh_step()
    assert not person.by_key(person.code(steps=1)).ok
    assert renewed.by_key(renewed.code(steps=1)).ok
    assert renewed.by_password(anew[0]).ok
    assert not renewed.by_password(recovery[2]).ok
    shown = host.run("journalctl --no-pager; ps axww").stdout
    assert f"{person.name}: renew done" in shown
    assert_not_shown(shown, [person, renewed], [*recovery, *anew])


def test_codes_of_an_added_device_are_right_beside_those_of_the_phone(console: Console) -> None:
    host = console.host
    person, recovery = self_enrolled(host)
    with visit(console, person, recovery[0]) as mine:
        mine.frame.locator("button[data-what=device]").wait_for()
        mine.picture("enrolled")
        mine.press("device")
        mine.submit(recovery[1])
        spare = dataclasses.replace(person, secret=mine.scan())
        mine.prove(spare)
        mine.await_text("Spare devices: 1")
    assert spare.by_password(spare.code(steps=1)).ok
    assert person.by_key(person.code(steps=1)).ok
    assert_not_shown(host.run("journalctl --no-pager; ps axww").stdout, [person, spare], recovery)


def test_invited_person_types_the_invitation_first_and_is_proven(console: Console) -> None:
    host, person = console.host, new_person(console.host)
    code = str(module(host, "twofactor_invitation", {"user": person.name})["code"])
    with visit(console, person) as mine:
        mine.press("enrol")
        mine.picture("invitation")
        mine.submit("ABCD-EFGH-IJKL-MNOP")
        assert mine.error() == "This is not your invitation. Type it again. Tries that are left: 4."
        mine.submit(code.lower())
        person = dataclasses.replace(person, secret=mine.scan())
        mine.prove(person)
        mine.recovery_codes()
        mine.frame.locator("#kept").click()
        mine.await_text(
            "Two-factor login is set up. Keep the app: codes are asked for once your administrator has run the "
            "playbook."
        )
    info = module(host, "twofactor_info", options(**POLICY))["users"][person.name]
    assert (info["proven"], info["self_made"]) == (True, None)
    assert not host.exists(f"/var/lib/fleet-auth-invitations/{person.name}")
    assert_not_shown(host.run("journalctl --no-pager; ps axww").stdout, [person], [code])


def has_credential_of(person: Person) -> bool:
    """Whether the credential contains this person's secret, in the format of any backend."""
    text = person.host.read(person.credential).decode()
    return person.secret in text or hexadecimal(person.secret) in text


def assert_not_shown(shown: str, people: list[Person], codes: list[str]) -> None:
    """Check that the text contains no secret of these people, and none of these codes."""
    for person in people:
        assert person.secret not in shown
        assert hexadecimal(person.secret) not in shown
    assert not any(re.search(rf"(?<!\d){code}(?!\d)", shown) for code in codes)


def hexadecimal(secret: str) -> str:
    """A secret in hexadecimal, as pam_oath's credential files have it."""
    return base64.b32decode(secret).hex()


def test_nobody_reads_or_changes_the_credential_of_somebody_else(console: Console) -> None:
    host = console.host
    alice, mallory = new_person(host), new_person(host)
    enforce(host, alice)
    before = host.read(f"/etc/oath/{alice.name}")
    for request in (
        json.dumps({"do": "status", "user": alice.name}),
        json.dumps({**BEGIN, "what": "renew", "code": alice.code(), "user": alice.name}),
        json.dumps({**BEGIN, "what": "device", "code": alice.code()}),
        json.dumps({**BEGIN, "what": f"../{alice.name}"}),
        json.dumps({"do": {"do": "status"}}),
        json.dumps({"do": "status\0"}),
        "\0" * 100,
        "[" * 4000,
        "{" * 9000,
        "nonsense",
    ):
        answers = ask(host, mallory.name, request + "\n")
        assert answers or len(request) > 4096, request[:40]
        assert all(not json.loads(answer)["ok"] for answer in answers), request[:40]
        assert alice.name not in "".join(answers)
    own = [json.loads(ask(host, user.name, '{"do":"status"}\n')[0]) for user in (alice, mallory)]
    assert [(one["user"], one["enrolled"]) for one in own] == [(alice.name, True), (mallory.name, False)]
    assert host.read(f"/etc/oath/{alice.name}") == before
    assert not host.exists(f"/etc/oath/{mallory.name}")


@contextlib.contextmanager
def renewal(console: Console) -> Iterator[tuple[SelfService, Person, Person]]:
    """The page showing a new key, and its person twice: with the old secret, and with the new one."""
    person, recovery = self_enrolled(console.host)
    with visit(console, person, recovery[0]) as mine:
        mine.press("renew")
        mine.submit(recovery[1])
        yield mine, person, dataclasses.replace(person, secret=mine.scan())


def test_interrupted_renewal_leaves_the_old_key_in_force(console: Console) -> None:
    host = console.host
    with renewal(console) as (mine, person, renewed):
        before = host.read(f"/etc/oath/{person.name}")
        host.run("systemctl", "restart", "fleet-auth-self-service.socket")
        mine.submit(renewed.code())
        # The rest of the message depends on whether the page had noticed this before it sent the code.
        assert mine.error().startswith("The connection was lost. ")
        assert host.read(f"/etc/oath/{person.name}") == before
        mine.frame.locator("#cancel").click()
        mine.await_text("Two-factor login is set up.")
    ssh.fresh_step()
    assert not person.by_key(renewed.code()).ok
    assert person.by_key(person.code(steps=1)).ok


def test_only_one_of_two_tabs_sets_up_the_new_phone(console: Console) -> None:
    host = console.host
    person, recovery = self_enrolled(host)
    with visit(console, person, recovery[0]) as one, visit(console, person, recovery[1]) as other:
        phones = []
        for tab, code in ((one, recovery[2]), (other, recovery[3])):
            tab.press("renew")
            tab.submit(code)
            phones.append(dataclasses.replace(person, secret=tab.scan()))
        ssh.fresh_step()
        other.submit(phones[1].code())
        other.await_text("Two-factor login is set up.")
        one.submit(phones[0].code())
        assert one.error() == "Your key was changed meanwhile, by somebody else or in another window. Start again."
    assert not person.by_key(phones[0].code(steps=1)).ok
    assert person.by_key(phones[1].code(steps=1)).ok


def test_renewal_waits_while_a_change_is_unconfirmed(console: Console) -> None:
    host = console.host
    with renewal(console) as (mine, person, renewed):
        enforce(host)
        # The state between a change and its confirmation.
        host.run(f"mkdir -p {JOURNAL.rpartition('/')[0]} && touch {JOURNAL}")
        mine.submit(renewed.code())
        assert "on this host is being changed right now" in mine.error()
        host.run("rm", "-r", JOURNAL.rpartition("/")[0])
        mine.submit(renewed.code())
        mine.await_text("Two-factor login is set up.")
    ssh.fresh_step()
    assert person.by_key(renewed.code(steps=1)).ok


def test_wrong_codes_are_counted_as_at_a_login_and_close_page_and_login(console: Console) -> None:
    host = console.host
    person, recovery = self_enrolled(host)
    with visit(console, person, recovery[0]) as mine:
        mine.press("renew")
        for number in range(1, 6):
            mine.submit(person.code(steps=1000 + number))
            assert "wrong" in mine.error()
            assert counted_wrong_codes(person) == number
        mine.submit(recovery[1])
        mine.await_text("none is accepted for a while")
        mine.picture("locked")
    assert_closed(person)
    host.run("faillock", "--dir", TALLY, "--user", person.name, "--reset")


def test_one_account_cannot_block_others(console: Console) -> None:
    host, alice, mallory = console.host, new_person(console.host), new_person(console.host)
    words = ["docker", "exec", "--interactive", "--user", mallory.name, host.container, "python3", "-c", _HOLD, "500"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holding:
        assert holding.stdin
        assert holding.stdout
        answered = [holding.stdout.readline().strip() for _number in range(500)]
        assert answered == ["True"] * 4 + ["False"] * 496
        (refused,) = ask(host, mallory.name, '{"do":"status"}\n')
        assert "open too many times" in refused
        assert json.loads(ask(host, alice.name, '{"do":"status"}\n')[0])["user"] == alice.name
        with visit(console, mallory) as mine:
            assert "open too many times" in mine.error()
        holding.stdin.close()
    wait_until(lambda: '"ok": true' in "".join(ask(host, mallory.name, '{"do":"status"}\n')))
    assert len(ask(host, alice.name, '{"do":"status"}\n' * 100)) == 64


@pytest.mark.parametrize(("idle", "life", "how"), [(1, 60, "silently"), (3, 2, "slowly")])
def test_silent_or_slow_connection_is_closed(console: Console, idle: int, life: int, how: str) -> None:
    closed, ended = map(
        float, console.host.run("python3", "-c", _SHORT_LIVED, f"{idle}", f"{life}", how).stdout.split()
    )
    assert min(idle, life) <= closed < min(idle, life) + 2
    assert closed <= ended < closed + 2 * idle + 2


def test_many_enrol_at_once_each_for_themselves(console: Console) -> None:
    host = console.host
    names = [new_person(host).name for _number in range(8)]
    done = [json.loads(line) for line in host.run("python3", "-c", _AT_ONCE, *names).stdout.splitlines()]
    assert sorted(name for name, _key, recovery in done if recovery) == sorted(names)
    for name, key, _recovery in done:
        note, line, *_recovery_codes = host.read(f"/etc/oath/{name}").decode().splitlines()
        assert note.startswith("# fleet.auth self-made=")
        assert [name, key] == [line.split()[1], line.split()[3]]


def test_accounts_of_services_cannot_enrol(console: Console) -> None:
    host = console.host
    host.run("useradd", "--system", "--shell", "/bin/bash", "service")
    for name in ("www-data", "nobody", "service"):
        (answer,) = ask(host, name, json.dumps({**BEGIN, "what": "enrol"}) + "\n")
        assert json.loads(answer) == {"ok": False, "message": "Nobody logs in with this account, so it needs no code."}
        assert not host.exists(f"/etc/oath/{name}")
    host.run("userdel", "service")


def test_the_program_may_write_where_codes_are_kept_and_nowhere_else(console: Console) -> None:
    host = console.host
    ask(host, new_person(host).name, '{"do":"status"}\n')
    pid = host.run("systemctl show --property=MainPID --value fleet-auth-self-service.service").stdout.strip()
    mounts = host.run("findmnt", "--task", pid, "--noheadings", "--list", "--output", "TARGET,VFS-OPTIONS").stdout
    writable = {line.split()[0] for line in mounts.splitlines() if line.split()[1].startswith("rw")}
    assert {path for path in writable if not path.startswith(("/dev", "/proc", "/tmp", "/var/tmp"))} == {
        "/etc/oath",
        "/run/fleet-auth.lock",
        "/run/fleet-auth/faillock",
        "/var/lib/fleet-auth-invitations",
    }
    found = host.run("systemd-analyze", "security", "--no-pager", "fleet-auth-self-service.service").stdout
    exposure = re.search(r"Overall exposure level .*: ([0-9.]+) ", found)
    assert exposure
    assert float(exposure[1]) < 2


def test_playbook_turns_it_on_and_shows_no_secret(console: Console) -> None:
    host, given = console.host, new_person(console.host)
    person, recovery = self_enrolled(host)
    done = module(host, "twofactor", options(**{**POLICY, "self_service": False}))
    assert done.ok, done.output
    assert_gone(host)
    run = playbook("enable", host, "-vvvv", **settings(given, **POLICY))
    assert run.ok, run.output
    assert json.loads(ask(host, person.name, '{"do":"status"}\n')[0])["enrolled"]
    assert given.name in run.output
    for secret in (given.secret, person.secret, hexadecimal(given.secret), hexadecimal(person.secret)):
        assert secret not in run.output
    assert not any(re.search(rf"(?<!\d){code}(?!\d)", run.output) for code in recovery)


def test_page_works_again_after_a_boot(console: Console) -> None:
    host, person = console.host, new_person(console.host)
    enforce(host)
    hosts.boot_anew(host)
    assert json.loads(ask(host, person.name, '{"do":"status"}\n')[0])["may"] == ["enrol"]
    again = module(host, "twofactor", options(**POLICY))
    assert (again.ok, again.changed) == (True, False), again.output


def test_twofactor_recover_removes_the_page(console: Console) -> None:
    host = console.host
    host.run("twofactor-recover")
    assert_gone(host)
    enforce(host)
    assert host.exists("/run/fleet-auth/self-service.sock")


def test_turning_off_removes_page_and_socket_and_restores_every_byte(console: Console) -> None:
    off(console.host)
    assert console.host.snapshot(FILES) == console.before
    assert not console.host.exists("/run/fleet-auth")
    assert_gone(console.host)


def assert_gone(host: Host) -> None:
    """Check that no unit, socket or file is left."""
    assert not host.run("systemctl list-units --all --plain --no-legend 'fleet-auth-self-service*'").stdout
    assert not host.run("systemctl list-unit-files --no-legend 'fleet-auth-self-service*' || true").stdout
    found = (
        "-name 'fleet-auth-self-service*' -o -name 'self-service*' -o -name fleet_auth -o -path '*/cockpit/fleet-auth'"
        " -o -name 'twofactor-enrol' -o -name 'fleet-auth-twofactor.sh' -o -name 'fleet-auth-invitations'"
    )
    assert not host.run(f"find / /run -xdev {found}").stdout


def wait_until(done: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)
