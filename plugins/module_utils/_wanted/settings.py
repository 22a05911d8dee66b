# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wanted state, validated: every bound and every message about it."""

from __future__ import annotations

import base64
import binascii
import functools
import ipaddress
import re
import typing as t
from dataclasses import dataclass, field

OTP_DIGITS = (6, 8)
WINDOW = (0, 10)
ATTEMPTS = (1, 100)
LOCKOUT_SECONDS = (1, 604_800)
MAX_ERROR_SECONDS = 30.0
ROLLBACK_SECONDS = (15, 3600)
SECRET_BYTES = (16, 32)
# How many characters of names a line of PAM holds: libpam before 1.6 reads 1024 of a line, and denies everyone past it.
PAM_LINE = 800

FIRST_FACTORS = ("publickey", "password")
CONSOLE = "login"
RENEW = ("never", "changed")
SCOPES = ("everyone", "enrolled", "groups")

_ACCOUNT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,255}\$?", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@+-]{0,63}", re.ASCII)
_SERVICE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}", re.ASCII)

# Files in /etc/pam.d that are parts of other services, or ours.
_NOT_SERVICES = re.compile(r"common-.*|(password|system|fingerprint|smartcard)-auth|postlogin|other|twofactor(-.*)?")


class Abilities(t.NamedTuple):
    """What a backend can do."""

    module: str
    digits: t.Collection[int]
    intervals: t.Collection[int]
    """In seconds."""
    in_words: str
    """These two."""
    devices: bool
    """Whether somebody can have more than one device."""
    recovery_window: int
    """The least window with which all recovery codes are right."""


BACKENDS: dict[str, Abilities] = {
    "oath": Abilities("pam_oath.so", (6, 7, 8), (30, 60), "6 to 8 digits for 30 or 60 seconds", True, 1),
    "google_authenticator": Abilities(
        "pam_google_authenticator.so", (6,), range(5, 61), "6 digits for 5 to 60 seconds", False, 0
    ),
}


class SettingsError(ValueError):
    """The options contradict themselves or leave their bounds; O(problems) is one sentence for each."""

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
    """One account that shall have, or not have, a credential. A secret of None is made on the host."""

    name: str
    present: bool = True
    secret: bytes | None = field(default=None, repr=False)
    renew: str | None = None
    """The name of a renewal: where it is not that of the last one, the host makes a new secret."""
    proven: bool = False
    """Whether somebody vouches that the user has seen a right code."""
    devices: tuple[Device, ...] = ()
    recovery_codes: str | None = None
    """The name of a set of recovery codes: where it is not that of the last one, the host makes a new set. An empty
    text removes the set."""


@dataclass(frozen=True)
class Lockout:
    """After `attempts` wrong codes within `count_seconds`, the code step is closed for `unlock_seconds`."""

    attempts: int = 5
    unlock_seconds: int = 900
    count_seconds: int = 900


@dataclass(frozen=True)
class TimeSync:
    """The bound on the clock's error, in seconds, and whether enabling waits for it."""

    required: bool = True
    max_error_seconds: float = 1.0


@dataclass(frozen=True)
class Settings:
    """The wanted state of one host."""

    enabled: bool = True
    ssh: bool = False
    services: tuple[str, ...] = ()
    allow_console: bool = False
    users: tuple[User, ...] = ()
    otp_digits: int = 6
    interval: int = 30
    window: int = 1
    backend: str = "oath"
    ssh_first_factors: tuple[str, ...] = FIRST_FACTORS
    scope: str = "everyone"
    scope_groups: tuple[str, ...] = ()
    exempt_users: tuple[str, ...] = ()
    exempt_groups: tuple[str, ...] = ()
    exempt_addresses: tuple[str, ...] = ()
    lockout: Lockout = Lockout()
    time_sync: TimeSync = TimeSync()
    require_proof: bool = True
    renew: str = "never"
    purge_credentials: bool = False
    rollback_after: int = 0
    self_service: bool = False
    files: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    """The texts of the files that a host gets as they stand, by path."""

    @classmethod
    def from_options(cls, options: t.Mapping[str, t.Any]) -> Settings:
        """Build the settings from a module's parameters.

        Raises SettingsError, with every problem at once, before anything is looked at.
        """
        problems: list[str] = []
        lockout = Lockout(**(options["lockout"] or {}))
        time_sync = TimeSync(**(options["time_sync"] or {}))
        settings = cls(
            enabled=options["enabled"],
            ssh=options["ssh"],
            services=_unique(options["services"]),
            allow_console=options["allow_console"],
            users=_users(options["users"] or [], problems),
            otp_digits=options["otp_digits"],
            interval=options["interval"],
            window=options["window"],
            backend=options["backend"],
            ssh_first_factors=tuple(f for f in FIRST_FACTORS if f in options["ssh_first_factors"]),
            scope=options["scope"],
            scope_groups=_unique(options["scope_groups"]),
            exempt_users=_unique(options["exempt_users"]),
            exempt_groups=_unique(options["exempt_groups"]),
            exempt_addresses=_addresses(options["exempt_addresses"] or [], problems),
            lockout=lockout,
            time_sync=time_sync,
            require_proof=options["require_proof"],
            renew=options["renew"],
            purge_credentials=options["purge_credentials"],
            rollback_after=options["rollback_after"],
            self_service=options["self_service"],
        )
        problems += _problems(settings)
        if problems:
            raise SettingsError(problems)
        return settings

    def user(self, name: str) -> User | None:
        """The entry of `users` with this name."""
        return self._users_by_name.get(name)

    @functools.cached_property
    def _users_by_name(self) -> dict[str, User]:
        return {user.name: user for user in self.users}


