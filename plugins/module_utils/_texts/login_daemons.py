# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The known programs besides sshd that let people in from the network, with one entry per program."""

from __future__ import annotations

import typing as t


class Daemon(t.NamedTuple):
    """A program by which people log in from another machine."""

    name: str
    programs: tuple[str, ...]
    """The file names of its processes."""
    units: tuple[str, ...]
    """The names of its systemd units on different distributions."""
    reaches: str
    """What people get access to."""
    services: tuple[str, ...] = ()
    """The PAM services that it uses; none if it has its own accounts and keys, or starts what it is configured to."""
    may_be_off: bool = False
    """Whether it may run and let nobody in, because it also does other things, or serves only its own host."""
    shows_prompts: bool = True
    """Whether people see the prompts of its PAM services. Other programs answer each prompt with the password."""


_SHELL, _WEB_SHELL, _FILES, _DESKTOP = "a shell", "a shell on a web page", "files", "a desktop"
_WHAT_IT_STARTS = "what it is configured to start, such as telnetd"

_LOGIN = ("login", "remote")
"""The PAM services of login(1): util-linux's login uses another one for logins from another machine."""

DAEMONS = (
    Daemon("cockpit", ("cockpit-tls", "cockpit-ws"), ("cockpit.socket",), _WEB_SHELL, ("cockpit",)),
    Daemon("cockpit-local-session", ("cockpit-ws --local-session",), (), _WEB_SHELL),
    Daemon("dropbear", ("dropbear",), ("dropbear.service", "dropbear.socket"), _SHELL),
    Daemon("tinysshd", ("tinysshd",), ("tinysshd.service", "tinyssh.socket", "tinysshd.socket"), _SHELL),
    Daemon("lsh", ("lshd",), ("lsh-server.service",), _SHELL),
    Daemon("telnetd", ("telnetd", "in.telnetd", "utelnetd"), ("telnet.socket", "telnetd.service"), _SHELL, _LOGIN),
    Daemon(
        "inetd",
        ("inetd", "inetutils-inetd", "rlinetd"),
        ("inetd.service", "openbsd-inetd.service", "inetutils-inetd.service", "rlinetd.service"),
        _WHAT_IT_STARTS,
        may_be_off=True,
    ),
    Daemon("xinetd", ("xinetd",), ("xinetd.service",), _WHAT_IT_STARTS, may_be_off=True),
    Daemon("rlogind", ("rlogind", "in.rlogind"), ("rlogin.socket",), _SHELL, ("rlogin",)),
    Daemon("rshd", ("rshd", "in.rshd"), ("rsh.socket",), _SHELL, ("rsh",)),
    Daemon("rexecd", ("rexecd", "in.rexecd"), ("rexec.socket",), _SHELL, ("rexec",)),
    Daemon(
        "xrdp",
        ("xrdp-sesman",),
        ("xrdp.service", "xrdp-sesman.service"),
        _DESKTOP,
        ("xrdp-sesman",),
        shows_prompts=False,
    ),
    Daemon(
        "vnc",
        ("Xvnc", "Xtigervnc", "X0tigervnc", "Xtightvnc", "x11vnc", "x0vncserver", "wayvnc"),
        ("x11vnc.service", "xvnc.socket"),
        _DESKTOP,
        may_be_off=True,
    ),
    Daemon(
        "gnome-remote-desktop",
        ("gnome-remote-desktop-daemon",),
        ("gnome-remote-desktop.service",),
        _DESKTOP,
        may_be_off=True,
    ),
    Daemon(
        "xpra",
        ("xpra",),
        ("xpra.socket", "xpra.service"),
        _DESKTOP,
        ("xpra",),
        may_be_off=True,
        shows_prompts=False,
    ),
    Daemon("nomachine", ("nxd", "nxserver.bin"), ("nxserver.service",), _DESKTOP, ("nx",), shows_prompts=False),
    Daemon("anydesk", ("anydesk",), ("anydesk.service",), _DESKTOP),
    Daemon("teamviewer", ("teamviewerd",), ("teamviewerd.service",), _DESKTOP),
    Daemon("rustdesk", ("rustdesk",), ("rustdesk.service",), _DESKTOP),
    Daemon("vsftpd", ("vsftpd",), ("vsftpd.service",), _FILES, ("vsftpd",), shows_prompts=False),
    Daemon("proftpd", ("proftpd",), ("proftpd.service", "proftpd.socket"), _FILES, ("proftpd",), shows_prompts=False),
    Daemon("pure-ftpd", ("pure-ftpd",), ("pure-ftpd.service",), _FILES, ("pure-ftpd",), shows_prompts=False),
    Daemon("samba", ("smbd",), ("smbd.service", "smb.service"), _FILES, may_be_off=True),
    Daemon("ttyd", ("ttyd",), ("ttyd.service",), _WEB_SHELL),
    Daemon("shellinabox", ("shellinaboxd",), ("shellinabox.service",), _WEB_SHELL),
    Daemon("gotty", ("gotty",), ("gotty.service",), _WEB_SHELL),
    Daemon("wetty", ("wetty",), ("wetty.service",), _WEB_SHELL),
    Daemon("code-server", ("code-server", "openvscode-server"), ("code-server.service",), _WEB_SHELL, may_be_off=True),
    Daemon(
        "jupyter",
        ("jupyter-lab", "jupyterlab", "jupyter-notebook", "jupyter-server"),
        ("jupyter.service",),
        _WEB_SHELL,
        may_be_off=True,
    ),
    Daemon("jupyterhub", ("jupyterhub",), ("jupyterhub.service",), _WEB_SHELL),
    Daemon("rstudio-server", ("rserver",), ("rstudio-server.service",), _WEB_SHELL, ("rstudio",), shows_prompts=False),
    Daemon("webmin", ("miniserv.pl",), ("webmin.service",), _WEB_SHELL, ("webmin",)),
    Daemon("usermin", ("usermin/miniserv.pl",), ("usermin.service",), _WEB_SHELL, ("usermin",)),
    Daemon("tailscaled", ("tailscaled",), ("tailscaled.service",), _SHELL, may_be_off=True),
    Daemon("teleport", ("teleport",), ("teleport.service",), _SHELL),
)

