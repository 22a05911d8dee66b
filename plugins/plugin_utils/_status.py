# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of the status report: the state of two-factor login on each host of a fleet. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, fields

from ansible_collections.fleet.auth.plugins.plugin_utils import _person, _report

VERDICTS = {
    "unreachable": "could not be asked",
    "failed": "could not report its state",
    "pending": "has a change that is not confirmed yet, or that was interrupted",
    "open": "is set up to ask for codes, but lets people in without one",
    "shut": "denies everybody who needs a code",
    "refused": "would not be changed by a run, which refuses the change",
    "drift": "differs from what the variables describe, or from what the last run left",
    "on": "asks for codes",
    "off": "asks for no codes, as wanted",
}
"""The states of a host in a word, the worst first."""


@dataclass(frozen=True)
class Line(_report.Line):
    """One host. What is not known is None or empty.

    The notes say why a run would refuse it, what has drifted, and what it said in place of an answer.
    """

    verdict: str
    asks: str = ""
    """Which services ask for codes, and the accounts that are let off."""
    not_asking: tuple[str, ...] = ()
    """Services that should ask for codes and ask nobody. If somebody is let off, a service asks but is not enforced."""
    enforced: tuple[str, ...] = ()
    not_enforced: tuple[str, ...] = ()
    enrolled: int | None = None
    proven: int | None = None
    with_keys: tuple[str, ...] = ()
    """People with security keys, each with all second factors, such as `alice: 2 keys, code`."""
    exempt: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    """All accounts of those refusals that name only the first ten."""
    warned: tuple[str, ...] = ()
    """All accounts of those sentences about drift that name only the first ten."""
    would_be_locked_out: tuple[str, ...] = ()
    recovery_codes_left: int | None = None
    clock_error_seconds: float | None = None
    clock: str = ""
    covered: tuple[str, ...] = ()
    """The ways in that ask for a code."""
    open: tuple[str, ...] = ()
    """The ways in from the network that ask for no code, with what they reach."""
    unknown: tuple[str, ...] = ()
    """The ways in of which it is not known, those from the network first."""
    open_inside: tuple[str, ...] = ()
    """The ways in that ask for no code, for people who are at the machine or already logged in to it."""
    people: tuple[str, ...] = ()
    """The state of each person there, such as `locked: alice`."""

    @property
    def word(self) -> str:
        """The worst state of the host."""
        return self.verdict

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns of the table."""
        known = self.enrolled is not None
        error = self.clock_error_seconds
        return (
            self.host,
            self.verdict,
            self.asks,
            str(self.enrolled) if known else "",
            str(self.proven) if known else "",
            str(len(self.with_keys)) if known else "",
            str(len(self.exempt)) if known else "",
            ", ".join(self.locked) or ("-" if known else ""),
            str(len(self.would_be_locked_out)) if known else "",
            f"{error:.3f} s" if error is not None else self.clock and "not in sync",
        )


def line(host: str, answer: _report.Answer | None) -> Line:
    """The line of one host. Never fails, whatever the host said.

    :param answer: what twofactor_info has returned for the host; None if it did not run.
    """
    try:
        return _line(host, answer)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return Line(host, "failed", notes=(_report.UNREADABLE,))


def _line(host: str, answer: _report.Answer | None) -> Line:
    """The line of one host; an error if the answer is unreadable."""
    if not _report.was_reached(answer):
        return Line(host, "unreachable", notes=_report.notes_of(answer))
    if "users" not in answer:
        return Line(host, "failed", notes=_report.notes_of(answer))
    users, clock = answer["users"], answer["time_sync"] or {}
    return Line(
        host,
        _verdict(answer),
        asks=_report.asks(answer),
        not_asking=tuple(service for service in answer["enforced"] if service not in answer["asks"]),
        enforced=_report.enforced(answer),
        not_enforced=_report.enforced(answer, on=False),
        enrolled=sum(user["enrolled"] for user in users.values()),
        proven=sum(user["proven"] for user in users.values()),
        with_keys=tuple(
            f"{name}: {_report.factors(user)}" for name, user in users.items() if user.get("security_keys")
        ),
        exempt=tuple(answer["exempt"]),
        locked=_who(users, "locked"),
        recovered=tuple(answer["let_off"]),
        refused=_report.all_users(answer, "refused"),
        warned=_report.all_users(answer, "warned"),
        would_be_locked_out=tuple(one["user"] for one in answer["would_be_locked_out"]),
        recovery_codes_left=sum(user["recovery_codes_left"] for user in users.values()),
        clock_error_seconds=clock.get("error_seconds"),
        clock=clock.get("reason", ""),
        covered=tuple(door["name"] for door in answer["doors"] if door["state"] == "covered"),
        open=_doors(answer, "open"),
        unknown=(*_doors(answer, "unknown"), *_doors(answer, "unknown", inside=True)),
        open_inside=_doors(answer, "open", inside=True),
        people=tuple(f"{state}: {name}" for name, state in _person.everybody(answer)),
        notes=(
            *_access_notes(answer),
            *answer["refusals"],
            *answer["drift"],
            *_self_made(users),
            *_invited(answer["invitations"]),
            *_denied(users),
            *_would_do(answer),
        ),
    )


def merged(hosts: t.Iterable[str], reports: t.Iterable[t.Mapping[str, t.Any]]) -> list[Line]:
    """The lines of these hosts from the reports of slices. If several have a line for a host, the last one is used.

    Raises ValueError if one of them is not a report.
    """
    by_host: dict[str, Line] = {}
    for report in reports:
        try:
            by_host.update((one["host"], _read(one)) for one in report["lines"])
        except (AttributeError, LookupError, TypeError, ValueError):
            raise ValueError("is not a report that status_report has written") from None
    return [by_host.get(host) or Line(host, "unreachable", notes=("It is in none of the slices.",)) for host in hosts]


def summary(lines: t.Sequence[Line]) -> dict[str, t.Any]:
    """The report as data."""
    return _report.summary(VERDICTS, lines)


def page(lines: t.Sequence[Line]) -> dict[str, t.Any]:
    """The data for the report's HTML page: hosts and people, the worst first, and what the words mean."""
    states = ((one.host, *_split_person(person)) for one in lines for person in one.people)
    people = [
        {**one, "where": [{**part, "hosts": _report.enumerated(part["hosts"])} for part in one["where"]]}
        for one in _person.people(states)
    ]
    data = summary(_report.worst_first(VERDICTS, lines))
    return {**data, "people": people, "verdicts": VERDICTS, "states": _person.STATES}


