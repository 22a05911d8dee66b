# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parses the file of pam_google_authenticator exactly as that module does; pam_google_authenticator.c, 1.11.

The first line is the key. A line that begins with `" NAME` and a blank is an option; the first one of a name is used.
The rest are scratch codes, up to the first line that is none. Numbers are read as strtoul(3) does, into 32 bits.
"""

from __future__ import annotations

import base64
import re
import typing as t

from .credential import CredentialError

STEP_SIZE, WINDOW_SIZE, REUSE, RATE = "STEP_SIZE", "WINDOW_SIZE", "DISALLOW_REUSE", "RATE_LIMIT"
TIME_SKEW, HOTP_COUNTER = "TIME_SKEW", "HOTP_COUNTER"

# Patterns as text; re compiles them when they are needed, which is on few hosts.
_NUMBER = r"[ \t\n\v\f\r]*([+-]?)([0-9]+)"
_LARGEST = 2**64 - 1
_MISTYPED = str.maketrans("018", "OLB")


class CounterError(CredentialError):
    """The file is for codes that depend on a counter (HOTP)."""


class SecretFile(t.NamedTuple):
    """The content of a file."""

    key: bytes
    interval: int
    """For how many seconds a code is shown."""
    window: int
    """How many steps are valid, in all."""
    used: tuple[int, ...] | None
    """The steps whose codes are used; None if a code can be used again."""
    skew: int
    """How many steps the clock of the app is ahead of the host's; negative if it is behind."""
    scratch_codes: tuple[str, ...]


def parse(text: str) -> SecretFile:
    """Parse a file. Raises CredentialError if the module would deny every code of an app; its text says where and why.

    Raises CounterError if the module would accept codes that depend on a counter.
    """
    if "\0" in text:
        raise CredentialError(f"line {_line_of(text, text.index(chr(0)))} has a NUL byte")
    _check(text, RATE, _is_rate_limit(option(text, RATE)))
    key = _key(text)
    if not key:
        raise CredentialError("line 1 has no key in base32")
    window = _small(text, WINDOW_SIZE, 3, 100)
    if _signed(_number(option(text, HOTP_COUNTER) or "", 0)[0], 64) > 0:
        raise CounterError(f"line {place(text, HOTP_COUNTER)} is for codes that are based on a counter (HOTP_COUNTER)")
    if '" TOTP_AUTH' not in text:
        raise CredentialError("is not for time-based codes: no line has TOTP_AUTH")
    interval, used = _small(text, STEP_SIZE, 30, 60), _steps(option(text, REUSE))
    _check(text, REUSE, used is not None or option(text, REUSE) is None)
    skew = _signed(_signed(_number(option(text, TIME_SKEW) or "", 0)[0], 64), 32)
    return SecretFile(key, interval, window, used, skew, tuple(scratch_codes(text)))


def option(text: str, name: str) -> str | None:
    """The value of an option, which may be empty; None if the option is missing."""
    found = _option(text, name)
    return found[1] if found else None


def scratch_codes(text: str) -> t.Iterator[str]:
    """The codes that are valid once each, in their order. As for strtoul(3), blanks or a sign may come before one."""
    at = text.find("\n")
    while at >= 0:
        at = _after(r"[\r\n]*", text, at)
        if text.startswith('"', at):
            at = text.find("\n", at)
            continue
        value, at = _number(text, at)
        code = _signed(value, 32)
        if not 10_000_000 <= code < 100_000_000 or text[at : at + 1] not in ("", "\r", "\n"):
            return
        yield str(code)


def _option(text: str, name: str) -> re.Match[str] | None:
    """The first line that has an option of this name; its value is group 1."""
    return re.search(rf'(?:\A|(?<=[\r\n]))" {name}(?![^ \t\r\n])[ \t]*([^\r\n]*)', text)


def place(text: str, name: str) -> int:
    """The number of the line that has an option; 0 if none has."""
    found = _option(text, name)
    return _line_of(text, found.start()) if found else 0


def _line_of(text: str, position: int) -> int:
    """The number of the line that has the character at this position."""
    return text.count("\n", 0, position) + 1


def _check(text: str, name: str, right: bool) -> None:
    """Raise CredentialError unless `right`: the module does not accept the value of this option."""
    if not right:
        raise CredentialError(f"line {place(text, name)} has a {name} that pam_google_authenticator does not accept")


def _key(text: str) -> bytes:
    """The key, as the module decodes it: bits that do not fill a whole byte are ignored."""
    compact = re.sub(r"[ \t\r-]", "", text.partition("\n")[0]).translate(_MISTYPED)
    if not re.fullmatch("[A-Za-z2-7]+", compact):
        return b""
    return base64.b32decode(compact.upper() + "A" * (-len(compact) % 8))[: len(compact) * 5 // 8]


def _after(pattern: str, text: str, at: int) -> int:
    """The position at which a pattern ends that is matched at `at`, or `at` itself if it does not match."""
    found = re.compile(pattern).match(text, at)
    return found.end() if found else at


def _number(text: str, at: int) -> tuple[int, int]:
    """The number at a position as strtoul(3) reads it, and where it ends; 0 and the position if there is none."""
    found = re.compile(_NUMBER).match(text, at)
    if not found:
        return 0, at
    number = min(int(found[2]), _LARGEST + 1)
    return -number if found[1] == "-" else number, found.end()


def _is_too_large(number: int) -> bool:
    """Whether strtoul(3) finds a number out of its range."""
    return abs(number) > _LARGEST


def _signed(number: int, bits: int) -> int:
    """The value of a number in a signed C integer. For 64 bits it is limited, as by strtol(3), else it is cut off."""
    if bits == 64:
        return max(-(1 << 63), min(number, (1 << 63) - 1))
    return (number + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def _small(text: str, name: str, default: int, most: int) -> int:
    """The value of an option that is a number from 1 to `most`, followed by nothing or a blank."""
    value = option(text, name)
    if value is None:
        return default
    number, end = _number(value, 0)
    small = _signed(number, 32)
    right = end > 0 and not _is_too_large(number) and value[end : end + 1] in ("", " ", "\t") and 1 <= small <= most
    _check(text, name, right)
    return small


def _steps(value: str | None) -> tuple[int, ...] | None:
    """The steps in a value; None if it has anything else."""
    if value is None:
        return None
    found, at = [], _after(r"[ \t]*", value, 0)
    while at < len(value):
        number, end = _number(value, at)
        if end == at or _is_too_large(number) or value[end : end + 1] not in ("", " ", "\t"):
            return None
        found.append(_signed(number, 32))
        at = _after(r"[ \t]*", value, end)
    return tuple(found)


def _is_rate_limit(value: str | None) -> bool:
    """Whether a value is a valid RATE_LIMIT: a number of logins, a number of seconds, and the times of past logins."""
    if value is None:
        return True
    bounds, at = [100, 3600], 0
    while at == 0 or at < len(value):
        if at and value[at] not in " \t":
            return False
        number, end = _number(value, at)
        if end == at or _is_too_large(number):
            return False
        if bounds and not 1 <= _signed(number, 32) <= bounds.pop(0):
            return False
        at = end
    return not bounds
