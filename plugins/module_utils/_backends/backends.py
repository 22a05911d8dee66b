# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backends: PAM modules that can ask for the code. This is their only list; `backend` has their interface."""

from __future__ import annotations

import fnmatch
import typing as t
from dataclasses import replace

from .._texts.code_step import CodeStep
from .._wanted.bounds import OTP_DIGITS
from .._wanted.settings import Settings, User
from . import google_authenticator, oath
from .credential import App, Credential, MakeKey
from .hotp import KEY_BYTES

if t.TYPE_CHECKING:
    from .backend import Backend


BACKENDS: dict[str, Backend] = {"oath": oath, "google_authenticator": google_authenticator}

MODULES = tuple(backend.MODULE for backend in BACKENDS.values())
DIRECTORIES = tuple(backend.DIRECTORY for backend in BACKENDS.values())
LOCKS = tuple(f"{backend.DIRECTORY}/*{backend.LOCK}" for backend in BACKENDS.values())
"""Patterns of the lock files that exist while a credential is written."""
LEFT_BEHIND = tuple(f"{one.DIRECTORY}/{name}" for one in BACKENDS.values() for name in one.LEFT_BEHIND)
"""Patterns of the files that an interrupted login leaves behind."""


def asking(step: CodeStep) -> str | None:
    """The backend with which a code step asks for codes; None if it asks for none."""
    return next((name for name, one in BACKENDS.items() if step.module == one.MODULE), None)


def code_length(step: CodeStep) -> int | None:
    """The length of the codes that a code step asks for; None if it asks for none."""
    backend = asking(step)
    return BACKENDS[backend].code_length(step) if backend else None


def in_use(step: CodeStep, having_credentials: t.Collection[str], preferred: str) -> str:
    """The backend whose credentials are in use: the one that the code step asks, or else one that has any."""
    order = dict.fromkeys([preferred, *BACKENDS])
    return asking(step) or next((name for name in order if name in having_credentials), preferred)


def credential_path(backend: str, user: str) -> str:
    """The path of this user's credential file."""
    return f"{BACKENDS[backend].DIRECTORY}/{user}"


def is_left_behind(name: str) -> bool:
    """Whether a file of this name in a directory of credentials is no credential, but left by an interrupted login."""
    return any(fnmatch.fnmatchcase(name, pattern) for one in BACKENDS.values() for pattern in one.LEFT_BEHIND)


def revised(settings: Settings, user: str, text: str | None, source: str, now: float, make_key: MakeKey) -> str:
    """The text of a user's credential file as the settings want it.

    `text` is the present file, in the backend `source`; None if there is none. `now` is in seconds since the epoch.
    Raises CredentialError.
    """
    backend, wanted = BACKENDS[settings.backend], settings.user(user)
    if text is not None and source != settings.backend:
        credential = BACKENDS[source].read(text, user, now)
        if wanted:
            credential = _wanted_of(credential, wanted, settings, make_key)
        text = backend.render(credential, user, settings, make_key)
    if wanted:
        return backend.revise(text, wanted, settings, make_key)
    return backend.adjust(t.cast(str, text), settings)


def _wanted_of(old: Credential, wanted: User, settings: Settings, make_key: MakeKey) -> Credential:
    """What a user will have afterwards. The new backend need not be able to hold what will be removed anyway."""
    gone = {device.name for device in wanted.devices if not device.present}
    due = wanted.renew not in (None, old.renewal)

    def of_phone(app: App) -> App:
        key = wanted.secret or (make_key(KEY_BYTES) if due else app.key)
        return replace(app, interval=settings.interval, key=key, used=app.used if key == app.key else ())

    apps = (of_phone(app) if app == old.phone else app for app in old.apps if not app.name or app.name not in gone)
    return old._replace(apps=tuple(apps), renewal=wanted.renew or old.renewal)


def unsupported(wanted: Settings) -> t.Iterator[str]:
    """Yield a sentence for each setting that the chosen backend cannot do, with the backends that can."""
    backend = BACKENDS[wanted.backend]
    named = f"the {wanted.backend} backend ({backend.MODULE})"
    low, high = OTP_DIGITS
    digits = min(max(low, wanted.otp_digits), high)
    able = [name for name, one in BACKENDS.items() if digits in one.DIGITS and wanted.interval in one.INTERVALS]
    if wanted.backend not in able:
        yield (
            f"O(interval) is {wanted.interval} seconds and O(otp_digits) is {wanted.otp_digits}, which "
            f"{named + ' cannot' if able else 'no backend can'} do. "
            f"{', '.join(f'{name} can do {one.IN_WORDS}' for name, one in BACKENDS.items())}."
            + "".join(f" Set O(backend) to {name}." for name in able)
        )
    for user in wanted.users:
        if user.recovery_codes and wanted.window < backend.RECOVERY_WINDOW:
            yield (
                f"O(users): recovery_codes of {user.name} need a O(window) of at least {backend.RECOVERY_WINDOW}. With "
                f"a smaller one, {named} accepts only the first code. Raise O(window), or leave recovery_codes out."
            )
        if any(device.present for device in user.devices) and not backend.DEVICES:
            several = " or ".join(name for name, one in BACKENDS.items() if one.DEVICES)
            yield (
                f"O(users): {user.name} has devices, but {named} has one secret per user. Leave them out, or set "
                f"O(backend) to {several}."
            )
