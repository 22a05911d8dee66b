# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where things are on a managed host: each path, unit and name that is ours or that we touch, once.

The directories of credentials are not here: each backend says where its own are. What a host gets as it stands, from
`roles/twofactor/files`, names these places literally; a test holds both together.
"""

from __future__ import annotations

# PAM

PAM_D = "/etc/pam.d"
VENDOR_PAM_D = "/usr/lib/pam.d"
"""Where libpam looks for a service that the other directory does not have."""
SWITCH = f"{PAM_D}/twofactor"
"""The code step, which decides for every service at once whether codes are asked for."""
JUDGE = f"{PAM_D}/twofactor-judge"
NOTE = f"{PAM_D}/twofactor-note"
CODE_SERVICE = f"{PAM_D}/twofactor-code"
"""The PAM service by which the self-service helper asks whether a code is right, and for nothing else."""
PRIMARY_STACKS = ("common-auth", "password-auth", "system-auth")
"""The files of PAM that services include for their primary authentication."""
GATES = tuple(f"{PAM_D}/twofactor-{stack}" for stack in PRIMARY_STACKS)
"""Files of release 1.0, through which a service took its first factor."""
COCKPIT_SERVICE = f"{PAM_D}/cockpit"
EXEMPT_ORIGINS = "/etc/security/twofactor-access.conf"
KEYS_DIRECTORY = "/etc/security/twofactor-keys"
"""The security keys that are declared, a list an account. sshd looks at nothing there; a helper of PAM's does."""
ONLY_KEYS_DIRECTORY = "/etc/security/twofactor-only-keys"
"""The same of accounts that log in with these keys alone: sshd reads them in place of their authorized_keys."""
NEXT = ".next"
"""What is added to the name of a list that a switch goes by until the old one is replaced."""
PAM_MODULE_DIRECTORIES = (
    "/lib/*/security",
    "/lib/security",
    "/lib64/security",
    "/usr/lib/*/security",
    "/usr/lib64/security",
)

# sshd

SSHD = "/usr/sbin/sshd"
SSHD_UNITS = ("ssh", "sshd")
"""The names that its unit has, here or there."""
SSHD_PID_FILE = "/run/sshd.pid"
SSHD_DIRECTORY = "/etc/ssh"
SSHD_CONFIG = f"{SSHD_DIRECTORY}/sshd_config"
DROP_IN_DIRECTORY = f"{SSHD_CONFIG}.d"
DROP_IN = f"{DROP_IN_DIRECTORY}/00-twofactor.conf"
SSHD_SERVICE_OPTIONS = {"/etc/default/ssh": "SSHD_OPTS", "/etc/sysconfig/sshd": "OPTIONS"}
"""Where its unit finds further options, and in which variable."""
SSHD_STARTS = (
    *SSHD_SERVICE_OPTIONS,
    *(
        f"{directory}/systemd/system/ssh[d.@]*service{inside}"
        for directory in ("/etc", "/run", "/usr/lib")
        for inside in ("", ".d/*.conf")
    ),
)
"""What says how its units start it; patterns of glob(7)."""

# What else a host has, and we read

ACCOUNT_DEFAULTS = "/etc/login.defs"
COCKPIT_DIRECTORY = "/etc/cockpit"
COCKPIT_CONFIG = f"{COCKPIT_DIRECTORY}/cockpit.conf"
COCKPIT_DISALLOWED = f"{COCKPIT_DIRECTORY}/disallowed-users"
COCKPIT_UNITS = "cockpit-wsinstance-*.service"
"""The units of systemd that have read Cockpit's configuration; they start again by themselves."""
KRB5_CONFIG = "/etc/krb5.conf"
KEYTABS = (f"{COCKPIT_DIRECTORY}/krb5.keytab", "/etc/krb5.keytab")
"""Where Cockpit finds the keys of Kerberos, its own first."""
NO_LOGIN_SHELLS = ("nologin", "false", "sync", "shutdown", "halt")
"""The file names of shells with which nobody logs in."""
OS_RELEASE = "/etc/os-release"
QRENCODE = "/usr/bin/qrencode"
"""The program that draws QR codes; the package that has it is called `qrencode` everywhere."""
QRENCODE_PACKAGE = "qrencode"
SELINUX_ENFORCES = "/sys/fs/selinux/enforce"
CONTAINER = "/run/systemd/container"
"""What says in which kind of container systemd runs, where it runs in one."""
SHADOW = "/etc/shadow"
SUDO_CONFIG = "/etc/sudo.conf"
SUDOERS = "/etc/sudoers"
SHELLS = "/etc/shells"
SYSTEMD = "/run/systemd/system"
"""The directory that is there where systemd runs; sd_booted(3)."""

# What PAM and boots need of us

