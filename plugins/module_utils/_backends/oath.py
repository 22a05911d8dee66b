# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backend of pam_oath: its credential file, its PAM line, and the codes (RFC 4226, RFC 6238).

A credential file has one token a line, as liboath's usersfile has it::

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

from .._wanted.settings import WINDOW, Settings, User
from .codes import (
    KEY_BYTES,
    LONG_AGO,
    RECOVERY_CODES,
    App,
    Clock,
    Credential,
    CredentialError,
    MakeKey,
    hotp,
    step_of,
)

DIRECTORY = "/etc/oath"
MODULE = "pam_oath.so"
PACKAGES = {"debian": "libpam-oath", "rhel": "pam_oath", "suse": "pam_oath"}
# What stands beside a used code where nobody knows when that was; pam_oath does not look at it.
_SOME_TIME = "1970-01-01T00:00:00L"
LONGEST_KEY = 32
MODES: tuple[int, ...] = (0o600,)
LOCK = ".lock"
LEFT_BEHIND: tuple[str, ...] = ("*.lock", "*.new")

# By ID and VERSION_ID of os-release(5).
_TOO_OLD = {("debian", "11"): "Debian 11"}
_TYPE = re.compile(r"HOTP(?:/(?:E|T(?P<interval>30|60))(?:/(?P<digits>[678]))?)?")
_FIELD = re.compile(r"[^ \t\r]+")
_HISTORY = re.compile(r"[0-9]{1,19} [0-9]+ [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}L")
_LABEL = re.compile(r"# fleet\.auth (renewal|device|recovery-codes|pass)=(\S+)")


class CodeRules(t.NamedTuple):
    """What is in force for every user of a host: steps before and after now that are right too, and a code's length."""

    window: int
    digits: int


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
    counter: int = 0
    last_code: str | None = field(default=None, repr=False)
    last_used: str | None = None
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


def pam_line(settings: Settings) -> str:
    """The module of the code step with its arguments; pam_oath(8)."""
    return f"{MODULE} usersfile={DIRECTORY}/${{USER}} window={settings.window} digits={settings.otp_digits}"


def unfit(module: bytes | None, release: tuple[str, str]) -> str | None:
    """Releases before 2.6.7 do not know ${USER}, and deny every code."""
    if release in _TOO_OLD:
        return (
            f"{_TOO_OLD[release]} has a {MODULE} that does not know usersfile=…/${{USER}}, and would deny every code; "
            "set backend to google_authenticator"
        )
    if module is not None and b"${USER}" not in module:
        return (
            f"{MODULE} does not know usersfile=…/${{USER}}, and would deny every code; install oath-toolkit 2.6.7 or "
            "later, or set backend to google_authenticator"
        )
    return None


def code_length(switch: str) -> int | None:
    """How long codes are by the text that holds the PAM line; None where no code is asked for."""
    rules = code_rules(switch)
    return rules.digits if rules else None


def code_rules(switch: str) -> CodeRules | None:
    """Read the length and the window back from the text that holds the PAM line; None where no code is asked for."""
    found = re.search(rf"^auth .* {re.escape(MODULE)} .*window=(\d+) digits=(\d+)$", switch, re.MULTILINE)
    return CodeRules(window=int(found.group(1)), digits=int(found.group(2))) if found else None


@functools.lru_cache(maxsize=None)
def parse_credential(text: str, user: str) -> tuple[Token, ...]:
    """Read a user's tokens.

    Raises CredentialError where the file holds no token, or a line that is not a token of this user: pam_oath passes
    over such a line.
    """
    tokens = tuple(part.token for part in _parts(text, user) if part.token)
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


