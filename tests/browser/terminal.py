# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a terminal shows, as text and as an image."""

from __future__ import annotations

import html
import io
import re
import typing as t

import pexpect
from playwright.sync_api import Browser

from browser.test_cockpit import PICTURES

# Prompts end without a newline, and shell prompts end with a dollar sign.
_PROMPT = r": ?$|\$ $"
_PAGE = """\
<!doctype html>
<meta charset="utf-8">
<style>
    body { margin: 0; display: inline-block; background: #1b1f24; color: #dfe3e8; }
    pre { margin: 24px 28px; max-width: 120ch; font: 17px/1.5 "DejaVu Sans Mono", monospace; white-space: pre-wrap; }
</style>
"""
_COLOUR = re.compile(r"\x1b\[([\d;]*)m")
_COLOURS = {"31": "#f2a39b", "32": "#86d3a2", "33": "#e8c174", "34": "#8bb8f0", "35": "#d3a6e8", "36": "#7fd0d8"}


def typed(command: t.Sequence[str], shown_as: str, *answers: str, **how: t.Any) -> str:
    """Run a command in a terminal, type these answers at its prompts, and return all that the terminal shows."""
    shown = io.StringIO()
    print("$", shown_as, file=shown)
    child = pexpect.spawn(command[0], [*command[1:]], encoding="utf-8", **how)
    child.logfile_read = shown
    try:
        for answer in answers:
            child.expect(_PROMPT)
            child.sendline(answer)
        child.expect(pexpect.EOF)
        return shown.getvalue().replace("\r", "")
    finally:
        child.close(force=True)


def plain(shown: str) -> str:
    """The text of a terminal without colours."""
    return _COLOUR.sub("", shown)


def picture(browser: Browser, name: str, *shown: str) -> None:
    """Save an image of a terminal that shows these sessions."""
    page = browser.new_page(viewport={"width": 1400, "height": 100})
    page.set_content(_PAGE + "".join(f"<pre>{_COLOUR.sub(_coloured, html.escape(one))}</pre>" for one in shown))
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.locator("body").screenshot(path=PICTURES / name)
    page.close()


def _coloured(code: re.Match[str]) -> str:
    """The HTML that begins a colour, or ends it."""
    colour = _COLOURS.get(code[1].rpartition(";")[2])
    return f'<span style="color: {colour}">' if colour else "</span>"
