# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done for one person at a time: check a code, read the secret for an enrolment, give a pass."""

from __future__ import annotations

import os
import secrets
import time
import typing as t

from .. import _places as places
from .._apply import credential_files, passes, transaction
from .._backends import backends
from .._backends.codes import KEY_BYTES, LAST_USED, App, Clock, Credential, CredentialError
from .._host import look
from .._plan import changes
from .._wanted.settings import encode_secret
from .converge import actions_of
from .survey import files_of, require_root

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


class _Kept(t.NamedTuple):
    """A credential of this host, in the backend that keeps it."""

    backend: backends.Backend
    path: str
    text: str
    says: Credential

    def rewrite(self, change: t.Callable[[str], str | None]) -> bool:
        """Change the file between two logins."""
        return credential_files.rewrite(self.path, self.path + self.backend.LOCK, change)


def verify(module: AnsibleModule) -> None:
    """Say whether a code is right, and use it up."""
    require_root(module)
    user, code, host = module.params["user"], module.params["code"], os.uname().nodename
    switch = _switch()
    digits = _code_length(switch)
    if digits is None:
        module.fail_json(
            msg=f"Two-factor login is off on {host}: there is nothing to check a code against. Enable it first."
        )
    kept = _kept(module, user, switch)
    now = time.time()
    clock = Clock(now, time.strftime(LAST_USED, time.localtime(now)))

    def use(text: str) -> str | None:
        used = kept.backend.use_code(text, user, code, switch, clock)
        return text if used and module.check_mode else used

    try:
        with transaction.exclusive():
            valid = kept.rewrite(use)
    except (changes.ApplyError, OSError) as error:
        module.fail_json(msg=f"The code of {user} cannot be checked on {host}: {error}")
    module.exit_json(changed=valid and not module.check_mode, valid=valid)


def give_pass(module: AnsibleModule) -> None:
    """Let a user in with one code, once, for some hours."""
    require_root(module)
    files = files_of(module, places.FOR_PASSES)
    user, hours, host = module.params["user"], module.params["hours"], os.uname().nodename
    low, high = passes.HOURS
    if not low <= hours <= high:
        module.fail_json(msg=f"hours is {hours}; a pass lasts from {low} to {high}. Nothing was changed.")
    switch = _switch()
    digits = _code_length(switch)
    if digits is None:
        module.fail_json(msg=f"Two-factor login is off on {host}: {user} needs no pass.")
    kept = _kept(module, user, switch)
    if not os.path.isdir(places.SYSTEMD):
        module.fail_json(msg=f"systemd does not run on {host}, so nothing would end the pass of {user}.")
    key = secrets.token_bytes(KEY_BYTES)
    until = time.strftime(passes.TIME_FORMAT, time.gmtime(time.time() + hours * 3600))
    if module.check_mode:
        module.exit_json(changed=True, until=until)
    try:
        with transaction.exclusive():
            # What ends a pass comes first: without one it goes by itself.
            started = {path: (files[path], mode) for path, mode in places.FOR_PASSES.items()}
            transaction.start_timer(places.PASSES_TIMER, started, actions_of(module))
            kept.rewrite(lambda text: kept.backend.with_pass(text, user, key, until))
    except (changes.ApplyError, OSError) as error:
        module.fail_json(msg=f"{user} got no pass on {host}: {error}")
    module.exit_json(changed=True, code=kept.backend.pass_code(key, digits), until=until)


def enrolments(module: AnsibleModule) -> None:
    """Return secrets. The only way by which they leave a host."""
    require_root(module)
    found: list[dict[str, t.Any]] = []
    switch = _switch()
    digits = _code_length(switch)
    for user in module.params["users"]:
        kept = _kept(module, user, switch)
        phone = kept.says.phone
        if phone is None:
            module.fail_json(msg=f"{user} has no time-based token on {os.uname().nodename}.")
        codes = kept.backend.recovery_codes(kept.text, user, digits) if digits else ()
        further = (app for app in kept.says.apps if app.name)
        found += [_enrolment(user, phone, digits, codes), *(_enrolment(user, app, digits) for app in further)]
    module.exit_json(changed=False, enrolments=found)


def _enrolment(user: str, app: App, digits: int | None, codes: t.Iterable[tuple[int, str]] = ()) -> dict[str, t.Any]:
    return {
        "user": user,
        "device": app.name,
        "secret": encode_secret(app.key),
        "interval": app.interval,
        "digits": digits,
        "recovery_codes": [{"number": number, "code": code} for number, code in codes],
    }


def _switch() -> str:
    file = look.read_file(places.SWITCH)
    return file.content if file else ""


def _code_length(switch: str) -> int | None:
    """How long codes are; None while nobody is asked for one."""
    asking = backends.asking(switch)
    return backends.BACKENDS[asking].code_length(switch) if asking else None


def _kept(module: AnsibleModule, user: str, switch: str) -> _Kept:
    """A user's credential, in the backend that is asked; while none is, in any."""
    name, host = os.path.basename(user), os.uname().nodename
    paths = {one: backends.credential_path(one, name) for one in backends.BACKENDS}
    chosen = backends.in_use(switch, list(filter(lambda one: os.path.isfile(paths[one]), paths)), next(iter(paths)))
    backend, path = backends.BACKENDS[chosen], paths[chosen]
    file = look.read_file(path)
    if file is None:
        module.fail_json(
            msg=f"{user} has no credential on {host}. Enrol {user} with the option users of fleet.auth.twofactor."
        )
    try:
        return _Kept(backend, path, file.content, backend.read(file.content, user))
    except CredentialError as error:
        module.fail_json(
            msg=f"The credential of {user} on {host}, {path}, {error}. Restore it, or remove it and enrol anew."
        )
        raise
