# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build a host and settings as a plan gets them, from the details that matter in a test."""

from __future__ import annotations

import base64
import functools
import itertools
import typing as t
from dataclasses import replace

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._backends import backends, oath, usersfile
from ansible_collections.fleet.auth.plugins.module_utils._backends.credential import MakeKey
from ansible_collections.fleet.auth.plugins.module_utils._host.state import (
    Account,
    FileState,
    HostState,
)
from ansible_collections.fleet.auth.plugins.module_utils._host.time_service import SyncStatus
from ansible_collections.fleet.auth.plugins.module_utils._plan import planning
from ansible_collections.fleet.auth.plugins.module_utils._plan.changes import Plan
from ansible_collections.fleet.auth.plugins.module_utils._plan.situation import Situation
from ansible_collections.fleet.auth.plugins.module_utils._texts import sshd_config
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import CodeStep
from ansible_collections.fleet.auth.plugins.module_utils._wanted.options import argument_spec
from ansible_collections.fleet.auth.plugins.module_utils._wanted.security_key import ED25519
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings
from ansible_collections.fleet.auth.plugins.plugin_utils import _host_files
from unit import model

STRANGER = "198.51.100.1"
KEY = b"12345678901234567890"
OTHER_KEY = b"09876543210987654321"
RANDOM_KEY = b"a key from urandom"
"""First bytes of the keys that a host makes."""
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # KEY in base32
RFC_4226_CODES = (
    *("755224", "287082", "359152", "969429", "338314"),
    *("254676", "287922", "162583", "399871", "520489"),
)
"""The codes of KEY in RFC 4226, appendix D."""
ENROLLED = ("alice", "bob")
"""The accounts that `step_of` takes as enrolled by default."""

IN_SYNC = SyncStatus(True, "chrony", "192.0.2.10", 0.002, "in sync")
NOT_IN_SYNC = SyncStatus(False, "chrony", None, None, "chrony has no source that it trusts")

SSHD_CONFIG = """\
# This is the sshd server system-wide configuration file.

Include /etc/ssh/sshd_config.d/*.conf

KbdInteractiveAuthentication no
UsePAM yes
X11Forwarding yes
Subsystem\tsftp\t/usr/lib/openssh/sftp-server
"""

OLD_SSHD_CONFIG = SSHD_CONFIG.replace("KbdInteractive", "ChallengeResponse")
"""For an sshd before OpenSSH 8.7, which treats the two keywords as different options."""

COMMON_AUTH = """\
# here are the per-package modules (the "Primary" block)
auth\t[success=1 default=ignore]\tpam_unix.so nullok
# here's the fallback if no module succeeds
auth\trequisite\t\t\tpam_deny.so
# prime the stack with a positive return value if there isn't one already
auth\trequired\t\t\tpam_permit.so
# end of pam-auth-update config
"""

SERVICES = {
    "sshd": """\
# PAM configuration for the Secure Shell service

# Standard Un*x authentication.
@include common-auth

account    required     pam_nologin.so
@include common-account
session [success=ok ignore=ignore module_unknown=ignore default=bad]        pam_selinux.so close
@include common-session
@include common-password
""",
    "cockpit": """\
#%PAM-1.0
# this MUST be first in the "auth" stack as it sets PAM_USER
-auth      [success=done new_authtok_reqd=done user_unknown=die default=ignore]   pam_cockpit_cert.so
auth       required     pam_sepermit.so
auth       substack     common-auth
auth       optional     pam_ssh_add.so
account    required     pam_nologin.so
""",
    "sudo": """\
#%PAM-1.0

# Set up user limits from /etc/security/limits.conf.
session    required   pam_limits.so

@include common-auth
@include common-account
@include common-session-noninteractive
""",
    "su": """\
# This allows root to su without passwords (normal operation)
auth       sufficient pam_rootok.so

session       required   pam_env.so readenv=1
@include common-auth
@include common-account
""",
}

INCLUDED = {
    "common-auth": COMMON_AUTH,
    "common-account": "account\trequired\t\t\tpam_permit.so\n",
    "common-password": "password\trequired\t\t\tpam_permit.so\n",
    "common-session": "session\trequired\t\t\tpam_permit.so\n",
    "common-session-noninteractive": "session\trequired\t\t\tpam_permit.so\n",
}


def security_key(number: int, name: str = "") -> str:
    """The public half of a security key, as in a `.pub` file."""
    fields = (ED25519.encode(), number.to_bytes(32, "big"), b"ssh:")
    blob = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return f"{ED25519} {base64.b64encode(blob).decode()} {name}".strip()


def random_keys(people: int = 0) -> MakeKey:
    """A key generator for a host with so many credentials. It makes the same keys each time, and none that exists."""
    numbers = itertools.count(people * 8)
    return lambda _length: RANDOM_KEY + next(numbers).to_bytes(2, "big")


def plan(target: Settings, state: HostState) -> Plan:
    """The plan that brings this host to these settings."""
    return planning.plan(Situation(target, state), random_keys(len(state.credentials)))