@functools.lru_cache(maxsize=None)
def read(text: str, user: str, now: float | None = None) -> Credential:
    """What a credential file says; `now`, in seconds since the epoch, matters to who wants to know of used codes.

    Raises CredentialError.
    """
    tokens = parse_credential(text, user)
    return Credential(
        apps=tuple(
            App(token.name if token.label == "device" else "", token.key, token.interval, _used(token, now))
            for token in tokens
            if token.is_device
        ),
        renewal=next((token.name for token in tokens if token.label == "renewal"), ""),
        recovery_set=next((token.name for token in tokens if token.label == "recovery-codes"), ""),
        recovery_codes_left=sum(len(one.recovery_codes_left) for one in tokens if one.label == "recovery-codes"),
        pass_until=next((token.name for token in tokens if token.label == "pass"), None),
    )


def _used(token: Token, now: float | None) -> tuple[int, ...]:
    """The steps of which no code is right any more: that of the last code, and those before it."""
    if token.last_code is None:
        return ()
    last = None
    if token.interval is not None and now is not None:
        step, most = int(now) // token.interval, WINDOW[1]
        last = step_of(token.key, range(max(0, step - most), step + most + 1), token.last_code)
    return (LONG_AGO,) if last is None else tuple(range(max(0, last - 2 * WINDOW[1]), last + 1))


def render(credential: Credential, user: str, settings: Settings, make_key: MakeKey) -> str:
    """A file that says what a credential of another backend does; recovery codes are new. Raises CredentialError."""
    del settings
    tokens = []
    for app in credential.apps:
        if app.interval is None or not _TYPE.fullmatch(f"HOTP/T{app.interval}"):
            raise CredentialError(f"has codes for {app.interval} seconds, and pam_oath can do 30 and 60")
        if len(app.key) > LONGEST_KEY:
            raise CredentialError(f"has a key of {len(app.key)} bytes, and pam_oath reads {LONGEST_KEY}")
        label, name = ("device", app.name) if app.name else ("renewal" * bool(credential.renewal), credential.renewal)
        token = Token(user, app.key, app.interval, label=label, name=name)
        if app.used:
            token = replace(token, last_code=hotp(app.key, max(app.used), 6), last_used=_SOME_TIME)
        tokens.append(token)
    if credential.recovery_set:
        new = Token(user, make_key(KEY_BYTES), None, label="recovery-codes", name=credential.recovery_set)
        tokens.append(new)
    return "".join(token.render() + "\n" for token in tokens)


def revise(text: str | None, wanted: User, settings: Settings, make_key: MakeKey) -> str:
    """Bring a credential file to what is wanted of this user; `text` is None where there is no file yet.

    What is right already stays as it is, byte for byte, and so does every token that is not named. A key that stays
    keeps its history, also where its interval changes; the PAM line says how long codes are. Raises CredentialError.
    """

    def brought_to(token: Token | None, key: bytes | None, due: bool = False) -> Token:
        if token is None:
            return Token(wanted.name, key or make_key(KEY_BYTES), settings.interval)
        if key not in (None, token.key) or (due and key is None):
            token = replace(token, key=key or make_key(KEY_BYTES), counter=0, last_code=None, last_used=None)
        return replace(token, interval=settings.interval, digits=None)

    parts = [_Part("", None)] if text is None else _parts(text, wanted.name)
    phone = next((part.token for part in parts if part.token and part.token.is_phone), None)
    if phone is None and text is not None:
        raise CredentialError("holds no time-based token")
    new = brought_to(phone, wanted.secret, phone is not None and wanted.renew not in (None, phone.name))
    _put(parts, phone, replace(new, label="renewal", name=wanted.renew) if wanted.renew else new)
    for device in wanted.devices:
        old = _find(parts, "device", device.name)
        new = replace(brought_to(old, device.secret), label="device", name=device.name)
        _put(parts, old, new if device.present else None)
    if wanted.recovery_codes is not None:
        old = _find(parts, "recovery-codes")
        if old is None or old.name != wanted.recovery_codes:
            new = Token(wanted.name, make_key(KEY_BYTES), None, label="recovery-codes", name=wanted.recovery_codes)
            _put(parts, old, new if wanted.recovery_codes else None)
    return _text(parts)


