# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backend of pam_google_authenticator: its credential file, and its PAM line.

A credential file has the key in base32 (RFC 4648), then options, then scratch codes, each of which is valid once::

    KEY
    " STEP_SIZE 30
    " WINDOW_SIZE 3          how many steps are valid, in all
    " DISALLOW_REUSE STEP…   the steps whose codes are used
    " TOTP_AUTH
    12345678

The module keeps options that it does not know, so our own options store the rest::

    " FLEET_AUTH_RENEWAL NAME          the key was renewed under this name
    " FLEET_AUTH_SELF_MADE DAY/PLACE   the user has set up the key alone, and nobody has accepted it
    " FLEET_AUTH_RECOVERY_CODES NAME   the scratch codes are the set of this name
    " FLEET_AUTH_PASS TIME CODE        except this code, which is a pass until that time (ISO 8601, UTC)
"""

from __future__ import annotations

import functools
import re
import typing as t

from .._texts.code_step import CodeStep
from .._wanted.secret import encode_secret
from .._wanted.settings import Settings, User
from .credential import RECOVERY_CODES, App, CannotHold, Clock, Credential, MakeKey
from .hotp import KEY_BYTES, hotp, step_of
from .secretfile import REUSE, STEP_SIZE, WINDOW_SIZE, SecretFile, option, parse, scratch_codes

DIRECTORY = "/etc/google-authenticator"
MODULE = "pam_google_authenticator.so"
_DIGITS = 6
DIGITS: t.Collection[int] = (_DIGITS,)
INTERVALS: t.Collection[int] = range(5, 61)
IN_WORDS = "6 digits for 5 to 60 seconds"
DEVICES = False
RECOVERY_WINDOW = 0
PACKAGES = {"debian": "libpam-google-authenticator", "rhel": "google-authenticator"}
# A login leaves the file read-only.
MODES: tuple[int, ...] = (0o600, 0o400)
# Older releases create a file of this name; later ones add six characters to the name, so it locks nothing.
LOCK = "~"
LEFT_BEHIND: tuple[str, ...] = ("*~*",)

_RENEWAL, _RECOVERY, _PASS = "FLEET_AUTH_RENEWAL", "FLEET_AUTH_RECOVERY_CODES", "FLEET_AUTH_PASS"
_SELF_MADE = "FLEET_AUTH_SELF_MADE"
_SKEWS = ("TIME_SKEW", "RESETTING_TIME_SKEW")
_SCRATCH_CODE = r"[1-9][0-9]{7}"


def pam_line(_settings: Settings) -> str:
    """The module of the code step with its arguments. The window and the interval are in each credential.

    Programs that answer a password prompt, such as sshpass, recognise it by its end; this prompt ends differently.
    """
    return f"{MODULE} [authtok_prompt=One-time password (TOTP): ] secret={DIRECTORY}/${{USER}} user=root noskewadj"


def code_length(step: CodeStep) -> int | None:
    """The length of the codes that a code step asks for; None if it does not ask for codes of this backend."""
    return _DIGITS if step.module == MODULE else None


def unfit(_module: bytes | None, _release: tuple[str, str]) -> str | None:
    """None: every release of the module can be used."""
    return None


@functools.lru_cache(maxsize=None)
def read(text: str, _user: str, _now: float | None = None) -> Credential:
    """Parse a credential file. Raises CredentialError."""
    parsed = parse(text)
    until, _space, code = (_get([text], _PASS) or "").partition(" ")
    codes = parsed.scratch_codes
    return Credential(
        apps=(App("", parsed.key, parsed.interval, _used(parsed)),),
        renewal=_get([text], _RENEWAL) or "",
        recovery_set=_get([text], _RECOVERY) or "",
        recovery_codes_left=len(codes) - (code in codes),
        pass_until=until if code in codes else None,
        self_made=_get([text], _SELF_MADE) or "",
    )


def render(credential: Credential, _user: str, settings: Settings, make_key: MakeKey) -> str:
    """Convert a credential of another backend to a file of this one; recovery codes are new. Raises CredentialError."""
    if not credential.apps:
        problem = "has recovery codes and no device, but pam_google_authenticator needs one"
        raise CannotHold(problem, lambda _whom: "Remove the file")
    phone, *others = credential.apps
    if others or phone.interval is None:
        raise _too_many_devices(others or [phone])
    lines = _new(phone.key, phone.interval, settings.window)
    _set(lines, REUSE, " ".join(map(str, phone.used)))
    _set(lines, _RENEWAL, credential.renewal or None)
    _set(lines, _SELF_MADE, credential.self_made or None)
    _put_recovery_codes(lines, credential.recovery_set, make_key)
    return "\n".join(lines)


def _too_many_devices(others: t.Sequence[App]) -> CannotHold:
    """The error for a user who has more secrets than the one that this backend can hold."""
    names = [app.name for app in others if app.name]
    without = len(others) - len(names)
    absent = ", ".join(f"{{name: {name}, state: absent}}" for name in names)

    def remedy(whom: str) -> str:
        remedies = [f"remove them with devices: [{absent}] of {whom} in O(users)"] * bool(names)
        remedies += ["remove the lines of those without a name from the file"] * bool(without)
        text = ", and ".join(remedies)
        return text[0].upper() + text[1:]

    named = ", ".join([*names, *[f"{without} without a name"] * bool(without)])
    return CannotHold(
        f"has further devices ({named}), but pam_google_authenticator has one secret per user",
        remedy,
    )


def revise(text: str | None, wanted: User, settings: Settings, make_key: MakeKey) -> str:
    """Change a credential file to what the settings say for this user; `text` is None if there is no file yet.

    What is right already stays as it is, byte for byte. A key that stays keeps its history. Raises CredentialError.
    """
    if text is None:
        lines = _new(wanted.secret or make_key(KEY_BYTES), settings.interval, settings.window)
    else:
        lines, old = _lines(text), parse(text).key
        due = wanted.renew not in (None, _get(lines, _RENEWAL))
        key = wanted.secret or (make_key(KEY_BYTES) if due else old)
        if key != old:
            lines[0] = encode_secret(key)
            _set(lines, REUSE, "")
            _set(lines, _SELF_MADE, None)
    if wanted.renew:
        _set(lines, _RENEWAL, wanted.renew)
    if text is not None and parse(text).interval != settings.interval:
        _set(lines, STEP_SIZE, str(settings.interval))
    if wanted.recovery_codes not in (None, _get(lines, _RECOVERY)):
        _put_recovery_codes(lines, wanted.recovery_codes or "", make_key)
    return adjust("\n".join(lines), settings)


def adjust(text: str, settings: Settings) -> str:
    """Apply to a credential file what is set for all users: the window, no code twice, and no clock but the host's."""
    lines = _lines(text)
    if parse(text).window != _total(settings.window):
        _set(lines, WINDOW_SIZE, str(_total(settings.window)))
    if _get(lines, REUSE) is None:
        _set(lines, REUSE, "")
    for name in _SKEWS:
        _set(lines, name, None)
    return "\n".join(lines)


