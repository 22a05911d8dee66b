# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Some random stacks; `make stacks` tries thousands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import hosts
from hosts import Host

from .campaign import as_text, differing, random_stacks
from .made import ODD, Texts

_FLEET = hosts.of_this_checkout("stacks-sample")


@pytest.fixture(scope="module", params=hosts.RELEASES)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    try:
        yield hosts.up(_FLEET, {"web": request.param}, ntp=False, recreate=True)[0]
    finally:
        hosts.down(_FLEET)


def test_random_stacks_end_as_in_libpam(host: Host) -> None:
    stacks = random_stacks(150, beginning=len(host.release))
    assert len(stacks) == 150
    found = differing(host, stacks)
    assert not found, as_text(found[0])


@pytest.mark.parametrize("module", ["pam_permit.so", "pam_deny.so"])
def test_service_without_auth_lines_uses_the_file_other(host: Host, module: str) -> None:
    common = {"common-account": "account required pam_permit.so\n", "other": f"auth required {module}\n"}
    lines = ("", "account required pam_permit.so\n", "@include this-inner\n", "auth include this-inner\n")
    stacks = [{**common, "this-inner": "session optional pam_permit.so\n", "this-door": line} for line in lines]
    found = differing(host, stacks)
    assert not found, as_text(found[0])


def _around(line: str, inner: str) -> Texts:
    """A service with a line between two others, and two files that the line may include."""
    around = "auth required pam_permit.so\n"
    included = dict.fromkeys(("this-inner", "this-outer"), f"auth required {inner}\n")
    return {"common-account": "account required pam_permit.so\n", **included, "this-door": f"{around}{line}\n{around}"}


def test_odd_lines_are_read_as_in_libpam(host: Host) -> None:
    stacks = [_around(line, inner) for line in ODD for inner in ("pam_permit.so", "pam_deny.so")]
    stacks += [{**one, "this-door": one["this-door"].split("\n")[1]} for one in stacks]
    found = differing(host, stacks)
    assert not found, as_text(found[0])
