# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._backends import backends, oath
from ansible_collections.fleet.auth.plugins.module_utils._texts import pam as pam_text
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import (
    PASS_THROUGH,
    CodeStep,
    except_services,
    exempt_origins,
)
from ansible_collections.fleet.auth.plugins.module_utils._texts.pam_conf import ServiceFiles
from ansible_collections.fleet.auth.plugins.module_utils._texts.succeed_if import denies_other_names
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Lockout, Settings
from unit.builders import ENROLLED, INCLUDED, SERVICES, settings, step_of
from unit.model import Pam, uid_of


def names_of(text: str | None) -> frozenset[str] | None:
    return CodeStep.parse(text).names


class Person(t.NamedTuple):
    """A person at a service: what they know, and where they come from."""

    name: str = "alice"
    groups: tuple[str, ...] = ("alice", "staff")
    address: str = "198.51.100.1"


ALICE = Person()


def attempt(
    wanted: Settings,
    service: str,
    person: Person = ALICE,
    *,
    switch_text: str | None = None,
    lists: t.Mapping[str, str] | None = None,
    credentials: t.Collection[str] = ("alice", "bob"),
    **brings: t.Any,
) -> Pam:
    """One authentication at a protected service with these settings."""
    files = {
        **{f"/etc/pam.d/{name}": text for name, text in INCLUDED.items()},
        f"/etc/pam.d/{service}": pam_text.protect(
            service, SERVICES[service], ServiceFiles(INCLUDED), backends.MODULES
        ).text,
        places.SWITCH: step_of(wanted) if switch_text is None else switch_text,
        places.KEY_ACCEPTED: "",
        places.LIMITS_SUFFICE: "",
        places.EXEMPT_ORIGINS: exempt_origins(wanted),
        **(lists or {}),
    }
    return Pam(files, service, person.name, person.groups, person.address, credentials=credentials, **brings)


