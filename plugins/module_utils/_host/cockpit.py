# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at the keys by which Cockpit could let people in with a ticket of Kerberos; krb5.conf(5), keytab(5)."""

from __future__ import annotations

import re

from .. import _places as places
from .._texts import keytab
from .files import read_file

_DEFAULT = re.compile(r"^\s*default_keytab_name\s*=\s*(?:(?:WR)?FILE:)?(/\S+)", re.MULTILINE)


def keytabs() -> dict[str, tuple[str, ...]]:
    """Whose keys there are in the keytabs that Cockpit reads, by path. Those that hold no key are left out.

    A keytab that cannot be read as one may hold any key: in place of a name it has why.
    """
    config = read_file(places.KRB5_CONFIG)
    named = _DEFAULT.findall(config.content) if config else []
    found = {path: _principals(path) for path in dict.fromkeys([*places.KEYTABS, *named])}
    return {path: names for path, names in found.items() if names}


def _principals(path: str) -> tuple[str, ...]:
    """Whose keys a keytab has."""
    file = read_file(path)
    if file is None or not file.content:
        return ()
    try:
        return keytab.principals(file.content.encode("utf-8", "surrogateescape"))
    except keytab.KeytabError as error:
        return (f"unknown, since {error}",)
