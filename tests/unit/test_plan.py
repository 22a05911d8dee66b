# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._backends import backends, oath
from ansible_collections.fleet.auth.plugins.module_utils._host.state import (
    OWN_DIRECTORIES,
    OWN_FILES,
    Connection,
    FileState,
    Hold,
    HostState,
    Sshd,
)
from ansible_collections.fleet.auth.plugins.module_utils._host.time_service import SyncStatus
from ansible_collections.fleet.auth.plugins.module_utils._plan import planning, report, survey
from ansible_collections.fleet.auth.plugins.module_utils._plan.changes import (
    Change,
    Enrol,
    MakeDirectory,
    Plan,
    ReloadSshd,
    Remove,
    Renew,
    Revision,
    Write,
    touched,
)
from ansible_collections.fleet.auth.plugins.module_utils._plan.situation import Situation
from ansible_collections.fleet.auth.plugins.module_utils._texts import drop_in, sshd_config
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import PASS_THROUGH, CodeStep, except_services
from ansible_collections.fleet.auth.plugins.module_utils._texts.sshd_start import Start
from ansible_collections.fleet.auth.plugins.module_utils._wanted.secret import encode_secret
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings
from unit.builders import (
    ACCOUNTS,
    COMMON_AUTH,
    KEY,
    NOT_IN_SYNC,
    OLD_SSHD_CONFIG,
    OTHER_KEY,
    RANDOM_KEY,
    SECRET,
    SERVICES,
    SSHD_CONFIG,
    STRANGER,
    account,
    credential,
    file,
    host_state,
    new_credential,
    plan,
    random_keys,
    security_key,
    settings,
    with_sshd_settings,
)
from unit.layouts import LAYOUTS, SSHD_LAYOUTS, Layout, check_round_trip
from unit.model import uid_of
from unit.simulator import Machine, carried_out

PEOPLE = ("ansible", "alice", "bob", "carol")
# Everyone who logs in also has a key.
WITH_KEYS = tuple(replace(one, has_key=one.name not in ("root", "daemon")) for one in ACCOUNTS)
OFF = settings(enabled=False)
PURGE = settings(enabled=False, purge_credentials=True)
KEYS_ALONE_BY_GROUP = settings(
    *("alice", "bob", "ansible"),
    users=[{"name": "carol", "security_keys": [security_key(1)]}],
    scope="groups",
    scope_groups=["staff"],
    security_keys_only_groups=["admins"],
    services=[],
    ssh=True,
)
"""Carol, a member of admins, needs a security key alone; members of staff need a code."""


def wanted(**changes: t.Any) -> Settings:
    """Two-factor login for sshd and everyone, with Ansible's account exempt."""
    enrolled = () if "users" in changes else ("alice", "bob", "carol")
    return settings(*enrolled, **{"ssh": True, "services": [], "exempt_users": ["ansible"], **changes})


def refusals(target: Settings, state: HostState) -> tuple[str, ...]:
    made = plan(target, state)
    assert made.changes == ()
    return made.refusals


def switch_of(target: Settings, *enrolled: str) -> str:
    return CodeStep.wanted(target, enrolled, oath.pam_line(target), uids=map(uid_of, enrolled)).render()


def switches(changes: t.Iterable[Change]) -> list[str]:
    return [change.content for change in changes if isinstance(change, Write) and change.path == places.SWITCH]


def paths(changes: t.Iterable[Change]) -> list[str]:
    return [getattr(change, "path", "reload") for change in changes]


def edited(state: HostState, files: t.Mapping[str, str | FileState | None]) -> HostState:
    """The same host with other files; None removes a file."""
    now = {path: one for path, one in state.files.items() if path not in files}
    given_files = {path: file(one) if isinstance(one, str) else one for path, one in files.items()}
    return with_sshd_settings(replace(state, files={**now, **{path: one for path, one in given_files.items() if one}}))


def service(name: str) -> str:
    return f"{places.PAM_D}/{name}"


@st.composite
def policies(draw: st.DrawFn) -> Settings:
    scope = draw(st.sampled_from(["everyone", "enrolled", "groups"]))
    some = st.lists(st.sampled_from([*PEOPLE, "root"]), unique=True, max_size=3)
    users: list[dict[str, t.Any]] = [{"name": name} for name in PEOPLE]
    if scope == "enrolled":
        users = [
            {"name": name, "state": draw(st.sampled_from(["present", "present", "absent"]))}
            for name in draw(st.lists(st.sampled_from(PEOPLE), unique=True))
        ]
    # Key 1 is the one that the simulator's clients present; at most one person owns it.
    holder = draw(st.sampled_from([None, *PEOPLE]))
    for number, user in enumerate(users, start=2):
        own = draw(st.sampled_from([[], [], [security_key(number)]]))
        user["security_keys"] = [*own, security_key(1, "blue")] if user["name"] == holder else own
        user["security_keys_only"] = bool(user["security_keys"]) and draw(st.booleans())
    keys_only = [user["name"] for user in users if user["security_keys_only"] and user.get("state") != "absent"]
    return settings(
        ssh=draw(st.booleans()),
        services=draw(st.lists(st.sampled_from(["cockpit", "sudo"]), unique=True)),
        users=users,
        backend=(backend := draw(st.sampled_from(list(backends.BACKENDS)))),
        otp_digits=draw(st.integers(6, 8)) if backend == "oath" else 6,
        interval=draw(st.sampled_from([30, 60])),
        window=draw(st.integers(0, 3)),
        ssh_first_factors=draw(st.sampled_from([["publickey", "password"]] * 3 + [["publickey"]])),
        scope=scope,
        scope_groups=draw(st.sampled_from([["staff"], ["admins"], ["staff", "admins"]])) if scope == "groups" else [],
        security_keys_only_groups=draw(st.sampled_from([[], [], ["admins"]])),
        exempt_users=[name for name in draw(some) if name not in keys_only],
        exempt_groups=draw(st.sampled_from([[], [], ["guests"], ["admins"]])),
        exempt_addresses=draw(st.sampled_from([[], [], ["192.0.2.0/24"], ["192.0.2.9", "2001:db8::/32"]])),
        lockout=draw(st.sampled_from([None, {"attempts": 3}])),
    )


def examples(number: int) -> hypothesis_settings:
    slow = [HealthCheck.filter_too_much, HealthCheck.too_slow]
    return hypothesis_settings(max_examples=number, suppress_health_check=slow)


def planned(target: Settings, state: HostState) -> tuple[Change, ...]:
    """The changes of a plan; examples in which the plan is refused are skipped. Every new key is RANDOM_KEY."""
    made = planning.plan(Situation(target, state), lambda _length: RANDOM_KEY)
    assume(not made.refusals)
    return made.changes


def _of_one_backend(state: HostState) -> HostState:
    """The same host without leftovers that only the journal knows to be those of a move."""
    files = {path: one for path, one in state.files.items() if path not in backends.DIRECTORIES}
    return replace(state, files=files, other_credentials={})


class TestEveryPlan:
    """Properties of all plans, from a host where two-factor login was never on, through two policies, to off."""

    @examples(50)
    @example(
        settings(*PEOPLE, services=[]),
        settings(*PEOPLE, services=["cockpit"], exempt_users=["ansible"]),
    ).via("a service joins while somebody is exempted")
    @example(
        settings("alice", "bob", "carol", scope="enrolled", services=["cockpit"]),
        settings("ansible", scope="enrolled", services=[]),
    ).via("a service leaves while somebody is enrolled")
    @example(
        settings(*PEOPLE, scope="groups", scope_groups=["staff"], exempt_addresses=["192.0.2.0/24"], ssh=True),
        settings(*PEOPLE, scope="groups", scope_groups=["admins"], exempt_addresses=["203.0.113.7"], ssh=True),
    ).via("a list and the switch that goes by it change together")
    @example(
        settings("alice", "bob", ssh=True, exempt_users=["ansible", "carol"]),
        settings(
            "alice",
            users=[{"name": "carol", "security_keys": [security_key(1)]}],
            ssh=True,
            exempt_users=["ansible", "bob"],
        ),
    ).via("somebody who was exempt has a security key")
    @example(
        settings(
            users=[{"name": "carol", "security_keys": [security_key(1)]}], scope="enrolled", ssh=True, services=[]
        ),
        settings("alice", "bob", "carol", ssh=False, services=["sudo"]),
    ).via("sshd leaves, and with it a security key")
    @example(
        settings(
            "alice", "bob", users=[{"name": "carol", "security_keys": [security_key(1)]}], scope="enrolled", ssh=True
        ),
        settings("alice", "bob", "carol", exempt_users=["carol"], scope="enrolled", ssh=True),
    ).via("a security key goes while its owner is exempted")
    @example(
        settings("alice", "bob", "carol", services=[], ssh=True, exempt_users=["ansible"]),
        settings(
            "alice",
            "bob",
            users=[{"name": "carol", "security_keys": [security_key(1)], "security_keys_only": True}],
            services=[],
            ssh=True,
            exempt_users=["ansible"],
        ),
    ).via("somebody with codes has security keys alone")
    @example(
        settings(
            "alice",
            "bob",
            users=[{"name": "carol", "security_keys": [security_key(1)], "security_keys_only": True}],
            scope="enrolled",
            services=[],
            ssh=True,
        ),
        settings(
            "bob",
            users=[{"name": "carol", "security_keys": [security_key(1)]}],
            scope="enrolled",
            services=[],
            ssh=True,
        ),
    ).via("somebody with security keys alone has codes as well")
    @example(
        settings(
            *("alice", "bob", "ansible"),
            users=[{"name": "carol", "security_keys": [security_key(1)]}],
            services=[],
            ssh=True,
        ),
        settings(
            *("alice", "bob", "ansible"),
            users=[{"name": "carol", "security_keys": [security_key(5)]}],
            scope="groups",
            scope_groups=["staff"],
            services=[],
            ssh=True,
        ),
    ).via("a security key gives way to another one while its owner leaves the scope")
    @example(
        KEYS_ALONE_BY_GROUP,
        settings(
            *("alice", "bob", "ansible"),
            users=[{"name": "carol", "security_keys": [security_key(5)], "security_keys_only": True}],
            exempt_addresses=["192.0.2.0/24"],
            services=[],
            ssh=True,
        ),
    ).via("a security key alone gives way to another one while an address is exempted")
    @example(
        KEYS_ALONE_BY_GROUP,
        settings(
            "ansible",
            users=[
                {"name": name, "security_keys": [security_key(number)]}
                for number, name in enumerate(("alice", "bob", "carol"), start=3)
            ],
            scope="groups",
            scope_groups=["staff"],
            security_keys_only_groups=["staff"],
            services=[],
            ssh=True,
        ),
    ).via("a security key alone gives way to another one while its owner's group no longer needs it alone")
    @given(policies(), policies())
    def test_has_the_old_policy_or_the_new_one_after_each_change(self, first: Settings, second: Settings) -> None:
        machine = Machine.booted(host_state())
        for target in (first, second, OFF):
            changes = planned(target, machine.state)
            stages = machine.stages(changes)
            old, new = stages[0].logins(), stages[-1].logins()
            for done, stage in zip([None, *changes], stages, strict=True):
                for restarted in (False, True):
                    for login, granted in stage.logins(restarted).items():
                        assert granted in (old[login], new[login]), (login, granted, done, restarted)
            machine = stages[-1]

    @examples(100)
    @given(policies(), policies())
    def test_is_idempotent(self, first: Settings, second: Settings) -> None:
        machine = Machine.booted(host_state())
        for target in (first, second, OFF, PURGE):
            machine = machine.stages(planned(target, machine.state))[-1]
            assert plan(target, machine.state) == Plan()

    @examples(100)
    @given(policies(), policies())
    def test_is_undone_by_turning_off(self, first: Settings, second: Settings) -> None:
        machine = before = Machine.booted(host_state())
        for target in (first, second):
            machine = machine.stages(planned(target, machine.state))[-1]
        off = machine.stages(planned(OFF, machine.state))[-1]
        directory = backends.BACKENDS[machine.state.backend].DIRECTORY
        directories = {directory: FileState("", 0o700, kind="directory")} if machine.state.credentials else {}
        assert off.state.files == {**before.state.files, **directories}
        assert off.state.credentials == machine.state.credentials
        assert off.logins() == before.logins()
        purged = machine.stages(planned(PURGE, machine.state))[-1].state
        assert replace(purged, backend=before.state.backend) == before.state

    @examples(50)
    @given(policies(), policies(), st.data())
    def test_is_finished_or_undone_after_it_died_at_any_point(
        self, first: Settings, second: Settings, data: st.DataObject
    ) -> None:
        before = Machine.booted(host_state())
        machine = before.stages(planned(first, before.state))[-1]
        stages = machine.stages(planned(second, machine.state))
        died = Machine.booted(with_sshd_settings(data.draw(st.sampled_from(stages)).state))
        finished = died.stages(planned(second, died.state))[-1].state
        assert _of_one_backend(finished) == _of_one_backend(stages[-1].state)
        off = died.stages(planned(OFF, died.state))[-1]
        assert {
            path: one for path, one in off.state.files.items() if path not in backends.DIRECTORIES
        } == before.state.files

    @examples(100)
    @given(policies(), policies())
    def test_refers_only_to_existing_files(self, first: Settings, second: Settings) -> None:
        machine = Machine.booted(host_state())
        for target in (first, second, OFF):
            stages = machine.stages(planned(target, machine.state))
            for stage in stages:
                state = stage.state
                for path in re.findall(r"file=(/etc/security/\S+)", state.text(places.SWITCH) or ""):
                    assert state.text(path) is not None
                services = state.protected_services
                assert not services or state.text(places.SWITCH)
                assert "sshd" not in services or places.KEY_ACCEPTED in state.files
                if places.KEY_DECLARED in (state.text(service("sshd")) or ""):
                    assert places.KEY_DECLARED in state.files
                asking = backends.asking(state.code_step)
                if asking:
                    directory = backends.BACKENDS[asking].DIRECTORY
                    assert {places.TALLY_DIRECTORY, directory, places.RECOVERY_COMMAND} <= set(state.files)
            machine = stages[-1]

    @examples(100)
    @given(policies(), policies())
    def test_never_passes_everyone_on_the_way_from_one_policy_to_another(
        self, first: Settings, second: Settings
    ) -> None:
        machine = Machine.booted(host_state())
        machine = machine.stages(planned(first, machine.state))[-1]
        assert all(backends.asking(CodeStep.parse(text)) for text in switches(planned(second, machine.state)))

    @examples(50)
    @given(policies(), st.binary(max_size=20), st.sampled_from(sorted(SERVICES)))
    def test_keeps_what_an_administrator_writes_meanwhile(self, target: Settings, raw: bytes, name: str) -> None:
        path, remark = service(name), "#" + raw.replace(b"\n", b" ").decode("utf-8", "surrogateescape")
        state = host_state()
        state = Machine.booted(state).stages(planned(target, state))[-1].state
        text = f"{remark}\n{state.text(path)}{remark}"
        state = edited(state, {path: replace(state.files[path], content=text, mode=0o640)})
        assert planned(target, state) == ()
        off = Machine.booted(state).stages(planned(OFF, state))[-1].state
        assert off.files[path] == file(f"{remark}\n{SERVICES[name]}{remark}", 0o640)


