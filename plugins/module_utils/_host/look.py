# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at the host: files, accounts, sshd's own view of its configuration, the clock. Changes nothing."""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import glob
import grp
import ipaddress
import os
import pwd
import shlex
import stat
import time
import typing as t

from .. import _places as places
from .._backends import backends
from .._texts import sshd_config
from .._wanted.settings import Settings
from .clock import sync_status
from .state import (
    OWN_DIRECTORIES,
    OWN_FILES,
    WRITTEN_AT_LOGIN,
    Account,
    Connection,
    FileState,
    HostState,
)

Run = t.Callable[[t.Sequence[str]], t.Tuple[int, str, str]]

# Fedora has the packages under the names that they have in EPEL.
_FAMILIES = {"fedora": "rhel"}
# Addresses for documentation (RFC 5737, RFC 3849): nobody connects from them, so they stand for anybody.
_STRANGERS = ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1")


class SshdError(RuntimeError):
    """sshd refuses to tell its settings; the text is what it printed."""


def look(settings: Settings, run: Run) -> HostState:
    """See what a plan for these settings depends on."""
    files = _files()
    session = connection()
    people = {entry.pw_name: entry for entry in pwd.getpwall()}
    for user in settings.users:
        if user.name not in people:
            with contextlib.suppress(KeyError):
                people[user.name] = pwd.getpwnam(user.name)
    groups = _groups_of(people.values())
    sshd_texts = {path: file.content for path, file in files.items() if path.startswith(places.SSHD_CONFIG)}
    sshd_of, sshd_error, connection_sshd = _sshd_views(settings, run, people, groups, sshd_texts, session)
    passwords = _usable_passwords()
    kept = {name: _credentials(one) for name, one in backends.BACKENDS.items()}
    switch = files.get(places.SWITCH)
    backend = backends.in_use(
        switch.content if switch else None, [name for name in kept if kept[name]], settings.backend
    )
    release, family = _os_release(settings.backend)
    return HostState(
        hostname=os.uname().nodename,
        files=files,
        accounts={
            name: Account(
                name=name,
                uid=entry.pw_uid,
                groups=groups[name],
                has_password=name in passwords,
                has_key=_has_key(entry, sshd_of[name]),
                sshd=sshd_of[name],
            )
            for name, entry in people.items()
        },
        credentials=kept[backend],
        backend=backend,
        others={name: files for name, files in kept.items() if name != backend and files},
        groups=frozenset(filter(_group_exists, settings.scope_groups)),
        time_sync=sync_status(run, settings.time_sync.max_error_seconds) if settings.enabled else None,
        sshd_error=sshd_error,
        connection=session,
        connection_sshd=connection_sshd,
        sudo_asks_connection=session is not None and "sudo" in settings.services and _sudo_asks(run, session.user),
        code_modules=_code_modules(),
        has_qrencode=os.path.exists(places.QRENCODE),
        release=release,
        os_family=family,
        selinux_types=_selinux_types(),
        has_systemd=os.path.isdir(places.SYSTEMD),
        pending=os.path.exists(places.JOURNAL),
        stale_locks=tuple(sorted(filter(_is_stale, _lock_files()))),
        tallies=_tallies(),
        now=time.time(),
    )


def effective(run: Run, user: str, address: str) -> sshd_config.Effective:
    """What the files on disk give this user from this address, as sshd reads them; sshd(8), -T and -C."""
    code, out, error = run([places.SSHD, *_service_options(), "-T", "-C", f"user={user},host={address},addr={address}"])
    if code != 0:
        raise SshdError(error.strip() or f"{places.SSHD} -T ended with {code}")
    return sshd_config.parse_effective(out)


def connection() -> Connection | None:
    """The ssh session above this process. sudo and su hide it from the environment, not from its first process."""
    found = None
    process = _process(os.getpid())
    while process is not None:
        sshd = _process(process.parent)
        if process.ssh_client and sshd:
            found = (process.uid, process.ssh_client, sshd.started)
        process = sshd
    if found is None:
        return None
    uid, address, since = found
    try:
        return Connection(user=pwd.getpwuid(uid).pw_name, address=address, since=since)
    except KeyError:
        return None


