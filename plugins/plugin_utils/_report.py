# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The common parts of the reports on a fleet. Pure."""

from __future__ import annotations

import re
import typing as t
from abc import abstractmethod
from dataclasses import asdict, dataclass, field, fields

from ansible_collections.fleet.auth.plugins.plugin_utils._visible import in_one_line

Answer = t.Mapping[str, t.Any]
"""What a module has returned for a host."""


LOST = "lost"
"""The key in an answer that marks a host as not reached, if a report shows that later."""
_MOST = 1e12


@dataclass(frozen=True)
class Line:
    """One host."""

    host: str
    notes: tuple[str, ...] = field(default=(), kw_only=True)
    """Sentences that say more than `word` can."""

    def __post_init__(self) -> None:
        """Make the values that came from a host safe for a terminal, a page, XML and JSON.

        Raises ValueError for NaN, infinity or a huge number: Python refuses to print one with thousands of digits.
        """
        for attribute in fields(self):
            value = getattr(self, attribute.name)
            if isinstance(value, tuple):
                object.__setattr__(self, attribute.name, tuple(in_one_line(str(text)) for text in value))
            elif isinstance(value, str):
                object.__setattr__(self, attribute.name, in_one_line(value))
            elif value is not None and not abs(value) <= _MOST:
                raise ValueError(f"{attribute.name} is too large")

    @property
    @abstractmethod
    def word(self) -> str:
        """The state of the host in a word."""

    @property
    @abstractmethod
    def cells(self) -> tuple[str, ...]:
        """The columns of the table."""


L = t.TypeVar("L", bound=Line)

_WORD = re.compile(r"[\w.-]+")
_NAMED = 5
"""How many hosts a note names."""
_WIDEST = 100
"""The widest column. A longer cell is shown whole, and moves only the rest of its own line to the right."""


def was_reached(answer: Answer | None) -> t.TypeGuard[Answer]:
    """Whether the host was asked, and could be reached."""
    return answer is not None and not answer.get("unreachable") and not answer.get(LOST)


def notes_of(answer: Answer | None) -> tuple[str, ...]:
    """The message that a host gave in place of an answer, if any."""
    message = (answer or {}).get("msg")
    return (str(message),) if message else ()


UNREADABLE = "Its answer cannot be read as one of the module, and is not shown."


def enforced(answer: Answer, *, on: bool = True) -> tuple[str, ...]:
    """The services that ask for a code; or those that do not."""
    return tuple(name for name, asks in answer.get("enforced", {}).items() if bool(asks) is on)


def asks(answer: Answer) -> str:
    """The services that ask for a code, and the accounts that are let off, for a table cell; empty if not known."""
    if "asks" not in answer:
        return ""
    exception = f" (not {', '.join(answer['let_off'])})" if answer["let_off"] else ""
    return f"{', '.join(answer['asks']) or 'nothing'}{exception if answer['asks'] else ''}"


def factors(user: Answer) -> str:
    """The second factors of a person on a host, such as `2 keys, code`; empty for none."""
    keys = len(user.get("security_keys", ()))
    has = [f"{keys} {'key' if keys == 1 else 'keys'}"] if keys else []
    return ", ".join([*has, "code"] if user["enrolled"] else has)


def all_users(answer: Answer, part: str) -> tuple[str, ...]:
    """All accounts of those sentences in a part of the answer, `refused` or `warned`, that name only the first ten."""
    return tuple(sorted({user for one in answer.get(part, ()) for user in one["users"]}))


def to_do(answer: Answer) -> tuple[str, ...]:
    """What a run would do, in order."""
    return (*(f"install {package}" for package in answer["missing_packages"]), *answer["changes"])


def counts(words: t.Iterable[str], lines: t.Sequence[Line]) -> dict[str, int]:
    """How many hosts have each of these words."""
    return {word: sum(one.word == word for one in lines) for word in words}


def summary(words: t.Iterable[str], lines: t.Sequence[Line]) -> dict[str, t.Any]:
    """The report as data: the number of hosts, their number for each word, and all lines."""
    return {"hosts": len(lines), **counts(words, lines), "lines": [asdict(one) for one in lines]}


def worst_first(words: t.Iterable[str], lines: t.Sequence[L]) -> list[L]:
    """The lines in the order of these words. Lines with the same word keep their order."""
    order = {word: number for number, word in enumerate(words)}
    return sorted(lines, key=lambda one: order[one.word])


_AS_A_HOST = (
    r"(?<![\w.-])"
    r"(?:(?<=on ){0}|(?<!Enrol )(?<!xempt )(?<!and )(?<!, ){0}(?! has no credential| has logged in| and |, ))"
    r"(?![\w-])"
)
"""The name of a host, but not where it stands for an account that has the same name."""


def gathered(texts: t.Iterable[tuple[str, str]]) -> list[tuple[list[str], str]]:
    """Group hosts that say the same: a list of hosts, and their text. A host's own name in the text is ignored.

    :param texts: pairs of a host's name and its text.
    """
    hosts: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for host, text in texts:
        same = re.sub(_AS_A_HOST.format(re.escape(host)), "the host", text)
        hosts.setdefault(same, []).append(host)
        first.setdefault(same, text)
    return [(names, first[same] if len(names) == 1 else same) for same, names in hosts.items()]


def names_another(text: str, host: str, hosts: t.Iterable[str]) -> bool:
    """Whether a host's text contains the name of another one of these hosts, or the first part of that name."""
    words = {word.strip(".-") for word in _WORD.findall(text)}
    return any(not words.isdisjoint((one, one.partition(".")[0])) for one in hosts if one != host)


def grouped(lines: t.Sequence[Line]) -> list[str]:
    """The notes. The same note of several hosts becomes one."""
    notes = gathered((one.host, note) for one in lines for note in one.notes)
    return [f"{enumerated(names, ', ')}: {note}" for names, note in notes]


def enumerated(names: t.Sequence[str], last: str = " and ", most: int = _NAMED) -> str:
    """The names of the first hosts, and how many more there are. `last` joins the last name if all are named."""
    if len(names) > most + 1:
        return f"{', '.join(names[:most])} and {len(names) - most} more hosts"
    return last.join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def table(
    headings: tuple[str, ...],
    words: t.Iterable[str],
    lines: t.Sequence[L],
    notes: t.Callable[[t.Sequence[L]], list[str]] = grouped,
) -> str:
    """The report for a terminal: one row per host, the worst first; below the rows the notes, then the counts.

    Words without a host are not counted. A column without a heading is left out.

    :param notes: makes the notes from the lines in the order of the table.
    """
    words = tuple(words)
    lines = worst_first(words, lines)
    shown = [column for column, heading in enumerate(headings) if heading]
    rows = [[row[column] for column in shown] for row in (headings, *(one.cells for one in lines))]
    widths = [min(_WIDEST, max(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
    columns = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    totals = ", ".join(f"{count} {word}" for word, count in counts(words, lines).items() if count)
    number = "1 host" if len(lines) == 1 else f"{len(lines)} hosts"
    parts = [columns, notes(lines), [f"{number}: {totals}" if lines else "No hosts."]]
    return "\n\n".join("\n".join(part) for part in parts if part)