class TestFirstTime:
    def test_asks_for_the_code_last(self) -> None:
        assert report.changes(plan(wanted(services=["sudo"], scope="enrolled"), host_state())) == [
            "make /usr/libexec/fleet-auth",
            "make /run/fleet-auth",
            "make /run/fleet-auth/faillock",
            "make /etc/oath",
            "write /etc/oath/alice",
            "write /etc/oath/bob",
            "write /etc/oath/carol",
            "write /usr/libexec/fleet-auth/ssh-key-accepted",
            "write /usr/libexec/fleet-auth/ssh-password-method",
            "write /usr/libexec/fleet-auth/limits-suffice",
            "write /usr/local/sbin/twofactor-recover",
            "write /etc/tmpfiles.d/fleet-auth.conf",
            "write /etc/pam.d/twofactor",
            "write /etc/pam.d/sshd",
            "write /etc/pam.d/sudo",
            "write /etc/ssh/sshd_config.d/00-twofactor.conf",
            "reload sshd",
            "write /etc/pam.d/twofactor",
        ]

    def test_has_the_pass_through_until_the_end(self) -> None:
        target = wanted()
        texts = switches(plan(target, host_state()).changes)
        assert texts == [PASS_THROUGH, switch_of(target)]

    def test_gives_each_file_and_directory_its_mode(self) -> None:
        state = carried_out(wanted(scope="enrolled", exempt_addresses=["192.0.2.7"]))
        modes = {path: one.mode for path, one in state.files.items() if path in {*OWN_FILES, *OWN_DIRECTORIES}}
        assert modes == {
            **{path: mode for path, mode in OWN_DIRECTORIES.items() if path != "/etc/google-authenticator"},
            places.SWITCH: 0o644,
            places.KEY_ACCEPTED: 0o755,
            places.PASSWORD_METHOD: 0o755,
            places.LIMITS_SUFFICE: 0o755,
            places.EXEMPT_ORIGINS: 0o644,
            places.DROP_IN: 0o644,
            places.RECOVERY_COMMAND: 0o755,
            places.TMPFILES: 0o644,
        }

    def test_leaves_sshd_alone_if_ssh_is_false(self) -> None:
        changes = plan(wanted(ssh=False, services=["sudo"]), host_state(sshd_error="sshd is not installed")).changes
        assert changes
        assert not {"reload", places.DROP_IN, places.KEY_ACCEPTED, service("sshd")} & set(paths(changes))

    def test_skips_cockpit_if_it_is_not_installed(self) -> None:
        target = wanted(services=["cockpit"])
        assert carried_out(target).protected_services == ("cockpit", "sshd")
        without = host_state(files={service("cockpit"): None})
        assert carried_out(target, without).protected_services == ("sshd",)

    @pytest.mark.parametrize(("family", "package"), [("debian", "libpam-oath"), ("rhel", "pam_oath")])
    def test_names_the_missing_package_in_addition_to_the_changes(self, family: str, package: str) -> None:
        made = plan(wanted(), host_state(code_modules={}, os_family=family))
        assert made.missing_packages == (package,)
        assert made.changes == plan(wanted(), host_state()).changes
        assert plan(wanted(), replace(carried_out(wanted()), code_modules={}, os_family=family)).changed

    def test_refuses_a_module_that_is_empty(self) -> None:
        made = plan(wanted(), host_state(code_modules={"oath": b""}))
        assert made.missing_packages == ()
        assert made.refusals[0].startswith(
            "the backend oath does not work on web1: pam_oath.so does not know usersfile="
        )


class TestEnrolment:
    def test_is_new_for_accounts_without_a_credential(self) -> None:
        target = settings(users=[{"name": "alice"}, {"name": "bob", "secret": SECRET}], scope="enrolled", interval=60)
        made = [change for change in plan(target, host_state()).changes if isinstance(change, Enrol)]
        assert made == [
            Enrol(name, f"/etc/oath/{name}", 60, new_credential(name, key, 60))
            for name, key in (("alice", random_keys()(20)), ("bob", KEY))
        ]

    def test_changes_nothing_if_the_credential_is_right(self) -> None:
        state = carried_out(wanted())
        same = wanted(users=[{"name": "bob", "secret": SECRET}, {"name": "alice"}, {"name": "carol"}])
        state = replace(state, credentials={**state.credentials, "bob": credential("bob")})
        assert plan(same, state).changes == ()

    @pytest.mark.parametrize(
        ("now", "options"),
        [
            (credential("bob", OTHER_KEY), {}),
            (credential("bob"), {"interval": 60}),
            (replace(credential("bob"), mode=0o644), {}),
            (replace(credential("bob"), uid=1000), {}),
            (replace(credential("bob"), gid=1000), {}),
        ],
    )
    def test_updates_a_credential_to_the_settings(self, now: FileState, options: dict[str, t.Any]) -> None:
        target = wanted(users=[{"name": "bob", "secret": SECRET}], **options)
        state = carried_out(wanted(**options))
        state = replace(state, credentials={**state.credentials, "bob": now})
        assert plan(target, state).changes == (
            Renew(
                *("bob", "/etc/oath/bob", options.get("interval", 30), "/etc/oath/bob.lock"),
                Revision(target, "bob", "oath", state.now),
            ),
        )

    def test_shows_no_secret(self) -> None:
        given = wanted(users=[{"name": "bob", "secret": SECRET}, {"name": "alice"}, {"name": "carol"}])
        new, renewed, moved = (
            plan(given, host_state()),
            plan(given, host_state(credentials={"bob": credential("bob", OTHER_KEY)})),
            plan(replace(given, backend="google_authenticator"), carried_out(given)),
        )
        assert {type(change).__name__ for made in (new, renewed, moved) for change in made.changes} >= {
            *("Enrol", "Renew", "Move", "RemoveMoved")
        }
        for made in (new, renewed, moved):
            assert made.changes
            for key in (KEY, OTHER_KEY, RANDOM_KEY):
                for shown in (repr(key)[2:-1], key.hex(), encode_secret(key)):
                    assert shown not in repr(made)
        assert KEY.hex() not in repr(Write("/etc/oath/bob", f"HOTP/T30 bob - {KEY.hex()}", 0o600))
        assert KEY.hex() not in repr(host_state(credentials=["bob"]))

    def test_of_a_removed_user_is_deleted_last(self) -> None:
        state = carried_out(wanted(scope="enrolled"))
        target = wanted(scope="enrolled", users=[{"name": "bob", "state": "absent"}])
        assert plan(target, state).changes[-1] == Remove("/etc/oath/bob")
        after = carried_out(target, state)
        assert after.text(places.SWITCH) == switch_of(target, "alice", "carol")
        assert plan(target, after).changes == ()

    def test_of_nobody_asks_and_locks_out_nobody(self) -> None:
        target = wanted(scope="enrolled", users=[], services=["sudo"])
        before, state = host_state(), carried_out(target)
        assert state.text(places.SWITCH) == switch_of(target)
        assert Machine.booted(state).logins() == Machine.booted(before).logins()
        assert plan(target, state).changes == ()


class TestProof:
    def test_is_required_of_everyone_whom_sshd_would_begin_to_ask(self) -> None:
        target = wanted(users=[{"name": "alice"}, {"name": "bob", "proven": True}, {"name": "carol"}])
        assert refusals(replace(target, require_proof=True), host_state()) == (
            "alice and carol log in to sshd on web1, but no code of them was right there yet. Run with ssh false, hand "
            "out their enrolment sheets, and prove a code of each: ansible-playbook fleet.auth.verify -e user=NAME. Or "
            "vouch for them with proven: true in users, or for everyone with require_proof: false.",
        )
        target = wanted(users=[{"name": "alice"}, *({"name": name, "proven": True} for name in ("bob", "carol"))])
        assert refusals(replace(target, require_proof=True), host_state()) == (
            "alice logs in to sshd on web1, but no code of alice was right there yet. Run with ssh false, hand out the "
            "enrolment sheet, and prove a code: ansible-playbook fleet.auth.verify -e user=alice. Or vouch for alice "
            "with proven: true in users, or for everyone with require_proof: false.",
        )
        assert plan(replace(target, require_proof=True, ssh=False), host_state()).changed

    def test_is_a_right_code_of_any_device(self) -> None:
        target = replace(wanted(users=[{"name": "alice"}], scope="enrolled"), require_proof=True)
        phone, spare = new_credential("alice", KEY, 30), new_credential("alice", OTHER_KEY, 30)
        history = " 0 755224 2026-03-01T12:00:00L\n"
        used = spare.replace("\n", history)
        for text, proven in (
            (phone, False),
            (phone.replace("\n", history), True),
            (f"{phone}# fleet.auth device=spare\n{used}", True),
            (f"{phone}# fleet.auth recovery-codes=a\n{used.replace('HOTP/T30', 'HOTP/E')}", False),
        ):
            state = host_state(credentials={"alice": file(text, 0o600)})
            assert bool(plan(target, state).refusals) == (not proven), text

    def test_is_not_required_of_those_who_need_a_code_already(self) -> None:
        state = carried_out(wanted(scope="enrolled", users=[{"name": "alice"}]))
        more = wanted(scope="enrolled", users=[{"name": "alice"}, {"name": "bob"}], window=2)
        (refusal,) = refusals(replace(more, require_proof=True), state)
        assert refusal.startswith("bob logs in to sshd")
        renewed = wanted(scope="enrolled", users=[{"name": "alice", "renew": "lost"}])
        assert plan(replace(renewed, require_proof=True), state).to_enrol == ("alice",)

    def test_is_not_required_of_those_who_cannot_log_in_to_sshd(self) -> None:
        people = (account("alice", has_password=False, has_key=False), account("root", uid=0, has_key=False))
        target = settings("alice", ssh=True, services=[], require_proof=True)
        assert not plan(target, host_state(*people)).refusals