class TestCodeStep:
    """How libpam evaluates the blocks and the code step, according to the model of it."""

    @pytest.mark.parametrize("service", SERVICES)
    @pytest.mark.parametrize(
        ("password", "code", "granted", "asked"),
        [
            (True, True, True, ["password", "code"]),
            (True, False, False, ["password", "code"]),
            (True, None, False, ["password", "code"]),
            (False, True, False, ["password"]),
            (None, True, False, ["password"]),
        ],
    )
    def test_takes_a_password_and_then_a_code(
        self, service: str, password: bool | None, code: bool | None, granted: bool, asked: list[str]
    ) -> None:
        pam = attempt(settings(), service, password=password, code=code)
        assert (pam.authenticate(), pam.asked) == (granted, asked)

    @pytest.mark.parametrize("code", [True, False, None])
    def test_takes_a_code_alone_after_a_key(self, code: bool | None) -> None:
        pam = attempt(settings(), "sshd", key_accepted=True, password=True, code=code)
        assert (pam.authenticate(), pam.asked) == (bool(code), ["code"])

    def test_asks_for_the_password_after_a_key_if_the_helper_is_missing(self) -> None:
        pam = attempt(settings(), "sshd", key_accepted=True, password=True, code=True)
        pam.files = {path: text for path, text in pam.files.items() if path != places.KEY_ACCEPTED}
        assert (pam.authenticate(), pam.asked) == (True, ["password", "code"])

    @pytest.mark.parametrize("service", SERVICES)
    @pytest.mark.parametrize("key_accepted", [False, True])
    def test_denies_everyone_if_it_or_the_credential_is_missing(self, service: str, key_accepted: bool) -> None:
        key = key_accepted and service == "sshd"
        pam = attempt(settings(), service, password=True, code=True, key_accepted=key)
        pam.files = {path: text for path, text in pam.files.items() if path != places.SWITCH}
        assert not pam.authenticate()
        assert not attempt(
            settings(), service, password=True, code=True, credentials=(), key_accepted=key
        ).authenticate()

    def test_counts_wrong_codes_after_a_right_first_factor_and_locks(self) -> None:
        wanted = settings(lockout={"attempts": 2})
        pam = attempt(wanted, "sshd", password=True, code=False)
        assert not pam.authenticate()
        assert pam.failures == 1
        pam.password = False
        assert not pam.authenticate()
        assert pam.failures == 1
        pam.password, pam.key_accepted = True, True
        assert not pam.authenticate()
        assert pam.failures == 2
        pam.code, pam.asked = True, []
        assert not pam.authenticate()
        assert "code" not in pam.asked

    @pytest.mark.parametrize("service", ["sshd", "sudo"])
    @pytest.mark.parametrize("key_accepted", [False, True])
    def test_lets_everyone_pass_as_the_pass_through(self, service: str, key_accepted: bool) -> None:
        key = key_accepted and service == "sshd"
        pam = attempt(settings(), service, switch_text=PASS_THROUGH, password=True, key_accepted=key)
        assert pam.authenticate()
        assert "code" not in pam.asked
        assert not attempt(settings(), "sudo", switch_text=PASS_THROUGH, password=False).authenticate()

    def test_lets_excepted_services_pass(self) -> None:
        text = except_services(step_of(settings()), ["sshd", "su"])
        for service, asked in (("sshd", ["password"]), ("sudo", ["password", "code"])):
            pam = attempt(settings(), service, switch_text=text, password=True, code=True)
            assert pam.authenticate()
            assert pam.asked == asked
        assert not attempt(settings(), "sshd", switch_text=text, password=False).authenticate()

    @pytest.mark.parametrize(
        ("options", "needs_code"),
        [
            ({}, {"alice", "bob", "carol"}),
            ({"exempt_users": ["carol"]}, {"alice", "bob"}),
            ({"exempt_groups": ["staff"]}, {"carol"}),
            ({"exempt_groups": ["nobodys", "admins"], "exempt_users": ["bob"]}, {"alice"}),
            ({"scope": "enrolled"}, {"alice", "bob"}),
            ({"scope": "enrolled", "exempt_users": ["alice"]}, {"bob"}),
            ({"scope": "groups", "scope_groups": ["admins"]}, {"carol"}),
            ({"scope": "groups", "scope_groups": ["admins", "staff"]}, {"alice", "bob", "carol"}),
            ({"scope": "groups", "scope_groups": ["staff"], "exempt_groups": ["guests"]}, {"alice"}),
            ({"exempt_addresses": ["192.0.2.0/24"]}, {"alice", "bob", "carol"}),
        ],
    )
    @pytest.mark.parametrize("service", ["sshd", "sudo"])
    @pytest.mark.parametrize("key_accepted", [False, True])
    def test_asks_those_in_scope(
        self, options: dict[str, t.Any], needs_code: set[str], service: str, key_accepted: bool
    ) -> None:
        people = {"alice": ("alice", "staff"), "bob": ("bob", "staff", "guests"), "carol": ("carol", "admins")}
        asked = set()
        for name, groups in people.items():
            key = key_accepted and service == "sshd"
            pam = attempt(
                settings(**options), service, Person(name, groups), password=True, code=False, key_accepted=key
            )
            if not pam.authenticate():
                asked.add(name)
            assert ("code" in pam.asked) == (name in asked)
        assert asked == needs_code

    @pytest.mark.parametrize("options", [{}, {"scope": "enrolled"}, {"scope": "groups", "scope_groups": ["staff"]}])
    @pytest.mark.parametrize(
        ("address", "granted"), [("192.0.2.9", True), ("198.51.100.1", False), ("2001:db8::1", True)]
    )
    def test_lets_those_pass_who_come_from_an_exempt_address(
        self, options: dict[str, t.Any], address: str, granted: bool
    ) -> None:
        wanted = settings(exempt_addresses=["192.0.2.0/24", "2001:db8::/32"], **options)
        person = Person(address=address)
        assert attempt(wanted, "sshd", person, password=True).authenticate() == granted
        assert attempt(wanted, "sshd", person, key_accepted=True).authenticate() == granted
        assert not attempt(wanted, "sshd", person, password=False, code=True).authenticate()

    def test_exempts_nobody_if_the_list_of_origins_is_missing_or_empty(self) -> None:
        wanted = settings(exempt_addresses=["0.0.0.0/0"])
        assert attempt(wanted, "sshd", password=True).authenticate()
        assert not attempt(wanted, "sshd", password=True, lists={places.EXEMPT_ORIGINS: ""}).authenticate()
        gone = attempt(wanted, "sshd", password=True)
        gone.files = {path: text for path, text in gone.files.items() if path != places.EXEMPT_ORIGINS}
        assert not gone.authenticate()
        assert gone.asked == ["password", "code"]


