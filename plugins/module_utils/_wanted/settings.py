# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wanted state of a host, from a module's options."""

from __future__ import annotations

import functools
import ipaddress
import typing as t
from dataclasses import dataclass, field

from . import bounds
from .bounds import FIRST_FACTORS
from .naming import named
from .secret import decode_secret
from .security_key import SecurityKey, decode_key


class SettingsError(ValueError):
    """The options contradict each other or are out of bounds; `problems` has a sentence for each case."""

    def __init__(self, problems: t.Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(" ".join(problems))


@dataclass(frozen=True)
class Device:
    """A further device of a user. A secret of None is made on the host."""

    name: str
    present: bool = True
    secret: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class User:
    """One account that should have a credential, or should not. A secret of None is made on the host."""

    name: str
    present: bool = True
    secret: bytes | None = field(default=None, repr=False)
    renew: str | None = None
    """The name of a renewal. If it differs from that of the last renewal, the host makes a new secret."""
    proven: bool = False
    """Whether the administrator vouches that the user's app shows right codes."""
    devices: tuple[Device, ...] = ()
    recovery_codes: str | None = None
    """The name of a set of recovery codes. If it differs from the last one, the host makes a new set.

    An empty text removes the set.
    """
    security_keys: tuple[SecurityKey, ...] = ()
    """The security keys with which sshd lets the user in without a code."""
    security_keys_only: bool = False
    """Whether sshd lets the user in with these keys alone, and in no other way."""

    @property
    def wants_credential(self) -> bool:
        """Whether the user should have a credential. With security keys alone, only if the settings give a secret."""
        return self.present and (self.secret is not None or not self.security_keys_only)


class Lockout(t.NamedTuple):
    """After `attempts` wrong codes within `count_seconds`, the code step is closed for `unlock_seconds`."""

    attempts: int = 5
    unlock_seconds: int = 900
    count_seconds: int = 900


class TimeSync(t.NamedTuple):
    """The bound on the clock's error, in seconds, and whether enabling waits for it."""

    required: bool = True
    max_error_seconds: float = 1.0


Unsupported = t.Callable[["Settings"], t.Iterable[str]]
"""Returns sentences about settings that their backend cannot fulfil, and which backend can."""


@dataclass(frozen=True)
class Settings:
    """The wanted state of one host. The bounds of each number are in `bounds`."""

    enabled: bool = True
    ssh: bool = False
    """Whether sshd asks for the code."""
    sshd_configs: tuple[str, ...] = ()
    """The configurations of further sshds that ask for the code if `ssh` is set."""
    accepted_doors: tuple[str, ...] = ()
    """The doors (ways in without a code) that are not reported."""
    services: tuple[str, ...] = ()
    """The other PAM services that ask for the code."""
    allow_console: bool = False
    cockpit_negotiate: str = "keep"
    """Whether Cockpit keeps accepting Kerberos tickets: `keep`, or `none`."""
    users: tuple[User, ...] = ()
    otp_digits: int = 6
    interval: int = 30
    """For how many seconds a code is shown."""
    window: int = 1
    """How many steps before and after now are valid too."""
    backend: str = "oath"
    ssh_first_factors: tuple[str, ...] = FIRST_FACTORS
    """What may come before the code at sshd."""
    scope: str = "everyone"
    """Who needs a code: `everyone`, the `enrolled` accounts, or the members of some `groups`."""
    scope_groups: tuple[str, ...] = ()
    security_keys_only_groups: tuple[str, ...] = ()
    """The groups whose members sshd lets in with their declared security keys alone."""
    exempt_users: tuple[str, ...] = ()
    exempt_groups: tuple[str, ...] = ()
    exempt_addresses: tuple[str, ...] = ()
    """Networks with their prefix length, such as 192.0.2.7/32, from which nobody needs a code."""
    lockout: Lockout = field(default_factory=Lockout)
    time_sync: TimeSync = field(default_factory=TimeSync)
    require_proof: bool = True
    """Whether sshd asks for codes only if everybody in scope is proven."""
    seen_days: int = 30
    """How many days back logins are looked at before sshd asks anybody new; 0 for none."""
    renew: str = "never"
    """Whether people's apps may have to be set up again: `never`, or where their codes have `changed`."""
    purge_credentials: bool = False
    """Whether disabling removes the credential files."""
    rollback_after: int = 0
    """After how many seconds a change that nobody has confirmed is rolled back; 0 for never."""
    self_service: bool = False
    """Whether people have a page of their own in Cockpit, and a command at a terminal."""
    offer_enrolment: bool = True
    """Whether a login by ssh mentions that command to people."""
    guard: str = "warn"
    """What the host does between runs if something differs from what a run left: `warn`, `repair`, or `off`."""
    option_prefix: str = ""
    """The prefix of option names in messages; see `naming`."""
    files: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    """The texts of the files that are the same on every host, by path."""

    @classmethod
    def from_options(cls, options: t.Mapping[str, t.Any], unsupported: Unsupported) -> Settings:
        """Build the settings from a module's parameters, which Ansible has checked against the argument_spec.

        `unsupported` says what the wanted backend cannot do; see `_backends.backends`. Raises SettingsError, with all
        problems at once, before the host is looked at.
        """
        problems: list[str] = []
        lockout = Lockout(**(options["lockout"] or {}))
        time_sync = TimeSync(**(options["time_sync"] or {}))
        settings = cls(
            enabled=options["enabled"],
            ssh=options["ssh"],
            sshd_configs=_unique(options["sshd_configs"]),
            accepted_doors=_unique(options["accepted_doors"]),
            services=_unique(options["services"]),
            allow_console=options["allow_console"],
            cockpit_negotiate=options["cockpit_negotiate"],
            users=_users(options["users"] or [], problems),
            otp_digits=options["otp_digits"],
            interval=options["interval"],
            window=options["window"],
            backend=options["backend"],
            ssh_first_factors=tuple(f for f in FIRST_FACTORS if f in options["ssh_first_factors"]),
            scope=options["scope"],
            scope_groups=_unique(options["scope_groups"]),
            security_keys_only_groups=_unique(options["security_keys_only_groups"]),
            exempt_users=_unique(options["exempt_users"]),
            exempt_groups=_unique(options["exempt_groups"]),
            exempt_addresses=_addresses(options["exempt_addresses"] or [], problems),
            lockout=lockout,
            time_sync=time_sync,
            require_proof=options["require_proof"],
            seen_days=options["seen_days"],
            renew=options["renew"],
            purge_credentials=options["purge_credentials"],
            rollback_after=options["rollback_after"],
            self_service=options["self_service"],
            offer_enrolment=options["offer_enrolment"],
            guard=options["guard"],
            option_prefix=options.get("option_prefix", ""),
        )
        problems += bounds.problems(settings, unsupported)
        if problems:
            raise SettingsError([settings.named(problem) for problem in problems])
        return settings

    @functools.cached_property
    def declared_keys(self) -> dict[str, tuple[SecurityKey, ...]]:
        """The security keys that sshd accepts in place of a code, by account."""
        users = self.users if self.enabled and self.ssh else ()
        return {user.name: user.security_keys for user in users if user.present and user.security_keys}

    @functools.cached_property
    def keys_only_users(self) -> tuple[str, ...]:
        """The accounts, sorted, that sshd lets in with their declared keys alone; without members of the groups."""
        users = self.users if self.enabled and self.ssh else ()
        named = {user.name for user in users if user.present and user.security_keys_only}
        return tuple(sorted(named.difference(self.exempt_users)))

    @property
    def keys_for_sshd(self) -> dict[str, tuple[SecurityKey, ...]]:
        """The declared keys, by account, of all accounts that may have to log in with them alone.

        If there are groups, these are all accounts with keys, since somebody may become a member between two runs.
        """
        if self.security_keys_only_groups:
            return self.declared_keys
        return {name: keys for name, keys in self.declared_keys.items() if name in self.keys_only_users}

    def named(self, sentence: str) -> str:
        """A sentence with the names of options as people set them."""
        return named(sentence, self.option_prefix)

    def exempts(self, address: str) -> bool:
        """Whether logins from this address need no code. A text that is no address is not exempt."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in ipaddress.ip_network(network) for network in self.exempt_addresses)

    def user(self, name: str) -> User | None:
        """The entry of `users` with this name."""
        return self._users_by_name.get(name)

    @functools.cached_property
    def _users_by_name(self) -> dict[str, User]:
        return {user.name: user for user in self.users}


def _unique(values: t.Iterable[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values or ()))


def _users(entries: t.Sequence[t.Mapping[str, t.Any]], problems: list[str]) -> tuple[User, ...]:
    users: dict[str, User] = {}
    for entry in entries:
        name = entry["name"]
        if name in users:
            problems.append(f"O(users) names {name} twice; keep one entry.")
        users[name] = User(
            name=name,
            present=_is_present(entry),
            secret=_secret(entry, name, problems),
            renew=entry.get("renew"),
            proven=bool(entry.get("proven")),
            devices=_devices(entry.get("devices") or [], name, problems),
            recovery_codes=entry.get("recovery_codes"),
            security_keys=_security_keys(entry.get("security_keys") or [], name, problems),
            security_keys_only=bool(entry.get("security_keys_only")),
        )
    return tuple(users.values())


def _devices(entries: t.Sequence[t.Mapping[str, t.Any]], user: str, problems: list[str]) -> tuple[Device, ...]:
    devices: list[Device] = []
    for entry in entries:
        name = entry["name"]
        if any(device.name == name for device in devices):
            problems.append(f"O(users): the devices of {user} have {name} twice; keep one entry.")
        devices.append(Device(name, _is_present(entry), _secret(entry, f"{user}'s device {name}", problems)))
    return tuple(devices)


def _security_keys(lines: t.Sequence[str], user: str, problems: list[str]) -> tuple[SecurityKey, ...]:
    keys: dict[str, SecurityKey] = {}
    for number, line in enumerate(lines, start=1):
        try:
            key = decode_key(line)
        except ValueError as error:
            problems.append(f"O(users): security key {number} of {user} {error}.")
            continue
        if key.words in keys:
            problems.append(f"O(users): security key {number} of {user} ({key.label}) is there twice; keep one entry.")
        keys[key.words] = key
    return tuple(keys.values())


def _is_present(entry: t.Mapping[str, t.Any]) -> bool:
    return bool(entry.get("state", "present") == "present")


def _secret(entry: t.Mapping[str, t.Any], whose: str, problems: list[str]) -> bytes | None:
    if entry.get("secret") is None:
        return None
    try:
        return decode_secret(entry["secret"])
    except ValueError as error:
        problems.append(f"O(users): the secret of {whose} {error}.")
        return None


def _addresses(values: t.Sequence[str], problems: list[str]) -> tuple[str, ...]:
    addresses = []
    for value in values:
        try:
            if "%" in value:
                raise ValueError(f"{value!r} has a zone, which sshd and PAM do not compare")
            addresses.append(str(ipaddress.ip_network(value)))
        except ValueError as error:
            problems.append(
                f"O(exempt_addresses): {error}; give an address (192.0.2.7) or a network (192.0.2.0/24, 2001:db8::/32)."
            )
    return _unique(addresses)
