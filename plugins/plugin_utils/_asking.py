# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running modules on hosts. An answer that the module cannot have given ends the task for that host alone."""

from __future__ import annotations

import contextlib
import re
import resource
import signal
import time
import types
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.action.normal import ActionModule as NormalAction

from ansible_collections.fleet.auth.plugins.plugin_utils import _answers
from ansible_collections.fleet.auth.plugins.plugin_utils._kinds import InvalidAnswer
from ansible_collections.fleet.auth.plugins.plugin_utils._report import names_another
from ansible_collections.fleet.auth.plugins.plugin_utils._visible import in_one_line, visible

ANSWER_BYTES = 32 * 1024 * 1024
"""The longest answer; that of a host with 10,000 people enrolled has a few million bytes."""
_READING_BYTES = 4 * ANSWER_BYTES
"""By how much the process may grow while it reads an answer: Ansible copies the data as it arrives."""
ANSWER_SECONDS = 900
"""How long a host may take for its answer. A slow disk, or a lock that is held, must not look like an attack."""
_LOOK_SECONDS = 0.2
_NO_PYTHON = re.compile(r"The module interpreter '([^']+)' was not found\.")
"""Ansible's message if the host does not have the Python that Ansible should run modules with."""
_STATUS_BYTES = 4000


class AskingAction(ActionBase):
    """An action that runs modules on hosts, and accepts only what the module can have answered."""

    _module: str | None = None
    """The module of this collection that runs now; None for a module of Ansible's own."""
    _warnings: t.Any = None
    """The warnings in its answer, as the host sent them."""

    def _execute_module(  # type: ignore[override]  # the rest is passed on as it is
        self,
        module_name: str | None = None,
        module_args: dict[str, t.Any] | None = None,
        tmp: str | None = None,
        task_vars: dict[str, t.Any] | None = None,
        **further: t.Any,
    ) -> dict[str, t.Any]:
        """Run a module as Ansible does. Return only what was checked of its answer, or why it was refused."""
        name = module_name or self._task.action
        foreign, module = name.startswith("ansible."), name.rpartition(".")[2]
        self._module, self._warnings = None if foreign else module, None
        arguments = self._task.args if module_args is None else module_args
        host = in_one_line(str((task_vars or {}).get("inventory_hostname", "the host")), 255)
        if self._task.async_val:
            return {"failed": True, "msg": f"{name} cannot be run with async. Leave async out."}
        try:
            with _Watch.over(ANSWER_SECONDS):
                answer = super()._execute_module(module_name, module_args, tmp, task_vars, **further)
                if foreign:
                    return _with_remedy(_answers.reduced(answer), host)
                answer = {**self._without_interpreter(answer), "warnings": self._warnings}
                accepted = _answers.accepted(module, answer, _users(arguments))
                return _with_remedy(_with_named_warnings(accepted, host, task_vars or {}), host)
        except AnsibleError as error:
            # Errors of other types come from Ansible itself, and contain nothing that the host said.
            plain = type(error) is AnsibleError  # pylint: disable=unidiomatic-typecheck
            if not (plain or isinstance(error, AnsibleConnectionFailure)):
                raise
            # The message quotes ssh and sudo, and so possibly the host.
            raise type(error)(in_one_line(error.message, _STATUS_BYTES)) from None
        except (InvalidAnswer, _TooMuch) as error:
            return _refused(name, host, str(error))
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            MemoryError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            # Ansible's code expects a real module's answer, and may fail on anything else.
            return _refused(name, host, f"Ansible cannot read it ({type(error).__name__})")

    def _low_level_execute_command(self, *words: t.Any, **named: t.Any) -> dict[str, t.Any]:
        with _Watch.memory(_READING_BYTES):
            done: dict[str, t.Any] = super()._low_level_execute_command(*words, **named)
        if len(done["stdout"]) + len(done["stderr"]) > ANSWER_BYTES:
            raise _TooMuch(_TOO_LONG)
        return done

    def _parse_returned_data(self, res: dict[str, t.Any], *further: t.Any, **named: t.Any) -> t.Any:
        # What Ansible would show while it reads the answer is taken out of it first, with the text before and after it.
        # Without pipelining Ansible uses a terminal, which also ends each line with a carriage return.
        lines = visible(res["stdout"].replace("\r\n", "\n"), keep="\n").split("\n")
        first = next((number for number, line in enumerate(lines) if line.lstrip().startswith("{")), 0)
        last = max((number for number, line in enumerate(lines) if line.rstrip().endswith("}")), default=len(lines))
        text, self._warnings = _answers.cleaned(self._module, "\n".join(lines[first : last + 1]))
        return super()._parse_returned_data({**res, "stdout": text}, *further, **named)

    def _without_interpreter(self, answer: dict[str, t.Any]) -> dict[str, t.Any]:
        """The answer without the fact that Ansible added about the Python that it discovered."""
        if not self._discovered_interpreter_key:
            return answer
        return {key: value for key, value in answer.items() if key != "ansible_facts"}


