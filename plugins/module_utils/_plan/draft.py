# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a host while a plan is made: each change builds on those before it. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .. import _places as places
from .._backends import backends
from .._host.state import OWN_FILES, FileState, HostState
from .._texts import pam, security_keys, vendor_copy
from .._wanted.security_key import SecurityKey
from .changes import Change, Edit, MakeDirectory, Move, ReloadSshd, Remove, RemoveMoved, StopListening, Write


class Draft:
    """The files as they will be once the changes so far are carried out.

    Each method returns the necessary changes; none if the files are already as wanted.
    """

    def __init__(self, state: HostState) -> None:
        # If something else is in the place of a file of ours, it is not ours to remove.
        foreign = {*state.foreign_files, *(path for path in OWN_FILES if _is_tree(state.files.get(path)))}
        self.files = {path: file for path, file in state.files.items() if path not in foreign}
        self._drop_in_readers = state.drop_in_readers
        self._fixed = state.fixed_directories
        self.credentials = {
            backend.DIRECTORY: set(state.credentials_of(name)) for name, backend in backends.BACKENDS.items()
        }
        """The accounts that have a credential, by directory."""

    def text(self, path: str) -> str | None:
        """The content of a file, or None if there is no file."""
        file = self.files.get(path)
        return None if file is None else file.content

    def write(self, path: str, content: str, mode: int | None = None) -> list[Change]:
        """Give a file this content. For a file that is not ours, `mode` is None: it keeps its mode and owner."""
        now = self.files.get(path)
        if mode is None:
            wanted = replace(t.cast(FileState, now), content=content)
        else:
            wanted = FileState(content=content, mode=mode)
        if now == wanted:
            return []
        self.files[path] = wanted
        rights = (wanted.mode, wanted.uid, wanted.gid)
        return [Edit(path, content, *rights, now.content) if mode is None and now else Write(path, content, *rights)]

    def remove(self, *paths: str) -> list[Change]:
        """Remove files, or directories with everything in them. What is mounted, or a link to a directory, stays."""
        return [Remove(path) for path in paths if path not in self._fixed and self.files.pop(path, None) is not None]

    def remove_trees(self, paths: t.Iterable[str]) -> list[Change]:
        """Remove files, and directories with everything in them, except what went with a directory before it."""
        changes = []
        for path in paths:
            changes += self.remove(path)
            self.files = {one: file for one, file in self.files.items() if not one.startswith(f"{path}/")}
        return changes

    def remove_drop_in(self) -> list[Change]:
        """Remove our drop-in, and reload the sshds that read it."""
        removed = self.remove(places.DROP_IN)
        return [*removed, ReloadSshd((), self._drop_in_readers)] if removed else []

    def directory(self, path: str, mode: int) -> list[Change]:
        """Ensure that the directory exists, belongs to root and has this mode."""
        now = self.files.get(path)
        if now is not None and now.kind == "directory" and (now.mode, now.uid, now.gid) == (mode, 0, 0):
            return []
        self.files[path] = FileState(content="", mode=mode, kind="directory")
        return [MakeDirectory(path, mode)]

    def security_keys(self, directory: str, declared: t.Mapping[str, t.Sequence[SecurityKey]]) -> list[Change]:
        """Ensure that these lists of security keys exist, by account; other accounts' lists are not looked at."""
        if not declared:
            return []
        return [
            *self.directory(directory, 0o755),
            *(
                change
                for user, keys in sorted(declared.items())
                for change in self.write(security_keys.path(user, directory), security_keys.render(user, keys), 0o644)
            ),
        ]

    def forget_security_keys(self, directory: str, kept_users: t.Collection[str] = ()) -> list[Change]:
        """Remove the lists of security keys of everyone else, and the directory itself if no list is left."""
        if not kept_users:
            return self.remove_trees([directory])
        kept = {security_keys.path(user, directory) for user in kept_users}
        inside = security_keys.path("", directory)
        return self.remove_trees(sorted(path for path in self.files if path.startswith(inside) and path not in kept))

    def remove_credential(self, path: str, moved: Move | None = None) -> list[Change]:
        """Remove a credential; `moved` is the change that moved it to another backend, if one did."""
        directory, _slash, name = path.rpartition("/")
        self.credentials[directory].remove(name)
        return [RemoveMoved(moved) if moved else Remove(path)]

    def unprotect(self, services: t.Iterable[str]) -> list[Change]:
        """Take our block out of the files of these PAM services. Raises PamError."""
        changes = []
        for service in services:
            path = f"{places.PAM_D}/{service}"
            text = pam.unprotect(service, t.cast(str, self.text(path)))
            if vendor_copy.is_untouched(text):
                changes += self.remove(path)
            else:
                changes += self.write(path, vendor_copy.without_first_line(text))
        return changes

    def stop_guard(self) -> list[Change]:
        """Stop the guard."""
        return [StopListening(places.GUARD_UNIT)] if places.GUARD_LINK in self.files else []

    def remove_guard(self) -> list[Change]:
        """Remove the guard, and everything that it has noted."""
        files = self.remove(*places.FOR_GUARD, places.GUARD_CONFIG)
        return [*self.stop_guard(), *files, *self.remove_trees([places.GUARD_DIRECTORY])]


def _is_tree(file: FileState | None) -> bool:
    return file is not None and file.kind == "directory" and file.link is None


def remove_stale_locks(state: HostState) -> list[Change]:
    """Remove the locks left by interrupted logins. While such a lock is there, every code of its user is denied."""
    return [Remove(path) for path in state.stale_locks]
