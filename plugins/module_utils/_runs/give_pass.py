# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gives a person a pass: a code that is valid once, within some hours."""

from __future__ import annotations

import os
import secrets
import time
import typing as t

from .. import _places as places
from .._apply import credential_files, passes
from .._backends import backends
from .._backends.hotp import KEY_BYTES
from .._wanted import bounds
from . import credential
from .changing import ACTIONS, changing
from .held_files import refuse_held
from .main import Failure, Result, files_of, hours_of

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def give_pass(module: AnsibleModule) -> Result:
    """Let a user in with one code, once, for some hours."""
    user, hours, host = module.params["user"], hours_of(module, bounds.PASS_HOURS), os.uname().nodename
    files = files_of(module, places.FOR_PASSES)
    step = credential.code_step()
    digits = backends.code_length(step)
    if digits is None:
        raise Failure(f"Two-factor login is off on {host}: {user} needs no pass. Log in without one.")
    stored = credential.find(user, step)
    if not os.path.isdir(places.SYSTEMD):
        raise Failure(
            f"systemd does not run on {host}, so nothing would end the pass of {user}. Ask {user} for no code instead, "
            f"until the next run: ansible-playbook fleet.auth.recover -e user={user}."
        )
    key = secrets.token_bytes(KEY_BYTES)
    until = time.strftime(passes.TIME_FORMAT, time.gmtime(time.time() + hours * 3600))
    what_failed = f"{user} got no pass on {host}"
    refuse_held(what_failed, [*places.FOR_PASSES, stored.path])
    if module.check_mode:
        return {"changed": True, "until": until}
    with changing(module, what_failed):
        # The timer that ends passes is started first: if there is no pass, it removes itself.
        passes.start_timer(files, ACTIONS)
        credential_files.rewrite(
            stored.path, stored.lock, lambda text: stored.backend.with_pass(text, user, key, until)
        )
    return {"changed": True, "code": stored.backend.pass_code(key, digits), "until": until}
