# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shows the message of a failed task once, and whole.

When a task fails, Ansible prints an error, and then the task's result. If an action returns a failure or raises
AnsibleActionFail, both contain the same sentences. So here the error only says where to read them.
"""

from __future__ import annotations

import functools
import typing as t

from ansible import constants as C  # noqa: N812 - as Ansible names it everywhere
from ansible.errors import AnsibleAction, AnsibleActionFail
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

SEE_MSG = "Why, and what to do, is in the msg of each host."
"""The same text for all hosts, so that Ansible prints it once for all of them."""

PLAYBOOK = "__twofactor_playbook"
"""The variable that each playbook of the collection sets."""

_BY_ERRORS = "junit"
"""The callback of Ansible whose report shows only the error of a failure."""

_Run = t.TypeVar("_Run", bound=t.Callable[..., dict[str, t.Any]])

display = Display()


def show_failure_once(run: _Run) -> _Run:
    """Decorate the `run` of an action so that a failure is shown once: the error only points to the `msg`."""

    @functools.wraps(run)
    def wrapper(
        action: ActionBase, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        try:
            done = dict(run(action, tmp, task_vars))
        except AnsibleActionFail as error:
            if not _has_msg(action._task):
                raise
            # From ansible-core 2.21 on, its result has neither of the last two.
            done = {"changed": False, **error.result, "failed": True, "msg": error.message}
        if not done.get("failed") or not _has_msg(action._task):
            return done
        # Ansible shows no warnings from an exception.
        for warning in done.pop("warnings", ()):
            display.warning(str(warning))
        if PLAYBOOK in (task_vars or {}):
            # They are in `msg` already, and people read that. Outside the playbooks, programs may read them.
            done.pop("refusals", None)
        raise AnsibleAction(SEE_MSG, result=done)

    return t.cast(_Run, wrapper)


def _has_msg(task: Task) -> bool:
    """Whether people see the `msg` of this task if it fails, and no condition of the task needs the result first."""
    enabled = C.config.get_config_value("CALLBACKS_ENABLED")
    if any(name.rpartition(".")[2] == _BY_ERRORS for name in enabled):
        return False
    # For a task with no_log, only the error is shown. The other keywords decide based on the result.
    return not (task.no_log or task.failed_when or task.until or task.retries)
