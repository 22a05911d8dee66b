# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds out from the output of the time services whether the clock is in sync. The result is one SyncStatus.

Nothing here touches the host: commands and file times come through the callables that the caller passes. A new time
service is one file with a class that has a `name` and a `read`, and two lines in `_services`.
"""

from __future__ import annotations

import typing as t

from .command import Run
from .time_service import Mtime, Probe, Reading, SyncStatus, TimeService, Unreadable


def time_sync(run: Run, mtime: Mtime, now: float, max_error_seconds: float) -> SyncStatus:
    """Ask the time services in turn; the first that runs decides.

    `run` takes a list of arguments and returns return code, standard output and standard error; the code is not 0 if
    the command does not exist. `mtime` returns a file's time of modification, None if there is no such file. `now` is
    the host's clock just before the call. Times are in seconds since the epoch. At most four commands run.

    The clock is in sync if a service follows a source that is alive, and the error is at most `max_error_seconds`,
    which is above 0. Output that cannot be parsed means not in sync; it raises no error.
    """
    probe = Probe(run, mtime, now)
    silent: list[str] = []
    for service in _services():
        try:
            reading = service.read(probe)
        except Unreadable as error:
            return SyncStatus(False, service.name, None, None, f"{service.name} could not be understood: {error}")
        if reading is not None:
            return _judge(service.name, reading, max_error_seconds)
        silent.append(service.name)
    return SyncStatus(False, None, None, None, f"no time service answers: neither {' nor '.join(silent)} runs")


def _services() -> t.Iterator[TimeService]:
    """The time services, each imported only if those before it do not run."""
    from .chrony import Chrony

    yield Chrony()
    from .ntpsec import Ntpsec

    yield Ntpsec()
    from .timesyncd import SystemdTimesyncd

    yield SystemdTimesyncd()
    from .openntpd import Openntpd

    yield Openntpd()


def _judge(service: str, reading: Reading, max_error_seconds: float) -> SyncStatus:
    """Whether the clock is in sync, according to its time service."""
    source, error, fault = reading.source, reading.error_seconds, reading.fault
    if fault is None and error is not None and error <= max_error_seconds:
        reason = f"{service} follows {source}, and the clock is at most {error:.6f} s off"
        return SyncStatus(True, service, source, error, reason)
    if fault is None:
        off = f"the clock may be {error:.6f} s off, and {max_error_seconds:g} s are allowed"
        fault = f"{service} follows {source}, but {off}"
    return SyncStatus(False, service, source, error, fault)
