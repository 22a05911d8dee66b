# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A credential that its user made alone proves nothing until it is accepted: a stolen password is enough for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._backends import backends
from ansible_collections.fleet.auth.plugins.module_utils._plan import report, warnings
from ansible_collections.fleet.auth.plugins.module_utils._plan.situation import Situation
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import CodeStep
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings, User
from unit.builders import KEY, OTHER_KEY, file, host_state, plan, random_keys, settings

MADE = "2026-11-28/cockpit"
HISTORY = " 0 755224 2026-03-01T12:00:00L"
SELF_MADE = f"# fleet.auth self-made={MADE}\nHOTP/T30 alice - {KEY.hex()}{HISTORY}\n"


@pytest.mark.parametrize("backend", sorted(backends.BACKENDS))
class TestNote:
    def text(self, backend: str) -> str:
        """The text of a credential with a key of which a code was used."""
        one = backends.BACKENDS[backend]
        return one.revise(None, User("alice", secret=KEY), Settings(backend=backend), random_keys())

    def test_is_kept_until_it_is_accepted(self, backend: str) -> None:
        one, text = backends.BACKENDS[backend], self.text(backend)
        made = one.with_self_made(text, "alice", MADE)
        assert one.read(made, "alice").self_made == MADE
        same = one.revise(made, User("alice", recovery_codes="a"), Settings(backend=backend), random_keys())
        assert one.read(same, "alice").self_made == MADE
        assert one.with_self_made(made, "alice", "") == text
        assert one.with_self_made(text, "alice", "") == text

    def test_is_removed_with_the_key(self, backend: str) -> None:
        one = backends.BACKENDS[backend]
        made = one.with_self_made(self.text(backend), "alice", MADE)
        for wanted in (User("alice", secret=OTHER_KEY), User("alice", renew="lost")):
            new = one.revise(made, wanted, Settings(backend=backend), random_keys(1))
            assert one.read(new, "alice").self_made == ""

    def test_is_kept_in_a_move_to_another_backend(self, backend: str) -> None:
        made = backends.BACKENDS[backend].with_self_made(self.text(backend), "alice", MADE)
        for other, one in backends.BACKENDS.items():
            found = backends.BACKENDS[backend].read(made, "alice")
            text = one.render(found, "alice", Settings(backend=other), random_keys())
            assert one.read(text, "alice").self_made == MADE


class TestBeforeAcceptance:
    STATE = host_state(credentials={"alice": file(SELF_MADE, 0o600)})

    def test_credential_is_no_proof(self) -> None:
        target = settings(
            "alice", ssh=True, services=[], require_proof=True, exempt_users=["ansible", "root", "bob", "carol"]
        )
        (refusal,) = plan(target, self.STATE).refusals
        assert refusal.startswith("alice enrolled on web1 on 2026-11-28 (cockpit) with nothing but the first factor.")
        assert "fleet.auth.accept -e user=alice" in refusal
        accepted = host_state(credentials={"alice": file(SELF_MADE.partition("\n")[2], 0o600)})
        assert not plan(target, accepted).refusals

    def test_variables_may_mark_it_as_proven(self) -> None:
        target = settings(ssh=True, services=[], require_proof=True, exempt_users=["ansible", "root", "bob", "carol"])
        vouched = replace(target, users=(User("alice", proven=True),))
        assert not plan(vouched, self.STATE).refusals
        assert report.users(Situation(vouched, self.STATE))["alice"]["self_made"] is None

    def test_scope_enrolled_excludes_its_user(self) -> None:
        target = settings(ssh=True, services=[], scope="enrolled", require_proof=True)
        made = plan(target, self.STATE)
        assert not made.refusals
        situation = Situation(target, self.STATE)
        assert not situation.in_scope(self.STATE.accounts["alice"])
        assert Situation(replace(target, require_proof=False), self.STATE).in_scope(self.STATE.accounts["alice"])

    def test_user_who_is_already_asked_stays_in_scope(self) -> None:
        target = settings(ssh=True, services=[], scope="enrolled", require_proof=True)
        line = backends.BACKENDS["oath"].pam_line(target)
        asked = host_state(
            files={places.SWITCH: CodeStep.wanted(target, ["alice"], line).render()},
            credentials={"alice": file(SELF_MADE, 0o600)},
        )
        assert Situation(target, asked).in_scope(asked.accounts["alice"])

    def test_each_run_warns(self) -> None:
        (told,) = warnings.self_made(Situation(settings("alice"), self.STATE))
        assert told.startswith("alice (2026-11-28, cockpit) enrolled on web1 with nothing but the first factor, and ")
        assert not [*warnings.self_made(Situation(settings("alice"), host_state()))]

    def test_credential_is_reported_and_gets_no_sheet(self) -> None:
        situation = Situation(settings("alice"), self.STATE)
        told = report.users(situation)["alice"]
        assert (told["enrolled"], told["proven"], told["self_made"]) == (True, False, MADE)
        assert report.to_prove(situation) == []
