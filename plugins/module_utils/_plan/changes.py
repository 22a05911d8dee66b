# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan is made of. Types only, and what an enrolment makes of a credential file."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .._backends import backends
from .._wanted.settings import Settings


@dataclass(frozen=True)
class Write:
    """Put a text in the place of a file, in one rename."""

    path: str
    content: str = field(repr=False)
    mode: int
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class Remove:
    """Remove a file, or a directory with all that is in it."""

    path: str
    moved: Enrol | None = None
    """Where the file is a credential that was moved: how."""


@dataclass(frozen=True)
class MakeDirectory:
    """Make a directory of root's, or give it its mode."""

    path: str
    mode: int


@dataclass(frozen=True)
class Enrol:
    """Give a user a credential, or bring it to what is wanted."""

    user: str
    settings: Settings
    interval: int | None
    """For how many seconds a code of the first device is shown then."""
    new: bool = False
    """Whether there is no credential yet, in any backend."""
    source: str | None = None
    """The backend from which the credential is moved, if it is."""
    now: float = 0.0
    """When it was planned, in seconds since the epoch."""

    @property
    def path(self) -> str:
        """The credential file."""
        return backends.credential_path(self.settings.backend, self.user)

    @property
    def before(self) -> str:
        """The credential file that it is made from."""
        return backends.credential_path(self._from, self.user)

    @property
    def lock(self) -> str:
        """The file that keeps logins from writing that one back."""
        return self.before + backends.BACKENDS[self._from].LOCK

    @property
    def _from(self) -> str:
        return self.source or self.settings.backend

    def text(self, before: str | None, make_key: t.Callable[[int], bytes]) -> str:
        """The credential file as it shall be, from what it is at that moment."""
        return backends.revised(self.settings, self.user, before, self._from, self.now, make_key)


@dataclass(frozen=True)
class Expectation:
    """What `sshd -T -C` has to say of a user who comes from an address."""

    user: str
    address: str
    settings: t.Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class ReloadSshd:
    """Let sshd take its files, once they are found right."""

    expectations: tuple[Expectation, ...]


@dataclass(frozen=True)
class Socket:
    """Let systemd listen for people's own page, now and at each boot, or not any more."""

    unit: str
    listening: bool


Change = t.Union[Write, Remove, MakeDirectory, Enrol, ReloadSshd, Socket]


@dataclass(frozen=True)
class Plan:
    """What to do, in order; or why nothing is done."""

    changes: tuple[Change, ...] = ()
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    missing_packages: tuple[str, ...] = ()
    to_enrol: tuple[str, ...] = ()
    """The users whose apps have to be set up, or set up anew, because of it."""

    @property
    def changed(self) -> bool:
        """Whether anything is different afterwards."""
        return bool(self.changes or self.missing_packages)


class ApplyError(RuntimeError):
    """A change failed. The text says what, and in which state the host is."""