class TestNames:
    """The accounts in scope, where the code step uses names."""

    WANTED = settings(scope="enrolled")
    MANY = tuple(f"user{number:04}" for number in range(1000))

    def asks(self, text: str, name: str, service: str = "sudo", **brings: t.Any) -> bool:
        """Whether an account is asked for the code and gets in only with the right one."""
        pam = attempt(self.WANTED, service, Person(name), switch_text=text, credentials=[name], password=True, **brings)
        granted = pam.authenticate()
        pam.code, asked = True, "code" in pam.asked
        assert granted != asked
        assert pam.authenticate()
        return asked

    def test_are_spread_over_lines_that_each_continue_with_the_next(self) -> None:
        names = [letter * 256 for letter in "abcdefghij"]
        assert step_of(self.WANTED, names).split("\n")[1:5] == [
            f"auth [success=ignore default=3] pam_succeed_if.so quiet user notin {':'.join(names[:3])}",
            f"auth [success=ignore default=2] pam_succeed_if.so quiet user notin {':'.join(names[3:6])}",
            f"auth [success=ignore default=1] pam_succeed_if.so quiet user notin {':'.join(names[6:9])}",
            f"auth [success=7 default=ignore] pam_succeed_if.so quiet user notin {names[9]}",
        ]

    @pytest.mark.parametrize("service", ["sshd", "sudo"])
    def test_in_each_line_are_asked_and_nobody_else(self, service: str) -> None:
        text = step_of(self.WANTED, self.MANY)
        lines = [line for line in text.split("\n") if " user notin " in line]
        assert len(lines) > 10
        for line in lines:
            listed = line.rpartition(" ")[2].split(":")
            assert self.asks(text, listed[0], service)
            assert self.asks(text, listed[-1], service)
        for outside in ("carol", "user000", "user00000", "ser0000", "USER0000", ":"):
            assert not self.asks(text, outside, service)
        key = attempt(self.WANTED, "sshd", Person(self.MANY[-1]), switch_text=text, key_accepted=True)
        assert not key.authenticate()
        assert key.asked == ["code"]

    def test_let_everyone_pass_if_there_are_none(self) -> None:
        text = step_of(self.WANTED, [])
        assert CodeStep.parse(text).module == oath.MODULE
        assert not self.asks(text, "alice")

    @pytest.mark.parametrize("outcome", ["service_err", "user_unknown", "system_err", "ignore", "module_unknown"])
    @pytest.mark.parametrize("number", [0, 1, 7, -1])
    def test_are_asked_if_the_comparison_fails(
        self, monkeypatch: pytest.MonkeyPatch, outcome: str, number: int
    ) -> None:
        text = step_of(self.WANTED, self.MANY)
        lines = [line for line in text.split("\n") if " user notin " in line]
        compare = Pam._succeed_if

        def fail(pam: Pam, arguments: list[str]) -> str:
            return outcome if lines[number].endswith(" ".join(arguments)) else compare(pam, arguments)

        monkeypatch.setattr(Pam, "_succeed_if", fail)
        assert self.asks(text, "carol")
        assert self.asks(text, self.MANY[0])
        assert self.asks(text, self.MANY[-1])

    def test_in_the_other_lines_are_asked_if_one_line_is_lost(self) -> None:
        lines = step_of(self.WANTED, self.MANY).split("\n")
        for number, line in enumerate(lines):
            if " user notin " not in line:
                continue
            text = "\n".join([*lines[:number], *lines[number + 1 :]])
            kept = names_of(text)
            assert kept is not None
            for name in (min(kept), max(kept)):
                pam = attempt(self.WANTED, "sudo", Person(name), switch_text=text, password=True)
                assert not pam.authenticate()

    def test_are_skipped_by_exemptions_before_them(self) -> None:
        text = step_of(self.WANTED, self.MANY)
        over = text.count("\nauth ")
        recovered = f"auth [success={over} default=ignore] pam_succeed_if.so quiet user = {self.MANY[500]}\n{text}"
        assert not self.asks(recovered, self.MANY[500])
        assert self.asks(recovered, self.MANY[501])
        excepted = except_services(text, ["sudo"])
        assert not self.asks(excepted, self.MANY[500])
        assert self.asks(excepted, self.MANY[500], "su")
        exempt = step_of(settings(scope="enrolled", exempt_users=["alice"], exempt_addresses=["192.0.2.0/24"]))
        assert not self.asks(exempt, "alice")
        assert self.asks(exempt, "bob")
        assert not self.asks(exempt, "carol")

    @given(
        st.sets(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,40}\$?", fullmatch=True)),
        st.sampled_from([(), ("192.0.2.0/24",)]),
    )
    def test_are_read_back(self, names: set[str], addresses: tuple[str, ...]) -> None:
        wanted = settings(scope="enrolled", exempt_users=["ansible"], exempt_addresses=addresses)
        text = step_of(wanted, names)
        assert names_of(text) == names
        assert names_of(text.replace("\n", " # mine\n")) == names
        assert names_of(except_services(text, ["sshd"])) == names
        assert names_of(f"auth [success=done default=ignore] pam_succeed_if.so quiet user = x\n{text}") == names

    @pytest.mark.parametrize("text", [None, "", PASS_THROUGH, step_of(settings(exempt_users=["alice"]))])
    def test_are_not_in_every_code_step(self, text: str | None) -> None:
        assert names_of(text) is None


