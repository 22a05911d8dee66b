# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Invites a person to make a credential alone, with a code that proves who this is."""

from __future__ import annotations

import os
import pwd
import secrets
import time
import typing as t

from .. import _places as places
from .._apply import invitations
from .._backends import backends
from .._host import nss
from .._host.files import read_file
from .._host.invitations import end_of, path_of
from .._texts import invitation
from .._wanted import bounds
from .._wanted.bounds import is_account_name
from . import credential
from .changing import changing
from .held_files import refuse_held
from .main import Failure, Result, hours_of

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

_SALT_BYTES = 16


def invite(module: AnsibleModule) -> Result:
    """Make an invitation, which replaces any that the user has."""
    user, hours, host = module.params["user"], hours_of(module, bounds.INVITATION_HOURS), os.uname().nodename
    _check_usable(user, host)
    now = time.time()
    code = invitation.new_code(secrets.token_bytes)
    new_invitation = invitation.create(code, secrets.token_bytes(_SALT_BYTES), now + hours * 3600)
    what_failed = f"{user} was not invited on {host}"
    refuse_held(what_failed, [path_of(user)])
    if module.check_mode:
        return {"changed": True, "until": end_of(new_invitation)}
    with changing(module, what_failed):
        invitations.remove_expired(now)
        invitations.put(user, new_invitation)
    return {"changed": True, "code": code, "until": end_of(new_invitation)}


def _check_usable(user: str, host: str) -> None:
    """Raise Failure if the user could not use an invitation."""
    if not is_account_name(user) or backends.is_left_behind(user):
        raise Failure(
            f"{user!r} is not the name of an account that can have a credential. Nothing was changed. Name one of "
            "letters, digits, '_', '.', '@' and '-' that does not end in .lock or .new."
        )
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise Failure(f"{host} has no account {user}, so nobody was invited. Create the account first.") from None
    if not os.path.exists(places.SELF_SERVICE_SOCKET_UNIT):
        raise Failure(
            f"Nobody can enrol alone on {host}, so {user} has no use for an invitation. Set twofactor_self_service to "
            "true, and run the playbook first."
        )
    if account.pw_name != user:
        raise Failure(f"{host} knows {user} as {account.pw_name}, so nobody was invited. Name {account.pw_name}.")
    files = map(read_file, (places.SHELLS, places.ACCOUNT_DEFAULTS))
    if not nss.is_for_people(account, *(file.content if file else "" for file in files)):
        raise Failure(
            f"Nobody logs in with {user} on {host}: its user ID is below UID_MIN in {places.ACCOUNT_DEFAULTS}, or its "
            f"shell is not in {places.SHELLS}. So nobody was invited. Correct the account, or invite somebody else."
        )
    step = credential.code_step()
    if step.standing(user, nss.groups_of_each([account])[user]) == "exempt":
        raise Failure(
            f"{user} is exempt on {host} and needs no code, so nobody was invited. Take {user} out of "
            "twofactor_exempt_users and twofactor_exempt_groups, and run the playbook first."
        )
    if not any(os.path.lexists(backends.credential_path(backend, user)) for backend in backends.BACKENDS):
        return
    self_made = credential.find(user, step).content.self_made
    if self_made:
        raise Failure(
            f"{user} has made a credential on {host} without an invitation ({self_made}). Ask whether it was {user}. "
            f"If so, accept it with fleet.auth.accept. If not, change the password of {user}, remove the credential "
            "with state: absent in twofactor_users, and invite afterwards."
        )
    raise Failure(
        f"{user} has a credential on {host}, and needs no invitation. For a new phone, set renew of {user} to a new "
        "name in twofactor_users."
    )
