# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Security keys: how they are read, who has which, the changes on a host, and the helper that PAM calls."""

from __future__ import annotations

import base64
import os
import subprocess
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._host import accounts
from ansible_collections.fleet.auth.plugins.module_utils._host.state import HostState
from ansible_collections.fleet.auth.plugins.module_utils._plan import report
from ansible_collections.fleet.auth.plugins.module_utils._plan.situation import Situation
from ansible_collections.fleet.auth.plugins.module_utils._texts import security_keys
from ansible_collections.fleet.auth.plugins.module_utils._texts.sshd_config import Effective, parse_effective
from ansible_collections.fleet.auth.plugins.module_utils._wanted.security_key import ECDSA, ED25519, decode_key
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings, SettingsError
from unit import scripts
from unit.builders import SSHD_CONFIG, file, host_state, plan, security_key, settings, with_sshd_settings
from unit.simulator import carried_out

GROUP = {"exempt_users": ["ansible"], "security_keys_only_groups": ["admins"]}
DROP_IN_OF_KEYS = "Match User carol,!ansible\n    PubkeyAuthOptions touch-required verify-required\n"


def line(kind: str, *fields: bytes, name: str = "") -> str:
    blob = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return f"{kind} {base64.b64encode(blob).decode()} {name}".strip()


POINT = b"\x04" + bytes(64)
BLUE = security_key(1, "blue")
NIST = line(ECDSA, ECDSA.encode(), b"nistp256", POINT, b"ssh:", name="nist at home")


def wanted(*keys: str, user: str = "carol", **changes: t.Any) -> Settings:
    users = [{"name": "alice"}, {"name": "bob"}, {"name": user, "security_keys": [*keys]}]
    return settings(**{"users": users, "ssh": True, "services": [], "exempt_users": ["ansible"], **changes})


def edited(state: HostState, path: str, text: str) -> HostState:
    return with_sshd_settings(replace(state, files={**state.files, path: file(text)}))


def problems(*keys: str, **changes: t.Any) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        wanted(*keys, **changes)
    return caught.value.problems


class TestKeys:
    @pytest.mark.parametrize(("text", "name"), [(BLUE, "blue"), (NIST, "nist at home")])
    def test_are_read_from_a_pub_file(self, text: str, name: str) -> None:
        key = decode_key(f"{text}\n")
        assert f"{key.words} {key.name}" == text
        assert key.label == name

    def test_without_a_name_are_named_by_their_fingerprint(self, tmp_path: Path) -> None:
        (tmp_path / "key.pub").write_text(security_key(7) + "\n")
        words = ["ssh-keygen", "-l", "-f", str(tmp_path / "key.pub")]
        printed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        assert decode_key(security_key(7)).label == printed.split()[1]

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("", "is not the public key of a security key"),
            ("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "is not the public key of a security key"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "is not the public key of a security key"),
            (f'from="10.0.0.1" {BLUE}', "is not the public key of a security key"),
            ("ssh-ed25519 AAAA me", "has the type ssh-ed25519, which is no key of a security key"),
            ("sk-ssh-ed25519-cert-v01@openssh.com AAAA", "which is a certificate"),
            (f"{BLUE}\x1b[2J", "has a name that is longer"),
            (f"{ED25519} ", "is damaged"),
            (f"{ED25519} AAAA", "is damaged"),
            (f"{ED25519} not,base64", "is damaged"),
            (BLUE.replace("AAAA", "AAA", 1), "is damaged"),
            (BLUE.replace(" blue", "AAAA blue"), "is damaged"),
            (line(ED25519, ED25519.encode(), bytes(31), b"ssh:"), "is damaged"),
            (line(ED25519, ED25519.encode(), bytes(32), b""), "is damaged"),
            (line(ED25519, ED25519.encode(), bytes(32)), "is damaged"),
            (line(ED25519, ED25519.encode(), bytes(32), b"ssh:", b"more"), "is damaged"),
            (line(ED25519, b"ssh-ed25519", bytes(32), b"ssh:"), "is damaged"),
            (line(ED25519, ECDSA.encode(), b"nistp256", POINT, b"ssh:"), "is damaged"),
            (line(ECDSA, ECDSA.encode(), b"nistp384", POINT, b"ssh:"), "is damaged"),
            (line(ECDSA, ECDSA.encode(), b"nistp256", POINT[1:], b"ssh:"), "is damaged"),
        ],
    )
    def test_that_are_invalid_are_refused_and_not_shown(self, text: str, why: str) -> None:
        (problem,) = problems(BLUE, text)
        assert problem.startswith("users: security key 2 of carol ")
        assert why in problem
        assert len(text) < 30 or text not in problem

    def test_may_not_be_listed_twice_for_a_user(self) -> None:
        assert problems(BLUE, security_key(2), security_key(1, "again")) == (
            "users: security key 3 of carol (again) is there twice; keep one entry.",
        )

    def test_need_publickey_as_a_first_factor(self) -> None:
        (problem,) = problems(BLUE, ssh_first_factors=["password"])
        assert problem.startswith("users: carol cannot log in with security_keys where ssh_first_factors leaves out")

    def test_are_found_in_authorized_keys_after_options(self) -> None:
        text = f'# {NIST}\nssh-ed25519 AAAA me\nfrom="10.0.0.1",no-pty {BLUE}\n\n{ED25519} broken\n'
        assert [key.label for key in security_keys.parse(text)] == ["blue"]


