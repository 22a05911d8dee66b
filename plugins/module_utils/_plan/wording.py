# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How people read each change, in words and in a diff. Pure, and never with a secret."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import typing as t

from .. import _places as places
from .._backends import backends
from .._backends.credential import App, Credential, CredentialError, MakeKey
from .._host.state import HostState
from .changes import (
    Change,
    Enrol,
    GiveBack,
    Listen,
    MakeDirectory,
    Move,
    ReloadSshd,
    Remove,
    RemoveMoved,
    Renew,
    RestartCockpit,
    StopListening,
    Write,
)

_SHORT = 20
"""The number of lines up to which the text of a new or a removed file is shown."""


class Wording(t.NamedTuple):
    """How a change is described."""

    text: str
    """What it does."""
    path: str = ""
    """The file that it changes, if it changes one."""
    after: str = ""
    """What a diff shows as that file's new text."""


@functools.singledispatch
def _describe(change: object) -> Wording:
    """The description of one change."""
    raise TypeError(f"nothing is said of a {type(change).__name__}")


@_describe.register(Write)
def _describe_write(change: Write) -> Wording:
    return Wording(f"write {change.path}", change.path, change.content)


@_describe.register(Remove)
@_describe.register(RemoveMoved)
def _describe_remove(change: Remove | RemoveMoved) -> Wording:
    return Wording(f"remove {change.path}", change.path)


@_describe.register(MakeDirectory)
def _describe_make_directory(change: MakeDirectory) -> Wording:
    return Wording(f"make {change.path}", change.path, _directory(change.mode))


@_describe.register(GiveBack)
def _describe_give_back(change: GiveBack) -> Wording:
    text = f"give {change.path} back to {change.uid}:{change.gid}, mode {change.mode:04o}"
    return Wording(text, change.path, _directory(change.mode))


@_describe.register(Enrol)
@_describe.register(Renew)
@_describe.register(Move)
def _describe_enrol(change: Enrol | Renew | Move) -> Wording:
    return Wording(f"write {change.path}", change.path, _credential(change.user, change.interval))


@_describe.register(ReloadSshd)
def _describe_reload_sshd(_change: ReloadSshd) -> Wording:
    return Wording("reload sshd")


@_describe.register(RestartCockpit)
def _describe_restart_cockpit(_change: RestartCockpit) -> Wording:
    return Wording("restart Cockpit")


@_describe.register(Listen)
def _describe_listen(change: Listen) -> Wording:
    return Wording(f"start {change.unit}")


@_describe.register(StopListening)
def _describe_stop_listening(change: StopListening) -> Wording:
    return Wording(f"stop {change.unit}")


def in_words(changes: t.Iterable[Change]) -> list[str]:
    """The changes in words, in order."""
    return [_describe(change).text for change in changes]


def diff(changes: t.Iterable[Change], state: HostState) -> list[dict[str, str]]:
    """The diff of each file from before the first change to after the last; credentials are only described."""
    after: dict[str, str] = {}
    for change in changes:
        wording = _describe(change)
        if wording.path:
            after[wording.path] = wording.after + "".join(f"{line}\n" for line in _credential_changes(change, state))
    texts = ((path, _before(state, path), text) for path, text in after.items())
    return [
        {
            "before_header": path,
            "after_header": path,
            "before": _printable(before if text else _shortened(before, "removed")),
            "after": _printable(_shortened(text, "new") if not before and _is_same_everywhere(path) else text),
        }
        for path, before, text in texts
        if before != text
    ]


def _is_same_everywhere(path: str) -> bool:
    """Whether a file of ours is the same on every host."""
    return path in places.STATIC_FILES or path.startswith(tuple(f"{one}/" for one in places.SELF_SERVICE_DIRECTORIES))


def _shortened(text: str, what: str) -> str:
    """What a diff shows of a file of ours that is new or removed: only the length, if it is long."""
    lines = text.count("\n")
    return text if lines <= _SHORT else f"a file of fleet.auth, {what} ({lines} lines)\n"


def _credential_changes(change: Change, state: HostState) -> list[str]:
    """What the change of a credential means for its user, one line each."""
    if isinstance(change, Enrol):
        backend = next(one for one in backends.BACKENDS.values() if change.path.rpartition("/")[0] == one.DIRECTORY)
        return _credential_differences(None, backend.read(change.content, change.user))
    if isinstance(change, (Renew, Move)):
        revision = change.revision
        text = state.credentials_of(revision.source)[change.user].content
        after = revision.text(text, _placeholder_keys())
        earlier = backends.BACKENDS[revision.source].read(text, change.user)
        lines = _credential_differences(earlier, backends.BACKENDS[revision.settings.backend].read(after, change.user))
        return lines or (["written anew: the codes stay the same"] if isinstance(change, Renew) else [])
    return []


def _placeholder_keys() -> MakeKey:
    """Distinct stand-ins for the keys that are made only when the change is carried out."""
    number = itertools.count(1)
    return lambda length: hashlib.sha512(bytes([next(number) % 256])).digest()[:length]


def _credential_differences(before: Credential | None, after: Credential) -> list[str]:
    """The differences between two states of a credential, in words."""
    apps = {app.name: app for app in before.apps if app.interval is not None} if before else {}
    now = {app.name: app for app in after.apps if app.interval is not None}
    lines = [line for name, app in now.items() for line in _device_differences(apps.get(name), app)]
    lines += [f"device {name} removed: its codes stop" for name in apps if name and name not in now]
    old_set = before.recovery_set if before else ""
    if after.recovery_set and after.recovery_set != old_set:
        instead = f": those of the set {old_set} stop" if old_set else ""
        lines.append(f"{after.recovery_codes_left} recovery codes, set {after.recovery_set}, on the sheet{instead}")
    elif old_set and not after.recovery_set:
        lines.append("recovery codes removed")
    return lines


def _device_differences(before: App | None, after: App) -> t.Iterator[str]:
    """The differences of one device, in words. The first device has no name."""
    whose = f"device {after.name}: " if after.name else ""
    if before is None:
        yield (
            f"device {after.name} added, with a secret and a sheet of its own"
            if after.name
            else "new secret, new sheet"
        )
    elif before.key != after.key:
        yield f"{whose}new secret, new sheet: the codes of the old one stop"
    elif before.interval != after.interval:
        yield f"{whose}a code every {after.interval} seconds, new sheet: codes of {before.interval} seconds stop"


def _before(state: HostState, path: str) -> str:
    """What a diff shows as the present text of a file."""
    directory, name = path.rpartition("/")[::2]
    if directory in backends.DIRECTORIES:
        kept = path == backends.credential_path(state.backend, name) and name in state.credentials
        return _credential(name, _interval(state, name)) if kept else ""
    file = state.files.get(path)
    if file is None:
        return ""
    return file.content or _directory(file.mode)


def _interval(state: HostState, user: str) -> int | None:
    """For how many seconds a user's first device now shows each code; None if that is unknown."""
    with contextlib.suppress(CredentialError):
        phone = backends.BACKENDS[state.backend].read(state.credentials[user].content, user).phone
        return phone.interval if phone else None
    return None


def _credential(user: str, interval: int | None) -> str:
    """What a diff shows of a credential."""
    shown = f", {interval} seconds a code" if interval else ""
    return f"credential of {user}{shown}; the key is not shown\n"


def _directory(mode: int) -> str:
    """What a diff shows of a directory."""
    return f"directory, mode {mode:04o}\n"


def _printable(text: str) -> str:
    """The text as valid UTF-8, which the controller needs; a file on the host may have other bytes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
