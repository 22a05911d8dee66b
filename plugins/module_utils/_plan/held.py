# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sentences about files and directories that root cannot change: what holds them, and what frees them. Pure."""

from __future__ import annotations

import typing as t

from .._host.state import MOUNTED, Hold

_WORDS = {"i": "immutable", "a": "append-only"}


def refusals(host: str, holds: t.Iterable[Hold]) -> t.Iterator[str]:
    """Refuse to change anything, with a sentence about each of these holds."""
    for hold in holds:
        if hold.attribute:
            yield f"{what_holds(hold, host)}, and has to be changed. {remedy(hold)}."
        else:
            yield f"{what_holds(hold, host)}, and files in it have to be changed. {remedy(hold)}, and run again."


def what_holds(hold: Hold, host: str) -> str:
    """The beginning of a sentence: the path, and what holds it."""
    if hold.attribute:
        return f"{hold.path} on {host} is {in_words(hold.attribute)}"
    return f"{hold.path} on {host} is mounted read-only (see 'findmnt -T {hold.path}')"


def in_words(attribute: str) -> str:
    """An attribute of chattr(1), or a mount, in words."""
    return "a mount of its own (see findmnt)" if attribute == MOUNTED else f"{_WORDS[attribute]} (chattr +{attribute})"


def remedy(hold: Hold) -> str:
    """How to free it, as a sentence without its full stop."""
    if hold.attribute == MOUNTED:
        return "Unmount it, or mount its whole directory in its place"
    return f"Run there: chattr -{hold.attribute} {hold.path}" if hold.attribute else "Mount it read-write"
