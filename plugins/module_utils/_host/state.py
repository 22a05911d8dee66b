# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a look at a host found. Types only: `_host` looks, `_plan` decides."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .. import _places as places
from .._backends import backends
from .._texts import pam, pam_modules, sshd_config
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
    places.ORIGINAL_STATE,
)
_MARKED = (places.SWITCH, *places.GATES, places.DROP_IN, places.RECOVERY_COMMAND, places.TMPFILES)
OWN_DIRECTORIES = {
    places.LIBEXEC: 0o755,
    places.RUN_DIRECTORY: 0o755,
    places.TALLY_DIRECTORY: 0o700,
    **dict.fromkeys(backends.DIRECTORIES, 0o700),
}

WRITTEN_AT_LOGIN = {**dict.fromkeys(backends.DIRECTORIES, "var_auth_t"), places.RUN_DIRECTORY: "faillog_t"}
"""The directories that a login writes to, with the SELinux type that allows it in the policy of Fedora and RHEL."""


@dataclass(frozen=True)
class FileState:
    """A file as it is. Anything but a regular file has an empty content."""

    content: str = field(repr=False)
    """The bytes decoded as UTF-8; bytes that are not UTF-8 are kept as surrogate escapes."""
    mode: int
    uid: int = 0
    gid: int = 0
    link: str | None = None
    """The target of the path, if it is a symbolic link."""
    names: int = field(default=1, compare=False)
    """How many names a regular file has; more than one if it has hard links."""
    kind: str = field(default="", compare=False)
    """Its type if it is not a regular file, such as `directory`; empty for a regular file."""


MOUNTED = "mount"


class Hold(t.NamedTuple):
    """What keeps root from changing a file, or the content of a directory."""

    path: str
    attribute: str
    """The letter of its attribute, chattr(1): i or a; empty if the path is on a file system mounted read-only.

    `MOUNTED` if something is mounted at the path of a file, which can then not be replaced.
    """


@dataclass(frozen=True)
class Account:
    """An account of the host, and what it can log in with."""

    name: str
    uid: int
    groups: tuple[str, ...]
    has_password: bool
    """Whether it has a password that is neither empty nor locked, or an empty one where sshd accepts that."""
    has_key: bool
    """Whether one of the authorized_keys files that sshd reads for it has a key, or sshd gets keys from elsewhere."""
    sshd: Effective = field(default_factory=Effective, repr=False)
    """The settings that sshd has for this account, from an address that is not exempt."""
    sshd_elsewhere: tuple[Effective, ...] = field(default=(), repr=False)
    """Its settings from each address, and at each port, that the configuration names, where they differ from `sshd`."""
    key_is_elsewhere: bool = False
    """Whether sshd gets its keys only from elsewhere, such as a command, which may have none for this account."""
    password_is_empty: bool = False
    """Whether it has an empty password, which services other than sshd usually accept."""
    is_expired: bool = False
    """Whether its time is over, shadow(5), so that it cannot log in: it is taken to have no password and no key."""


class Login(t.NamedTuple):
    """A login that the host remembers."""

    name: str
    """The account; in a login from the log, the name that was typed."""
    service: str
    """The PAM service: sshd, cockpit or login."""
    method: str
    """The method by sshd's name for it, such as publickey or gssapi-with-mic; empty if it is not known."""
    day: str
    """The day in UTC, such as 2026-11-28."""


class Connection(t.NamedTuple):
    """The ssh session that this run came through."""

    user: str
    address: str
    since: float = 0.0
    """When the session began, in seconds since boot."""
    programs: tuple[str, ...] = ()
    """The programs between the session and this run. With one of them (sudo, su, doas, machinectl) it became root."""
    asking_systemd: int = 0
    """The process ID of the program that had systemd start this run, such as machinectl or run0; 0 if none did."""


