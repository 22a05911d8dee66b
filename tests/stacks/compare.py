# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the collection's walk through a stack ends as libpam's does."""

from __future__ import annotations

import re

from ansible_collections.fleet.auth.plugins.module_utils._texts import dispatch

from .made import Texts

_ALWAYS = {
    "pam_permit.so": "success",
    "pam_deny.so": "auth_err",
    "pam_gone.so": "module_unknown",
}


def walk_lets_in(texts: Texts) -> bool:
    """Whether the collection lets somebody in by a stack of `made`."""
    (end,) = dispatch.ends(dispatch.load("this-door", texts), lambda handler, _impression: [_outcome(handler)])
    return end.lets_in


def _outcome(handler: dispatch.Handler) -> str:
    if handler.name == "pam_exec.so":
        return "success" if "/bin/true" in handler.line else "system_err"
    told = re.search(r"auth=(\w+)", handler.line.partition("#")[0])
    return told[1] if told else _ALWAYS.get(handler.name, "module_unknown")