class TestPlan:
    def test_makes_sshd_ask_for_the_pin_before_a_key_is_valid(self) -> None:
        changes = report.changes(plan(wanted(BLUE), host_state()))
        assert changes[-6:] == [
            "write /etc/pam.d/sshd",
            "write /etc/ssh/sshd_config.d/00-twofactor.conf",
            "reload sshd",
            "make /etc/security/twofactor-keys",
            "write /etc/security/twofactor-keys/carol",
            "write /etc/pam.d/twofactor",
        ]
        state = carried_out(wanted(BLUE))
        assert DROP_IN_OF_KEYS in (state.text(places.DROP_IN) or "")
        assert (state.text(f"{places.PAM_D}/sshd") or "").split("\n")[5:8] == [
            "auth [success=ignore default=4] pam_exec.so quiet /usr/libexec/fleet-auth/ssh-key-accepted",
            "auth [success=1 default=ignore] pam_exec.so quiet /usr/libexec/fleet-auth/ssh-key-declared",
            "auth substack twofactor",
        ]
        assert state.files["/etc/security/twofactor-keys/carol"] == file(
            "# The security keys that are declared of carol. Managed by fleet.auth: changes made here are lost.\n"
            f"{BLUE}\n"
        )

    def test_removes_everything_if_nobody_has_a_key(self) -> None:
        assert carried_out(wanted(), carried_out(wanted(BLUE))).files == carried_out(wanted()).files

    def test_removes_keys_and_lists_that_are_not_declared(self) -> None:
        state = edited(carried_out(wanted(BLUE, NIST)), f"{places.KEYS_DIRECTORY}/mallory", f"{NIST}\n")
        made = plan(wanted(NIST), state)
        assert report.changes(made) == [
            "write /etc/security/twofactor-keys/carol",
            "remove /etc/security/twofactor-keys/mallory",
        ]

    def test_writes_no_keys_if_sshd_asks_for_no_code(self) -> None:
        assert carried_out(wanted(BLUE, ssh=False)).files == carried_out(wanted(ssh=False)).files

    def test_refuses_an_sshd_that_cannot_ask_for_the_pin(self) -> None:
        state = host_state()
        old = {
            name: replace(one, sshd=Effective({k: v for k, v in one.sshd.items() if k != "pubkeyauthoptions"}))
            for name, one in state.accounts.items()
        }
        made = plan(wanted(BLUE), replace(state, accounts=old))
        assert (
            "sshd on web1 cannot ask for the PIN of a security key: it is older than OpenSSH 8.4" in (made.refusals[0])
        )
        assert made.changes == ()

    def test_warns_about_a_key_that_sshd_does_not_know(self) -> None:
        blue, nist = (decode_key(text).words for text in (BLUE, NIST))
        state = host_state(authorized_keys={"carol": frozenset({blue})})
        assert plan(wanted(BLUE), state).warnings == ()
        (warning,) = plan(wanted(BLUE, NIST), state).warnings
        assert warning.startswith(
            "the security key nist at home of carol is in none of the files in which sshd on web1 looks"
        )
        assert nist not in warning
        assert plan(wanted(NIST), host_state()).warnings == ()

    def test_warns_about_a_key_shared_by_two_people(self) -> None:
        users = [{"name": "alice", "security_keys": [security_key(1)]}, {"name": "carol", "security_keys": [BLUE]}]
        target = settings("bob", users=users, ssh=True, services=[], exempt_users=["ansible"])
        (warning,) = plan(target, host_state()).warnings
        assert warning.startswith("the security key SHA256:")
        assert "is declared for alice and carol: anyone who has it can log in to web1 as each of them" in warning