class Listener(t.NamedTuple):
    """An sshd that listens, or that a systemd socket listens for, or that starts at boot."""

    pid: int
    """Its process ID; 0 if it does not run yet."""
    unit: str
    """The systemd unit it belongs to, or the socket that starts it for each connection; empty if there is none."""
    start: Start
    program: str = places.SSHD
    owner: str = ""
    """The account that it runs as; empty for root."""
    has_own_files: bool = False
    """Whether its configuration files differ from the host's files of the same names, as in its own root directory."""
    is_cut: bool = False
    """Whether its command line is cut off, so that the options it was started with are unknown."""

    @property
    def is_separate(self) -> bool:
        """Whether the host's sshd cannot report the settings of this one.

        That is so if it is another program, runs as another account or in another root directory, or if its options
        are unknown.
        """
        return self.program != places.SSHD or bool(self.owner) or self.has_own_files or self.is_cut

    @property
    def is_own(self) -> bool:
        """Whether it is the host's own sshd, by the name of its unit."""
        return not self.is_separate and self.unit.rpartition(".")[0] in places.SSHD_UNITS

    @property
    def door(self) -> str:
        """Its name as a door: what sets it apart, above all its configuration file, or else its unit."""
        if self.owner:
            # Its owner can write any path on its command line.
            return f"sshd:{self.owner}"
        if self.program != places.SSHD and (self.pid or "sshd" in self.program):
            return self.program
        config = self.start.config
        if config != places.SSHD_CONFIG and config.startswith("/") and not self.has_own_files:
            return config
        return f"sshd:{self.unit or self.pid}"

    @property
    def seen(self) -> str:
        """The process or unit that shows that it exists, for a message."""
        of = f" of {self.owner}" if self.owner else ", with files of its own" if self.has_own_files else ""
        of = of or (", with unknown options" if self.is_cut else "")
        return f"process {self.pid}{of}" if self.pid else self.unit


class CockpitStart(t.NamedTuple):
    """How one of Cockpit's units starts a program."""

    source: str
    """The last file that says so, or else the name of the unit."""
    program: str
    words: tuple[str, ...]
    """The arguments of the program."""
    config_directories: str = ""
    """Where it looks for its configuration instead of /etc: its variable XDG_CONFIG_DIRS; cockpit.conf(5)."""
    outdated: str = ""
    """The name of the unit if its files have changed since systemd read them."""
    hiding: str = ""
    """The name of the unit if it sees other files in /etc/pam.d or /etc/cockpit than the host has."""