def is_account_name(name: str) -> bool:
    """Whether PAM, sshd and a file can carry the name alike; a list in PAM, for one, is taken apart at colons."""
    return bool(_ACCOUNT_NAME.fullmatch(name))


def decode_secret(text: str) -> bytes:
    """Decode a base32 secret (RFC 4648) as people type it: spaces, dashes, lower case and missing padding are fine.

    Raises ValueError, with a text that does not repeat the secret, unless it holds 16 to 32 bytes
    (RFC 4226 section 4, R6 asks for 128 bits at least; pam_oath reads 32 bytes at most).
    """
    compact = re.sub(r"[\s-]", "", text).rstrip("=").upper()
    if not re.fullmatch(r"[A-Z2-7]+", compact):
        raise ValueError("is not base32 (letters A to Z and digits 2 to 7)")
    try:
        key = base64.b32decode(compact + "=" * (-len(compact) % 8))
    except binascii.Error:
        key = None
    if key is None:
        raise ValueError("is not base32: characters are missing or too many")
    low, high = SECRET_BYTES
    if not low <= len(key) <= high:
        raise ValueError(f"holds {len(key)} bytes; it must hold {low} to {high} (RFC 4226 asks for 128 bits at least)")
    return key


def encode_secret(key: bytes) -> str:
    """The base32 text of a key, in upper case and without padding."""
    return base64.b32encode(key).decode("ascii").rstrip("=")


def _unique(values: t.Iterable[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values or ()))


def _users(entries: t.Sequence[t.Mapping[str, t.Any]], problems: list[str]) -> tuple[User, ...]:
    users: dict[str, User] = {}
    for entry in entries:
        name = entry["name"]
        if name in users:
            problems.append(f"users names {name} twice; keep one entry.")
        users[name] = User(
            name=name,
            present=_is_present(entry),
            secret=_secret(entry, name, problems),
            renew=entry.get("renew"),
            proven=bool(entry.get("proven")),
            devices=_devices(entry.get("devices") or [], name, problems),
            recovery_codes=entry.get("recovery_codes"),
        )
    return tuple(users.values())


def _devices(entries: t.Sequence[t.Mapping[str, t.Any]], user: str, problems: list[str]) -> tuple[Device, ...]:
    devices: list[Device] = []
    for entry in entries:
        name = entry["name"]
        if any(device.name == name for device in devices):
            problems.append(f"users: the devices of {user} have {name} twice; keep one entry.")
        devices.append(Device(name, _is_present(entry), _secret(entry, f"{user}'s device {name}", problems)))
    return tuple(devices)


def _is_present(entry: t.Mapping[str, t.Any]) -> bool:
    return bool(entry.get("state", "present") == "present")


def _secret(entry: t.Mapping[str, t.Any], whose: str, problems: list[str]) -> bytes | None:
    if entry.get("secret") is None:
        return None
    try:
        return decode_secret(entry["secret"])
    except ValueError as error:
        problems.append(f"users: the secret of {whose} {error}.")
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
                f"exempt_addresses: {error}; give an address (192.0.2.7) or a network (192.0.2.0/24, 2001:db8::/32)."
            )
    return _unique(addresses)


def _bounded(name: str, value: int, bounds: tuple[int, int], unit: str = "") -> t.Iterator[str]:
    low, high = bounds
    if not low <= value <= high:
        yield f"{name} is {value}; it must be between {low} and {high}{unit}."