class TestNewEnrolment:
    def test_is_needed_only_for_new_keys(self) -> None:
        assert plan(wanted(), host_state()).to_enrol == ("alice", "bob", "carol")
        state = carried_out(wanted())
        for bob, due in (
            ({}, ()),
            ({"secret": SECRET}, ("bob",)),
            ({"renew": "lost"}, ("bob",)),
            ({"devices": [{"name": "tablet"}]}, ("bob",)),
            ({"recovery_codes": "first"}, ("bob",)),
            ({"devices": [{"name": "tablet", "state": "absent"}]}, ()),
        ):
            made = plan(wanted(users=[{"name": "bob", **bob}]), state)
            assert made.to_enrol == due
            assert made.changed == bool(due)

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"otp_digits": 8}, "8 digits long, a new one every 30 seconds"),
            ({"interval": 60}, "6 digits long, a new one every 60 seconds"),
        ],
    )
    def test_of_everybody_is_demanded_before_codes_change(self, options: dict[str, t.Any], expected: str) -> None:
        state = carried_out(wanted())
        assert refusals(wanted(renew="never", **options), state) == (
            f"codes on web1 would become {expected}, but the apps of alice, bob and carol show other ones. Set renew "
            "to changed to go on, and hand out their new enrolment sheets; their secrets stay.",
        )
        made = plan(wanted(renew="changed", **options), state)
        assert made.to_enrol == ("alice", "bob", "carol")
        assert not plan(wanted(renew="never", **options), carried_out(wanted(**options), state)).changed

    def test_of_an_unchanged_device_that_is_not_listed_is_not_demanded(self) -> None:
        tablet = {"name": "tablet", "secret": SECRET}
        state = carried_out(wanted(users=[{"name": "alice", "devices": [tablet]}], scope="enrolled"))
        slow = wanted(users=[{"name": "alice"}], scope="enrolled", interval=60)
        made = plan(slow, state)
        assert made.to_enrol == ("alice",)
        again = plan(replace(slow, renew="never"), carried_out(slow, state))
        assert (again.refusals, again.to_enrol, again.changes) == ((), (), ())

    @pytest.mark.parametrize(
        "bob",
        [
            {"secret": SECRET, "devices": [{"name": "tablet", "secret": SECRET}]},
            {"devices": [{"name": "tablet", "secret": SECRET}]},
            {"devices": [{"name": "tablet", "secret": SECRET}, {"name": "spare", "secret": SECRET}]},
        ],
    )
    def test_of_two_devices_with_one_secret_is_refused(self, bob: dict[str, t.Any]) -> None:
        state = host_state(credentials={"bob": credential("bob")})
        assert refusals(wanted(users=[{"name": "bob", **bob}], scope="enrolled"), state) == (
            "two devices of bob on web1 would have the same secret, and each of its codes would be valid twice. Give "
            "each device a secret of its own, or none.",
        )
        several = [{"name": "tablet"}, {"name": "spare"}]
        assert plan(wanted(users=[{"name": "bob", "devices": several}], scope="enrolled"), state).changed

    def test_of_many_deleted_accounts_is_one_warning(self) -> None:
        names = [f"u{number:03}" for number in range(300)]
        made = plan(wanted(), replace(carried_out(wanted()), credentials={name: credential(name) for name in names}))
        (warning,) = made.warnings
        assert warning == (
            f"there are no accounts {', '.join(names[:10])} and 290 more on web1 any more, but credentials, which the "
            "next of those names would get. Unless they are in a directory that does not answer, remove them "
            "with users: [{name: NAME, state: absent}]."
        )
        assert report.all_users(made.warnings) == [{"message": warning, "users": names}]

    def test_of_a_deleted_account_is_warned_about(self) -> None:
        state = replace(carried_out(wanted()), credentials={"zoe": credential("zoe")})
        (warning,) = plan(wanted(), state).warnings
        assert warning.startswith("there is no account zoe on web1 any more, but a credential")
        gone = wanted(users=[*({"name": name} for name in PEOPLE), {"name": "zoe", "state": "absent"}])
        made = plan(gone, state)
        assert (made.warnings, made.changes[-1]) == ((), Remove("/etc/oath/zoe"))

    @pytest.mark.parametrize("fixed", [(), ("/etc/oath",)])
    def test_directory_that_is_a_mount_or_a_link_stays(self, fixed: tuple[str, ...]) -> None:
        state = replace(carried_out(wanted()), fixed_directories=frozenset(fixed))
        made = plan(wanted(enabled=False, purge_credentials=True), state)
        assert (Remove("/etc/oath") in made.changes) is not bool(fixed)
        assert Remove("/etc/oath/bob") in made.changes

    def test_directory_may_hold_a_file_of_somebody_else(self) -> None:
        """Such as the users file of a set-up made by hand, which must not be taken for the credential of an account."""
        state = replace(carried_out(wanted()), credentials={"users.oath": file("HOTP/T30 alice - 00\n", 0o600)})
        made = plan(wanted(), state)
        assert "users.oath" not in "".join((*made.warnings, *report.changes(made)))

    @pytest.mark.parametrize("rights", [{"mode": 0o644}, {"mode": 0o640}, {"uid": 1001}])
    def test_with_wrong_rights_is_written_anew_for_users_who_are_not_named_too(self, rights: dict[str, int]) -> None:
        """pam_google_authenticator denies every code then."""
        state = carried_out(wanted())
        unnamed = wanted(users=[])
        assert report.changes(plan(unnamed, state)) == []
        of_bob = replace(state.credentials["bob"], **rights)
        made = plan(unnamed, replace(state, credentials={**state.credentials, "bob": of_bob}))
        assert [change.path for change in made.changes] == ["/etc/oath/bob"]


class TestChange:
    def test_of_the_users_in_scope_is_known_to_sshd_first(self) -> None:
        state = carried_out(wanted(scope="enrolled", users=[{"name": "alice"}]))
        target = wanted(scope="enrolled", users=[{"name": "bob"}])
        changes = plan(target, state).changes
        new = drop_in.render(target, ["alice", "bob"])
        service, *written = [change.content for change in changes if isinstance(change, Write)]
        assert " pam_succeed_if.so quiet user in alice:bob\n" in service
        assert written == [
            f"{new}{state.text(places.DROP_IN)}",
            switch_of(target, "alice", "bob"),
            new,
        ]
        assert paths(changes) == [
            "/etc/oath/bob",
            f"{places.PAM_D}/sshd",
            places.DROP_IN,
            "reload",
            places.SWITCH,
            places.DROP_IN,
            "reload",
        ]

    def test_of_the_length_is_one_rename(self) -> None:
        assert paths(plan(wanted(otp_digits=8), carried_out(wanted())).changes) == [places.SWITCH]

    def test_of_the_first_factors_is_the_drop_in_alone(self) -> None:
        state = carried_out(wanted(), host_state(*WITH_KEYS))
        assert paths(plan(wanted(ssh_first_factors=["publickey"]), state).changes) == [places.DROP_IN, "reload"]

    def test_that_adds_a_service_exempts_it_until_its_policy_is_there(self) -> None:
        old, new = wanted(ssh=False, services=["sudo"]), wanted(services=["sudo"], window=2)
        state = carried_out(old)
        assert switches(plan(new, state).changes) == [
            except_services(t.cast(str, state.text(places.SWITCH)), ["sshd"]),
            switch_of(new),
        ]

    def test_that_removes_a_service_exempts_it_until_its_block_is_gone(self) -> None:
        old, new = wanted(services=["sudo"]), wanted(ssh=False, services=["sudo"], window=2)
        changes = plan(new, carried_out(old)).changes
        switch = switch_of(new)
        assert switches(changes) == [except_services(switch, ["sshd"]), switch]
        assert paths(changes) == [
            places.SWITCH,
            places.DROP_IN,
            "reload",
            service("sshd"),
            places.SWITCH,
            places.KEY_ACCEPTED,
            places.PASSWORD_METHOD,
        ]

    def test_of_two_files_uses_a_temporary_list_until_the_old_one_is_replaced(self) -> None:
        state = carried_out(wanted(exempt_addresses=["192.0.2.7"]))
        target = wanted(exempt_addresses=["192.0.2.8"], window=2)
        concerned = [path for path in paths(plan(target, state).changes) if path.startswith(("/etc/sec", "/etc/pam.d"))]
        assert concerned == [
            f"{places.EXEMPT_ORIGINS}.next",
            places.SWITCH,
            places.EXEMPT_ORIGINS,
            places.SWITCH,
            f"{places.EXEMPT_ORIGINS}.next",
        ]

    @pytest.mark.parametrize("switch", ["", PASS_THROUGH])
    def test_after_a_recovery_asks_nobody_who_must_not_be_asked(self, switch: str) -> None:
        on = carried_out(wanted(services=["sudo", "cockpit"]))
        recovered = edited(on, {places.SWITCH: switch, places.DROP_IN: None})
        changes = plan(wanted(ssh=False, services=["cockpit"]), recovered).changes
        stages = Machine.booted(recovered).stages(changes)
        old, new = stages[0].logins(), stages[-1].logins()
        for done, stage in zip([None, *changes], stages, strict=True):
            for login, granted in stage.logins().items():
                assert granted in (old[login], new[login]), (login, done)

    @pytest.mark.parametrize("switch", [None, "auth required pam_broken.so\n", "auth requisite pam_deny.so\n"])
    def test_of_a_missing_or_damaged_switch_opens_no_door_in_between(self, switch: str | None) -> None:
        target = wanted(services=["sudo"])
        state = edited(carried_out(target), {places.SWITCH: switch})
        assert switches(plan(target, state).changes) == [switch_of(target)]

    def test_repairs_missing_files_modes_and_owners(self) -> None:
        target = wanted(scope="enrolled")
        state = carried_out(target)
        for path in {*OWN_FILES, *OWN_DIRECTORIES} & set(state.files):
            now = state.files[path]
            for wrong in (None, replace(now, mode=0o777), replace(now, uid=1000), replace(now, gid=1000)):
                damaged = edited(state, {path: wrong})
                assert carried_out(target, damaged) == state, path

    @pytest.mark.parametrize("path", [places.SWITCH, places.EXEMPT_ORIGINS, places.DROP_IN, places.RECOVERY_COMMAND])
    def test_repairs_edits_in_our_files(self, path: str) -> None:
        target = wanted(scope="enrolled", exempt_addresses=["192.0.2.7"])
        state = carried_out(target)
        assert carried_out(target, edited(state, {path: f"{state.text(path)}# mine\n"})) == state

    def test_replaces_a_link_in_place_of_our_file(self) -> None:
        state = carried_out(wanted())
        linked = edited(state, {places.SWITCH: replace(state.files[places.SWITCH], link="/tmp/x")})
        assert paths(plan(wanted(), linked).changes) == [places.SWITCH]

    def test_keeps_mode_and_owner_of_a_service_file(self) -> None:
        state = edited(host_state(), {service("sudo"): file(SERVICES["sudo"], 0o600, uid=7, gid=8)})
        after = carried_out(wanted(services=["sudo"]), state).files[service("sudo")]
        assert (after.mode, after.uid, after.gid) == (0o600, 7, 8)

    def test_leaves_a_link_to_a_protected_service_alone(self) -> None:
        state = carried_out(wanted())
        state = edited(state, {service("ssh"): replace(state.files[service("sshd")], link=service("sshd"))})
        assert state.protected_services == ("sshd",)
        assert plan(wanted(), state).changes == ()
        assert service("ssh") not in paths(plan(OFF, state).changes)

    @pytest.mark.parametrize("target", [wanted(), OFF])
    def test_begins_with_locks_left_by_a_dead_login(self, target: Settings) -> None:
        lock = "/etc/oath/alice.lock"
        assert plan(target, replace(carried_out(wanted()), stale_locks=(lock,))).changes[0] == Remove(lock)


