# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The journal of a change under way: the steps with which a shell script, `undo.sh`, rolls the change back.

It is the last thing to be staged, before the first file of the host is touched; from then on the host can put itself
back. The script is started by the run itself when a step fails, by the next run when it finds a journal, by a timer
when the change is not confirmed, by a boot after a power failure, or by root at the console. Everything it needs was
staged beside the files that change, so it only renames files and needs no disk space.

A step is undone only if it was carried out, which the staged files show. So the script may be killed and started again
at any point. Its order is a safeguard too: if a step cannot be undone, the steps before it stay.
"""

from __future__ import annotations

import math
import re
import typing as t

from .. import _places as places
from .._backends import backends
from .actions import ApplyError

STAGING_DIRECTORIES = (*places.STAGING_DIRECTORIES, *backends.DIRECTORIES)
"""The directories in which a change stages files."""


class Undo(t.NamedTuple):
    """What undoes a step: a function of the script, and its arguments."""

    verb: str
    arguments: tuple[str, ...]

    @property
    def makes_a_directory(self) -> bool:
        """Whether the step has made a directory. It is removed only after all else in it was undone."""
        return self.verb == "unmake"

    @property
    def path(self) -> str | None:
        """The path that the step changed; None if it changed a unit."""
        return None if self.verb in ("listen", "unlisten") else self.arguments[-1]


def undo(verb: str, *arguments: str) -> Undo:
    """Build what undoes a step. Raises ApplyError for a path that a line of the journal cannot hold."""
    for argument in arguments:
        if not argument or re.search(r"[\t\n]", argument):
            raise ApplyError(f"{argument!r} has a tab or a line break in its name; rename or remove it.")
    return Undo(verb, arguments)


def render(undos: t.Sequence[Undo], token: str, made: float) -> str:
    """The journal of a change: one line for each step, the last one first; directories that were made come at the end.

    `token` names the change; `made` is the time since boot, in seconds, at which it began.
    """
    last_first = [one for directory in (False, True) for one in reversed(undos) if one.makes_a_directory == directory]
    lines = [("made", f"{made:.2f}"), ("token", token), *((one.verb, *one.arguments) for one in last_first)]
    return "".join("\t".join(line) + "\n" for line in lines)


def token_of(journal: str) -> str:
    """The token in a journal, which names its change."""
    return _value(journal, "token") or ""


def mark_done(journal: str, done: float) -> str:
    """The journal of a change that was completed at `done`, in seconds since boot."""
    return f"{journal}done\t{done:.2f}\n"


def done_at(journal: str) -> float:
    """The time at which the change was completed, in seconds since boot; minus infinity until it is."""
    return float(_value(journal, "done") or -math.inf)


def made_at(journal: str) -> float:
    """The time at which the change began, in seconds since boot."""
    return float(_value(journal, "made") or 0)


def _value(journal: str, word: str) -> str | None:
    found = re.search(rf"^{word}\t([\w.]+)$", journal, re.MULTILINE)
    return found[1] if found else None