def with_self_made(text: str, _user: str, when_and_where: str) -> str:
    """Note when and where a user made the credential alone; if that text is empty, note that it was accepted."""
    lines = _lines(text)
    _set(lines, _SELF_MADE, when_and_where or None)
    return "\n".join(lines)


def with_pass(text: str, _user: str, key: bytes, until: str) -> str:
    """Give a user a pass, which is a scratch code, and remove the last one."""
    lines = _lines(text)
    last = (_get(lines, _PASS) or "").partition(" ")[2]
    lines = [line for line in lines if line != last or not last]
    code = pass_code(key, _DIGITS)
    _set(lines, _PASS, f"{until} {code}")
    _append(lines, [code])
    return "\n".join(lines)


def pass_code(key: bytes, _digits: int) -> str:
    """The code of a pass that was given with this key. Scratch codes always have eight digits."""
    return next(_codes_of(key))


def recovery_codes(text: str, _user: str, _digits: int) -> list[tuple[int, str]]:
    """The recovery codes that have not been used, each with a number. They may be used in any order."""
    of_pass = (_get([text], _PASS) or "").partition(" ")[2]
    return list(enumerate((code for code in scratch_codes(text) if code != of_pass), start=1))


def with_recovery_codes(text: str, codes: t.Iterable[str]) -> str:
    """Give a user further recovery codes, of eight digits each."""
    lines = _lines(text)
    _append(lines, codes)
    return "\n".join(lines)


