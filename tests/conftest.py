# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shared by all tests: the distribution over workers, a browser, and the time limit for examples of properties."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

if t.TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

# No deadline: on a busy machine, an example of a property may take long.
settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

_HOST = re.compile(r"\bdebian\d+(-google)?\b")
_FIRST = (
    *(
        "controllers",
        "test_self_service",
        "test_cockpit",
        "test_pages",
        "test_guards",
        "test_scope",
        "test_transaction",
    ),
    *("test_directory", "test_backends", "test_rollout", "test_connection", "test_recovery", "test_wrong_codes"),
    *("test_settings", "test_disable", "test_sheets", "test_adopt", "test_broken_hosts", "test_secrets", "test_doors"),
    *("test_between_runs", "test_login", "test_undecided", "test_life_cycle", "test_sshds", "test_held", "test_sudo"),
)
"""The files that take longest start first, in this order, so that no worker is left with one of them at the end."""


class ByHost(LoadScopeScheduling):
    """Tests that share hosts stay on one worker: a file or, if it needs hosts, its tests on one release and backend.

    The tests of controllers share one large fleet.

    The groups of pytest-xdist 3.8 would do the same, but pytest 9.2 does not let it name them.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _separator, test = nodeid.partition("::")
        if file.startswith("tests/controllers/"):
            return "tests/controllers"
        host = _HOST.search(test)
        return f"{file} {host[0] if host else ''}"

    def _assign_work_unit(self, node: WorkerController) -> None:
        """Assign the remaining work unit that takes longest."""
        self.workqueue.move_to_end(min(self.workqueue, key=self._turn), last=False)
        super()._assign_work_unit(node)

    def _turn(self, scope: str) -> tuple[int, int]:
        name = PurePosixPath(scope.partition(" ")[0]).stem
        return _FIRST.index(name) if name in _FIRST else len(_FIRST), -len(self.workqueue[scope])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByHost | None:
    """Use this scheduler for logins and pages; guides are followed one by one, on any free worker."""
    return ByHost(config, log) if config.option.dist == "loadgroup" else None


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """The object that starts browsers; a process may have only one."""
    # Most workers never need it.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """A browser for pages in files."""
    from browser import chromium

    with chromium(playwright) as started:
        yield started
