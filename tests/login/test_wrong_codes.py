# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wrong codes close the code step for a while, and nothing else does: no stranger, no boot, no lock left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hosts import PATIENCE, Host
from login import ssh
from login.backends import GOOGLE, OATH, backend_of
from login.modules import Answer, module, options
from login.people import Person, unwrapped
from login.policy import TALLY, assert_closed, assert_nothing_left, assert_on, give_wrong_codes, reboot, somebody

pytestmark = [pytest.mark.usefixtures("package"), pytest.mark.backends(OATH, GOOGLE), pytest.mark.release("debian12")]

CONSOLE = "fleet-test-console"
# What Debian's documentation suggests for counting wrong passwords at a console.
CONSOLE_SERVICE = """\
auth required pam_faillock.so preauth
auth [success=1 default=ignore] pam_unix.so
auth [default=die] pam_faillock.so authfail
auth required pam_faillock.so authsucc
account required pam_permit.so
"""

HELD = "fleet-test-held"
HELD_SERVICE = """\
auth substack twofactor
auth required pam_permit.so
account required pam_permit.so
"""
# The prompt is shown from the start, but answered only when five wrong codes are in the tally.
HOLD = """\
{ until faillock --dir "$1" --user "$2" | awk 'END { exit NR < 7 }'; do sleep 0.1; done; cat; } |
    pamtester "$3" "$2" authenticate
"""


@pytest.fixture
def held_service(host: Host) -> Iterator[None]:
    host.write(f"/etc/pam.d/{HELD}", HELD_SERVICE)
    yield
    host.run("rm", f"/etc/pam.d/{HELD}")


@pytest.fixture
def person(host: Host) -> Iterator[Person]:
    """A person on a host with two-factor login on."""
    with somebody(host) as person:
        assert module(host, "twofactor", options(person)).ok
        ssh.fresh_step()
        yield person


def is_locked(person: Person) -> bool:
    """Whether the module reports the person as locked."""
    return bool(module(person.host, "twofactor_info", options(person))["users"][person.name]["locked"])


def again(person: Person) -> Answer:
    """Run the module again, with the same options."""
    done = module(person.host, "twofactor", options(person))
    assert done.ok, done.output
    return done


def test_five_wrong_codes_close_the_code_step_until_recovery_opens_it(host: Host, person: Person) -> None:
    give_wrong_codes(person, 4)
    assert not is_locked(person)
    give_wrong_codes(person, 1)
    assert is_locked(person)
    assert_closed(person)
    recovered = host.run("twofactor-recover", "--user", person.name)
    assert "needs no code on this host until the next run of the playbook" in recovered.stdout
    assert not is_locked(person)
    assert person.by_key(batch=True).ok
    assert again(person).changed
    assert_on(person)


def test_right_code_forgets_the_wrong_ones(person: Person) -> None:
    ssh.fresh_step(at_least=25)
    for steps in (0, 1):
        give_wrong_codes(person, 4)
        login = person.by_key(person.code(steps=steps))
        assert login.ok, login.reason
    assert not is_locked(person)


@pytest.mark.usefixtures("held_service")
def test_prompt_held_open_meanwhile_lets_nobody_in(host: Host, person: Person) -> None:
    words = ("sh", "-c", HOLD, "sh", TALLY, person.name, HELD)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(host.run, *words, input=f"{person.code()}\n", check=False)
        give_wrong_codes(person, 5)
    assert "One-time password" in held.result().stderr
    assert held.result().returncode == 1
    assert_closed(person)


def test_after_a_boot_wrong_codes_are_counted_and_locks_left_behind_are_gone(host: Host, person: Person) -> None:
    for ending in backend_of(host).left_behind:
        host.write(person.credential + ending, "", 0o600)
    reboot(host)
    assert host.run("stat", "-c", "%a %U", TALLY).stdout == "700 root\n"
    assert host.run("ls", backend_of(host).directory).stdout.split() == [person.name]
    ssh.fresh_step()
    assert_on(person)
    give_wrong_codes(person, 5)
    assert_closed(person)


