# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The paths, units and names on a managed host that are ours or that we use, each defined once.

The directories of credentials are not here: each backend defines its own. The files in `roles/twofactor/files`, which
are the same on every host, have these paths spelled out; a test compares both.
"""

from __future__ import annotations

# PAM

PAM_D = "/etc/pam.d"
VENDOR_PAM_D = "/usr/lib/pam.d"
"""Where libpam looks for a service that /etc/pam.d does not have."""
SWITCH = f"{PAM_D}/twofactor"
"""The code step, which decides for every service at once whether codes are asked for."""
JUDGE = f"{PAM_D}/twofactor-judge"
NOTE = f"{PAM_D}/twofactor-note"
CODE_SERVICE = f"{PAM_D}/twofactor-code"
"""The PAM service with which the self-service helper checks whether a code is right, and nothing else."""
PRIMARY_STACKS = ("common-auth", "password-auth", "system-auth")
"""The files of PAM that services include for their primary authentication."""
GATES = tuple(f"{PAM_D}/twofactor-{stack}" for stack in PRIMARY_STACKS)
"""Files of release 1.0, through which a service included its first factor."""
EXEMPT_ORIGINS = "/etc/security/twofactor-access.conf"
KEYS_DIRECTORY = "/etc/security/twofactor-keys"
"""The declared security keys, one file per account. sshd does not read them; a helper that PAM calls does."""
KEYS_ONLY_DIRECTORY = "/etc/security/twofactor-only-keys"
"""The same for accounts that log in with these keys alone: sshd reads them in place of their authorized_keys."""
NEXT = ".next"
"""The suffix of a new list of exempt origins, which the code step uses until the old list is replaced."""
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
"""The names of its systemd unit on different distributions."""
SSHD_PID_FILE = "/run/sshd.pid"
SSHD_DIRECTORY = "/etc/ssh"
SSHD_CONFIG = f"{SSHD_DIRECTORY}/sshd_config"
DROP_IN_DIRECTORY = f"{SSHD_CONFIG}.d"
DROP_IN = f"{DROP_IN_DIRECTORY}/00-twofactor.conf"
SSHD_SERVICE_OPTIONS = {"/etc/default/ssh": "SSHD_OPTS", "/etc/sysconfig/sshd": "OPTIONS"}
"""The files where its unit finds further options, with the variable that has them."""
SSHD_STARTS = (
    *SSHD_SERVICE_OPTIONS,
    *(
        f"{directory}/systemd/system/ssh[d.@]*service{inside}"
        for directory in ("/etc", "/run", "/usr/lib")
        for inside in ("", ".d/*.conf")
    ),
)
"""The files that define how its units start it; patterns of glob(7)."""

SSHD_SESSIONS = tuple(f"/usr/{directory}/sshd-session" for directory in ("lib/openssh", "libexec/openssh", "lib/ssh"))
"""The program that OpenSSH has from version 9.8 on, at its places in the distributions."""

# Other files and programs of a host that we use

ACCOUNT_DEFAULTS = "/etc/login.defs"
COCKPIT_DIRECTORY = "/etc/cockpit"
COCKPIT_CONFIG = f"{COCKPIT_DIRECTORY}/cockpit.conf"
COCKPIT_DISALLOWED = f"{COCKPIT_DIRECTORY}/disallowed-users"
COCKPIT_UNIT = "cockpit.service"
COCKPIT_UNITS = "cockpit-wsinstance-*.service"
"""The units of the programs that `COCKPIT_UNIT` starts on request; a pattern."""
KRB5_CONFIG = "/etc/krb5.conf"
KEYTABS = (f"{COCKPIT_DIRECTORY}/krb5.keytab", "/etc/krb5.keytab")
"""Where Cockpit finds the keys of Kerberos; its own file comes first."""
NO_LOGIN_SHELLS = ("nologin", "false", "sync", "shutdown", "halt")
"""The file names of shells with which nobody logs in."""
OS_RELEASE = "/etc/os-release"
QRENCODE = "/usr/bin/qrencode"
"""The program that draws QR codes; its package is called `qrencode` everywhere."""
QRENCODE_PACKAGE = "qrencode"
POLKIT_UNIT = "polkit-agent-helper@.service"
SELINUX_ENFORCES = "/sys/fs/selinux/enforce"
CONTAINER = "/run/systemd/container"
"""The file in which systemd names the kind of container that it runs in, if it runs in one."""
SHADOW = "/etc/shadow"
NSSWITCH = "/etc/nsswitch.conf"
SUDO_CONFIG = "/etc/sudo.conf"
SUDOERS = "/etc/sudoers"
SHELLS = "/etc/shells"
SYSTEMD = "/run/systemd/system"
"""The directory that exists where systemd runs; sd_booted(3)."""

# Our files that PAM and the boot need

SHELL = "/bin/sh"
RECOVERY_COMMAND = "/usr/local/sbin/twofactor-recover"
MARK = "Managed by fleet.auth"
"""The mark in each file of ours whose name and place somebody else might use as well."""
LIBEXEC = "/usr/libexec/fleet-auth"
KEY_ACCEPTED = f"{LIBEXEC}/ssh-key-accepted"
KEY_DECLARED = f"{LIBEXEC}/ssh-key-declared"
LIMITS_SUFFICE = f"{LIBEXEC}/limits-suffice"
FIRST_FACTOR_FAILED = f"{LIBEXEC}/first-factor-failed"
ORIGINAL_STATE = f"{LIBEXEC}/found"
"""What has to be restored when two-factor login is turned off, and no other file records; most hosts have none."""
PASSWORD_METHOD = f"{LIBEXEC}/ssh-password-method"
RUN_DIRECTORY = "/run/fleet-auth"
TALLY_DIRECTORY = f"{RUN_DIRECTORY}/faillock"
TMPFILES = "/etc/tmpfiles.d/fleet-auth.conf"
UNIT_DIRECTORY = "/etc/systemd/system"
UNIT_LINKS = (
    *(f"{UNIT_DIRECTORY}/*.{kind}/*" for kind in ("wants", "requires", "upholds")),
    "/run/systemd/generator.late/*.wants/*",
)
"""The links to the units that start at boot: those that an administrator has enabled, and those of init scripts.

