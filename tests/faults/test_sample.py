# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A few trials of each kind of change; `make faults` makes all of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import hosts
from faults import FAULTS, KINDS, Campaign, Verdict
from faults.campaign import Strike, sample
from faults.kinds import Kind
from faults.strace import Call

_FLEET = hosts.of_this_checkout("faults-sample")


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    releases = tuple(hosts.RELEASES)

    def chosen(release: str, kind: Kind, calls: Sequence[Call]) -> list[Strike]:
        turn = releases.index(release)
        return [strike for fault in FAULTS for strike in sample(kind, calls, fault, turn, len(releases))]

    try:
        return Campaign(_FLEET, releases, hosts=4).run(chosen)
    finally:
        hosts.down(_FLEET)


@pytest.mark.parametrize("release", hosts.RELEASES)
@pytest.mark.parametrize("kind", KINDS)
def test_interrupted_change_ends_in_the_old_policy_or_the_new_one(
    verdicts: list[Verdict], kind: str, release: str
) -> None:
    made = [verdict for verdict in verdicts if (verdict.kind, verdict.release) == (kind, release)]
    assert made
    assert [str(verdict) for verdict in made if not verdict.survived] == []