def _service_options() -> list[str]:
    """What the service starts sshd with: `-o` there wins over every file."""
    options: list[str] = []
    for path, variable in places.SSHD_SERVICE_OPTIONS.items():
        file = read_file(path)
        for line in (file.content if file else "").splitlines():
            name, _equals, value = line.strip().partition("=")
            if name == variable:
                options = shlex.split(" ".join(shlex.split(value, comments=True)))
    return options


def stranger(settings: Settings) -> str:
    """An address that is not exempt."""
    exempt = [ipaddress.ip_network(network) for network in settings.exempt_addresses]
    for address in _STRANGERS:
        if not any(ipaddress.ip_address(address) in network for network in exempt):
            return address
    return "UNKNOWN"


def read_file(path: str) -> FileState | None:
    """A file or a directory as it is, or None."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    content = ""
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            content = file.read().decode("utf-8", "surrogateescape")
    return FileState(
        content=content,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        link=os.path.realpath(path) if os.path.islink(path) else None,
    )


def _files() -> dict[str, FileState]:
    paths = {*OWN_FILES, *OWN_DIRECTORIES, places.SSHD_CONFIG, places.COCKPIT_DISALLOWED}
    paths.update([*places.FOR_SELF_SERVICE, places.SELF_SERVICE_CONFIG, *places.SELF_SERVICE_LISTENING])
    for directory in (places.PAM_D, places.DROP_IN_DIRECTORY):
        paths.update(glob.glob(f"{directory}/*"))
    for directory in places.SELF_SERVICE_DIRECTORIES:
        paths.update(_tree(directory))
    found = {path: read_file(path) for path in paths}
    return {path: file for path, file in found.items() if file is not None}


def _tree(directory: str) -> t.Iterator[str]:
    """A directory and what is in it, but for what a change has laid ready there."""
    yield directory
    for path in glob.glob(f"{directory}/*"):
        yield from _tree(path)


def _credentials(backend: backends.Backend) -> dict[str, FileState]:
    try:
        names = os.listdir(backend.DIRECTORY)
    except FileNotFoundError:
        return {}
    others = (".*", *backend.LEFT_BEHIND)
    names = [name for name in names if not any(fnmatch.fnmatchcase(name, pattern) for pattern in others)]
    found = {name: read_file(f"{backend.DIRECTORY}/{name}") for name in names}
    return {name: file for name, file in found.items() if file is not None}


def _lock_files() -> list[str]:
    return [path for pattern in backends.LEFT_BEHIND for path in glob.glob(pattern)]


def _is_stale(path: str) -> bool:
    """Whether a login left this behind: it is old, and no process holds the lock that pam_oath takes on it."""
    try:
        with open(path, "rb+") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime < places.STALE_LOCK_SECONDS:
                return False
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _tallies() -> dict[str, bytes]:
    try:
        names = os.listdir(places.TALLY_DIRECTORY)
    except FileNotFoundError:
        return {}
    tallies = {}
    for name in names:
        with contextlib.suppress(OSError), open(os.path.join(places.TALLY_DIRECTORY, name), "rb") as file:
            tallies[name] = file.read()
    return tallies


def _groups_of(people: t.Iterable[pwd.struct_passwd]) -> dict[str, tuple[str, ...]]:
    primary: dict[int, str] = {}
    member_of: dict[str, list[str]] = {}
    for group in grp.getgrall():
        primary.setdefault(group.gr_gid, group.gr_name)
        for name in group.gr_mem:
            member_of.setdefault(name, []).append(group.gr_name)
    return {
        entry.pw_name: tuple(
            dict.fromkeys([*filter(None, [primary.get(entry.pw_gid)]), *member_of.get(entry.pw_name, ())])
        )
        for entry in people
    }


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _usable_passwords() -> frozenset[str]:
    """The accounts of shadow(5) whose password is neither empty nor locked."""
    file = read_file(places.SHADOW)
    entries = (line.split(":") for line in (file.content if file else "").splitlines())
    return frozenset(entry[0] for entry in entries if len(entry) > 1 and entry[1] and entry[1][0] not in "!*")


def _sudo_asks(run: Run, user: str) -> bool:
    """Whether sudo wants this account's password for whatever it runs as root; the last rule that matches decides."""
    code, out, _error = run(["sudo", "-n", "-l", "-U", user])
    rules = [line for line in out.splitlines() if line.startswith("    (") and line.endswith(" ALL")]
    return code == 0 and bool(rules) and "NOPASSWD:" not in rules[-1] and "!authenticate" not in out


