# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kinds of change that are struck, the states of a host before and after them, and what comes next."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from .policy import OFF, Phone, Policy, Question

DIRECTORY = "/srv/faults"
JOURNAL = "/var/lib/fleet-auth/undo"
UNDO = f"{JOURNAL}.sh"
RECOVER = "/usr/local/sbin/twofactor-recover"
SECRETS = {
    "alice": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXA",
    "bob": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXB",
    "dora": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXC",
    "erin": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXD",
    "kept": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXE",
}
KAYS_KEY = "the security key of kay"
"""Placeholder for the key in the options until the key exists."""
SECURITY_KEY = (
    "sk-ssh-ed25519@openssh.com "
    "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAAAABHNzaDo="
)
"""A key of nobody. For these trials a list of keys is a file like any other."""
TIMER_SECONDS = 15
_UNCONFIRMED_SECONDS = 3600


def _users(*names: str, holder: str = "") -> list[dict[str, t.Any]]:
    """These users with their secrets; `holder` has a security key."""
    return [
        {"name": name, "secret": SECRETS[name], "security_keys": [SECURITY_KEY] if name == holder else []}
        for name in names
    ]


_ENABLED: dict[str, t.Any] = {
    "ssh": True,
    "services": [],
    "scope": "enrolled",
    "users": _users("alice", "bob", "dora", holder="alice"),
    "exempt_users": ["ansible"],
    "exempt_addresses": ["192.0.2.0/24"],
    "require_proof": False,
    "renew": "changed",
    "self_service": True,
}
# A change in every kind of file: credentials, lists, drop-in, switch, and another service.
_CHANGED: dict[str, t.Any] = {
    **_ENABLED,
    "services": ["su"],
    "users": [
        *_users("alice", "bob", "erin", holder="bob"),
        {"name": "kay", "security_keys": [KAYS_KEY], "security_keys_only": True},
    ],
    "exempt_users": ["ansible", "dora"],
    "exempt_addresses": ["198.51.100.0/24"],
    "ssh_first_factors": ["publickey"],
    "interval": 60,
    "window": 2,
    "lockout": {"attempts": 7},
}
_OPTIONS: dict[str, dict[str, t.Any]] = {
    "enable": _ENABLED,
    "settings": _CHANGED,
    "digits": {**_ENABLED, "otp_digits": 8},
    "move": {**_ENABLED, "backend": "google_authenticator"},
    "disable": {"enabled": False},
}


def modules(kays_key: str) -> dict[str, dict[str, t.Any]]:
    """The options of each module that is run, by the name of its file in `DIRECTORY`, with kay's key filled in.

    `NAME` is complete when it ends. `NAME-unconfirmed` waits for its confirmation for longer than a trial takes.
    `NAME-timed` is put back in the middle of a trial.
    """
    waits = {"": 0, "-unconfirmed": _UNCONFIRMED_SECONDS, "-timed": TIMER_SECONDS}
    given = json.loads(json.dumps(_OPTIONS).replace(KAYS_KEY, kays_key))
    return {
        name + suffix: {**options, "rollback_after": seconds}
        for name, options in given.items()
        for suffix, seconds in waits.items()
    }


def _unconfirmed(name: str) -> tuple[str, ...]:
    """The command for a change that waits for its confirmation and whose run ended long ago."""
    return "sh", "-c", f"python3 {DIRECTORY}/{name}-unconfirmed && sed -i '/^done/d' /var/lib/fleet-auth/undo"


def module(name: str) -> tuple[str, ...]:
    """The command that runs a module."""
    return "/usr/bin/python3", f"{DIRECTORY}/{name}"


@dataclass(frozen=True)
class State:
    """A state of a host in which trials begin or end."""

    name: str
    begin: State | None
    """The state that this one is made from."""
    command: tuple[str, ...]
    """The command that makes it."""
    policy: Policy

    def __str__(self) -> str:
        return self.name


