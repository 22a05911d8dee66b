# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes over people's second factors from a hand-made set-up, whose files stay as they are.

Some of the files are where their owner can replace them by anything. Since root reads them, it does so only if no
link leads elsewhere, and nobody but the owner and root can have written them.
"""

from __future__ import annotations

import errno
import os
import pwd
import re
import secrets
import stat
import typing as t

from .._apply import credential_files, transaction
from .._backends import backends, usersfile
from .._host import accounts, nss
from .._host.look import look
from .._plan import adoption
from .._plan.situation import Situation
from .._wanted.bounds import is_account_name
from .changing import ACTIONS, changing
from .held_files import refuse_held
from .main import Failure, Result, settings_of

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from .._wanted.settings import Settings

USERS_FILES = ["/etc/users.oath", "/etc/security/users.oath", "/etc/liboath/users.oath"]
SECRET_FILE = "~/.google_authenticator"  # noqa: S105 - a path

_LARGEST = 65_536
_MOST_KEYS = 100
_LARGEST_USERS_FILE = 16_777_216
_OF_ALL = re.compile(r"/[^$%*]*")
"""The path of a file that all accounts share."""
_OF_EACH = re.compile(r"(~/|\$\{HOME\}/|/(?=.*\$\{USER\}))([^$%*]|\$\{(HOME|USER)\})*")
"""The path of each account's own file, with variables as in pam_google_authenticator's option `secret=`."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A pipe in the place of a file must not block the run.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def adopt(module: AnsibleModule) -> Result:
    """Give a credential to everybody who has a second factor in the old set-up and no credential of ours."""
    settings = settings_of(module)
    problems = [*_unusable(module.params["users_files"], module.params["secret_file"])]
    if problems:
        raise Failure(settings.named(f"{' '.join(problems)} Nothing was changed."))
    what_failed = f"Not everybody was taken over on {os.uname().nodename}. Correct this and run again"
    with changing(module, what_failed):
        return _adopt(module, settings)


def _unusable(users_files: t.Iterable[str], secret_file: str) -> t.Iterator[str]:
    """What is wrong with paths of old files, in sentences."""
    for path in users_files:
        if not _OF_ALL.fullmatch(path):
            yield (
                f"O(users_files): {path!r} must be the path of one file that all accounts share. If each account has "
                "its own, name each of these files."
            )
    if not _OF_EACH.fullmatch(secret_file):
        yield (
            f"O(secret_file): {secret_file!r} must be the path of each account's file. It begins with /, ~/ or "
            "${HOME}/, and has ${USER} in it if it is in no home. Other variables are not known."
        )


def _adopt(module: AnsibleModule, settings: Settings) -> Result:
    """Look at the host, decide, and write the new credentials. The caller holds the lock of the host."""
    situation = Situation(settings, look(settings, ACTIONS.run))
    found = {path: _users_file(path) for path in module.params["users_files"]}
    for path, file in found.items():
        if file is None and path not in USERS_FILES:
            module.warn(f"There is no {path} on {situation.state.hostname}, so nobody was taken over from it.")
    users_files = [file for file in found.values() if file is not None]
    problem = adoption.obstacle(situation, users_files)
    if problem:
        raise Failure(f"Nobody was taken over on {situation.state.hostname}: {problem}.")
    known = _known(settings, users_files)
    own_files = _own_files(module.params["secret_file"], known)
    result = adoption.adoption(situation, users_files, own_files, known, secrets.token_bytes)
    paths = {name: backends.credential_path(settings.backend, name) for name in result.credentials}
    refuse_held(f"Nobody was taken over on {situation.state.hostname}", paths.values())
    if not module.check_mode:
        transaction.clean_up(ACTIONS)
        for name, path in paths.items():
            credential_files.add(path, result.credentials[name])
    return {
        "changed": bool(paths),
        "adopted": list(paths),
        "left": result.left,
        "void_recovery_codes": result.void_recovery_codes,
        "differences": result.differences,
        "security_keys": dict(_undeclared_keys(situation, known)),
        **({"diff": _diff(paths, result.sources)} if module._diff else {}),
    }


def _undeclared_keys(
    situation: Situation, known: t.Mapping[str, pwd.struct_passwd]
) -> t.Iterator[tuple[str, list[str]]]:
    """Yield each account with undeclared security keys in the files that sshd reads for it, and these keys."""
    settings = {name: account.sshd for name, account in situation.state.accounts.items()}
    for name in sorted(known.keys() & settings.keys()):
        declared = {key.words for key in situation.settings.declared_keys.get(name, ())}
        keys = accounts.security_keys(known[name], settings[name], settings)
        if keys and is_account_name(name) and keys - declared:
            yield name, sorted(keys - declared)[:_MOST_KEYS]


def _diff(paths: t.Mapping[str, str], sources: t.Mapping[str, str]) -> list[dict[str, str]]:
    """What a diff shows of the credentials that are new."""
    return [
        {
            "before_header": path,
            "after_header": path,
            "before": "",
            "after": f"credential of {name}, from {sources[name]}; the key is not shown\n",
        }
        for name, path in paths.items()
    ]