class TestOff:
    def test_reverses_the_order_of_enabling(self) -> None:
        state = carried_out(wanted(services=["sudo"]))
        assert report.changes(plan(OFF, state)) == [
            "write /etc/pam.d/twofactor",
            "remove /etc/ssh/sshd_config.d/00-twofactor.conf",
            "reload sshd",
            "write /etc/pam.d/sshd",
            "write /etc/pam.d/sudo",
            "remove /etc/pam.d/twofactor",
            "remove /usr/libexec/fleet-auth/ssh-key-accepted",
            "remove /usr/libexec/fleet-auth/ssh-password-method",
            "remove /usr/libexec/fleet-auth/limits-suffice",
            "remove /usr/local/sbin/twofactor-recover",
            "remove /etc/tmpfiles.d/fleet-auth.conf",
            "remove /usr/libexec/fleet-auth",
            "remove /run/fleet-auth/faillock",
            "remove /run/fleet-auth",
        ]
        assert switches(plan(OFF, state).changes) == [PASS_THROUGH]

    def test_does_nothing_if_it_was_never_on(self) -> None:
        assert plan(OFF, host_state()) == Plan()

    def test_needs_neither_time_nor_users_sshd_or_packages(self) -> None:
        state = carried_out(wanted())
        broken = replace(
            state, time_sync=NOT_IN_SYNC, code_modules={}, sshd_error="broken", accounts={}, credentials={}
        )
        made = plan(OFF, broken)
        assert made.changes
        assert (made.refusals, made.missing_packages) == ((), ())

    def test_purges_credentials_and_leaves_other_files(self) -> None:
        state = carried_out(wanted())
        foreign = {**state.credentials, "users.oath": file(f"HOTP/T30 zoe - {KEY.hex()}\n", 0o600)}
        state = replace(state, credentials=foreign)
        made = plan(PURGE, state)
        assert [path for path in paths(made.changes) if path.startswith("/etc/oath")] == [
            "/etc/oath/alice",
            "/etc/oath/bob",
            "/etc/oath/carol",
        ]
        assert made.warnings == ("/etc/oath/users.oath is not a credential of users.oath; it was left alone.",)
        assert plan(PURGE, carried_out(PURGE, state)).changes == ()

    def test_created_directories_are_removed_if_empty(self) -> None:
        missing = frozenset({places.DROP_IN_DIRECTORY, "/etc/tmpfiles.d", "/etc/security"})
        state = replace(carried_out(wanted(), host_state(missing=missing)), missing=frozenset())
        inside = {"/etc/tmpfiles.d": ("fleet-auth.conf", ".mine"), places.DROP_IN_DIRECTORY: ("00-twofactor.conf",)}
        removed = {
            change.path for change in plan(OFF, replace(state, inside=inside)).changes if isinstance(change, Remove)
        }
        assert places.DROP_IN_DIRECTORY in removed
        assert not removed & {"/etc/tmpfiles.d", "/etc/security"}

    @pytest.mark.parametrize("rights", [(0o755, 0, 0), (0o750, 7, 8), (0o700, 0, 0)])
    @pytest.mark.parametrize("backend", ["oath", "google_authenticator"])
    def test_existing_directory_of_credentials_gets_its_rights_back(
        self, rights: tuple[int, int, int], backend: str
    ) -> None:
        path = backends.BACKENDS[backend].DIRECTORY
        before = host_state(files={path: FileState("", *rights, kind="directory")})
        on = carried_out(wanted(backend=backend, ssh=False), before)
        assert on.files[path] == FileState("", 0o700)
        for off in (OFF, settings(enabled=False, purge_credentials=True, backend=backend)):
            after = carried_out(off, on)
            assert after.files[path] == before.files[path]
            assert places.ORIGINAL_STATE not in after.files
            assert plan(off, after).changes == ()

    def test_rights_are_recorded_only_for_an_existing_directory(self) -> None:
        on = carried_out(wanted())
        assert places.ORIGINAL_STATE not in on.files
        kept = carried_out(OFF, on)
        assert places.ORIGINAL_STATE not in carried_out(wanted(), kept).files
        assert "/etc/oath" not in carried_out(PURGE, kept).files

    def test_directory_of_the_other_backend_stays_with_foreign_files(self) -> None:
        path = "/etc/google-authenticator"
        state = host_state(files={path: FileState("", 0o700, kind="directory")})
        on = plan(wanted(), replace(state, inside={path: (".keep",)}))
        assert on.changes
        assert not [change for change in on.changes if getattr(change, "path", "") == path]

    def test_is_refused_if_a_file_would_lose_its_other_name(self) -> None:
        linked = {service("sudo"): file(SERVICES["sudo"], names=2), service("su"): file(SERVICES["su"], names=2)}
        (told,) = refusals(wanted(services=["sudo"]), host_state(files=linked))
        assert told == (
            "/etc/pam.d/sudo on web1 has a second hard link, which a change of the file would not reach. "
            "Find it with 'find /etc -xdev -samefile /etc/pam.d/sudo', and remove it, or make it a copy."
        )
        on = carried_out(wanted(services=["sudo"]))
        on = edited(on, {service("sudo"): replace(on.files[service("sudo")], names=2)})
        assert refusals(OFF, on) == (told,)
        assert plan(wanted(services=["sudo"]), on).changes == ()

    def test_is_refused_as_a_whole_if_a_block_is_damaged(self) -> None:
        state = carried_out(wanted(services=["sudo"]))
        text = t.cast(str, state.text(service("sudo"))).replace("# END", "#")
        (told,) = refusals(OFF, edited(state, {service("sudo"): text}))
        assert told.startswith("on web1, the block of fleet.auth in /etc/pam.d/sudo is damaged (lines 6).")


class TestSelfService:
    def test_comes_last_and_listens_when_complete(self) -> None:
        target = wanted(services=["cockpit"], self_service=True)
        told = report.changes(plan(target, host_state()))
        begin = told.index("make /usr/libexec/fleet-auth/fleet_auth")
        assert told[begin - 1] == "write /etc/pam.d/twofactor"
        assert told[-2:] == [f"write {places.SELF_SERVICE_SOCKET_UNIT}", f"start {places.SELF_SERVICE_UNIT}"]
        assert plan(target, carried_out(target)).changes == ()

    def test_needs_the_package_that_draws_qr_codes(self) -> None:
        target, without = wanted(services=["cockpit"], self_service=True), host_state(has_qrencode=False)
        assert plan(target, without).missing_packages == ("qrencode",)
        assert plan(target, replace(without, code_modules={})).missing_packages == ("libpam-oath", "qrencode")
        assert plan(wanted(services=["cockpit"]), without).missing_packages == ()
        assert plan(target, host_state()).missing_packages == ()

    def test_stops_while_its_files_change(self) -> None:
        state = carried_out(wanted(services=["cockpit"], self_service=True))
        target = wanted(services=["cockpit"], self_service=True)
        later = replace(target, files={**target.files, f"{places.PAGE_DIRECTORY}/page.js": "another release"})
        assert report.changes(plan(later, state)) == [
            f"stop {places.SELF_SERVICE_UNIT}",
            "write /usr/share/cockpit/fleet-auth/page.js",
            f"start {places.SELF_SERVICE_UNIT}",
        ]

    def test_leaves_nothing_of_an_earlier_release(self) -> None:
        target = wanted(services=["cockpit"], self_service=True)
        state, library = carried_out(target), places.SELF_SERVICE_LIBRARY
        gone = {f"{places.PAGE_DIRECTORY}/qrcode.js": "", f"{library}/_old.py": "", f"{library}/_wing/old.py": ""}
        earlier = edited(state, {**gone, f"{library}/_wing": FileState("", 0o755, kind="directory")})
        made = plan(target, earlier)
        assert report.changes(made) == [
            f"stop {places.SELF_SERVICE_UNIT}",
            f"remove {library}/_old.py",
            f"remove {library}/_wing",
            f"remove {places.PAGE_DIRECTORY}/qrcode.js",
            f"start {places.SELF_SERVICE_UNIT}",
        ]
        assert carried_out(target, earlier).files == state.files

    @pytest.mark.parametrize("path", places.SELF_SERVICE_LISTENING)
    def test_starts_again_what_somebody_stopped(self, path: str) -> None:
        target = wanted(services=["cockpit"], self_service=True)
        made = plan(target, edited(carried_out(target), {path: None}))
        assert report.changes(made) == [f"stop {places.SELF_SERVICE_UNIT}", f"start {places.SELF_SERVICE_UNIT}"]
        failed = replace(carried_out(target), stopped_units=frozenset({places.SELF_SERVICE_UNIT}))
        assert report.changes(plan(target, failed)) == report.changes(made)

    def test_starts_again_where_a_directory_of_credentials_is_new(self) -> None:
        """Its unit may write only to the directories that were there when it was started."""
        on = carried_out(wanted(self_service=True))
        moved = wanted(self_service=True, backend="google_authenticator")
        told = report.changes(plan(moved, on))
        new = told.index("make /etc/google-authenticator")
        assert new < told.index(f"stop {places.SELF_SERVICE_UNIT}") < told.index(f"start {places.SELF_SERVICE_UNIT}")
        assert plan(moved, carried_out(moved, on)).changes == ()

    def test_lists_users_with_a_given_secret_for_the_program(self) -> None:
        people = [{"name": "alice", "secret": SECRET}, {"name": "bob"}]
        state = carried_out(wanted(users=people, scope="enrolled", services=["cockpit"], self_service=True))
        assert json.loads(state.files[places.SELF_SERVICE_CONFIG].content)["given"] == ["alice"]

    @pytest.mark.parametrize("target", [wanted(services=["cockpit"]), OFF])
    def test_is_removed_when_it_is_no_longer_wanted(self, target: Settings) -> None:
        without = carried_out(target, carried_out(wanted(services=["cockpit"])))
        state = carried_out(wanted(services=["cockpit"], self_service=True))
        told = report.changes(plan(target, state))
        assert told.index(f"stop {places.SELF_SERVICE_UNIT}") < told.index(f"remove {places.SELF_SERVICE_SOCKET_UNIT}")
        assert carried_out(target, state).files == without.files

    def test_is_refused_without_systemd(self) -> None:
        (told,) = refusals(wanted(self_service=True), host_state(has_systemd=False))
        assert told.startswith("self_service needs a socket of systemd, which does not run on web1.")

    def test_is_only_a_command_without_cockpit(self) -> None:
        target, without = wanted(self_service=True), host_state(files={service("cockpit"): None})
        state = carried_out(target, without)
        assert not any(path.startswith("/usr/share/cockpit") for path in state.files)
        assert state.files[places.ENROL_COMMAND].mode == 0o755
        assert (state.files[places.INVITATIONS].mode, state.files[places.OFFER].mode) == (0o700, 0o644)
        assert plan(target, state).changes == ()
        # Cockpit was installed and is no longer.
        page = carried_out(target, edited(carried_out(target), {service("cockpit"): None}))
        assert page.files == state.files

    def test_is_not_offered_at_logins_if_that_is_turned_off(self) -> None:
        target = wanted(services=["cockpit"], self_service=True)
        silent = replace(target, offer_enrolment=False)
        assert places.OFFER not in carried_out(silent).files
        assert carried_out(silent, carried_out(target)).files == carried_out(silent).files
        assert places.OFFER in carried_out(target, carried_out(silent)).files


