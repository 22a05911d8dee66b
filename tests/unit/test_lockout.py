# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._host.state import Account, Connection
from ansible_collections.fleet.auth.plugins.module_utils._plan.locked_out import locked_out
from ansible_collections.fleet.auth.plugins.module_utils._plan.scope import in_scope
from ansible_collections.fleet.auth.plugins.module_utils._plan.situation import Situation
from ansible_collections.fleet.auth.plugins.module_utils._wanted.naming import named
from unit.builders import SSHD_CONFIG, account, host_state, settings

ALICE = account("alice", "staff")
KEY_ONLY = account("alice", has_password=False)
PASSWORD_ONLY = account("alice", has_key=False)
ROOT = account("root", uid=0)


def lockouts(
    *people: Account,
    enrolled: t.Collection[str] = (),
    services: t.Sequence[str] = ("sshd",),
    config: str = "",
    connection: Connection | None = None,
    disallowed: str | None = None,
    **options: t.Any,
) -> dict[str, tuple[tuple[str, ...], str]]:
    """The accounts that these settings would lock out: services and reason by name."""
    files = {places.SSHD_CONFIG: SSHD_CONFIG + config, places.COCKPIT_DISALLOWED: disallowed}
    state = host_state(*people, files=files, connection=connection)
    situation = Situation(settings(**options), state)
    return {one.user: (one.services, named(one.message, "")) for one in locked_out(situation, services, enrolled)}


class TestScope:
    @pytest.mark.parametrize(
        ("options", "concerned"),
        [
            ({}, True),
            ({"exempt_users": ["alice"]}, False),
            ({"exempt_users": ["alic"]}, True),
            ({"exempt_groups": ["staff"]}, False),
            ({"exempt_groups": ["admins"]}, True),
            ({"scope": "enrolled"}, True),
            ({"scope": "enrolled", "exempt_groups": ["staff"]}, False),
            ({"scope": "groups", "scope_groups": ["admins", "staff"]}, True),
            ({"scope": "groups", "scope_groups": ["admins"]}, False),
            ({"scope": "groups", "scope_groups": ["staff"], "exempt_users": ["alice"]}, False),
        ],
    )
    def test_contains_accounts_that_need_a_code(self, options: dict[str, t.Any], concerned: bool) -> None:
        assert in_scope(settings(**options), "alice", ["alice", "staff"], {"alice"}) == concerned

    def test_enrolled_excludes_accounts_without_a_credential(self) -> None:
        assert not in_scope(settings(scope="enrolled"), "bob", ["bob"], {"alice"})


