# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of a report on one person: the state on each host. Also the states of all people on all hosts. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.fleet.auth.plugins.plugin_utils import _report
from ansible_collections.fleet.auth.plugins.plugin_utils._visible import in_one_line

STATES = {
    "unknown": "is on a host that could not be asked, or could not answer",
    "locked": "cannot log in with any code for a while, after too many wrong ones",
    "shut out": "has no credential, and so cannot log in where everybody is asked for a code",
    "let off": "is asked for no code, because of twofactor-recover",
    "enrolled": "has a credential, but no code was right yet",
    "proven": "has a credential, and a code was right",
    "keys alone": "logs in with security keys, and has no credential",
    "not enrolled": "has no credential",
}
"""The states that a person can have on a host, the worst first."""


@dataclass(frozen=True)
class Line(_report.Line):
    """One host."""

    state: str
    factors: str = ""
    """The person's second factors there, such as `2 keys, code`."""
    devices: tuple[str, ...] = ()
    """The names of further devices."""
    recovery_codes_left: str = ""
    pass_until: str = ""

    @property
    def word(self) -> str:
        """The person's state there."""
        return self.state

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns of the table."""
        return (self.host, self.state, self.factors, ", ".join(self.devices), self.recovery_codes_left, self.pass_until)


def everybody(answer: _report.Answer) -> list[tuple[str, str]]:
    """All people whom a host reports, each with the state there."""
    unlisted = _Unlisted.of(answer)
    names = dict.fromkeys([*answer["users"], *answer["let_off"], *unlisted.shut_out])
    return [(name, _state(answer["users"].get(name), name, unlisted)) for name in names]


def people(entries: t.Iterable[tuple[str, str, str]]) -> list[dict[str, t.Any]]:
    """The fleet by person, the worst first: `name`, the worst `state`, and `where`, the hosts for each state.

    entries: triples of host, person and state, in the order of the hosts.
    """
    by_name: dict[str, dict[str, list[str]]] = {}
    for host, name, state in entries:
        by_name.setdefault(name, {}).setdefault(state, []).append(host)
    order = {state: number for number, state in enumerate(STATES)}
    lines = []
    for name, by_state in by_name.items():
        states = sorted(by_state, key=lambda state: order.get(state, 0))
        where = [{"state": state, "hosts": by_state[state]} for state in states]
        lines.append({"name": name, "state": states[0], "where": where})
    return sorted(lines, key=lambda one: (order.get(one["state"], 0), -len(one["where"][0]["hosts"]), one["name"]))


def line(host: str, answer: _report.Answer | None, name: str) -> Line:
    """The line of a person on one host, from its answer of twofactor_info. Never fails, whatever the host said."""
    try:
        return _line(host, answer, name)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return Line(host, "unknown", notes=(_report.UNREADABLE,))


def _line(host: str, answer: _report.Answer | None, name: str) -> Line:
    """The line of a person on one host; an error if the answer is unreadable."""
    if not _report.was_reached(answer) or "users" not in answer:
        return Line(host, "unknown", notes=_report.notes_of(answer))
    user = answer["users"].get(name)
    state = _state(user, name, _Unlisted.of(answer))
    if user is None:
        return Line(host, state)
    return Line(
        host,
        state,
        factors=_report.factors(user),
        devices=tuple(user["devices"]),
        recovery_codes_left=str(user["recovery_codes_left"] or ""),
        pass_until=str(user["pass_until"] or ""),
    )


class _Unlisted(t.NamedTuple):
    """People whom a host reports outside of `users`. Dictionaries, since thousands may be looked up."""

    let_off: t.Collection[str]
    shut_out: t.Collection[str]

    @classmethod
    def of(cls, answer: _report.Answer) -> _Unlisted:
        return cls(
            dict.fromkeys(answer["let_off"]), dict.fromkeys(one["user"] for one in answer["would_be_locked_out"])
        )


def _state(user: _report.Answer | None, name: str, unlisted: _Unlisted) -> str:
    """The state of a person. user: the host's entry for the person in `users`, or None."""
    if name in unlisted.let_off or (user and user["recovered"]):
        return "let off"
    if user and user["enrolled"]:
        return "locked" if user["locked"] else "proven" if user["proven"] else "enrolled"
    if user and user.get("security_keys_only"):
        return "keys alone"
    return "shut out" if name in unlisted.shut_out else "not enrolled"


def table(lines: t.Sequence[Line], name: str) -> str:
    """The report of a person for a terminal."""
    headings = (f"{in_one_line(name)} on", "state", "has", "devices", "recovery codes", "pass until")
    return _report.table(
        headings, STATES, lines, lambda ordered: [*_unheard_of(ordered, name), *_report.grouped(ordered)]
    )


def _unheard_of(lines: t.Sequence[Line], name: str) -> list[str]:
    """A note if no host knows anything of this person."""
    asked = [one for one in lines if one.state != "unknown"]
    if not asked or any(one.state != "not enrolled" for one in asked):
        return []
    return [f"No host that could be asked has a credential of {in_one_line(name)}. Check the name."]
