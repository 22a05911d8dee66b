# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The changes that a plan consists of, as plain data. `wording` has the words in which people read them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .. import _places as places
from .._backends import backends
from .._backends.credential import MakeKey
from .._host.state import Listener
from .._texts.sshd_config import Origin
from .._texts.sshd_start import Start
from .._wanted.settings import Settings


@dataclass(frozen=True)
class Write:
    """Replace or create a file, in one rename."""

    path: str
    content: str = field(repr=False)
    mode: int
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class Edit(Write):
    """Replace a file that is not ours. It keeps its extended attributes, and so its access list."""

    former: str = field(default="", repr=False)
    """The content that it has before this change. If it has another one, somebody else has changed it meanwhile."""


class Remove(t.NamedTuple):
    """Remove a file, or a directory with everything in it."""

    path: str


class MakeDirectory(t.NamedTuple):
    """Make a directory that belongs to root, or change the mode of one."""

    path: str
    mode: int


class GiveBack(t.NamedTuple):
    """Give a directory the mode and the owner that it had before us."""

    path: str
    mode: int
    uid: int
    gid: int


class Revision(t.NamedTuple):
    """How to derive a credential's new text from the text that is found once its lock is held.

    The text is not known while planning: people use codes until then, and the file notes which ones were used.
    """

    settings: Settings
    user: str
    source: str
    """The backend that has the credential now."""
    now: float
    """The time of planning, in seconds since the epoch."""

    def text(self, before: str, make_key: MakeKey) -> str:
        """The new text of the credential file. Pure, except for the keys that `make_key` makes."""
        return backends.revised(self.settings, self.user, before, self.source, self.now, make_key)


@dataclass(frozen=True)
class Enrol:
    """Give a credential to a user who has none in any backend."""

    user: str
    path: str
    interval: int | None
    """For how many seconds the user's first device then shows each code."""
    content: str = field(repr=False)


class Renew(t.NamedTuple):
    """Change a credential to what is wanted, in the backend that has it."""

    user: str
    path: str
    interval: int | None
    lock: str
    """The lock file that keeps logins from writing the old credential back meanwhile."""
    revision: Revision


class Move(t.NamedTuple):
    """Make a credential in another backend from the existing one, which stays until it is removed."""

    user: str
    path: str
    interval: int | None
    before: str
    """The file of the existing credential."""
    lock: str
    """The lock file that keeps logins from writing to the existing credential meanwhile."""
    source: str
    """The backend from which the credential moves."""
    target: str
    """The backend to which it moves."""
    revision: Revision


class RemoveMoved(t.NamedTuple):
    """Remove the old file of a moved credential. If this is undone, codes used since then remain used."""

    moved: Move

    @property
    def path(self) -> str:
        """The file to remove."""
        return self.moved.before


class Expectation(t.NamedTuple):
    """What `sshd -T -C` must report for a user who connects from an address."""

    user: str
    address: str
    settings: t.Mapping[str, tuple[str, ...]]
    start: Start = Start()
    """How that sshd is started."""
    origin: Origin = Origin()
    """The addresses and the port of this login, as far as the configuration of sshd distinguishes them."""

    @property
    def connection_spec(self) -> str:
        """The argument that describes this login to `sshd -T -C`."""
        return self.origin.connection_spec(self.user, self.address)


class ReloadSshd(t.NamedTuple):
    """Reload sshd, once `sshd -t` accepts its files and they mean what is expected."""

    expectations: tuple[Expectation, ...]
    listeners: tuple[Listener, ...] = ()
    """The sshds that listen and read our drop-in, as far as they are known."""


@dataclass(frozen=True)
class RestartCockpit:
    """Restart Cockpit so that it reads its configuration. This ends people's sessions there."""


@dataclass(frozen=True)
class Listen:
    """Start a unit of systemd that listens, such as a socket, now and at each boot."""

    unit: str


@dataclass(frozen=True)
class StopListening:
    """Stop such a unit, now and at each boot."""

    unit: str


Change = t.Union[
    Write,
    Remove,
    MakeDirectory,
    GiveBack,
    Enrol,
    Renew,
    Move,
    RemoveMoved,
    ReloadSshd,
    RestartCockpit,
    Listen,
    StopListening,
]


def touched(changes: t.Iterable[Change]) -> list[str]:
    """The paths that these changes write, replace or remove, and those that a rollback needs."""
    paths = (
        path
        for change in changes
        for path in (getattr(change, "path", ""), change.before if isinstance(change, Move) else "")
    )
    return [*dict.fromkeys(filter(None, paths)), places.JOURNAL, places.BOOT_UNIT]


class Plan(t.NamedTuple):
    """What to do, in order; or the refusals, if nothing is done."""

    changes: tuple[Change, ...] = ()
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    missing_packages: tuple[str, ...] = ()
    to_enrol: tuple[str, ...] = ()
    """The users who have to set up their apps, or set them up again, because of these changes."""

    @property
    def changed(self) -> bool:
        """Whether the plan changes anything."""
        return bool(self.changes or self.missing_packages)
