# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the reports of a fleet have in common, of whatever they tell. Pure."""

from __future__ import annotations

import re
import typing as t
from abc import abstractmethod
from dataclasses import asdict, dataclass, field, fields

from ansible_collections.fleet.auth.plugins.plugin_utils._visible import in_one_line

Answer = t.Mapping[str, t.Any]
"""What a module has returned for a host."""


LOST = "lost"
"""What an answer has in it of a host that was not reached, where a report tells of that."""
_MOST = 1e12


@dataclass(frozen=True)
class Line:
    """One host."""

    host: str
    notes: tuple[str, ...] = field(default=(), kw_only=True)
    """Sentences that say more than a word can."""

    def __post_init__(self) -> None:
        """Make what came from a host fit for a terminal, a page, XML and JSON.

        Raises ValueError for a number that is none; Python itself does not write one of thousands of digits.
        """
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, tuple):
                object.__setattr__(self, one.name, tuple(in_one_line(str(text)) for text in value))
            elif isinstance(value, str):
                object.__setattr__(self, one.name, in_one_line(value))
            elif value is not None and not abs(value) <= _MOST:
                raise ValueError(f"{one.name} is too large")

    @property
    @abstractmethod
    def word(self) -> str:
        """What is said of the host in a word."""

    @property
    @abstractmethod
    def cells(self) -> tuple[str, ...]:
        """What stands in the columns of a table."""


L = t.TypeVar("L", bound=Line)

_WORD = re.compile(r"[\w.-]+")
_NAMED = 5
"""How many hosts of a note are named."""
_WIDEST = 100
"""How wide a column is at most. A longer cell is shown whole, and moves what is behind it in its own line alone."""


def was_reached(answer: Answer | None) -> t.TypeGuard[Answer]:
    """Whether the host was asked, and could be."""
    return answer is not None and not answer.get("unreachable") and not answer.get(LOST)


def notes_of(answer: Answer | None) -> tuple[str, ...]:
    """What a host has said in place of an answer, in one line."""
    message = (answer or {}).get("msg")
    return (str(message),) if message else ()


UNREADABLE = "What it answered cannot be read as an answer of the module. Nothing of it is told here."


def enforced(answer: Answer, *, on: bool = True) -> tuple[str, ...]:
    """The services that ask for a code; or those that do not."""
    return tuple(name for name, asks in answer.get("enforced", {}).items() if bool(asks) is on)


def asks(answer: Answer) -> str:
    """The services that ask for a code, and whom they leave out, for a cell of a table; empty where nobody knows."""
    if "asks" not in answer:
        return ""
    but = f" (not {', '.join(answer['let_off'])})" if answer["let_off"] else ""
    return f"{', '.join(answer['asks']) or 'nothing'}{but if answer['asks'] else ''}"


def factors(user: Answer) -> str:
    """What somebody has as a second factor on a host: `2 keys, code`; empty for nothing."""
    keys = len(user.get("security_keys", ()))
    has = [f"{keys} {'key' if keys == 1 else 'keys'}"] if keys else []
    return ", ".join([*has, "code"] if user["enrolled"] else has)


def refused(answer: Answer) -> tuple[str, ...]:
    """The accounts that refusals are about which do not name them all."""
    return _of_many(answer.get("refused", ()))


def warned(answer: Answer) -> tuple[str, ...]:
    """The same of warnings."""
    return _of_many(answer.get("warned", ()))


def _of_many(sentences: t.Iterable[Answer]) -> tuple[str, ...]:
    return tuple(sorted({user for one in sentences for user in one["users"]}))


def to_do(answer: Answer) -> tuple[str, ...]:
    """What a run would do, in its order."""
    return (*(f"install {package}" for package in answer["missing_packages"]), *answer["changes"])


def counts(words: t.Iterable[str], lines: t.Sequence[Line]) -> dict[str, int]:
    """How many hosts there are of each word."""
    return {word: sum(one.word == word for one in lines) for word in words}


def summary(words: t.Iterable[str], lines: t.Sequence[Line]) -> dict[str, t.Any]:
    """The report as data: how many hosts there are, and of each word, and every line."""
    return {"hosts": len(lines), **counts(words, lines), "lines": [asdict(one) for one in lines]}


def worst_first(words: t.Iterable[str], lines: t.Sequence[L]) -> list[L]:
    """The lines in the order of these words, and among them as they were."""
    order = {word: number for number, word in enumerate(words)}
    return sorted(lines, key=lambda one: order[one.word])


def gathered(said: t.Iterable[tuple[str, str]]) -> list[tuple[list[str], str]]:
    """Which hosts say the same, and what it is; a host's own name in it makes no difference.

    :param said: names of hosts, each with what it says.
    """
    hosts: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for host, text in said:
        same = re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", "the host", text)
        hosts.setdefault(same, []).append(host)
        first.setdefault(same, text)
    return [(names, first[same] if len(names) == 1 else same) for same, names in hosts.items()]


def names_another(text: str, host: str, hosts: t.Iterable[str]) -> bool:
    """Whether what a host says has the name of another of these hosts in it, or its first part."""
    words = {word.strip(".-") for word in _WORD.findall(text)}
    return any(not words.isdisjoint((one, one.partition(".")[0])) for one in hosts if one != host)


def grouped(lines: t.Sequence[Line]) -> list[str]:
    """The notes, those of several hosts that say the same as one."""
    notes = gathered((one.host, note) for one in lines for note in one.notes)
    return [f"{enumerated(names, ', ')}: {note}" for names, note in notes]


def enumerated(names: t.Sequence[str], last: str = " and ", most: int = _NAMED) -> str:
    """The first names of these hosts, and how many more there are; `last` stands before the last one of few."""
    if len(names) > most + 1:
        return f"{', '.join(names[:most])} and {len(names) - most} more hosts"
    return last.join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def table(
    headings: tuple[str, ...],
    words: t.Iterable[str],
    lines: t.Sequence[L],
    notes: t.Callable[[t.Sequence[L]], list[str]] = grouped,
) -> str:
    """The report for a terminal: a line a host in columns, the worst first; below them the notes, and the counts.

    Words that are said of no host are not told, nor is a column without a heading.

    :param notes: tells what is said of the lines in the order of the table, a paragraph each.
    """
    words = tuple(words)
    lines = worst_first(words, lines)
    shown = [column for column, heading in enumerate(headings) if heading]
    rows = [[row[column] for column in shown] for row in (headings, *(one.cells for one in lines))]
    widths = [min(_WIDEST, max(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
    columns = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    told = ", ".join(f"{count} {word}" for word, count in counts(words, lines).items() if count)
    number = "1 host" if len(lines) == 1 else f"{len(lines)} hosts"
    parts = [columns, notes(lines), [f"{number}: {told}" if lines else "No hosts."]]
    return "\n\n".join("\n".join(part) for part in parts if part)