class TestServices:
    @pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
    @examples(30)
    @given(data=st.data())
    def test_in_any_order_and_any_number_of_times_come_back_to_the_original_bytes(
        self, layout: Layout, data: st.DataObject
    ) -> None:
        check_round_trip(layout, data)

    def test_with_the_console_cause_a_warning(self) -> None:
        target = wanted(services=["login"], allow_console=True)
        state = host_state(files={service("login"): "@include common-auth\n"})
        assert plan(target, state).warnings == (
            "the console of web1 asks for the code as well, and without a phone nobody can get in there to run "
            "twofactor-recover.",
        )
        exempt = wanted(services=["login"], allow_console=True, exempt_users=["ansible", "alice", "bob"])
        (warning,) = plan(exempt, state).warnings
        assert "without a phone only alice, bob can get in there" in warning

    @pytest.mark.parametrize(
        ("text", "services", "warns"),
        [
            ("@include common-auth\n", ["sudo"], True),
            ("@include common-auth\n", ["sudo", "sudo-i"], False),
            ("@include common-auth\n", [], False),
            ("auth include sudo\n", ["sudo"], False),
            (None, ["sudo"], False),
        ],
    )
    def test_with_sudo_cause_a_warning_about_a_separate_file_for_login_shells(
        self, text: str | None, services: list[str], warns: bool
    ) -> None:
        state = host_state(files={service("sudo-i"): text})
        warnings = plan(wanted(services=services), state).warnings
        assert warnings == (
            (
                "sudo on web1 asks for the code, but sudo -i does not: it has its own file, /etc/pam.d/sudo-i. Add "
                "sudo-i to services.",
            )
            if warns
            else ()
        )


class TestOtherName:
    """The host lists two names with one number for one account."""

    TWINS = (*ACCOUNTS, account("second", uid=uid_of("alice")))

    def test_of_an_enrolled_account_needs_its_own_credential(self) -> None:
        (told,) = refusals(wanted(scope="enrolled"), host_state(*self.TWINS))
        assert told.startswith("second has no credential and would be locked out of sshd")
        exempt = wanted(scope="enrolled", exempt_users=["ansible", "second"])
        after = carried_out(exempt, host_state(*self.TWINS))
        assert "user in alice:bob:carol:second\n" in (after.text(f"{places.PAM_D}/sshd") or "")

    def test_outside_the_groups_of_the_scope_is_refused(self) -> None:
        groups = {"scope": "groups", "scope_groups": ["staff", "admins"]}
        (told,) = refusals(wanted(**groups), host_state(*self.TWINS))
        assert told.startswith("second on web1 is another name of alice (uid ")
        assert not plan(wanted(**groups, exempt_users=["second"]), host_state(*self.TWINS)).refusals


