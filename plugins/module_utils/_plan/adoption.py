# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes over people's second factors from a hand-made set-up: decides what becomes of each account. Pure.

pam_oath has one users file for everybody, and pam_google_authenticator has a file for each account. Such a file says
the same as a credential of ours, but it may hold what ours cannot: counters, PINs, codes of another length.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace

from .. import _places as places
from .._backends import backends, google_authenticator, oath, secretfile, usersfile
from .._backends.credential import App, CannotHold, Credential, CredentialError, MakeKey
from .._host.state import HostState
from .._wanted.bounds import OLD_SECRET_BYTES, SECRET_BYTES, is_account_name
from .._wanted.settings import User
from .situation import Situation

_DIGITS = re.compile(r"^[^#\n]*\bpam_oath\.so\b[^#\n]*\sdigits=([678])\b", re.MULTILINE)

_LONGEST_NAME = 100
"""The number of characters of an account's name that are shown."""


@dataclass(frozen=True)
class OldFile:
    """A file of the old set-up."""

    path: str
    text: str = field(default="", repr=False)
    unsafe: str = ""
    """Why nothing is taken over from this file; empty if it is safe."""
    names_are_certain: bool = True
    """Whether the text can be trusted to name the right accounts, since only its owner can have written it."""


@dataclass(frozen=True)
class Adoption:
    """What becomes of the accounts that have a second factor in the old set-up and no credential of ours."""

    credentials: dict[str, str] = field(default_factory=dict, repr=False)
    """The text of each new credential, by account."""
    sources: dict[str, str] = field(default_factory=dict)
    """The old files from which each credential is made, by account."""
    left: dict[str, str] = field(default_factory=dict)
    """Why an account is left out, by account."""
    void_recovery_codes: list[str] = field(default_factory=list)
    """The accounts whose recovery codes are no longer valid."""
    differences: dict[str, str] = field(default_factory=dict)
    """What changes for an account that is taken over, in sentences, by account."""


class _SharedFile(t.NamedTuple):
    """A file that all accounts share."""

    path: str
    lines: t.Mapping[str, t.Sequence[tuple[int, str]]]
    """The lines of each account, with their numbers."""
    nul_line: int | None
    """The number of a line because of which pam_oath denies everybody."""
    unsafe: str
    """Why nobody is taken over from this file; empty if it is safe."""


class _OldEntry(t.NamedTuple):
    """What one file says of one account."""

    path: str
    lines: tuple[int, ...]
    """The numbers of the lines that hold the account's keys."""
    apps: tuple[App, ...]
    recovery_codes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    """What the file says that is not taken over, in sentences."""

    @property
    def where(self) -> str:
        """The file and its lines, as a message names them."""
        *first, last = map(str, self.lines)
        return f"{self.path}: " + (f"lines {', '.join(first)} and {last}" if first else f"line {last}")


def obstacle(situation: Situation, users_files: t.Iterable[OldFile]) -> str | None:
    """Why nobody can be taken over on this host now; None if nothing prevents it."""
    settings, state = situation
    if state.pending:
        return "an earlier change is not confirmed, or was interrupted. Run the role, which ends that, and try again"
    if situation.moving:
        return settings.named(
            f"the existing credentials belong to the {state.backend} backend, but O(backend) is {settings.backend}. "
            f"Set O(backend) to {state.backend}, or run the role first, which moves the credentials"
        )
    for file in users_files:
        if not file.names_are_certain:
            return settings.named(
                f"{file.path} {file.unsafe}. Until then, it is not certain which accounts are in it, and codes that "
                "it notes as used might be valid again. If no PAM file names it any more, leave it out of "
                "O(users_files)"
            )
    return None


def adoption(
    situation: Situation,
    users_files: t.Iterable[OldFile],
    own_files: t.Mapping[str, OldFile],
    known: t.Collection[str],
    make_key: MakeKey,
) -> Adoption:
    """Decide about everybody in the old files; `own_files` are by account.

    `known` are the accounts of the host, as far as they were looked up.
    """
    settings, state = situation
    shared = [
        _SharedFile(file.path, usersfile.lines_by_user(file.text), usersfile.nul_line(file.text), file.unsafe)
        for file in users_files
    ]
    names = {*own_files, *(name for file in shared for name in file.lines)}
    ours = {*state.credentials, *(name for files in state.other_credentials.values() for name in files)}
    reader, result = _Reader(situation, known), Adoption()
    for name in sorted(names - ours):
        try:
            reader.check_account(name, _where(name, shared, own_files))
            old = [reader.read_users_file(file, name) for file in shared if name in file.lines]
            old += [reader.read_own_file(own_files[name], name)] if name in own_files else []
            credential = Credential(_merged(old, settings.user(name)))
            text = backends.BACKENDS[settings.backend].render(credential, name, settings, make_key)
        except CannotHold as error:
            where = " and ".join(one.where for one in old)
            other_backends = " or ".join(one for one in backends.BACKENDS if one != settings.backend)
            sentence = f"{where}: the account {error}. Set O(backend) to {other_backends}, or enrol the account anew"
            result.left[_shown(name)] = settings.named(sentence)
            continue
        except CredentialError as error:
            result.left[_shown(name)] = settings.named(str(error))
            continue
        codes = [code for one in old for code in one.recovery_codes]
        if codes and settings.backend == "google_authenticator":
            text = google_authenticator.with_recovery_codes(text, codes)
        elif codes:
            result.void_recovery_codes.append(name)
        differences = [*(one for file in old for one in file.differences), *_short_keys(old)]
        if differences:
            result.differences[name] = settings.named(". ".join(differences))
        result.credentials[name] = text
        result.sources[name] = " and ".join(one.path for one in old)
    return result


