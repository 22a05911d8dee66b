# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was seen of a host. Types only: who looks is `_host`, who decides is `_plan`."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .. import _places as places
from .._backends import backends
from .._texts import pam, sshd_config
from .._texts.code_step import CodeStep
from .._texts.pam_conf import ServiceFiles
from .._texts.sshd_config import Effective, Files, Origin
from .._texts.sshd_start import Start
from .time_service import SyncStatus

OWN_FILES = (
    places.SWITCH,
    *pam.HELPERS,
    *places.GATES,
    places.EXEMPT_ORIGINS,
    places.EXEMPT_ORIGINS + places.NEXT,
    places.DROP_IN,
    places.RECOVERY_COMMAND,
    places.TMPFILES,
    places.FOUND,
)
_MARKED = (places.SWITCH, *places.GATES, places.DROP_IN, places.RECOVERY_COMMAND, places.TMPFILES)
OWN_DIRECTORIES = {
    places.LIBEXEC: 0o755,
    places.RUN_DIRECTORY: 0o755,
    places.TALLY_DIRECTORY: 0o700,
    **dict.fromkeys(backends.DIRECTORIES, 0o700),
}

WRITTEN_AT_LOGIN = {**dict.fromkeys(backends.DIRECTORIES, "var_auth_t"), places.RUN_DIRECTORY: "faillog_t"}
"""What a login writes to, with the SELinux type by which the policy of Fedora and RHEL lets it."""


@dataclass(frozen=True)
class FileState:
    """A file as it is. What is no regular file has no content."""

    content: str = field(repr=False)
    """The bytes as UTF-8; what is not UTF-8 is carried by surrogate escapes."""
    mode: int
    uid: int = 0
    gid: int = 0
    link: str | None = None
    """Where the path leads, if it is a symbolic link."""
    names: int = field(default=1, compare=False)
    """How many names a regular file has: more than one where there are hard links to it."""
    kind: str = field(default="", compare=False)
    """What it is in place of a regular file, such as `directory`."""


class Hold(t.NamedTuple):
    """What keeps root from changing a file, or what is in a directory."""

    path: str
    attribute: str
    """The letter of the attribute that it has, chattr(1): i or a; empty where it is mounted read-only."""


@dataclass(frozen=True)
class Account:
    """An account of the host, by what it can log in with."""

    name: str
    uid: int
    groups: tuple[str, ...]
    has_password: bool
    """A password that is neither empty nor locked; or an empty one, where sshd takes that."""
    has_key: bool
    """A line in one of the authorized_keys files that sshd reads for it, or sshd asks somebody else for keys."""
    sshd: Effective = field(default_factory=Effective, repr=False)
    """What sshd makes of its configuration for this account, from an address that is not exempt."""
    sshd_elsewhere: tuple[Effective, ...] = field(default=(), repr=False)
    """The same from each address, and at each port, that the configuration names, where that is something else."""
    key_is_elsewhere: bool = False
    """Whether it has a key only in so far as sshd asks somebody else, who may have none of this account."""


class Login(t.NamedTuple):
    """A login that the host remembers."""

    name: str
    """The account, by the name that was typed where it comes from the log."""
    service: str
    """The PAM service: sshd, cockpit or login."""
    method: str
    """As sshd calls it, such as publickey or gssapi-with-mic; empty where it is not known."""
    day: str
    """Such as 2026-11-28, in UTC."""


class Connection(t.NamedTuple):
    """The ssh session that this run came in by."""

    user: str
    address: str
    since: float = 0.0
    """When it was made, in seconds since boot."""
    by: tuple[str, ...] = ()
    """The programs between the session and this run, by which the account became root: sudo, su, doas, machinectl."""
    asking_systemd: int = 0
    """The process of those by which it had systemd start this run, as machinectl and run0 do; 0 where none did."""


class Listener(t.NamedTuple):
    """An sshd that listens, or for which a socket of systemd does."""

    pid: int
    """0 where it is not there before somebody connects."""
    unit: str
    """The service of systemd that it belongs to, or the socket that starts it for each connection; or an empty text."""
    start: Start
    program: str = places.SSHD
    owner: str = ""
    """The account that it runs as, where that is not root."""
    has_own_files: bool = False
    """Whether the files that it goes by are others than the host's of the same names, as in a root directory of its
    own."""
    is_cut: bool = False
    """Whether nobody can tell what it was started with."""

    @property
    def is_apart(self) -> bool:
        """Whether the host's sshd cannot tell what this one asks: another program, account or root directory has it, or
        options that nobody knows."""
        return self.program != places.SSHD or bool(self.owner) or self.has_own_files or self.is_cut

    @property
    def is_own(self) -> bool:
        """Whether it is the host's own sshd, by the name of its unit."""
        return not self.is_apart and self.unit.rpartition(".")[0] in places.SSHD_UNITS

    @property
    def door(self) -> str:
        """What it is called as a way in: by what it has of its own, its configuration above all, or else its unit."""
        if self.owner:
            # Whoever it belongs to can write any name on its command line.
            return f"sshd:{self.owner}"
        if self.program != places.SSHD and (self.pid or "sshd" in self.program):
            return self.program
        config = self.start.config
        if config != places.SSHD_CONFIG and config.startswith("/") and not self.has_own_files:
            return config
        return f"sshd:{self.unit or self.pid}"

    @property
    def seen(self) -> str:
        """What shows that it is there, for a message."""
        of = f" of {self.owner}" if self.owner else ", with files of its own" if self.has_own_files else ""
        of = of or (", with options that nobody can tell" if self.is_cut else "")
        return f"process {self.pid}{of}" if self.pid else self.unit