def adjust(text: str, settings: Settings) -> str:
    """A credential of somebody whom nobody named is none of the settings' business."""
    del settings
    return text


def with_pass(text: str, user: str, key: bytes, until: str) -> str:
    """Give a user a pass, in the place of the last one: the first code of an event-based token."""
    parts = _parts(text, user)
    _put(parts, _find(parts, "pass"), Token(user, key, None, label="pass", name=until))
    return _text(parts)


def pass_code(key: bytes, digits: int) -> str:
    """The code of a pass that was given with this key."""
    return hotp(key, 0, digits)


def recovery_codes(text: str, user: str, digits: int) -> list[tuple[int, str]]:
    """The recovery codes that have not been used, in their order, each with its number from 1."""
    return [
        (counter + 1, hotp(token.key, counter, digits))
        for token in parse_credential(text, user)
        if token.label == "recovery-codes"
        for counter in token.recovery_codes_left
    ]


class _Part(t.NamedTuple):
    """A token, as it stands in the file with the comment that belongs to it; or a line that is none."""

    text: str
    token: Token | None


def _parts(text: str, user: str) -> list[_Part]:
    parts: list[_Part] = []
    for number, line in enumerate(text.split("\n"), start=1):
        token = parse_line(line, number, user) if line.strip() and not line.startswith("#") else None
        label = _LABEL.fullmatch(parts[-1].text) if token and parts else None
        if token and label:
            parts[-1] = _Part(f"{label[0]}\n{line}", replace(token, label=label[1], name=label[2]))
        else:
            parts.append(_Part(line, token))
    return parts


def _text(parts: t.Iterable[_Part]) -> str:
    return "\n".join(part.text for part in parts)


def _find(parts: t.Iterable[_Part], label: str, name: str | None = None) -> Token | None:
    """The first token with this label, and this name if one is given."""
    tokens = (part.token for part in parts if part.token)
    return next((token for token in tokens if token.label == label and name in (None, token.name)), None)


def _put(parts: list[_Part], old: Token | None, new: Token | None) -> None:
    """Put a token in the place of another; without that one, at the end."""
    made = [] if new is None else [_Part(new.render(), new)]
    if old is None and made:
        end = len(parts) - (not parts[-1].text)
        parts[end:] = [*made, _Part("", None)]
    elif old != new:
        place = next(number for number, part in enumerate(parts) if part.token == old)
        parts[place : place + 1] = made


def use_code(text: str, user: str, code: str, switch: str, clock: Clock) -> str | None:
    """Take a code as a login would: the file with the code used up, or None where the code is not right.

    As in liboath, a time-based code is right within `window` steps before and after now unless it, or a later one,
    was used; an event-based code is right up to `window` steps after the last one that was used.
    """
    rules = code_rules(switch)
    if rules is None or len(code) != rules.digits or not code.isascii() or not code.isdigit():
        return None
    parts = _parts(text, user)
    for token in [part.token for part in parts if part.token]:
        counter = _matching_counter(token, code, rules.window, clock.seconds)
        if counter is not None:
            _put(parts, token, replace(token, counter=counter, last_code=code, last_used=clock.local))
            return _text(parts)
    return None


def _matching_counter(token: Token, code: str, window: int, now: float) -> int | None:
    """The counter to keep with a right code: the event that it stands for. In a time-based token it means nothing."""
    if token.interval is None:
        first = token.counter if token.last_code is None else token.counter + 1
        return step_of(token.key, range(first, token.counter + window + 1), code)
    step = int(now) // token.interval
    steps = range(max(0, step - window), step + window + 1)
    found = step_of(token.key, steps, code)
    if found is None:
        return None
    # The last code may be of another length, from before a change of it.
    used = step_of(token.key, steps, token.last_code) if token.last_code else None
    return None if used is not None and used >= found else token.counter