class TestSwitch:
    def test_contains_the_length_the_window_and_the_lockout(self) -> None:
        lockout = {"attempts": 3, "unlock_seconds": 60, "count_seconds": 120}
        wanted = settings(otp_digits=8, window=2, lockout=lockout, exempt_users=["ansible", "root"])
        tally = "conf=/dev/null dir=/run/fleet-auth/faillock deny=3 unlock_time=60 fail_interval=120 even_deny_root"
        assert step_of(wanted) == (
            "# The code step of two-factor login. Managed by fleet.auth: changes made here are lost.\n"
            "auth [success=7 default=ignore] pam_succeed_if.so quiet user in ansible:root\n"
            "auth [success=1 default=ignore] pam_succeed_if.so quiet service in "
            "sshd:cockpit:login:remote:twofactor-code\n"
            "auth [success=ignore ignore=ignore default=die] pam_exec.so quiet stdout seteuid "
            f"{places.LIMITS_SUFFICE}\n"
            f"auth [success=ignore ignore=ignore default=die] pam_faillock.so preauth silent {tally}\n"
            "auth [success=1 default=ignore] pam_oath.so usersfile=/etc/oath/${USER} window=2 digits=8\n"
            f"auth [default=die] pam_faillock.so authfail {tally}\n"
            f"auth [success=ignore ignore=ignore default=die] pam_faillock.so preauth silent {tally}\n"
            f"auth [default=ignore] pam_faillock.so authsucc {tally}\n"
        )

    @pytest.mark.parametrize("operator", ["in", "ingroup", "notin"])
    @pytest.mark.parametrize("length", [1, 8, 200, 256])
    def test_keeps_its_lines_short_enough_for_every_release_of_libpam(self, operator: str, length: int) -> None:
        names = [f"{number:04}".rjust(length, "a") for number in range(1000)]
        options = {"in": {"exempt_users": names}, "ingroup": {"exempt_groups": names}, "notin": {"scope": "enrolled"}}
        text = step_of(settings(**options[operator]), names)
        assert max(map(len, text.split("\n"))) < 1000
        listed = [line.split(f" user {operator} ")[1].split(":") for line in text.split("\n") if " quiet user " in line]
        assert list(itertools.chain(*listed)) == names

    def test_keeps_its_lines_short_enough_with_every_group_in_scope(self) -> None:
        groups = [f"group-{number:03}" for number in range(80)]
        text = step_of(settings(scope="groups", scope_groups=groups))
        assert max(map(len, text.split("\n"))) < 1000
        assert f" user notingroup {':'.join(groups)}\n" in text

    @pytest.mark.parametrize(
        ("text", "asks"),
        [
            (None, False),
            ("", False),
            (PASS_THROUGH, False),
            ("# auth required pam_oath.so x\n", False),
            (step_of(settings()), True),
            (except_services(step_of(settings()), ["sshd", "su"]), True),
        ],
    )
    def test_is_recognized_by_the_module_that_asks(self, text: str | None, asks: bool) -> None:
        assert (CodeStep.parse(text).module == oath.MODULE) == asks


