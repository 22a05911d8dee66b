# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds the sheets in a directory, by the names of their files."""

from __future__ import annotations

import datetime
import typing as t
from pathlib import Path
from urllib.parse import quote

from ansible_collections.fleet.auth.plugins.module_utils._wanted.bounds import is_account_name, is_label

INDEX, PDF = "index.html", "sheets.pdf"
"""The files made from all sheets in a directory: a list of them, and all of them for printing."""
_KEYS = "~keys"
"""The suffix of the account's name in the file name of a page about security keys."""


class Sheet(t.NamedTuple):
    """A page for one person: an enrolment sheet, or one about security keys."""

    user: str
    place: str
    device: str
    keys: bool
    """Whether it is about security keys."""
    path: Path

    @property
    def link(self) -> str:
        """The relative link to it from a page in the same directory."""
        return f"./{quote(self.path.name)}"

    @property
    def day(self) -> str:
        """The day, in UTC, on which it was written."""
        written = datetime.datetime.fromtimestamp(self.path.stat().st_mtime, datetime.UTC)
        return written.date().isoformat()


def find(directory: Path, places: t.Mapping[str, t.Container[str]]) -> tuple[list[Sheet], list[str]]:
    """The sheets in a directory, sorted by account, and the names of files that are not sheets of these places.

    :param places: the places that sheets are named after, each with the accounts that have no second factor there any
        more.
    Raises OSError.
    """
    sheets, strange = [], []
    for path in sorted(directory.glob("*@*.html")):
        sheet = _sheet(path, places) if path.is_file() and not path.is_symlink() else None
        if sheet is None:
            strange.append(path.name)
        else:
            sheets.append(sheet)
    return sorted(sheets), strange


def _sheet(path: Path, places: t.Mapping[str, t.Container[str]]) -> Sheet | None:
    for place in sorted(places, key=len, reverse=True):
        end = f"@{place.replace('/', '-')}.html"
        if path.name.endswith(end):
            stem = path.name.removesuffix(end)
            keys = stem.endswith(_KEYS)
            user, plus, device = stem.removesuffix(_KEYS).partition("+")
            if is_account_name(user) and (is_label(device) if plus else True) and user not in places[place]:
                return Sheet(user, place, device, keys, path)
    return None
