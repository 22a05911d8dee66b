# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare many stacks, and report those that end differently in libpam and in the collection."""

from __future__ import annotations

import typing as t

from hypothesis import HealthCheck, Phase, given, seed, settings

from hosts import Host

from .compare import walk_lets_in
from .libpam import lets_in
from .made import Texts, stacks

_BATCH = 250


def random_stacks(number: int, beginning: int) -> list[Texts]:
    """`number` different stacks; they are the same for the same `beginning`."""
    found: dict[str, Texts] = {}

    @seed(beginning)
    @settings(
        max_examples=number * 2,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(stacks())
    def make(texts: Texts) -> None:
        if len(found) < number:
            found.setdefault(as_text(texts), texts)

    make()
    return list(found.values())


def differing(host: Host, chosen: t.Sequence[Texts], tell: t.Callable[[int], None] | None = None) -> list[Texts]:
    """The stacks that end differently from libpam, the shortest first. `tell` is called with the number done so far."""
    found = []
    for start in range(0, len(chosen), _BATCH):
        batch = chosen[start : start + _BATCH]
        found += [one for one, real in zip(batch, lets_in(host, batch), strict=True) if walk_lets_in(one) != real]
        if tell:
            tell(start + len(batch))
    return sorted(found, key=lambda texts: len(as_text(texts)))


def as_text(texts: Texts) -> str:
    """A stack as text for a person to read."""
    return "".join(f"--- {name}\n{text}" for name, text in texts.items() if text)
