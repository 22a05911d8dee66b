# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import tracemalloc

import pytest

from ansible_collections.fleet.auth.plugins.plugin_utils._visible import in_one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web1: an é, a 漢 and a 🔑", "web1: an é, a 漢 and a 🔑"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("\u202eecila\x9b", r"\u202eecila\x9b"),
        ("\udc80\U000e0001", r"\udc80\U000e0001"),
        ("a\tb\nc", r"a\tb\nc"),
    ],
)
def test_control_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(text) == shown


def test_characters_to_keep_stay() -> None:
    assert visible("a\tb\n\x1bc", keep="\n\t") == "a\tb\n\\x1bc"
    assert visible("a\tb\n\x1bc") == r"a\tb\n\x1bc"
    assert in_one_line("a\tb\n\x1bc") == r"a b \x1bc"


def test_long_text_needs_little_more_memory_than_its_result() -> None:
    """Each host of a fleet may send such a flood, and each one is read by a process of its own."""
    flood = "\x1b" * 1024 * 1024
    tracemalloc.start()
    try:
        assert len(visible(flood)) == 4 * len(flood)
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 16 * len(flood)
