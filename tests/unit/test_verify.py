# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.fleet.auth.plugins.action.twofactor_verify import right, wrong


@pytest.mark.parametrize(
    ("code", "malformed"), [("123456", False), ("123 456", False), ("12345", True), ("abcdef", True)]
)
def test_wrong_code_is_told_with_what_it_may_have_been(code: str, malformed: bool) -> None:
    told = wrong("alice", "web1", code)
    assert told.startswith("The code of alice was not right on web1. ")
    assert ("It has not 6 digits or more." in told) is malformed
    assert "another host's entry in the app" in told
    assert "It was not counted as a wrong code" in told
    assert code not in told


def test_right_code_proves_somebody() -> None:
    assert right("alice", "web1") == "The code of alice was right on web1. It is used up, and alice is proven."
