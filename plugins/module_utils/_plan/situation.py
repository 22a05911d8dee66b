# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wanted state and the state of a host, with everything that follows from the two. Pure."""

from __future__ import annotations

import functools
import typing as t

from .. import _places as places
from .._backends import backends
from .._backends.credential import Credential, CredentialError
from .._host.state import Account, HostState
from .._texts import drop_in, pam, security_keys, sudoers
from .._wanted.security_key import SecurityKey
from .._wanted.settings import Settings
from .scope import in_scope, is_exempt, with_other_names


class _Pair(t.NamedTuple):
    """The base of `Situation`, so that its fields are read-only and it can still cache its properties."""

    settings: Settings
    state: HostState


class Situation(_Pair):
    """What is wanted of a host, and what was seen on it."""

    @functools.cached_property
    def credentials(self) -> dict[str, Credential]:
        """The contents of the credentials, by account, without those that the backend cannot read."""
        found = ((user, self._read(self.state.backend, user)) for user in self.state.credentials)
        return {user: credential for user, credential in found if credential is not None}

    @functools.cached_property
    def enrolled(self) -> frozenset[str]:
        """The accounts that now have a credential that the backend can read."""
        return frozenset(self.credentials)

    @functools.cached_property
    def enrolled_afterwards(self) -> frozenset[str]:
        """The accounts that have a credential once the settings are in force."""
        users = self.settings.users
        return (self.enrolled | {one.name for one in users if one.wants_credential}) - self.absent_users

    @functools.cached_property
    def named_afterwards(self) -> frozenset[str]:
        """The accounts that the scope `enrolled` names once the settings are in force."""
        return with_other_names(self.state.accounts, self.enrolled_afterwards - self.not_asked_yet)

    @functools.cached_property
    def named_now(self) -> frozenset[str]:
        """The accounts that the scope `enrolled` would name with the present credentials."""
        return with_other_names(self.state.accounts, self.enrolled - self.not_asked_yet)

    @functools.cached_property
    def members_afterwards(self) -> frozenset[str]:
        """The known accounts that need a code with the scope `groups` once the settings are in force."""
        accounts = self.state.accounts.values() if self.settings.scope == "groups" else ()
        return frozenset(account.name for account in accounts if self.in_scope(account))

    @functools.cached_property
    def uids_afterwards(self) -> frozenset[int]:
        """The numbers (uids) of the accounts that need a code once the settings are in force, by name or by group.

        If a directory does not answer, the numbers of accounts whose names stay are kept.
        """
        accounts = self.state.accounts
        if self.settings.scope == "groups":
            return frozenset(accounts[name].uid for name in self.members_afterwards)
        enrolled = (accounts.get(name) for name in self.enrolled_afterwards)
        uids = frozenset(account.uid for account in enrolled if account and self.in_scope(account))
        unknown, gone = self.enrolled_afterwards.difference(accounts), self.absent_users.difference(accounts)
        if not unknown or gone or self.state.code_step.names is None:
            return uids
        return uids | self.state.code_step.uids.difference(account.uid for account in accounts.values())

    @functools.cached_property
    def absent_users(self) -> frozenset[str]:
        """The accounts that must no longer have a credential."""
        return frozenset(user.name for user in self.settings.users if not user.present)

    @functools.cached_property
    def keys_in_force(self) -> dict[str, tuple[SecurityKey, ...]]:
        """The security keys that sshd now accepts in place of a code, by account."""
        lists = self.state.texts(f"{places.KEYS_DIRECTORY}/") if self.checks_declared_keys else {}
        return security_keys.lists(lists)

    @functools.cached_property
    def keys_only_lists(self) -> dict[str, tuple[SecurityKey, ...]]:
        """The security keys of the accounts that sshd now lets in with these keys alone, by account."""
        directory = places.KEYS_ONLY_DIRECTORY
        lists = security_keys.lists(self.state.texts(f"{directory}/"), directory)
        accounts = self.state.accounts
        return {
            name: keys for name, keys in lists.items() if name in accounts and drop_in.is_keys_only(accounts[name].sshd)
        }

    @functools.cached_property
    def checks_declared_keys(self) -> bool:
        """Whether sshd's PAM service now checks which security keys are declared."""
        return places.KEY_DECLARED in pam.helpers([self.state.text(f"{places.PAM_D}/sshd") or ""])

    @functools.cached_property
    def proven(self) -> frozenset[str]:
        """The accounts of which a device's code was right at least once since their secret was last set."""
        return frozenset(user for user, credential in self.credentials.items() if credential.proven)

    @functools.cached_property
    def unaccepted(self) -> dict[str, str]:
        """The accounts whose owners made the credential alone, not accepted yet; with day and place as `DAY/PLACE`."""
        vouched_for = {user.name for user in self.settings.users if user.proven}
        found = ((name, credential.self_made) for name, credential in self.credentials.items())
        return {name: made for name, made in sorted(found) if made and name not in vouched_for}

    @functools.cached_property
    def not_asked_yet(self) -> frozenset[str]:
        """The `unaccepted` accounts that the scope `enrolled` does not ask yet: a password was enough for their secret.

        Accounts that are asked already continue to be asked.
        """
        asked = self.state.code_step.names or ()
        return frozenset(self.unaccepted).difference(asked) if self.settings.require_proof else frozenset()

    @functools.cached_property
    def moving(self) -> bool:
        """Whether the credentials are in a backend other than the wanted one."""
        return self.settings.backend != self.state.backend

    @functools.cached_property
    def wanted_services(self) -> tuple[str, ...]:
        """The PAM services that must ask for the code, sshd first, whether the host has them or not."""
        return (*(("sshd",) if self.settings.ssh else ()), *self.settings.services)

    @functools.cached_property
    def services(self) -> tuple[str, ...]:
        """The wanted services that the host has. sshd is always included if it is wanted."""
        files = self.state.service_files.texts
        return tuple(one for one in self.wanted_services if one == "sshd" or one in files)

    @functools.cached_property
    def other_sudo_services(self) -> list[sudoers.OtherService]:
        """The settings that make sudo use another PAM service, which is not among those that ask for the code."""
        rules = sudoers.other_services(self.state.sudo_rules)
        return [rule for rule in rules if rule.service not in self.services]

    @functools.cached_property
    def clock_fault(self) -> str | None:
        """What is wrong with the clock, if it has to be in sync and is not."""
        status = self.state.time_sync
        if status is None or status.in_sync or not self.settings.time_sync.required:
            return None
        return f"the clock of {self.state.hostname} is not in sync: {status.reason}"

    def in_scope(self, account: Account) -> bool:
        """Whether this account needs a code once the settings are in force."""
        return in_scope(self.settings, account.name, account.groups, self.named_afterwards)

    def keys_only(self, account: Account) -> bool:
        """Whether sshd lets this account in with its declared security keys alone."""
        settings = self.settings
        if not settings.ssh or is_exempt(settings, account.name, account.groups):
            return False
        return account.name in settings.keys_only_users or bool(
            set(account.groups) & set(settings.security_keys_only_groups)
        )

    def in_scope_now(self, account: Account) -> bool:
        """Whether this account would need a code by the settings with the present credentials."""
        return in_scope(self.settings, account.name, account.groups, self.named_now)

    def is_copy(self, backend: str, user: str) -> bool:
        """Whether the user's credential in another backend has the same secret as the valid one."""
        valid, copy = self.credentials.get(user), self._read(backend, user)
        valid_phone, copied_phone = valid.phone if valid else None, copy.phone if copy else None
        return valid_phone is not None and copied_phone is not None and valid_phone.key == copied_phone.key

    def _read(self, backend: str, user: str) -> Credential | None:
        """The content of a user's credential in a backend; None if it is damaged."""
        file = self.state.credentials_of(backend)[user]
        try:
            return backends.BACKENDS[backend].read(file.content, user)
        except CredentialError:
            return None
