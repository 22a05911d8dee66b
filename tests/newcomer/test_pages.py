# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every block of README and guides is run, in order, unless the page says that it is not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import hosts
from login.people import furnish
from newcomer import Block, Newcomer, blocks
from newcomer.blocks import LANGUAGES

_ROOT = Path(__file__).resolve().parents[2]
_DOCS = _ROOT / "docs"
_GUIDES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("first-host",), ("web1",)),
    (("fleet",), ("web1", "web2", "web3")),
    (("lost-phone", "controllers", "night"), ("web1",)),
)
"""The guides that are followed from the first block to the last, and the hosts that they name.

Guides that share an entry are followed one after the other, starting with the first host turned on.
"""
_ON = "## Off again"
"""The heading in the guide of the first host up to which two-factor login is on."""

_PAGES = [*_ROOT.glob("*.md"), *_DOCS.glob("*.md")]
_BLOCKS = [block for page in sorted(_PAGES) for block in blocks(page)]


def _name(block: Block) -> str:
    return f"{block.page.stem}-{block.line}"


@pytest.mark.parametrize("block", _BLOCKS, ids=_name)
def test_block_is_well_formed(block: Block) -> None:
    assert block.language in LANGUAGES, f"{block}\nhas another language than {LANGUAGES}"
    if block.language == "sh":
        checked = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, f"{block}\n{checked.stderr}"
    if block.language == "yaml":
        list(yaml.safe_load_all(block.text))


def test_pages_with_commands_are_followed() -> None:
    followed = {"README", "CONTRIBUTING", "install", *(page for pages, _hosts in _GUIDES for page in pages)}
    left = {block.page.stem for block in _BLOCKS if block.language in ("sh", "console") and block.runs}
    assert left <= followed


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that a clone would have if everything were committed."""
    clone = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=_ROOT, capture_output=True, check=True
    )
    packed = subprocess.run(
        ["tar", "-c", "--null", "-T", "-", "--ignore-failed-read"],
        cwd=_ROOT,
        input=listed.stdout,
        capture_output=True,
        check=True,
    )
    subprocess.run(["tar", "-x", "-C", str(clone)], input=packed.stdout, check=True)
    subprocess.run(["git", "init", "--quiet", str(clone)], check=True)
    return clone


@pytest.fixture(scope="module")
def home(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of somebody who has followed the installation guide."""
    home = tmp_path_factory.mktemp("home")
    newcomer = Newcomer(home, clone)
    newcomer.make_known()
    newcomer.read(clone / "docs" / "install.md")
    return home


@pytest.fixture
def newcomer(home: Path, tmp_path: Path) -> Newcomer:
    return Newcomer(home, tmp_path)


@pytest.fixture
def machines(request: pytest.FixtureRequest, worker_id: str) -> Iterator[list[hosts.Host]]:
    """New hosts with alice and bob, who have a password and a key."""
    fleet = hosts.of_this_checkout(f"newcomer-{worker_id}")
    releases = dict(zip(request.param, ("debian13", "debian12", "debian13"), strict=False))
    *machines, _ntp = hosts.up(fleet, releases, recreate=True)
    furnish(machines, "alice", "bob")
    yield machines
    hosts.down(fleet)


@pytest.mark.parametrize(
    ("pages", "machines"), _GUIDES, indirect=["machines"], ids=["-".join(pages) for pages, _hosts in _GUIDES]
)
def test_guides_can_be_followed(newcomer: Newcomer, machines: list[hosts.Host], pages: tuple[str, ...]) -> None:
    newcomer.make_known(*machines)
    if len(pages) > 1:
        newcomer.read(_DOCS / "first-host.md", until=_ON)
    for page in pages:
        newcomer.read(_DOCS / f"{page}.md")


@pytest.mark.parametrize("machines", [("web1",)], indirect=True)
def test_readme_can_be_followed(clone: Path, home: Path, machines: list[hosts.Host]) -> None:
    newcomer = Newcomer(home, clone)
    newcomer.make_known(*machines)
    inventory = clone / "inventory" / "hosts.yml"
    inventory.parent.mkdir()
    inventory.write_text("all: {hosts: {web1: }, vars: {ansible_user: ansible, ansible_become: true}}\n")
    newcomer.read(clone / "README.md")
