# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ssh in a terminal, where the host asks for a code, or for none because the person has a security key.

The images are docs/images/ssh.png and security-keys.png.
"""

from __future__ import annotations

import os
import shlex
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import hosts
from browser.terminal import picture, typed
from hosts import PATIENCE, Host
from login import ssh
from login.modules import turn_on
from login.people import PASSWORD, Person, inventory_path
from login.policy import off
from login.security_keys import authenticator, authorize, security_keys


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    fleet = hosts.of_this_checkout("terminal")
    machines = hosts.up(fleet, {"web1": "debian13"})
    hosts.inventory(machines, inventory_path(fleet))
    machines[0].install("libpam-oath")
    off(machines[0])
    yield machines[0]
    hosts.down(fleet)


@pytest.fixture(scope="module")
def people(host: Host) -> tuple[Person, Person]:
    """Alice and Bob, who are asked for codes and see no message of the day."""
    alice, bob = Person("alice", host, host.key), Person("bob", host, host.key)
    for person in (alice, bob):
        host.add_user(person.name, person.password, host.key.with_suffix(".pub"))
        host.run("touch", f"/home/{person.name}/.hushlogin")
    turn_on(host, alice, bob)
    ssh.fresh_step(at_least=15)
    return alice, bob


@pytest.fixture(scope="module")
def by_name(host: Host, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options with which ssh knows the host by its name, as for users, and connects to the container."""
    known = tmp_path_factory.mktemp("ssh") / "known_hosts"
    known.write_text(host.key.with_name("known_hosts").read_text().replace(f"[{host.address}]:{host.port}", host.name))
    relay = f"docker exec -i {host.container} bash -c 'exec 3<>/dev/tcp/127.0.0.1/22; cat <&3 & cat >&3'"
    return ["-o", f'UserKnownHostsFile="{known}"', "-o", f"ProxyCommand={relay}"]


Session = t.Callable[..., str]


@pytest.fixture
def session(host: Host, by_name: list[str]) -> Session:
    """Return a function that types these answers in a terminal and returns all that the terminal shows."""

    def session(person: Person, *answers: str, key: bool = False, device: Path | None = None) -> str:
        identity = ["-i", device.name] if device else ["-i", "key"] if key else []
        settings = [
            "NumberOfPasswordPrompts=1",
            f"IdentityFile={device.name if device else person.key if key else 'none'}",
        ]
        settings += [f"SecurityKeyProvider={authenticator()}"] if device else []
        options = [*by_name, *host.ssh_options, *(word for setting in settings for word in ("-o", setting))]
        who = f"{person.name}@{host.name}"
        environment = {**os.environ, "TERM": "dumb"}
        where = device and device.parent
        return typed(
            ["ssh", *options, who],
            shlex.join(["ssh", *identity, who]),
            *answers,
            cwd=where,
            env=environment,
            timeout=PATIENCE,
        )

    return session


def test_terminal_shows_prompts_and_results(browser: Browser, people: tuple[Person, Person], session: Session) -> None:
    alice, bob = people
    by_password = session(alice, PASSWORD, alice.code(), "exit")
    by_key = session(bob, bob.code(), "exit", key=True)
    denied = session(bob, bob.code(steps=1000), key=True)
    end = "exit\nlogout\nConnection to web1 closed.\n"
    assert by_password == (
        "$ ssh alice@web1\n"
        "(alice@web1) Password: \n"
        "(alice@web1) One-time password (OATH) for `alice': \n"
        f"alice@web1:~$ {end}"
    )
    asked = "$ ssh -i key bob@web1\n(bob@web1) One-time password (OATH) for `bob': \n"
    assert by_key == f"{asked}bob@web1:~$ {end}"
    assert denied == f"{asked}bob@web1: Permission denied (keyboard-interactive).\n"

    picture(browser, "ssh.png", by_password, by_key, denied)


def test_terminal_shows_security_keys_beside_codes_and_alone(
    browser: Browser, host: Host, people: tuple[Person, Person], session: Session
) -> None:
    carol, dave = Person("carol", host, host.key), Person("dave", host, host.key)
    with security_keys("id_ed25519_sk") as (key,):
        for person in (carol, dave):
            host.add_user(person.name, person.password, host.key.with_suffix(".pub"))
            host.run("touch", f"/home/{person.name}/.hushlogin")
        authorize(carol, key)
        declared = [{"security_keys": [key.line], "security_keys_only": person is dave} for person in (carol, dave)]
        users: list[dict[str, t.Any]] = [dict(person.entry) for person in people]
        users += [{**carol.entry, **declared[0]}, {"name": dave.name, **declared[1]}]
        turn_on(host, *people, users=users)
        beside = session(carol, "exit", device=key.path)
        without = session(carol, carol.code(), "exit", key=True)
        alone = session(dave, "exit", device=key.path)
        denied = session(dave)
    # A real device asks for its PIN first; the software authenticator has no PIN.
    touch = "Confirm user presence for key ED25519-SK SHA256:"
    for shown, name in ((beside, "carol"), (alone, "dave")):
        assert shown.startswith(f"$ ssh -i id_ed25519_sk {name}@web1\n{touch}"), shown
        assert "One-time password" not in shown
        assert shown.endswith(f"{name}@web1:~$ exit\nlogout\nConnection to web1 closed.\n")
    assert "One-time password" in without
    assert denied == "$ ssh dave@web1\ndave@web1: Permission denied (publickey).\n"
    picture(browser, "security-keys.png", beside, without, alone, denied)
