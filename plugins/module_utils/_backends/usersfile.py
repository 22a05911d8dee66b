# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of a users file of liboath, each of which has a token; pam_oath(8).

A credential file has one token on each line::

    TYPE USER PIN HEXKEY [COUNTER [LAST-CODE [TIMESTAMP]]]

A login writes the last three fields: they keep a used code from being used again, so they are never removed from a line
whose key stays. Lines are read as liboath reads them (usersfile.c of oath-toolkit 2.6.7): which lines it skips, which
make it deny every code, and which it accepts. pam_oath keeps comments, so one before a token says what the token is::

    # fleet.auth renewal=NAME          the user's phone, renewed under this name
    # fleet.auth self-made=DAY/PLACE   the user's phone, which the user has set up alone, and nobody has accepted
    # fleet.auth device=NAME           a further device
    # fleet.auth recovery-codes=NAME   the set of recovery codes of this name, event-based
    # fleet.auth pass=TIME             one code, event-based, valid until that time (ISO 8601, UTC)
"""

from __future__ import annotations

import functools
import re
import typing as t
from dataclasses import dataclass, field, replace

from .credential import RECOVERY_CODES, CredentialError

_LARGEST = 2**64 - 1
LONGEST_KEY = 32
"""The number of bytes of a key that liboath reads at most."""

TYPE = re.compile(r"HOTP(?:/(?:E|T(?P<interval>30|60))(?:/(?P<digits>[678]))?)?")
"""The types of tokens that liboath knows."""
_FIELD = re.compile(r"[^ \t\r]+")
_COUNTER = re.compile(r"[+-]?[0-9]+")
_TIME = re.compile(r"([0-9]{1,4})-([0-9]{1,2})-([0-9]{1,2})T([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})L")
_TIMES = ((0, 9999), (1, 12), (1, 31), (0, 23), (0, 59), (0, 61))
"""The least and the greatest value of each number in a time; strptime(3)."""
_LABEL = re.compile(r"# fleet\.auth (renewal|self-made|device|recovery-codes|pass)=(\S+)")


class SkippedLine(CredentialError):
    """A line that liboath skips, going on with the next one. At any other bad line it denies every code."""


@dataclass(frozen=True)
class Token:
    """One line of a credential file: a key and what is known of its use."""

    user: str
    key: bytes = field(repr=False)
    interval: int | None = 30
    """The time step in seconds; None for an event-based token (HOTP)."""
    digits: int | None = None
    """The length of codes that the line has. The option of the PAM line overrides it."""
    pin: str = "-"
    """A password to type before the code; `-` for none."""
    counter: int = 0
    """The last event whose code was used; it has no meaning in a time-based token."""
    last_code: str | None = field(default=None, repr=False)
    last_used: str | None = None
    """The local time at which the last code was used, in the format `credential.LAST_USED`."""
    label: str = ""
    """The kind of token, such as `device`, from the comment before it; empty if there is no comment."""
    name: str = ""
    """The name that the comment gives after `label=`."""

    @property
    def is_phone(self) -> bool:
        """Whether it is the user's first device."""
        return self.interval is not None and self.label in ("", "renewal", "self-made")

    @property
    def is_device(self) -> bool:
        """Whether an app shows its codes, unlike recovery codes and passes."""
        return self.label not in ("recovery-codes", "pass")

    @property
    def recovery_codes_left(self) -> range:
        """The numbers, from 0, of the recovery codes that have not been used; they are used in order."""
        return range(self.counter + (self.last_code is not None), RECOVERY_CODES)

    def render(self) -> str:
        """The line without a line end, after its comment if it has one."""
        kind = "HOTP/E" if self.interval is None else f"HOTP/T{self.interval}"
        digits = f"/{self.digits}" if self.digits else ""
        fields = [kind + digits, self.user, self.pin, self.key.hex()]
        if self.counter or self.last_code is not None:
            fields += [str(self.counter), *filter(None, (self.last_code, self.last_used))]
        label = f"# fleet.auth {self.label}={self.name}\n" if self.label else ""
        return label + " ".join(fields)


@functools.lru_cache(maxsize=None)
def tokens_of(text: str, user: str) -> tuple[Token, ...]:
    """Read a user's tokens.

    Raises CredentialError if the file has no token, or has a line that is not a token of this user, such as a line that
    pam_oath skips.
    """
    tokens = tuple(part.token for part in parts_of(text, user) if part.token)
    if not tokens:
        raise CredentialError("holds no token")
    return tokens