account_names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,40}\$?", fullmatch=True)
name_lists = st.lists(account_names, max_size=5, unique=True).map(tuple)
scopes = st.one_of(
    st.just({}),
    st.builds(lambda names: {"names": names}, st.frozensets(account_names, max_size=60)),
    st.builds(lambda groups: {"scope_groups": groups}, name_lists),
)
bounds = st.builds(Lockout, st.integers(1, 100), st.integers(1, 604_800), st.integers(1, 604_800))
code_steps = st.builds(
    lambda scope, line, fields: CodeStep(**fields, **scope, module=line[0], arguments=line[1]),
    scopes,
    st.sampled_from([backend.pam_line(settings()).split(" ", 1) for backend in backends.BACKENDS.values()]),
    st.fixed_dictionaries(
        {
            **dict.fromkeys(("recovered", "excepted_services", "exempt_users", "exempt_groups"), name_lists),
            "origins": st.sampled_from(["", places.EXEMPT_ORIGINS, places.EXEMPT_ORIGINS + places.NEXT]),
            "lockout": bounds,
        }
    ),
)

TALLY = "conf=/dev/null dir=/run/fleet-auth/faillock deny=5 unlock_time=900 fail_interval=900 even_deny_root"
RELEASE_1_0 = f"""\
# The code step of two-factor login. Managed by fleet.auth: changes made here are lost.
auth [success=done default=ignore] pam_succeed_if.so quiet user in ansible:root
auth [success=done default=ignore] pam_succeed_if.so quiet user ingroup admins
auth [perm_denied=ignore default=1] pam_access.so accessfile=/etc/security/twofactor-access.conf noaudit
auth [success=done default=ignore] pam_permit.so
auth [success=done default=ignore] pam_succeed_if.so quiet user notin alice:bob
auth requisite pam_faillock.so preauth silent {TALLY}
auth [success=1 default=ignore] pam_oath.so usersfile=/etc/oath/${{USER}} window=1 digits=6
auth [default=die] pam_faillock.so authfail {TALLY}
auth requisite pam_faillock.so preauth silent {TALLY}
auth sufficient pam_faillock.so authsucc {TALLY}
"""


class TestOtherNames:
    """The host also knows an account by its name in capitals, with the same number."""

    NAMES = (*ENROLLED, *(f"{letter * 100}" for letter in "defghijklmnop"))
    WANTED = settings(scope="enrolled")
    STEP = CodeStep.wanted(WANTED, NAMES, oath.pam_line(WANTED), uids=map(uid_of, NAMES))

    @pytest.mark.parametrize("service", SERVICES)
    def test_are_asked_and_denied_where_accounts_are_named(self, service: str) -> None:
        def granted(name: str, *, code: bool | None) -> bool:
            person = Person(name, (name.lower(),))
            return attempt(
                self.WANTED, service, person, switch_text=self.STEP.render(), password=True, code=code
            ).authenticate()

        assert granted("alice", code=True)
        assert not granted("ALICE", code=None)
        assert not granted("ALICE", code=True)
        assert not granted("p" * 100, code=None)
        assert not granted("P" * 100, code=None)
        assert granted("carol", code=None)

    def test_are_read_back(self) -> None:
        assert CodeStep.parse(self.STEP.render()) == self.STEP
        assert self.STEP.render().count(" uid notin ") == 1

    def test_alone_are_denied_by_the_account_stack_of_sshd(self) -> None:
        lines = denies_other_names(self.NAMES, [*map(uid_of, self.NAMES)])

        def stays(name: str, *others: str) -> bool:
            files = {"/etc/pam.d/sshd": "\n".join([*lines, *others, "account required pam_permit.so"])}
            return Pam(files, "sshd", name, (), "").authenticate("account")

        assert [stays(name) for name in ("alice", "bob", "p" * 100, "carol", "root")] == [True] * 5
        assert [stays(name) for name in ("ALICE", "Bob", "P" * 100)] == [False] * 3
        assert not stays("alice", "account required pam_deny.so")
        assert denies_other_names([], []) == []


