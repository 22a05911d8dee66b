# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all modules that change a host need: its lock, and ways to run commands and to query sshd."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from .._apply import pending
from .._apply.actions import Actions, ApplyError, describe
from .._apply.lock import WAIT_SECONDS, exclusive
from .._host import sshd
from .._host.execute import run
from .main import Failure

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


_NOTICEABLE_SECONDS = 1.0
"""The number of seconds from which a wait for another run is reported."""


@contextlib.contextmanager
def changing(module: AnsibleModule, what_failed: str) -> t.Iterator[None]:
    """Hold the lock of this host. An error of the host inside becomes a Failure that begins with `what_failed`."""
    with _failing_as(what_failed), exclusive(WAIT_SECONDS) as waited:
        _warn_of_wait(module, waited)
        yield


@contextlib.contextmanager
def changing_after_others(module: AnsibleModule, what_failed: str) -> t.Iterator[None]:
    """The same, but first give another run time to confirm the change that it has made."""
    started = time.monotonic()
    with _failing_as(what_failed):
        while True:
            with exclusive(WAIT_SECONDS):
                waited = time.monotonic() - started
                if waited > WAIT_SECONDS or not pending.awaits_confirmation():
                    _warn_of_wait(module, waited)
                    yield
                    return
            # The lock is free meanwhile for the run that confirms. Nothing signals when it has, so ask again.
            time.sleep(0.2)


@contextlib.contextmanager
def _failing_as(what_failed: str) -> t.Iterator[None]:
    try:
        yield
    except (ApplyError, OSError) as error:
        raise Failure(f"{what_failed}: {describe(error)}") from error


def _warn_of_wait(module: AnsibleModule, waited: float) -> None:
    """Warn of a wait that was long enough to be noticed."""
    if waited > _NOTICEABLE_SECONDS:
        module.warn(f"another run was changing {os.uname().nodename}, so this one waited for {waited:.0f} seconds.")


def _effective(connection_spec: str, words: t.Sequence[str]) -> t.Mapping[str, tuple[str, ...]]:
    try:
        return sshd.effective(run, connection_spec, words)
    except sshd.SshdError as error:
        raise ApplyError(str(error)) from error


ACTIONS = Actions(run, _effective)
"""What applying a plan needs of the host."""
