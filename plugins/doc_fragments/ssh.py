# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import yaml
from ansible.plugins.connection import ssh
from ansible.plugins.doc_fragments import connection_pipelining

_Options = dict[str, dict[str, t.Any]]


def _options(documentation: str) -> _Options:
    return t.cast(_Options, _without_versions(yaml.safe_load(documentation)["options"]))


def _without_versions(node: t.Any) -> t.Any:
    """Leave out version_added, which names versions of ansible-core; this collection has versions of its own."""
    if isinstance(node, dict):
        return {key: _without_versions(value) for key, value in node.items() if key != "version_added"}
    if isinstance(node, list):
        return [_without_versions(value) for value in node]
    return node


_ssh = _options(ssh.DOCUMENTATION)
_pipelining = _options(connection_pipelining.ModuleDocFragment.DOCUMENTATION)["pipelining"]


class ModuleDocFragment:
    # All options of ansible.builtin.ssh, as in the installed ansible-core. Because of the annotation, linters do not
    # read this as YAML.
    DOCUMENTATION: t.ClassVar[str] = yaml.safe_dump(
        {"options": {**_ssh, "pipelining": {**_pipelining, **_ssh["pipelining"]}}}
    )