def lines_by_user(text: str) -> dict[str, list[tuple[int, str]]]:
    """The lines of a users file that many users share, each with its number, by user."""
    found: dict[str, list[tuple[int, str]]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        fields = _fields(line)
        if len(fields) > 1 and not fields[0].startswith("#"):
            found.setdefault(fields[1], []).append((number, line))
    return found


def nul_line(text: str) -> int | None:
    """The number of a line that begins with a NUL byte, or None. With such a line liboath cannot rewrite the file."""
    return next((number for number, line in enumerate(text.split("\n"), start=1) if line.startswith("\0")), None)


def _fields(line: str) -> list[str]:
    """The words of a line; for liboath a line ends at a NUL byte."""
    return _FIELD.findall(line.partition("\0")[0])


def parse_line(line: str, number: int, user: str) -> Token:
    """Parse one line, which must be a token of this user. Raises CredentialError, which has the number of the line."""
    fields = _fields(line)
    kind = TYPE.fullmatch(fields[0]) if fields else None
    if not kind:
        raise SkippedLine(f"line {number} has a type that pam_oath does not know")
    if len(fields) < 4:
        raise SkippedLine(f"line {number} is cut short")
    if fields[1] != user:
        raise SkippedLine(f"line {number} belongs to another user")
    interval, digits = kind.group("interval"), kind.group("digits")
    token = Token(
        user=user,
        key=_key(fields[3], number),
        interval=int(interval) if interval else None,
        digits=int(digits) if digits else None,
        pin=fields[2],
    )
    return _with_history(token, fields[4:7], number)


def _key(word: str, number: int) -> bytes:
    """Parse a key in hexadecimal."""
    if not re.fullmatch(rf"([0-9A-Fa-f]{{2}}){{1,{LONGEST_KEY}}}", word):
        raise CredentialError(f"line {number} has no hexadecimal key of 1 to {LONGEST_KEY} bytes")
    return bytes.fromhex(word)


def _with_history(token: Token, words: t.Sequence[str], number: int) -> Token:
    """A token with what a login wrote after the key: counter, last code and time; the last of these may be missing."""
    if not words:
        return token
    counter = words[0]
    last_code, last_used = (words[at] if len(words) > at else None for at in (1, 2))
    if not _COUNTER.fullmatch(counter):
        raise CredentialError(f"line {number} has a counter that is no number")
    if last_used is not None and not _is_time(last_used):
        raise CredentialError(f"line {number} has a time of the last code that is not like 2026-01-31T12:00:00L")
    return replace(token, counter=_uint64(counter), last_code=last_code, last_used=last_used)


def _uint64(word: str) -> int:
    """A number as strtoull(3) reads it: limited to the largest possible one; a negative number wraps around."""
    number = min(int(word.lstrip("+-")), _LARGEST)
    return -number % (_LARGEST + 1) if word.startswith("-") else number


def _is_time(word: str) -> bool:
    """Whether liboath reads this as the time of the last code."""
    found = _TIME.fullmatch(word)
    parts = found.groups() if found else ()
    return bool(parts) and all(low <= int(part) <= high for part, (low, high) in zip(parts, _TIMES))


class Part(t.NamedTuple):
    """A token and its text in the file, with the comment that belongs to it; or a line that is no token."""

    text: str
    token: Token | None


def parts_of(text: str, user: str) -> list[Part]:
    """The lines of a user's credential file, in their order. Raises CredentialError, as `parse_line` does."""
    parts: list[Part] = []
    for number, line in enumerate(text.split("\n"), start=1):
        token = None if _is_blank_or_comment(line) else parse_line(line, number, user)
        label = _LABEL.fullmatch(parts[-1].text) if token and parts else None
        if token and label:
            parts[-1] = Part(f"{label[0]}\n{line}", replace(token, label=label[1], name=label[2]))
        else:
            parts.append(Part(line, token))
    return parts


def _is_blank_or_comment(line: str) -> bool:
    """Whether a line is empty or a comment, perhaps an indented one."""
    words = line.strip(" \t\r")
    return not words or words.startswith("#")


def text_of(parts: t.Iterable[Part]) -> str:
    """The text of the file with these lines."""
    return "\n".join(part.text for part in parts)


def find(parts: t.Iterable[Part], label: str, name: str | None = None) -> Token | None:
    """The first token with this label, and this name if one is given."""
    tokens = (part.token for part in parts if part.token)
    return next((token for token in tokens if token.label == label and name in (None, token.name)), None)


def put(parts: list[Part], old: Token | None, new: Token | None) -> None:
    """Replace the token `old` with `new`; add `new` at the end if `old` is None, remove `old` if `new` is None."""
    made = [] if new is None else [Part(new.render(), new)]
    if old is None and made:
        end = len(parts) - (not parts[-1].text)
        parts[end:] = [*made, Part("", None)]
    elif old != new:
        place = next(number for number, part in enumerate(parts) if part.token == old)
        parts[place : place + 1] = made