class TestRefusal:
    """Everything that makes a run refuse, each with a remedy."""

    def test_of_a_module_without_support_for_a_file_per_user(self) -> None:
        assert refusals(wanted(), host_state(code_modules={"oath": b"usersfile=%s"})) == (
            "the backend oath does not work on web1: pam_oath.so does not know usersfile=…/${USER}, and would deny "
            "every code; install oath-toolkit 2.6.7 or later, or set backend to google_authenticator.",
        )

    def test_of_debian_11_by_name_with_the_remedy(self) -> None:
        state = host_state(release=("debian", "11"), code_modules={})
        assert refusals(wanted(), state) == (
            "the backend oath does not work on web1: Debian 11 has a pam_oath.so that does not know "
            "usersfile=…/${USER}, and would deny every code; set backend to google_authenticator.",
        )
        assert plan(wanted(backend="google_authenticator"), state).missing_packages == ("libpam-google-authenticator",)

    def test_of_directories_that_selinux_denies_to_logins_with_the_commands(self) -> None:
        state = host_state(release=("rocky", "9.4"), selinux_types={"/etc/oath": "etc_t"})
        assert refusals(wanted(), state) == (
            "SELinux on web1 would keep sshd from writing to /etc/oath (type etc_t), which it has to do at "
            "each code. Run there: mkdir -p /etc/oath; semanage fcontext -a -t var_auth_t '/etc/oath(/.*)?'; "
            "restorecon -R /etc/oath.",
            "SELinux on web1 would keep sshd from writing to /run/fleet-auth (type none yet), which it has to do "
            "at each code. Run there: mkdir -p /run/fleet-auth; semanage fcontext -a -t faillog_t "
            "'/var/run/fleet-auth(/.*)?'; restorecon -R /run/fleet-auth.",
        )
        newer = refusals(wanted(), replace(state, release=("rhel", "10.1")))
        assert "'/run/fleet-auth(/.*)?'" in newer[1]
        assert plan(settings(enabled=False), state).refusals == ()
        google = wanted(backend="google_authenticator")
        assert "/etc/google-authenticator" in refusals(google, state)[0]

    @pytest.mark.parametrize("chosen", ["var_auth_t", "site_auth_t"])
    def test_of_directories_is_absent_if_a_selinux_type_was_chosen(self, chosen: str) -> None:
        state = host_state(selinux_types={"/etc/oath": chosen, "/run/fleet-auth": "faillog_t"})
        assert plan(wanted(), state).refusals == ()

    def test_of_a_user_without_an_account(self) -> None:
        assert refusals(settings("zoe", "alice", scope="enrolled"), host_state()) == (
            "there is no account zoe on web1. Create it first, or take zoe out of users.",
        )
        absent = settings(users=[{"name": "zoe", "state": "absent"}], scope="enrolled")
        assert plan(absent, host_state()).refusals == ()

    def test_of_a_group_by_a_second_name_of_its_number(self) -> None:
        state = host_state(groups_known_as={"staff2": "staff"}, groups=frozenset({"staff2"}))
        for option in ({"scope": "groups", "scope_groups": ["staff2"]}, {"exempt_groups": ["staff2"]}):
            target = settings("alice", "bob", "carol", exempt_users=["ansible"], **option)
            assert (
                f"{[*option][-1]}: staff2 on web1 is another name of the group staff: both have the same number, and "
                "sshd finds their members only in staff. Name staff in its place, or give staff2 a number of its own."
            ) in plan(target, state).refusals

    def test_of_a_missing_group(self) -> None:
        target = settings(scope="groups", scope_groups=["staf", "admins"], users=[{"name": "carol"}])
        assert refusals(target, host_state()) == (
            "scope_groups: there is no group staf on web1, so nobody would need a code. Create the group, "
            "or leave it out.",
        )

    def test_of_a_missing_service(self) -> None:
        assert refusals(wanted(services=["gone"]), host_state()) == (
            "there is no /etc/pam.d/gone on web1, nor one in /usr/lib/pam.d. Take gone out of the services that ask "
            "for codes.",
        )

    def test_of_a_service_that_is_no_file(self) -> None:
        state = host_state(files={service("sudo"): replace(file("", 0o755), kind="directory")})
        assert refusals(wanted(services=["sudo"]), state) == (
            "/etc/pam.d/sudo on web1 is a directory, not a file. Put the file itself there, or leave sudo out of the "
            "services that ask for codes.",
        )

    @pytest.mark.parametrize(
        ("path", "found", "expected"),
        [
            (places.DROP_IN, file("", 0o755, kind="directory"), "is a directory, and fleet.auth needs a file of that"),
            (places.SWITCH, file("", 0o755, kind="named pipe"), "is a named pipe, and fleet.auth needs a file of that"),
            ("/etc/oath", file("x"), "is a file, and fleet.auth needs a directory of that name. Move it away, and run"),
            ("/etc/oath", file("", 0o700), "is a file, and fleet.auth needs a directory of that name. Move it away"),
            (
                "/etc/oath",
                file("", 0, link="/gone", kind="link to nowhere"),
                "is a link to nowhere, and fleet.auth needs",
            ),
        ],
    )
    def test_of_a_path_of_the_wrong_kind(self, path: str, found: FileState, expected: str) -> None:
        (refusal,) = refusals(wanted(), host_state(files={path: found}))
        assert refusal.startswith(f"{path} on web1 {expected}")

    def test_spares_a_directory_in_place_of_our_file_when_disabled(self) -> None:
        state = host_state(files={places.SWITCH: file("", 0o755, kind="directory")})
        assert plan(settings(enabled=False), state) == Plan()

    @pytest.mark.parametrize("path", [places.SWITCH, places.DROP_IN, places.RECOVERY_COMMAND])
    def test_of_a_foreign_file_with_the_name_of_ours(self, path: str) -> None:
        state = host_state(files={path: "auth required pam_oath.so usersfile=/etc/users.oath\n"})
        assert refusals(wanted(), state) == (
            f"{path} on web1 is not a file of fleet.auth, which needs this path. Move it to another path, change what "
            "refers to it, and run again.",
        )
        assert plan(settings(enabled=False), state) == Plan()
        assert not state.asks_for_code

    def test_does_not_spare_our_overwritten_file(self) -> None:
        state = edited(carried_out(wanted()), {places.SWITCH: file("auth required pam_permit.so\n")})
        assert "write /etc/pam.d/twofactor" in report.changes(plan(wanted(), state))

    def test_of_a_service_that_is_a_link(self) -> None:
        state = edited(host_state(), {service("sudo"): file(SERVICES["sudo"], link="/etc/authselect/sudo")})
        assert refusals(wanted(services=["sudo"]), state) == (
            "/etc/pam.d/sudo on web1 is a symbolic link to /etc/authselect/sudo, which something else manages. Make it "
            "a file of its own, or leave sudo out of the services that ask for codes.",
        )

    def test_of_service_files_without_a_clear_place_names_each(self) -> None:
        state = edited(host_state(), {service("sudo"): "auth sufficient pam_unix.so\n", service("sshd"): "\n"})
        sshd, sudo = refusals(wanted(services=["sudo"]), state)
        assert sshd.startswith("on web1, /etc/pam.d/sshd has no auth line, so libpam uses /etc/pam.d/other.")
        assert re.match(r"on web1, /etc/pam\.d/sudo, line 1( must |, can )", sudo)

    def test_of_a_stack_that_would_skip_the_step(self) -> None:
        stack = COMMON_AUTH.replace("[success=1 default=ignore]", "sufficient") + "account required pam_unix.so\n"
        (told,) = refusals(wanted(), edited(host_state(), {service("common-auth"): stack}))
        assert told.startswith(
            "on web1, /etc/pam.d/common-auth, line 2 (included by /etc/pam.d/sshd, line 4), can end the authentication"
        )

    @pytest.mark.parametrize("services", [["sudo"], []])
    def test_of_a_damaged_block_of_a_service_that_stays_or_leaves(self, services: list[str]) -> None:
        state = carried_out(wanted(services=["sudo"]))
        damaged = t.cast(str, state.text(service("sudo"))).replace("#| ", "# ")
        (told,) = refusals(wanted(services=services), edited(state, {service("sudo"): damaged}))
        assert told.startswith("on web1, the block of fleet.auth in /etc/pam.d/sudo is damaged (lines 6, 10).")

    @pytest.mark.parametrize("target", [wanted(), wanted(ssh=False, services=["sudo"])])
    def test_to_lose_a_setting_that_somebody_has_added_to_the_drop_in(self, target: Settings) -> None:
        state = carried_out(wanted(services=["sudo"], scope="everyone", exempt_groups=["admins"]))
        text = t.cast(str, state.text(places.DROP_IN))
        added = edited(state, {places.DROP_IN: text.replace("DenyGroups", "  Port 2222\n# mine\nDenyGroups")})
        (told,) = refusals(target, added)
        assert told == (
            f"{places.DROP_IN} on web1, line 3, is a setting that fleet.auth has not written, and a change would lose "
            "it: 'Port 2222'. Move it to another file in /etc/ssh/sshd_config.d, and run again."
        )
        # Recovery must go on in any case.
        assert plan(OFF, added).changes
        (warned,) = plan(OFF, added).warnings
        assert warned.startswith(f"{places.DROP_IN} on web1, line 3, had a setting that fleet.auth has not written")
        in_block = edited(state, {places.DROP_IN: f"{text}    X11Forwarding no\n"})
        assert plan(target, in_block).refusals == ()

    def test_of_a_polkit_that_could_not_note_a_code(self) -> None:
        state = host_state(read_only_to_polkit=("/etc/oath", "/run/fleet-auth"))
        (told,) = refusals(wanted(), state)
        assert told == (
            "polkit on web1 checks codes in a unit of systemd that may not write to /etc/oath and /run/fleet-auth, so "
            "right codes would be denied, and count as wrong ones. Run 'systemctl edit polkit-agent-helper@.service', "
            "add the lines '[Service]' and 'ReadWritePaths=-/etc/oath -/run/fleet-auth', or leave polkit-1 out of "
            "services."
        )

    def test_of_an_sshd_that_does_not_print_its_settings(self) -> None:
        state = host_state(sshd_error="/etc/ssh/sshd_config line 9: Bad configuration option")
        assert refusals(wanted(), state) == (
            "sshd on web1 does not report its settings: /etc/ssh/sshd_config line 9: Bad configuration option.",
        )

    def test_of_a_sudo_that_would_ask_ansible_for_password_and_code(self) -> None:
        state = host_state(connection=Connection("alice", "198.51.100.7"), become_asks=frozenset({"sudo"}))
        assert refusals(wanted(services=["sudo"]), state) == (
            "alice, the account that Ansible connects as, becomes root on web1 by sudo with a password, but Ansible "
            "cannot answer "
            "sudo's second prompt, for the code: each try would fail, and count as a wrong code. Exempt alice with "
            "exempt_users, let sudo ask alice for no password (NOPASSWD), or leave sudo out of services.",
        )
        for fine in (
            wanted(),
            wanted(services=["sudo"], exempt_users=["ansible", "alice"]),
            settings("bob", scope="enrolled", services=["sudo"]),
        ):
            assert plan(fine, state).changes
        for other in (replace(state, become_asks=frozenset()), replace(state, connection=None)):
            assert plan(wanted(services=["sudo"]), other).changes
        as_root = replace(state, connection=Connection("root", "198.51.100.7"))
        assert plan(wanted(services=["sudo"], exempt_users=["ansible", "root"]), as_root).changes
        on = carried_out(wanted(services=["sudo"]), replace(state, become_asks=frozenset()))
        assert plan(wanted(services=["sudo"]), replace(on, become_asks=frozenset({"sudo"}))) == Plan()

    def test_of_conflicts_with_sshds_files_names_each(self) -> None:
        config = f"{SSHD_CONFIG}AuthenticationMethods publickey\n".replace("UsePAM yes", "UsePAM no")
        assert refusals(wanted(), edited(host_state(), {places.SSHD_CONFIG: config})) == (
            "on web1, /etc/ssh/sshd_config line 6: UsePAM no keeps PAM, and with it the code, out of sshd; set UsePAM "
            "yes.",
            "on web1, /etc/ssh/sshd_config line 9: AuthenticationMethods publickey sets what fleet.auth has to set; "
            "remove it (ssh_first_factors says what comes first).",
        )

    def test_of_exempt_addresses_if_sshd_uses_host_names(self) -> None:
        state = edited(host_state(), {places.SSHD_CONFIG: f"{SSHD_CONFIG}UseDNS yes\n"})
        assert refusals(wanted(exempt_addresses=["192.0.2.0/24"]), state) == (
            "sshd on web1 gives PAM the host names of clients (/etc/ssh/sshd_config line 9: UseDNS yes), and the "
            "owner of a name can point it at an exempt address. Set UseDNS no, or leave exempt_addresses out.",
        )
        assert plan(wanted(), state).changes

    def test_of_exempt_addresses_if_another_start_of_sshd_uses_host_names(self) -> None:
        start = Start(settings=("UseDNS=yes",), source="/etc/systemd/system/other.service")
        exempt = wanted(exempt_addresses=["192.0.2.0/24"])
        on = carried_out(exempt, host_state())
        names = {name: sshd_config.Effective({**one.sshd, "usedns": ("yes",)}) for name, one in on.accounts.items()}
        other = replace(on, other_sshds=(Sshd(start, names),))
        (refusal,) = refusals(exempt, other)
        assert refusal.startswith(
            "sshd, as /etc/systemd/system/other.service starts it (-o UseDNS=yes), on web1 gives PAM the host names of "
            "clients ('-o UseDNS=yes' in /etc/systemd/system/other.service)"
        )
        assert report.enforced(Situation(exempt, on)) == {"sshd": True}
        assert report.enforced(Situation(exempt, other)) == {"sshd": False}

    def test_of_a_host_whose_systemd_does_not_answer(self) -> None:
        (refusal,) = refusals(wanted(), host_state(systemd_error="Connection timed out"))
        assert refusal == (
            "systemd on web1 does not say how it starts sshd and other ways in: Connection timed out. Run 'systemctl "
            "show ssh.service' there until it answers, and run again."
        )

    def test_of_files_that_are_held_is_about_paths_only(self) -> None:
        paths = touched(plan(wanted(services=["su"]), host_state()).changes)
        assert {f"{places.PAM_D}/su", places.SWITCH, places.JOURNAL} <= {*paths}
        assert all(one.startswith("/") and "\n" not in one for one in paths)

    def test_of_a_missing_module_that_the_code_step_needs(self) -> None:
        used = {"pam_deny.so", "pam_exec.so", "pam_faillock.so", "pam_oath.so", "pam_permit.so", "pam_succeed_if.so"}
        whole = host_state(pam_modules=frozenset(used | {"pam_access.so"}))
        assert plan(wanted(), whole).changes
        bare = replace(whole, code_modules={}, pam_modules=frozenset(used - {"pam_oath.so"}))
        assert (plan(wanted(), bare).missing_packages, plan(wanted(), bare).refusals) == (("libpam-oath",), ())
        gone = host_state(pam_modules=frozenset(used - {"pam_faillock.so"}))
        assert refusals(wanted(), gone) == (
            "pam_faillock.so is missing on web1, so everybody who needs a code would be denied. Install the package "
            "that contains it (Debian: libpam-modules, RHEL: pam), and run again.",
        )
        on = replace(carried_out(wanted(), whole), pam_modules=gone.pam_modules)
        assert report.denying(Situation(wanted(), on)) == ["sshd"]

    def test_of_nothing_if_root_has_another_name(self) -> None:
        root, *others = ACCOUNTS
        renamed = host_state(replace(root, name="admin"), *others)
        assert plan(wanted(), renamed).changes
        assert plan(OFF, carried_out(wanted(), renamed)).changes

    def test_of_keys_if_sshd_accepts_none(self) -> None:
        state = edited(host_state(), {places.SSHD_CONFIG: f"{SSHD_CONFIG}PubkeyAuthentication no\n"})
        assert refusals(wanted(), state) == (
            "sshd on web1 accepts no keys (/etc/ssh/sshd_config line 9: PubkeyAuthentication no). Set "
            "PubkeyAuthentication yes, or ssh_first_factors to [password].",
        )

    def test_of_passwords_if_sshd_accepts_none(self) -> None:
        without = {places.SSHD_CONFIG: f"{SSHD_CONFIG}PasswordAuthentication no\n"}
        assert refusals(wanted(), edited(host_state(), without)) == (
            "sshd on web1 accepts no passwords today (/etc/ssh/sshd_config line 9: PasswordAuthentication no), but "
            "would accept a password with a code afterwards. Set ssh_first_factors to [publickey].",
        )
        target = wanted(ssh_first_factors=["publickey"])
        after = carried_out(target, edited(host_state(*WITH_KEYS), without))
        assert plan(target, after).changes == ()

    def test_of_first_factors_is_absent_if_only_root_is_concerned(self) -> None:
        def refusals_of(inside: str, outside: str) -> list[str]:
            settings = [f"{one} {{0}}\n" for one in ("PasswordAuthentication", "KbdInteractiveAuthentication")]
            text = "".join([*settings, "PubkeyAuthentication {0}\n"])
            config = SSHD_CONFIG.replace("KbdInteractiveAuthentication no\n", "")
            config += f"{text.format(outside)}Match User root\n{text.format(inside)}"
            found = plan(wanted(), edited(host_state(), {places.SSHD_CONFIG: config})).refusals
            return [one for one in found if " accepts no " in one]

        assert refusals_of("no", "yes") == []
        assert len(refusals_of("yes", "no")) == 2

    def test_of_everyone_who_would_be_locked_out(self) -> None:
        told = refusals(settings("bob", ssh=True, services=[]), host_state())
        assert told == (
            "ansible, alice and carol have no credential and would be locked out of sshd on web1. Enrol them with "
            "users, exempt them with exempt_users, or leave ssh false.",
        )

    MANY = tuple(account(f"u{number:03}") for number in range(300))
    FIRST = ", ".join(f"u{number:03}" for number in range(10))

    @pytest.mark.parametrize(
        ("target", "sentence"),
        [
            (
                settings(ssh=True, exempt_users=["root"], services=[]),
                "have no credential and would be locked out of sshd on web1. Enrol them with users, exempt them with "
                "exempt_users, or leave ssh false.",
            ),
            (
                settings(*(one.name for one in MANY), ssh=True, exempt_users=["root"], services=[], require_proof=True),
                "log in to sshd on web1, but no code of them was right there yet. Run with ssh false, hand out their "
                "enrolment sheets, and prove a code of each: ansible-playbook fleet.auth.verify -e user=NAME. Or vouch "
                "for them with proven: true in users, or for everyone with require_proof: false.",
            ),
        ],
    )
    def test_of_many_people_is_one_sentence_and_all_are_returned(self, target: Settings, sentence: str) -> None:
        made = plan(target, host_state(ACCOUNTS[0], *self.MANY))
        assert made.refusals == (f"{self.FIRST} and 290 more {sentence}",)
        assert report.all_users(made.refusals) == [
            {"message": made.refusals[0], "users": [one.name for one in self.MANY]},
        ]

    NAMES = tuple(one.name for one in MANY)

    def of_many(self, target: Settings, state: HostState, sentence: str) -> None:
        """Check that the plan has this sentence as its only refusal, and returns everybody whom it is about."""
        made = plan(target, state)
        assert made.refusals == (sentence.format(names=f"{self.FIRST} and 290 more"),)
        assert report.all_users(made.refusals) == [{"message": made.refusals[0], "users": [*self.NAMES]}]

    def enrolled(self, *names: str, text: str = "HOTP/T30 {name} - 3132\n") -> dict[str, FileState]:
        return {name: file(text.format(name=name), 0o600) for name in names}

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (
                "",
                "are damaged (holds no token): every code is denied. Restore the files, or remove them and enrol them",
            ),
            ("HOTP/T30 {name} -\n", "are damaged (line 1 is cut short): every code is denied. Restore the files, or "),
            ("HOTP/E {name} - 3132\n", "hold no time-based token. Add one to each, or remove the files and enrol them"),
        ],
    )
    def test_of_the_credentials_of_many_people_is_one_sentence(self, text: str, expected: str) -> None:
        state = host_state(ACCOUNTS[0], *self.MANY, credentials=self.enrolled(*self.NAMES, text=text))
        made = plan(settings(*self.NAMES, exempt_users=["root"]), state)
        (refusal,) = made.refusals
        assert refusal.startswith(f"the credentials of {self.FIRST} and 290 more on web1, in /etc/oath, {expected}")
        assert len(refusal) < 300
        assert report.all_users(made.refusals) == [{"message": refusal, "users": [*self.NAMES]}]

    def test_of_many_differently_damaged_credentials_is_one_sentence(self) -> None:
        texts = {name: f"# {name}\n" * number + "HOTP/T30\n" for number, name in enumerate(self.NAMES)}
        state = host_state(ACCOUNTS[0], *self.MANY, credentials={name: file(text) for name, text in texts.items()})
        faults = "; ".join(
            f"{name}: line {number} is cut short" for number, name in enumerate(self.NAMES[:10], start=1)
        )
        self.of_many(
            settings(*self.NAMES, exempt_users=["root"]),
            state,
            f"the credentials of {{names}} on web1, in /etc/oath, are damaged ({faults}): every code is denied. "
            "Restore the files, or remove them and enrol them anew.",
        )

    def test_of_many_missing_credentials_is_one_sentence(self) -> None:
        target = settings(*self.NAMES, scope="enrolled", services=["sudo"])
        state = carried_out(target, host_state(ACCOUNTS[0], *self.MANY))
        self.of_many(
            settings(scope="enrolled", services=["sudo"]),
            replace(state, credentials={}),
            "the credentials of {names} on web1, in /etc/oath, are gone. This does not exempt them: every code is "
            "denied. Restore the files, enrol them anew with users, or remove them with state: absent.",
        )

    def test_of_many_self_enrolled_users_is_one_sentence(self) -> None:
        made = "# fleet.auth self-made=2026-11-28/cockpit\nHOTP/T30 {name} - 3132\n"
        self.of_many(
            settings(*self.NAMES, ssh=True, exempt_users=["root"], services=[], require_proof=True),
            host_state(ACCOUNTS[0], *self.MANY, credentials=self.enrolled(*self.NAMES, text=made)),
            "{names} enrolled on web1 with nothing but the first factor. It may have been somebody else, so the "
            "credential "
            "is not proven yet. Ask them, and accept each: ansible-playbook fleet.auth.accept -e user=NAME. If it "
            "was somebody else, change the password, and remove the credential with state: absent in users.",
        )

    def test_of_many_second_names_is_one_sentence(self) -> None:
        first = account("alice", "staff")
        twins = (replace(one, uid=first.uid, groups=("guests",)) for one in self.MANY)
        self.of_many(
            settings("alice", scope="groups", scope_groups=["staff"], exempt_users=["root"], services=["sudo"]),
            host_state(ACCOUNTS[0], first, *twins),
            "{names} on web1 are other names of accounts that need a code ('getent passwd' shows which have the same "
            "number), but in none of scope_groups: they would get in as those without a code. Make them members of a "
            "group of scope_groups and enrol them as well, exempt them with exempt_users, or remove them.",
        )

    def test_of_many_users_with_the_same_key_twice_is_one_sentence(self) -> None:
        users = [{"name": name, "secret": SECRET, "devices": [{"name": "a", "secret": SECRET}]} for name in self.NAMES]
        self.of_many(
            settings(users=users, exempt_users=["root"]),
            host_state(ACCOUNTS[0], *self.MANY),
            "two devices of each of {names} on web1 would have the same secret, and each of its codes would be valid "
            "twice. Give each device a secret of its own, or none.",
        )

    def test_of_many_exempt_users_with_only_security_keys_is_one_sentence(self) -> None:
        users = [{"name": name, "security_keys_only": True, "security_keys": [key]} for name, key in self.keys()]
        self.of_many(
            settings(users=users, ssh=True, services=[], exempt_users=["root"], exempt_groups=["staff"]),
            host_state(ACCOUNTS[0], *(replace(one, groups=("staff",)) for one in self.MANY)),
            "{names} on web1 have security_keys_only, but are members of staff, which exempt_groups exempts from "
            "that. Leave out one of the two.",
        )

    def keys(self) -> t.Iterator[tuple[str, t.Any]]:
        return ((name, security_key(number)) for number, name in enumerate(self.NAMES, start=2))

    def test_of_many_names_that_no_list_can_contain_is_one_sentence(self) -> None:
        names = [f"DOM\\{name}" for name in self.NAMES]
        made = plan(settings(scope="enrolled"), host_state(credentials=self.enrolled(*names)))
        (refusal,) = made.refusals
        assert refusal.startswith(r"'/etc/oath/DOM\\u000', '/etc/oath/DOM\\u001'")
        assert (
            "and 290 more on web1 are credentials of accounts whose name PAM or sshd cannot hold. Remove the files, or"
            in refusal
        )
        assert report.all_users(made.refusals)[0]["users"] == [repr(name) for name in names]

    def test_of_a_move_of_many_credentials_is_one_sentence(self) -> None:
        """Credentials that pam_oath cannot hold, and credentials that would replace other secrets."""
        google = {name: file(f'{"A" * 32}\n" STEP_SIZE 45\n" TOTP_AUTH\n', 0o600) for name in self.NAMES}
        state = host_state(ACCOUNTS[0], *self.MANY, credentials=google, backend="google_authenticator")
        made = plan(settings(exempt_users=["root"]), state)
        (refusal,) = made.refusals
        assert refusal == (
            f"the credentials of {self.FIRST} and 290 more on web1, in /etc/google-authenticator, cannot move: each "
            "has codes for 45 seconds, but pam_oath can do only 30 and 60. Name them in users, so that the interval "
            "applies, and set renew to changed, or leave backend at google_authenticator."
        )
        beside = replace(
            host_state(ACCOUNTS[0], *self.MANY, credentials=self.enrolled(*self.NAMES)),
            other_credentials={"google_authenticator": google},
        )
        self.of_many(
            settings(exempt_users=["root"], backend="google_authenticator"),
            beside,
            "the credentials of {names} on web1, in /etc/oath, would replace those in "
            "/etc/google-authenticator, which have other secrets. Remove those first, or leave backend at oath.",
        )

    def test_of_few_people_does_not_return_them_again(self) -> None:
        assert report.all_users(plan(settings("bob", ssh=True, services=[]), host_state()).refusals) == []

    def test_of_a_clock_that_is_not_in_sync(self) -> None:
        state = host_state(time_sync=NOT_IN_SYNC)
        assert refusals(wanted(), state) == (
            "the clock of web1 is not in sync: chrony has no source that it trusts. Codes depend on the time, so "
            "two-factor login was not turned on. Start chrony, ntpsec or systemd-timesyncd with a server that it "
            "reaches, or set time_sync: {required: false}.",
        )
        vague = SyncStatus(False, "openntpd", None, None, "openntpd runs")
        (told,) = refusals(wanted(), replace(state, time_sync=vague))
        assert "Install chrony, ntpsec or systemd-timesyncd in place of openntpd, with a server that it reaches" in told
        alone = replace(state, time_sync=SyncStatus(False, None, None, None, "nothing runs"), container="lxc")
        (told,) = refusals(wanted(), alone)
        assert "web1 is a container (lxc), which uses the clock of the machine that it runs on." in told
        unsynchronised = plan(wanted(time_sync={"required": False}), state)
        assert paths(unsynchronised.changes) == paths(plan(wanted(), host_state()).changes)

    def test_is_a_warning_if_the_clock_fell_out_of_sync_later(self) -> None:
        state = replace(carried_out(wanted()), time_sync=NOT_IN_SYNC)
        warning = "the clock of web1 is not in sync: chrony has no source that it trusts"
        assert plan(wanted(), state) == Plan(warnings=(warning,))
        assert plan(wanted(window=2), state).changes
        assert refusals(wanted(), edited(state, {places.SWITCH: PASS_THROUGH}))

    @pytest.mark.parametrize("target", [wanted(rollback_after=60), settings(enabled=False, rollback_after=60)])
    def test_of_a_timer_without_systemd(self, target: Settings) -> None:
        state = carried_out(wanted())
        assert refusals(target, replace(state, has_systemd=False)) == (
            "systemd does not run on web1, so no timer can roll the change back if nobody gets in afterwards. Set "
            "rollback_after to 0 to go on without a timer.",
        )
        assert not plan(target, state).refusals
        assert not plan(replace(target, rollback_after=0), replace(state, has_systemd=False)).refusals

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            ("", "holds no token"),
            (f"HOTP/T30 bob - {KEY.hex()}\n", "line 1 belongs to another user"),
            ("HOTP/T30 alice -\n", "line 1 is cut short"),
        ],
    )
    def test_of_a_damaged_credential(self, content: str, problem: str) -> None:
        state = carried_out(wanted())
        state = replace(state, credentials={**state.credentials, "alice": file(content, 0o600)})
        told = (
            f"the credential of alice on web1, /etc/oath/alice, {problem}: every code is denied. Restore the file, or "
            "remove it and enrol alice anew."
        )
        assert refusals(wanted(), state) == (told,)
        assert told in refusals(wanted(users=[{"name": "bob"}]), state)

    def test_of_a_credential_without_a_time_based_token_for_an_enrolled_user(self) -> None:
        state = carried_out(wanted())
        events = file(f"HOTP/E alice - {KEY.hex()}\n", 0o600)
        state = replace(state, credentials={**state.credentials, "alice": events})
        assert refusals(wanted(), state) == (
            "the credential of alice on web1, /etc/oath/alice, holds no time-based token. Add one, or remove the file "
            "and enrol alice anew.",
        )
        assert plan(wanted(users=[{"name": "bob"}]), state).changes == ()

    def test_spares_a_credential_of_a_deleted_account_or_removed_user(self) -> None:
        state = carried_out(wanted(scope="enrolled"))
        damaged = {**state.credentials, "zoe": file("", 0o600), "alice": file("", 0o600)}
        target = wanted(scope="enrolled", users=[{"name": "alice", "state": "absent"}])
        assert Remove("/etc/oath/alice") in plan(target, replace(state, credentials=damaged)).changes

    @pytest.mark.parametrize("name", ["al:ice", "alice#", "[alice", "al\\ice", "alice+"])
    def test_of_a_credential_whose_name_no_list_can_contain(self, name: str) -> None:
        target = wanted(scope="enrolled")
        state = carried_out(target)
        odd = replace(state, credentials={**state.credentials, name: credential(name)})
        assert refusals(target, odd) == (
            f"{'/etc/oath/' + name!r} on web1 is the credential of an account whose name PAM or sshd cannot hold. "
            "Remove the file, or set scope to everyone or groups.",
        )
        assert not plan(wanted(), odd).refusals
        unreadable = replace(state, credentials={**state.credentials, name: file("", 0o600)})
        assert plan(target, unreadable).changes == ()

    def test_of_a_missing_credential_which_lets_nobody_off(self) -> None:
        target = wanted(scope="enrolled", users=[{"name": "bob"}])
        state = carried_out(wanted(scope="enrolled"))
        gone = replace(state, credentials={name: state.credentials[name] for name in ("bob", "carol")})
        assert refusals(target, gone) == (
            "the credential of alice on web1, /etc/oath/alice, is gone. This does not exempt alice: every code is "
            "denied. Restore the file, enrol alice anew with users, or remove alice with state: absent.",
        )
        named = wanted(scope="enrolled", users=[{"name": "alice"}])
        new = Enrol("alice", "/etc/oath/alice", 30, new_credential("alice", random_keys(2)(20), 30))
        assert plan(named, gone).changes == (new,)
        given_up = wanted(scope="enrolled", users=[{"name": "alice", "state": "absent"}])
        assert carried_out(given_up, gone).text(places.SWITCH) == switch_of(given_up, "bob", "carol")
        assert not plan(replace(target, exempt_users=("alice", "ansible")), gone).refusals


