# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change is a transaction: confirmed by a new connection, or put back by the host itself, whatever happens to it."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hosts import PATIENCE, Host
from login import ssh
from login.modules import connections, module, options
from login.people import PASSWORD, Person, playbook, settings, unwrapped
from login.policy import (
    CODE_PROMPT,
    DROP_IN,
    JOURNAL,
    WATCHED,
    assert_nothing_left,
    assert_off,
    assert_on,
    await_end,
    reboot,
    roll_back_now,
    somebody,
)

pytestmark = [pytest.mark.usefixtures("package"), pytest.mark.release("debian13")]

LOCK = "/run/fleet-auth.lock"
SHORTEST = 15

# A Python to which something happens when it is about to rename a staged drop-in. strace finds that call by the staged
# file's name, which ends with the number of the step.
_AT_DROP_IN = """\
#!/bin/sh
staged=$(seq -f '-P /etc/ssh/sshd_config.d/.00-twofactor.conf.fleet-auth-%g' 0 40)
exec strace -f -qq -o /dev/null $staged -e trace=rename -e inject=rename:{what} /usr/bin/python3 "$@"
"""


@pytest.fixture
def person(host: Host) -> Iterator[Person]:
    with somebody(host) as person:
        yield person


@contextlib.contextmanager
def python(host: Host, what: str) -> Iterator[str]:
    """A Python that dies, or is delayed, in the middle of a change."""
    host.write("/root/python", _AT_DROP_IN.format(what=what), 0o755)
    try:
        yield "/root/python"
    finally:
        host.run("rm", "-f", "/root/python")


@pytest.fixture
def dying_python(host: Host) -> Iterator[str]:
    with python(host, "signal=KILL") as interpreter:
        yield interpreter


# What ends a change


def test_change_that_nobody_confirms_is_put_back_in_time(host: Host, person: Person) -> None:
    before = host.snapshot(WATCHED)
    done = module(host, "twofactor", options(person, rollback_after=SHORTEST))
    assert done.ok, done.output
    assert done["enforced"] == {"sshd": True}
    assert not person.by_key(batch=True).ok
    assert host.exists(JOURNAL)
    await_end(host, SHORTEST + PATIENCE)
    assert_off(person)
    assert host.snapshot(WATCHED) == before
    assert_nothing_left(host)


def test_change_that_outlasts_its_timer_is_ended_and_undone(host: Host, person: Person) -> None:
    """Else it would go on in the middle of the rollback, and leave the host between both policies."""
    assert module(host, "twofactor", options(person)).ok
    before = host.snapshot(WATCHED)
    # It stands still for a while before it moves the drop-in away, and would do that after the rollback.
    stalling = f"exec strace -f -qq -o /dev/null -P {DROP_IN} -e trace=rename -e inject=rename:delay_enter=45s"
    host.write("/root/python", f'#!/bin/sh\n{stalling} /usr/bin/python3 "$@"\n', 0o755)
    off_again = options(person, enabled=False, rollback_after=SHORTEST)
    done = module(host, "twofactor", off_again, interpreter="/root/python")
    host.run("rm", "/root/python")
    assert not done.ok
    await_end(host, PATIENCE)
    assert host.snapshot(WATCHED) == before
    assert_on(person)
    assert_nothing_left(host)


def test_settings_that_nobody_confirms_are_put_back(host: Host, person: Person) -> None:
    assert module(host, "twofactor", options(person)).ok
    before = host.snapshot(WATCHED)
    others = {"otp_digits": 8, "window": 3, "lockout": {"attempts": 9}, "exempt_groups": ["adm"]}
    assert module(host, "twofactor", options(person, rollback_after=600, **others)).ok
    assert not person.by_key(person.code()).ok
    roll_back_now(host)
    assert host.snapshot(WATCHED) == before
    assert_on(person)


def test_turning_off_that_nobody_confirms_is_put_back(host: Host, person: Person) -> None:
    assert module(host, "twofactor", options(person)).ok
    before = host.snapshot(WATCHED)
    assert module(host, "twofactor", {"enabled": False, "purge_credentials": True, "rollback_after": 600}).ok
    assert_off(person)
    roll_back_now(host)
    assert host.snapshot(WATCHED) == before
    assert_on(person)


