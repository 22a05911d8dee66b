# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Confirms a change, by a connection that was made after it."""

from __future__ import annotations

import os
import typing as t

from .._apply import lock, transaction
from .._apply.actions import ApplyError
from .._apply.pending import pending_change
from .._host import look
from .converge import actions_of
from .survey import require_root

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def confirm(module: AnsibleModule) -> None:
    """Make the change stay that the parameter names."""
    require_root(module)
    token, host = module.params["confirmation"], os.uname().nodename
    try:
        with lock.exclusive():
            pending = pending_change()
            if pending is None or pending[0] != token:
                module.fail_json(
                    msg=f"The change of two-factor login on {host} is not there to be confirmed: its time ran out and "
                    "the host put itself back, or another run replaced it. Run again."
                )
            session = look.connection()
            if session is not None and session.since < pending[1]:
                module.fail_json(
                    msg=f"The ssh connection to {host} is older than the change, so it does not prove that a login "
                    "still works. Reset the connection before, with meta: reset_connection."
                )
            if not module.check_mode:
                transaction.confirm(token, actions_of(module))
    except (ApplyError, OSError) as error:
        module.fail_json(msg=f"Two-factor login on {host}: {error}")
    module.exit_json(changed=not module.check_mode)
