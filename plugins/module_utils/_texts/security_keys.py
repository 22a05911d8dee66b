# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file that lists an account's declared security keys; a login is compared with it. Text in, text out."""

from __future__ import annotations

import contextlib
import typing as t

from .. import _places as places
from .._wanted.security_key import TYPES, SecurityKey, decode_key

_HEADER = "# The security keys that are declared of {}. Managed by fleet.auth: changes made here are lost.\n"


def path(user: str, directory: str = places.KEYS_DIRECTORY) -> str:
    """Where the list of an account is."""
    return f"{directory}/{user}"


def lists(files: t.Mapping[str, str], directory: str = places.KEYS_DIRECTORY) -> dict[str, tuple[SecurityKey, ...]]:
    """The keys in the lists among these files, by account; `files` has texts by path."""
    inside = path("", directory)
    return {name[len(inside) :]: parse(text) for name, text in files.items() if name.startswith(inside)}


def render(user: str, keys: t.Iterable[SecurityKey]) -> str:
    """The list: one line per key, as in authorized_keys."""
    return _HEADER.format(user) + "".join(f"{key.words} {key.name}".rstrip() + "\n" for key in keys)


def parse(text: str) -> tuple[SecurityKey, ...]:
    """The security keys in a list, or in an authorized_keys file, where options may come before them; no other keys."""
    found = []
    for line in text.split("\n"):
        words = [] if line.lstrip().startswith("#") else line.split()
        start = next((number for number, word in enumerate(words) if word in TYPES), len(words))
        with contextlib.suppress(ValueError):
            found.append(decode_key(" ".join(words[start:])))
    return tuple(found)
