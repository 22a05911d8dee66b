# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rewords Ansible's messages about options of the wrong type, for people who write YAML. Pure."""

from __future__ import annotations

import datetime
import re
import typing as t

_WRONG = re.compile(
    r"argument '(?P<name>\w+)' is of type (?P<given>\w+)(?: found in '(?P<within>[\w> -]+)'\.)?"
    r" and we were unable to convert to (?P<wanted>\w+): [^\n]*"
)
_MISSING = re.compile(r"missing required arguments: (?P<names>[\w, ]+) found in (?P<within>[\w> -]+)")
_WANTED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "list": "a list",
    "dict": "a dictionary",
}
_GIVEN = {
    **_WANTED,
    "int": "a number",
    "float": "a number with a fraction",
    "date": "a date",
    "datetime": "a date",
    "NoneType": "empty",
}


def kind(value: object) -> str:
    """What people who write YAML call such a value; the value itself may be a secret."""
    if isinstance(value, t.Mapping):
        return _GIVEN["dict"]
    types = (bool, int, float, str, list, datetime.date)
    python_type = next((one for one in types if isinstance(value, one)), type(value))
    return _GIVEN.get(python_type.__name__, "something else")


def in_words(message: str, marked: t.Callable[[str], str] = str) -> str:
    """Ansible's message about options, reworded and without the values, which may be secrets.

    :param marked: formats the name of a top-level option.
    """

    def path(match: re.Match[str], name: str = "") -> str:
        outer, *inner = [*(match["within"] or "").split(" -> "), name] if match["within"] else [name]
        return ".".join([marked(outer), *filter(None, inner)])

    def wrong(match: re.Match[str]) -> str:
        wanted, given = _WANTED.get(match["wanted"], match["wanted"]), _GIVEN.get(match["given"], "something else")
        return f"{path(match, match['name'])} must be {wanted}, and is {given}"

    def missing(match: re.Match[str]) -> str:
        return f"an entry of {path(match)} has no {match['names']}"

    return _MISSING.sub(missing, _WRONG.sub(wrong, message))


_OF_CONNECTION = re.compile(r"'(totp_\w+|password)' for '[^']+' connection plugin\b")
_FORMS = {
    "totp_digits": "a whole number",
    "totp_interval": "a whole number",
    "totp_jump_hosts": "a dictionary of jump hosts, by their names",
}
"""The required form of those options of the connection that are not texts."""


def connection_message(message: str) -> str:
    """Ansible's message about an option of the connection ssh_totp, without the value, which may contain a secret."""
    match = _OF_CONNECTION.search(message)
    if not match:
        return message
    form = _FORMS.get(match[1], "a text")
    return f"ansible_{match[1]} must be {form}, and is something else. Correct it where it is set."
