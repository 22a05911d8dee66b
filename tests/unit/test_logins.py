# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accounts with a recent login are named before they are locked out, whatever the host knows of passwords and keys."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._host.state import Connection, HostState, Login
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings
from unit.builders import ACCOUNTS, SERVICES, SSHD_CONFIG, account, host_state, plan, settings

JOE = account("joe", "staff", has_password=False, has_key=False)
"""An account of a directory: the host knows neither its password nor its key."""
METHODS = ["publickey", "password", "keyboard-interactive/pam", "gssapi-with-mic", "hostbased"]


def wanting(*further: str, **changes: t.Any) -> Settings:
    policy = {"ssh": True, "services": [], "exempt_users": ["ansible"]}
    return settings("alice", "bob", "carol", *further, **{**policy, **changes})


def host(*logins: Login, **changes: t.Any) -> HostState:
    found = {(one.name, one.service): tuple(two for two in logins if two[:2] == one[:2]) for one in logins}
    return host_state(*ACCOUNTS, JOE, **{"logins": found, **changes})


def joe(method: str, service: str = "sshd") -> Login:
    return Login("joe", service, method, "2026-11-20")


def test_nobody_is_named_who_has_not_logged_in() -> None:
    assert plan(wanting(), host()).refusals == ()


@pytest.mark.parametrize("method", METHODS)
def test_whoever_has_no_credential_is_named_with_the_method_and_the_day(method: str) -> None:
    (refusal,) = plan(wanting(), host(joe(method))).refusals
    assert refusal.startswith(f"joe has logged in to sshd on web1 by {method} on 2026-11-20, has no credential")


@pytest.mark.parametrize("name", ["CORP\\joe", "mary ann", "jürgen"])
def test_whoever_has_a_name_that_no_file_can_carry_is_told_of_the_way_by_a_group(name: str) -> None:
    person = account(name, "domain users", "staff", has_key=False)
    (refusal,) = plan(wanting(), host_state(*ACCOUNTS, person)).refusals
    assert refusal == (
        f"{name} has no credential and would be locked out of sshd on web1. Neither a credential nor exempt_users can "
        "carry this name. Exempt a group that it is in (staff) with exempt_groups, or leave ssh false."
    )
    assert plan(wanting(exempt_groups=["staff"]), host_state(*ACCOUNTS, person)).refusals == ()


@pytest.mark.parametrize("service", ["sudo", "su", "cockpit"])
@pytest.mark.parametrize(("method", "seen_at"), [("password", "sshd"), ("keyboard-interactive/pam", "sshd")])
def test_whoever_has_typed_a_password_somewhere_is_named_at_each_service_that_asks_for_one(
    service: str, method: str, seen_at: str
) -> None:
    (refusal,) = plan(wanting(ssh=False, services=[service]), host(joe(method, seen_at))).refusals
    assert refusal.startswith(f"joe has no credential and would be locked out of {service} on web1.")
    assert plan(wanting("joe", ssh=False, services=[service]), host(joe(method, seen_at))).refusals == ()


def test_key_or_ticket_is_no_password_for_sudo() -> None:
    for method in ("publickey", "gssapi-with-mic", ""):
        assert plan(wanting(ssh=False, services=["sudo"]), host(joe(method))).refusals == ()


def test_session_without_a_known_method_counts_as_well() -> None:
    (refusal,) = plan(wanting(), host(joe(""))).refusals
    assert refusal.startswith("joe has logged in to sshd on web1 on 2026-11-20, has no credential")


@pytest.mark.parametrize(
    "changes",
    [{"exempt_users": ["ansible", "joe"]}, {"exempt_groups": ["joe"]}, {"scope": "enrolled"}, {"ssh": False}],
)
def test_whoever_is_asked_for_no_code_is_not_named(changes: dict[str, t.Any]) -> None:
    assert plan(wanting(**changes), host(joe("password"))).refusals == ()


@pytest.mark.parametrize(
    ("method", "factors", "named"),
    [
        ("publickey", ["publickey", "password"], False),
        ("password", ["publickey", "password"], False),
        ("publickey", ["password"], True),
        ("password", ["publickey"], True),
        ("keyboard-interactive/pam", ["publickey"], True),
        ("gssapi-with-mic", ["publickey", "password"], True),
        ("hostbased", ["publickey", "password"], True),
    ],
)
def test_whoever_is_enrolled_needs_a_first_factor_too(method: str, factors: list[str], named: bool) -> None:
    people = [replace(one, has_password=one.uid >= 1000, has_key=one.uid >= 1000) for one in ACCOUNTS]
    state = host_state(*people, JOE, logins={("joe", "sshd"): (joe(method),)})
    refusals = plan(wanting("joe", ssh_first_factors=factors), state).refusals
    beginning = f"joe has logged in to sshd on web1 by {method} on 2026-11-20, and with two-factor login sshd takes"
    assert [one.startswith(beginning) for one in refusals] == [True] * named


def test_one_login_by_a_factor_that_is_taken_will_do() -> None:
    logins = (joe("gssapi-with-mic"), joe(""), joe("keyboard-interactive/pam")._replace(day="2026-11-02"))
    assert plan(wanting("joe"), host(*logins[:2])).refusals != ()
    assert plan(wanting("joe"), host(*logins)).refusals == ()
    (refusal,) = plan(wanting(), host(*logins)).refusals
    assert refusal.startswith("joe has logged in to sshd on web1 by gssapi-with-mic on 2026-11-20, has no credential")


