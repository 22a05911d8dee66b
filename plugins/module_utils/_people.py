# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done for one person at a time: check a code, read the secret for an enrolment."""

from __future__ import annotations

import base64
import os
import time
import typing as t

from ansible_collections.fleet.auth.plugins.module_utils import _apply, _host, _oath, _pam
from ansible_collections.fleet.auth.plugins.module_utils._converge import require_root

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def verify(module: AnsibleModule) -> None:
    """Say whether a code is right, and use it up."""
    require_root(module)
    user, code, host = module.params["user"], module.params["code"], os.uname().nodename
    switch = _host.read_file(_pam.SWITCH)
    rules = _oath.code_rules(switch.content) if switch else None
    if rules is None:
        module.fail_json(
            msg=f"Two-factor login is off on {host}: there is nothing to check a code against. Enable it first."
        )
    _tokens(module, user)
    now = time.time()
    clock = _oath.Clock(now, time.strftime(_oath.LAST_USED, time.localtime(now)))

    def use(text: str) -> str | None:
        used = _oath.use_code(text, user, code, rules, clock)
        return text if used and module.check_mode else used

    try:
        with _apply.exclusive():
            valid = _apply.use_code(_oath.credential_path(user), use)
    except (_apply.ApplyError, OSError) as error:
        module.fail_json(msg=f"The code of {user} cannot be checked on {host}: {error}")
    module.exit_json(changed=valid and not module.check_mode, valid=valid)


def enrolments(module: AnsibleModule) -> None:
    """Return secrets. The only way by which they leave a host."""
    require_root(module)
    found = []
    for user in module.params["users"]:
        token = next((token for token in _tokens(module, user) if token.interval is not None), None)
        if token is None:
            module.fail_json(msg=f"{user} has no time-based token on {os.uname().nodename}.")
        secret = base64.b32encode(token.key).decode("ascii").rstrip("=")
        found.append({"user": user, "secret": secret, "interval": token.interval})
    module.exit_json(changed=False, enrolments=found)


def _tokens(module: AnsibleModule, user: str) -> tuple[_oath.Token, ...]:
    path, host = _oath.credential_path(os.path.basename(user)), os.uname().nodename
    file = _host.read_file(path)
    if file is None:
        module.fail_json(
            msg=f"{user} has no credential on {host}. Enrol {user} with the option users of fleet.auth.twofactor."
        )
    try:
        return _oath.parse_credential(file.content, user)
    except _oath.CredentialError as error:
        module.fail_json(
            msg=f"The credential of {user} on {host}, {path}, {error}. Restore it, or remove it and enrol anew."
        )
        raise
