# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of a users file of liboath, which each has a token; pam_oath(8).

A credential file has one token a line::

    TYPE USER PIN HEXKEY [COUNTER LAST-CODE TIMESTAMP]

The last three fields are what a login wrote: they keep a used code used, so they are never dropped from a line whose
key stays. pam_oath keeps comments, so one in front of a token says what that is::

    # fleet.auth renewal=NAME          the user's phone, since it was renewed under this name
    # fleet.auth device=NAME           a further device
    # fleet.auth recovery-codes=NAME   the set of recovery codes of this name, event-based
    # fleet.auth pass=TIME             one code, event-based, until that time (ISO 8601, UTC)
"""

from __future__ import annotations

import functools
import re
import typing as t
from dataclasses import dataclass, field, replace

from .credential import RECOVERY_CODES, CredentialError

LONGEST_KEY = 32
"""How many bytes of a key liboath reads."""

TYPE = re.compile(r"HOTP(?:/(?:E|T(?P<interval>30|60))(?:/(?P<digits>[678]))?)?")
"""The types of tokens that liboath knows."""
_FIELD = re.compile(r"[^ \t\r]+")
_HISTORY = re.compile(r"[0-9]{1,19} [0-9]+ [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}L")
_LABEL = re.compile(r"# fleet\.auth (renewal|device|recovery-codes|pass)=(\S+)")


@dataclass(frozen=True)
class Token:
    """One line of a credential file: a key and what is known of its use."""

    user: str
    key: bytes = field(repr=False)
    interval: int | None = 30
    """The time step in seconds; None for an event-based token (HOTP)."""
    digits: int | None = None
    """What the line says of a code's length. It counts for nothing beside the option of the PAM line."""
    pin: str = "-"
    """A password to type in front of the code; `-` for none."""
    counter: int = 0
    """The last event whose code was used; it means nothing in a time-based token."""
    last_code: str | None = field(default=None, repr=False)
    last_used: str | None = None
    """When that was, in local time; see `credential.LAST_USED`."""
    label: str = ""
    """What the token is, as the comment in front of it says; nothing where there is none."""
    name: str = ""
    """Of which name that is."""

    @property
    def is_phone(self) -> bool:
        """Whether it is the user's first device."""
        return self.interval is not None and self.label in ("", "renewal")

    @property
    def is_device(self) -> bool:
        """Whether an app makes its codes, which are not on paper."""
        return self.label not in ("recovery-codes", "pass")

    @property
    def recovery_codes_left(self) -> range:
        """Which of the recovery codes have not been used, counted from 0; they are used in order."""
        return range(0 if self.last_code is None else self.counter + 1, RECOVERY_CODES)

    def render(self) -> str:
        """The line, after the comment that belongs to it if there is one, without a line end."""
        kind = "HOTP/E" if self.interval is None else f"HOTP/T{self.interval}"
        digits = f"/{self.digits}" if self.digits else ""
        fields = [kind + digits, self.user, self.pin, self.key.hex()]
        if self.last_code is not None:
            fields += [str(self.counter), self.last_code, str(self.last_used)]
        label = f"# fleet.auth {self.label}={self.name}\n" if self.label else ""
        return label + " ".join(fields)


@functools.lru_cache(maxsize=None)
def tokens_of(text: str, user: str) -> tuple[Token, ...]:
    """Read a user's tokens.

    Raises CredentialError where the file holds no token, or a line that is not a token of this user: pam_oath passes
    over such a line.
    """
    tokens = tuple(part.token for part in parts_of(text, user) if part.token)
    if not tokens:
        raise CredentialError("holds no token")
    return tokens


def lines_by_user(text: str) -> dict[str, list[tuple[int, str]]]:
    """The lines of a users file that many share, each with its number, by user."""
    found: dict[str, list[tuple[int, str]]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        fields = _FIELD.findall(line)
        if len(fields) > 1 and not line.startswith("#"):
            found.setdefault(fields[1], []).append((number, line))
    return found


def parse_line(line: str, number: int, user: str) -> Token:
    """Read one line, which is a token of this user. Raises CredentialError, which has the number of the line."""
    fields = _FIELD.findall(line)
    kind = TYPE.fullmatch(fields[0])
    if not kind:
        raise CredentialError(f"line {number} has a type that pam_oath does not know")
    if len(fields) < 4:
        raise CredentialError(f"line {number} is cut short")
    if fields[1] != user:
        raise CredentialError(f"line {number} belongs to another user")
    try:
        key = bytes.fromhex(fields[3])
    except ValueError:
        key = b""
    if not 1 <= len(key) <= LONGEST_KEY:
        raise CredentialError(f"line {number} has no hexadecimal key of 1 to {LONGEST_KEY} bytes")
    interval, digits = kind.group("interval"), kind.group("digits")
    token = Token(
        user=user,
        key=key,
        interval=int(interval) if interval else None,
        digits=int(digits) if digits else None,
        pin=fields[2],
    )
    if len(fields) == 4:
        return token
    if not _HISTORY.fullmatch(" ".join(fields[4:])):
        raise CredentialError(f"line {number} has a history that is cut short")
    return replace(token, counter=int(fields[4]), last_code=fields[5], last_used=fields[6])


class Part(t.NamedTuple):
    """A token, as it stands in the file with the comment that belongs to it; or a line that is none."""

    text: str
    token: Token | None


def parts_of(text: str, user: str) -> list[Part]:
    """The lines of a user's credential file, in their order. Raises CredentialError, as `parse_line` does."""
    parts: list[Part] = []
    for number, line in enumerate(text.split("\n"), start=1):
        token = parse_line(line, number, user) if line.strip() and not line.startswith("#") else None
        label = _LABEL.fullmatch(parts[-1].text) if token and parts else None
        if token and label:
            parts[-1] = Part(f"{label[0]}\n{line}", replace(token, label=label[1], name=label[2]))
        else:
            parts.append(Part(line, token))
    return parts


def text_of(parts: t.Iterable[Part]) -> str:
    """The file that has these lines."""
    return "\n".join(part.text for part in parts)


def find(parts: t.Iterable[Part], label: str, name: str | None = None) -> Token | None:
    """The first token with this label, and this name if one is given."""
    tokens = (part.token for part in parts if part.token)
    return next((token for token in tokens if token.label == label and name in (None, token.name)), None)


def put(parts: list[Part], old: Token | None, new: Token | None) -> None:
    """Put a token in the place of another; without that one, at the end. None takes the other one out."""
    made = [] if new is None else [Part(new.render(), new)]
    if old is None and made:
        end = len(parts) - (not parts[-1].text)
        parts[end:] = [*made, Part("", None)]
    elif old != new:
        place = next(number for number, part in enumerate(parts) if part.token == old)
        parts[place : place + 1] = made
