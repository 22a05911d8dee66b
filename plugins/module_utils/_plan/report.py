# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run says of a host: what is enforced, who is enrolled, what a plan would change. Pure, and never a secret."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .. import _places as places
from .._backends import backends
from .._backends.codes import Credential
from .._host.state import HostState
from .._texts import pam, sshd_config, tally
from .._wanted.settings import Settings
from . import credentials, lockouts
from .changes import Change, Enrol, MakeDirectory, Plan, ReloadSshd, Remove, Socket, Write


def status(settings: Settings, state: HostState) -> dict[str, t.Any]:
    """The state of a host, as the modules return it."""
    return {
        "enforced": enforced(settings, state),
        "users": users(settings, state),
        "time_sync": state.time_sync.as_dict() if state.time_sync else None,
    }


def enforced(settings: Settings, state: HostState) -> dict[str, bool]:
    """Whether each service that asks for the code, or shall ask for it, really does."""
    protected = state.protected_services
    wanted = (["sshd"] if settings.ssh else []) + [s for s in settings.services if state.text(_path(s)) is not None]
    asks = backends.asking(state.text(places.SWITCH)) in state.code_modules and _switch_is_on(settings, state)
    asked = set(protected) - pam.excepted_services(state.text(places.SWITCH))
    return {
        service: asks and service in asked and (service != "sshd" or _sshd_sends(settings, state))
        for service in dict.fromkeys([*wanted, *protected])
    }


def users(settings: Settings, state: HostState) -> dict[str, dict[str, t.Any]]:
    """Everyone who is enrolled or shall be, by name."""
    enrolled = credentials.enrolled(state)
    names = {user.name for user in settings.users} | (enrolled & set(state.accounts))
    recovered = pam.recovered_users(state.text(places.SWITCH))
    return {name: {**_user(settings, state, name, enrolled), "recovered": name in recovered} for name in sorted(names)}


def _user(settings: Settings, state: HostState, name: str, enrolled: t.Collection[str]) -> dict[str, t.Any]:
    found = credentials.credential(state, name) or Credential(())
    account, wrong_codes = state.accounts.get(name), state.tallies.get(name)
    return {
        "enrolled": name in enrolled,
        "proven": found.proven,
        "in_scope": account is not None and lockouts.in_scope(settings, name, account.groups, enrolled),
        "locked": wrong_codes is not None and tally.locked_until(wrong_codes, settings.lockout, state.now) is not None,
        "devices": [app.name for app in found.apps if app.name],
        "recovery_codes_left": found.recovery_codes_left,
        "pass_until": found.pass_until,
    }


def unproven(settings: Settings, state: HostState) -> list[str]:
    """Those of the settings' users whose secret was made on the host, and with which nobody has logged in yet."""
    if not settings.enabled:
        return []
    enrolled = credentials.enrolled(state)
    return sorted(
        user.name
        for user in settings.users
        if user.present and user.secret is None and user.name in enrolled
        if not credentials.is_proven(state, user.name)
    )


def exempt(settings: Settings, state: HostState) -> list[str]:
    """Who logs in to sshd and never needs a code."""
    enrolled = credentials.enrolled(state)
    return sorted(
        account.name
        for account in state.accounts.values()
        if lockouts.logs_in(account) and not lockouts.in_scope(settings, account.name, account.groups, enrolled)
    )


def locked_out(settings: Settings, state: HostState) -> list[dict[str, t.Any]]:
    """Who would be locked out if sshd and the services asked for the code now."""
    services = ["sshd", *(s for s in settings.services if state.text(_path(s)) is not None)]
    found = lockouts.lockouts(replace(settings, ssh=True), state, credentials.enrolled(state), services)
    return [{"user": one.user, "services": list(one.services), "message": one.message} for one in found]


def changes(plan: Plan) -> list[str]:
    """What a plan does, in its order, for a person to read."""
    return [_in_words(change) for change in plan.changes]


def diff(plan: Plan, state: HostState) -> list[dict[str, str]]:
    """What a plan changes, by file, from the first text to the last; credentials only as words."""
    after: dict[str, str] = {}
    for change in plan.changes:
        if isinstance(change, Write):
            after[change.path] = change.content
        elif isinstance(change, Remove):
            after[change.path] = ""
        elif isinstance(change, MakeDirectory):
            after[change.path] = f"directory, mode {change.mode:04o}\n"
        elif isinstance(change, Enrol):
            after[change.path] = (
                f"credential of {change.user}, {change.interval} seconds a code; the key is not shown\n"
            )
    return [
        {
            "before_header": path,
            "after_header": path,
            "before": _printable(_shown(state, path)),
            "after": _printable(text),
        }
        for path, text in after.items()
        if _shown(state, path) != text
    ]


def _shown(state: HostState, path: str) -> str:
    directory, name = path.rpartition("/")[::2]
    if directory in backends.DIRECTORIES:
        kept = path == backends.credential_path(state.backend, name) and name in state.credentials
        return f"credential of {name}; the key is not shown\n" if kept else ""
    file = state.files.get(path)
    if file is None:
        return ""
    return file.content or f"directory, mode {file.mode:04o}\n"


def _in_words(change: Change) -> str:
    if isinstance(change, ReloadSshd):
        return "reload sshd"
    if isinstance(change, Socket):
        return f"{'start' if change.listening else 'stop'} {change.unit}"
    if isinstance(change, Remove):
        return f"remove {change.path}"
    return f"{'make' if isinstance(change, MakeDirectory) else 'write'} {change.path}"


def _printable(text: str) -> str:
    """A file need not be UTF-8; what is sent to the controller has to be."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _path(service: str) -> str:
    return f"{places.PAM_D}/{service}"


def _switch_is_on(settings: Settings, state: HostState) -> bool:
    """Whether the switch asks for codes, and lets none of those off who are enrolled."""
    return state.asks_for_code and not lockouts.let_off(settings, state, credentials.enrolled(state))


def _sshd_sends(settings: Settings, state: HostState) -> bool:
    """Whether sshd sends every account in scope to PAM for the code."""
    enrolled = credentials.enrolled(state)
    wanted = sshd_config.expected(settings, state.accounts["root"].sshd)
    return state.sshd_error is None and all(
        account.sshd.get(keyword, ()) == value
        for account in state.accounts.values()
        if lockouts.in_scope(settings, account.name, account.groups, enrolled)
        for keyword, value in wanted.items()
    )
