# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs Ansible's commands in copies of a process that has imported Ansible, at a third of what a new process costs.

That process is the fork server of Python's multiprocessing. Ansible reads its settings while it is imported, so a
command with other settings than the first one is started in the usual way.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import typing as t
from collections.abc import Mapping
from multiprocessing import forkserver
from pathlib import Path
from unittest import mock

_COMMANDS: t.Final = {"ansible": ("adhoc", "AdHocCLI"), "ansible-playbook": ("playbook", "PlaybookCLI")}
"""By name: the module in ansible.cli, and its class."""
_IMPORTED = (*(f"ansible.cli.{name}" for name, _class in _COMMANDS.values()), "ansible.executor.playbook_executor")
# pytest changes the first one for each test; the other one follows the working directory.
_NO_SETTINGS = ("PYTEST_CURRENT_TEST", "PWD")

Done: t.TypeAlias = "subprocess.CompletedProcess[str]"
Environment: t.TypeAlias = Mapping[str, str]


def run(*words: str, cwd: Path | None = None, timeout: float = 900, anew: bool = False, **variables: str) -> Done:
    """Run a command of Ansible's with no standard input, and return what it printed, without colours.

    :param words: the command, such as ``ansible-playbook``, and its arguments.
    :param cwd: the directory to start it in, by default the current one.
    :param timeout: seconds.
    :param anew: start a new process in any case, to measure what the command costs, or to see its command line.
    :param variables: environment variables to set.
    :raises subprocess.TimeoutExpired: if it takes longer; then it is killed.
    """
    # Ansible needs a locale with UTF-8.
    usual = {"LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    environment = {**os.environ, **usual, **variables}
    directory = cwd or Path.cwd()
    if not anew and not (directory / "ansible.cfg").exists() and _serves(environment):
        return _forked(words, directory, environment, timeout)
    return subprocess.run(
        [sys.executable, "-m", "ansible", _COMMANDS[words[0]][0], *words[1:]],
        cwd=directory,
        env=environment,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


_settings: list[Environment] = []
"""What the fork server's Ansible has read; empty until it is started."""
_starting = threading.Lock()


def _serves(environment: Environment) -> bool:
    """Whether the fork server has these settings. If there is none yet, it is started with them."""
    settings = {name: value for name, value in environment.items() if name not in _NO_SETTINGS}
    with _starting:
        if not _settings:
            with mock.patch.dict(os.environ, settings, clear=True):
                multiprocessing.get_context("forkserver").set_forkserver_preload([*_IMPORTED])
                forkserver.ensure_running()
            _settings.append(settings)
    return settings == _settings[0]


def _forked(words: tuple[str, ...], directory: Path, environment: Environment, timeout: float) -> Done:
    with tempfile.TemporaryDirectory() as folder:
        output, errors = files = (Path(folder, "output"), Path(folder, "errors"))
        for path in files:
            path.touch(0o600)
        process = multiprocessing.get_context("forkserver").Process(
            target=_become, args=(words, directory, environment, files)
        )
        process.start()
        process.join(timeout)
        late = process.exitcode is None
        if late:
            process.kill()
            process.join()
        printed = (output.read_text(errors="replace"), errors.read_text(errors="replace"))
        if late:
            raise subprocess.TimeoutExpired(words, timeout, *printed)
        return subprocess.CompletedProcess([*words], t.cast(int, process.exitcode), *printed)


def _become(words: tuple[str, ...], directory: Path, environment: Environment, files: tuple[Path, Path]) -> None:
    """Turn this process into the command, as if it had been started."""
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate([Path(os.devnull), *files]):
        os.dup2(os.open(path, os.O_RDWR), number)
    # multiprocessing has closed standard input and opened /dev/null in its place, as sys.stdin alone. Before a prompt,
    # Ansible asks sys.__stdin__ whether it is a terminal. The type checker takes that name for a constant.
    sys.__stdin__ = sys.stdin  # type: ignore[misc, assignment]
    module, name = _COMMANDS[words[0]]
    sys.argv = [*words]
    getattr(importlib.import_module(f"ansible.cli.{module}"), name).cli_executor(sys.argv)