@pytest.mark.parametrize("method", ["gssapi-with-mic", "publickey"])
def test_key_that_somebody_else_may_have_counts_less_than_a_login(method: str) -> None:
    """For example, where sshd asks a command for everybody's keys, whether they have any or not."""
    asked = replace(JOE, has_key=True, key_is_elsewhere=True)
    seen = {("joe", "sshd"): (joe(method),)}
    (refusal,) = plan(wanting(), host_state(*ACCOUNTS, asked, logins=seen)).refusals
    assert refusal.startswith(f"joe has logged in to sshd on web1 by {method} on 2026-11-20, has no credential")
    refusals = plan(wanting("joe"), host_state(*ACCOUNTS, asked, logins=seen)).refusals
    assert ["by gssapi-with-mic" in one for one in refusals] == [True] * (method != "publickey")
    (refusal,) = plan(wanting(), host_state(*ACCOUNTS, asked)).refusals
    assert refusal.startswith("joe has no credential and would be locked out of sshd on web1")


def test_account_of_ansible_is_named_though_nothing_but_its_session_shows_how_it_logs_in() -> None:
    state = host_state(*ACCOUNTS, JOE, connection=Connection("joe", "192.0.2.9"))
    (refusal,) = plan(wanting(), state).refusals
    assert refusal.startswith("joe, as whom Ansible connects, has no credential and would be locked out of sshd")
    assert plan(wanting("joe"), state).refusals == ()


@pytest.mark.parametrize("scope", ["everyone", "enrolled", "groups"])
def test_whoever_sshd_counts_into_no_group_is_refused_where_it_decides_by_groups(scope: str) -> None:
    """No `Match Group` of sshd matches such an account, not even `Group *`, so it would need no code."""
    loner = account("joe", groups=())
    refusals = plan(
        wanting("joe", scope=scope, scope_groups=["staff"] if scope == "groups" else [], exempt_groups=["admins"]),
        host_state(*ACCOUNTS, loner),
    ).refusals
    assert [one.startswith("joe is in no group that has a name on web1") for one in refusals] == [True] * (
        scope != "groups"
    )
    assert plan(wanting("joe", scope="everyone"), host_state(*ACCOUNTS, loner)).refusals == ()


def test_whoever_sshd_admits_no_more_is_not_named() -> None:
    files = {places.SSHD_CONFIG: SSHD_CONFIG + "DenyUsers joe\n"}
    assert plan(wanting(), host(joe("password"), files=files)).refusals == ()


@pytest.mark.parametrize(("method", "named"), [("publickey", True), ("keyboard-interactive/pam", False)])
def test_root_whose_password_gets_in_no_more_is_not_named_for_it(method: str, named: bool) -> None:
    """PermitRootLogin is `prohibit-password` by default."""
    refusals = plan(wanting(), host(Login("root", "sshd", method, "2026-11-20"))).refusals
    assert [one.startswith("root has logged in to sshd on web1 by publickey") for one in refusals] == [True] * named


def test_whoever_logs_in_has_to_be_proven() -> None:
    refusals = plan(wanting("joe", require_proof=True), host(joe("password"))).refusals
    assert any(" and joe log in to sshd on web1, and no code of them was right" in one for one in refusals)


def test_session_in_cockpit_counts_there() -> None:
    (refusal,) = plan(wanting(ssh=False, services=["cockpit"]), host(joe("password", "cockpit"))).refusals
    assert refusal.startswith("joe has no credential and would be locked out of cockpit on web1")


def test_journal_that_does_not_tell_all_is_told() -> None:
    (warning,) = plan(wanting(), host(logins_unread="the journal could not be read in full")).warnings
    assert "the journal could not be read in full" in warning


BY_RUN0 = Connection("alice", "192.0.2.9", programs=("python3", "sh", "systemd", "run0", "sh"), asking_systemd=7)
BECOME: list[tuple[str, dict[str, t.Any], str]] = [
    ("sudo", {"become_asks": frozenset({"sudo"})}, "alice"),
    ("doas", {"become_asks": frozenset({"doas"})}, "alice"),
    ("su", {"connection": Connection("alice", "192.0.2.9", programs=("python3", "sh", "su", "bash"))}, "root"),
    ("polkit-1", {"connection": BY_RUN0, "become_asks": frozenset({"polkit-1"})}, "alice"),
]


@pytest.mark.parametrize(("service", "seen", "named"), BECOME)
def test_ansible_goes_on_to_become_root(service: str, seen: dict[str, t.Any], named: str) -> None:
    files = {f"{places.PAM_D}/{other}": SERVICES["sudo"] for other in ("doas", "polkit-1")}
    state = host(**{"connection": Connection("alice", "192.0.2.9"), "files": files, **seen})
    wanted: dict[str, t.Any] = {"services": [service], "ssh": False}
    (refusal,) = plan(wanting("root", "joe", **wanted), state).refusals
    program = "run0" if service == "polkit-1" else service
    assert f"alice, as whom Ansible connects, becomes root on web1 by {program} with a password" in refusal
    assert f"Exempt {named} with exempt_users" in refusal
    assert plan(wanting("root", "joe", **wanted, exempt_groups=[named]), state).refusals == ()


def test_su_that_sudo_runs_asks_ansible_for_nothing() -> None:
    by = Connection("alice", "192.0.2.9", programs=("python3", "sh", "su", "sudo", "sh"))
    assert plan(wanting("root", "joe", services=["su"], ssh=False), host(connection=by)).refusals == ()