ALONE = "/etc/security/twofactor-only-keys"
BLOCK = (
    "Match User carol,!ansible\n"
    "    AuthenticationMethods publickey\n"
    "    PubkeyAuthentication yes\n"
    f"    AuthorizedKeysFile {ALONE}/%u\n"
    "    AuthorizedKeysCommand none\n"
    f"    PubkeyAcceptedKeyTypes {ED25519},{ECDSA}\n"
    "    PubkeyAuthOptions touch-required verify-required\n"
)


def alone(*keys: str, secret: str | None = None, **changes: t.Any) -> Settings:
    """Settings with which carol logs in with these keys alone."""
    carol = {"name": "carol", "security_keys": [*keys], "security_keys_only": True, "secret": secret}
    people = [{"name": "alice"}, {"name": "bob"}, carol]
    return settings(**{"users": people, "ssh": True, "services": [], "exempt_users": ["ansible"], **changes})


class TestKeysAlone:
    def test_are_refused_for_root_where_only_a_command_beside_a_key_lets_root_in(self) -> None:
        users = [{"name": name} for name in ("alice", "bob", "carol")]
        root = {"name": "root", "security_keys": [BLUE], "security_keys_only": True}
        state = edited(host_state(), places.SSHD_CONFIG, f"PermitRootLogin forced-commands-only\n{SSHD_CONFIG}")
        made = plan(settings(users=[*users, root], ssh=True, services=[], exempt_users=["ansible"]), state)
        (refusal,) = made.refusals
        assert refusal.startswith("sshd on web1 lets root in only for a command that is written beside its key")
        assert "line 1: PermitRootLogin forced-commands-only" in refusal

    def test_are_all_that_sshd_accepts_and_need_no_credential(self) -> None:
        made = plan(alone(BLUE), host_state())
        changes = report.changes(made)
        assert changes.index(f"write {ALONE}/carol") < changes.index(f"write {places.DROP_IN}")
        state = carried_out(alone(BLUE))
        assert (state.text(places.DROP_IN) or "").split("\n", 1)[1].startswith(BLOCK)
        assert "carol" not in state.credentials
        assert state.text(f"{ALONE}/carol") == state.text(f"{places.KEYS_DIRECTORY}/carol")
        told = report.users(Situation(alone(BLUE), state))["carol"]
        assert (told["enrolled"], told["security_keys"], told["security_keys_only"]) == (False, ["blue"], True)
        assert report.enforced(Situation(alone(BLUE), state)) == {"sshd": True}
        assert plan(alone(BLUE), state).changes == ()

    def test_can_be_combined_with_a_given_secret_or_an_existing_credential(self) -> None:
        assert "carol" in carried_out(alone(BLUE, secret="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")).credentials
        assert "carol" in carried_out(alone(BLUE), carried_out(wanted())).credentials

    def test_may_be_those_of_a_group(self) -> None:
        state = carried_out(wanted(BLUE, security_keys_only_groups=["admins"]))
        block = BLOCK.replace("carol,!ansible", "*,!ansible Group admins")
        assert (state.text(places.DROP_IN) or "").split("\n", 1)[1].startswith(block)
        assert "carol" in state.credentials
        gone = plan(wanted(BLUE, security_keys_only_groups=["nobody"]), host_state())
        assert gone.refusals[0].startswith("security_keys_only_groups: there is no group nobody on web1")

    def test_leave_nothing_behind_when_turned_off(self) -> None:
        assert carried_out(wanted(BLUE), carried_out(alone(BLUE))).files == carried_out(wanted(BLUE)).files

    def test_are_required_under_every_name_of_the_account(self) -> None:
        for scope in ({"scope": "enrolled"}, {"scope": "groups", "scope_groups": ["staff"]}):
            lines = carried_out(alone(BLUE, **scope)).text(f"{places.PAM_D}/sshd") or ""
            carol = host_state().accounts["carol"].uid
            account = [line for line in lines.split("\n") if line.startswith("account [") and "pam_succeed_if" in line]
            assert any("user in" in line and "carol" in line for line in account)
            assert any("uid notin" in line and str(carol) in line for line in account)

    @pytest.mark.parametrize(
        ("given", "why"),
        [
            (alone, "users: carol has security_keys_only and no security_keys"),
            (
                lambda: alone(BLUE, exempt_users=["ansible", "carol"]),
                "users: carol has security_keys_only, and exempt_users lets carol in by other ways",
            ),
            (
                lambda: settings(
                    users=[{"name": "carol", "security_keys": [BLUE], "security_keys_only": True, "renew": "2026"}]
                ),
                "users: carol has security_keys_only, and so no credential for renew. Give carol a secret as well",
            ),
        ],
    )
    def test_contradict_other_options(self, given: t.Callable[[], Settings], why: str) -> None:
        with pytest.raises(SettingsError) as caught:
            given()
        assert any(problem.startswith(why) for problem in caught.value.problems)

    def test_lock_nobody_out_of_sshd(self) -> None:
        made = plan(settings("alice", "bob", "carol", ssh=True, services=[], **GROUP), host_state())
        assert made.refusals == (
            "carol must log in to sshd on web1 with security keys alone, but none is declared: carol would be locked "
            "out. Declare a key with security_keys in users, or take carol out of security_keys_only_groups.",
        )

    def test_lock_nobody_out_of_services_without_ssh_keys(self) -> None:
        people = [
            replace(one, has_password=True) if one.name == "carol" else one for one in host_state().accounts.values()
        ]
        made = plan(alone(BLUE, services=["sudo"]), host_state(*people))
        assert made.refusals == (
            "carol logs in with security keys alone, has no credential, and would be locked out of sudo on web1, where "
            "ssh keys do not help. Give carol a code as well, with secret in users, or leave sudo out of "
            "services.",
        )
        assert not plan(
            alone(BLUE, services=["sudo"], secret="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"), host_state(*people)
        ).refusals
        assert not plan(alone(BLUE, services=["sudo"], scope="enrolled"), host_state(*people)).refusals

    def test_lock_nobody_out_when_turned_off(self) -> None:
        people = [replace(one, has_key=one.has_key and one.name != "carol") for one in host_state().accounts.values()]
        state = carried_out(alone(BLUE), host_state(*people))
        (refusal,) = plan(wanted(BLUE), state).refusals
        assert refusal.startswith(
            "carol logs in to sshd on web1 with declared security keys alone. Without security_keys_only, sshd reads"
        )

    def test_need_no_proof_of_a_code(self) -> None:
        made = plan(alone(BLUE, require_proof=True), host_state())
        assert not any("carol" in refusal for refusal in made.refusals)

    def test_are_not_called_enforced_if_sshd_accepts_other_keys(self) -> None:
        state = carried_out(alone(BLUE))
        open_list = edited(state, f"{ALONE}/carol", f"{BLUE}\n{NIST}\n")
        other_file = edited(
            state, places.DROP_IN, (state.text(places.DROP_IN) or "").replace(f"{ALONE}/%u", ".ssh/keys")
        )
        for changed in (open_list, other_file):
            assert report.enforced(Situation(alone(BLUE), changed)) == {"sshd": False}

    def test_are_looked_for_in_the_usual_files_of_sshd(self, tmp_path: Path) -> None:
        (tmp_path / "keys").write_text(f"{BLUE}\n")
        entry = t.cast(t.Any, type("Entry", (), {"pw_dir": str(tmp_path), "pw_name": "carol", "pw_uid": 1000}))
        ours = Effective({"authorizedkeysfile": (f"{ALONE}/%u",)})
        usual = {"root": Effective({"authorizedkeysfile": ("keys",)})}
        assert accounts.security_keys(entry, ours, usual) == {decode_key(BLUE).words}
        assert accounts.security_keys(entry, ours, {"root": ours}) == frozenset()


