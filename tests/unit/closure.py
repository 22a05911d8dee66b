# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of module_utils that another file needs, found as Ansible finds the files to send with a module."""

from __future__ import annotations

import ast
import functools
import typing as t
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
_MODULE_UTILS = PLUGINS / "module_utils"
_PACKAGE = "ansible_collections.fleet.auth.plugins.module_utils"


def closure(path: Path) -> frozenset[str]:
    """The files that this one imports, directly or indirectly, as paths in module_utils without the ending.

    Imports inside functions are included, because Ansible sends those files as well.
    """
    found: set[str] = set()
    waiting = [path]
    while waiting:
        for one in _imported(waiting.pop()) - found:
            found.add(one)
            waiting.append(_MODULE_UTILS / f"{one}.py")
    return frozenset(found)


@functools.cache
def _imported(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        one
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for one in _targets(path, node)
        if (_MODULE_UTILS / f"{one}.py").exists()
    )


def _targets(path: Path, node: ast.ImportFrom) -> t.Iterator[str]:
    words = (node.module or "").split(".") if node.module else []
    if node.level:
        above = path.relative_to(_MODULE_UTILS).parts[: -node.level]
        words = [*above, *words]
    elif (node.module or "").startswith(_PACKAGE):
        words = words[len(_PACKAGE.split(".")) :]
    else:
        return
    yield "/".join(words)
    for alias in node.names:
        yield "/".join([*words, alias.name])
