# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person reads of each change, in words and in a diff. Pure, and never a secret."""

from __future__ import annotations

import functools
import typing as t

from .._backends import backends
from .._host.state import HostState
from .changes import (
    Change,
    Enrol,
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


class Wording(t.NamedTuple):
    """What is said of a change."""

    text: str
    """What it does."""
    path: str = ""
    """The file that it changes, if it changes one."""
    after: str = ""
    """What a diff shows of that file afterwards."""


@functools.singledispatch
def _of(change: object) -> Wording:
    """What is said of one change."""
    raise TypeError(f"nothing is said of a {type(change).__name__}")


@_of.register(Write)
def _of_write(change: Write) -> Wording:
    return Wording(f"write {change.path}", change.path, change.content)


@_of.register(Remove)
@_of.register(RemoveMoved)
def _of_remove(change: Remove | RemoveMoved) -> Wording:
    return Wording(f"remove {change.path}", change.path)


@_of.register(MakeDirectory)
def _of_make_directory(change: MakeDirectory) -> Wording:
    return Wording(f"make {change.path}", change.path, _directory(change.mode))


@_of.register(Enrol)
@_of.register(Renew)
@_of.register(Move)
def _of_enrol(change: Enrol | Renew | Move) -> Wording:
    after = f"credential of {change.user}, {change.interval} seconds a code; the key is not shown\n"
    return Wording(f"write {change.path}", change.path, after)


@_of.register(ReloadSshd)
def _of_reload_sshd(_change: ReloadSshd) -> Wording:
    return Wording("reload sshd")


@_of.register(RestartCockpit)
def _of_restart_cockpit(_change: RestartCockpit) -> Wording:
    return Wording("restart Cockpit")


@_of.register(Listen)
def _of_listen(change: Listen) -> Wording:
    return Wording(f"start {change.unit}")


@_of.register(StopListening)
def _of_stop_listening(change: StopListening) -> Wording:
    return Wording(f"stop {change.unit}")


def in_words(changes: t.Iterable[Change]) -> list[str]:
    """What these changes do, in their order."""
    return [_of(change).text for change in changes]


def diff(changes: t.Iterable[Change], state: HostState) -> list[dict[str, str]]:
    """What these changes make of a host, by file, from the first text to the last; credentials only as words."""
    after = {said.path: said.after for said in map(_of, changes) if said.path}
    return [
        {
            "before_header": path,
            "after_header": path,
            "before": _printable(_before(state, path)),
            "after": _printable(text),
        }
        for path, text in after.items()
        if _before(state, path) != text
    ]


def _before(state: HostState, path: str) -> str:
    """What a diff shows of a file as it is now."""
    directory, name = path.rpartition("/")[::2]
    if directory in backends.DIRECTORIES:
        kept = path == backends.credential_path(state.backend, name) and name in state.credentials
        return f"credential of {name}; the key is not shown\n" if kept else ""
    file = state.files.get(path)
    if file is None:
        return ""
    return file.content or _directory(file.mode)


def _directory(mode: int) -> str:
    """What a diff shows of a directory."""
    return f"directory, mode {mode:04o}\n"


def _printable(text: str) -> str:
    """A file need not be UTF-8; what is sent to the controller has to be."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
