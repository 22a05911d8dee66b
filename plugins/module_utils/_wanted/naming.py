# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names of options in sentences for people. Pure.

A sentence has them as documentation does, O(users). Whoever runs a module reads `users`, and whoever runs the role
`twofactor_users`, since that is what each of them can set.
"""

from __future__ import annotations

import re
import typing as t

PREFIX: dict[str, t.Any] = {"option_prefix": {"type": "str", "default": ""}}
"""The option of a module, which is not for people: what its options are called with."""

_ELSEWHERE = re.compile(r"\bthe option ([a-z_]+) of fleet\.auth\.twofactor\b")
"""An option of another module than the one that tells of it."""

_OPTION = re.compile(r"\bO\(([a-z_]+)\)")


def named(text: str, prefix: str) -> str:
    """A sentence with the names of options as somebody sets them."""
    return _OPTION.sub(rf"{prefix}\1", text)


def of_the_role(text: str) -> str:
    """A sentence of a module without options of the wanted state, for whoever sets these by variables of the role."""
    return _ELSEWHERE.sub(r"twofactor_\1", text)