class TestOtherNamesOfMembers:
    """A group lists its members by name. A member's second name is in no group, but has the same number."""

    NAMES = (*ENROLLED, *(f"{letter * 100}" for letter in "defghijklmnop"))
    WANTED = settings(scope="groups", scope_groups=["staff", "admins"])
    UIDS = frozenset(map(uid_of, NAMES))
    STEP = CodeStep.wanted(WANTED, NAMES, oath.pam_line(WANTED), uids=UIDS)

    @pytest.mark.parametrize("service", SERVICES)
    @pytest.mark.parametrize(
        "step", [STEP, STEP._replace(member_names=frozenset(NAMES[:2]), uids=frozenset({uid_of("bob")}))]
    )
    def test_are_asked_while_the_account_is_in_the_groups(self, service: str, step: CodeStep) -> None:
        def granted(name: str, *groups: str, code: bool | None = None) -> bool:
            person = Person(name, groups)
            return attempt(
                self.WANTED, service, person, switch_text=step.render(), password=True, code=code
            ).authenticate()

        assert granted("bob", "staff", code=True)
        assert not granted("bob", "staff")
        assert not granted("BOB", "users")
        assert not granted("Bob")
        assert granted("bob", "users")
        assert granted("carol", "users")
        assert not granted("carol", "admins")
        assert not granted("BOB", "admins")

    def test_are_read_back(self) -> None:
        assert CodeStep.parse(self.STEP.render()) == self.STEP
        exempt = settings(scope="groups", scope_groups=["staff"], exempt_users=["root"], exempt_groups=["guests"])
        step = CodeStep.wanted(exempt, ENROLLED, oath.pam_line(exempt), uids=self.UIDS)
        assert CodeStep.parse(step.render()) == step

    def test_alone_are_denied_by_the_account_stack_of_sshd(self) -> None:
        lines = denies_other_names(self.NAMES, self.UIDS, ["staff", "friends"])

        def stays(name: str, *groups: str) -> bool:
            files = {"/etc/pam.d/sshd": "\n".join([*lines, "account required pam_permit.so"])}
            return Pam(files, "sshd", name, groups, "").authenticate("account")

        assert [stays(name) for name in ("bob", "p" * 100, "carol")] == [True] * 3
        assert [stays(name, "users") for name in ("BOB", "P" * 100)] == [False] * 2
        assert stays("BOB", "users", "friends")


class TestPasswordMethod:
    """sshd may call PAM for its method `password`, which answers each prompt with the password."""

    WANTED = settings(ssh=True, exempt_users=["ansible"])

    @pytest.mark.parametrize("key_accepted", [False, True])
    def test_asks_nobody_for_a_code_and_counts_no_wrong_code(self, key_accepted: bool) -> None:
        def used(name: str, **more: t.Any) -> Pam:
            brings = {"password": True, "key_accepted": key_accepted, "answers_itself": True, **more}
            return attempt(self.WANTED, "sshd", Person(name), lists={places.PASSWORD_METHOD: ""}, **brings)

        denied = used("alice")
        assert not denied.authenticate()
        assert ("code" in denied.asked, denied.failures) == (False, 0)
        assert used("ansible").authenticate()
        assert used("alice", answers_itself=False, code=True).authenticate()
        # Without the program that recognizes the method, the answer is treated like any other.
        lost = used("alice")
        lost.files = {path: text for path, text in lost.files.items() if path != places.PASSWORD_METHOD}
        assert not lost.authenticate()
        assert lost.failures == 1

    def test_is_read_back_and_may_be_missing(self) -> None:
        text = step_of(self.WANTED)
        assert CodeStep.parse(text).denies_password_method
        assert CodeStep.parse(text).render() == text
        before = step_of(settings(exempt_users=["ansible"]))
        assert (CodeStep.parse(before).damage, CodeStep.parse(before).denies_password_method) == ("", False)


