# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accepts credentials that their users made alone."""

from __future__ import annotations

import os
import typing as t

from .._apply import credential_files
from . import credential
from .changing import changing
from .held_files import refuse_held
from .main import Result

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def accept(module: AnsibleModule) -> Result:
    """Have a credential that its user made alone count like one that was given."""
    user, host = module.params["user"], os.uname().nodename
    stored = credential.find(user, credential.code_step())
    if not stored.content.self_made:
        return {"changed": False, "self_made": None}
    what_failed = f"The credential of {user} was not accepted on {host}"
    refuse_held(what_failed, [stored.path])
    if not module.check_mode:
        with changing(module, what_failed):
            credential_files.rewrite(
                stored.path, stored.lock, lambda text: stored.backend.with_self_made(text, user, "")
            )
    return {"changed": True, "self_made": stored.content.self_made}
