# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backend of pam_oath(8): its package, its PAM line, and its credential files; see `usersfile` for their format."""

from __future__ import annotations

import functools
import re
import typing as t
from dataclasses import replace

from .._texts.code_step import CodeStep
from .._wanted.bounds import WINDOW
from .._wanted.settings import Settings, User
from .credential import LONG_AGO, App, CannotHold, Clock, Credential, CredentialError, MakeKey
from .hotp import KEY_BYTES, hotp, step_of
from .usersfile import LONGEST_KEY, TYPE, Part, Token, find, parts_of, put, text_of, tokens_of

DIRECTORY = "/etc/oath"
MODULE = "pam_oath.so"
DIGITS: t.Collection[int] = (6, 7, 8)
INTERVALS: t.Collection[int] = (30, 60)
IN_WORDS = "6 to 8 digits for 30 or 60 seconds"
DEVICES = True
# The next max(1, window) codes of an event-based token are valid.
RECOVERY_WINDOW = 1
PACKAGES = {"debian": "libpam-oath", "rhel": "pam_oath"}
# The time to write for a used code if the real one is not known; pam_oath ignores it.
_SOME_TIME = "1970-01-01T00:00:00L"
MODES: tuple[int, ...] = (0o600,)
LOCK = ".lock"
LEFT_BEHIND: tuple[str, ...] = ("*.lock", "*.new")

# By ID and VERSION_ID of os-release(5).
_TOO_OLD = {("debian", "11"): "Debian 11"}


class CodeRules(t.NamedTuple):
    """What the arguments of pam_oath set for every user of a host."""

    window: int
    """How many steps before and after now are valid too."""
    digits: int
    """The length of a code."""


def pam_line(settings: Settings) -> str:
    """The module of the code step with its arguments; pam_oath(8)."""
    return f"{MODULE} usersfile={DIRECTORY}/${{USER}} window={settings.window} digits={settings.otp_digits}"


def unfit(module: bytes | None, release: tuple[str, str]) -> str | None:
    """Why the module of this host, or of this release of a distribution, cannot be used; None if it can.

    Releases of oath-toolkit before 2.6.7 do not know ${USER}, and deny every code.
    """
    if release in _TOO_OLD:
        return (
            f"{_TOO_OLD[release]} has a {MODULE} that does not know usersfile=…/${{USER}}, and would deny every code; "
            "set O(backend) to google_authenticator"
        )
    if module is not None and b"${USER}" not in module:
        return (
            f"{MODULE} does not know usersfile=…/${{USER}}, and would deny every code; install oath-toolkit 2.6.7 or "
            "later, or set O(backend) to google_authenticator"
        )
    return None


def code_length(step: CodeStep) -> int | None:
    """The length of the codes that a code step asks for; None if it does not ask for codes of this backend."""
    rules = code_rules(step)
    return rules.digits if rules else None


def code_rules(step: CodeStep) -> CodeRules | None:
    """The length and the window that a code step sets; None if it asks for no such codes, or does not set both."""
    window, digits = step.option("window"), step.option("digits")
    if step.module != MODULE or not (window and window.isdecimal() and digits and digits.isdecimal()):
        return None
    return CodeRules(window=int(window), digits=int(digits))


@functools.lru_cache(maxsize=None)
def read(text: str, user: str, now: float | None = None) -> Credential:
    """Parse a credential file. `now`, in seconds since the epoch, is needed only to know which codes are used.

    Raises CredentialError.
    """
    tokens = tokens_of(text, user)
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
        self_made=next((token.name for token in tokens if token.label == "self-made"), ""),
    )


def _used(token: Token, now: float | None) -> tuple[int, ...]:
    """The steps whose codes are no longer valid: the step of the last code, and those before it."""
    if not is_code(token.last_code):
        return ()
    last = None
    if token.interval is not None and now is not None:
        step, most = int(now) // token.interval, WINDOW[1]
        last = step_of(token.key, range(max(0, step - most), step + most + 1), t.cast(str, token.last_code))
    return (LONG_AGO,) if last is None else tuple(range(max(0, last - 2 * WINDOW[1]), last + 1))


def is_code(word: str | None) -> bool:
    """Whether the last code is a code. liboath accepts any word there, but heeds only a code."""
    return word is not None and bool(re.fullmatch("[0-9]{6,8}", word))


def render(credential: Credential, user: str, _settings: Settings, make_key: MakeKey) -> str:
    """Convert a credential of another backend to a file of this one; recovery codes are new. Raises CredentialError."""
    tokens = []
    for app in credential.apps:
        if app.interval is None or not TYPE.fullmatch(f"HOTP/T{app.interval}"):
            raise CannotHold(
                f"has codes for {app.interval} seconds, but pam_oath can do only 30 and 60",
                lambda whom: f"Name {whom} in O(users), so that the O(interval) applies, and set O(renew) to changed",
            )
        if len(app.key) > LONGEST_KEY:
            raise CannotHold(
                f"has a key of {len(app.key)} bytes, but pam_oath reads only {LONGEST_KEY}",
                lambda whom: f"Give {whom} a new one with renew: NAME in O(users), and a new sheet",
            )
        label, name = ("device", app.name) if app.name else _label_of_phone(credential)
        token = Token(user, app.key, app.interval, label=label, name=name)
        if app.used:
            token = replace(token, last_code=hotp(app.key, max(app.used), 6), last_used=_SOME_TIME)
        tokens.append(token)
    if credential.recovery_set:
        new = Token(user, make_key(KEY_BYTES), None, label="recovery-codes", name=credential.recovery_set)
        tokens.append(new)
    return "".join(token.render() + "\n" for token in tokens)


