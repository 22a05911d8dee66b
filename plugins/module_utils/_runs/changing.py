# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all modules need that change a host: its lock, and how commands are run and sshd is asked."""

from __future__ import annotations

import contextlib
import typing as t

from .._apply.actions import Actions, ApplyError
from .._apply.lock import exclusive
from .._host import sshd
from .._host.command import runner
from .main import Failure

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


@contextlib.contextmanager
def changing(what_failed: str) -> t.Iterator[None]:
    """Hold the lock of this host. What the host makes fail inside is raised as a Failure that begins like this."""
    try:
        with exclusive():
            yield
    except (ApplyError, OSError) as error:
        raise Failure(f"{what_failed}: {error}") from error


def actions_of(module: AnsibleModule) -> Actions:
    """What applying needs of the host, by way of the module."""
    run = runner(module)

    def effective(user: str, address: str, words: t.Sequence[str]) -> t.Mapping[str, tuple[str, ...]]:
        try:
            return sshd.effective(run, user, address, words)
        except sshd.SshdError as error:
            raise ApplyError(str(error)) from error

    return Actions(run, effective)