def _where(name: str, shared: t.Iterable[_SharedFile], own_files: t.Mapping[str, OldFile]) -> str:
    """The first place that names an account."""
    lines = (f"{file.path}: line {file.lines[name][0][0]}" for file in shared if name in file.lines)
    return next(lines, None) or own_files[name].path


class _Reader:
    """Reads what the old files say of an account. Raises CredentialError where that cannot be taken over."""

    def __init__(self, situation: Situation, known: t.Collection[str]) -> None:
        self.settings, self.state = situation
        self.known = known
        self.digits = _digits(self.state)

    def check_account(self, name: str, where: str) -> None:
        """Check that the host has the account and can have a credential for it; `where` is the place that names it."""
        user = self.settings.user(name)
        if not is_account_name(name) or backends.is_left_behind(name):
            raise CredentialError(
                f"{where} is for an account whose name PAM, sshd or a file cannot hold. Remove it there"
            )
        if name not in self.known:
            raise CredentialError(
                f"{where} is for an account that {self.state.hostname} does not have. Remove it there"
            )
        if user and not user.present:
            raise CredentialError(
                f"{where} is for an account that has state: absent in O(users). Remove it there, or take state: "
                "absent out of O(users)"
            )

    def read_users_file(self, file: _SharedFile, name: str) -> _OldEntry:
        """Read the lines of an account in a file that all accounts share, as far as pam_oath reads them."""
        path = file.path
        if file.unsafe:
            # If only another file were used, codes that are noted as used in this one might be right again.
            raise CredentialError(f"{path} {file.unsafe}")
        if file.nul_line:
            raise CredentialError(
                f"{path}: line {file.nul_line} begins with a NUL byte, so that everybody's codes are denied. Remove it"
            )
        read: dict[int, str] = {}
        differences: list[str] = []
        for number, line in file.lines[name]:
            try:
                token = usersfile.parse_line(line, number, name)
            except usersfile.SkippedLine as error:
                differences.append(f"{path}: {error}. pam_oath skips this line, and it is not taken over")
                continue
            except CredentialError as error:
                if not read:
                    raise CredentialError(
                        f"{path}: {error}, so that every code is denied. Correct the line, or enrol the account anew"
                    ) from error
                differences.append(
                    f"{path}: {error}. pam_oath accepts no code of this line or of those below it, and they are not "
                    "taken over"
                )
                break
            self._check_token(f"{path}: line {number}", token)
            read[number] = line
        if not read:
            reason = differences[0].partition(". ")[0]
            raise CredentialError(f"{reason}. Correct the line, or enrol the account anew")
        apps = oath.read("\n".join(read.values()), name, self.state.now).apps
        return _OldEntry(path, tuple(read), apps, differences=tuple(differences))

    def _check_token(self, where: str, token: usersfile.Token) -> None:
        """Check that a credential can take the place of a line of a users file."""
        if token.interval is None:
            raise CredentialError(f"{where} is for codes that are based on a counter (HOTP). Enrol the account anew")
        # With a plus sign, pam_oath asks for no PIN either.
        if token.pin not in ("-", "+"):
            raise CredentialError(f"{where} has a PIN, which would no longer be asked for. Put - in its place")
        own_digits = len(token.last_code) if token.last_code and oath.is_code(token.last_code) else token.digits
        self._check_codes(where, self.digits or own_digits or self.settings.otp_digits, token.interval)

    def read_own_file(self, file: OldFile, name: str) -> _OldEntry:
        """Read an account's own file of google-authenticator."""
        if file.unsafe:
            raise CredentialError(f"{file.path} {file.unsafe}")
        try:
            parsed = secretfile.parse(file.text)
        except secretfile.CounterError as error:
            raise CredentialError(f"{file.path}: {error}. Enrol the account anew") from error
        except CredentialError as error:
            raise CredentialError(
                f"{file.path}: {error}, so that every code is denied. Correct the file, or enrol the account anew"
            ) from error
        self._check_codes(file.path, 6, parsed.interval, _line(file, secretfile.STEP_SIZE))
        (app,) = google_authenticator.read(file.text, name).apps
        if len(app.key) > OLD_SECRET_BYTES[1]:
            raise CredentialError(
                f"{file.path}: line 1 has a key of {len(app.key)} bytes, more than the {OLD_SECRET_BYTES[1]} that a "
                "sheet can show. Enrol the account anew"
            )
        if self._clock_was_off(parsed):
            app = replace(app, used=())
        codes = google_authenticator.recovery_codes(file.text, name, 6)
        differences = tuple(self._differences(file, parsed))
        return _OldEntry(file.path, (1,), (app,), tuple(code for _number, code in codes), differences)

    def _clock_was_off(self, parsed: secretfile.SecretFile) -> bool:
        """Whether the app's clock was off by more than the window, so that the codes noted as used are outside it."""
        return abs(parsed.skew) > self.settings.window

    def _differences(self, file: OldFile, parsed: secretfile.SecretFile) -> t.Iterator[str]:
        """Yield what a file sets for its own account, where the settings decide for everybody instead."""
        if self._clock_was_off(parsed):
            side = "ahead" if parsed.skew > 0 else "behind"
            yield (
                f"{_line(file, secretfile.TIME_SKEW)} says that the clock of the app was "
                f"{abs(parsed.skew) * parsed.interval} seconds {side}. After the change this clock must be right. Set "
                "the phone to take its time from the network; the account is not proven until a code was right"
            )
        if parsed.window // 2 > self.settings.window:
            yield (
                f"{_line(file, secretfile.WINDOW_SIZE)} accepts codes up to {parsed.window // 2} steps early. After "
                f"the change it is up to {self.settings.window}, as O(window) says"
            )
        if parsed.used is None:
            yield (
                f"{file.path}: a code could be used more than once (no DISALLOW_REUSE). After the change each code is "
                "valid once"
            )

    def _check_codes(self, where: str, digits: int, interval: int, where_interval: str = "") -> None:
        """Check an account's codes against the settings, which apply to the whole host: others would be denied."""
        for place, value, unit, option in (
            (where, digits, "digits", "otp_digits"),
            (where_interval or where, interval, "seconds", "interval"),
        ):
            wanted = getattr(self.settings, option)
            if value != wanted:
                raise CredentialError(
                    f"{place} is for codes of {value} {unit}, but O({option}) is {wanted}. Set O({option}) to {value}, "
                    "or enrol the account anew"
                )