_ON = Policy.of("alice", "bob", "dora")
_LATER = Policy.of("alice", "bob", "erin", factors="key", phone=Phone(interval=60), alone=("kay",))
_KEPT_HISTORY = (
    "printf 'HOTP/T30\\tkept\\t-\\t3132333435363738393031323334353637383930\\t0\\t755224\\t2026-11-24T03:00:00L\\n' "
    f">/etc/oath/kept && chmod 0600 /etc/oath/kept && python3 {DIRECTORY}/enable"
)

PRISTINE = State("pristine", None, (), OFF)
ENABLED = State("enabled", PRISTINE, module("enable"), _ON)
ENABLED_UNCONFIRMED = State("enabled, unconfirmed", PRISTINE, _unconfirmed("enable"), _ON)
# An account that is not in the variables has logged in.
LIVED_IN = State("lived in", ENABLED, ("sh", "-c", _KEPT_HISTORY), _ON)
CHANGED = State("changed", LIVED_IN, module("settings"), _LATER)
CHANGED_UNCONFIRMED = State("changed, unconfirmed", LIVED_IN, _unconfirmed("settings"), _LATER)
LONGER = State("longer codes", LIVED_IN, module("digits"), Policy.of("alice", "bob", "dora", phone=Phone(digits=8)))
MOVED = State("moved", LIVED_IN, module("move"), _ON)
# Dora has logged in with the other backend, so her credential is no longer what the change made of it.
_LOGIN = "sed -i 's/^\" DISALLOW_REUSE.*/\" DISALLOW_REUSE 58000000/' /etc/google-authenticator/dora"
MOVED_UNCONFIRMED = State(
    "moved, unconfirmed",
    LIVED_IN,
    ("sh", "-c", f"python3 {DIRECTORY}/move-unconfirmed && {_LOGIN}"),
    _ON,
)
MOVED_BACK = State("moved back", MOVED_UNCONFIRMED, ("sh", UNDO), _ON)
MOVED_AGAIN = State("moved again", MOVED_BACK, module("move"), _ON)
DISABLED = State("disabled", CHANGED, module("disable"), OFF)
RECOVERED = State("recovered", LIVED_IN, (RECOVER,), OFF)
ALICE_RECOVERED = State("alice recovered", LIVED_IN, (RECOVER, "--user", "alice"), Policy.of("bob", "dora"))


@dataclass(frozen=True)
class Ending:
    """What comes after a change that was struck, and the state in which it leaves the host."""

    name: str
    state: State
    command: tuple[str, ...] = ()
    """Empty for the timer and for a boot."""
    exact: bool = True
    """Whether the files are those of the state; otherwise only its policy is in force."""
    leaves: tuple[str, ...] = ()
    """Files that it may leave for the next run."""


@dataclass(frozen=True)
class Kind:
    """A kind of change."""

    name: str
    begin: State
    command: tuple[str, ...]
    after: State
    """State of the host after the change, except for files that only a confirmation removes."""
    endings: tuple[Ending, ...]
    """The first one is the usual one."""
    questions: tuple[Question, ...]
    """Logins that tell the states of the host apart. The first `always` of them are tried in each trial."""
    always: int
    noted: tuple[str, ...] = ()
    """People for whom the change records that they have used a code."""
    restores: bool = False
    """Whether a change that fails without being killed is put back."""

    def __str__(self) -> str:
        return self.name

    @property
    def states(self) -> tuple[State, ...]:
        """The states in which trials of this kind begin or end."""
        return (self.begin, self.after, *(ending.state for ending in self.endings))


def _questions(old: Phone, new: Phone, *others: Question) -> tuple[Question, ...]:
    """Alice with each first factor, without a code and with each kind of code that may be right."""
    codes = dict.fromkeys((old, new))
    return (
        Question("alice", "key"),
        *(Question("alice", "key", code) for code in codes),
        Question("alice", "password"),
        *(Question("alice", "password", code) for code in codes),
        *others,
    )