def _problems(wanted: Settings) -> t.Iterator[str]:
    yield from _bounded("otp_digits", wanted.otp_digits, OTP_DIGITS)
    yield from _bounded("window", wanted.window, WINDOW, " steps")
    yield from _bounded("lockout.attempts", wanted.lockout.attempts, ATTEMPTS)
    yield from _bounded("lockout.unlock_seconds", wanted.lockout.unlock_seconds, LOCKOUT_SECONDS, " seconds")
    yield from _bounded("lockout.count_seconds", wanted.lockout.count_seconds, LOCKOUT_SECONDS, " seconds")

    if wanted.rollback_after != 0:
        yield from _bounded("rollback_after", wanted.rollback_after, ROLLBACK_SECONDS, " seconds, or 0 for no timer")

    yield from _beyond(wanted, BACKENDS[wanted.backend])

    error = wanted.time_sync.max_error_seconds
    if not 0 < error <= MAX_ERROR_SECONDS:
        yield (
            f"time_sync.max_error_seconds is {error}; it must be more than 0 and at most {MAX_ERROR_SECONDS:g} seconds."
        )
    if not wanted.ssh_first_factors:
        yield "ssh_first_factors is empty; name publickey, password or both."
    if wanted.scope == "groups" and not wanted.scope_groups:
        yield "scope is groups, but scope_groups is empty; name the groups whose members need a code."
    length = len(":".join(wanted.scope_groups))
    if length > PAM_LINE:
        yield f"scope_groups is {length} characters long; a line of PAM holds {PAM_LINE}. Name fewer groups."
    if wanted.scope != "groups" and wanted.scope_groups:
        yield f"scope_groups is given, but scope is {wanted.scope}; set scope to groups, or leave scope_groups out."

    names = [
        *(("users", user.name) for user in wanted.users),
        *(("exempt_users", name) for name in wanted.exempt_users),
        *(("exempt_groups", name) for name in wanted.exempt_groups),
        *(("scope_groups", name) for name in wanted.scope_groups),
    ]
    for option, name in names:
        if not is_account_name(name):
            yield (
                f"{option}: {name!r} is not a name that PAM, sshd and a file can carry alike; "
                "use letters, digits, '_', '.', '@' and '-'."
            )
        elif option == "users" and name.endswith((".lock", ".new")):
            yield f"users: the name {name} collides with the lock files of pam_oath (*.lock, *.new)."
    for user in wanted.users:
        labels = [
            ("renew", user.renew),
            ("recovery_codes", user.recovery_codes or None),
            *(("devices", device.name) for device in user.devices),
        ]
        for option, label in labels:
            if label is not None and not _LABEL.fullmatch(label):
                yield (
                    f"users: {option} of {user.name} has the name {label!r}; use up to 64 letters, digits, '_', '.', "
                    "':', '@', '+' and '-', and no space."
                )
    for service in wanted.services:
        if service == "sshd":
            yield "services names sshd; set ssh to true instead, which covers keys as well."
        elif service == CONSOLE and not wanted.allow_console:
            yield (
                "services names login, the console, which is the way back in when a phone is lost. Leave it out, or "
                "set allow_console to true."
            )
        elif not _SERVICE_NAME.fullmatch(service) or _NOT_SERVICES.fullmatch(service):
            yield f"services: {service!r} is not the name of a PAM service (a file in /etc/pam.d that programs open)."


def _beyond(wanted: Settings, backend: Abilities) -> t.Iterator[str]:
    """What the backend cannot do, and which one can."""
    named = f"the {wanted.backend} backend ({backend.module})"
    low, high = OTP_DIGITS
    digits = min(max(low, wanted.otp_digits), high)
    able = [name for name, one in BACKENDS.items() if digits in one.digits and wanted.interval in one.intervals]
    if wanted.backend not in able:
        yield (
            f"interval is {wanted.interval} seconds and otp_digits is {wanted.otp_digits}, which "
            f"{named + ' cannot' if able else 'no backend can'} do. "
            f"{', '.join(f'{name} can do {one.in_words}' for name, one in BACKENDS.items())}."
            + "".join(f" Set backend to {name}." for name in able)
        )
    for user in wanted.users:
        if user.recovery_codes and wanted.window < backend.recovery_window:
            yield (
                f"users: recovery_codes of {user.name} need a window of {backend.recovery_window} at least; {named} "
                "takes only the first."
            )
        if any(device.present for device in user.devices) and not backend.devices:
            several = " or ".join(name for name, one in BACKENDS.items() if one.devices)
            yield (
                f"users: {user.name} has devices, and {named} has one secret a user. Leave them out, or set backend to "
                f"{several}."
            )
