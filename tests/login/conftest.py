# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host of each release in `hosts.RELEASES`, with two-factor login off and no account but Ansible's.

Tests use pam_oath, unless a mark names the backends. A backend's behaviour depends on its own files, and releases
differ in sshd, PAM and systemd. So a test with another backend runs on the newest release only, while tests of who may
log in run with all backends on all releases. Tests for other releases name them.

Many files test what does not depend on the release: what the plan refuses, how a change is rolled back, what the
playbooks print. A mark names the one release on which they run with pam_oath, so that both releases have about half of
them; with EVERY_RELEASE=1 in the environment they run on each.
"""

from __future__ import annotations

import os
import typing as t
from collections.abc import Iterator

import pytest

import hosts
from login.backends import GOOGLE, OATH, backend_of, use
from login.modules import module
from login.people import Person, inventory_path, new_person

_PLACES = {
    f"{release}{suffix}": (release, backend)
    for suffix, backend in (("", OATH), ("-google", GOOGLE))
    for release in (*hosts.RELEASES, *hosts.OLDER)
}
"""Release and backend, by the test id."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "backends(*backends, everywhere=False): run with these backends of `login.backends`: pam_oath on each release, "
        "the others on the newest one, or if everywhere is true, each of them on each release",
    )
    config.addinivalue_line(
        "markers",
        "release(name): run with pam_oath on this release only, unless EVERY_RELEASE is set in the environment",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    named = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "host" in metafunc.fixturenames and not any("host" in ([one] if isinstance(one, str) else one) for one in named):
        mark = metafunc.definition.get_closest_marker("backends")
        backends = mark.args if mark else (OATH,)
        everywhere = mark is not None and mark.kwargs.get("everywhere", False)
        alone = metafunc.definition.get_closest_marker("release")
        by_oath = [*alone.args] if alone and not os.environ.get("EVERY_RELEASE") else [*hosts.RELEASES]
        by_others = [*hosts.RELEASES] if everywhere else [max(hosts.RELEASES)]
        places = [
            name
            for name, (release, backend) in _PLACES.items()
            if backend in backends and release in (by_oath if backend is OATH else by_others)
        ]
        metafunc.parametrize("host", places, indirect=True, scope="module")


@pytest.fixture(scope="session")
def fleet(worker_id: str) -> Iterator[t.Callable[[str], hosts.Host]]:
    """Return a function that gives the host of a release. Each worker has its own hosts, created at first use."""
    up: dict[str, hosts.Host] = {}

    def host(release: str) -> hosts.Host:
        if release not in up:
            name = hosts.of_this_checkout(f"login-{worker_id}-{release}")
            machines = hosts.up(name, {f"web{release[-2:]}": release}, recreate=True)
            hosts.inventory(machines, inventory_path(name))
            up[release] = machines[0]
        return up[release]

    yield host
    for machine in up.values():
        hosts.down(machine.fleet)


@pytest.fixture(scope="module")
def host(fleet: t.Callable[[str], hosts.Host], request: pytest.FixtureRequest) -> Iterator[hosts.Host]:
    """One host, with two-factor login off before and after the module's tests, and no account but Ansible's."""
    release, backend = _PLACES[request.param]
    machine = fleet(release)
    use(machine, backend)
    before = _accounts(machine)
    yield machine
    module(machine, "twofactor", {"enabled": False, "purge_credentials": True})
    for name in _accounts(machine) - before:
        machine.run("userdel", "--force", "--remove", name)
    # Remove what Ansible leaves of a module that was killed, and the timer of passes, which would go within a minute.
    machine.run("rm -rf /tmp/ansible_fleet*")
    machine.run("systemctl", "start", "fleet-auth-passes.service", check=False)


@pytest.fixture(scope="module")
def package(host: hosts.Host) -> None:
    """Install the backend's package, for tests that run the module without the role, which would install it."""
    host.install(backend_of(host).package)


@pytest.fixture
def person(host: hosts.Host) -> t.Callable[[], Person]:
    """Return a function that makes an account. Each login test needs its own, because a code is accepted only once."""
    return lambda: new_person(host)


def _accounts(host: hosts.Host) -> set[str]:
    """The accounts of people. Accounts of packages are left out: one may have / as its home."""
    return set(host.run("getent passwd | awk -F: '$3 >= 1000 { print $1 }'").stdout.split())
