# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stages a change: everything that can fail for lack of space or rights is done first; only a rename is left to do.

For each change, the new content is staged beside the file that it is for, a hard link there keeps the old content, and
the journal gets a line that undoes the change. Staging touches nothing that anybody reads.
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
from . import credential_files, files, journal, reload, units, xattrs
from .actions import Actions, ApplyError

Step = t.Callable[[Actions], None]
"""Carries out one staged change."""


class Staging:
    """The changes that are staged so far: the steps to take, in order, and what undoes them, for the journal."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.undos: list[journal.Undo] = []
        self.new_credentials: list[str] = []
        """The paths of staged credentials that may not be on the disk yet."""
        self._latest: dict[str, str] = {}
        """By path, the staged file of the latest change of that path."""

    def stage(self, changes: t.Sequence[Change]) -> None:
        """Stage these changes, in their order. If that fails, `take_back` undoes what was already done."""
        for kind, group in itertools.groupby(enumerate(changes), key=lambda numbered: type(numbered[1])):
            for number, change in group:
                _stage(change, self, number)
            if kind is Enrol:
                self._flush_new_credentials()
        # Starting a unit has systemd read all of them. After the last stop, this is still to be done.
        listening = [type(change) for change in changes if isinstance(change, (Listen, StopListening))]
        if listening[-1:] == [StopListening]:
            self.steps.append(units.read_all)
        for directory in {os.path.dirname(undo.path) for undo in self.undos if undo.path}:
            files.sync_directory(os.path.join(directory, ""))

    def _flush_new_credentials(self) -> None:
        """Flush the new credentials to disk together, and add a step that flushes their names once they have them."""
        files.sync_all(self.new_credentials)
        directories = {os.path.dirname(path) for path in self.new_credentials}
        self.steps.append(lambda _actions: files.sync_all([*directories]))
        self.new_credentials = []

    def staged_path(self, path: str, number: int) -> str:
        """The path at which the new content of a file is staged. If its directory is missing, staging will make it."""
        if not os.path.isdir(os.path.dirname(path)):
            self.undos.append(journal.undo("unmake", os.path.dirname(path)))
        return files.staged(path, number)

    def add_replacement(self, path: str, new: str, step: Step) -> None:
        """Add a step that puts `new` at a path. A link keeps the file that is there, if there is one."""
        self.steps.append(step)
        if path in self._latest or os.path.exists(path):
            os.link(self.latest(path), _kept(new))
            self.undos.append(journal.undo("unwrite", new, _kept(new), path))
        else:
            self.undos.append(journal.undo("uncreate", new, path))
        self._latest[path] = new

    def take_back(self) -> None:
        """Put directories back as they were before staging, as far as possible."""
        for undo in reversed(self.undos):
            with contextlib.suppress(OSError):
                if undo.makes_a_directory:
                    os.rmdir(undo.arguments[0])
                elif undo.verb == "reown":
                    mode, owner, path = undo.arguments
                    files.set_rights(path, int(mode, 8), *map(int, owner.split(":")))

    def latest(self, path: str) -> str:
        """Where to read the content that this path will have before the next change: the staged file, or the path."""
        return self._latest.get(path, path)


@functools.singledispatch
def _stage(change: object, _staging: Staging, _number: int) -> None:
    """Stage one change. `number` distinguishes it from other changes of the same file."""
    raise TypeError(f"nothing stages a {type(change).__name__}")


@_stage.register(Write)
def _stage_write(change: Write, staging: Staging, number: int) -> None:
    new = staging.staged_path(change.path, number)
    files.write(new, change.content, change.mode, change.uid, change.gid)
    staging.add_replacement(change.path, new, _rename_step(new, change.path))


@_stage.register(Edit)
def _stage_edit(change: Edit, staging: Staging, number: int) -> None:
    new, latest = staging.staged_path(change.path, number), staging.latest(change.path)
    seen = os.stat(latest)
    if files.read(latest) != change.former:
        raise _changed_meanwhile(change.path)
    kept = xattrs.read(latest)
    files.create(new, change.content, change.mode, change.uid, change.gid)
    # Last, since a change of the owner removes capabilities.
    xattrs.write(new, kept)
    files.sync(new)
    step = _rename_step(new, change.path, seen if latest == change.path else None)
    staging.add_replacement(change.path, new, step)


@_stage.register(Remove)
def _stage_remove(change: Remove, staging: Staging, number: int) -> None:
    old = _kept(staging.staged_path(change.path, number))
    staging.steps.append(_rename_step(change.path, old))
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
    new = staging.staged_path(change.path, number)
    credential_files.create(new, change.content)
    staging.new_credentials.append(new)
    staging.steps.append(lambda _actions: os.rename(new, change.path))
    staging.undos.append(journal.undo("unenrol", new, change.path))


@_stage.register(Renew)
def _stage_renew(change: Renew, staging: Staging, number: int) -> None:
    """Replace a credential under its lock. The new text is made from the text that the file has at that time."""
    new = staging.staged_path(change.path, number)
    old = _kept(new)

    def step(_actions: Actions) -> None:
        with credential_files.locked(change.lock):
            credential_files.prepare(new, change.path, lambda text: change.revision.text(text, secrets.token_bytes))
            os.link(new, f"{new}.kept")
            os.link(change.path, old)
            os.rename(new, change.path)
        files.sync_directory(change.path)

    staging.steps.append(step)
    staging.undos.append(journal.undo("unrenew", new, old, change.path))


@_stage.register(Move)
def _stage_move(change: Move, staging: Staging, number: int) -> None:
    new = staging.staged_path(change.path, number)
    # A rehearsal: if the credential cannot be converted, or the disk is full, this fails before the host is changed.
    # The step converts it again, since people may use codes until then.
    credential_files.write(new, change.revision.text(files.read(change.before), secrets.token_bytes))

    def step(_actions: Actions) -> None:
        with credential_files.locked(change.lock):
            credential_files.prepare(new, change.before, lambda text: change.revision.text(text, secrets.token_bytes))
            files.unlink(f"{new}.kept")
            os.link(new, f"{new}.kept")
            os.rename(new, change.path)
        files.sync_directory(change.path)

    staging.add_replacement(change.path, new, step)


@_stage.register(RemoveMoved)
def _stage_remove_moved(change: RemoveMoved, staging: Staging, number: int) -> None:
    moved = change.moved
    old = _kept(staging.staged_path(change.path, number))
    kept = f"{staging.latest(moved.path)}.kept"
    staging.steps.append(_rename_step(change.path, old))
    staging.undos.append(journal.undo("unmove", old, moved.path, kept, moved.source, moved.target, change.path))


@_stage.register(ReloadSshd)
def _stage_reload_sshd(change: ReloadSshd, staging: Staging, _number: int) -> None:
    staging.steps.append(functools.partial(reload.check_and_reload, change))


@_stage.register(RestartCockpit)
def _stage_restart_cockpit(_change: RestartCockpit, staging: Staging, _number: int) -> None:
    staging.steps.append(reload.restart_cockpit)


@_stage.register(Listen)
def _stage_listen(change: Listen, staging: Staging, _number: int) -> None:
    staging.steps.append(functools.partial(units.start, change.unit))
    staging.undos.append(journal.undo("unlisten", change.unit))


@_stage.register(StopListening)
def _stage_stop_listening(change: StopListening, staging: Staging, _number: int) -> None:
    staging.steps.append(functools.partial(units.stop, change.unit))
    staging.undos.append(journal.undo("listen", change.unit))


def _reown(path: str) -> journal.Undo:
    """What restores the present mode and owner of a directory."""
    now = os.stat(path)
    return journal.undo("reown", f"{stat.S_IMODE(now.st_mode):04o}", f"{now.st_uid}:{now.st_gid}", path)


def _kept(new: str) -> str:
    """The path at which the old content is kept that this staged file replaces."""
    return f"{new}.old"


def _changed_meanwhile(path: str) -> ApplyError:
    return ApplyError(f"{path} was changed by something else since this run had looked at it. Run again.")


def _rename_step(source: str, target: str, seen: os.stat_result | None = None) -> Step:
    """A step that renames a file, and flushes the new name to disk.

    It fails if `seen` is given, and the target is another file by then, or has been written to.
    """

    def step(_actions: Actions) -> None:
        now = os.stat(target) if seen else None
        if seen and now and (now.st_ino, now.st_size, now.st_mtime_ns) != (seen.st_ino, seen.st_size, seen.st_mtime_ns):
            raise _changed_meanwhile(target)
        os.rename(source, target)
        files.sync_directory(target)

    return step