def _with_named_warnings(answer: dict[str, t.Any], host: str, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The answer, with the host's name in front of each warning that lacks it or also names another host.

    Ansible shows a warning without saying which host it comes from.
    """
    if "warnings" not in answer:
        return answer
    hosts = variables.get("ansible_play_hosts_all") or ()

    def with_host(warning: str) -> str:
        is_of_it_alone = names_another(warning, "", [host]) and not names_another(warning, host, hosts)
        return warning if is_of_it_alone else f"{host}: {warning}"

    return {**answer, "warnings": list(map(with_host, answer["warnings"]))}


def _with_remedy(answer: dict[str, t.Any], host: str) -> dict[str, t.Any]:
    """The answer; if the host lacks the Python that Ansible looked for, a message that says what to do."""
    missing = answer.get("failed") and _NO_PYTHON.fullmatch(str(answer.get("msg")))
    if not missing:
        return answer
    message = (
        f"{host} has no Python at {missing[1]}. Install python3 on {host}, or set ansible_python_interpreter to its "
        "path."
    )
    return {"changed": False, "failed": True, "msg": message}


def _refused(module: str, host: str, why: str) -> dict[str, t.Any]:
    """The result of a task whose answer cannot come from its module."""
    return {
        "failed": True,
        "msg": f"What {host} answered cannot come from the module {module}: {why}. None of it was used. "
        f"Find out what runs in place of Python on {host}, or who else is root there.",
    }


class AskingNormalAction(AskingAction, NormalAction):
    """Runs the module of the same name, as Ansible does for a module without an action, and checks the answer."""


_TOO_LONG = f"it is longer than {ANSWER_BYTES // 1024 // 1024} MiB"


class _TooMuch(BaseException):
    """A host sends too much, or takes too long. A BaseException: Ansible's connections retry after an Exception."""


class _Watch:
    """Checks at intervals how long a host takes, and how much memory its answer takes."""

    _now: t.ClassVar[_Watch | None] = None

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._seconds = seconds
        self._bytes: float | None = None

    @classmethod
    @contextlib.contextmanager
    def over(cls, seconds: float) -> t.Iterator[None]:
        """Raise _TooMuch in the body once it takes too long, unless the task has a timeout of its own."""
        watch = cls(seconds)
        try:
            before = signal.getsignal(signal.SIGALRM)
            if before not in (None, signal.SIG_DFL):
                raise ValueError
            signal.signal(signal.SIGALRM, watch._look)
        except ValueError:  # also raised by signal.signal outside the main thread
            yield
            return
        cls._now = watch
        try:
            signal.setitimer(signal.ITIMER_REAL, _LOOK_SECONDS, _LOOK_SECONDS)
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            cls._now = None

    @classmethod
    @contextlib.contextmanager
    def memory(cls, growth: int) -> t.Iterator[None]:
        """Also raise _TooMuch in the body once the process has grown by this many bytes."""
        watch = cls._now
        if watch:
            watch._bytes = _resident() + growth
        yield
        if watch:
            watch._bytes = None

    def _look(self, _signal: int, _frame: types.FrameType | None) -> None:
        if self._bytes is not None and _resident() > self._bytes:
            self._bytes = None
            raise _TooMuch(_TOO_LONG)
        if time.monotonic() > self._end:
            self._end = float("inf")
            raise _TooMuch(f"it has not ended after {self._seconds:.0f} seconds")


def _resident() -> float:
    """How many bytes of memory this process uses; 0 if the system does not say, so that the limit is never reached."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * float(resource.getpagesize())
    except OSError:
        return 0.0


def _users(arguments: t.Mapping[str, t.Any]) -> list[str] | None:
    """The accounts that a module is asked for by name; None if there is no such option."""
    users = arguments.get("users")
    if isinstance(users, str):
        # As Ansible makes a list of a text, for example on a command line.
        return [user.strip() for user in users.split(",")]
    if not isinstance(users, list):
        return None if users is None else [str(users)]
    return [str(user.get("name") if isinstance(user, t.Mapping) else user) for user in users]