def test_only_a_new_connection_confirms_and_only_this_change(host: Host, person: Person) -> None:
    with connections(host) as old, connections(host) as new:
        done = module(host, "twofactor", options(person, rollback_after=600), connection=old)
        assert done.ok, done.output
        confirmation = {"confirmation": done["confirmation"]}
        refused = module(host, "twofactor_confirm", confirmation, connection=old)
        assert refused.message == (
            f"The ssh connection to {host.name} is older than the change, so it does not prove that a login still "
            "works. Reset the connection first, with meta: reset_connection."
        )
        refused = module(host, "twofactor_confirm", {"confirmation": "0" * 16}, connection=new)
        assert refused.message == (
            f"The change of two-factor login on {host.name} can no longer be confirmed: its time ran out and the host "
            "was rolled back, or another run replaced it. Run again."
        )
        tried = module(host, "twofactor_confirm", confirmation, connection=new, check=True)
        assert tried.ok
        assert tried.changed
        assert module(host, "twofactor_info", options(person))["pending"]
        confirmed = module(host, "twofactor_confirm", confirmation, connection=new)
        assert confirmed.changed, confirmed.output
        assert_nothing_left(host)
        assert not module(host, "twofactor_info", options(person))["pending"]
        assert "can no longer be confirmed" in module(host, "twofactor_confirm", confirmation, connection=new).message
    assert_on(person)


def test_change_that_was_put_back_cannot_be_confirmed(host: Host, person: Person) -> None:
    done = module(host, "twofactor", options(person, rollback_after=600))
    roll_back_now(host)
    refused = module(host, "twofactor_confirm", {"confirmation": done["confirmation"]})
    assert "its time ran out and the host was rolled back" in refused.message
    assert_off(person)


def test_role_confirms_by_itself(host: Host, person: Person) -> None:
    run = playbook("enable", host, **settings(person, rollback_after=600))
    assert run.ok, run.output
    assert "Confirm the change over a new connection" in run.output
    assert_nothing_left(host)
    assert_on(person)


