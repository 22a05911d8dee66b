# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Has Python compile each module of this collection once in a run, and not twice.

Ansible brings the modules to a host as sources in a zip. zipimport compiles such a source to tell the name of its file,
forgets it, and compiles it again to run it; see zipimport.zipimporter.get_filename().
"""

from __future__ import annotations

import sys
import typing as t
import zipimport

if t.TYPE_CHECKING:
    from types import CodeType


class _Importer(zipimport.zipimporter):
    """Finds modules in a zip as zipimport does, and keeps what it has compiled."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._codes: dict[str, CodeType] = {}

    def get_code(self, fullname: str) -> CodeType:
        """The code of a module."""
        if fullname not in self._codes:
            self._codes[fullname] = super().get_code(fullname)
        return self._codes[fullname]

    def get_filename(self, fullname: str) -> str:
        """Where the source of a module is."""
        return self.get_code(fullname).co_filename


def compile_once() -> None:
    """From now on; without effect where the modules do not come in a zip."""
    spec = sys.modules[__name__].__spec__
    if spec and isinstance(spec.loader, zipimport.zipimporter):
        directory = __file__.rpartition("/")[0]
        sys.path_importer_cache[directory] = _Importer(directory)
