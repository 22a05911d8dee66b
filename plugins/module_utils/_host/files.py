# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at a file."""

from __future__ import annotations

import os
import stat

from .state import FileState


def read_file(path: str) -> FileState | None:
    """A file or a directory as it is, or None."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    content = ""
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            content = file.read().decode("utf-8", "surrogateescape")
    return FileState(
        content=content,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        link=os.path.realpath(path) if os.path.islink(path) else None,
    )