class TestReport:
    def test_shows_the_keys_of_each_user(self) -> None:
        state = carried_out(wanted(BLUE, NIST))
        told = report.users(Situation(wanted(BLUE, NIST), state))
        assert {name: one["security_keys"] for name, one in told.items()} == {
            "alice": [],
            "bob": [],
            "carol": ["blue", "nist at home"],
        }
        before = report.users(Situation(wanted(BLUE), host_state()))
        assert before["carol"]["security_keys"] == []

    def test_names_a_denied_key_while_its_owner_has_an_account(self) -> None:
        blue = decode_key(BLUE)
        for target in (wanted(BLUE), alone(BLUE)):
            state = carried_out(target)
            assert report.key_denied(Situation(target, state), "carol", blue.fingerprint) == "blue"
            assert report.key_denied(Situation(target, state), "carol", "SHA256:other") is None
            gone = replace(state, accounts={name: one for name, one in state.accounts.items() if name != "carol"})
            later = Situation(settings("alice", "bob", ssh=True, services=[]), gone)
            assert "carol" not in report.users(later)
            assert report.key_denied(later, "carol", blue.fingerprint) is None

    def test_calls_nothing_enforced_if_an_undeclared_key_is_valid(self) -> None:
        state = carried_out(wanted(BLUE))
        assert report.enforced(Situation(wanted(BLUE), state)) == {"sshd": True}
        path = f"{places.KEYS_DIRECTORY}/carol"
        for text in (f"{state.text(path)}{NIST}\n", f"{NIST}\n"):
            assert report.enforced(Situation(wanted(BLUE), edited(state, path, text))) == {"sshd": False}
        assert report.enforced(Situation(wanted(BLUE), edited(state, f"{places.KEYS_DIRECTORY}/bob", NIST))) == {
            "sshd": False
        }

    def test_calls_nothing_enforced_if_sshd_does_not_ask_for_the_pin(self) -> None:
        state = carried_out(wanted(BLUE))
        text = (state.text(places.DROP_IN) or "").replace(DROP_IN_OF_KEYS, "")
        assert report.enforced(Situation(wanted(BLUE), edited(state, places.DROP_IN, text))) == {"sshd": False}


