# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at the accounts of the host: their groups, and the passwords and keys that they can log in with."""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
import pwd
import re
import stat
import time
import typing as t

from .. import _places as places
from .._texts import drop_in, sshd_config
from .._texts.patterns import loose_glob, matching_paths
from .._texts.security_keys import parse as parse_security_keys
from .files import read_file
from .state import Account

_AUTHORIZED_KEYS_BYTES = 1_000_000
_KEY_FILES = 1000
"""How many files are looked at, at most, for a pattern of them."""
_ONLY_PRINTS = re.compile(r"""[\w,-]*\bcommand="echo '([^'"\\]|\\")*'(; ?(echo|sleep \d+|exit \d+))*"[ ,]""")
"""A key of cloud-init(1), which prints as whom to log in, and ends."""
_SHORTEST_PASSWORD = 13
"""The least length of an encrypted password, crypt(5)."""
_USUAL_FILES = (".ssh/authorized_keys", ".ssh/authorized_keys2")


def accounts(
    people: t.Mapping[str, pwd.struct_passwd],
    groups: t.Mapping[str, tuple[str, ...]],
    sshd_of: t.Mapping[str, sshd_config.Effective],
    elsewhere: t.Collection[t.Mapping[str, sshd_config.Effective]] = (),
) -> dict[str, Account]:
    """The accounts of these people, by name, with their groups and the settings that sshd has for each.

    `sshd_of` has these settings from an address that is not exempt; `elsewhere` has them for each other origin that the
    configuration names.
    """
    views = {name: tuple(one[name] for one in elsewhere if one[name] != sshd_of[name]) for name in people}
    file = read_file(places.SHADOW)
    shadow = file.content if file else ""
    expired = expired_of(shadow, time.time())
    people_now = {name: one for name, one in people.items() if name not in expired}
    passwords = parse_shadow(shadow) | {name for name, one in people.items() if _is_password(one.pw_passwd)}
    no_passwords = _without_password(shadow) | {name for name, one in people.items() if not one.pw_passwd}
    passwords, no_passwords = passwords - expired, no_passwords - expired
    seen_by_sshd = {name: (sshd_of[name], *views[name]) for name in people}
    with_key, elsewhere_asked = (
        {name for name, entry in people_now.items() if any(has(entry, one) for one in seen_by_sshd[name])}
        for has in (lambda entry, one: _has_key(entry, one, sshd_of), _asks_elsewhere)
    )
    return {
        name: Account(
            name=name,
            uid=entry.pw_uid,
            groups=groups[name],
            has_password=name in passwords
            or (name in no_passwords and any(one.on("permitemptypasswords") for one in seen_by_sshd[name])),
            has_key=name in with_key or name in elsewhere_asked,
            key_is_elsewhere=name in elsewhere_asked - with_key,
            password_is_empty=name in no_passwords,
            is_expired=name in expired,
            sshd=sshd_of[name],
            sshd_elsewhere=views[name],
        )
        for name, entry in people.items()
    }


def parse_shadow(text: str) -> frozenset[str]:
    """The accounts of shadow(5) whose password is neither empty nor locked."""
    return frozenset(fields[0] for fields in _fields(text) if fields[1] and fields[1][0] not in "!*")


def _without_password(text: str) -> frozenset[str]:
    """The accounts of shadow(5) whose password is empty."""
    return frozenset(fields[0] for fields in _fields(text) if not fields[1])


