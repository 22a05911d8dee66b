# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation site builds without a warning, has no broken links, and fetches nothing."""

from __future__ import annotations

import html.parser
import re
import subprocess
import urllib.parse
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

_ROOT = Path(__file__).resolve().parents[2]
_SITE = _ROOT / "build" / "docs"
_REPOSITORY = yaml.safe_load((_ROOT / "galaxy.yml").read_text())["repository"]
_SHIPPED = [_ROOT / "README.md", _ROOT / "roles/twofactor/README.md", *sorted((_ROOT / "docs").glob("*.md"))]
"""The pages that are part of the collection."""
_LOADED = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src"}


class Page(html.parser.HTMLParser):
    """The links of a page, what a browser loads for it, and the targets for links in it."""

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


def test_has_no_errors_of_the_theme(pages: dict[Path, Page]) -> None:
    assert [path.name for path in pages if "ERROR: " in path.read_text()] == []


def test_internal_links_and_pictures_exist(pages: dict[Path, Page]) -> None:
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


def test_pages_on_github_link_to_existing_files() -> None:
    """Pages that are read on GitHub alone."""
    for path in sorted({*_ROOT.glob("*.md")} - set(_SHIPPED)):
        for link in [*_targets(path, "link_open", "href"), *_targets(path, "image", "src")]:
            name = link.partition("#")[0]
            if name and "://" not in name:
                assert (path.parent / name).exists(), f"{path.name}: {link}"


@pytest.mark.parametrize("path", _SHIPPED, ids=lambda path: path.name)
def test_pages_of_the_collection_have_working_links_everywhere(path: Path, pages: dict[Path, Page]) -> None:
    """Galaxy shows them without the files next to them, so relative links and pictures do not work there."""
    for link in _targets(path, "link_open", "href"):
        name, _hash, heading = link.partition("#")
        if name.startswith(_REPOSITORY):
            assert name.startswith(f"{_REPOSITORY}/blob/main/"), link
            file = _ROOT / name.removeprefix(f"{_REPOSITORY}/blob/main/")
            assert file.is_file(), link
            assert not heading or heading in pages[_SITE / f"{file.stem}.html"].ids, link
        else:
            assert not name or name.startswith("https://"), link
    for picture in _targets(path, "image", "src"):
        assert picture.startswith(f"{_REPOSITORY}/raw/main/"), picture
        assert (_ROOT / picture.removeprefix(f"{_REPOSITORY}/raw/main/")).is_file(), picture


@pytest.mark.parametrize("path", _SHIPPED, ids=lambda path: path.name)
def test_definitions_of_links_are_not_shown(path: Path) -> None:
    """Two on one line are none, and neither are those below them."""
    assert re.findall(r"\[.+\]:\s", MarkdownIt().enable("table").render(path.read_text())) == []


def _targets(path: Path, kind: str, attribute: str) -> list[str]:
    """The targets of the links in a Markdown page, or the sources of its pictures."""
    inline = [part for token in MarkdownIt().enable("table").parse(path.read_text()) for part in token.children or ()]
    return [str(part.attrs[attribute]) for part in inline if part.type == kind]


def test_site_links_to_its_own_pages(pages: dict[Path, Page]) -> None:
    """The guides link to each other on GitHub. On the site these links stay within it, so it can be read offline."""
    away = f"{_REPOSITORY}/blob/main/docs/"
    assert [path.name for path, page in pages.items() if any(link.startswith(away) for link in page.links)] == []
