# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module as Ansible sends it to a host: packed by Ansible once, and sent with other arguments each time."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import typing as t
from collections.abc import Mapping

_PLACEHOLDER = {"arguments": "come later"}


def payload(name: str, arguments: Mapping[str, t.Any], collections: str | None = None) -> str:
    """The program that Ansible would run on a host for a module of the collection.

    :param arguments: of the module, and those that Ansible adds, such as ``_ansible_check_mode``.
    :param collections: where Ansible finds collections; if left out, where it finds them by itself.
    """
    packed = _packed(name, collections or os.environ.get("ANSIBLE_COLLECTIONS_PATH"))
    before, after = packed.split(_parameters(_PLACEHOLDER))
    return before + _parameters(arguments) + after


def has_action(name: str) -> bool:
    """Whether a part of the module runs on the controller, which the payload leaves out."""
    return _packed(name, os.environ.get("ANSIBLE_COLLECTIONS_PATH")) == ""


def _parameters(arguments: Mapping[str, t.Any]) -> str:
    """The arguments as they are written in the program."""
    return repr(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))


@functools.cache
def _packed(name: str, collections: str | None) -> str:
    """Ansible in a process of its own, since it looks for collections once."""
    places = {"ANSIBLE_COLLECTIONS_PATH": collections} if collections else {}
    return subprocess.run(
        [sys.executable, "-P", __file__, f"fleet.auth.{name}"],
        env={**os.environ, **places},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def _pack(name: str) -> str:
    from ansible.executor.module_common import modify_module
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import action_loader, init_plugin_loader, module_loader
    from ansible.template import Templar

    init_plugin_loader()
    if action_loader.find_plugin(name):
        return ""
    built = modify_module(
        module_name=name,
        module_path=module_loader.find_plugin(name),
        module_args=_PLACEHOLDER,
        templar=Templar(DataLoader()),
        task_vars={"ansible_python_interpreter": "/usr/bin/python3"},
        module_compression="ZIP_DEFLATED",
    )
    return str(built.b_module_data.decode())


if __name__ == "__main__":
    print(_pack(sys.argv[1]), end="")