@pytest.fixture
def ansible_shut_out(host: Host, person: Person, monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    """A person on a host where a rule that no plan foresees denies all new connections of Ansible's account."""
    service = host.read("/etc/pam.d/sshd").decode()
    with connections(host) as connection:
        monkeypatch.setenv("ANSIBLE_SSH_CONTROL_PATH_DIR", str(connection))
        assert module(host, "time_sync_info", connection=connection).ok
        host.write("/etc/pam.d/sshd", f"account requisite pam_succeed_if.so quiet user != ansible\n{service}")
        yield person
        host.write("/etc/pam.d/sshd", service)


def test_role_that_gets_no_new_connection_says_so_and_the_host_rolls_back(host: Host, ansible_shut_out: Person) -> None:
    person = ansible_shut_out
    before = host.snapshot(WATCHED)
    run = playbook("enable", host, **settings(person, rollback_after=SHORTEST))
    assert not run.ok
    said = unwrapped(run.output)
    assert f"After the change of two-factor login, no new connection to {host.name} gets in." in said
    assert f"the host rolls itself back {SHORTEST} seconds after the change. What ssh said:" in said
    await_end(host, SHORTEST + PATIENCE)
    assert_off(person)
    assert host.snapshot(WATCHED) == before
    assert_nothing_left(host)


def test_reload_that_would_shut_ansible_out_is_refused(host: Host, person: Person) -> None:
    """Ansible's account is denied in sshd's files, but sshd has not been reloaded."""
    host.write("/etc/ssh/sshd_config.d/50-deny.conf", "DenyUsers ansible\n")
    try:
        before = host.snapshot(WATCHED)
        refused = module(host, "twofactor", options(person))
        assert not refused.ok
        assert (
            f"ansible, the account that Ansible connects as, is not admitted by the files of sshd on {host.name}"
            in refused.message
        )
        assert host.snapshot(WATCHED) == before
        assert ssh.login(host, "ansible", key=host.key, batch=True).ok
    finally:
        host.run("rm", "/etc/ssh/sshd_config.d/50-deny.conf")
        host.run("systemctl", "reload", "ssh")


def test_boot_puts_back_what_nobody_has_confirmed(host: Host, person: Person) -> None:
    before = host.snapshot(WATCHED)
    assert module(host, "twofactor", options(person, rollback_after=3600)).ok
    reboot(host)
    assert_off(person)
    assert host.snapshot(WATCHED) == before
    assert_nothing_left(host)


def test_boot_puts_turning_off_back_and_wrong_codes_are_counted_again(host: Host, person: Person) -> None:
    assert module(host, "twofactor", options(person, lockout={"attempts": 2})).ok
    assert module(host, "twofactor", {"enabled": False, "rollback_after": 3600}).ok
    assert_off(person)
    reboot(host)
    ssh.fresh_step()
    assert_on(person)
    for attempt in range(2):
        assert not person.by_key(person.code(steps=1000 + attempt)).ok
    assert not any(CODE_PROMPT in prompt for prompt in person.by_key(person.code(steps=1)).prompts)


# Without systemd


@pytest.fixture
def no_systemd(host: Host) -> Iterator[None]:
    """Simulate a host without systemd, as tested with sd_booted(3)."""
    host.run("mv", "/run/systemd/system", "/run/systemd/away")
    yield
    host.run("mv", "/run/systemd/away", "/run/systemd/system")


@pytest.mark.usefixtures("no_systemd")
def test_without_systemd_a_timer_is_refused_and_no_timer_is_accepted(host: Host, person: Person) -> None:
    before = host.snapshot(WATCHED)
    for enabled in (options(person, rollback_after=600), {"enabled": False, "rollback_after": 600}):
        refused = module(host, "twofactor", enabled)
        assert refused["refusals"] == [
            f"systemd does not run on {host.name}, so no timer can roll the change back if nobody gets in afterwards. "
            "Set rollback_after to 0 to go on without a timer."
        ]
    assert host.snapshot(WATCHED) == before
    done = module(host, "twofactor", options(person, rollback_after=0))
    assert done.ok, done.output
    assert_on(person)


@pytest.mark.parametrize("seconds", [SHORTEST - 1, 3601])
def test_timer_out_of_its_bounds_is_refused(host: Host, person: Person, seconds: int) -> None:
    refused = module(host, "twofactor", options(person, rollback_after=seconds), check=True)
    assert refused.message == (
        f"Nothing was changed: rollback_after is {seconds}; it must be between 15 and 3600 seconds, or 0 for no timer."
    )


# A change that died, and two at once


def test_change_that_died_is_put_back_by_the_next_run(host: Host, person: Person, dying_python: str) -> None:
    died = module(host, "twofactor", options(person), interpreter=dying_python)
    assert not died.ok
    assert "Killed" in died.output
    assert_off(person)
    assert module(host, "twofactor_info", options(person))["pending"]

    for wanted in (options(person), {"enabled": False}):
        announced = module(host, "twofactor", wanted, check=True)
        assert announced.changed
        assert announced["changes"][0] == "put back what nobody confirmed"
    done = module(host, "twofactor", options(person))
    assert done.changed, done.output
    said = "an earlier change had been interrupted, or nobody had confirmed it. Everything was put back as it was."
    assert said in unwrapped(done.output)
    assert_nothing_left(host)
    assert_on(person)


def test_change_that_died_is_put_back_even_if_nothing_else_is_to_be_done(
    host: Host, person: Person, dying_python: str
) -> None:
    before = host.snapshot(WATCHED)
    assert not module(host, "twofactor", options(person), interpreter=dying_python).ok
    run = playbook("disable", host)
    assert run.changed, run.output
    assert host.snapshot(WATCHED) == before
    assert_nothing_left(host)


def test_lock_that_a_stranger_holds_stops_no_run_and_is_repaired(host: Host, person: Person) -> None:
    host.write(LOCK, "", 0o644)
    hold = f"flock -s {LOCK} sleep 600 >/dev/null 2>&1 & echo $!"
    process = host.run("sh", "-c", hold, user=person.name).stdout.strip()
    try:
        host.run(f"while flock -n -x {LOCK} true; do sleep 0.1; done", timeout=PATIENCE)
        done = module(host, "twofactor", options(person))
        assert done.changed, done.output
    finally:
        host.run("pkill", "-u", person.name, check=False)
        host.run("kill", process, check=False)
    assert host.run("stat", "-c", "%a %U", LOCK).stdout.split() == ["600", "root"]
    assert_on(person)


def test_second_run_lets_the_first_one_be_confirmed_and_finds_its_work_done(host: Host, person: Person) -> None:
    with connections(host) as new, ThreadPoolExecutor(1) as pool:
        first = module(host, "twofactor", options(person, rollback_after=600))
        second = pool.submit(module, host, "twofactor", options(person, rollback_after=600))
        # Enough time for the second run to find the change of the first and to wait for it.
        time.sleep(2)
        confirmed = module(host, "twofactor_confirm", {"confirmation": first["confirmation"]}, connection=new)
        assert confirmed.changed, confirmed.output
        found = second.result(timeout=PATIENCE)
    assert found.ok, found.output
    assert not found.changed
    assert f"another run was changing {host.name}, so this one waited for" in found.output
    assert_nothing_left(host)
    assert_on(person)


def await_change(host: Host) -> None:
    """Wait until a change is under way."""
    host.run(f"until [ -e {JOURNAL} ]; do sleep 0.1; done", timeout=PATIENCE)


def test_second_run_goes_on_when_the_first_ends_in_time(host: Host, person: Person) -> None:
    with python(host, "delay_enter=3s") as slow, ThreadPoolExecutor() as pool:
        started = pool.submit(module, host, "twofactor", options(person), interpreter=slow)
        await_change(host)
        second = module(host, "twofactor", options(person))
        first = started.result()
    assert first.changed, first.output
    assert second.ok, second.output
    assert not second.changed
    assert_on(person)


def processes_of(connection: Path) -> list[int]:
    """The ssh processes of this machine that belong to a connection."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if words.startswith(b"ssh") and str(connection).encode() in words:
            found.append(int(path.parent.name))
    return found


def test_connection_cut_in_the_middle_of_a_change_ends_in_the_old_policy(host: Host, person: Person) -> None:
    before = host.snapshot(WATCHED)
    wanted = options(person, rollback_after=SHORTEST)
    with connections(host) as connection, python(host, "delay_enter=3s") as slow, ThreadPoolExecutor() as pool:
        started = pool.submit(module, host, "twofactor", wanted, connection=connection, interpreter=slow)
        await_change(host)
        cut = processes_of(connection)
        assert cut
        subprocess.run(["kill", "-9", *map(str, cut)], check=True)
        assert not started.result().ok
    await_end(host, SHORTEST + PATIENCE)
    assert_off(person)
    assert host.snapshot(WATCHED) == before
    assert_nothing_left(host)


# What logins wrote during a change


def used(host: Host, person: Person) -> bool:
    """Whether somebody has logged in with the credential."""
    return len(host.read(f"/etc/oath/{person.name}").split()) > 4


def test_code_used_before_a_change_was_put_back_stays_used(host: Host, person: Person) -> None:
    assert module(host, "twofactor", options(person)).ok
    assert module(host, "twofactor", options(person, rollback_after=600, window=2)).ok
    ssh.fresh_step(at_least=15)
    code = person.code()
    assert person.by_key(code).ok
    roll_back_now(host)
    assert used(host, person)
    assert not person.by_key(code).ok
    assert person.by_key(person.code(steps=1)).ok


def test_new_credential_that_somebody_has_used_survives_being_put_back(host: Host, person: Person) -> None:
    assert module(host, "twofactor", options(person, rollback_after=600)).ok
    ssh.fresh_step(at_least=15)
    code = person.code()
    assert person.by_key(code).ok
    roll_back_now(host)
    assert_off(person)
    assert used(host, person)
    assert module(host, "twofactor", options(person)).ok
    assert not person.by_key(code).ok


def test_spent_recovery_code_stays_spent_when_a_new_key_is_put_back(host: Host, person: Person) -> None:
    """The credential's second line has counter-based codes; RFC 4226, appendix D, lists them for this key."""
    assert module(host, "twofactor", options(person)).ok
    line = f"HOTP/E {person.name} - {b'12345678901234567890'.hex()}\n"
    host.write(f"/etc/oath/{person.name}", host.read(f"/etc/oath/{person.name}").decode() + line, 0o600)
    renewed = new_secret(person)
    assert module(host, "twofactor", options(renewed, rollback_after=600)).ok
    assert person.by_key("755224").ok
    roll_back_now(host)
    assert not person.by_key("755224").ok
    assert person.by_key("287082").ok


def test_new_key_that_nobody_has_used_is_put_back(host: Host, person: Person) -> None:
    assert module(host, "twofactor", options(person)).ok
    assert module(host, "twofactor", options(new_secret(person), rollback_after=600)).ok
    assert not person.by_key(person.code()).ok
    roll_back_now(host)
    assert person.by_key(person.code()).ok


def new_secret(person: Person) -> Person:
    """The same person with another secret."""
    return Person(person.name, person.host, person.key, PASSWORD)
