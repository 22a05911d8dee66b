# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cockpit's login page, as people meet it: a password, then a code."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import secrets
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, TimeoutError

import hosts
from hosts import Host
from login import ssh
from login.doors import counted_wrong_codes
from login.modules import module, options
from login.people import PASSWORD, Person, new_person
from login.policy import off

PICTURES = Path(__file__).resolve().parents[2] / "build" / "browser"
ATTEMPTS = 3
FILES = ("/etc/pam.d", "/etc/security", "/etc/ssh", "/etc/tmpfiles.d", "/usr/local", "/usr/libexec")

# Selectors of what the login page can show next.
CODE, MESSAGE, SHELL = "#conversation-input", "#error-group", "#current-username"
# Messages for a wrong or used code, and for a wrong password or a closed code step.
DENIED = "Permission denied"
WRONG_PASSWORD = "Wrong user name or password"


@dataclasses.dataclass(frozen=True)
class Console:
    """A host whose Cockpit asks everyone except the exempt person for a code, and a snapshot of its files before."""

    host: Host
    browser: Browser
    exempt: Person
    people: Iterator[Person]
    before: dict[str, hosts.host.Entry]

    @contextlib.contextmanager
    def visit(self) -> Iterator[LoginPage]:
        """The login page, in a new browser context."""
        context = self.browser.new_context(ignore_https_errors=True, viewport={"width": 1000, "height": 640})
        context.set_default_timeout(60_000)
        try:
            page = context.new_page()
            page.goto(f"https://{self.host.inner_address}:9090/")
            yield LoginPage(page, self.host.release)
        finally:
            context.close()

    def log_in(self, user: str, password: str, code: str | None = None, picture: str = "") -> str:
        """Log in with a password, and a code if one is asked for; return what comes: the shell, a form or a message."""
        with self.visit() as page:
            found = page.submit(password, user)
            if found == CODE and code is not None:
                found = page.submit(code)
            page.picture(picture)
            return found


@dataclasses.dataclass(frozen=True)
class LoginPage:
    """Cockpit's login page."""

    page: Page
    release: str

    def submit(self, answer: str, user: str | None = None) -> str:
        """Answer the prompt, and return what comes next: the form for the code, the shell or a message."""
        self.send(answer, user)
        return self.outcome()

    def send(self, answer: str, user: str | None = None) -> None:
        """Answer the prompt, and do not wait."""
        if user is not None:
            self.page.fill("#login-user-input", user)
        self.page.fill(CODE if user is None else "#login-password-input", answer)
        self.page.click("#login-button")

    def outcome(self) -> str:
        """Wait for what comes next, and return it."""
        # The form that was filled in may still be visible, but its button is disabled until there is an answer.
        try:
            # Polled at an interval, because a page behind another one need not be drawn.
            self.page.wait_for_function(
                "([code, message, shell]) => document.querySelector(shell) "
                "|| !document.querySelector('#login-button')?.disabled && [code, message].some("
                "  selector => document.querySelector(selector)?.checkVisibility())",
                arg=[CODE, MESSAGE, SHELL],
                polling=200,
            )
        except TimeoutError as error:
            raise AssertionError(f"{self.page.url} shows: {self.page.inner_text('body')}") from error
        if self.page.locator(SHELL).count():
            return SHELL
        message = self.page.locator(MESSAGE)
        return message.inner_text().splitlines()[-1] if message.is_visible() else CODE

    def picture(self, name: str) -> None:
        """Save a screenshot of the page."""
        if name:
            PICTURES.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=PICTURES / f"{self.release}-{name}.png")


@pytest.fixture(scope="module", params=hosts.WITH_COCKPIT)
def console(cockpits: dict[str, Host], neighbour: Browser, request: pytest.FixtureRequest) -> Iterator[Console]:
    host = cockpits[request.param]
    host.install("libpam-oath")
    off(host)
    alice = Person("alice", host, host.key)
    host.add_user(alice.name, alice.password, groups=["sudo"])
    people = [alice, *(new_person(host, groups=["sudo"]) for _number in range(6))]
    exempt = people.pop()
    before = host.snapshot(FILES)
    done = module(host, "twofactor", policy(exempt, people))
    assert done.ok, done.output
    yield Console(host, neighbour, exempt, iter(people), before)
    off(host)


def policy(exempt: Person, people: list[Person], **changes: t.Any) -> dict[str, t.Any]:
    usual = {
        "ssh": False,
        "services": ["cockpit"],
        "exempt_users": ["ansible", "root", exempt.name],
        "lockout": {"attempts": ATTEMPTS, "unlock_seconds": 900, "count_seconds": 900},
    }
    return options(*people, **{**usual, **changes})