class Sshd(t.NamedTuple):
    """One way in which sshd is started, and the settings that it then has."""

    start: Start
    settings: t.Mapping[str, Effective]
    """By account, from an address that is not exempt."""
    error: str | None = None
    """Why it could not report its settings, if it could not."""
    elsewhere: t.Mapping[Origin, t.Mapping[str, Effective]] = {}
    """The settings by account, for each other address and each port that its configuration names."""

    @property
    def views(self) -> dict[Origin, t.Mapping[str, Effective]]:
        """The settings by account, for each origin of a login that may make a difference."""
        return {Origin(): self.settings, **self.elsewhere}

    @property
    def any_account(self) -> Effective:
        """The settings for some account: root, if there are settings for root."""
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
    """The groups in the settings that exist, without exempt ones."""
    time_sync: SyncStatus | None
    """None if the clock was not checked."""
    groups_known_as: t.Mapping[str, str] = field(default_factory=dict)
    """The name that the host has for the GID of a group in the settings, where that is another name."""
    sample_address: str = "UNKNOWN"
    """The address that sshd was asked about; it is not exempt."""
    sshd_error: str | None = None
    """Why sshd could not report its settings, if it could not."""
    sshd_elsewhere: t.Mapping[Origin, t.Mapping[str, Effective]] = field(default_factory=dict, repr=False)
    """The settings of sshd by account, for each other address and each port that its configuration names."""
    sshd_included: tuple[str, ...] = ()
    """The files outside the drop-in directory that a configuration of sshd includes."""
    services_included: tuple[str, ...] = ()
    """The files outside the directory of PAM services that services include by an absolute path."""
    sshd_variables: tuple[str, ...] = ()
    """The environment files that the units of sshd name, whether they exist or not; patterns of glob(7)."""
    unread_by_sshd: tuple[str, ...] = ()
    """The files that have changed since the host's own sshd has read its configuration, and directories of it."""
    stopped_units: frozenset[str] = frozenset()
    """The units of ours that should be waiting, such as the guard's, but have failed or been stopped."""
    systemd_error: str = ""
    """What systemctl printed if systemd did not answer, so that it is not known what it would start."""
    outdated_units: tuple[str, ...] = ()
    """The units of sshd whose files have changed since systemd read them."""
    sshd_start: Start = field(default=Start())
    """How the host's own sshd runs, or if it does not run, how it would be started."""
    other_sshds: tuple[Sshd, ...] = ()
    """Other ways in which sshd is or will be started."""
    listeners: tuple[Listener, ...] = ()
    """Each sshd that listens, the host's own ones first, and then those that do not run yet."""
    daemons: t.Mapping[str, str] = field(default_factory=dict)
    """The other programs that let people log in, by name, with what shows that they exist."""
    connection: Connection | None = None
    connection_sshd: Effective | None = None
    """The settings that sshd has for the connection's account from the connection's address."""
    become_asks: frozenset[str] = frozenset()
    """The PAM services of sudo, doas and polkit that want a password before the connection's account becomes root. Only
    services that should ask for codes and do not yet are tried."""
    sudo_rules: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    """The texts of the files with the rules of sudo, by path; empty where sudo should not ask for codes."""
    backend: str = "oath"
    """The backend whose credentials are in use: the one that the code step asks, or else one that has any."""
    other_credentials: t.Mapping[str, t.Mapping[str, FileState]] = field(default_factory=dict)
    """The credential files of the other backends, by backend and user."""
    code_modules: t.Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """The PAM modules that are installed, by backend."""
    pam_modules: frozenset[str] | None = field(default=None, repr=False)
    """The file names of all PAM modules that are installed; None if they are not known."""
    module_directories: tuple[str, ...] = ()
    """The directories of PAM modules, as real paths."""
    has_qrencode: bool = True
    """Whether qrencode, which draws QR codes for the self-service page, is installed."""
    keytabs: t.Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The principals whose Kerberos keys Cockpit finds, by keytab; empty where Cockpit should not ask for codes."""
    cockpit_starts: tuple[CockpitStart, ...] = ()
    """How Cockpit is started; empty where Cockpit should not ask for codes."""
    unread_by_cockpit: bool = False
    """Whether Cockpit, which should ask for codes, runs with a configuration that has changed since."""
    logins: t.Mapping[tuple[str, str], tuple[Login, ...]] = field(default_factory=dict)
    """The last login by each method, by account and service, the latest first; empty unless `look_back` has looked."""
    logins_unread: str = ""
    """Why `look_back` does not know all of them; empty if it does, or has not looked."""
    container: str = ""
    """The kind of container that the host is in, such as docker; empty if it is in none."""
    release: tuple[str, str] = ("", "")
    """ID and VERSION_ID of os-release(5)."""
    has_systemd: bool = True
    """Whether systemd runs, so that there are timers."""
    pending: bool = False
    """Whether a change waits to be confirmed, or was cut short."""
    missing: frozenset[str] = frozenset()
    """The shared directories that do not exist."""
    fixed_directories: frozenset[str] = frozenset()
    """The directories of credentials that cannot be renamed: something is mounted there, or they are links."""
    inside: t.Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """All names, hidden ones too, in each directory that may be removed once it is empty."""
    holds: tuple[Hold, ...] = ()
    """What keeps logins from writing to the credentials of the backend; empty if two-factor login should be off."""
    stale_locks: tuple[str, ...] = ()
    """Lock files that interrupted logins have left behind. As long as one exists, all codes of its user are denied."""
    tallies: t.Mapping[str, bytes] = field(default_factory=dict)
    """The tallies of wrong codes, by user."""
    authorized_keys: t.Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    """The security keys that an account can log in with, by account. Only accounts with declared keys for which sshd
    reads keys from files alone are here. Each key is its type and its base64 text."""
    now: float = 0.0
    """When this was seen, in seconds since the epoch."""
    os_family: str = "debian"
    """The family that decides the names of packages, from ID and ID_LIKE of os-release(5); a key of `PACKAGES`."""

    read_only_to_polkit: tuple[str, ...] = ()
    """The directories to which polkit may not write while it checks a code; empty if it should ask for none."""
    selinux_types: t.Mapping[str, str] | None = None
    """The SELinux types of the directories in `WRITTEN_AT_LOGIN` that exist; None where SELinux is not enforced."""

    @property
    def foreign_files(self) -> frozenset[str]:
        """Files of somebody else at the paths of our files, on a host where nothing else shows that we were there."""
        files = ((path, self.files.get(path)) for path in _MARKED)
        found = frozenset(
            path for path, file in files if file and not file.kind and not file.link and places.MARK not in file.content
        )
        return frozenset() if not found or places.LIBEXEC in self.files or self.protected_files else found

    @property
    def code_step(self) -> CodeStep:
        """The code step, parsed."""
        return CodeStep.parse(self.own_text(places.SWITCH))

    def own_text(self, path: str) -> str | None:
        """The content of a file of ours; None if there is none, or if somebody else's is in its place."""
        return None if path in self.foreign_files else self.text(path)

    def credentials_of(self, backend: str) -> t.Mapping[str, FileState]:
        """The credential files of a backend, by account."""
        return self.credentials if backend == self.backend else self.other_credentials.get(backend, {})

    @property
    def ansible_user(self) -> str | None:
        """The account that Ansible connects as; None if that is not known."""
        return self.connection.user if self.connection else None

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

    def missing_modules(self, text: str) -> list[str]:
        """The PAM modules that a text names and the host does not have; none if it is not known what it has."""
        return [] if self.pam_modules is None else sorted(pam_modules.named_in(text) - self.pam_modules)

    @property
    def root(self) -> Account:
        """The account root, which may have another name; one that cannot log in if there is none."""
        found = [one for one in self.accounts.values() if not one.uid]
        return next(
            (one for one in found if one.name == "root"), next(iter(found), Account("root", 0, (), False, False))
        )

    @property
    def sshds(self) -> tuple[Sshd, ...]:
        """The ways in which sshd is started; the settings in `accounts` are those of the first."""
        settings = {name: account.sshd for name, account in self.accounts.items()}
        return (Sshd(self.sshd_start, settings, self.sshd_error, self.sshd_elsewhere), *self.other_sshds)

    def sshd_files(self, start: Start | None = None, drop_in: str | None = None) -> Files:
        """The files that an sshd started this way reads. `drop_in` is the text of our drop-in, if it will change."""
        start = start or self.sshd_start
        texts = self.texts(f"{places.DROP_IN_DIRECTORY}/")
        texts.update({path: self.text(path) or "" for path in (*self.sshd_included, start.config)})
        if drop_in is not None:
            texts[places.DROP_IN] = drop_in
        return Files(texts, start.config, start.lines)

    @property
    def drop_in_readers(self) -> tuple[Listener, ...]:
        """The sshds that listen and read our drop-in; the unit of the host's own may have started several."""
        return tuple(
            one
            for one in self.listeners
            if one.pid and not one.is_separate and sshd_config.read_order(self.sshd_files(one.start))
        )

    @property
    def asks_for_code(self) -> bool:
        """Whether the code step asks anybody for a code."""
        return backends.asking(self.code_step) is not None

    @property
    def protected_files(self) -> tuple[str, ...]:
        """The files in the directory of PAM services that have our block, including copies that nobody reads."""
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
        """Whether this service calls the code step, and the code step asks for codes."""
        return self.asks_for_code and service in self.protected_services

    def text(self, path: str) -> str | None:
        """The content of a file; None if it does not exist."""
        file = self.files.get(path)
        return None if file is None else file.content

    def texts(self, prefix: str) -> dict[str, str]:
        """The texts of the files whose paths begin like this."""
        return {path: file.content for path, file in self.files.items() if path.startswith(prefix)}
