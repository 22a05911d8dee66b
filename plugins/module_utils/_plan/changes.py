# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan is made of: plain data. `wording` has what a person reads of each change."""

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
    """Replace a file, or make it, in one rename."""

    path: str
    content: str = field(repr=False)
    mode: int
    uid: int = 0
    gid: int = 0


class Edit(Write):
    """Replace a file that is not ours. It keeps its extended attributes, and with them its access list."""


class Remove(t.NamedTuple):
    """Remove a file, or a directory with all that is in it."""

    path: str


class MakeDirectory(t.NamedTuple):
    """Make a directory that belongs to root, or give it this mode."""

    path: str
    mode: int


class GiveBack(t.NamedTuple):
    """Give a directory the mode and the owner back that it had before us."""

    path: str
    mode: int
    uid: int
    gid: int


class Revision(t.NamedTuple):
    """How the text of a credential follows from the one that it has once its lock is held.

    That text is not known while planning: people use codes until then, and the file remembers which ones.
    """

    settings: Settings
    user: str
    source: str
    """The backend that has the credential now."""
    now: float
    """When it was planned, in seconds since the epoch."""

    def text(self, before: str, make_key: MakeKey) -> str:
        """The credential file as it shall be. Pure, but for the keys that `make_key` makes."""
        return backends.revised(self.settings, self.user, before, self.source, self.now, make_key)


@dataclass(frozen=True)
class Enrol:
    """Give a credential to a user who has none in any backend."""

    user: str
    path: str
    interval: int | None
    """For how many seconds the user's first device shows a code then."""
    content: str = field(repr=False)


class Renew(t.NamedTuple):
    """Bring a credential to what is wanted, in the backend that has it."""

    user: str
    path: str
    interval: int | None
    lock: str
    """The file that keeps logins from writing the credential back meanwhile."""
    revision: Revision


class Move(t.NamedTuple):
    """Make a credential in another backend from the one that there is. That one stays until it is removed."""

    user: str
    path: str
    interval: int | None
    before: str
    """The file that it is made from."""
    lock: str
    """The file that keeps logins from writing that one back meanwhile."""
    source: str
    """The backend that it comes from."""
    target: str
    """The backend that it goes to."""
    revision: Revision


class RemoveMoved(t.NamedTuple):
    """Remove the file that a credential was moved from. Undoing that keeps codes that were used since as used."""

    moved: Move

    @property
    def path(self) -> str:
        """The file that is removed."""
        return self.moved.before


class Expectation(t.NamedTuple):
    """What `sshd -T -C` has to say of a user who comes from an address."""

    user: str
    address: str
    settings: t.Mapping[str, tuple[str, ...]]
    start: Start = Start()
    """How that sshd is started."""
    origin: Origin = Origin()
    """Another address that the user comes from, or the port, where that matters."""

    @property
    def connection_spec(self) -> str:
        """What `sshd -T -C` wants to know of this login."""
        return self.origin.connection_spec(self.user, self.address)


class ReloadSshd(t.NamedTuple):
    """Have sshd read its files again, once `sshd -t` accepts them and they mean what is expected."""

    expectations: tuple[Expectation, ...]
    further: tuple[Listener, ...] = ()
    """The further sshds that read our drop-in too."""


@dataclass(frozen=True)
class RestartCockpit:
    """Have Cockpit read its configuration again, which ends the sessions that people have there."""


@dataclass(frozen=True)
class Listen:
    """Have systemd listen on a socket, now and at each boot."""

    unit: str


@dataclass(frozen=True)
class StopListening:
    """Have systemd stop listening on a socket, now and at each boot."""

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
    """The paths that these changes write, replace or remove, and that a change needs to be put back."""
    of_changes = [path for change in changes for path in (getattr(change, "path", ""), getattr(change, "before", ""))]
    return [*dict.fromkeys(filter(None, of_changes)), places.JOURNAL, places.BOOT_UNIT]


class Plan(t.NamedTuple):
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