def _known(settings: Settings, users_files: t.Iterable[adoption.OldFile]) -> dict[str, pwd.struct_passwd]:
    """The accounts that the host lists, and those named in the settings or files that it knows without listing them."""
    listed = nss.listed()
    named = {user.name for user in settings.users}.union(*(usersfile.lines_by_user(file.text) for file in users_files))
    return {**listed, **nss.by_own_name(named - listed.keys())}


def _own_files(pattern: str, known: t.Mapping[str, pwd.struct_passwd]) -> dict[str, adoption.OldFile]:
    """Each account's own file, by account; `pattern` has the form of pam_google_authenticator's option secret=."""
    found = ((name, _own_file(_expanded(pattern, name, entry), entry)) for name, entry in known.items())
    return {name: file for name, file in found if file is not None}


def _expanded(pattern: str, name: str, entry: pwd.struct_passwd) -> str:
    """The path that the pattern means for one account."""
    path = f"${{HOME}}{pattern[1:]}" if pattern.startswith("~/") else pattern
    return os.path.normpath(path.replace("${HOME}", entry.pw_dir).replace("${USER}", name))


def _own_file(path: str, entry: pwd.struct_passwd) -> adoption.OldFile | None:
    """The file, if there is one. Inside a home directory, no part of the path may be a link."""
    if not path.startswith("/"):
        return None
    home = os.path.normpath(entry.pw_dir)
    inside = path.startswith(os.path.join(home, ""))
    base = home if inside else os.path.dirname(path)
    return _read(path, base, (entry.pw_uid, 0), _LARGEST)


def _users_file(path: str) -> adoption.OldFile | None:
    """A file that all accounts share, if there is one."""
    return _read(path, os.path.dirname(path), (0,), _LARGEST_USERS_FILE, names_at_least=True)


def _read(
    path: str, base: str, owners: t.Collection[int], largest: int, *, names_at_least: bool = False
) -> adoption.OldFile | None:
    """The file at `path` below `base`, a trusted directory; None if the file does not exist.

    With `names_at_least`, the text is also read if others can read the file but cannot have written it.
    """
    try:
        descriptor = _open_below(base, os.path.relpath(path, base))
        if descriptor is None:
            return None
        try:
            status = os.fstat(descriptor)
            uncertain = _uncertain(status, owners, largest)
            unsafe = uncertain or _exposed(status)
            is_read = not unsafe or (names_at_least and not uncertain)
            content = os.read(descriptor, largest) if is_read else b""
        finally:
            os.close(descriptor)
        return adoption.OldFile(path, content.decode("ascii", "replace"), unsafe, is_read)
    except FileNotFoundError:
        return None
    except OSError as error:
        return adoption.OldFile(path, unsafe=_why_closed(error), names_are_certain=False)


def _why_closed(error: OSError) -> str:
    """Why a file could not be opened, and what to do."""
    if error.errno == errno.ELOOP:
        return "is a symbolic link, or is in a directory that is one. Put the file itself there, or enrol anew"
    if error.errno == errno.ENXIO:
        return "is not a regular file. Put the file itself there, or enrol anew"
    return f"cannot be read by root ({error.strerror}), as on some network file systems. Copy it to a local directory"


def _open_below(base: str, path: str) -> int | None:
    """Open a file through directories of which none may be a link; return None if `base` does not exist."""
    try:
        directory = os.open(base, _DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    *parts, name = path.split("/")
    try:
        for part in parts:
            inner = _open_part(part, directory)
            os.close(directory)
            directory = inner
        return os.open(name, _FILE, dir_fd=directory)
    finally:
        os.close(directory)


def _open_part(name: str, directory: int) -> int:
    """Open a directory in another one. If a file is in its place, raise FileNotFoundError: nothing can be below it."""
    try:
        return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None


def _uncertain(status: os.stat_result, owners: t.Collection[int], largest: int) -> str:
    """Why the file may hold what its owner did not write; empty if it cannot."""
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file. Put the file itself there, or enrol anew"
    if status.st_uid not in owners:
        return (
            f"belongs to neither the account nor root (uid {status.st_uid}). Give it to its owner, if nobody else has "
            "read it; or enrol anew"
        )
    if status.st_nlink != 1:
        return "has further hard links. Remove these, if nobody else has read it; or enrol anew"
    if status.st_size > largest:
        return (
            f"has {status.st_size} bytes, more than the {largest} that such a file can have. Correct it, or enrol anew"
        )
    return _exposed(status) if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else ""


def _exposed(status: os.stat_result) -> str:
    """Why others may know the secrets in the file; empty if they cannot."""
    mode = stat.S_IMODE(status.st_mode)
    if not mode & 0o077:
        return ""
    return f"can be read or written by others than its owner (mode {mode:04o}). Make it 0600, or enrol anew"
