# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that a module gets from its part on the controller, as one option.

Ansible sends options as they are, to each host and with each task, so the files are packed, to a third of their size.
"""

from __future__ import annotations

import base64
import json
import typing as t
import zlib

FILES: dict[str, t.Any] = {"files": {"type": "str", "default": "", "no_log": True}}
"""The option, for internal use. It is no secret, but would fill the log of the host."""


def pack(files: t.Mapping[str, str]) -> str:
    """The value of the option for these texts, which are given by the paths that they get on the host."""
    return base64.b64encode(zlib.compress(json.dumps(files).encode("ascii"))).decode("ascii")


def unpack(option: str) -> dict[str, str]:
    """The texts by path; none if the value was not made by `pack`."""
    try:
        found = json.loads(zlib.decompress(base64.b64decode(option)))
    except (ValueError, zlib.error):
        return {}
    return found if isinstance(found, dict) else {}