def _change(name: str, begin: State, after: State, *others: Question) -> Kind:
    questions = _questions(begin.policy.phone, after.policy.phone, *others)
    return Kind(
        name=name,
        begin=begin,
        command=module(f"{name}-unconfirmed"),
        after=after,
        endings=(
            Ending("the next run", after, module(name)),
            Ending("the timer", begin),
            Ending("twofactor-recover", RECOVERED, (RECOVER,), exact=False),
            Ending("a boot", begin),
        ),
        questions=questions,
        always=len({begin.policy.phone, after.policy.phone}) + 1,
        restores=True,
    )


# Once the journal has removed itself, it cannot be run again to remove its directory.
_ENDED = (JOURNAL.rpartition("/")[0], UNDO)
_AGAIN = ("sh", "-c", f"[ ! -e {JOURNAL} ] || sh {UNDO}")
_SHORT, _SLOW = Phone(), Phone(interval=60)
_JOINS_AND_LEAVES = (
    Question("dora", "key"),
    Question("dora", "key", _SHORT),
    Question("erin", "key"),
    Question("erin", "key", _SLOW),
)
_KEY_ALONE = (Question("kay", "security key"), Question("kay", "key"))

KINDS = {
    kind.name: kind
    for kind in (
        _change("enable", PRISTINE, ENABLED),
        _change("settings", LIVED_IN, CHANGED, *_JOINS_AND_LEAVES, *_KEY_ALONE),
        _change("digits", LIVED_IN, LONGER),
        _change("move", LIVED_IN, MOVED),
        _change("disable", CHANGED, DISABLED, *_KEY_ALONE),
        Kind(
            "confirm",
            CHANGED_UNCONFIRMED,
            module("confirm"),
            CHANGED,
            (Ending("the next run", CHANGED, module("settings")),),
            _questions(_SLOW, _SLOW, *_JOINS_AND_LEAVES),
            always=2,
        ),
        Kind(
            "undo enable",
            ENABLED_UNCONFIRMED,
            ("sh", UNDO),
            PRISTINE,
            (
                Ending("the journal again", PRISTINE, _AGAIN, leaves=_ENDED),
                Ending("the next run", ENABLED, module("enable")),
            ),
            _questions(_SHORT, _SHORT),
            always=2,
        ),
        Kind(
            "undo settings",
            CHANGED_UNCONFIRMED,
            ("sh", UNDO),
            LIVED_IN,
            (
                Ending("the journal again", LIVED_IN, _AGAIN, leaves=_ENDED),
                Ending("the next run", CHANGED, module("settings")),
            ),
            _questions(_SHORT, _SLOW, *_JOINS_AND_LEAVES, *_KEY_ALONE),
            always=3,
        ),
        Kind(
            "undo move",
            MOVED_UNCONFIRMED,
            ("sh", UNDO),
            MOVED_BACK,
            (
                Ending("the journal again", MOVED_BACK, _AGAIN, leaves=_ENDED),
                Ending("the next run", MOVED_AGAIN, module("move")),
            ),
            _questions(_SHORT, _SHORT),
            always=2,
            noted=("dora",),
        ),
        Kind(
            "recover",
            LIVED_IN,
            (RECOVER,),
            RECOVERED,
            (Ending("twofactor-recover", RECOVERED, (RECOVER,)), Ending("the next run", LIVED_IN, module("enable"))),
            _questions(_SHORT, _SHORT),
            always=2,
        ),
        Kind(
            "recover alice",
            LIVED_IN,
            (RECOVER, "--user", "alice"),
            ALICE_RECOVERED,
            (
                Ending("twofactor-recover", ALICE_RECOVERED, (RECOVER, "--user", "alice")),
                Ending("the next run", LIVED_IN, module("enable")),
            ),
            _questions(_SHORT, _SHORT),
            always=2,
        ),
    )
}
