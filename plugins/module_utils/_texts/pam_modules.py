# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known about PAM modules by their names: how each may end, and what it checks. Pure.

A module that is not known here may end in any way, but like a first factor it does not succeed for a stranger.
"""

from __future__ import annotations

import re
import typing as t

from .dispatch import Handler

_NAME = re.compile(r"\bpam_\w+\.so\b")

# How these end, whoever logs in and whatever is typed.
_ALWAYS = {
    "pam_permit.so": ("success",),
    "pam_deny.so": ("auth_err",),
}
_NO_OPINION = ("pam_env.so", "pam_faildelay.so", "pam_group.so")
# Modules that check an account or a place, but no password.
_CONDITIONS = (
    "pam_abl.so",
    "pam_access.so",
    "pam_faillock.so",
    "pam_lastlog.so",
    "pam_listfile.so",
    "pam_localuser.so",
    "pam_nologin.so",
    "pam_securetty.so",
    "pam_sepermit.so",
    "pam_shells.so",
    "pam_succeed_if.so",
    "pam_tally.so",
    "pam_tally2.so",
    "pam_time.so",
    "pam_usertype.so",
    "pam_wheel.so",
)
# Modules that may let somebody in before the primary authentication: root needs no password for su, and a client
# certificate of Cockpit is an authentication of its own that an administrator has to switch on.
_MAY_LET_IN_EARLY = ("pam_rootok.so", "pam_cockpit_cert.so")

RUN_BY_ROOT = (
    "cockpit",
    "gdm-password",
    "lightdm",
    "login",
    "proftpd",
    "remote",
    "sddm",
    "sshd",
    "vsftpd",
    "xrdp-sesman",
)
"""PAM services of programs that run as root, whoever logs in. Others, such as su, run as the user who calls them."""

# Modules that ask for the password of an account, and leave it to the lines after them: pam_unix(8), pam_userdb(8),
# pam_sss(8), pam_krb5(8), pam_ldap(8), pam_winbind(8), pam_systemd_home(8), and the manuals of the others.
_FIRST_FACTORS = (
    "pam_centrifydc.so",
    "pam_himmelblau.so",
    "pam_krb5.so",
    "pam_ldap.so",
    "pam_lsass.so",
    "pam_mysql.so",
    "pam_pgsql.so",
    "pam_pwdfile.so",
    "pam_sss.so",
    "pam_systemd_home.so",
    "pam_tcb.so",
    "pam_unix.so",
    "pam_unix2.so",
    "pam_userdb.so",
    "pam_vas3.so",
    "pam_winbind.so",
)
# Those among them that never return PAM_IGNORE, unless their lines have ignore_unknown_user or the like.
_NEVER_IGNORE = ("pam_ldap.so", "pam_sss.so")
# Other modules that ask for a password and leave it to the lines after them; pam_mount(8), and the others' manuals.
_OTHERS_SET_AUTHTOK = ("pam_mount.so", "pam_radius_auth.so", "pam_yubico.so")
_SECOND_FACTORS = (
    "pam_duo.so",
    "pam_google_authenticator.so",
    "pam_oath.so",
    "pam_radius_auth.so",
    "pam_u2f.so",
    "pam_yubico.so",
)
# Modules that prove nothing: they prepare something for the login, or only show or log something; their manuals.
_PROVE_NOTHING = (
    "pam_issue.so",
    "pam_keyinit.so",
    "pam_mail.so",
    "pam_ssh_add.so",
    "pam_umask.so",
    "pam_warn.so",
)
# Modules that prove nothing either, and succeed for anybody, whatever was typed; their sources.
_SUCCEED_FOR_ANYBODY = (
    "pam_afs_session.so",
    "pam_cap.so",
    "pam_echo.so",
    "pam_ecryptfs.so",
    "pam_fscrypt.so",
    "pam_gnome_keyring.so",
    "pam_kwallet.so",
    "pam_kwallet5.so",
    "pam_mount.so",
)


def named_in(text: str) -> set[str]:
    """The PAM modules that a text names."""
    return {*_NAME.findall(text)}


def any_outcome(handler: Handler) -> tuple[str, ...]:
    """Every way in which a module may end, as far as its line distinguishes them: each named one, and one that is not.

    new_authtok_reqd is left out, since it does not say who somebody is; pam_sm_authenticate(3).
    """
    named = (outcome for outcome in handler.actions if outcome not in ("default", "new_authtok_reqd"))
    return _ALWAYS.get(handler.name) or ("success", "ignore", "auth_err", "another", *named)


def without_early_success(handler: Handler) -> tuple[str, ...]:
    """Every way in which a module may end; but one that may let somebody in before the code does not succeed."""
    if handler.name in _MAY_LET_IN_EARLY:
        return _failing(handler)
    return (*any_outcome(handler), *([] if handler.name in _ALWAYS else ["new_authtok_reqd"]))


def without_first_factor(handler: Handler, conditions_hold: bool = True) -> tuple[str, ...]:
    """How a module may end for somebody who has none of the first factors: it fails, or has no opinion.

    A module that only checks the account or the place may succeed all the same, if `conditions_hold`. So may one that
    proves nothing, such as pam_gnome_keyring where there is no password that it could use.
    """
    if handler.name in _NO_OPINION:
        return ("ignore",)
    may_succeed = (*_ALWAYS, *_SUCCEED_FOR_ANYBODY, *(_CONDITIONS if conditions_hold else ()))
    ways = any_outcome(handler) if handler.name in may_succeed else _failing(handler)
    return tuple(one for one in ways if one != _excluded_outcome(handler))


def _excluded_outcome(handler: Handler) -> str:
    """The way in which a module does not end, unless its line says so; the manuals of these modules."""
    words = handler.line.split()
    if handler.name == "pam_nologin.so" and "successok" not in words:
        return "success"
    has_opinion = handler.name in _NEVER_IGNORE and not any(word.startswith("ignore_") for word in words)
    return "ignore" if has_opinion or handler.name == "pam_unix.so" else ""


def _failing(handler: Handler) -> tuple[str, ...]:
    return tuple(one for one in any_outcome(handler) if one != "success")


def on_healthy_host(handler: Handler) -> tuple[str, ...]:
    """How a module may end on a host that is in order, whoever logs in.

    pam_sepermit denies where SELinux is not as the host needs it, which says nothing about an account.
    """
    if handler.name in _NO_OPINION:
        return ("ignore",)
    if handler.name == "pam_sepermit.so":
        return ("success", "ignore")
    return _ALWAYS.get(handler.name, ("success", "ignore", "auth_err"))


def is_first_factor(name: str) -> bool:
    """Whether a module of this name asks for the password of an account."""
    return name in _FIRST_FACTORS


def sets_authtok(name: str, words: t.Collection[str]) -> bool:
    """Whether a module with these words in its line asks for a password and leaves it to the lines after it."""
    if name == "pam_exec.so":
        return "expose_authtok" in words
    return name in (*_FIRST_FACTORS, *_OTHERS_SET_AUTHTOK)


def is_second_factor(handler: Handler) -> bool:
    """Whether a module is known to ask for something besides the password, such as a token or a telephone."""
    return handler.name in _SECOND_FACTORS or "privacyidea" in handler.line


def is_unknown(handler: Handler) -> bool:
    """Whether a module may ask for anything: for another factor, or for nothing at all."""
    known = (
        *_ALWAYS,
        *_NO_OPINION,
        *_CONDITIONS,
        *_MAY_LET_IN_EARLY,
        *_FIRST_FACTORS,
        *_PROVE_NOTHING,
        *_SUCCEED_FOR_ANYBODY,
    )
    return bool(handler.module) and handler.name not in known and not is_second_factor(handler)


HandlerOutcomes = t.Callable[[Handler], t.Tuple[str, ...]]
