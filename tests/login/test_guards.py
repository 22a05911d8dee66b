# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each guard in the code is needed: take one out of the collection, and a check of what it guards against fails.

Where possible, the checks are those of other tests.
"""

from __future__ import annotations

import shutil
import typing as t
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from hosts import Host
from login import (
    ssh,
    test_backends,
    test_broken_hosts,
    test_login,
    test_security_keys,
    test_transaction,
    test_wrong_codes,
)
from login.backends import GOOGLE, OATH, use
from login.modules import connections, module, options
from login.people import Person
from login.policy import somebody
from login.trouble import lock_held

pytestmark = [pytest.mark.usefixtures("package"), pytest.mark.parametrize("host", ["debian12"], indirect=True)]

COLLECTION = Path(__file__).parents[2]
UTILS = "plugins/module_utils"


class Patch(t.NamedTuple):
    """A text that occurs once in a module_utils or a file of the role, and what replaces it to take the guard out."""

    file: str
    guard: str
    instead: str = ""


class Guard(t.NamedTuple):
    """A guard, a check that holds only with it, and how to take it out."""

    name: str
    check: Callable[[Person], None]
    patches: tuple[Patch, ...]


# Checks


def on(person: Person, **values: t.Any) -> None:
    """Turn two-factor login on for the person."""
    done = module(person.host, "twofactor", options(person, **values))
    assert done.ok, done.output
    ssh.fresh_step()


def once_on(check: Callable[[Person], None]) -> Callable[[Person], None]:
    """Turn two-factor login on before a check."""

    def turned_on(person: Person) -> None:
        on(person)
        check(person)

    return turned_on


def by_google(check: Callable[[Person], None]) -> Callable[[Person], None]:
    """Use pam_google_authenticator for a check."""

    def by_google(person: Person) -> None:
        person.host.install(GOOGLE.package)
        use(person.host, GOOGLE)
        check(person)

    return by_google


def used_code_is_denied_after_a_move(person: Person) -> None:
    on(person)
    ssh.fresh_step(at_least=15)
    code = person.code()
    assert person.by_key(code).ok
    by_google(on)(person)
    assert not person.by_key(code).ok


def clock_that_is_off_is_refused(person: Person) -> None:
    too_exact = {"max_error_seconds": 1e-9}
    assert not module(person.host, "twofactor", options(person, time_sync=too_exact), check=True).ok


def account_without_a_credential_is_refused(person: Person) -> None:
    assert not module(person.host, "twofactor", options(), check=True).ok


def shorter_code_is_denied(person: Person) -> None:
    on(person, otp_digits=8)
    assert not person.by_key(person.code()).ok


def used_code_is_denied_after_another_run(person: Person) -> None:
    on(person)
    ssh.fresh_step(at_least=15)
    code = person.code()
    assert person.by_key(code).ok
    on(person)
    assert not person.by_key(code).ok


def second_run_waits(person: Person) -> None:
    with ThreadPoolExecutor(1) as pool:
        with lock_held(person.host):
            second = pool.submit(module, person.host, "twofactor", options(person))
            assert not wait([second], timeout=30).done
        assert second.result().changed


def old_connection_confirms_nothing(person: Person) -> None:
    with connections(person.host) as old:
        done = module(person.host, "twofactor", options(person, rollback_after=600), connection=old)
        confirmation = {"confirmation": done["confirmation"]}
        assert not module(person.host, "twofactor_confirm", confirmation, connection=old).ok


def change_that_fails_is_put_back(person: Person) -> None:
    test_broken_hosts.test_change_is_put_back_if_sshd_does_not_reload(person.host, person)


def sshd_with_another_configuration_asks_for_codes_or_is_refused(person: Person) -> None:
    with test_broken_hosts.sshd_with_another_configuration(person.host):
        if module(person.host, "twofactor", options(person)).ok:
            test_login.test_key_alone_is_denied(person)


def lock_left_behind_is_removed(person: Person) -> None:
    on(person)
    test_wrong_codes.test_lock_left_behind_is_removed_by_a_run_that_says_so(person.host, person, 0)


def lock_in_use_stays(person: Person) -> None:
    on(person)
    test_wrong_codes.test_lock_of_a_login_in_progress_stays(person.host, person)


def reload_that_shuts_ansible_out_is_refused(person: Person) -> None:
    test_transaction.test_reload_that_would_shut_ansible_out_is_refused(person.host, person)


def change_that_died_is_put_back(person: Person) -> None:
    host = person.host
    with test_transaction.python(host, "signal=KILL") as dies:
        test_transaction.test_change_that_died_is_put_back_even_if_nothing_else_is_to_be_done(host, person, dies)


# Guards

GUARDS = (
    Guard(
        "the time gate",
        clock_that_is_off_is_refused,
        (Patch("_plan/situation", "if status is None or status.in_sync or", "if True or"),),
    ),
    Guard(
        "the look at who would be locked out",
        account_without_a_credential_is_refused,
        (Patch("_plan/enable", "refused += _locked_out(situation, asking_services)", "pass"),),
    ),
    Guard(
        "the look at whether Ansible gets in",
        reload_that_shuts_ansible_out_is_refused,
        (Patch("_plan/refusals", "if account and effective is not None and not", "if False and not"),),
    ),
    Guard(
        "the tally of wrong codes",
        once_on(test_login.test_five_wrong_codes_close_the_code_step_for_password_and_key),
        (
            Patch(
                "_texts/code_step",
                "[success=ignore ignore=ignore default=die] pam_faillock.so preauth",
                "optional pam_permit.so",
            ),
            Patch("_texts/code_step", "[default=die] pam_faillock.so authfail {tally}", "requisite pam_deny.so"),
            Patch(
                "_texts/code_step",
                "[default=ignore] pam_faillock.so authsucc {tally}",
                "[default=ignore] pam_permit.so",
            ),
        ),
    ),
    Guard(
        "the directory of the tally",
        once_on(test_login.test_five_wrong_codes_close_the_code_step_for_password_and_key),
        (Patch("_host/state", "    places.RUN_DIRECTORY: 0o755,\n    places.TALLY_DIRECTORY: 0o700,\n"),),
    ),
    Guard(
        "the length of a code",
        shorter_code_is_denied,
        (Patch("_backends/oath", " digits={settings.otp_digits}"),),
    ),
    Guard(
        "what sshd asks for beside a key",
        once_on(test_login.test_key_alone_is_denied),
        (
            Patch("_texts/drop_in", 'yield "AuthenticationMethods", " ".join', '" ".join'),
            Patch(
                "_texts/drop_in",
                '"authenticationmethods": tuple(_METHODS[factor] for factor in settings.ssh_first_factors),',
            ),
        ),
    ),
    Guard(
        "the question whether sshd has accepted a key",
        once_on(test_login.test_wrong_password_is_denied_before_the_code_is_asked_for_and_uses_up_no_code),
        (Patch("roles/twofactor/files/ssh-key-accepted", "*) exit 1 ;;", "*) exit 0 ;;"),),
    ),
    Guard(
        "the list of declared security keys",
        test_security_keys.undeclared_security_key_needs_a_code,
        (Patch("roles/twofactor/files/ssh-key-declared", '[ "$accepted" != "publickey $type $key" ] || ', ""),),
    ),
    Guard(
        "the PIN of a security key",
        test_security_keys.security_key_without_its_pin_is_denied,
        (
            Patch(
                "_texts/drop_in",
                '_TOUCH_AND_PIN = "touch-required verify-required"',
                '_TOUCH_AND_PIN = "touch-required"',
            ),
        ),
    ),
    Guard(
        "the list in place of people's own keys",
        test_security_keys.undeclared_key_is_denied_where_keys_are_alone,
        (Patch("_texts/drop_in", '    ("AuthorizedKeysFile", _KEYS_FILE),\n', ""),),
    ),
    Guard(
        "the memory of used codes",
        used_code_is_denied_after_another_run,
        (
            Patch(
                "_backends/oath",
                "return replace(token, interval=settings.interval, digits=None)",
                "return replace(token, interval=settings.interval, digits=None, last_code=None)",
            ),
        ),
    ),
    Guard(
        "the memory of used codes of pam_google_authenticator",
        by_google(once_on(test_login.test_used_code_is_denied)),
        (
            Patch("_backends/google_authenticator", 'REUSE, "TOTP_AUTH")', '"TOTP_AUTH")'),
            Patch("_backends/google_authenticator", "if _get(lines, REUSE) is None:", "if False:"),
        ),
    ),
    Guard(
        "the memory of used codes when they move",
        used_code_is_denied_after_a_move,
        (Patch("_backends/google_authenticator", '" ".join(map(str, phone.used))', '""'),),
    ),
    Guard(
        "the clock that no phone adjusts",
        by_google(once_on(test_backends.clock_offset_is_not_recorded)),
        (Patch("_backends/google_authenticator", " noskewadj"),),
    ),
    Guard(
        "putting back what failed",
        change_that_fails_is_put_back,
        (Patch("_apply/transaction", 'raise ApplyError(f"{describe(error)} {undo(actions)}") from error', "raise"),),
    ),
    Guard(
        "the look at what sshd makes of it",
        sshd_with_another_configuration_asks_for_codes_or_is_refused,
        (
            Patch(
                "_apply/reload",
                "for expectation in change.expectations:",
                "for expectation in change.expectations[:0]:",
            ),
            Patch("_runs/converge", "if remaining.changes or remaining.refusals:", "if False:"),
        ),
    ),
    Guard(
        "putting back what died",
        change_that_died_is_put_back,
        (Patch("_runs/converge", "interrupted = pending.is_pending()", "interrupted = False"),),
    ),
    Guard(
        "the age of a connection that confirms",
        old_connection_confirms_nothing,
        (Patch("_runs/confirm", "if session is not None and session.since < pending[1]:", "if False:"),),
    ),
    Guard(
        "one run at a time",
        second_run_waits,
        (Patch("_apply/lock", "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass"),),
    ),
    Guard(
        "the end of a lock that was left behind",
        lock_left_behind_is_removed,
        (Patch("_plan/draft", "return [Remove(path) for path in state.stale_locks]", "return []"),),
    ),
    Guard(
        "the age of a lock that was left behind",
        lock_in_use_stays,
        (
            Patch(
                "_host/credentials",
                "if time.time() - os.fstat(file.fileno()).st_mtime < places.STALE_LOCK_SECONDS:",
                "if False:",
            ),
        ),
    ),
    Guard(
        "the question whether a lock is held",
        lock_in_use_stays,
        (Patch("_host/credentials", "fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass"),),
    ),
)
OWN_CHECKS = (
    clock_that_is_off_is_refused,
    account_without_a_credential_is_refused,
    shorter_code_is_denied,
    used_code_is_denied_after_another_run,
    used_code_is_denied_after_a_move,
    second_run_waits,
    old_connection_confirms_nothing,
    sshd_with_another_configuration_asks_for_codes_or_is_refused,
    test_security_keys.undeclared_security_key_needs_a_code,
    test_security_keys.security_key_without_its_pin_is_denied,
    test_security_keys.undeclared_key_is_denied_where_keys_are_alone,
)


@pytest.fixture
def person(host: Host) -> Iterator[Person]:
    with somebody(host) as person:
        yield person
    use(host, OATH)


@pytest.fixture
def without(person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Guard], None]:  # noqa: ARG001
    """Make Ansible use a copy of the collection without a guard. Undone before the person is removed."""

    def use(guard: Guard) -> None:
        copy = tmp_path / "ansible_collections/fleet/auth"
        for part in ("plugins", "roles", "playbooks", "meta"):
            shutil.copytree(COLLECTION / part, copy / part)
        shutil.copy(COLLECTION / "galaxy.yml", copy)
        for patch in guard.patches:
            path = copy / patch.file if patch.file.startswith("roles/") else copy / UTILS / f"{patch.file}.py"
            text = path.read_text()
            assert text.count(patch.guard) == 1, f"{patch.guard!r} is not once in {path.name}"
            path.write_text(text.replace(patch.guard, patch.instead))
        monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(tmp_path))

    return use


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_without_the_guard_the_check_fails(person: Person, without: Callable[[Guard], None], guard: Guard) -> None:
    without(guard)
    with pytest.raises(AssertionError):
        guard.check(person)


@pytest.mark.parametrize("check", OWN_CHECKS)
def test_with_all_guards_the_check_holds(person: Person, check: Callable[[Person], None]) -> None:
    check(person)
