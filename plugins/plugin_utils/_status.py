# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the hosts of a fleet said of themselves, as the lines of a report. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.fleet.auth.plugins.plugin_utils import _table

VERDICTS = {
    "unreachable": "could not be asked",
    "failed": "could not tell its state",
    "pending": "waits for a change to be confirmed, or one died half-way",
    "refused": "a run would be refused",
    "drift": "is not as the variables want it",
    "on": "asks for codes",
    "off": "asks for no codes, as wanted",
}
"""What can be said of a host in a word, the worst first."""


@dataclass(frozen=True)
class Line:
    """One host. What could not be known is None or empty."""

    host: str
    verdict: str
    enforced: tuple[str, ...] = ()
    not_enforced: tuple[str, ...] = ()
    enrolled: int | None = None
    proven: int | None = None
    exempt: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()
    would_be_locked_out: tuple[str, ...] = ()
    recovery_codes_left: int | None = None
    clock_error_seconds: float | None = None
    clock: str = ""
    notes: tuple[str, ...] = ()
    """Sentences: why it would be refused, what has drifted, what it said instead of an answer."""


def line(host: str, answer: t.Mapping[str, t.Any] | None) -> Line:
    """What one host returned from twofactor_info; None where it was not asked."""
    if answer is None or answer.get("unreachable"):
        return Line(host, "unreachable", notes=_notes((answer or {}).get("msg")))
    if "users" not in answer:
        return Line(host, "failed", notes=_notes(answer.get("msg")))
    users, clock = answer["users"], answer["time_sync"] or {}
    enforced = answer["enforced"]
    return Line(
        host,
        _verdict(answer),
        enforced=tuple(name for name, on in enforced.items() if on),
        not_enforced=tuple(name for name, on in enforced.items() if not on),
        enrolled=sum(user["enrolled"] for user in users.values()),
        proven=sum(user["proven"] for user in users.values()),
        exempt=tuple(answer["exempt"]),
        locked=_who(users, "locked"),
        recovered=_who(users, "recovered"),
        would_be_locked_out=tuple(one["user"] for one in answer["would_be_locked_out"]),
        recovery_codes_left=sum(user["recovery_codes_left"] for user in users.values()),
        clock_error_seconds=clock.get("error_seconds"),
        clock=clock.get("reason", ""),
        notes=(*answer["refusals"], *answer["drift"], *_would_do(answer)),
    )


def merged(hosts: t.Iterable[str], reports: t.Iterable[t.Mapping[str, t.Any]]) -> list[Line]:
    """The lines of these hosts from the reports of slices, of which the last that tells of a host is right.

    Raises ValueError where something is no report.
    """
    told: dict[str, Line] = {}
    for report in reports:
        try:
            told.update((one["host"], Line(**_hashable(one))) for one in report["lines"])
        except (AttributeError, KeyError, TypeError):
            raise ValueError("is not a report that status_report has written") from None
    return [told.get(host) or Line(host, "unreachable", notes=("No slice has told of it.",)) for host in hosts]


def summary(lines: t.Sequence[Line]) -> dict[str, t.Any]:
    """The report as data: how many hosts there are of each verdict, and every line."""
    return {
        "hosts": len(lines),
        **_counts(lines),
        "lines": [asdict(one) for one in lines],
    }


def table(lines: t.Sequence[Line]) -> str:
    """The report for a terminal, with the notes under it."""
    rows = [
        ("host", "state", "asks", "enrolled", "proven", "exempt", "locked", "shut out", "clock"),
        *map(_cells, lines),
    ]
    notes = ((one.host, note) for one in lines for note in one.notes)
    return _table.table(rows, notes, _counts(lines), len(lines))


def _counts(lines: t.Sequence[Line]) -> dict[str, int]:
    return {verdict: sum(one.verdict == verdict for one in lines) for verdict in VERDICTS}


def _verdict(answer: t.Mapping[str, t.Any]) -> str:
    if answer["pending"]:
        return "pending"
    if answer["refusals"]:
        return "refused"
    if answer["changes"] or answer["missing_packages"] or answer["drift"]:
        return "drift"
    return "on" if any(answer["enforced"].values()) else "off"


def _would_do(answer: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    done = [*(f"install {package}" for package in answer["missing_packages"]), *answer["changes"]]
    return (f"A run would {', '.join(done)}.",) if done and not answer["refusals"] else ()


def _who(users: t.Mapping[str, t.Mapping[str, t.Any]], state: str) -> tuple[str, ...]:
    return tuple(name for name, user in users.items() if user[state])


def _hashable(one: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in one.items()}


def _notes(message: object) -> tuple[str, ...]:
    return (" ".join(str(message).split()),) if message else ()


def _cells(one: Line) -> tuple[str, ...]:
    known = one.enrolled is not None
    error = one.clock_error_seconds
    return (
        one.host,
        one.verdict,
        ", ".join(one.enforced) or ("nothing" if known else ""),
        str(one.enrolled) if known else "",
        str(one.proven) if known else "",
        str(len(one.exempt)) if known else "",
        ", ".join(one.locked) or ("-" if known else ""),
        str(len(one.would_be_locked_out)) if known else "",
        f"{error:.3f} s" if error is not None else one.clock and "not in sync",
    )