class CockpitStart(t.NamedTuple):
    """How a unit of Cockpit's starts a program."""

    said_by: str
    """The file that says so last."""
    program: str
    words: tuple[str, ...]
    """What follows the program."""
    config_directories: str = ""
    """Where it looks for its configuration in place of /etc, XDG_CONFIG_DIRS; cockpit.conf(5)."""


class Sshd(t.NamedTuple):
    """One way in which sshd is started, and what it makes of its configuration then."""

    start: Start
    settings: t.Mapping[str, Effective]
    """By account, from an address that is not exempt."""
    error: str | None = None
    """Why it could not tell its settings, if it could not."""
    elsewhere: t.Mapping[Origin, t.Mapping[str, Effective]] = {}
    """The same by each other address, and by each port, that its configuration names."""

    @property
    def views(self) -> dict[Origin, t.Mapping[str, Effective]]:
        """The same from wherever somebody may come."""
        return {Origin(): self.settings, **self.elsewhere}

    @property
    def any_account(self) -> Effective:
        """What it makes of its configuration for some account, root if there is one."""
        return self.settings.get("root") or next(iter(self.settings.values()), Effective())


@dataclass(frozen=True)
class HostState:
    """Everything that a plan depends on."""

    hostname: str
    files: t.Mapping[str, FileState]
    """The files that a change may concern, by path. A path that is not here does not exist."""
    accounts: t.Mapping[str, Account]
    credentials: t.Mapping[str, FileState]
    """The credential files of the backend, by user."""
    groups: frozenset[str]
    """Those of the settings' groups, but for exempt ones, that exist."""
    time_sync: SyncStatus | None
    """None where nobody asked for the time."""
    groups_known_as: t.Mapping[str, str] = field(default_factory=dict)
    """By what other name the host knows the number of a group of the settings, if it does."""
    stranger: str = "UNKNOWN"
    """The address, one that is not exempt, for which sshd was asked what it makes of its configuration."""
    sshd_error: str | None = None
    """Why sshd could not tell its settings, if it could not."""
    sshd_elsewhere: t.Mapping[Origin, t.Mapping[str, Effective]] = field(default_factory=dict, repr=False)
    """What it makes of its configuration for each account, by each other address and port that this names."""
    sshd_included: tuple[str, ...] = ()
    """The files that a configuration of sshd includes from outside of the drop-in directory."""
    services_included: tuple[str, ...] = ()
    """The files that PAM services include by their whole paths, which lead out of their directory."""
    sshd_variables: tuple[str, ...] = ()
    """The files of variables that the units of sshd name, whether they are there or not; patterns of glob(7)."""
    sshd_start: Start = field(default=Start())
    """How the host's own sshd runs, or if it does not, how it would be started."""
    other_sshds: tuple[Sshd, ...] = ()
    """Other ways in which it will be started."""
    listeners: tuple[Listener, ...] = ()
    """Each sshd that listens, the host's own ones first."""
    daemons: t.Mapping[str, str] = field(default_factory=dict)
    """The other programs that let people in, by name, with what shows that they are there."""
    connection: Connection | None = None
    connection_sshd: Effective | None = None
    """What sshd makes of its configuration for the connection's account from the connection's address."""
    become_asks: frozenset[str] = frozenset()
    """The PAM services of sudo, doas and polkit that want a password before the connection's account becomes root. Only
    those are tried that are to ask for codes and do not yet."""
    sudo_rules: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    """The texts of the files with the rules of sudo, by path; none where sudo is not to ask for codes."""
    backend: str = "oath"
    """The backend that has the credentials: the one that is asked, or while none is, the one that has any."""
    others: t.Mapping[str, t.Mapping[str, FileState]] = field(default_factory=dict)
    """The credential files of the other backends, by backend and user."""
    code_modules: t.Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """The PAM modules that are installed, by backend."""
    module_directories: tuple[str, ...] = ()
    """Where PAM modules are, by their real paths."""
    has_qrencode: bool = True
    """Whether the program is installed that draws QR codes for people's own page."""
    keytabs: t.Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Whose keys of Kerberos Cockpit finds, by the keytab; empty where it is not to ask for codes."""
    cockpit_starts: tuple[CockpitStart, ...] = ()
    """How Cockpit is started; empty where it is not to ask for codes."""
    logins: t.Mapping[tuple[str, str], tuple[Login, ...]] = field(default_factory=dict)
    """The last login of each account to each service by each method, as far as anybody has looked; the latest first."""
    logins_unread: str = ""
    """Why not all of them are known, where somebody has looked."""
    container: str = ""
    """In which kind of container the host is, such as docker; empty where it is none."""
    release: tuple[str, str] = ("", "")
    """ID and VERSION_ID of os-release(5)."""
    has_systemd: bool = True
    """Whether systemd runs, and with it timers."""
    pending: bool = False
    """Whether a change waits to be confirmed, or died half-way."""
    missing: frozenset[str] = frozenset()
    """Those of the shared directories that do not exist."""
    inside: t.Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """All that is in the directories that may go once they are empty, by directory: names, hidden ones too."""
    holds: tuple[Hold, ...] = ()
    """What keeps logins from writing to the credentials of the backend; nobody has looked where it is to be off."""
    stale_locks: tuple[str, ...] = ()
    """Files that a login left behind and that deny its user every code."""
    tallies: t.Mapping[str, bytes] = field(default_factory=dict)
    """The tallies of wrong codes, by user."""
    authorized_keys: t.Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    """The security keys that an account can log in with, by the account, where some are declared of it and sshd has
    keys from files alone. Each is its type and itself."""
    now: float = 0.0
    """When this was seen, in seconds since the epoch."""
    os_family: str = "debian"
    """Which names its packages have: a key of the backend's packages, by ID and ID_LIKE of os-release(5)."""

    selinux_types: t.Mapping[str, str] | None = None
    """The SELinux types of those of `WRITTEN_AT_LOGIN` that exist; None where SELinux is not enforced."""

    @property
    def strangers(self) -> frozenset[str]:
        """Files of somebody else in place of files of ours, on a host where nothing else tells of us."""
        files = ((path, self.files.get(path)) for path in _MARKED)
        found = frozenset(
            path for path, file in files if file and not file.kind and not file.link and places.MARK not in file.content
        )
        return frozenset() if not found or places.LIBEXEC in self.files or self.protected_files else found

    @property
    def code_step(self) -> CodeStep:
        """What the code step says."""
        return CodeStep.parse(None if places.SWITCH in self.strangers else self.text(places.SWITCH))

    @property
    def service_files(self) -> ServiceFiles:
        """The files of PAM services, as libpam finds them."""
        own, vendor = (
            {
                path.rpartition("/")[2]: file.content
                for path, file in self.files.items()
                if path.rpartition("/")[0] == directory and not file.kind
            }
            for directory in (places.PAM_D, places.VENDOR_PAM_D)
        )
        named = {**vendor, **own}
        elsewhere = {path: self.files[path].content for path in self.services_included if path in self.files}
        return ServiceFiles({**named, **elsewhere}, vendor, frozenset(vendor.keys() - own.keys()))

    @property
    def sshds(self) -> tuple[Sshd, ...]:
        """The ways in which sshd is started; the accounts have the settings of the first."""
        settings = {name: account.sshd for name, account in self.accounts.items()}
        return (Sshd(self.sshd_start, settings, self.sshd_error, self.sshd_elsewhere), *self.other_sshds)

    def sshd_files(self, start: Start | None = None, drop_in: str | None = None) -> Files:
        """What an sshd reads that is started so; `drop_in` is our file, where that is another one than there is now."""
        start = start or self.sshd_start
        texts = self.texts(f"{places.DROP_IN_DIRECTORY}/")
        texts.update({path: self.text(path) or "" for path in (*self.sshd_included, start.config)})
        if drop_in is not None:
            texts[places.DROP_IN] = drop_in
        return Files(texts, start.config, start.lines)

    @property
    def further_readers(self) -> tuple[Listener, ...]:
        """The further sshds that listen and read our drop-in."""
        return tuple(
            one
            for one in self.listeners
            if one.pid and not (one.is_own or one.is_apart) and sshd_config.read_order(self.sshd_files(one.start))
        )

    @property
    def asks_for_code(self) -> bool:
        """Whether the code step asks anybody for a code."""
        return backends.asking(self.code_step) is not None

    @property
    def protected_files(self) -> tuple[str, ...]:
        """The files in the directory of PAM services that have our block, copies that nobody reads among them."""
        prefix = places.PAM_D + "/"
        return tuple(
            sorted(
                path[len(prefix) :]
                for path, file in self.files.items()
                if path.startswith(prefix) and not file.link and pam.is_protected(file.content)
            )
        )

    @property
    def protected_services(self) -> tuple[str, ...]:
        """The services whose file has our block."""
        return tuple(name for name in self.protected_files if not pam.is_copy(name))

    def asks_at(self, service: str) -> bool:
        """Whether this service sends people to a code step that asks."""
        return self.asks_for_code and service in self.protected_services

    def text(self, path: str) -> str | None:
        """The content of a file, or None where there is none."""
        file = self.files.get(path)
        return None if file is None else file.content

    def texts(self, prefix: str) -> dict[str, str]:
        """The texts of the files whose paths begin like this."""
        return {path: file.content for path, file in self.files.items() if path.startswith(prefix)}
