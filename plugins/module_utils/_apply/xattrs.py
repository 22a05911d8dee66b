# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Extended attributes of files, xattr(7): labels, access lists, capabilities, and whatever users store there."""

from __future__ import annotations

import contextlib
import errno
import os
import typing as t

_CONTENT_ATTRIBUTES = ("security.evm", "security.ima")
"""Attributes that the kernel computes from the content of a file; they would be wrong for other content."""


def read(path: str) -> dict[str, bytes]:
    """The extended attributes of a file that must be kept when its content is replaced."""
    try:
        names = os.listxattr(path)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    return {name: os.getxattr(path, name) for name in names if name not in _CONTENT_ATTRIBUTES}


def write(path: str, attributes: t.Mapping[str, bytes]) -> None:
    """Set these attributes of a file, and remove others, such as those that it has inherited from its directory.

    Raises OSError, whose text names the attribute.
    """
    present = read(path)
    for name in set(present) - set(attributes):
        if not name.startswith("security."):
            with _named(name, path):
                os.removexattr(path, name)
    for name, value in attributes.items():
        if present.get(name) != value:
            with _named(name, path):
                os.setxattr(path, name, value)


@contextlib.contextmanager
def _named(name: str, path: str) -> t.Iterator[None]:
    """Add the name of the attribute to an error."""
    try:
        yield
    except OSError as error:
        error.strerror = f"{error.strerror}, the extended attribute {name} cannot be kept"
        error.filename = path
        raise
