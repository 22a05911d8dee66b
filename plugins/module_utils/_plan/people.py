# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sentences about people: of many, for whom the same holds, there is one, with the advice once. Pure."""

from __future__ import annotations

import typing as t

_SHOWN = 10
"""How many names a sentence has at most."""


def shown(names: t.Iterable[str]) -> list[str]:
    """Those of these people whom a sentence names."""
    return [*names][:_SHOWN]


class Names(t.NamedTuple):
    """Those whom a sentence is about, at least one."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        """The names as the subject of a sentence: all of up to ten, or the first ten and how many more there are."""
        *first, last = self.names
        if self.leaves_out:
            first, last = shown(self.names), f"{len(self.names) - _SHOWN} more"
        return f"{', '.join(first)} and {last}" if first else last

    @property
    def leaves_out(self) -> bool:
        """Whether the sentence does not name all of them."""
        return len(self.names) > _SHOWN

    def verb(self, of_one: str, of_many: str) -> str:
        """The word that goes with their number."""
        return of_one if len(self.names) == 1 else of_many

    @property
    def them(self) -> str:
        """What they are called once they were named."""
        return self.verb(self.names[0], "them")


class Reason(t.NamedTuple):
    """What is said of somebody: why he would be locked out, say, and what to do."""

    say: t.Callable[..., str]
    """Makes the sentence of `Names`, `detail` and `about`."""
    about: tuple[t.Hashable, ...]
    """What it depends on. Those who have the same reason share a sentence."""
    detail: str = ""
    """What is said of one person alone."""

    def of(self, *names: str) -> str:
        """The sentence about these people."""
        return self.say(Names(names), self.detail if len(names) == 1 else "", *self.about)


class Sentence(str):
    """A refusal or a warning that is about people, and remembers all of them."""

    __slots__ = ("users",)

    users: tuple[str, ...]

    def __new__(cls, text: str, users: tuple[str, ...]) -> Sentence:
        """Make it of its text."""
        made = super().__new__(cls, text)
        made.users = users
        return made


def together(found: t.Iterable[tuple[str, Reason]]) -> t.Iterator[Sentence]:
    """A sentence for each reason, in the order in which it was first found."""
    having: dict[tuple[t.Any, ...], list[str]] = {}
    reasons: dict[tuple[t.Any, ...], Reason] = {}
    for name, reason in found:
        key = (reason.say, reason.about)
        reasons.setdefault(key, reason)
        having.setdefault(key, []).append(name)
    for key, names in having.items():
        yield Sentence(reasons[key].of(*names), tuple(names))