def use_code(text: str, _user: str, code: str, _step: CodeStep, clock: Clock) -> str | None:
    """Use a code as a login would. Returns the file in which the code is used, or None if the code is wrong.

    As in pam_google_authenticator, a time-based code is valid within the window unless it was used itself, and a
    scratch code for as long as it is in the file.
    """
    lines, parsed = _lines(text), parse(text)
    if code in parsed.scratch_codes:
        del lines[next(n for n, line in enumerate(lines) if n and [*scratch_codes(f"\n{line}")] == [code])]
        return "\n".join(lines)
    if not re.fullmatch("[0-9]{6}", code):
        return None
    now, total, used = int(clock.seconds) // parsed.interval, parsed.window, _used(parsed)
    found = step_of(parsed.key, range(max(0, now - (total - 1) // 2), now + total // 2 + 1), code)
    if found is None or found in used:
        return None
    _set(lines, REUSE, " ".join(str(one) for one in (*(one for one in used if abs(one - found) < total), found)))
    return "\n".join(lines)


def _total(window: int) -> int:
    """The WINDOW_SIZE with which `window` steps before and after now are valid too."""
    return 2 * window + 1


def _new(key: bytes, interval: int, window: int) -> list[str]:
    """The lines of a new credential file."""
    options = (f"{STEP_SIZE} {interval}", f"{WINDOW_SIZE} {_total(window)}", REUSE, "TOTP_AUTH")
    return [encode_secret(key), *(f'" {option}' for option in options), ""]


def _lines(text: str) -> list[str]:
    """The lines of a credential file. Raises CredentialError if the module would deny every code."""
    parse(text)
    return text.split("\n")


def _get(lines: t.Sequence[str], name: str) -> str | None:
    """The value of an option, which may be empty; None if the option is missing."""
    found = option("\n".join(lines), name)
    return None if found is None else found.strip(" \t")


def _set(lines: list[str], name: str, value: str | None) -> None:
    """Set an option where it is, or before all others if it is missing; None removes it."""
    made = [] if value is None else [f'" {name} {value}'.rstrip()]
    place = next((n for n, line in enumerate(lines) if re.match(rf'" {name}(\s|$)', line)), None)
    if place is not None:
        lines[place : place + 1] = made
    else:
        lines[1:1] = made


def _append(lines: list[str], codes: t.Iterable[str]) -> None:
    """Add scratch codes after the others, but before a line of another kind: the module reads no codes after that."""
    end = next((n for n, line in enumerate(lines) if n and not _is_known_line(line)), len(lines) - (not lines[-1]))
    lines[end:end] = [*codes, *([] if lines[end:] else [""])]


def _is_known_line(line: str) -> bool:
    """Whether a line is empty, an option or a scratch code."""
    return not line.strip("\r") or line.startswith('"') or _is_scratch_code(line)


def _is_scratch_code(line: str) -> bool:
    """Whether a line is a scratch code."""
    return any(scratch_codes(f"\n{line}"))


def _used(parsed: SecretFile) -> tuple[int, ...]:
    """The steps whose codes are used, as far as the module keeps them; it may keep negative numbers, which are none."""
    return tuple(step for step in parsed.used or () if step >= 0)


def _put_recovery_codes(lines: list[str], name: str, make_key: MakeKey) -> None:
    """Replace the recovery codes with a new set of this name, or with none if the name is empty."""
    of_pass = (_get(lines, _PASS) or "").partition(" ")[2]
    lines[:] = [lines[0], *(line for line in lines[1:] if not _is_scratch_code(line) or line == of_pass)]
    _set(lines, _RECOVERY, name or None)
    if name:
        codes = _codes_of(make_key(KEY_BYTES))
        _append(lines, [next(codes) for _number in range(RECOVERY_CODES)])


def _codes_of(key: bytes) -> t.Iterator[str]:
    """Distinct scratch codes from a key that is not kept. RFC 4226 makes each code equally likely."""
    made: set[str] = set()
    counter = 0
    while True:
        code = hotp(key, counter, 8)
        counter += 1
        if re.fullmatch(_SCRATCH_CODE, code) and code not in made:
            made.add(code)
            yield code