@pytest.fixture
def person(console: Console) -> Person:
    """The next enrolled person who has not logged in yet."""
    return next(console.people)


@pytest.mark.quick
def test_right_code_lets_in_and_a_used_one_is_refused_with_a_message(console: Console, person: Person) -> None:
    ssh.fresh_step(at_least=20)
    code = person.code()
    with console.visit() as page:
        page.picture("password")
        assert page.submit(PASSWORD, person.name) == CODE
        assert f"One-time password (OATH) for `{person.name}'" in page.page.inner_text("#conversation-prompt")
        page.picture("code")
        assert page.submit(code) == SHELL
        page.page.locator(SHELL, has_text=re.compile(rf"^{person.name}$")).wait_for()
        page.page.frame_locator("iframe").first.locator(".ct-overview-header").wait_for()
        page.picture("shell")
    assert console.log_in(person.name, PASSWORD, code, "used-code") == DENIED


def test_administrative_access_asks_for_another_code_where_sudo_does(console: Console, person: Person) -> None:
    done = module(console.host, "twofactor", policy(console.exempt, [person], services=["cockpit", "sudo"]))
    assert done.ok, done.output
    ssh.fresh_step()
    with console.visit() as visit:
        assert visit.submit(PASSWORD, person.name) == CODE
        assert visit.submit(person.code()) == SHELL
        page = visit.page
        page.get_by_role("button", name="Limited access").click()
        for prompt, answer in (("Password", PASSWORD), ("One-time password (OATH) for", person.code(steps=1))):
            dialog = page.get_by_role("dialog").filter(has_text=prompt)
            dialog.locator("input[type=password]:enabled").fill(answer)
            visit.picture("administrative-access")
            page.keyboard.press("Enter")
        page.locator("#super-user-indicator").get_by_text("Administrative access").wait_for()


def test_wrong_codes_are_refused_with_a_message_and_close_the_code_step(console: Console, person: Person) -> None:
    for attempt in range(ATTEMPTS):
        assert counted_wrong_codes(person) == attempt
        assert console.log_in(person.name, PASSWORD, person.code(steps=1000), "wrong-code") == DENIED
    assert counted_wrong_codes(person) == ATTEMPTS
    # The code step is closed, so no code is asked for.
    assert console.log_in(person.name, PASSWORD, picture="closed") == WRONG_PASSWORD
    console.host.run("twofactor-recover", "--user", person.name)
    assert console.log_in(person.name, PASSWORD) == SHELL


def test_strangers_are_asked_for_no_code_and_close_nothing(console: Console, person: Person) -> None:
    with contextlib.ExitStack() as pages:
        # In parallel, because each failed login takes a while.
        visits = [pages.enter_context(console.visit()) for _attempt in range(ATTEMPTS + 1)]
        for visit in visits:
            visit.send(f"wrong{secrets.randbelow(1000)}", person.name)
        assert {visit.outcome() for visit in visits} == {WRONG_PASSWORD}
        visits[0].picture("wrong-password")
    assert counted_wrong_codes(person) == 0
    assert console.log_in(person.name, PASSWORD, person.code()) == SHELL


def test_account_without_a_credential_is_asked_and_gets_in_only_out_of_scope(console: Console, person: Person) -> None:
    newcomer = new_person(console.host)
    assert console.log_in(newcomer.name, PASSWORD, "123456") == DENIED
    done = module(console.host, "twofactor", policy(console.exempt, [person], scope="enrolled"))
    assert done.ok, done.output
    assert console.log_in(newcomer.name, PASSWORD, picture="not-enrolled") == SHELL
    assert console.log_in(person.name, PASSWORD) == CODE
    console.host.run("userdel", "--force", "--remove", newcomer.name)


def test_exempt_account_gets_in_with_the_password_alone(console: Console) -> None:
    assert console.log_in(console.exempt.name, PASSWORD, picture="exempt") == SHELL
    assert console.log_in(console.exempt.name, "wrong") == WRONG_PASSWORD


@pytest.fixture
def root_password(console: Console) -> Iterator[str]:
    console.host.set_password("root", PASSWORD)
    yield PASSWORD
    console.host.run("passwd", "--delete", "--lock", "root")


def test_root_stays_disallowed_though_nobody_asks_root_for_a_code(console: Console, root_password: str) -> None:
    assert console.log_in("root", root_password, picture="root") not in (CODE, SHELL)


def test_turning_off_lets_in_with_the_password_alone_and_restores_every_byte(console: Console, person: Person) -> None:
    off(console.host)
    assert console.host.snapshot(FILES) == console.before
    assert console.log_in(person.name, PASSWORD, picture="off") == SHELL
    assert console.log_in(person.name, "wrong") == WRONG_PASSWORD
