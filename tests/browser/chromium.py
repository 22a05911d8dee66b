# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's Chromium, driven by Playwright, and zbarimg, which reads QR codes as a phone does.

The headless shell is Chromium without the windows around its pages. It takes half the time and draws the same pages.
Where a distribution has no package of it, as on GitHub's machines, Chromium itself does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Playwright

from hosts import Host

_ON_NETWORK = Path(__file__).with_name("on-network")


@contextlib.contextmanager
def chromium(playwright: Playwright, neighbour: Host | None = None) -> Iterator[Browser]:
    """A headless browser, on this machine's network or in the network namespace of *neighbour*.

    Chromium aborts page loads whenever an address is added to or removed from its machine. On this machine that happens
    with every container.
    """
    program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    environment: dict[str, str | float | bool] = {**os.environ}
    if neighbour:
        environment |= {"PROGRAM": str(program), "NETWORK": str(neighbour.network)}
        program = str(_ON_NETWORK)
    # Chromium refuses to sandbox itself for root.
    browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], env=environment)
    try:
        yield browser
    finally:
        browser.close()


def decoded(picture: bytes) -> list[str]:
    """The texts of the QR codes in a picture, in any format."""
    words = ["zbarimg", "--quiet", "--raw", "--nodbus", "--set", "*.enable=0", "--set", "qrcode.enable=1", "-"]
    done = subprocess.run(words, input=picture, capture_output=True, check=False)
    if done.returncode not in (0, 4):  # 4: no code was found
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return done.stdout.decode().splitlines()
