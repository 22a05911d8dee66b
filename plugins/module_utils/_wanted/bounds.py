# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bounds of the options, each defined only here, and what is wrong with settings outside of them."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from .settings import Settings, Unsupported

OTP_DIGITS = (6, 8)
"""The fewest and the most digits of a code; RFC 4226, section 5.3, asks for six at least."""
WINDOW = (0, 10)
"""How many steps before and after now may be valid too; RFC 6238, section 5.2, advises one."""
ATTEMPTS = (1, 100)
"""How many wrong codes close the code step."""
LOCKOUT_SECONDS = (1, 604_800)
"""For how long the code step is closed, and for how long a wrong code counts; a week at most."""
MAX_ERROR_SECONDS = 30.0
"""How far off the clock may be at most: one step of RFC 6238."""
ROLLBACK_SECONDS = (15, 3600)
"""After how long a host rolls a change back that nobody confirms; or 0, for never."""
SECRET_BYTES = (16, 32)
"""RFC 4226, section 4, R6, asks for 128 bits at least; pam_oath reads 32 bytes at most."""
OLD_SECRET_BYTES = (1, 64)
"""The bytes of a secret taken over with somebody's app; a key longer than a block of SHA-1 gains nothing."""
PASS_HOURS = (1, 24)
"""For how many hours a pass may be right."""
INVITATION_HOURS = (1, 336)
"""For how many hours an invitation may be good; two weeks at most."""
SEEN_DAYS = (0, 365)
"""How many days back logins are looked at; 0 for none."""
PAM_LINE = 800
"""How many characters of names a PAM line may have. If the line has over 1024, libpam before 1.6 denies everyone."""

FIRST_FACTORS = ("publickey", "password")
CONSOLE = "login"
"""The PAM service of the console; login(1)."""
NEGOTIATE = ("keep", "none")
"""Whether Cockpit keeps letting people in by Kerberos."""
GUARD = ("warn", "repair", "off")
RENEW = ("never", "changed")
SCOPES = ("everyone", "enrolled", "groups")

_ACCOUNT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,255}\$?", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@+-]{0,63}", re.ASCII)
_SERVICE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}", re.ASCII)

# Files in /etc/pam.d that are parts of other services, or ours.
_NOT_SERVICES = re.compile(r"common-.*|(password|system|fingerprint|smartcard)-auth|postlogin|other|twofactor(-.*)?")


_BY_GROUP = " An account with another name can be exempt by one of its groups; name that group in O(exempt_groups)."


def is_account_name(name: str) -> bool:
    """Whether the name works in PAM, in sshd and as a file name; PAM, for example, splits lists at colons."""
    return bool(_ACCOUNT_NAME.fullmatch(name))


def is_label(name: str) -> bool:
    """Whether a device, a renewal or a set of recovery codes can have this name."""
    return bool(_LABEL.fullmatch(name))


def is_sshd_config(path: str) -> bool:
    """Whether sshd_configs can have this path."""
    return path.startswith("/") and len(path.split()) == 1


def _bounded(name: str, value: int, bounds: tuple[int, int], unit: str = "") -> t.Iterator[str]:
    low, high = bounds
    if not low <= value <= high:
        option, dot, part = name.partition(".")
        yield f"O({option}){dot}{part} is {value}; it must be between {low} and {high}{unit}."


def _keys_only(wanted: Settings) -> t.Iterator[str]:
    """What contradicts `security_keys_only` of a user, in sentences that say what to do."""
    for user in wanted.users:
        if not (user.present and user.security_keys_only):
            continue
        if not user.security_keys:
            yield (
                f"O(users): {user.name} has security_keys_only and no security_keys, and sshd would no longer let "
                f"{user.name} in. Declare a key, or leave security_keys_only out."
            )
        if user.name in wanted.exempt_users:
            yield (
                f"O(users): {user.name} has security_keys_only, and O(exempt_users) lets {user.name} in by other ways. "
                "Leave one of them out."
            )
        needless = [("renew", user.renew), ("devices", user.devices), ("recovery_codes", user.recovery_codes)]
        given = [option for option, value in needless if value]
        if given and user.secret is None:
            yield (
                f"O(users): {user.name} has security_keys_only, and so no credential for {' and '.join(given)}. Give "
                f"{user.name} a secret as well, or leave {' and '.join(given)} out."
            )