SHELL = "/bin/sh"
RECOVERY_COMMAND = "/usr/local/sbin/twofactor-recover"
MARK = "Managed by fleet.auth"
"""What each file of ours says of itself that stands where somebody else might have one of that name."""
LIBEXEC = "/usr/libexec/fleet-auth"
KEY_ACCEPTED = f"{LIBEXEC}/ssh-key-accepted"
KEY_DECLARED = f"{LIBEXEC}/ssh-key-declared"
FIRST_FACTOR_FAILED = f"{LIBEXEC}/first-factor-failed"
FOUND = f"{LIBEXEC}/found"
"""What has to be given back when two-factor login is turned off, and no other file tells; most hosts have none."""
PASSWORD_METHOD = f"{LIBEXEC}/ssh-password-method"
RUN_DIRECTORY = "/run/fleet-auth"
TALLY_DIRECTORY = f"{RUN_DIRECTORY}/faillock"
TMPFILES = "/etc/tmpfiles.d/fleet-auth.conf"
UNIT_DIRECTORY = "/etc/systemd/system"
UNIT_LINKS = tuple(f"{UNIT_DIRECTORY}/*.{kind}" for kind in ("wants", "requires", "upholds"))
"""Where the units are that an administrator has enabled, as links; patterns of glob(7), systemd.unit(5)."""
UNIT_DIRECTORIES = (
    UNIT_DIRECTORY,
    *("/run/systemd/system", "/run/systemd/transient"),
    *("/run/systemd/generator", "/run/systemd/generator.early", "/run/systemd/generator.late"),
    *(f"{where}/systemd/system.{kind}" for where in ("/etc", "/run") for kind in ("attached", "control")),
    *("/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"),
)
"""Where systemd finds units; systemd.unit(5)."""

# A change under way

STATE_DIRECTORY = "/var/lib/fleet-auth"
JOURNAL = f"{STATE_DIRECTORY}/undo"
"""The steps of a change under way. While it is there, the host is going to be put back."""
UNDO = f"{STATE_DIRECTORY}/undo.sh"
"""The script that puts the host back by the journal."""
LOCK = "/run/fleet-auth.lock"
CREDENTIAL_LOCK_TEXT = "fleet.auth"
"""The line in the lock of a credential that a change has taken; nobody's, once the change has come to its end."""
STALE_LOCK_SECONDS = 60.0
"""From this age on, the lock of a credential was left behind: a login holds it for milliseconds."""
UNDO_TIMER = "fleet-auth-undo"
BOOT_UNIT = f"{UNIT_DIRECTORY}/fleet-auth-undo-at-boot.service"
BOOT_LINK = f"{UNIT_DIRECTORY}/multi-user.target.wants/fleet-auth-undo-at-boot.service"
STAGED = ".*.fleet-auth-*"
"""The names of files that a change under way has laid ready, or kept."""

# The guard, which looks between runs whether all is as a run has left it

GUARD_PROGRAM = f"{LIBEXEC}/guard"
GUARD_CONFIG = f"{LIBEXEC}/guard.conf"
GUARD_DIRECTORY = "/var/lib/fleet-auth-guard"
GUARD_ALERTS = f"{GUARD_DIRECTORY}/alerts"
"""What it has seen since the last run."""
GUARD_UNIT = "fleet-auth-guard.path"
GUARD_PATH_UNIT = f"{UNIT_DIRECTORY}/{GUARD_UNIT}"
GUARD_SERVICE_UNIT = f"{UNIT_DIRECTORY}/fleet-auth-guard.service"
GUARD_LINK = f"{UNIT_DIRECTORY}/paths.target.wants/{GUARD_UNIT}"
"""What is there where systemd starts it at each boot."""
GUARD_WATCHED = (PAM_D, SSHD_DIRECTORY, DROP_IN_DIRECTORY, LIBEXEC)
"""Where it looks for changes on every host."""
GUARD_WATCHED_UNITS = (
    UNIT_DIRECTORY,
    "/run/systemd/system",
    *(f"{UNIT_DIRECTORY}/{name}.service.d" for name in SSHD_UNITS),
    *SSHD_SERVICE_OPTIONS,
)
"""The same of what starts sshd, where that is to ask for codes; some of it is not there before somebody makes it."""

# Passes

PASSES_SCRIPT = "/usr/libexec/fleet-auth-end-passes"
PASSES_TIMER = "fleet-auth-passes.timer"
PASSES_TIMER_UNIT = f"{UNIT_DIRECTORY}/{PASSES_TIMER}"
PASSES_STAMP = f"/var/lib/systemd/timers/stamp-{PASSES_TIMER}"
"""What systemd keeps of the timer; systemd.timer(5), Persistent."""
PASSES_SERVICE_UNIT = f"{UNIT_DIRECTORY}/fleet-auth-passes.service"