def options(**changes: t.Any) -> dict[str, t.Any]:
    """The parameters of a module as Ansible fills them in: these, and the defaults of all others.

    Exceptions: unless a test changes it, nobody is asked for proof and there is no guard.
    """
    given = {name: spec.get("default") for name, spec in argument_spec().items()}
    assert changes.keys() <= given.keys()
    for name in ("lockout", "time_sync"):
        if changes.get(name) is not None:
            suboptions = argument_spec()[name]["options"]
            changes[name] = {key: spec["default"] for key, spec in suboptions.items()} | changes[name]
    return {**given, "require_proof": False, "renew": "changed", "guard": "off", **changes}


def settings(*enrolled: str, **changes: t.Any) -> Settings:
    """Settings that enrol these users and further `users`; everything else is the module's default unless changed."""
    users = [*({"name": name} for name in enrolled), *changes.pop("users", ())]
    wanted = Settings.from_options(options(users=users, **changes), backends.unsupported)
    return replace(wanted, files=host_files(self_service=wanted.self_service) if wanted.enabled else {})


@functools.cache
def host_files(*, self_service: bool) -> dict[str, str]:
    """The texts that a module gets to compare with a host, by path."""
    return _host_files.for_wanted_state({"self_service": self_service})


def step_of(wanted: Settings, enrolled: t.Iterable[str] = ENROLLED) -> str:
    """The text of the code step with pam_oath for these settings and enrolled accounts."""
    return CodeStep.wanted(wanted, enrolled, oath.pam_line(wanted)).render()


def account(name: str, *groups: str, **changes: t.Any) -> Account:
    """An account that logs in with a password or a key and is a member of the group of the same name."""
    return Account(
        **{
            "name": name,
            "uid": model.uid_of(name),
            "groups": (name, *groups),
            "has_password": True,
            "has_key": True,
            **changes,
        }
    )


ACCOUNTS = (
    account("root", uid=0, has_password=False, has_key=False),
    account("daemon", uid=1, has_password=False, has_key=False),
    account("ansible", has_password=False),
    account("alice", "staff"),
    account("bob", "staff", "guests", has_key=False),
    account("carol", "admins", has_password=False),
)


def file(content: str, mode: int = 0o644, **changes: t.Any) -> FileState:
    """A regular file that root owns."""
    return FileState(content, mode, **changes)


def new_credential(user: str, key: bytes, interval: int) -> str:
    """The text of the credential of an account with one device and no login yet."""
    return usersfile.Token(user, key, interval).render() + "\n"


def credential(user: str, key: bytes = KEY) -> FileState:
    """The credential file of an account that has never logged in with it."""
    return file(new_credential(user, key, 30), 0o600)


def host_state(
    *people: Account,
    files: t.Mapping[str, str | FileState | None] | None = None,
    credentials: t.Iterable[str] | t.Mapping[str, FileState] = (),
    **changes: t.Any,
) -> HostState:
    """A Debian host where two-factor login was never on, with these people instead of `ACCOUNTS`.

    `files` are added to those of the host; None removes a file.
    """
    texts: dict[str, str | FileState | None] = {
        **{f"{places.PAM_D}/{name}": text for name, text in {**INCLUDED, **SERVICES}.items()},
        places.SSHD_CONFIG: SSHD_CONFIG,
        places.COCKPIT_DISALLOWED: "# List of users which are not allowed to login to Cockpit\nroot\n",
        **(files or {}),
    }
    if not isinstance(credentials, t.Mapping):
        credentials = {name: credential(name) for name in credentials}
    return with_sshd_settings(
        HostState(
            **{
                "hostname": "web1",
                "files": {
                    path: file(text) if isinstance(text, str) else text
                    for path, text in texts.items()
                    if text is not None
                },
                "accounts": {one.name: one for one in people or ACCOUNTS},
                "credentials": credentials,
                "groups": frozenset({"staff", "admins"}),
                "time_sync": IN_SYNC,
                "sample_address": STRANGER,
                "code_modules": {"oath": b"...usersfile=${USER}...", "google_authenticator": b"..."},
                **changes,
            }
        )
    )


def with_sshd_settings(state: HostState) -> HostState:
    """The same host; each account gets the settings that sshd computes for it from the files."""
    files = {path: one.content for path, one in state.files.items()}

    def settings_from(address: str) -> dict[str, sshd_config.Effective]:
        return {
            name: sshd_config.Effective(model.sshd_settings(files, name, one.groups, address))
            for name, one in state.accounts.items()
        }

    of = settings_from(STRANGER)
    origins = sshd_config.origins(state.sshd_files().texts)
    return replace(
        state,
        accounts={name: replace(one, sshd=of[name]) for name, one in state.accounts.items()},
        sshd_elsewhere={origin: settings_from(origin.address or STRANGER) for origin in origins},
    )


def texts_of(error: BaseException | None) -> str:
    """Everything that an exception and its causes could print."""
    texts = []
    while error is not None:
        texts.append(f"{error} {error!r} {error.args}")
        error = error.__cause__ or error.__context__
    return "\n".join(texts)