def problems(wanted: Settings, unsupported: Unsupported) -> t.Iterator[str]:
    """Where settings are out of bounds or contradict each other, in sentences that say what to do."""
    yield from _bounded("otp_digits", wanted.otp_digits, OTP_DIGITS)
    yield from _bounded("window", wanted.window, WINDOW, " steps")
    yield from _bounded("lockout.attempts", wanted.lockout.attempts, ATTEMPTS)
    yield from _bounded("lockout.unlock_seconds", wanted.lockout.unlock_seconds, LOCKOUT_SECONDS, " seconds")
    yield from _bounded("lockout.count_seconds", wanted.lockout.count_seconds, LOCKOUT_SECONDS, " seconds")

    yield from _bounded("seen_days", wanted.seen_days, SEEN_DAYS, " days")
    if wanted.rollback_after != 0:
        yield from _bounded("rollback_after", wanted.rollback_after, ROLLBACK_SECONDS, " seconds, or 0 for no timer")

    yield from unsupported(wanted)

    error = wanted.time_sync.max_error_seconds
    if not 0 < error <= MAX_ERROR_SECONDS:
        yield (
            f"O(time_sync).max_error_seconds is {error}; it must be more than 0 and at most {MAX_ERROR_SECONDS:g} "
            "seconds."
        )
    if not wanted.ssh_first_factors:
        yield "O(ssh_first_factors) is empty; name publickey, password or both."
    with_keys = sorted(wanted.declared_keys)
    if with_keys and "publickey" not in wanted.ssh_first_factors:
        yield (
            f"O(users): {', '.join(with_keys)} cannot log in with security_keys where O(ssh_first_factors) leaves out "
            "publickey. Add it there, or leave security_keys out."
        )
    yield from _keys_only(wanted)
    if wanted.scope == "groups" and not wanted.scope_groups:
        yield "O(scope) is groups, but O(scope_groups) is empty; name the groups whose members need a code."
    length = len(":".join(wanted.scope_groups))
    if length > PAM_LINE:
        yield f"O(scope_groups) is {length} characters long; a line of PAM holds {PAM_LINE}. Name fewer groups."
    if wanted.scope != "groups" and wanted.scope_groups:
        yield (
            f"O(scope_groups) is given, but O(scope) is {wanted.scope}; set O(scope) to groups, or leave "
            "O(scope_groups) out."
        )

    names = [
        *(("users", user.name) for user in wanted.users),
        *(("exempt_users", name) for name in wanted.exempt_users),
        *(("exempt_groups", name) for name in wanted.exempt_groups),
        *(("scope_groups", name) for name in wanted.scope_groups),
        *(("security_keys_only_groups", name) for name in wanted.security_keys_only_groups),
    ]
    for option, name in names:
        if not is_account_name(name):
            yield (
                f"O({option}): {name!r} is a name that PAM, sshd or a file cannot hold; "
                "use letters, digits, '_', '.', '@' and '-'."
                + (_BY_GROUP if option in ("users", "exempt_users") else "")
            )
        elif option == "users" and name.endswith((".lock", ".new")):
            yield (
                f"O(users): the name {name} collides with the lock files of pam_oath (*.lock, *.new). Leave the "
                "account out, or rename it on the hosts."
            )
    for user in wanted.users:
        labels = [
            ("renew", user.renew),
            ("recovery_codes", user.recovery_codes or None),
            *(("devices", device.name) for device in user.devices),
        ]
        for option, label in labels:
            if label is not None and not is_label(label):
                yield (
                    f"O(users): {option} of {user.name} has the name {label!r}; use up to 64 letters, digits, '_', "
                    "'.', ':', '@', '+' and '-', and no space."
                )
    for path in wanted.sshd_configs:
        if not is_sshd_config(path):
            yield (
                f"O(sshd_configs): {path!r} is not an absolute path without blanks; give one such as "
                "/etc/ssh/sshd_internal."
            )
    for service in wanted.services:
        if service == "sshd":
            yield "O(services) names sshd; set O(ssh) to true instead, which covers keys as well."
        elif service == CONSOLE and not wanted.allow_console:
            yield (
                "O(services) names login, the console, which is the way back in when a phone is lost. Leave it out, or "
                "set O(allow_console) to true."
            )
        elif not _SERVICE_NAME.fullmatch(service) or _NOT_SERVICES.fullmatch(service):
            yield (
                f"O(services): {service!r} is not the name of a PAM service (a file in /etc/pam.d that programs open). "
                "Name one such as sudo, or leave it out."
            )
        elif service != service.lower():
            yield (
                f"O(services): libpam looks up every service in lower case, so no program opens "
                f"/etc/pam.d/{service}. Name {service.lower()}, or leave it out."
            )
