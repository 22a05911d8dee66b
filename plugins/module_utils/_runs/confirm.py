# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Confirms a change, over a connection that was made after it."""

from __future__ import annotations

import os
import typing as t

from .._apply import transaction
from .._apply.pending import pending_change
from .._host.session import connection
from .changing import ACTIONS, changing
from .main import Failure, Result

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def confirm(module: AnsibleModule) -> Result:
    """Confirm the change that the parameter names, so that it is not rolled back."""
    token, host = module.params["confirmation"], os.uname().nodename
    with changing(module, f"Two-factor login on {host}"):
        pending = pending_change()
        if pending is None or pending[0] != token:
            raise Failure(
                f"The change of two-factor login on {host} can no longer be confirmed: its time ran out and the "
                "host was rolled back, or another run replaced it. Run again."
            )
        session = connection()
        if session is not None and session.since < pending[1]:
            raise Failure(
                f"The ssh connection to {host} is older than the change, so it does not prove that a login "
                "still works. Reset the connection first, with meta: reset_connection."
            )
        if not module.check_mode:
            transaction.confirm(ACTIONS)
    return {"changed": True}