def _split_person(person: str) -> tuple[str, str]:
    """The name and the state of one entry of a line's `people`."""
    state, _colon, name = person.partition(": ")
    return name, state


def table(lines: t.Sequence[Line]) -> str:
    """The report for a terminal."""
    keys = "keys" if any(one.with_keys for one in lines) else ""
    headings = ("host", "state", "asks", "enrolled", "proven", keys, "exempt", "locked", "shut out", "clock")
    return _report.table(headings, VERDICTS, lines)


def _verdict(answer: _report.Answer) -> str:
    """The worst state of a host."""
    if answer["pending"]:
        return "pending"
    if answer["lets_in"]:
        return "open"
    if answer["denying"]:
        return "shut"
    if answer["refusals"]:
        return "refused"
    if answer["changes"] or answer["missing_packages"] or answer["drift"]:
        return "drift"
    return "on" if any(answer["enforced"].values()) else "off"


def _access_notes(answer: _report.Answer) -> tuple[str, ...]:
    phrases = {"lets_in": "lets people in without a code", "denying": "denies everybody who needs a code"}
    return tuple(f"{service} {what}." for key, what in phrases.items() for service in answer[key])


def _doors(answer: _report.Answer, state: str, *, inside: bool = False) -> tuple[str, ...]:
    """The ways in with this state, from the network or on the machine itself, with what they reach."""
    doors = (one for one in answer["doors"] if one["state"] == state and (one["kind"] == "local") is inside)
    return tuple(f"{one['name']} ({one['reaches']})" for one in doors)


def _would_do(answer: _report.Answer) -> tuple[str, ...]:
    done = _report.to_do(answer)
    return (f"A run would {', '.join(done)}.",) if done and not answer["refusals"] else ()


def _self_made(users: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.Iterator[str]:
    """Yield a note for each person who has enrolled alone, and whom the administrator has not accepted yet."""
    for name, user in users.items():
        day, _slash, place = (user.get("self_made") or "").partition("/")
        if day:
            accept = f"fleet.auth.accept -e user={name}"
            yield f"{name} enrolled alone on {day} ({place}), and nobody has accepted this yet: {accept}."


def _invited(invitations: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.Iterator[str]:
    """Yield a note for each invitation that was not used."""
    for name, invitation in invitations.items():
        if invitation["tries"]:
            yield f"{name} is invited to enrol until {invitation['until']}."
        else:
            yield f"the invitation of {name} is void, after too many wrong tries: fleet.auth.invite -e user={name}."


def _denied(users: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.Iterator[str]:
    """Yield a note for each person whose security key cannot be used as it is."""
    for name, user in users.items():
        day, _slash, key = (user.get("key_denied") or "").partition("/")
        if day:
            yield (
                f"the security key {key} of {name} did not ask for its PIN, and was denied on {day}: it was made "
                "without ssh-keygen -O verify-required. Make another one."
            )


def _who(users: t.Mapping[str, t.Mapping[str, t.Any]], state: str) -> tuple[str, ...]:
    return tuple(name for name, user in users.items() if user[state])


def _read(entry: t.Mapping[str, t.Any]) -> Line:
    """A line of a report that was read from a file. Raises one of several errors if it is not a line."""
    for column in fields(Line):
        value, default = entry.get(column.name, column.default), column.default
        if default == ():
            fits = isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)
        elif default is None:
            fits = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
        else:
            fits = isinstance(value, str)
        if not fits:
            raise TypeError(column.name)
    values: dict[str, t.Any] = {key: tuple(part) if isinstance(part, list) else part for key, part in entry.items()}
    read = Line(**values)
    if (
        read.verdict not in VERDICTS
        or not {_split_person(person)[1] for person in read.people} <= _person.STATES.keys()
    ):
        raise LookupError(read.verdict)
    return read
