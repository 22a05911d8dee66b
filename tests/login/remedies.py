# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refusals, and the remedies that they name, carried out as written."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable

from hosts import Host
from login.modules import module, options
from login.people import Person, new_person

Options = dict[str, t.Any]
Remedy = Callable[[Host, Person, str], Options]
"""Carries out what a message says for a person, and returns the options that replace others in the next run."""


def using(**instead: t.Any) -> Remedy:
    """A remedy of other options, in which NAME stands for the person whom the refusal names."""

    def remedy(_host: Host, other: Person, _said: str) -> Options:
        return {
            option: [other.name if one == "NAME" else one for one in value] if isinstance(value, list) else value
            for option, value in instead.items()
        }

    return remedy


def on_the_host(script: str) -> Remedy:
    """A remedy of a shell script, in which $1 is the person whom the refusal names, and $2 the refusal's text."""

    def remedy(host: Host, other: Person, said: str) -> Options:
        host.run("sh", "-euc", script, "sh", other.name, said)
        return {}

    return remedy


def both(first: Remedy, second: Remedy) -> Remedy:
    """Two remedies that have to be carried out together."""
    return lambda host, other, said: {**first(host, other, said), **second(host, other, said)}


def enrolled(_host: Host, other: Person, _said: str) -> Options:
    """A remedy that enrols the person whom the refusal names."""
    return {"more": [other.entry]}


def command_in_the_message(pattern: str) -> Remedy:
    """A remedy that runs, on the host, the command which this pattern finds in the message."""

    def remedy(host: Host, _other: Person, said: str) -> Options:
        found = re.search(pattern, said)
        assert found, said
        host.run(found[1])
        return {}

    return remedy


class Case(t.NamedTuple):
    """The state in which a host is refused, what the refusal says, and all the remedies it names.

    In `script`, $1 is the person whom the refusal names.
    """

    script: str
    said: str
    remedies: tuple[Remedy, ...]
    options: Options | None = None
    account: Options | None = None
    """How to make the person whom the refusal names, if that is not alice."""
    entry: Options | None = None
    """The entry of that person in `users`, without the name; SECRET stands for the person's secret."""
    host: str = "debian13"
    """The kind of host on which the case is tried."""


SAVE = "mkdir /root/before && cp -a /etc/pam.d /etc/ssh /etc/group /etc/gshadow /root/before"
RESTORE = """
[ ! -d /run/systemd/away ] || mv /run/systemd/away /run/systemd/system
chattr -f -ia /etc/pam.d/sshd
rm -rf /etc/oath /etc/cockpit /root/.ssh /etc/sudoers.d/corp /usr/lib/pam.d/site
userdel gone
for name in pam.d ssh group gshadow; do rm -rf /etc/$name; cp -a /root/before/$name /etc; done
"""


def carry_out(host: Host, alice: Person, case: Case) -> None:
    """Check that a host is refused, and that after each of the remedies the next run succeeds; see `SAVE`."""
    other = alice if case.account is None else new_person(host, **case.account)
    given = dict(case.options or {})
    more = [other.entry] if given.pop("both", False) else []
    named = given.pop("users", [])

    def wanted(entry: Options | None, instead: Options) -> Options:
        of_other = [] if entry is None else [_filled(entry, other)]
        of_alice = [] if of_other and other is alice else [alice.entry]
        users = [*of_alice, *more, *of_other, *(named if "users" not in instead else []), *instead.pop("more", [])]
        return {**options(users=users, seen_days=0, **given), **instead, "users": users}

    def beforehand() -> None:
        host.run("sh", "-euc", case.script, "sh", other.name)

    try:
        host.run(SAVE)
        beforehand()
        refused = module(host, "twofactor", wanted(case.entry, {}), check=True)
        assert not refused.ok, refused.output
        assert case.said.format(name=other.name, host=host.name) in refused.message, refused.message
        for remedy in case.remedies:
            instead = remedy(host, other, refused.message)
            entry = instead.pop("entry", case.entry)
            done = module(host, "twofactor", wanted(entry, instead), check=True)
            assert done.ok, done.output
            host.run(RESTORE, check=False)
            beforehand()
    finally:
        host.run(RESTORE, check=False)
        host.run("rm", "-r", "/root/before")
        if other is not alice:
            host.run("userdel", "--force", "--remove", other.name)


def _filled(entry: Options, person: Person) -> Options:
    """An entry of `users` with the person's name, and with the secret in place of SECRET."""

    def filled(value: t.Any) -> t.Any:
        if isinstance(value, list):
            return [*map(filled, value)]
        if isinstance(value, dict):
            return {key: filled(one) for key, one in value.items()}
        return person.secret if value == "SECRET" else value

    return {"name": person.name, **filled(entry)}
