# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks a code for a person, as a login would."""

from __future__ import annotations

import os
import time
import typing as t

from .._apply import credential_files
from .._backends import backends
from .._backends.credential import LAST_USED, Clock
from . import credential
from .changing import changing
from .held_files import refuse_held
from .main import Failure, Result

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def verify(module: AnsibleModule) -> Result:
    """Return whether a code is right, and use it up."""
    user, code, host = module.params["user"], module.params["code"], os.uname().nodename
    step = credential.code_step()
    if backends.code_length(step) is None:
        raise Failure(
            f"Two-factor login is off on {host}: there is nothing to check a code against. Enable it first.",
            can_be_checked=False,
        )
    try:
        stored = credential.find(user, step)
    except credential.NoCredential as missing:
        raise Failure(str(missing), can_be_checked=False) from missing
    now = time.time()
    clock = Clock(now, time.strftime(LAST_USED, time.localtime(now)))

    def use(text: str) -> str | None:
        used = stored.backend.use_code(text, user, code, step, clock)
        # The administrator who runs this has the code from the user, so the credential is accepted too.
        return stored.backend.with_self_made(used, user, "") if used else None

    what_failed = f"The code of {user} cannot be checked on {host}"
    refuse_held(what_failed, [stored.path])
    if module.check_mode:
        valid = use(stored.text) is not None
    else:
        with changing(module, what_failed):
            valid = credential_files.rewrite(stored.path, stored.lock, use)
    return {"changed": valid, "valid": valid, "can_be_checked": True}
