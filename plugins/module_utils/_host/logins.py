# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at who has logged in lately, with any method, and from any directory that knows the account.

This reads the systemd journal, and wtmp through last(1), so it is done only if somebody may be locked out.
"""

from __future__ import annotations

import re
import time
import typing as t

from .command import NOT_FOUND, Run
from .state import Login

# Limits, so that a host with a large log answers in time and without filling its memory.
_SECONDS = 20
_LINES = 20_000
_TIMED_OUT = 124

# Since OpenSSH 9.8, sshd has a separate program for sessions.
_IDENTIFIERS = ("sshd", "sshd-session", "cockpit-session", "login")
# Their log entries have the UID of the user who runs them. Since that user could log such lines with any program, they
# are identified by the path of the program.
_PROGRAMS = ("/usr/bin/sudo", "/usr/bin/su", "/bin/su", "/usr/bin/doas", "/usr/lib/polkit-1/polkit-agent-helper-1")
_GREP = (
    r"^(Accepted \S+ for |pam_unix\((cockpit|login):session\): session opened for user "
    r"|pam_sss\(\S+:auth\): authentication success;|pam_(krb5|winbind)\(\S+:auth\): user )"
)
_JOURNAL = re.compile(
    r"(?P<since>\d+)\.\d+ \S+ [\w-]+(?:\[\d+\])?: "
    r"(?:Accepted (?P<method>\S+) for (?P<name>.+) from \S+ port \d+.*"
    r"|pam_unix\((?P<service>cockpit|login):session\): session opened for user (?P<user>.+?)(?:\(uid=\d+\))? by .*"
    # PAM modules for directories log that a password was right.
    r"|pam_(?:sss|krb5|winbind)\((?P<asking>[^:)]+):auth\): "
    r"(?:authentication success; .* user=(?P<of_sss>.+)"
    r"|user (?P<of_krb5>.+) authenticated as .+|user '(?P<of_winbind>.+)' granted access))"
)
_VISIBLE = re.compile(rb"\\(?:([0-3][0-7]{2})|(.))")
_LAST = re.compile(r"(?P<name>\S+)\s+(?P<line>\S+)\s+(?P<host>\S+)?\s+(?P<day>\d{4}-\d\d-\d\d)T\d\d:\d\d\S*.*")
_NOBODY = ("reboot", "shutdown", "runlevel", "LOGIN", "wtmp", "wtmp.db")


class Seen(t.NamedTuple):
    """The last logins of each account to each service, with the name that was typed; and what could not be read."""

    logins: tuple[Login, ...]
    unread: str = ""


def seen(run: Run, days: int, now: float) -> Seen:
    """The logins in the last `days` days before `now`, which is in seconds since the epoch.

    A journal that does not end in time is no error: the lines that it has printed until then are used.
    """
    since = now - days * 86_400
    timeout = ("timeout", str(_SECONDS))
    code, out, error = run(
        [
            *(*timeout, "journalctl", "--quiet", "--no-pager", "--output=short-unix"),
            *(f"--since=@{since:.0f}", f"--lines={_LINES}", f"--grep={_GREP}", "_UID=0"),
            *(f"SYSLOG_IDENTIFIER={name}" for name in _IDENTIFIERS),
            *("+", *(f"_EXE={path}" for path in _PROGRAMS)),
        ]
    )
    # If no line matches, journalctl fails without a message.
    unread = ""
    if code == _TIMED_OUT:
        unread = f"the journal could not be read in full within {_SECONDS} seconds"
    elif code not in (0, NOT_FOUND) and error.strip():
        unread = f"the journal cannot be read: {error.strip()}"
    begin = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
    _code, last_output, _error = run([*timeout, "last", "--fullnames", "--time-format=iso", f"--since={begin}"])
    return Seen(_latest([*parse_journal(out), *parse_last(last_output)]), unread)


def parse_journal(out: str) -> t.Iterator[Login]:
    """The logins in the output of `journalctl --output=short-unix`."""
    for found in filter(None, map(_JOURNAL.fullmatch, out.splitlines())):
        day = time.strftime("%Y-%m-%d", time.gmtime(int(found["since"])))
        of_directory = found["of_sss"] or found["of_krb5"] or found["of_winbind"]
        if found["name"]:
            yield Login(_as_typed(found["name"]), "sshd", found["method"], day)
        elif not of_directory:
            yield Login(found["user"], found["service"], "password", day)
        elif found["asking"] != "sshd":
            yield Login(of_directory, found["asking"], "password", day)


def _as_typed(name: str) -> str:
    """A name as it was typed: sshd logs each backslash twice, and bytes that are not ASCII as octal numbers; vis(3)."""
    raw = name.encode("utf-8", "surrogateescape")
    return _VISIBLE.sub(lambda found: bytes([int(found[1], 8)]) if found[1] else found[2], raw).decode(
        "utf-8", "surrogateescape"
    )


def parse_last(out: str) -> t.Iterator[Login]:
    """The logins over a network in the output of `last --time-format=iso`, without those at a console."""
    for found in filter(None, map(_LAST.fullmatch, out.splitlines())):
        remote = found["host"] not in (None, "-") and not found["host"].startswith((":", "tmux", "screen"))
        if found["name"] not in _NOBODY and remote:
            yield Login(found["name"], "sshd", "", found["day"])


def _latest(logins: t.Iterable[Login]) -> tuple[Login, ...]:
    """The last login of each name to each service by each method: latest first, and on one day known methods first."""
    found: dict[tuple[str, str, str], Login] = {}
    for one in logins:
        key = (one.name, one.service, one.method)
        found[key] = max(found.get(key, one), one, key=lambda login: login.day)
    return tuple(sorted(found.values(), key=lambda login: (login.day, bool(login.method)), reverse=True))