def _has_key(entry: pwd.struct_passwd, sshd: sshd_config.Effective) -> bool:
    asks_elsewhere = any(
        sshd.first(keyword) not in ("", "none") for keyword in ("authorizedkeyscommand", "trustedusercakeys")
    )
    if asks_elsewhere and os.path.basename(entry.pw_shell) not in places.NO_LOGIN_SHELLS:
        return True
    tokens = {"%%": "%", "%h": entry.pw_dir, "%u": entry.pw_name, "%U": str(entry.pw_uid)}
    for pattern in sshd.get("authorizedkeysfile", ()):
        path = pattern
        for token, value in tokens.items():
            path = path.replace(token, value)
        if path != "none" and _has_key_line(os.path.join(entry.pw_dir, path)):
            return True
    return False


def _has_key_line(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return any(line.strip() and not line.lstrip().startswith(b"#") for line in file)
    except OSError:
        return False


def _sshd_views(
    settings: Settings,
    run: Run,
    people: t.Mapping[str, pwd.struct_passwd],
    groups: t.Mapping[str, tuple[str, ...]],
    texts: t.Mapping[str, str],
    connection: Connection | None,
) -> tuple[dict[str, sshd_config.Effective], str | None, sshd_config.Effective | None]:
    """sshd's view of every account, asked once for each class that its configuration can tell apart."""
    nothing = dict.fromkeys(people, sshd_config.Effective())
    if not os.path.exists(places.SSHD):
        return nothing, f"{places.SSHD} is not installed", None
    patterns = sshd_config.distinguishing(texts)
    # What is not seen here may be about root, and about the address that this run comes from.
    unseen = sshd_config.reads_elsewhere(texts)
    address = stranger(settings)
    by_class: dict[tuple[t.Any, ...], sshd_config.Effective] = {}
    views = {}
    try:
        for name in people:
            key = (unseen and name == "root", *sshd_config.account_class(patterns, name, groups[name]))
            if key not in by_class:
                by_class[key] = effective(run, name, address)
            views[name] = by_class[key]
        if connection is None:
            return views, None, None
        if connection.user in views and not (unseen or sshd_config.tells_addresses(texts)):
            return views, None, views[connection.user]
        return views, None, effective(run, connection.user, connection.address)
    except SshdError as error:
        return nothing, str(error), None


class _Process(t.NamedTuple):
    uid: int
    parent: int
    started: float
    ssh_client: str


def _process(pid: int) -> _Process | None:
    """What proc(5) tells of a process."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = dict(pair.partition(b"=")[::2] for pair in file.read().split(b"\0"))
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None
    return _Process(
        uid=uid,
        parent=int(fields[1]),
        started=int(fields[19]) / os.sysconf("SC_CLK_TCK"),
        ssh_client=environment.get(b"SSH_CONNECTION", b"").partition(b" ")[0].decode("ascii", "replace"),
    )


def _code_modules() -> dict[str, bytes]:
    found = {}
    for name, backend in backends.BACKENDS.items():
        for path in [
            path for place in places.PAM_MODULE_DIRECTORIES for path in glob.glob(f"{place}/{backend.MODULE}")
        ][:1]:
            with open(path, "rb") as file:
                found[name] = file.read()
    return found


def _os_release(backend: str) -> tuple[tuple[str, str], str]:
    """The ID and VERSION_ID of os-release(5), and the family by which the backend's packages are named."""
    file = read_file(places.OS_RELEASE)
    lines = (line.partition("=") for line in (file.content if file else "").splitlines())
    told = {name: value.strip("\"'") for name, _equals, value in lines}
    words = [_FAMILIES.get(word, word) for word in (told.get("ID", ""), *told.get("ID_LIKE", "").split())]
    family = next((family for family in backends.BACKENDS[backend].PACKAGES if family in words), "debian")
    return (told.get("ID", ""), told.get("VERSION_ID", "")), family


def _selinux_types() -> dict[str, str] | None:
    """The third part of a context is its type; selinux(8)."""
    enforce = read_file(places.SELINUX_ENFORCES)
    if enforce is None or enforce.content != "1":
        return None
    types = {}
    for path in WRITTEN_AT_LOGIN:
        with contextlib.suppress(FileNotFoundError):
            types[path] = os.getxattr(path, "security.selinux").decode("ascii").split(":")[2]
    return types
