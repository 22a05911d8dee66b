# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation site: it builds without a warning, nothing in it leads nowhere, and it fetches nothing."""

from __future__ import annotations

import html.parser
import subprocess
import urllib.parse
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_SITE = _ROOT / "build" / "docs"
_LOADED = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src"}


class Page(html.parser.HTMLParser):
    """What a page leads to, what a browser loads for it, and what can be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.ids: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        elif values.get(_LOADED.get(tag, "")):
            self.loaded.add(values[_LOADED[tag]])


@pytest.fixture(scope="module")
def pages() -> dict[Path, Page]:
    done = subprocess.run([_ROOT / "tests" / "build-docs"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return {path: Page(path) for path in _SITE.rglob("*.html")}


def test_has_every_guide_and_every_plugin(pages: dict[Path, Page]) -> None:
    guides = {_SITE / f"{path.stem}.html" for path in (_ROOT / "docs").glob("*.md")}
    plugins = {
        _SITE / "reference" / f"{path.stem}_{kind.removesuffix('s')}.html"
        for kind in ("connection", "filter", "lookup", "modules")
        for path in (_ROOT / "plugins" / kind).glob("[!_]*.py")
    }
    assert guides | plugins | {_SITE / "reference" / "twofactor_role.html", _SITE / "changelog.html"} <= set(pages)


def test_has_no_complaint_of_the_theme(pages: dict[Path, Page]) -> None:
    assert [path.name for path in pages if "ERROR: " in path.read_text()] == []


def test_internal_links_and_pictures_lead_somewhere(pages: dict[Path, Page]) -> None:
    lost = []
    for path, page in pages.items():
        for link in page.links | page.loaded:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            there = target.is_file() and (
                not parts.fragment or target not in pages or parts.fragment in pages[target].ids
            )
            if not there:
                lost.append(f"{path.relative_to(_SITE)}: {link}")
    assert lost == []


def test_fetches_nothing_from_elsewhere(pages: dict[Path, Page]) -> None:
    fetched = {one for page in pages.values() for one in page.loaded if urllib.parse.urlsplit(one).netloc}
    assert fetched == set()
    sheets = "".join(path.read_text() for path in _SITE.rglob("*.css"))
    assert "url(http" not in sheets.replace('"', "").replace("'", "")
    assert "@import" not in sheets


def test_pages_of_the_checkout_lead_to_files_that_exist() -> None:
    """As on GitHub, where README and docs/ are read in place."""
    for path in [*_ROOT.glob("*.md"), *(_ROOT / "docs").glob("*.md")]:
        text = path.read_text()
        for link in {part.split(")")[0] for part in text.split("](")[1:]}:
            name = link.partition("#")[0]
            if name and "://" not in name:
                assert (path.parent / name).exists(), f"{path.name}: {link}"
