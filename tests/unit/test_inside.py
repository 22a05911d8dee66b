# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tests that docs/inside.md names exist."""

from __future__ import annotations

import re

import pytest

from unit.closure import PLUGINS

ROOT = PLUGINS.parent
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs" / "inside.md").read_text())


def test_tests_are_named() -> None:
    assert len(NAMED) > 20


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_named_test_exists(path: str, name: str) -> None:
    text = (ROOT / path).read_text()
    assert f"def {name}(" in text if name else "def test_" in text
