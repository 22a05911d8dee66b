# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shell scripts that a host gets, and parts of them."""

from __future__ import annotations

import re

from ansible_collections.fleet.auth.plugins.plugin_utils import _host_files


def script(name: str) -> str:
    """The text of a script as a host gets it."""
    return _host_files.text(name)


def functions(text: str) -> dict[str, str]:
    """The functions of a script by name, each with its whole text."""
    found = re.findall(r"^(?:#.*\n)*((\w+)\(\) \{\n(?:.*\n)*?\}\n)", text, re.MULTILINE)
    return {name: body for body, name in found}


def assigned(text: str, variable: str) -> str:
    """The value that a script assigns to a variable, without quotes."""
    (value,) = re.findall(rf"^{variable}=(.*)$", text, re.MULTILINE)
    return str(value).strip("'")