def _label_of_phone(credential: Credential) -> tuple[str, str]:
    if credential.self_made:
        return "self-made", credential.self_made
    return ("renewal", credential.renewal) if credential.renewal else ("", "")


def revise(text: str | None, wanted: User, settings: Settings, make_key: MakeKey) -> str:
    """Change a credential file to what the settings say for this user; `text` is None if there is no file yet.

    What is right already stays as it is, byte for byte, and so does every token that the settings do not name. A key
    that stays keeps its history, even if its interval changes. The PAM line sets the length of codes.

    Raises CredentialError.
    """

    def updated(token: Token | None, key: bytes | None, due: bool = False) -> Token:
        if token is None:
            return Token(wanted.name, key or make_key(KEY_BYTES), settings.interval)
        if key not in (None, token.key) or (due and key is None):
            token = replace(token, key=key or make_key(KEY_BYTES), counter=0, last_code=None, last_used=None)
            token = replace(token, label="", name="") if token.label == "self-made" else token
        return replace(token, interval=settings.interval, digits=None)

    parts = [Part("", None)] if text is None else parts_of(text, wanted.name)
    phone = _phone(parts)
    if phone is None and text is not None:
        raise CredentialError("holds no time-based token")
    new = updated(phone, wanted.secret, phone is not None and wanted.renew not in (None, phone.name))
    put(parts, phone, replace(new, label="renewal", name=wanted.renew) if wanted.renew else new)
    for device in wanted.devices:
        old = find(parts, "device", device.name)
        new = replace(updated(old, device.secret), label="device", name=device.name)
        put(parts, old, new if device.present else None)
    if wanted.recovery_codes is not None:
        old = find(parts, "recovery-codes")
        if old is None or old.name != wanted.recovery_codes:
            new = Token(wanted.name, make_key(KEY_BYTES), None, label="recovery-codes", name=wanted.recovery_codes)
            put(parts, old, new if wanted.recovery_codes else None)
    return text_of(parts)


def _phone(parts: t.Iterable[Part]) -> Token | None:
    """The token of the user's first app."""
    return next((part.token for part in parts if part.token and part.token.is_phone), None)


def adjust(text: str, _settings: Settings) -> str:
    """Return the file unchanged: what is set for all users is in the PAM line."""
    return text


def with_self_made(text: str, user: str, when_and_where: str) -> str:
    """Note when and where a user made the credential alone; if that text is empty, note that it was accepted."""
    parts = parts_of(text, user)
    phone = _phone(parts)
    if phone and (when_and_where or phone.label == "self-made"):
        label = "self-made" if when_and_where else ""
        put(parts, phone, replace(phone, label=label, name=when_and_where))
    return text_of(parts)


def with_pass(text: str, user: str, key: bytes, until: str) -> str:
    """Give a user a pass, which is the first code of an event-based token, in place of the last pass."""
    parts = parts_of(text, user)
    put(parts, find(parts, "pass"), Token(user, key, None, label="pass", name=until))
    return text_of(parts)


def pass_code(key: bytes, digits: int) -> str:
    """The code of a pass that was given with this key."""
    return hotp(key, 0, digits)


def recovery_codes(text: str, user: str, digits: int) -> list[tuple[int, str]]:
    """The recovery codes that have not been used, in their order, each with its number from 1."""
    return [
        (counter + 1, hotp(token.key, counter, digits))
        for token in tokens_of(text, user)
        if token.label == "recovery-codes"
        for counter in token.recovery_codes_left
    ]


def use_code(text: str, user: str, code: str, step: CodeStep, clock: Clock) -> str | None:
    """Use a code as a login would. Returns the file in which the code is used, or None if the code is wrong.

    As in liboath, a time-based code is valid within `window` steps before and after now unless it, or a later one, was
    used. An event-based code is valid up to `window` steps after the last one that was used.
    """
    rules = code_rules(step)
    if rules is None or len(code) != rules.digits or not code.isascii() or not code.isdigit():
        return None
    parts = parts_of(text, user)
    for token in [part.token for part in parts if part.token]:
        counter = _matching_counter(token, code, rules.window, clock.seconds)
        if counter is not None:
            put(parts, token, replace(token, counter=counter, last_code=code, last_used=clock.local))
            return text_of(parts)
    return None


def _matching_counter(token: Token, code: str, window: int, now: float) -> int | None:
    """The counter to store if the code is right, or None. It is the event of the code; time-based tokens ignore it."""
    if token.interval is None:
        first = token.counter if token.last_code is None else token.counter + 1
        return step_of(token.key, range(first, token.counter + window + 1), code)
    step = int(now) // token.interval
    steps = range(max(0, step - window), step + window + 1)
    found = step_of(token.key, steps, code)
    if found is None:
        return None
    # The last code may have another length, if the length of codes has changed since.
    used = step_of(token.key, steps, t.cast(str, token.last_code)) if is_code(token.last_code) else None
    return None if used is not None and used >= found else token.counter