SERVERS = (
    *("nc", "nc.traditional", "ncat", "socat", "systemd-socket-activate", "tcpserver", "tcpsvd"),
    *("s6-tcpserver", "s6-tcpserver4", "s6-tcpserver4d", "s6-tcpserver6", "s6-tcpserver6d"),
)
"""Programs that start the command in their own command line for each connection."""

ANSWERING = {
    "cups": "CUPS",
    "dovecot": "Dovecot",
    "ftp": "an FTP server",
    "imap": "saslauthd",
    "ldap": "saslauthd",
    "openvpn": "OpenVPN",
    "pop": "saslauthd",
    "postgresql": "PostgreSQL",
    "radiusd": "FreeRADIUS",
    "sieve": "saslauthd",
    "smtp": "saslauthd",
    "squid": "Squid",
    "vmtoolsd": "VMware Tools",
}
"""PAM services of programs that let nobody in to a shell or to files, and answer each prompt with the password."""

LOCKING_SCREENS = (
    "cinnamon-screensaver",
    "gnome-screensaver",
    "gtklock",
    "hyprlock",
    "i3lock",
    "kde",
    "mate-screensaver",
    "swaylock",
    "ukui-screensaver-qt",
    "waylock",
    "xfce4-screensaver",
    "xscreensaver",
)
"""PAM services of programs that lock a screen and check the password with the rights of the user of the screen."""

NEVER_ASKING = {"atd": "at", "cron": "cron", "crond": "cron", "samba": "Samba", "systemd-user": "systemd"}
"""PAM services of programs that have PAM check no password."""

HARMLESS_SERVICES = (
    *("atd", "chfn", "chsh", "cron", "crond", "other", "passwd", "systemd-user"),
    *("fingerprint-auth", "smartcard-auth"),
)
"""PAM services that give no further access: they run what was allowed before, or people change their own data."""

LOCAL_SERVICES = {
    "login": "a shell at the console",
    "su": "another account's shell",
    "su-l": "another account's shell",
    "sudo": "root's commands",
    "sudo-i": "root's shell",
    "doas": "root's commands",
    "polkit-1": "what root may do",
    "gdm-password": "the desktop",
    "lightdm": "the desktop",
    "sddm": "the desktop",
}
"""PAM services that give further access to somebody who is at the machine, or logged in to it already."""
