# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The blocks of a page that a reader would type in or copy.

``sh`` is for the controller. ``console`` is for a root shell on the host that the prompt names, with the output.
``yaml`` is a file if its first line names one. ``text`` is only to be read.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

LANGUAGES = ("sh", "console", "yaml", "text")
_FENCE = re.compile(r"^(<!-- Not run by the tests[^\n]*-->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ((?:[\w.-]+/)*[\w.-]+\.yml)\n")


@dataclasses.dataclass(frozen=True)
class Block:
    """One block: its page, its first line, its language, its text, and whether the tests run it."""

    page: Path
    line: int
    language: str
    text: str
    runs: bool = True

    def __str__(self) -> str:
        return f"{self.page.name}, line {self.line}:\n{self.text}"

    @property
    def file(self) -> str | None:
        """The path of the file whose contents the block shows, or None."""
        named = _FILE.match(self.text) if self.language == "yaml" else None
        return named[1] if named else None


def blocks(page: Path, until: str | None = None) -> list[Block]:
    """All blocks of a page in Markdown, in order, or those above the heading *until*."""
    text = page.read_text()
    text = text[: text.index(f"\n{until}\n") + 1 if until else None]
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found[2], found[3], runs=found[1] is None)
        for found in _FENCE.finditer(text)
    ]