class TestHeldCredentials:
    """A login records which code was used, and is denied if it cannot."""

    EVERYBODY = (
        (
            Hold("/etc/oath", "i"),
            "/etc/oath on web1 is immutable (chattr +i), and each login has to note the used code in /etc/oath: "
            "every code {denied}. Run there: chattr -i /etc/oath.",
        ),
        (
            Hold("/etc/oath", "a"),
            "/etc/oath on web1 is append-only (chattr +a), and each login has to note the used code in /etc/oath: "
            "every code {denied}. Run there: chattr -a /etc/oath, and run again a minute later, which removes the "
            "locks that logins have left.",
        ),
        (
            Hold("/etc", ""),
            "/etc on web1 is mounted read-only (see 'findmnt -T /etc'), and each login has to note the "
            "used code in /etc/oath: every code {denied}. Mount it read-write.",
        ),
    )

    @pytest.mark.parametrize(("hold", "sentence"), EVERYBODY)
    def test_of_everybody_are_reported_with_the_services_that_deny(self, hold: Hold, sentence: str) -> None:
        state = replace(carried_out(wanted()), holds=(hold,))
        told = sentence.format(denied="is denied")
        assert plan(wanted(), state) == Plan(warnings=(told,))
        situation = Situation(wanted(), state)
        assert report.denying(situation) == ["sshd"]
        assert [one["message"] for one in survey.would_be_locked_out(situation)] == [
            f"{name} is denied at sshd on web1: {told}" for name in ("alice", "bob", "carol")
        ]

    @pytest.mark.parametrize(("hold", "sentence"), EVERYBODY)
    def test_are_refused_before_anybody_needs_a_code(self, hold: Hold, sentence: str) -> None:
        state = host_state(credentials=["alice"], holds=(hold,))
        assert refusals(wanted(), state) == (sentence.format(denied="would be denied"),)
        assert plan(OFF, replace(carried_out(wanted()), holds=(hold,))).changes

    def test_of_some_users_are_one_warning(self) -> None:
        held = replace(carried_out(wanted()), holds=(Hold("/etc/oath/bob", "a"),))
        assert plan(wanted(), held) == Plan(
            warnings=(
                "the credential of bob on web1, /etc/oath/bob, is append-only (chattr +a), and each login has to "
                "note the used code in /etc/oath: every code of bob is denied. Run there: chattr -a /etc/oath/bob.",
            )
        )
        assert report.denying(Situation(wanted(), held)) == []
        names = [f"u{number:03}" for number in range(300)]
        target = settings(*names, services=["sudo"], exempt_users=["root"])
        state = carried_out(target, host_state(ACCOUNTS[0], *map(account, names)))
        made = plan(target, replace(state, holds=tuple(Hold(f"/etc/oath/{name}", "i") for name in names)))
        (told,) = made.warnings
        assert told == (
            f"the credentials of {', '.join(names[:10])} and 290 more on web1, in /etc/oath, are immutable (chattr "
            "+i), and each login has to note the used code in /etc/oath: every code of them is denied. Run there "
            "for each: chattr -i /etc/oath/NAME."
        )
        assert report.all_users(made.warnings) == [{"message": told, "users": names}]


