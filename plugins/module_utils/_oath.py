# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backend of pam_oath: its credential file, its PAM line, and the codes (RFC 4226, RFC 6238).

A credential file has one token a line, as liboath's usersfile has it::

    TYPE USER PIN HEXKEY [COUNTER LAST-CODE TIMESTAMP]

The last three fields are what a login wrote: they keep a used code used, so they are never dropped from a line whose
key stays.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.fleet.auth.plugins.module_utils._settings import Settings

DIRECTORY = "/etc/oath"
MODULE = "pam_oath.so"
PACKAGES = {"debian": "libpam-oath", "rhel": "pam_oath", "suse": "pam_oath"}
# Releases of pam_oath that do not know this placeholder (before 2.6.7) deny every code.
REQUIRED_IN_MODULE = b"${USER}"

_TYPE = re.compile(r"HOTP(?:/(?P<event>E)|/T(?P<interval>30|60))?(?:/(?P<digits>[678]))?")
# strftime format of the last field of a line.
LAST_USED = "%Y-%m-%dT%H:%M:%SL"


class CredentialError(ValueError):
    """A credential file that pam_oath would not read as it is meant. The text names the line, never the key."""


class CodeRules(t.NamedTuple):
    """What is in force for every user of a host: steps before and after now that are right too, and a code's length."""

    window: int
    digits: int


class Clock(t.NamedTuple):
    """A moment, as seconds since the epoch and as the local time that liboath writes beside a used code."""

    seconds: float
    local: str


@dataclass(frozen=True)
class Token:
    """One line of a credential file: a key and what is known of its use."""

    user: str
    key: bytes = field(repr=False)
    interval: int | None = 30
    """The time step in seconds; None for an event-based token (HOTP)."""
    digits: int | None = None
    """The length of a code where the line fixes it; usually the PAM line does."""
    pin: str = "-"
    counter: int = 0
    last_code: str | None = field(default=None, repr=False)
    last_used: str | None = None

    def render(self) -> str:
        """The line, without its line end."""
        kind = "HOTP/E" if self.interval is None else f"HOTP/T{self.interval}"
        digits = f"/{self.digits}" if self.digits else ""
        fields = [kind + digits, self.user, self.pin, self.key.hex()]
        if self.last_code is not None:
            fields += [str(self.counter), self.last_code, str(self.last_used)]
        return " ".join(fields)


def credential_path(user: str) -> str:
    """Where this user's credential file is."""
    return f"{DIRECTORY}/{user}"


def pam_line(settings: Settings) -> str:
    """The module of the code step with its arguments; pam_oath(8)."""
    return f"{MODULE} usersfile={DIRECTORY}/${{USER}} window={settings.window} digits={settings.otp_digits}"


def code_rules(switch: str) -> CodeRules | None:
    """Read the length and the window back from the text that holds the PAM line; None where no code is asked for."""
    found = re.search(rf"^auth .* {re.escape(MODULE)} .*window=(\d+) digits=(\d+)$", switch, re.MULTILINE)
    return CodeRules(window=int(found.group(1)), digits=int(found.group(2))) if found else None


def new_credential(user: str, key: bytes, interval: int) -> str:
    """The file of a user who has one time-based token that was never used."""
    return Token(user=user, key=key, interval=interval).render() + "\n"


def parse_credential(text: str, user: str) -> tuple[Token, ...]:
    """Read a user's tokens.

    Raises CredentialError where the file holds no token, or a line that is not a token of this user: pam_oath passes
    over such a line, and rewrites the file without it at the next login.
    """
    tokens = tuple(
        _parse_line(line, number, user)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    )
    if not tokens:
        raise CredentialError("holds no token")
    return tokens


def update_credential(text: str, user: str, key: bytes | None, interval: int) -> str:
    """Give the first time-based token the interval and, if one is given, the key; the PAM line says how long codes are.

    A line that is right already stays as it is, byte for byte, and so does every other line. A new key starts with no
    history; a new interval keeps what is known of the last code.
    """
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        token = _parse_line(line, number, user)
        if token.interval is None:
            continue
        wanted = replace(token, interval=interval, digits=None)
        if key is not None and key != token.key:
            wanted = Token(user=user, key=key, interval=interval, pin=token.pin)
        if wanted != token:
            lines[number - 1] = wanted.render() + "\n"
        return "".join(lines)
    raise CredentialError("holds no time-based token")


def hotp(key: bytes, counter: int, digits: int) -> str:
    """The code of a counter (RFC 4226, section 5.3), `digits` characters long."""
    digest = hmac.new(key, struct.pack(">Q", counter), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def use_code(text: str, user: str, code: str, rules: CodeRules, clock: Clock) -> str | None:
    """Take a code as a login would: the file with the code used up, or None where the code is not right.

    As in liboath, a time-based code is right within `window` steps before and after now unless it, or a later one,
    was used; an event-based code is right within `window` steps from the counter, and the current one always.
    """
    if len(code) != rules.digits or not code.isascii() or not code.isdigit():
        return None
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        token = _parse_line(line, number, user)
        if token.digits not in (None, len(code)):
            continue
        counter = _matching_counter(token, code, rules.window, clock.seconds)
        if counter is not None:
            lines[number - 1] = replace(token, counter=counter, last_code=code, last_used=clock.local).render() + "\n"
            return "".join(lines)
    return None


def _matching_counter(token: Token, code: str, window: int, now: float) -> int | None:
    """The counter to keep with a right code: liboath counts events, and leaves that of a time-based token alone."""
    if token.interval is None:
        for counter in range(token.counter, token.counter + max(1, window)):
            if hmac.compare_digest(hotp(token.key, counter, len(code)), code):
                return counter + 1
        return None
    step = int(now) // token.interval
    valid = [hotp(token.key, counter, len(code)) for counter in range(max(0, step - window), step + window + 1)]
    if code not in valid:
        return None
    if token.last_code in valid and valid.index(token.last_code) >= valid.index(code):
        return None
    return token.counter


def _parse_line(line: str, number: int, user: str) -> Token:
    fields = line.split()
    kind = _TYPE.fullmatch(fields[0])
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
    if not 1 <= len(key) <= 32:
        raise CredentialError(f"line {number} has no hexadecimal key of 1 to 32 bytes")
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
    if len(fields) != 7 or not fields[4].isdigit():
        raise CredentialError(f"line {number} has a history that is cut short")
    return replace(token, counter=int(fields[4]), last_code=fields[5], last_used=fields[6])