class TestAuthorizedKeys:
    @pytest.mark.parametrize(("more", "found"), [({}, {BLUE}), ({"authorizedkeyscommand": ("/bin/keys",)}, None)])
    def test_come_from_the_files_that_sshd_reads(
        self, tmp_path: Path, more: dict[str, tuple[str, ...]], found: set[str] | None
    ) -> None:
        (tmp_path / "keys").write_text(f"{BLUE}\n")
        entry = t.cast(t.Any, type("Entry", (), {"pw_dir": str(tmp_path), "pw_name": "carol", "pw_uid": 1000}))
        sshd = Effective({"authorizedkeysfile": ("keys", "%h/none"), **more})
        keys = accounts.security_keys(entry, sshd, {"root": sshd})
        assert keys == (None if found is None else {decode_key(text).words for text in found})

    def test_are_found_in_a_path_with_blanks(self, tmp_path: Path) -> None:
        (tmp_path / "keys of people").mkdir()
        (tmp_path / "keys of people" / "carol").write_text(f"{BLUE}\n")
        entry = t.cast(t.Any, type("Entry", (), {"pw_dir": "/nowhere", "pw_name": "carol", "pw_uid": 1000}))
        sshd = parse_effective(f"authorizedkeysfile .ssh/authorized_keys {tmp_path}/keys of people/%u .ssh/more\n")
        assert accounts.security_keys(entry, sshd, {"root": sshd}) == {decode_key(BLUE).words}

    def test_do_not_block_on_a_named_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "keys")
        entry = t.cast(t.Any, type("Entry", (), {"pw_dir": str(tmp_path), "pw_name": "carol", "pw_uid": 1000}))
        sshd = Effective({"authorizedkeysfile": ("keys",)})
        assert accounts.security_keys(entry, sshd, {"root": sshd}) == frozenset()


