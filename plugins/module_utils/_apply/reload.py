# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reloads sshd, after a check that its configuration gives the expected settings."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from .. import _places as places
from .._plan.changes import ReloadSshd
from .actions import Actions, ApplyError

_RELOAD_SECONDS = 5.0


def check_and_reload(change: ReloadSshd, actions: Actions) -> None:
    """Reload sshd. Raises ApplyError instead if its files are wrong, or do not give the expected settings."""
    _check(change, actions)
    before = _pid_file()
    reached = _reload(actions)
    for listener in change.listeners:
        if listener.pid != reached:
            with contextlib.suppress(ProcessLookupError):
                os.kill(listener.pid, signal.SIGHUP)
    # sshd rewrites its PID file once it listens with its new configuration, which may be a while after the signal.
    deadline = time.monotonic() + _RELOAD_SECONDS
    while before is not None and _pid_file() in (None, before) and time.monotonic() < deadline:
        time.sleep(0.01)


def restart_cockpit(actions: Actions) -> None:
    """Have Cockpit read its configuration at the next request. Does nothing if Cockpit does not run."""
    actions.run(["systemctl", "stop", places.COCKPIT_UNITS])
    actions.run(["systemctl", "try-restart", places.COCKPIT_UNIT])


def _check(change: ReloadSshd, actions: Actions) -> None:
    """Raise ApplyError if `sshd -t` refuses the files, or `sshd -T -C` does not print the expected settings."""
    starts = {tuple(expectation.start.words) for expectation in change.expectations}
    starts.update(tuple(one.start.words) for one in change.listeners)
    for words in sorted(starts) or [()]:
        code, _out, error = actions.run([places.SSHD, *words, "-t"])
        if code != 0:
            raise ApplyError(f"sshd refuses its configuration: {error.strip().rstrip('.')}.")
    for expectation in change.expectations:
        effective = actions.effective(expectation.connection_spec, expectation.start.words)
        for keyword, wanted in expectation.settings.items():
            if effective.get(keyword, ()) != wanted:
                raise ApplyError(
                    f"sshd would not do what was meant for {expectation.user}: {keyword} is "
                    f"'{' '.join(effective.get(keyword, ()))}' instead of '{' '.join(wanted)}', because another part "
                    "of its configuration wins."
                )


def _reload(actions: Actions) -> int:
    """Reload the unit of sshd that runs. Returns its main process, the only one that this reaches; 0 if none runs."""
    for unit in places.SSHD_UNITS:
        if _is_active(actions, f"{unit}.service"):
            verb = "reload"
            if _is_active(actions, f"{unit}.socket"):
                # A reload fails if systemd holds the port. Sessions survive a restart, and reset-failed keeps it from
                # exceeding the unit's start limit.
                verb = "restart"
                actions.run(["systemctl", "reset-failed", f"{unit}.service"])
            code, _out, error = actions.run(["systemctl", verb, f"{unit}.service"])
            if code != 0:
                raise ApplyError(f"{unit}.service does not {verb}: {error.strip().rstrip('.')}.")
            main = actions.run(["systemctl", "show", "--property=MainPID", "--value", f"{unit}.service"])[1].strip()
            return int(main) if main.isdecimal() else 0
    return 0


def _is_active(actions: Actions, unit: str) -> bool:
    """Whether systemd has started this unit."""
    return actions.run(["systemctl", "is-active", "--quiet", unit])[0] == 0


def _pid_file() -> tuple[int, int] | None:
    """What distinguishes one PID file from the next: its inode and its time; None if there is no PID file."""
    try:
        status = os.stat(places.SSHD_PID_FILE)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
