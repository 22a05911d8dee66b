# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stages a change: what can fail for want of room or rights is done now, and what is left to do is a rename.

For each change, its new content is laid ready beside the file in question, its old one is kept there by a hard link,
and the journal gets a line that undoes it. What is staged touches nothing that anybody reads.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import secrets
import stat
import typing as t

from .._plan.changes import (
    Change,
    Edit,
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
from . import credential_files, files, journal, reload, xattrs
from .actions import Actions, ApplyError

Step = t.Callable[[Actions], None]
"""Carries out what was staged."""


class Staging:
    """The changes that are staged so far: the steps to take, in order, and for the journal what undoes them."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.undos: list[journal.Undo] = []
        self.new_credentials: list[str] = []
        """Where credentials are laid ready that may not be on the disk yet."""
        self._latest: dict[str, str] = {}
        """By path, where the content is laid ready that the latest change of that path puts there."""

    def stage(self, changes: t.Iterable[Change]) -> None:
        """Stage these changes, in their order. Where that fails, `take_back` undoes what was done already."""
        for kind, group in itertools.groupby(enumerate(changes), key=lambda numbered: type(numbered[1])):
            for number, change in group:
                _stage(change, self, number)
            if kind is Enrol:
                self._have_on_disk()
        for directory in {os.path.dirname(undo.path) for undo in self.undos if undo.path}:
            files.sync_directory(os.path.join(directory, ""))

    def _have_on_disk(self) -> None:
        """Have the new credentials on the disk together; and their names, once they have them, before the next step."""
        files.sync_all(self.new_credentials)
        directories = {os.path.dirname(path) for path in self.new_credentials}
        self.steps.append(lambda _actions: files.sync_all([*directories]))
        self.new_credentials = []

    def beside(self, path: str, number: int) -> str:
        """Where the new content of a file is laid ready; the directory is made with it, if there is none."""
        if not os.path.isdir(os.path.dirname(path)):
            self.undos.append(journal.undo("unmake", os.path.dirname(path)))
        return files.staged(path, number)

    def replaces(self, path: str, new: str, step: Step) -> None:
        """Take a step that puts `new` in place of a file, which a link keeps, or where there is none."""
        self.steps.append(step)
        if path in self._latest or os.path.exists(path):
            os.link(self.latest(path), _kept(new))
            self.undos.append(journal.undo("unwrite", new, _kept(new), path))
        else:
            self.undos.append(journal.undo("uncreate", new, path))
        self._latest[path] = new

    def take_back(self) -> None:
        """Leave directories as they were before they were staged, as far as that goes."""
        for undo in reversed(self.undos):
            with contextlib.suppress(OSError):
                if undo.makes_a_directory:
                    os.rmdir(undo.arguments[0])
                elif undo.verb == "reown":
                    mode, owner, path = undo.arguments
                    files.set_rights(path, int(mode, 8), *map(int, owner.split(":")))

    def latest(self, path: str) -> str:
        """Where the content is that this path has by then: laid ready, or in its place."""
        return self._latest.get(path, path)


@functools.singledispatch
def _stage(change: object, _staging: Staging, _number: int) -> None:
    """Stage one change. `number` tells it from others of the same file."""
    raise TypeError(f"nothing stages a {type(change).__name__}")


@_stage.register(Write)
def _stage_write(change: Write, staging: Staging, number: int) -> None:
    new = staging.beside(change.path, number)
    files.write(new, change.content.encode("utf-8", "surrogateescape"), change.mode, change.uid, change.gid)
    staging.replaces(change.path, new, _renames(new, change.path))


@_stage.register(Edit)
def _stage_edit(change: Edit, staging: Staging, number: int) -> None:
    new = staging.beside(change.path, number)
    content = change.content.encode("utf-8", "surrogateescape")
    kept = xattrs.read(staging.latest(change.path))
    files.lay(new, content, change.mode, change.uid, change.gid)
    # Last, since capabilities do not outlive a change of the owner.
    xattrs.give(new, kept)
    files.sync(new)
    staging.replaces(change.path, new, _renames(new, change.path))


@_stage.register(Remove)
def _stage_remove(change: Remove, staging: Staging, number: int) -> None:
    old = _kept(staging.beside(change.path, number))
    staging.steps.append(_renames(change.path, old))
    staging.undos.append(journal.undo("unremove", old, change.path))


@_stage.register(MakeDirectory)
def _stage_make_directory(change: MakeDirectory, staging: Staging, _number: int) -> None:
    if os.path.isdir(change.path):
        staging.undos.append(_reown(change.path))
    else:
        staging.undos.append(journal.undo("unmake", change.path))
    files.make_directory(change.path, change.mode)


@_stage.register(GiveBack)
def _stage_give_back(change: GiveBack, staging: Staging, _number: int) -> None:
    staging.undos.append(_reown(change.path))
    staging.steps.append(lambda _actions: files.set_rights(change.path, change.mode, change.uid, change.gid))


@_stage.register(Enrol)
def _stage_enrol(change: Enrol, staging: Staging, number: int) -> None:
    new = staging.beside(change.path, number)
    credential_files.lay(new, change.content)
    staging.new_credentials.append(new)
    staging.steps.append(lambda _actions: os.rename(new, change.path))
    staging.undos.append(journal.undo("unenrol", new, change.path))


@_stage.register(Renew)
def _stage_renew(change: Renew, staging: Staging, number: int) -> None:
    """Replace a credential under its lock, by the text that follows from what it is by then."""
    new = staging.beside(change.path, number)
    old = _kept(new)

    def step(_actions: Actions) -> None:
        with credential_files.locked(change.lock):
            credential_files.lay_ready(new, change.path, lambda text: change.revision.text(text, secrets.token_bytes))
            os.link(new, f"{new}.kept")
            os.link(change.path, old)
            os.rename(new, change.path)
        files.sync_directory(change.path)

    staging.steps.append(step)
    staging.undos.append(journal.undo("unrenew", new, old, change.path))


@_stage.register(Move)
def _stage_move(change: Move, staging: Staging, number: int) -> None:
    new = staging.beside(change.path, number)
    # A rehearsal: what does not go, or finds no room, fails here. People may use codes until the step is taken.
    credential_files.write(new, change.revision.text(credential_files.read(change.before), secrets.token_bytes))

    def step(_actions: Actions) -> None:
        with credential_files.locked(change.lock):
            credential_files.lay_ready(new, change.before, lambda text: change.revision.text(text, secrets.token_bytes))
            files.unlink(f"{new}.kept")
            os.link(new, f"{new}.kept")
            os.rename(new, change.path)
        files.sync_directory(change.path)

    staging.replaces(change.path, new, step)


@_stage.register(RemoveMoved)
def _stage_remove_moved(change: RemoveMoved, staging: Staging, number: int) -> None:
    moved = change.moved
    old = _kept(staging.beside(change.path, number))
    kept = f"{staging.latest(moved.path)}.kept"
    staging.steps.append(_renames(change.path, old))
    staging.undos.append(journal.undo("unmove", old, moved.path, kept, moved.source, moved.target, change.path))


@_stage.register(ReloadSshd)
def _stage_reload_sshd(change: ReloadSshd, staging: Staging, _number: int) -> None:
    staging.steps.append(functools.partial(reload.check_and_reload, change))


@_stage.register(RestartCockpit)
def _stage_restart_cockpit(_change: RestartCockpit, staging: Staging, _number: int) -> None:
    staging.steps.append(reload.restart_cockpit)


@_stage.register(Listen)
def _stage_listen(change: Listen, staging: Staging, _number: int) -> None:
    def step(actions: Actions) -> None:
        actions.run(["systemctl", "daemon-reload"])
        _systemctl(actions, "enable", change.unit)

    staging.steps.append(step)
    staging.undos.append(journal.undo("unlisten", change.unit))


@_stage.register(StopListening)
def _stage_stop_listening(change: StopListening, staging: Staging, _number: int) -> None:
    staging.steps.append(lambda actions: _systemctl(actions, "disable", change.unit))
    staging.undos.append(journal.undo("listen", change.unit))


def _reown(path: str) -> journal.Undo:
    """What gives a directory the mode and the owner back that it has now."""
    now = os.stat(path)
    return journal.undo("reown", f"{stat.S_IMODE(now.st_mode):04o}", f"{now.st_uid}:{now.st_gid}", path)


def _kept(new: str) -> str:
    """Where the old content is kept that makes room for this one."""
    return f"{new}.old"


def _renames(source: str, target: str) -> Step:
    """A step that renames a file, and has the new name on the disk."""

    def step(_actions: Actions) -> None:
        os.rename(source, target)
        files.sync_directory(target)

    return step


def _systemctl(actions: Actions, verb: str, unit: str) -> None:
    """Enable or disable a unit, and start or stop it as well. Raises ApplyError."""
    code, _out, error = actions.run(["systemctl", verb, "--quiet", "--now", unit])
    if code != 0:
        raise ApplyError(f"systemd does not {verb} {unit}: {error.strip()}.")