def test_lost_tally_is_reported_and_made_again(host: Host, person: Person) -> None:
    host.run("rm", "-r", "/run/fleet-auth")
    done = again(person)
    assert done.changed
    assert f"{TALLY} on {host.name} was missing: wrong codes were not counted." in unwrapped(done.output)
    give_wrong_codes(person, 5)
    assert_closed(person)


# The system's own tally


@pytest.fixture
def console(host: Host) -> Iterator[None]:
    host.write(f"/etc/pam.d/{CONSOLE}", CONSOLE_SERVICE)
    yield
    host.run("rm", f"/etc/pam.d/{CONSOLE}")


def console_login(person: Person, password: str) -> bool:
    """Whether the console accepts this password without a code."""
    words = ("pamtester", CONSOLE, person.name, "authenticate")
    return person.host.run(*words, input=f"{password}\n", check=False).returncode == 0


@pytest.mark.usefixtures("console")
def test_wrong_codes_close_no_console(host: Host, person: Person) -> None:
    give_wrong_codes(person, 5)
    assert is_locked(person)
    assert console_login(person, person.password)
    assert not host.run("faillock", "--user", person.name).stdout.splitlines()[2:]


@pytest.mark.usefixtures("console")
def test_wrong_passwords_at_a_console_do_not_close_the_code_step(host: Host, person: Person) -> None:
    for _attempt in range(3):
        assert not console_login(person, "wrong")
    assert not console_login(person, person.password)
    assert not is_locked(person)
    assert_on(person)
    assert len(host.run("faillock", "--user", person.name).stdout.splitlines()[2:]) == 3
    host.run("faillock", "--user", person.name, "--reset")


# Locks that a login leaves behind


@pytest.mark.parametrize("number", [0, -1])
def test_lock_left_behind_is_removed_by_a_run_that_says_so(host: Host, person: Person, number: int) -> None:
    lock = person.credential + backend_of(host).left_behind[number]
    host.write(lock, "", 0o600)
    host.run("touch", "-d", "-2 minutes", lock)
    assert person.by_key(person.code()).ok == (backend_of(host) is GOOGLE)
    announced = module(host, "twofactor", options(person), check=True)
    assert announced.changed
    assert announced["changes"] == [f"remove {lock}"]
    assert host.exists(lock)
    done = again(person)
    assert done.changed
    assert done["changes"] == [f"remove {lock}"]
    assert not host.exists(lock)
    assert_nothing_left(host)
    login = person.by_key(person.code(steps=1))
    assert login.ok, login.reason


def test_lock_of_a_login_in_progress_stays(host: Host, person: Person) -> None:
    lock = person.credential + backend_of(host).left_behind[0]
    host.write(lock, "", 0o600)
    assert not again(person).changed
    assert host.exists(lock)
    with held(host, lock):
        host.run("touch", "-d", "-2 minutes", lock)
        assert not again(person).changed
        assert host.exists(lock)
    assert again(person).changed
    assert not host.exists(lock)


@contextlib.contextmanager
def held(host: Host, lock: str) -> Iterator[None]:
    """Have a process hold the lock as pam_oath does; lockf(3)."""
    hold = f"import fcntl, time; file = open({lock!r}, 'r+'); fcntl.lockf(file, fcntl.LOCK_EX); time.sleep(100)"
    started = host.run("sh", "-c", '"$@" >/dev/null 2>&1 & echo $!', "sh", "python3", "-c", hold)
    process = started.stdout.strip()
    host.run(f"until grep -q 'POSIX.* {process} ' /proc/locks; do sleep 0.1; done", timeout=PATIENCE)
    yield
    host.run("kill", process)
    host.run(f"while [ -e /proc/{process}/fd/3 ]; do sleep 0.1; done", timeout=PATIENCE)
