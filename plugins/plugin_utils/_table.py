# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports of a fleet, for a terminal. Pure."""

from __future__ import annotations

import typing as t


def table(
    rows: t.Sequence[t.Sequence[str]], notes: t.Iterable[tuple[str, str]], counts: t.Mapping[str, int], total: int
) -> str:
    """A line a host in columns, the first row being their headings; below them the notes, and how many there are.

    :param notes: a host and a sentence about it.
    :param counts: how many hosts there are of each kind; those of which there are none are not told.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    parts = [lines, [f"{host}: {note}" for host, note in notes], [f"{total} hosts: {told}" if total else "No hosts."]]
    return "\n\n".join("\n".join(part) for part in parts if part)
