# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done for one person at a time: check a code, read the secret for an enrolment, give a pass."""

from __future__ import annotations

import os
import secrets
import time
import typing as t

from ansible_collections.fleet.auth.plugins.module_utils import _apply, _host, _journal, _oath, _pam, _passes
from ansible_collections.fleet.auth.plugins.module_utils._converge import actions_of, require_root
from ansible_collections.fleet.auth.plugins.module_utils._settings import encode_secret

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def verify(module: AnsibleModule) -> None:
    """Say whether a code is right, and use it up."""
    require_root(module)
    user, code, host = module.params["user"], module.params["code"], os.uname().nodename
    rules = _rules()
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
            valid = _apply.rewrite_credential(_oath.credential_path(user), use)
    except (_apply.ApplyError, OSError) as error:
        module.fail_json(msg=f"The code of {user} cannot be checked on {host}: {error}")
    module.exit_json(changed=valid and not module.check_mode, valid=valid)


def give_pass(module: AnsibleModule) -> None:
    """Let a user in with one code, once, for some hours."""
    require_root(module)
    user, hours, host = module.params["user"], module.params["hours"], os.uname().nodename
    low, high = _passes.HOURS
    if not low <= hours <= high:
        module.fail_json(msg=f"hours is {hours}; a pass lasts from {low} to {high}. Nothing was changed.")
    rules = _rules()
    if rules is None:
        module.fail_json(msg=f"Two-factor login is off on {host}: {user} needs no pass.")
    _tokens(module, user)
    if not os.path.isdir(_journal.SYSTEMD):
        module.fail_json(msg=f"systemd does not run on {host}, so nothing would end the pass of {user}.")
    key = secrets.token_bytes(_oath.KEY_BYTES)
    until = time.strftime(_passes.TIME_FORMAT, time.gmtime(time.time() + hours * 3600))
    if module.check_mode:
        module.exit_json(changed=True, until=until)
    try:
        with _apply.exclusive():
            # What ends a pass comes first: without one it goes by itself.
            _apply.start_timer(_passes.TIMER, _passes.FILES, actions_of(module))
            _apply.rewrite_credential(_oath.credential_path(user), lambda text: _oath.with_pass(text, user, key, until))
    except (_apply.ApplyError, OSError) as error:
        module.fail_json(msg=f"{user} got no pass on {host}: {error}")
    module.exit_json(changed=True, code=_oath.hotp(key, 0, rules.digits), until=until)


def enrolments(module: AnsibleModule) -> None:
    """Return secrets. The only way by which they leave a host."""
    require_root(module)
    found: list[dict[str, t.Any]] = []
    rules = _rules()
    for user in module.params["users"]:
        tokens = _tokens(module, user)
        phone = next((token for token in tokens if token.is_phone), None)
        if phone is None:
            module.fail_json(msg=f"{user} has no time-based token on {os.uname().nodename}.")
        devices = [phone, *(token for token in tokens if token.label == "device")]
        found += (_enrolment(device, tokens, rules) for device in devices)
    module.exit_json(changed=False, enrolments=found)


def _enrolment(device: _oath.Token, tokens: t.Sequence[_oath.Token], rules: _oath.CodeRules | None) -> dict[str, t.Any]:
    enrolment: dict[str, t.Any] = {
        "user": device.user,
        "device": device.name if device.label == "device" else "",
        "secret": encode_secret(device.key),
        "interval": device.interval,
        "digits": None,
        "recovery_codes": [],
    }
    if rules:
        enrolment["digits"] = rules.digits
    if rules and device.is_phone:
        enrolment["recovery_codes"] = [
            {"number": counter + 1, "code": _oath.hotp(token.key, counter, rules.digits)}
            for token in tokens
            if token.label == "recovery-codes"
            for counter in token.recovery_codes_left
        ]
    return enrolment


def _rules() -> _oath.CodeRules | None:
    switch = _host.read_file(_pam.SWITCH)
    return _oath.code_rules(switch.content) if switch else None


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
