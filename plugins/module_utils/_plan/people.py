# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sentences about people: those who have the same problem share one sentence, with the advice once. Pure."""

from __future__ import annotations

import typing as t

_SHOWN = 10
"""The largest number of names in a sentence."""


def shown(names: t.Iterable[str]) -> list[str]:
    """The names among these that a sentence shows."""
    return [*names][:_SHOWN]


class Names(t.NamedTuple):
    """The people whom a sentence is about, at least one."""

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
        """The word for one person, or the word for several."""
        return of_one if len(self.names) == 1 else of_many

    @property
    def them(self) -> str:
        """How the sentence refers to them later: one by name again, several as `them`."""
        return self.verb(self.names[0], "them")


class Reason(t.NamedTuple):
    """What a sentence says about people, such as why they would be locked out, and what to do."""

    make_sentence: t.Callable[..., str]
    """Makes the sentence of `Names`, `detail` and `about`."""
    about: tuple[t.Hashable, ...]
    """What the sentence depends on. People with the same `make_sentence` and `about` share a sentence."""
    detail: str = ""
    """What is said only if the sentence is about one person."""

    def sentence(self, *names: str) -> str:
        """The sentence about these people."""
        return self.make_sentence(Names(names), self.detail if len(names) == 1 else "", *self.about)


class Sentence(str):
    """A refusal or a warning about people. It keeps the names of all of them, even if its text shows only some."""

    __slots__ = ("users",)

    users: tuple[str, ...]

    def __new__(cls, text: str, users: tuple[str, ...]) -> Sentence:
        """Make a sentence with this text, about these people."""
        sentence = super().__new__(cls, text)
        sentence.users = users
        return sentence


def sentences(reasons_by_name: t.Iterable[tuple[str, Reason]]) -> t.Iterator[Sentence]:
    """Yield one sentence for each reason, in the order in which the reasons were first found."""
    names_by_reason: dict[tuple[t.Any, ...], list[str]] = {}
    reasons: dict[tuple[t.Any, ...], Reason] = {}
    for name, reason in reasons_by_name:
        key = (reason.make_sentence, reason.about)
        reasons.setdefault(key, reason)
        names_by_reason.setdefault(key, []).append(name)
    for key, names in names_by_reason.items():
        yield Sentence(reasons[key].sentence(*names), tuple(names))
