# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal of a change under way: the steps by which a shell script, `undo.sh`, puts the host back.

It is there before the first file of the host is touched, and is the last thing to be laid ready: from then on the host
puts itself back. The run itself starts the script when a step fails, the next run when it finds one, a timer when
nobody confirms the change, a boot after a loss of power, and at the console anybody who is root. Everything it needs
was laid ready beside the files in question, so that it only renames and needs no room.

A step is undone only if it was carried out, which the files laid ready tell; so the script may be killed and started
again at any point. Their order is the safety here as well: where a step cannot be undone, those before it stay.
"""

from __future__ import annotations

import math
import re
import typing as t

from .. import _places as places
from .._backends import backends
from .actions import ApplyError

STAGING_DIRECTORIES = (*places.STAGING_DIRECTORIES, *backends.DIRECTORIES)
"""Where a change lays files ready."""


class Undo(t.NamedTuple):
    """What undoes a step: a function of the script, and its arguments."""

    verb: str
    arguments: tuple[str, ...]

    @property
    def makes_a_directory(self) -> bool:
        """Whether the step has made a directory, which goes only once all is put back that was in it."""
        return self.verb == "unmake"

    @property
    def path(self) -> str | None:
        """The path that the step was about, if it was about one."""
        return None if self.verb in ("listen", "unlisten") else self.arguments[-1]


def undo(verb: str, *arguments: str) -> Undo:
    """Build what undoes a step. Raises ApplyError for a path that no line of the journal can hold."""
    for argument in arguments:
        if not argument or re.search(r"[\t\n]", argument):
            raise ApplyError(f"{argument!r} has a tab or a line break in its name; rename or remove it.")
    return Undo(verb, arguments)


def render(undos: t.Sequence[Undo], token: str, made: float) -> str:
    """The journal of a change: a line a step, the last one first, and after them the directories that were made.

    `token` names the change; `made` is the time since boot, in seconds, at which it began.
    """
    last_first = [one for directory in (False, True) for one in reversed(undos) if one.makes_a_directory == directory]
    lines = [("made", f"{made:.2f}"), ("token", token), *((one.verb, *one.arguments) for one in last_first)]
    return "".join("\t".join(line) + "\n" for line in lines)


def token_of(journal: str) -> str:
    """The name of the change that a journal belongs to."""
    found = re.search(r"^token\t(\w+)$", journal, re.MULTILINE)
    return found.group(1) if found else ""


def carried_out(journal: str, done: float) -> str:
    """The journal of a change that was carried out to its end, at this time since boot in seconds."""
    return f"{journal}done\t{done:.2f}\n"


def done_at(journal: str) -> float:
    """When the change was carried out to its end, in seconds since boot; minus infinity while it is not."""
    found = re.search(r"^done\t([0-9.]+)$", journal, re.MULTILINE)
    return float(found.group(1)) if found else -math.inf


def made_at(journal: str) -> float:
    """When the change began, in seconds since boot."""
    found = re.search(r"^made\t([0-9.]+)$", journal, re.MULTILINE)
    return float(found.group(1)) if found else 0.0