class TestSshd:
    def test_locks_out_accounts_without_a_credential(self) -> None:
        assert lockouts(ALICE) == {
            "alice": (
                ("sshd",),
                "alice has no credential and would be locked out of sshd on web1. Enrol alice with users, exempt alice "
                "with exempt_users, or leave ssh false.",
            )
        }

    def test_says_which_account_ansible_uses(self) -> None:
        (_services, told) = lockouts(ALICE, connection=Connection("alice", "198.51.100.9"))["alice"]
        assert told == (
            "alice, the account that Ansible connects as, has no credential and would be locked out of sshd on web1. "
            "Enrol alice with users, exempt alice with exempt_users, or leave ssh false."
        )

    @pytest.mark.parametrize(
        "how",
        [
            {"enrolled": ["alice"]},
            {"exempt_users": ["alice"]},
            {"exempt_groups": ["alice"]},
            {"scope": "enrolled"},
            {"scope": "groups", "scope_groups": ["admins"]},
            {"services": []},
            {"connection": Connection("alice", "192.0.2.9"), "exempt_addresses": ["192.0.2.0/24"]},
        ],
    )
    def test_spares_accounts_that_have_a_credential_or_need_none(self, how: dict[str, t.Any]) -> None:
        assert lockouts(ALICE, **how) == {}

    @pytest.mark.parametrize("connection", [Connection("alice", "192.0.2.9"), Connection("bob", "198.51.100.9"), None])
    def test_does_not_count_an_exempt_address_for_other_accounts(self, connection: Connection | None) -> None:
        bob = account("bob")
        told = lockouts(ALICE, bob, connection=connection, exempt_addresses=["192.0.2.0/24"])
        assert set(told) == ({"bob"} if connection and connection.user == "alice" else {"alice", "bob"})

    @pytest.mark.parametrize("address", ["198.51.100.9", "UNKNOWN", ""])
    def test_does_not_take_other_addresses_as_exempt(self, address: str) -> None:
        assert lockouts(ALICE, connection=Connection("alice", address), exempt_addresses=["192.0.2.0/24"])

    @pytest.mark.parametrize(
        ("person", "config"),
        [
            (account("alice", has_password=False, has_key=False), ""),
            (KEY_ONLY, "PubkeyAuthentication no\n"),
            (PASSWORD_ONLY, "PasswordAuthentication no\n"),
            (ALICE, "PubkeyAuthentication no\nPasswordAuthentication no\n"),
            (ALICE, "Match User alice\n    PubkeyAuthentication no\n    PasswordAuthentication no\n"),
            (ALICE, "AllowUsers bob\n"),
            (ALICE, "DenyUsers alice\n"),
            (ALICE, "AllowGroups admins\n"),
            (ALICE, "DenyGroups staff\n"),
            (ROOT, "PermitRootLogin no\n"),
            (account("root", uid=0, has_key=False), ""),
            (account("toor", uid=0), "PermitRootLogin no\n"),
        ],
    )
    def test_spares_accounts_that_cannot_log_in_today(self, person: Account, config: str) -> None:
        assert lockouts(person, config=config) == {}

    @pytest.mark.parametrize(
        ("person", "config"),
        [
            (KEY_ONLY, "PasswordAuthentication no\n"),
            (PASSWORD_ONLY, "PubkeyAuthentication no\n"),
            (ALICE, "AllowUsers alice@192.0.2.1\n"),
            (ALICE, "AllowUsers !alice *\n"),
            (ALICE, "DenyUsers alice@192.0.2.1\n"),
            (ALICE, "AllowGroups staff\n"),
            (account("root", uid=0, has_key=False), "PermitRootLogin yes\n"),
        ],
    )
    def test_locks_out_accounts_that_can_log_in_today_in_any_way(self, person: Account, config: str) -> None:
        assert set(lockouts(person, config=config)) == {person.name}

    @pytest.mark.parametrize(
        ("person", "factors", "has", "needs"),
        [(KEY_ONLY, ["password"], "key", "publickey"), (PASSWORD_ONLY, ["publickey"], "password", "password")],
    )
    def test_locks_out_accounts_without_an_accepted_first_factor(
        self, person: Account, factors: list[str], has: str, needs: str
    ) -> None:
        told = lockouts(person, enrolled=["alice"], ssh_first_factors=factors)
        assert told["alice"][1] == (
            f"alice logs in to sshd on web1 with a {has} only, which ssh_first_factors ({factors[0]}) does not allow: "
            f"alice would be locked out. Add {needs} to ssh_first_factors, give alice the other factor, or exempt "
            "alice with exempt_users."
        )
        assert lockouts(ALICE, enrolled=["alice"], ssh_first_factors=factors) == {}
        assert lockouts(person, enrolled=["alice"]) == {}

    @pytest.mark.parametrize("enrolled", [[], ["root", "toor"]])
    @pytest.mark.parametrize("person", [ROOT, account("toor", uid=0, has_password=False)])
    @pytest.mark.parametrize(
        ("config", "value", "line"),
        [
            ("", "without-password", "PermitRootLogin has this value by default"),
            (
                "PermitRootLogin forced-commands-only\n",
                "forced-commands-only",
                "/etc/ssh/sshd_config line 9: PermitRootLogin forced-commands-only",
            ),
        ],
    )
    def test_locks_out_root_if_only_a_key_alone_is_permitted(
        self, person: Account, enrolled: list[str], config: str, value: str, line: str
    ) -> None:
        name = person.name
        assert lockouts(person, enrolled=enrolled, config=config)[name][1] == (
            f"{name} logs in to sshd on web1 with a key alone, and with PermitRootLogin {value} ({line}) sshd refuses "
            f"a key together with a code: {name} would be locked out. Exempt {name} with exempt_users, or enrol {name} "
            "and set PermitRootLogin yes."
        )
        assert lockouts(person, exempt_users=[name], config=config) == {}
        assert lockouts(person, enrolled=[name], config="PermitRootLogin yes\n") == {}

    def test_names_each_account_once(self) -> None:
        told = lockouts(ALICE, account("bob"), account("carol"), enrolled=["bob"], services=["sshd", "sudo"])
        assert {name: services for name, (services, _message) in told.items()} == {
            "alice": ("sshd",),
            "carol": ("sshd",),
        }


class TestOtherServices:
    def test_lock_out_accounts_with_a_password_and_no_credential(self) -> None:
        told = lockouts(ALICE, KEY_ONLY, services=["cockpit", "sudo"])
        assert told == {}
        (services, message) = lockouts(ALICE, services=["cockpit", "sudo"])["alice"]
        assert services == ("cockpit", "sudo")
        assert message == (
            "alice has no credential and would be locked out of cockpit and sudo on web1. Enrol alice with users, "
            "exempt alice with exempt_users, or leave cockpit and sudo out of services."
        )

    @pytest.mark.parametrize(
        "how", [{"enrolled": ["alice"]}, {"exempt_users": ["alice"]}, {"scope": "enrolled"}, {"services": []}]
    )
    def test_spare_accounts_that_have_a_credential_or_need_none(self, how: dict[str, t.Any]) -> None:
        assert lockouts(PASSWORD_ONLY, **{"services": ["sudo"], **how}) == {}

    def test_are_reported_if_sshd_locks_nobody_out(self) -> None:
        told = lockouts(PASSWORD_ONLY, config="PasswordAuthentication no\n", services=["sshd", "sudo"])
        assert told["alice"][0] == ("sudo",)

    @pytest.mark.parametrize(("disallowed", "services"), [("root\n", ("sudo",)), ("# nobody\n", ("cockpit", "sudo"))])
    def test_leave_out_accounts_that_may_not_use_cockpit(self, disallowed: str, services: tuple[str, ...]) -> None:
        root = account("root", uid=0, has_key=False)
        assert lockouts(root, services=["cockpit", "sudo"], disallowed=disallowed)["root"][0] == services

    def test_ask_for_the_code_even_from_an_exempt_address(self) -> None:
        told = lockouts(
            ALICE,
            services=["sudo"],
            connection=Connection("alice", "192.0.2.9"),
            exempt_addresses=["192.0.2.0/24"],
        )
        assert told["alice"][0] == ("sudo",)
