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


def wanted(*further: str, **changes: t.Any) -> Settings:
    policy = {"ssh": True, "services": [], "exempt_users": ["ansible"]}
    return settings("alice", "bob", "carol", *further, **{**policy, **changes})


def host(*logins: Login, **changes: t.Any) -> HostState:
    found = {(one.name, one.service): tuple(two for two in logins if two[:2] == one[:2]) for one in logins}
    return host_state(*ACCOUNTS, JOE, **{"logins": found, **changes})


def joe(method: str, service: str = "sshd") -> Login:
    return Login("joe", service, method, "2026-11-20")


def test_account_without_a_login_is_not_named() -> None:
    assert plan(wanted(), host()).refusals == ()


@pytest.mark.parametrize("method", METHODS)
def test_account_without_a_credential_is_named_with_method_and_day(method: str) -> None:
    (refusal,) = plan(wanted(), host(joe(method))).refusals
    assert refusal.startswith(f"joe has logged in to sshd on web1 by {method} on 2026-11-20, has no credential")


@pytest.mark.parametrize("name", ["CORP\\joe", "mary ann", "jürgen"])
def test_account_whose_name_no_file_can_have_is_advised_to_use_a_group(name: str) -> None:
    person = account(name, "domain users", "staff", has_key=False)
    (refusal,) = plan(wanted(), host_state(*ACCOUNTS, person)).refusals
    assert refusal == (
        f"{name} has no credential and would be locked out of sshd on web1. Neither a credential nor exempt_users can "
        "hold this name. Exempt a group of the account (staff) with exempt_groups, or leave ssh false."
    )
    assert plan(wanted(exempt_groups=["staff"]), host_state(*ACCOUNTS, person)).refusals == ()


@pytest.mark.parametrize("service", ["sudo", "su", "cockpit"])
@pytest.mark.parametrize(("method", "seen_at"), [("password", "sshd"), ("keyboard-interactive/pam", "sshd")])
def test_account_with_a_password_login_is_named_for_each_service_that_asks_for_one(
    service: str, method: str, seen_at: str
) -> None:
    (refusal,) = plan(wanted(ssh=False, services=[service]), host(joe(method, seen_at))).refusals
    assert refusal.startswith(f"joe has no credential and would be locked out of {service} on web1.")
    assert plan(wanted("joe", ssh=False, services=[service]), host(joe(method, seen_at))).refusals == ()


def test_key_or_ticket_does_not_count_as_a_password_for_sudo() -> None:
    for method in ("publickey", "gssapi-with-mic", ""):
        assert plan(wanted(ssh=False, services=["sudo"]), host(joe(method))).refusals == ()


def test_empty_password_counts_for_services_other_than_sshd() -> None:
    blank = account("blank", has_password=False, has_key=False, password_is_empty=True)
    state = host_state(*ACCOUNTS, blank)
    (refusal,) = plan(wanted(ssh=False, services=["sudo"]), state).refusals
    assert refusal.startswith("blank has no credential and would be locked out of sudo on web1.")
    assert plan(wanted(), state).refusals == ()


def test_logins_of_an_expired_account_do_not_count() -> None:
    state = host(joe("password"))
    expired = replace(state.accounts["joe"], is_expired=True)
    without = replace(state, accounts={**state.accounts, "joe": expired})
    assert plan(wanted(), without).refusals == ()
    assert plan(wanted(ssh=False, services=["sudo"]), without).refusals == ()


def test_session_with_an_unknown_method_counts_as_a_login() -> None:
    (refusal,) = plan(wanted(), host(joe(""))).refusals
    assert refusal.startswith("joe has logged in to sshd on web1 on 2026-11-20, has no credential")


@pytest.mark.parametrize(
    "changes",
    [{"exempt_users": ["ansible", "joe"]}, {"exempt_groups": ["joe"]}, {"scope": "enrolled"}, {"ssh": False}],
)
def test_account_that_needs_no_code_is_not_named(changes: dict[str, t.Any]) -> None:
    assert plan(wanted(**changes), host(joe("password"))).refusals == ()


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
def test_enrolled_account_needs_an_accepted_first_factor(method: str, factors: list[str], named: bool) -> None:
    people = [replace(one, has_password=one.uid >= 1000, has_key=one.uid >= 1000) for one in ACCOUNTS]
    state = host_state(*people, JOE, logins={("joe", "sshd"): (joe(method),)})
    refusals = plan(wanted("joe", ssh_first_factors=factors), state).refusals
    beginning = f"joe has logged in to sshd on web1 by {method} on 2026-11-20, but with two-factor login sshd accepts"
    assert [one.startswith(beginning) for one in refusals] == [True] * named


def test_one_login_with_an_accepted_factor_is_enough() -> None:
    logins = (joe("gssapi-with-mic"), joe(""), joe("keyboard-interactive/pam")._replace(day="2026-11-02"))
    assert plan(wanted("joe"), host(*logins[:2])).refusals != ()
    assert plan(wanted("joe"), host(*logins)).refusals == ()
    (refusal,) = plan(wanted(), host(*logins)).refusals
    assert refusal.startswith("joe has logged in to sshd on web1 by gssapi-with-mic on 2026-11-20, has no credential")