class TestHelper:
    """`ssh-key-declared`, as PAM runs it."""

    @pytest.fixture
    def says(self, tmp_path: Path) -> t.Callable[[str | None, str | None], bool]:
        (tmp_path / "carol").write_text(security_keys.render("carol", [decode_key(BLUE), decode_key(security_key(2))]))
        (tmp_path / "bob").write_text(f"publickey x\n{ED25519}\nssh-ed25519 AAAA me\n{NIST}")
        (tmp_path / "folder").mkdir()
        script = scripts.script("ssh-key-declared").replace(places.KEYS_DIRECTORY, str(tmp_path))

        def says(user: str | None, accepted: str | None) -> bool:
            given = {"PAM_USER": user, "SSH_AUTH_INFO_0": accepted}
            environment = {name: value for name, value in given.items() if value is not None}
            done = subprocess.run(["/bin/sh", "-c", script], env=environment, check=False, capture_output=True)
            assert (done.stdout, done.stderr) == (b"", b"")
            return done.returncode == 0

        return says

    @pytest.mark.parametrize("end", ["", "\n"])
    def test_says_yes_to_a_declared_key(self, says: t.Callable[..., bool], end: str) -> None:
        assert says("carol", f"publickey {decode_key(BLUE).words}{end}")
        assert says("carol", f"publickey {security_key(2)}{end}")

    @pytest.mark.parametrize(
        ("user", "accepted"),
        [
            ("carol", f"publickey {security_key(3)}"),
            ("carol", f"publickey {BLUE}"),
            ("carol", f"publickey {security_key(1)}\npublickey {security_key(2)}"),
            ("carol", f"password\npublickey {security_key(1)}"),
            ("carol", f"hostbased {security_key(1)}"),
            ("carol", f" publickey {security_key(1)}"),
            ("carol", f"publickey {ED25519}"),
            ("carol", f"publickey {ED25519} "),
            ("carol", "publickey * *"),
            ("carol", ""),
            ("carol", None),
            ("alice", f"publickey {security_key(1)}"),
            ("CAROL", f"publickey {security_key(1)}"),
            ("../" + "carol", f"publickey {security_key(1)}"),
            ("x/../carol", f"publickey {security_key(1)}"),
            (".", f"publickey {security_key(1)}"),
            ("folder", f"publickey {security_key(1)}"),
            ("", f"publickey {security_key(1)}"),
            (None, f"publickey {security_key(1)}"),
            ("bob", "publickey ssh-ed25519 AAAA"),
            ("bob", f"publickey {ED25519} "),
            ("bob", "publickey publickey x"),
        ],
    )
    def test_says_no_to_anything_else(
        self, says: t.Callable[..., bool], user: str | None, accepted: str | None
    ) -> None:
        assert not says(user, accepted)
