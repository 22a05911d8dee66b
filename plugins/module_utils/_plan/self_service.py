# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The self-service page, the command `twofactor-enrol`, and the program behind both. Pure."""

from __future__ import annotations

import json

from .. import _places as places
from .._backends import backends
from .._host.state import FileState
from .._wanted.settings import Settings
from .changes import Change, Listen, StopListening
from .draft import Draft
from .situation import Situation


def install(draft: Draft, situation: Situation) -> list[Change]:
    """Install the page and the command, if they are wanted. They are stopped while their files change."""
    settings, state = situation
    if not settings.self_service:
        return remove(draft)
    prefixes = tuple(f"{directory}/" for directory in places.SELF_SERVICE_DIRECTORIES)
    ours = {*places.FOR_SELF_SERVICE, places.SELF_SERVICE_CONFIG, *places.SELF_SERVICE_DIRECTORIES}
    ours.add(places.INVITATIONS)
    texts = {path: text for path, text in settings.files.items() if path in ours or path.startswith(prefixes)}
    if not settings.offer_enrolment:
        del texts[places.OFFER]
    if "cockpit" not in state.service_files.texts:
        texts = {path: text for path, text in texts.items() if not path.startswith(f"{places.PAGE_DIRECTORY}/")}
    texts[places.SELF_SERVICE_CONFIG] = _config(settings)
    modes = {path: places.FOR_SELF_SERVICE.get(path, 0o644) for path in texts}
    directories = {path.rpartition("/")[0]: 0o755 for path in texts if path.startswith(prefixes)}
    directories[places.INVITATIONS] = 0o700
    wanted = {path: FileState("", mode) for path, mode in directories.items()}
    wanted.update({path: FileState(text, modes[path]) for path, text in texts.items()})
    existing = {path: file for path, file in draft.files.items() if path in ours or path.startswith(prefixes)}
    listens = places.SELF_SERVICE_UNIT not in state.stopped_units
    # The program may write only to those directories of credentials that were there when it was started.
    may_write = backends.BACKENDS[settings.backend].DIRECTORY in state.files
    if (
        existing == wanted
        and listens
        and may_write
        and all(path in draft.files for path in places.SELF_SERVICE_LISTENING)
    ):
        return []
    return [
        *_stop(draft),
        *(change for path in sorted(directories) for change in draft.directory(path, directories[path])),
        # The unit that listens is written last.
        *(
            change
            for path in sorted(texts, key=lambda path: path == places.SELF_SERVICE_SOCKET_UNIT)
            for change in draft.write(path, texts[path], modes[path])
        ),
        # What an earlier release left, and what is no longer wanted.
        *draft.remove_trees(sorted(set(existing) - set(wanted))),
        Listen(places.SELF_SERVICE_UNIT),
    ]


def remove(draft: Draft) -> list[Change]:
    """Remove the page, the command, the program behind them, and all invitations."""
    files = (
        places.SELF_SERVICE_SOCKET_UNIT,
        *places.FOR_SELF_SERVICE,
        places.SELF_SERVICE_CONFIG,
        places.INVITATIONS,
    )
    return [*_stop(draft), *draft.remove(*files), *draft.remove_trees(places.SELF_SERVICE_DIRECTORIES)]


def _config(settings: Settings) -> str:
    """The program's file: the form of codes, which the code step does not show in full, and who is given a secret."""
    codes = {"otp_digits": settings.otp_digits, "interval": settings.interval, "window": settings.window}
    given = [user.name for user in settings.users if user.present and user.secret is not None]
    return json.dumps({"codes": codes, "given": sorted(given)}) + "\n"


def _stop(draft: Draft) -> list[Change]:
    """Stop the socket, so that nobody reaches the program."""
    if places.SELF_SERVICE_SOCKET_UNIT in draft.files and any(
        path in draft.files for path in places.SELF_SERVICE_LISTENING
    ):
        return [StopListening(places.SELF_SERVICE_UNIT)]
    return []