class TestLimits:
    """A program that a person starts may keep limits with which no wrong code is counted."""

    @pytest.mark.parametrize("service", ["sudo", "su"])
    def test_of_the_caller_deny_before_a_code_is_asked_for(self, service: str) -> None:
        for limits_suffice, files in ((False, {}), (True, {places.LIMITS_SUFFICE: None})):
            pam = attempt(settings(), service, password=True, code=True, limits_suffice=limits_suffice)
            pam.files = {path: text for path, text in pam.files.items() if path not in files}
            assert not pam.authenticate()
            assert pam.asked == ["password"]
        assert attempt(settings(exempt_users=["alice"]), service, password=True, limits_suffice=False).authenticate()

    @pytest.mark.parametrize("service", ["sshd", "cockpit"])
    def test_of_a_daemon_are_those_of_the_host(self, service: str) -> None:
        assert attempt(settings(), service, password=True, code=True, limits_suffice=False).authenticate()


OF_1_0 = CodeStep.wanted(
    settings(
        scope="enrolled", exempt_users=["ansible", "root"], exempt_groups=["admins"], exempt_addresses=["192.0.2.7"]
    ),
    ["alice", "bob"],
    oath.pam_line(settings()),
)
RECOVERED = "auth [success={} default=ignore] pam_succeed_if.so quiet user = {}\n"


class TestParse:
    @given(code_steps)
    def test_reads_back_what_is_rendered(self, step: CodeStep) -> None:
        text = step.render()
        assert CodeStep.parse(text) == step
        assert CodeStep.parse(text).render() == text

    def test_reads_the_pass_through_of_each_release(self) -> None:
        assert CodeStep.parse(PASS_THROUGH) == CodeStep()
        assert CodeStep().render() == PASS_THROUGH
        assert CodeStep.parse(PASS_THROUGH.replace("[default=ignore]", "required")) == CodeStep()
        assert CodeStep().passes_everyone

    @given(code_steps)
    def test_of_existing_text_excepts_services_as_rendering_does(self, step: CodeStep) -> None:
        services = ("sshd", "cockpit")
        plain = step._replace(recovered=(), excepted_services=())
        assert except_services(plain.render(), services) == plain._replace(excepted_services=services).render()

    @given(code_steps, st.sampled_from(["# mine", "\t", "# auth sufficient pam_permit.so"]))
    def test_skips_comments_and_blanks(self, step: CodeStep, remark: str) -> None:
        assert CodeStep.parse(step.render().replace("\n", f" {remark}\n{remark}\n")) == step

    def test_reads_what_release_1_0_wrote(self) -> None:
        assert CodeStep.parse(RELEASE_1_0) == OF_1_0
        for line in (RELEASE_1_0.split("\n")[1], RELEASE_1_0.split("\n")[5]):
            without = CodeStep.parse(RELEASE_1_0.replace(f"{line}\n", ""))
            assert not without.damage
            assert without.module == "pam_oath.so"
        groups = CodeStep.parse(RELEASE_1_0.replace("user notin alice:bob", "user notingroup staff"))
        assert groups == OF_1_0._replace(names=None, scope_groups=("staff",))

    @pytest.mark.parametrize(("text", "step"), [(RELEASE_1_0, OF_1_0), (OF_1_0.render(), OF_1_0)])
    def test_reads_the_lines_of_the_recovery_command_of_both_releases(self, text: str, step: CodeStep) -> None:
        lines = text.count("\nauth ")
        for first, second in (("done", "done"), (lines, lines + 1), ("done", lines + 1)):
            recovered = RECOVERED.format(second, "bob") + RECOVERED.format(first, "alice") + text
            assert CodeStep.parse(recovered) == step._replace(recovered=("bob", "alice"))
            assert CodeStep.parse(except_services(recovered, ["su"])).excepted_services == ("su",)
            assert not CodeStep.parse(except_services(recovered, ["su"])).damage

    @given(st.one_of(st.none(), st.text(), st.lists(st.sampled_from(RELEASE_1_0.split("\n"))).map("\n".join)))
    def test_never_raises(self, text: str | None) -> None:
        CodeStep.parse(text)