class TestDrift:
    @pytest.mark.parametrize(
        ("switch", "expected"),
        [
            (None, "gone, and denied everybody"),
            ("", "damaged, and asked nobody for a code"),
            ("auth requisite pam_deny.so\n", "damaged, and denied everybody"),
            (PASS_THROUGH, None),
        ],
    )
    def test_of_the_switch_is_reported_and_repaired(self, switch: str | None, expected: str | None) -> None:
        state = edited(carried_out(wanted()), {places.SWITCH: switch})
        made = plan(wanted(), state)
        assert made.warnings == ((f"{places.SWITCH} on web1 was {expected}.",) if expected else ())
        assert carried_out(wanted(), state).text(places.SWITCH) == carried_out(wanted()).text(places.SWITCH)

    def test_of_a_service_file_without_its_block_is_reported_and_repaired(self) -> None:
        state = edited(carried_out(wanted()), {service("sshd"): SERVICES["sshd"]})
        assert plan(wanted(), state).warnings == (
            "sshd on web1 was not asking for codes: /etc/pam.d/sshd had lost the block.",
        )
        assert carried_out(wanted(), state) == carried_out(wanted())

    def test_of_a_missing_tally_is_reported_and_repaired(self) -> None:
        made = plan(wanted(), edited(carried_out(wanted()), {places.TALLY_DIRECTORY: None}))
        assert made.warnings == ("/run/fleet-auth/faillock on web1 was missing: wrong codes were not counted.",)
        assert made.changes == (MakeDirectory(places.TALLY_DIRECTORY, 0o700),)

    def test_of_a_name_lost_from_the_switch_is_reported_and_repaired(self) -> None:
        target = wanted(scope="enrolled")
        state = carried_out(target)
        text = t.cast(str, state.text(places.SWITCH))
        lost = edited(state, {places.SWITCH: text.replace("alice:", "")})
        made = plan(target, lost)
        assert made.warnings == (
            "/etc/pam.d/twofactor on web1 did not name alice: no code was asked for, in spite of a credential.",
        )
        assert paths(made.changes) == [places.SWITCH]
        assert carried_out(target, lost) == state
        joins = wanted(scope="enrolled", users=[{"name": "dora"}])
        with_dora = host_state(*ACCOUNTS, account("dora"))
        assert plan(joins, carried_out(target, with_dora)).warnings == ()
        assert plan(wanted(), lost).warnings == ()

    def test_of_sshd_that_no_longer_follows_the_drop_in_is_refused(self) -> None:
        state = carried_out(wanted())
        alice = state.accounts["alice"]
        other = sshd_config.Effective(
            {**alice.sshd, "passwordauthentication": ("yes",), "authenticationmethods": ("any",)}
        )
        state = replace(
            state,
            accounts={**state.accounts, "alice": replace(alice, sshd=other)},
            connection=Connection("alice", "198.51.100.7"),
        )
        assert refusals(wanted(), state) == (
            "sshd on web1 does not do for alice what /etc/ssh/sshd_config.d/00-twofactor.conf says "
            "(passwordauthentication, authenticationmethods): another part of its configuration wins. See 'sshd -T -C "
            "user=alice,host=198.51.100.1,addr=198.51.100.1,lport=1'.",
        )

    def test_of_sshd_that_has_not_read_its_files_is_mended_by_a_reload(self) -> None:
        state = carried_out(wanted())
        unread = replace(state, unread_by_sshd=("/etc/ssh/sshd_config", places.DROP_IN))
        made = plan(wanted(), unread)
        assert report.changes(made) == ["reload sshd"]
        assert made.warnings == (
            "sshd on web1 has not read its files since /etc/ssh/sshd_config and /etc/ssh/sshd_config.d/"
            "00-twofactor.conf changed, so it may have asked for less. A run of fleet.auth.enable has it read them.",
        )
        (reload,) = made.changes
        (usual,) = (one for one in plan(wanted(), host_state()).changes if isinstance(one, ReloadSshd))
        assert isinstance(reload, ReloadSshd)
        assert {one.user for one in reload.expectations} == {one.user for one in usual.expectations} - {"ansible"}
        assert report.changes(plan(wanted(window=2), unread)).count("reload sshd") == 1
        assert report.changes(plan(OFF, unread)).count("reload sshd") == 1
        assert plan(wanted(), host_state()).changes == plan(wanted(), host_state(unread_by_sshd=("/x",))).changes


class TestExpectations:
    @staticmethod
    def of(target: Settings, state: HostState) -> list[dict[str, t.Mapping[str, t.Any]]]:
        """What sshd has to do at each reload, by user."""
        reloads = [change for change in plan(target, state).changes if isinstance(change, ReloadSshd)]
        assert all(one.address == STRANGER for reload in reloads for one in reload.expectations)
        return [{one.user: one.settings for one in reload.expectations} for reload in reloads]

    def test_cover_one_account_of_each_class_and_always_root(self) -> None:
        as_before = {
            "usepam": ("yes",),
            "kbdinteractiveauthentication": ("no",),
            "passwordauthentication": ("yes",),
            "authenticationmethods": ("any",),
        }
        needs_code = drop_in.expected(wanted())
        assert self.of(wanted(), host_state()) == [{"root": needs_code, "daemon": needs_code, "ansible": as_before}]

    def test_of_an_old_sshd_are_prompts_only_for_those_in_scope(self) -> None:
        old = host_state(files={places.SSHD_CONFIG: OLD_SSHD_CONFIG})
        (found,) = self.of(wanted(), old)
        assert found["daemon"]["challengeresponseauthentication"] == ("yes",)
        assert found["ansible"]["kbdinteractiveauthentication"] == ("no",)
        assert "challengeresponseauthentication" not in found["ansible"]
        state = carried_out(wanted(), old)
        assert plan(wanted(), state).changes == ()
        assert report.enforced(Situation(wanted(), state))["sshd"]

    @pytest.mark.parametrize("layout", SSHD_LAYOUTS)
    def test_hold_on_the_layout_of_each_distribution(self, layout: str) -> None:
        before = host_state(files=SSHD_LAYOUTS[layout])
        state = carried_out(wanted(), before)
        assert report.enforced(Situation(wanted(), state))["sshd"]
        assert plan(wanted(), state).changes == ()
        assert state.accounts["ansible"] == before.accounts["ansible"]

    @pytest.mark.parametrize("layout", SSHD_LAYOUTS)
    def test_leave_out_passwords_if_a_cloud_image_forbids_them(self, layout: str) -> None:
        cloud = {f"{places.DROP_IN_DIRECTORY}/50-cloud-init.conf": "PasswordAuthentication no\n"}
        state = host_state(files={**SSHD_LAYOUTS[layout], **cloud})
        (told,) = refusals(wanted(), state)
        assert "50-cloud-init.conf line 1: PasswordAuthentication no" in told
        # bob has no key.
        target = wanted(ssh_first_factors=["publickey"], exempt_users=["ansible", "bob"])
        assert report.enforced(Situation(target, carried_out(target, state)))["sshd"]

    def test_cover_ansibles_own_account(self) -> None:
        (found,) = self.of(wanted(), host_state(connection=Connection("carol", "198.51.100.7")))
        assert "carol" in found

    @pytest.mark.parametrize("match", ["User carol", "user=carol", "Group admins", "User carol Address 192.0.2.0/24"])
    def test_cover_accounts_that_a_foreign_match_distinguishes(self, match: str) -> None:
        site = f"Match {match}\n    X11Forwarding no\n"
        (found,) = self.of(wanted(), edited(host_state(), {f"{places.DROP_IN_DIRECTORY}/50-site.conf": site}))
        assert "carol" in found

    def test_cover_each_address_that_a_match_names(self) -> None:
        site = "Match Address 10.0.0.0/8\n    X11Forwarding no\n"
        state = edited(host_state(), {f"{places.DROP_IN_DIRECTORY}/50-site.conf": site})
        (reload,) = (change for change in plan(wanted(), state).changes if isinstance(change, ReloadSshd))
        assert {one.origin.address for one in reload.expectations if one.user == "alice"} <= {"", "10.0.0.1"}
        assert [one.connection_spec for one in reload.expectations if one.user == "root"] == [
            "user=root,host=198.51.100.1,addr=198.51.100.1,lport=1",
            "user=root,host=10.0.0.1,addr=10.0.0.1,lport=1",
        ]

    def test_that_fail_from_one_address_are_refused_with_that_address(self) -> None:
        state = carried_out(wanted())
        (origin,) = sshd_config.origins({places.SSHD_CONFIG: "Match Address 10.0.0.0/8\n"})
        wins = {
            name: sshd_config.Effective(one.sshd, authenticationmethods=("publickey",))
            for name, one in state.accounts.items()
        }
        told = refusals(wanted(), replace(state, sshd_elsewhere={origin: wins}))
        assert "sshd on web1 does not do for root what /etc/ssh/sshd_config.d/00-twofactor.conf says (auth" in told[0]
        assert told[0].endswith("See 'sshd -T -C user=root,host=10.0.0.1,addr=10.0.0.1,lport=1'.")

    def test_for_more_addresses_than_the_limit_cause_a_warning(self) -> None:
        many = "".join(f"Match Address 192.0.2.{number}\n    X11Forwarding no\n" for number in range(1, 21))
        state = edited(host_state(), {f"{places.DROP_IN_DIRECTORY}/50-site.conf": many})
        (told,) = (one for one in plan(wanted(), state).warnings if "addresses and ports" in one)
        assert told.startswith(
            "/etc/ssh/sshd_config on web1, with the files that it includes, distinguishes more addresses and ports"
        )
        assert ": 4 were left out" in told
        assert not [one for one in plan(wanted(), host_state()).warnings if "addresses and ports" in one]

    def test_are_none_if_ssh_is_false(self) -> None:
        state = carried_out(wanted(services=["sudo"]))
        assert self.of(wanted(ssh=False, services=["sudo"]), state) == [{}]

    def test_for_accounts_out_of_scope_exist_only_without_a_drop_in(self) -> None:
        state = carried_out(wanted(scope="enrolled"))
        assert [set(found) for found in self.of(wanted(scope="groups", scope_groups=["staff"]), state)] == [
            {"alice"},
            {"alice"},
        ]