def _merged(old: t.Sequence[_OldEntry], wanted: User | None) -> tuple[App, ...]:
    """The devices of an account, each with the codes that any file lists as used. All but the first get a name."""
    first, *others = old
    for other in others:
        if {app.key for app in other.apps} != {app.key for app in first.apps}:
            raise CredentialError(
                f"{first.where} and {other.where} have different secrets. Remove the one that the app does not use"
            )
    if wanted and wanted.secret not in (None, first.apps[0].key):
        raise CredentialError(
            f"the secret in O(users) differs from that in {first.where}. Leave it out of O(users), or enrol the "
            "account anew"
        )
    apps: dict[bytes, App] = {}
    for app in (app for one in old for app in one.apps):
        known = apps.get(app.key) or replace(app, name=f"adopted-{len(apps) + 1}" if apps else "")
        apps[app.key] = replace(known, used=tuple(sorted({*known.used, *app.used})))
    return tuple(apps.values())


def _shown(name: str) -> str:
    """A name for people to read, shortened and escaped: one from a file may hold anything that a line can."""
    return name if name.isprintable() and len(name) <= _LONGEST_NAME else ascii(name[:_LONGEST_NAME])


def _line(file: OldFile, option: str) -> str:
    """The line of a google-authenticator file that sets an option, as a message names it; the file if no line does."""
    number = secretfile.place(file.text, option)
    return f"{file.path}: line {number}, {option}," if number else file.path


def _short_keys(old: t.Iterable[_OldEntry]) -> t.Iterator[str]:
    """Yield a sentence if an account keeps a key that is shorter than new keys must be."""
    keys = ((len(app.key), f"{one.path}: line {number}") for one in old for number, app in zip(one.lines, one.apps))
    shortest, where = min(keys)
    if shortest < SECRET_BYTES[0]:
        yield (
            f"{where} has a key of {shortest} bytes, and RFC 4226 asks for {SECRET_BYTES[0]} at least. The app goes on "
            "with this key; renew in O(users) makes a longer one, with a new QR code"
        )


def _digits(state: HostState) -> int | None:
    """The length of codes in the old set-up, if its lines of pam_oath give one and agree."""
    texts = (text for path, text in state.texts(f"{places.PAM_D}/").items() if path != places.SWITCH)
    lengths = {int(digits) for text in texts for digits in _DIGITS.findall(text)}
    return lengths.pop() if len(lengths) == 1 else None
