# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where one person is enrolled, proven, locked or let off, as the lines of a report. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.fleet.auth.plugins.plugin_utils import _report

STATES = {
    "unknown": "the host could not be asked, or could not tell",
    "locked": "waits after too many wrong codes",
    "let off": "is asked for no code, by twofactor-recover",
    "enrolled": "has a credential, and no code was right yet",
    "proven": "has a credential, and a code was right",
    "keys alone": "logs in with security keys, and has no credential",
    "not enrolled": "has no credential",
}
"""What can be said of a person on a host in a word, the worst first."""


@dataclass(frozen=True)
class Line(_report.Line):
    """One host."""

    state: str
    factors: str = ""
    """What the person has there: security keys, a code."""
    devices: tuple[str, ...] = ()
    """Further devices."""
    recovery_codes_left: str = ""
    pass_until: str = ""

    @property
    def word(self) -> str:
        """How the person is there."""
        return self.state

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns of the table."""
        return (self.host, self.state, self.factors, ", ".join(self.devices), self.recovery_codes_left, self.pass_until)


def line(host: str, answer: _report.Answer | None, name: str) -> Line:
    """How a person is on one host, by what it returned from twofactor_info. Never fails for what a host said."""
    try:
        return _line(host, answer, name)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return Line(host, "unknown", notes=(_report.UNREADABLE,))


def _line(host: str, answer: _report.Answer | None, name: str) -> Line:
    if not _report.was_reached(answer) or "users" not in answer:
        return Line(host, "unknown", notes=_report.notes_of(answer))
    off = name in answer["let_off"]
    user = answer["users"].get(name)
    if user is None:
        return Line(host, "let off" if off else "not enrolled")
    return Line(
        host,
        _state(user, off=off),
        factors=_report.factors(user),
        devices=tuple(user["devices"]),
        recovery_codes_left=str(user["recovery_codes_left"] or ""),
        pass_until=str(user["pass_until"] or ""),
    )


def _state(user: t.Mapping[str, t.Any], *, off: bool) -> str:
    if off or user["recovered"]:
        return "let off"
    if not user["enrolled"]:
        return "keys alone" if user.get("security_keys_only") else "not enrolled"
    if user["locked"]:
        return "locked"
    return "proven" if user["proven"] else "enrolled"


def table(lines: t.Sequence[Line]) -> str:
    """The report for a terminal."""
    return _report.table(("host", "state", "has", "devices", "recovery codes", "pass until"), STATES, lines)