Patterns of glob(7); systemd.unit(5), systemd-sysv-generator(8).
"""
UNIT_DIRECTORIES = (
    *(f"{where}/systemd/system.control" for where in ("/etc", "/run")),
    *("/run/systemd/transient", "/run/systemd/generator.early"),
    *(f"{where}/systemd/{name}" for where in ("/etc", "/run") for name in ("system", "system.attached")),
    "/run/systemd/generator",
    *(f"{where}/systemd/system" for where in ("/usr/local/lib", "/usr/lib", "/lib")),
    "/run/systemd/generator.late",
)
"""Where systemd finds units; the first one that has a file of a name wins; systemd.unit(5)."""

# A change under way

STATE_DIRECTORY = "/var/lib/fleet-auth"
JOURNAL = f"{STATE_DIRECTORY}/undo"
"""The steps of a change under way. While this file exists, the host is going to be rolled back."""
UNDO = f"{STATE_DIRECTORY}/undo.sh"
"""The script that rolls the host back with the journal."""
LOCK = "/run/fleet-auth.lock"
CREDENTIAL_LOCK_TEXT = "fleet.auth"
"""The line in the lock of a credential that a change has taken. Once the change has ended, nobody holds such a lock."""
STALE_LOCK_SECONDS = 60.0
"""The age from which the lock of a credential counts as left behind: a login holds it for milliseconds."""
UNDO_TIMER = "fleet-auth-undo"
BOOT_UNIT = f"{UNIT_DIRECTORY}/fleet-auth-undo-at-boot.service"
BOOT_LINK = f"{UNIT_DIRECTORY}/multi-user.target.wants/fleet-auth-undo-at-boot.service"
STAGED = ".*.fleet-auth-*"
"""The names of files that a change under way has prepared or kept."""

# The guard, which checks between runs whether everything is as a run has left it

GUARD_PROGRAM = f"{LIBEXEC}/guard"
GUARD_CONFIG = f"{LIBEXEC}/guard.conf"
GUARD_DIRECTORY = "/var/lib/fleet-auth-guard"
GUARD_ALERTS = f"{GUARD_DIRECTORY}/alerts"
"""What the guard has seen since the last run."""
GUARD_UNIT = "fleet-auth-guard.path"
GUARD_PATH_UNIT = f"{UNIT_DIRECTORY}/{GUARD_UNIT}"
GUARD_SERVICE_UNIT = f"{UNIT_DIRECTORY}/fleet-auth-guard.service"
GUARD_LINK = f"{UNIT_DIRECTORY}/paths.target.wants/{GUARD_UNIT}"
"""The link that exists if systemd starts the guard at each boot."""
GUARD_WATCHED = (PAM_D, SSHD_DIRECTORY, DROP_IN_DIRECTORY, LIBEXEC)
"""Where the guard looks for changes on every host."""
GUARD_WATCHED_UNITS = (
    UNIT_DIRECTORY,
    "/run/systemd/system",
    *(f"{UNIT_DIRECTORY}/{name}.service.d" for name in SSHD_UNITS),
    *SSHD_SERVICE_OPTIONS,
)
"""The same for what starts sshd, on hosts where sshd asks for codes; some of it exists only if somebody makes it."""

# Passes

PASSES_SCRIPT = "/usr/libexec/fleet-auth-end-passes"
PASSES_TIMER = "fleet-auth-passes.timer"
PASSES_TIMER_UNIT = f"{UNIT_DIRECTORY}/{PASSES_TIMER}"
PASSES_STAMP = f"/var/lib/systemd/timers/stamp-{PASSES_TIMER}"
"""What systemd keeps about the timer; systemd.timer(5), Persistent."""
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
LISTENING_UNITS = (GUARD_UNIT, SELF_SERVICE_UNIT)
"""The units of ours that wait for something to happen, from boot on."""
SELF_SERVICE_LISTENING = (SELF_SERVICE_SOCKET, f"{UNIT_DIRECTORY}/sockets.target.wants/{SELF_SERVICE_UNIT}")
"""What exists if systemd listens now, and what exists if it does at each boot."""
PAGE_DIRECTORY = "/usr/share/cockpit/fleet-auth"
ENROL_COMMAND = "/usr/local/bin/twofactor-enrol"
OFFER = "/etc/profile.d/fleet-auth-twofactor.sh"
"""The file that login shells read, which mentions that command to people."""
INVITATIONS = "/var/lib/fleet-auth-invitations"
"""The invitations of accounts, each in a file with the name of the account."""

# The files that are the same on every host, from the controller

FOR_LOGINS = {
    RECOVERY_COMMAND: 0o755,
    TMPFILES: 0o644,
    KEY_ACCEPTED: 0o755,
    KEY_DECLARED: 0o755,
    PASSWORD_METHOD: 0o755,
    LIMITS_SUFFICE: 0o755,
    FIRST_FACTOR_FAILED: 0o755,
    JUDGE: 0o644,
    NOTE: 0o644,
}
"""The files needed where two-factor login is on, with modes; all but the first two only where they are called."""
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
"""The files needed for self-service, with modes, besides all those in `SELF_SERVICE_DIRECTORIES`."""
STATIC_FILES = frozenset().union(FOR_LOGINS, FOR_GUARD, FOR_A_CHANGE, FOR_PASSES, FOR_SELF_SERVICE)
"""The files that are the same on every host."""
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
"""Directories that are not ours, and that a change creates where they are missing."""

STAGING_DIRECTORIES = (
    "/etc",
    PAM_D,
    SSHD_DIRECTORY,
    "/usr",
    "/usr/local",
    *SHARED_DIRECTORIES,
    KEYS_DIRECTORY,
    KEYS_ONLY_DIRECTORY,
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
"""Where a change prepares files, besides the directories of credentials; patterns of glob(7)."""

_UNITS = "org.freedesktop.systemd1.manage-units"
ASKING_SYSTEMD = {"machinectl": "org.freedesktop.machine1.host-shell", "run0": _UNITS, "systemd-run": _UNITS}
"""Programs with which an account lets systemd start something as root, and the polkit action for each."""
