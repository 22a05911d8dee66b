# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes people's second factors over from a set-up that somebody made by hand: what becomes of each account. Pure.

pam_oath has one users file for everybody, and pam_google_authenticator a file for each account. What such a file says
is what a credential of ours says, but it may hold what ours cannot: counters, PINs, codes of another length.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace

from .. import _places as places
from .._backends import backends, google_authenticator, oath, usersfile
from .._backends.credential import App, Credential, CredentialError, MakeKey
from .._host.state import HostState
from .._wanted.bounds import is_account_name
from .._wanted.settings import User
from .situation import Situation

_DIGITS = re.compile(r"^[^#\n]*\bpam_oath\.so\b[^#\n]*\sdigits=([678])\b", re.MULTILINE)


@dataclass(frozen=True)
class OldFile:
    """A file of the old set-up."""

    path: str
    text: str = field(default="", repr=False)
    unsafe: str = ""
    """Why it was not read, if it was not."""


@dataclass(frozen=True)
class Adoption:
    """What becomes of the accounts that have a second factor in the old set-up and no credential of ours."""

    credentials: dict[str, str] = field(default_factory=dict, repr=False)
    """The text of each new credential, by account."""
    sources: dict[str, str] = field(default_factory=dict)
    """The old files that each one comes from, by account."""
    left: dict[str, str] = field(default_factory=dict)
    """Why an account is left out, by account."""
    void_recovery_codes: list[str] = field(default_factory=list)
    """The accounts whose recovery codes are not right any more."""


class _Old(t.NamedTuple):
    """What one file says of one account."""

    path: str
    apps: tuple[App, ...]
    recovery_codes: tuple[str, ...] = ()


def obstacle(situation: Situation) -> str | None:
    """Why nobody can be taken over on this host now."""
    settings, state = situation
    if state.pending:
        return "a change waits to be confirmed, or died half-way. The next run of the role ends it; run again then"
    if situation.moving:
        return (
            f"the credentials that there are belong to the {state.backend} backend, and backend is {settings.backend}. "
            f"Set backend to {state.backend}, or run the role first, which moves them"
        )
    return None


def adoption(
    situation: Situation,
    users_files: t.Iterable[OldFile],
    own_files: t.Mapping[str, OldFile],
    make_key: MakeKey,
) -> Adoption:
    """Decide about everybody whom the old files know; `own_files` are by account."""
    settings, state = situation
    shared = [(file.path, usersfile.lines_by_user(file.text)) for file in users_files]
    names = {*own_files, *(name for _path, lines in shared for name in lines)}
    ours = {*state.credentials, *(name for files in state.others.values() for name in files)}
    check, found = _Check(situation), Adoption()
    for name in sorted(names - ours):
        try:
            check.account(name)
            old = [check.users_file(path, lines[name], name) for path, lines in shared if name in lines]
            old += [check.own_file(own_files[name], name)] if name in own_files else []
            credential = Credential(_merged(old, settings.user(name)))
            text = backends.BACKENDS[settings.backend].render(credential, name, settings, make_key)
        except CredentialError as error:
            found.left[name] = str(error)
            continue
        codes = [code for one in old for code in one.recovery_codes]
        if codes and settings.backend == "google_authenticator":
            text = google_authenticator.with_recovery_codes(text, codes)
        elif codes:
            found.void_recovery_codes.append(name)
        found.credentials[name] = text
        found.sources[name] = " and ".join(one.path for one in old)
    return found


class _Check:
    """Reads what the old files say of an account. Raises CredentialError where that cannot be taken over."""

    def __init__(self, situation: Situation) -> None:
        self.settings, self.state = situation
        self.digits = _digits(self.state)

    def account(self, name: str) -> None:
        """Whether the host has the account, and can have a credential for it."""
        user = self.settings.user(name)
        if not is_account_name(name) or backends.is_left_behind(name):
            raise CredentialError("PAM, sshd and a file cannot carry this name alike")
        if name not in self.state.accounts:
            raise CredentialError(f"there is no account of this name on {self.state.hostname}")
        if user and not user.present:
            raise CredentialError("users wants it to be absent")

    def users_file(self, path: str, lines: t.Sequence[tuple[int, str]], name: str) -> _Old:
        """What the lines of an account say in a file that all accounts share."""
        for number, line in lines:
            where = f"{path}: line {number}"
            try:
                token = usersfile.parse_line(line, number, name)
            except CredentialError as error:
                raise CredentialError(f"{path}: {error}. Mend the line, or enrol the account anew") from error
            if token.interval is None:
                raise CredentialError(f"{where} is for codes that go by a counter (HOTP). Enrol the account anew")
            if token.pin != "-":
                raise CredentialError(f"{where} has a PIN, for which nobody would be asked. Put - there")
            said = len(token.last_code) if token.last_code else token.digits
            self._codes(where, self.digits or said or self.settings.otp_digits, token.interval)
        return _Old(path, oath.read("\n".join(line for _number, line in lines), name, self.state.now).apps)

    def own_file(self, file: OldFile, name: str) -> _Old:
        """What the file of google-authenticator says that an account has for itself."""
        if file.unsafe:
            raise CredentialError(f"{file.path} {file.unsafe}")
        try:
            apps = google_authenticator.read(file.text, name).apps
        except CredentialError as error:
            raise CredentialError(f"{file.path}: {error}. Enrol the account anew") from error
        self._codes(file.path, 6, apps[0].interval)
        codes = google_authenticator.recovery_codes(file.text, name, 6)
        return _Old(file.path, apps, tuple(code for _number, code in codes))

    def _codes(self, where: str, digits: int, interval: int | None) -> None:
        """The settings are one for a host, so whoever has other codes could not log in."""
        for found, unit, option in ((digits, "digits", "otp_digits"), (interval, "seconds", "interval")):
            wanted = getattr(self.settings, option)
            if found != wanted:
                raise CredentialError(
                    f"{where} is for codes of {found} {unit}, and {option} is {wanted}. Set it to {found}, or enrol "
                    "the account anew"
                )


def _merged(old: t.Sequence[_Old], wanted: User | None) -> tuple[App, ...]:
    """The devices of an account, each with the codes that any of the files knows as used. Further ones get a name."""
    first, *others = old
    for other in others:
        if {app.key for app in other.apps} != {app.key for app in first.apps}:
            raise CredentialError(
                f"{first.path} and {other.path} have different secrets. Remove the one that the app does not have"
            )
    if wanted and wanted.secret not in (None, first.apps[0].key):
        raise CredentialError(f"users has another secret than {first.path}. Leave the secret out there, or enrol anew")
    apps: dict[bytes, App] = {}
    for app in (app for one in old for app in one.apps):
        known = apps.get(app.key) or replace(app, name=f"adopted-{len(apps) + 1}" if apps else "")
        apps[app.key] = replace(known, used=tuple(sorted({*known.used, *app.used})))
    return tuple(apps.values())


def _digits(state: HostState) -> int | None:
    """How long the old set-up wants codes to be, where its lines of pam_oath say so and agree."""
    texts = (text for path, text in state.texts(f"{places.PAM_D}/").items() if path != places.SWITCH)
    found = {int(digits) for text in texts for digits in _DIGITS.findall(text)}
    return found.pop() if len(found) == 1 else None
