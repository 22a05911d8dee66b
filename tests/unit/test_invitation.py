# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file of an invitation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._host import invitations
from ansible_collections.fleet.auth.plugins.module_utils._host.invitations import end_of
from ansible_collections.fleet.auth.plugins.module_utils._texts import invitation

KEPT = {"salt": "00" * 16, "digest": "00" * 32, "until": 1772438400.5, "tries": 5}


def test_is_read_as_it_was_written() -> None:
    one = invitation.create("ABCD-EFGH-IJKL-MNOP", b"salt", 1772438400.0)
    assert invitation.parse(one.render()) == one
    assert end_of(one) == "2026-03-02T08:00:00Z"
    assert one.fits("abcd efgh ijk1 mn0p") is one.fits("ABCD-EFGH-IJKI-MNOP") is False
    assert one.fits("abcd efgh ijkl mnop")


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "null", '{"salt": 1}'),
        *(json.dumps({**KEPT, **odd}) for odd in ({"salt": "xy"}, {"tries": "many"}, {"tries": float("inf")})),
    ],
)
def test_damaged_invitation_is_closed_and_has_an_end(text: str) -> None:
    one = invitation.parse(text)
    assert one == invitation.CLOSED
    assert not one.fits("")
    assert end_of(one) == "9999-12-31T23:59:59Z"


def test_end_of_an_endless_invitation_can_be_shown() -> None:
    assert end_of(invitation.parse(json.dumps({**KEPT, "until": 1e300}))) == "9999-12-31T23:59:59Z"


def test_staged_file_of_a_killed_run_belongs_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "INVITATIONS", str(tmp_path))
    one = invitation.create("ABCD-EFGH-IJKL-MNOP", b"salt", 1772438400.0)
    for name in ("alice", ".bob.fleet-auth-new"):
        (tmp_path / name).write_text(one.render())
    assert invitations.open_invitations(1772438399.0) == {"alice": one}
    assert invitations.open_invitations(1772438400.0) == {}
