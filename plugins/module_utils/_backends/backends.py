# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backends: the PAM modules that can ask for the code, and what each has to say of its own files. Pure."""

from __future__ import annotations

import fnmatch
import typing as t
from dataclasses import replace

from .._texts import pam
from .._wanted.settings import Settings, User
from . import google_authenticator, oath
from .codes import App, Clock, Credential, MakeKey


class Backend(t.Protocol):
    """What the rest of the house asks of a backend. Whatever reads a credential raises CredentialError."""

    DIRECTORY: str
    """Where the credentials are, each under its user's name."""
    MODULE: str
    """The file of the PAM module."""
    PACKAGES: dict[str, str]
    """The package that has it, by family of distributions."""
    MODES: tuple[int, ...]
    """The modes that a credential may have; the first is that of a new one."""
    LOCK: str
    """What is added to the name of a credential for the file that the module makes while it writes one back."""
    LEFT_BEHIND: tuple[str, ...]
    """Patterns of the names of files of a login that was cut off, as in glob(7)."""

    def pam_line(self, settings: Settings) -> str:
        """The module of the code step, with its arguments."""

    def code_length(self, switch: str) -> int | None:
        """How long codes are by the text that holds the PAM line; None where no code is asked for."""

    def unfit(self, module: bytes | None, release: tuple[str, str]) -> str | None:
        """Why the module of this host, or of this release of a distribution if there is none yet, is no good."""

    def read(self, text: str, user: str, now: float | None = None) -> Credential:
        """What a credential file says. With `now`, in seconds since the epoch, also which codes are used."""

    def render(self, credential: Credential, user: str, settings: Settings, make_key: MakeKey) -> str:
        """A file that says what one of another backend does; recovery codes are new, and a pass is left out."""

    def revise(self, text: str | None, wanted: User, settings: Settings, make_key: MakeKey) -> str:
        """Bring a file to what is wanted of its user; `text` is None where there is none yet."""

    def adjust(self, text: str, settings: Settings) -> str:
        """Bring a file to what holds for everybody, of a user of whom nothing is wanted."""

    def with_pass(self, text: str, user: str, key: bytes, until: str) -> str:
        """Give a user a pass, in the place of the last one."""

    def pass_code(self, key: bytes, digits: int) -> str:
        """The code of a pass that was given with this key."""

    def recovery_codes(self, text: str, user: str, digits: int) -> list[tuple[int, str]]:
        """The recovery codes that have not been used, in their order, each with its number from 1."""

    def use_code(self, text: str, user: str, code: str, switch: str, clock: Clock) -> str | None:
        """Take a code as a login would: the file with the code used up, or None where the code is not right."""


BACKENDS: dict[str, Backend] = {"oath": oath, "google_authenticator": google_authenticator}

DIRECTORIES = tuple(backend.DIRECTORY for backend in BACKENDS.values())
LOCKS = tuple(f"{backend.DIRECTORY}/*{backend.LOCK}" for backend in BACKENDS.values())
"""Patterns of the files that keep others from a credential while it is written back."""
LEFT_BEHIND = tuple(f"{one.DIRECTORY}/{name}" for one in BACKENDS.values() for name in one.LEFT_BEHIND)
"""Patterns of the files that a login leaves behind which was cut off."""


def asking(switch: str | None) -> str | None:
    """The backend by which a code step asks for codes, if it asks anybody."""
    return next((name for name, one in BACKENDS.items() if pam.asks_for_code(switch, one.MODULE)), None)


def in_use(switch: str | None, having_credentials: t.Collection[str], preferred: str) -> str:
    """The backend that has the credentials: the one that is asked; while none is, one that has any."""
    order = dict.fromkeys([preferred, *BACKENDS])
    return asking(switch) or next((name for name in order if name in having_credentials), preferred)


def credential_path(backend: str, user: str) -> str:
    """Where this user's credential file is."""
    return f"{BACKENDS[backend].DIRECTORY}/{user}"


def is_left_behind(name: str) -> bool:
    """Whether a file of this name, in one directory of credentials or another, is none but what a login left behind."""
    return any(fnmatch.fnmatchcase(name, pattern) for one in BACKENDS.values() for pattern in one.LEFT_BEHIND)


def revised(settings: Settings, user: str, text: str | None, source: str, now: float, make_key: MakeKey) -> str:
    """A user's credential as the settings want it, from what it is in the backend `source`; None if there is none.

    `now` is in seconds since the epoch. Raises CredentialError.
    """
    backend, wanted = BACKENDS[settings.backend], settings.user(user)
    if text is not None and source != settings.backend:
        credential = BACKENDS[source].read(text, user, now)
        apps = _wanted_of(credential.apps, wanted, settings) if wanted else credential.apps
        text = backend.render(replace(credential, apps=apps), user, settings, make_key)
    if wanted:
        return backend.revise(text, wanted, settings, make_key)
    return backend.adjust(t.cast(str, text), settings)


def _wanted_of(apps: t.Iterable[App], wanted: User, settings: Settings) -> tuple[App, ...]:
    """What is not wanted any more need not be something that another backend can hold."""
    gone = {device.name for device in wanted.devices if not device.present}
    return tuple(
        app if app.name or app.interval is None else replace(app, interval=settings.interval)
        for app in apps
        if not app.name or app.name not in gone
    )
