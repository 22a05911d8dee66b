# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names of options in messages. Pure.

A message in the code has them as Ansible's documentation does, O(users). People who run a module read `users`, and
people who run the role read `twofactor_users`: the name that they can set.
"""

from __future__ import annotations

import re
import typing as t

PREFIX: dict[str, t.Any] = {"option_prefix": {"type": "str", "default": ""}}
"""The option of a module, for internal use, with the prefix of option names in its messages."""

_ELSEWHERE = re.compile(r"\bthe option ([a-z_]+) of fleet\.auth\.twofactor\b")
"""An option of another module than the one that reports it."""

_OPTION = re.compile(r"\bO\(([a-z_]+)\)")


def named(text: str, prefix: str) -> str:
    """A sentence with the names of options as people set them."""
    return _OPTION.sub(rf"{prefix}\1", text)


def of_the_role(text: str) -> str:
    """A sentence of a module without these options, with the role's variables in place of another module's options."""
    return _ELSEWHERE.sub(r"twofactor_\1", text)
