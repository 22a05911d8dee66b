# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from hypothesis import HealthCheck, assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils import _plan
from ansible_collections.fleet.auth.plugins.module_utils._changes import Plan
from ansible_collections.fleet.auth.plugins.module_utils._settings import Settings
from ansible_collections.fleet.auth.plugins.module_utils._state import HostState
from unit.builders import STRANGER, host_state, settings
from unit.simulator import Machine

PEOPLE = ("ansible", "alice", "bob", "carol")


def plan(wanted: Settings, state: HostState) -> Plan:
    return _plan.plan(wanted, state, STRANGER)


@st.composite
def policies(draw: st.DrawFn) -> Settings:
    scope = draw(st.sampled_from(["everyone", "enrolled", "groups"]))
    some = st.lists(st.sampled_from([*PEOPLE, "root"]), unique=True, max_size=3)
    users = [{"name": name} for name in PEOPLE]
    if scope == "enrolled":
        users = [
            {"name": name, "state": draw(st.sampled_from(["present", "present", "absent"]))}
            for name in draw(st.lists(st.sampled_from(PEOPLE), unique=True))
        ]
    return settings(
        ssh=draw(st.booleans()),
        services=draw(st.lists(st.sampled_from(["cockpit", "sudo"]), unique=True)),
        users=users,
        otp_digits=draw(st.integers(6, 8)),
        interval=draw(st.sampled_from([30, 60])),
        window=draw(st.integers(0, 3)),
        ssh_first_factors=draw(st.sampled_from([["publickey", "password"]] * 3 + [["publickey"]])),
        scope=scope,
        scope_groups=draw(st.sampled_from([["staff"], ["admins"], ["staff", "admins"]])) if scope == "groups" else [],
        exempt_users=draw(some),
        exempt_groups=draw(st.sampled_from([[], [], ["guests"], ["admins"]])),
        exempt_addresses=draw(st.sampled_from([[], [], ["192.0.2.0/24"], ["192.0.2.9", "2001:db8::/32"]])),
        lockout=draw(st.sampled_from([None, {"attempts": 3}])),
    )


def carry_out(machine: Machine, wanted: Settings) -> Machine:
    made = plan(wanted, machine.state)
    assume(not made.refusals)
    return machine.stages(made.changes)[-1]


OFF = settings(enabled=False)
many = hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)


class TestOrder:
    @many
    @given(policies(), policies())
    def test_every_state_between_is_the_old_policy_or_the_new_one(self, first: Settings, second: Settings) -> None:
        machine = Machine.booted(host_state())
        for wanted in (first, second, OFF):
            made = plan(wanted, machine.state)
            assume(not made.refusals)
            stages = machine.stages(made.changes)
            old, new = stages[0].logins(), stages[-1].logins()
            for done, stage in zip([None, *made.changes], stages, strict=True):
                for restarted in (False, True):
                    for login, granted in stage.logins(restarted).items():
                        assert granted in (old[login], new[login]), (login, granted, done, restarted)
            machine = stages[-1]