# Self-service: people's own page in Cockpit, their command, and the helper behind both

SELF_SERVICE_PROGRAM = f"{LIBEXEC}/self-service"
SELF_SERVICE_CONFIG = f"{LIBEXEC}/self-service.json"
SELF_SERVICE_PACKAGE = "fleet_auth"
SELF_SERVICE_LIBRARY = f"{LIBEXEC}/{SELF_SERVICE_PACKAGE}"
SELF_SERVICE_SOCKET = f"{RUN_DIRECTORY}/self-service.sock"
SELF_SERVICE_UNIT = "fleet-auth-self-service.socket"
SELF_SERVICE_SOCKET_UNIT = f"{UNIT_DIRECTORY}/{SELF_SERVICE_UNIT}"
SELF_SERVICE_SERVICE_UNIT = f"{UNIT_DIRECTORY}/fleet-auth-self-service.service"
SELF_SERVICE_LISTENING = (SELF_SERVICE_SOCKET, f"{UNIT_DIRECTORY}/sockets.target.wants/{SELF_SERVICE_UNIT}")
"""What is there where systemd listens now, and at each boot."""
PAGE_DIRECTORY = "/usr/share/cockpit/fleet-auth"
ENROL_COMMAND = "/usr/local/bin/twofactor-enrol"
OFFER = "/etc/profile.d/fleet-auth-twofactor.sh"
"""What shells read that people log in to, and by which they are told of that command."""
INVITATIONS = "/var/lib/fleet-auth-invitations"
"""The invitation of each account that has one, in a file of its name."""

# What a host gets as it stands, from the controller

FOR_LOGINS = {
    RECOVERY_COMMAND: 0o755,
    TMPFILES: 0o644,
    KEY_ACCEPTED: 0o755,
    KEY_DECLARED: 0o755,
    PASSWORD_METHOD: 0o755,
    FIRST_FACTOR_FAILED: 0o755,
    JUDGE: 0o644,
    NOTE: 0o644,
}
"""What is needed wherever two-factor login is on, with modes; all but the first two where they are called."""
FOR_GUARD = {GUARD_PROGRAM: 0o755, GUARD_SERVICE_UNIT: 0o644, GUARD_PATH_UNIT: 0o644}
FOR_A_CHANGE = {UNDO: 0o700, BOOT_UNIT: 0o644}
FOR_PASSES = {PASSES_SCRIPT: 0o755, PASSES_SERVICE_UNIT: 0o644, PASSES_TIMER_UNIT: 0o644}
FOR_SELF_SERVICE = {
    SELF_SERVICE_PROGRAM: 0o644,
    CODE_SERVICE: 0o644,
    ENROL_COMMAND: 0o755,
    OFFER: 0o644,
    SELF_SERVICE_SERVICE_UNIT: 0o644,
    SELF_SERVICE_SOCKET_UNIT: 0o644,
}
"""What is needed for people's own page and command, with modes, beside all that is in these directories."""
AS_THEY_STAND = frozenset().union(FOR_LOGINS, FOR_GUARD, FOR_A_CHANGE, FOR_PASSES, FOR_SELF_SERVICE)
"""The files that are the same on each host."""
SELF_SERVICE_DIRECTORIES = (SELF_SERVICE_LIBRARY, PAGE_DIRECTORY)

SHARED_DIRECTORIES = (
    DROP_IN_DIRECTORY,
    COCKPIT_DIRECTORY,
    "/etc/profile.d",
    "/etc/security",
    "/etc/tmpfiles.d",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/libexec",
)
"""Directories that are not ours, and that a change makes where they are missing."""

STAGING_DIRECTORIES = (
    "/etc",
    PAM_D,
    SSHD_DIRECTORY,
    "/usr",
    "/usr/local",
    *SHARED_DIRECTORIES,
    KEYS_DIRECTORY,
    ONLY_KEYS_DIRECTORY,
    LIBEXEC,
    SELF_SERVICE_LIBRARY,
    f"{SELF_SERVICE_LIBRARY}/*",
    "/usr/share/cockpit",
    PAGE_DIRECTORY,
    "/run",
    RUN_DIRECTORY,
    UNIT_DIRECTORY,
    "/var/lib",
    STATE_DIRECTORY,
    INVITATIONS,
    GUARD_DIRECTORY,
)
"""Where a change lays files ready, beside the directories of credentials; patterns of glob(7)."""

_UNITS = "org.freedesktop.systemd1.manage-units"
ASKING_SYSTEMD = {"machinectl": "org.freedesktop.machine1.host-shell", "run0": _UNITS, "systemd-run": _UNITS}
"""Programs by which an account has systemd start something as root, and what polkit is asked for each."""