@pytest.mark.parametrize("method", ["gssapi-with-mic", "publickey"])
def test_login_outweighs_a_key_that_may_be_somebody_elses(method: str) -> None:
    """For example, where sshd asks a command for everybody's keys, whether they have any or not."""
    asked = replace(JOE, has_key=True, key_is_elsewhere=True)
    seen = {("joe", "sshd"): (joe(method),)}
    (refusal,) = plan(wanted(), host_state(*ACCOUNTS, asked, logins=seen)).refusals
    assert refusal.startswith(f"joe has logged in to sshd on web1 by {method} on 2026-11-20, has no credential")
    refusals = plan(wanted("joe"), host_state(*ACCOUNTS, asked, logins=seen)).refusals
    assert ["by gssapi-with-mic" in one for one in refusals] == [True] * (method != "publickey")
    (refusal,) = plan(wanted(), host_state(*ACCOUNTS, asked)).refusals
    assert refusal.startswith("joe has no credential and would be locked out of sshd on web1")


def test_account_of_ansible_is_named_if_only_its_session_shows_a_login() -> None:
    state = host_state(*ACCOUNTS, JOE, connection=Connection("joe", "192.0.2.9"))
    (refusal,) = plan(wanted(), state).refusals
    assert refusal.startswith(
        "joe, the account that Ansible connects as, has no credential and would be locked out of sshd"
    )
    assert plan(wanted("joe"), state).refusals == ()


@pytest.mark.parametrize("scope", ["everyone", "enrolled", "groups"])
def test_account_without_a_named_group_is_refused_if_groups_decide(scope: str) -> None:
    """No `Match Group` of sshd matches such an account, not even `Group *`, so it would need no code."""
    loner = account("joe", groups=())
    refusals = plan(
        wanted("joe", scope=scope, scope_groups=["staff"] if scope == "groups" else [], exempt_groups=["admins"]),
        host_state(*ACCOUNTS, loner),
    ).refusals
    assert [one.startswith("joe is in no group that has a name on web1") for one in refusals] == [True] * (
        scope != "groups"
    )
    assert plan(wanted("joe", scope="everyone"), host_state(*ACCOUNTS, loner)).refusals == ()


def test_account_that_sshd_no_longer_admits_is_not_named() -> None:
    files = {places.SSHD_CONFIG: SSHD_CONFIG + "DenyUsers joe\n"}
    assert plan(wanted(), host(joe("password"), files=files)).refusals == ()


@pytest.mark.parametrize(("method", "named"), [("publickey", True), ("keyboard-interactive/pam", False)])
def test_root_is_not_named_for_a_password_that_no_longer_works(method: str, named: bool) -> None:
    """PermitRootLogin is `prohibit-password` by default."""
    refusals = plan(wanted(), host(Login("root", "sshd", method, "2026-11-20"))).refusals
    assert [one.startswith("root has logged in to sshd on web1 by publickey") for one in refusals] == [True] * named


def test_account_that_logs_in_must_be_proven() -> None:
    refusals = plan(wanted("joe", require_proof=True), host(joe("password"))).refusals
    assert any(" and joe log in to sshd on web1, but no code of them was right" in one for one in refusals)


def test_session_in_cockpit_counts_as_a_login_to_cockpit() -> None:
    (refusal,) = plan(wanted(ssh=False, services=["cockpit"]), host(joe("password", "cockpit"))).refusals
    assert refusal.startswith("joe has no credential and would be locked out of cockpit on web1")


def test_incomplete_journal_is_warned_about() -> None:
    (warning,) = plan(wanted(), host(logins_unread="the journal could not be read in full")).warnings
    assert "the journal could not be read in full" in warning


BY_RUN0 = Connection("alice", "192.0.2.9", programs=("python3", "sh", "systemd", "run0", "sh"), asking_systemd=7)
BECOME: list[tuple[str, dict[str, t.Any], str]] = [
    ("sudo", {"become_asks": frozenset({"sudo"})}, "alice"),
    ("doas", {"become_asks": frozenset({"doas"})}, "alice"),
    ("su", {"connection": Connection("alice", "192.0.2.9", programs=("python3", "sh", "su", "bash"))}, "root"),
    ("polkit-1", {"connection": BY_RUN0, "become_asks": frozenset({"polkit-1"})}, "alice"),
]


@pytest.mark.parametrize(("service", "seen", "named"), BECOME)
def test_service_with_which_ansible_becomes_root_is_refused(service: str, seen: dict[str, t.Any], named: str) -> None:
    files = {f"{places.PAM_D}/{other}": SERVICES["sudo"] for other in ("doas", "polkit-1")}
    state = host(**{"connection": Connection("alice", "192.0.2.9"), "files": files, **seen})
    policy: dict[str, t.Any] = {"services": [service], "ssh": False}
    (refusal,) = plan(wanted("root", "joe", **policy), state).refusals
    program = "run0" if service == "polkit-1" else service
    assert f"alice, the account that Ansible connects as, becomes root on web1 by {program} with a password" in refusal
    assert f"Exempt {named} with exempt_users" in refusal
    assert plan(wanted("root", "joe", **policy, exempt_groups=[named]), state).refusals == ()


def test_su_run_by_sudo_asks_ansible_for_nothing() -> None:
    by = Connection("alice", "192.0.2.9", programs=("python3", "sh", "su", "sudo", "sh"))
    assert plan(wanted("root", "joe", services=["su"], ssh=False), host(connection=by)).refusals == ()