def expired_of(text: str, now: float) -> frozenset[str]:
    """The accounts of shadow(5) that have expired; `now` is in seconds since the epoch, and the file has days."""
    dated = (fields for fields in _fields(text) if len(fields) > 7 and fields[7].isdecimal())
    return frozenset(fields[0] for fields in dated if int(fields[7]) < now // 86400)


def _fields(text: str) -> t.Iterator[list[str]]:
    """The lines of shadow(5) in fields: the account, its password, and dates."""
    return (fields for fields in (line.split(":") for line in text.splitlines()) if len(fields) > 1)


def _is_password(field: str) -> bool:
    """Whether this field of passwd(5) is an encrypted password, and not a mark that it is elsewhere or locked."""
    return len(field) >= _SHORTEST_PASSWORD and field[0] not in "!*#"


def _has_key(
    entry: pwd.struct_passwd, sshd: sshd_config.Effective, sshd_of: t.Mapping[str, sshd_config.Effective]
) -> bool:
    """Whether one of the files that sshd reads for the account has a key."""
    return any(_has_key_line(_start_of(path, entry)) for path in _authorized_keys_files(entry, sshd, sshd_of))


def security_keys(
    entry: pwd.struct_passwd, sshd: sshd_config.Effective, sshd_of: t.Mapping[str, sshd_config.Effective]
) -> frozenset[str] | None:
    """The security keys in the files that sshd reads for the account; None if a command may give it further keys."""
    if sshd.first("authorizedkeyscommand") not in ("", "none"):
        return None
    texts = (_start_of(path, entry) for path in _authorized_keys_files(entry, sshd, sshd_of))
    return frozenset(key.words for text in texts for key in parse_security_keys(text))


def _start_of(path: str, entry: pwd.struct_passwd) -> str:
    """The text of a file, up to a sensible size, since the account itself may have written it.

    Like sshd, read it with the rights of the account if root has none there, as in a home on NFS.
    """
    try:
        return _start_of_file(path)
    except PermissionError:
        with contextlib.suppress(OSError), _acting_as(entry):
            return _start_of_file(path)
    except OSError:
        pass
    return ""


@contextlib.contextmanager
def _acting_as(entry: pwd.struct_passwd) -> t.Iterator[None]:
    """Have the rights of an account; seteuid(2). Raises OSError."""
    user, group = os.geteuid(), os.getegid()
    try:
        os.setegid(entry.pw_gid)
        os.seteuid(entry.pw_uid)
        yield
    finally:
        os.seteuid(user)
        os.setegid(group)


def _start_of_file(path: str) -> str:
    """The text of a regular file, up to a sensible size; empty for anything else. Raises OSError.

    The account may have put something else at this path: a pipe would keep the run waiting, and a device may act as
    soon as it is opened. With O_PATH, nothing is opened before it is known to be a file; open(2).
    """
    descriptor = os.open(path, os.O_PATH)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        with open(f"/proc/self/fd/{descriptor}", "rb") as file:
            return file.read(_AUTHORIZED_KEYS_BYTES).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def _authorized_keys_files(
    entry: pwd.struct_passwd, sshd: sshd_config.Effective, sshd_of: t.Mapping[str, sshd_config.Effective]
) -> t.Iterator[str]:
    """The paths of the files in which sshd looks for the account's keys; sshd_config(5), AuthorizedKeysFile.

    From OpenSSH 10.0 on, a path may be a pattern of glob(7).

    If sshd reads our own list for this account, these are instead the files that it reads for root, or by default.
    """
    tokens = {"%%": "%", "%h": entry.pw_dir, "%u": entry.pw_name, "%U": str(entry.pw_uid)}
    if drop_in.is_keys_only(sshd):
        root = sshd_of.get("root", sshd)
        sshd = sshd_config.Effective({"authorizedkeysfile": _USUAL_FILES}) if drop_in.is_keys_only(root) else root
    for path in _paths(sshd.get("authorizedkeysfile", ())):
        for token, value in tokens.items():
            path = path.replace(token, value)
        if path != "none":
            path = os.path.join(entry.pw_dir, path)
            yield path
            if any(special in path for special in "*?["):
                found = (one for one in glob.iglob(loose_glob(path)) if matching_paths(path, [one]))
                # The account itself may have made any number of files.
                yield from itertools.islice(found, _KEY_FILES)


def _paths(words: t.Sequence[str]) -> t.Iterator[str]:
    """The paths that these words of `sshd -T` may be: it prints a path that has blanks without its quotes."""
    for start, word in enumerate(words):
        yield word
        for following in itertools.takewhile(lambda one: one[0] not in "/.%", words[start + 1 :]):
            word = f"{word} {following}"
            yield word


def _asks_elsewhere(entry: pwd.struct_passwd, sshd: sshd_config.Effective) -> bool:
    """Whether sshd asks a command, or trusts a certificate authority, for keys of an account that can log in.

    Its own SFTP server needs no shell.
    """
    asked = (sshd.first(keyword) for keyword in ("authorizedkeyscommand", "trustedusercakeys"))
    gets_in = os.path.basename(entry.pw_shell) not in places.NO_LOGIN_SHELLS or sshd.first("forcecommand").startswith(
        "internal-sftp"
    )
    return gets_in and any(answer not in ("", "none") for answer in asked)


def _has_key_line(text: str) -> bool:
    """Whether the text of an authorized_keys file has a key with which somebody gets in; sshd(8)."""
    lines = (line.strip() for line in text.splitlines())
    return any(line and line[0] != "#" and not _ONLY_PRINTS.match(line) for line in lines)
