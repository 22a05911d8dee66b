# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A few trials of each kind of change; `make faults` makes all of them."""

from __future__ import annotations

import pytest

import hosts
from faults import FAULTS, KINDS, Campaign, Verdict
from faults.campaign import sample

_FLEET = hosts.of_this_checkout("faults-sample")


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    try:
        return Campaign(_FLEET, tuple(hosts.RELEASES), hosts=4).run(
            lambda _release, kind, calls: [strike for fault in FAULTS for strike in sample(kind, calls, fault)]
        )
    finally:
        hosts.down(_FLEET)


@pytest.mark.parametrize("release", hosts.RELEASES)
@pytest.mark.parametrize("kind", KINDS)
def test_change_that_is_struck_ends_in_the_old_policy_or_the_new_one(
    verdicts: list[Verdict], kind: str, release: str
) -> None:
    made = [verdict for verdict in verdicts if (verdict.kind, verdict.release) == (kind, release)]
    assert made
    assert [str(verdict) for verdict in made if not verdict.survived] == []