class TestDamage:
    """A text that differs from what a release writes is recognized as damaged: nobody can be sure who is asked."""

    def test_is_described(self) -> None:
        text = step_of(settings(exempt_users=["root"]))
        assert CodeStep.parse(None).damage == "gone"
        assert CodeStep.parse("\n# nothing\n").damage == "empty"
        assert CodeStep.parse("auth sufficient pam_permit.so\n").damage == "of pam_permit.so alone"
        assert (
            CodeStep.parse(f"auth sufficient pam_permit.so\n{text}").damage == "not as it was written, from line 1 on"
        )
        assert CodeStep.parse(text.replace("success=7", "success=6")).damage == "not as it was written, from line 2 on"
        assert CodeStep.parse(text.rpartition("auth ")[0]).damage == "not as it was written, from line 9 on"

    @given(code_steps, st.data())
    def test_is_any_lost_doubled_or_changed_line(self, step: CodeStep, data: st.DataObject) -> None:
        text = step.render()
        lines = text.split("\n")
        number = data.draw(st.sampled_from([n for n, line in enumerate(lines) if line.startswith("auth ")]))
        line = lines[number]
        put = data.draw(
            st.sampled_from(
                [
                    *([], [line, line], ["auth sufficient pam_permit.so", line], [line, "auth include other"]),
                    *([f"{line} \\"], [line.replace("auth ", "-auth ")], [line.replace("pam_", "/tmp/pam_")]),
                    *(["auth optional pam_echo.so"], [line.replace("=", "=0", 1)], ["@include common-auth", line]),
                ]
            )
        )
        damaged = CodeStep.parse("\n".join([*lines[:number], *put, *lines[number + 1 :]]))
        # Without a line put in front, or one of several lists, the remaining lines may be another valid code step.
        assert damaged.damage or (put == [] and damaged.render() != text), put
        if put == [] and not damaged.damage:
            assert CodeStep.parse(damaged.render()) == damaged

    @given(code_steps, st.lists(st.sampled_from(RELEASE_1_0.split("\n")), max_size=3), st.integers(0, 8))
    def test_never_makes_more_accounts_need_a_code(self, step: CodeStep, more: list[str], place: int) -> None:
        lines = step.render().split("\n")
        damaged = CodeStep.parse("\n".join([*lines[:place], *more, *lines[place:]]))
        for name in (*step.recovered, *step.exempt_users):
            assert damaged.standing(name, ()) == "exempt"
        assert set(damaged.excepted_services) >= set(step.excepted_services)

    @pytest.mark.parametrize(
        ("text", "passes"),
        [
            (None, False),
            ("", True),
            ("# auth required pam_oath.so x\n", True),
            ("auth sufficient pam_permit.so\n", True),
            ("auth requisite pam_deny.so\n", False),
            ("auth required pam_broken.so\n", False),
            (step_of(settings()), False),
        ],
    )
    def test_says_whether_everybody_passes(self, text: str | None, passes: bool) -> None:
        assert CodeStep.parse(text).passes_everyone == passes

    def test_never_mistakes_another_module_for_the_one_that_asks(self) -> None:
        text = step_of(settings())
        for line in ("auth optional pam_group.so", "auth required pam_unix.so"):
            assert CodeStep.parse(f"{line}\n{text}{line}\n").module == "pam_oath.so"
        assert CodeStep.parse("auth include pam_oath.so\n").module == ""


class TestLists:
    def test_of_origins_deny_what_is_exempt_and_grant_the_rest(self) -> None:
        assert exempt_origins(settings(exempt_addresses=["192.0.2.0/24", "2001:db8::1"])) == (
            "-:ALL:192.0.2.0/24\n-:ALL:2001:db8::1/128\n+:ALL:ALL\n"
        )
