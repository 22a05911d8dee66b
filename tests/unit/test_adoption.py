# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pwd
import stat
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._backends import backends, google_authenticator, oath
from ansible_collections.fleet.auth.plugins.module_utils._backends.hotp import hotp
from ansible_collections.fleet.auth.plugins.module_utils._host.state import HostState
from ansible_collections.fleet.auth.plugins.module_utils._plan.adoption import Adoption, OldFile, adoption, obstacle
from ansible_collections.fleet.auth.plugins.module_utils._plan.situation import Situation
from ansible_collections.fleet.auth.plugins.module_utils._runs import adopt
from unit.builders import ACCOUNTS, KEY, OTHER_KEY, SECRET, account, credential, host_state, settings

NOW = 1_000_000_000.0
STEP = int(NOW) // 30
BACKENDS = tuple(backends.BACKENDS)
OWN = f'{SECRET}\n" RATE_LIMIT 3 30\n" WINDOW_SIZE 17\n" DISALLOW_REUSE {STEP - 1}\n" TOTP_AUTH\n12345678\n87654321\n'


def line(user: str, key: bytes = KEY, kind: str = "HOTP/T30", pin: str = "-", history: str = "") -> str:
    return f"{kind} {user} {pin} {key.hex()}{history}\n"


def adopted(
    text: str = "", own: t.Mapping[str, str | OldFile] | None = None, state: HostState | None = None, **options: t.Any
) -> Adoption:
    """The result of adopting a users file and files of people's own."""
    state = replace(state or host_state(), now=NOW, backend=options.get("backend", "oath"))
    files = {
        name: OldFile(f"/home/{name}/ga", one) if isinstance(one, str) else one for name, one in (own or {}).items()
    }
    old = [OldFile("/etc/users.oath", text)]
    return adoption(Situation(settings(**options), state), old, files, state.accounts, os.urandom)


def reason(text: str = "", own: t.Mapping[str, str | OldFile] | None = None, **how: t.Any) -> str:
    """The reason why alice, the only account in the files, is left out."""
    found = adopted(text, own, **how)
    assert found.credentials == {}
    assert len(found.left) == 1
    assert [secret for secret in (KEY.hex(), SECRET) if secret in repr(found)] == []
    return "".join(found.left.values())


class TestAdoption:
    @pytest.mark.parametrize("backend", BACKENDS)
    def test_keeps_the_secret_and_used_codes(self, backend: str) -> None:
        history = f" 0 {hotp(KEY, STEP, 6)} 2001-09-09T01:46:40L"
        for files in ({"text": line("alice", history=history)}, {"own": {"alice": OWN}}):
            found = adopted(backend=backend, **t.cast("dict[str, t.Any]", files))
            text = found.credentials["alice"]
            says = backends.BACKENDS[backend].read(text, "alice", NOW)
            assert [(app.name, app.key, app.interval) for app in says.apps] == [("", KEY, 30)]
            assert says.proven
            used = max(says.apps[0].used)
            assert used == (STEP if "text" in files else STEP - 1)

    def test_keeps_scratch_codes_where_the_backend_supports_them(self) -> None:
        kept = adopted(own={"alice": OWN}, backend="google_authenticator")
        assert kept.void_recovery_codes == []
        codes = google_authenticator.recovery_codes(kept.credentials["alice"], "alice", 6)
        assert [code for _number, code in codes] == ["12345678", "87654321"]
        assert adopted(own={"alice": OWN}).void_recovery_codes == ["alice"]
        assert adopted(own={"alice": f'{SECRET}\n" TOTP_AUTH\n'}).void_recovery_codes == []

    def test_takes_over_no_option_that_the_owner_could_have_written(self) -> None:
        own = (
            OWN + '" TIME_SKEW 1\n" FLEET_AUTH_PASS 2999-01-01T00:00:00Z 12345678\n" FLEET_AUTH_RENEWAL x\n" \x1b[2J\n'
        )
        assert adopted(own={"alice": own}, backend="google_authenticator").credentials["alice"] == (
            f'{SECRET}\n" STEP_SIZE 30\n" WINDOW_SIZE 3\n" DISALLOW_REUSE {STEP - 1}\n" TOTP_AUTH\n87654321\n'
        )

    def test_reads_several_lines_as_several_devices(self) -> None:
        lines = line("alice") + line("bob") + line("alice", OTHER_KEY) + line("alice")
        found = adopted(lines)
        says = oath.read(found.credentials["alice"], "alice")
        assert [(app.name, app.key) for app in says.apps] == [("", KEY), ("adopted-2", OTHER_KEY)]
        assert list(found.credentials) == ["alice", "bob"]
        found = adopted(lines, backend="google_authenticator")
        assert list(found.credentials) == ["bob"]
        assert found.left["alice"].startswith("/etc/users.oath: lines 1, 3 and 4: the account has further devices")

    def test_takes_one_secret_in_two_files_once(self) -> None:
        found = adopted(line("alice"), {"alice": OWN})
        assert found.sources == {"alice": "/etc/users.oath and /home/alice/ga"}
        assert oath.read(found.credentials["alice"], "alice", NOW).proven

    def test_leaves_existing_credentials_alone_even_damaged_ones(self) -> None:
        damaged = replace(credential("alice"), content="")
        for state in (
            host_state(credentials={"alice": damaged}),
            host_state(other_credentials={"oath": {"alice": damaged}}),
        ):
            found = adopted(line("alice"), {"alice": OWN}, state)
            assert (found.credentials, found.left) == ({}, {})

    def test_skips_comments_and_lines_without_a_user(self) -> None:
        found = adopted(f"# {line('alice')}\n\nHOTP\n \n{line('bob')}")
        assert (list(found.credentials), found.left) == (["bob"], {})

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            (line("alice", kind="HOTP"), "/etc/users.oath: line 1 is for codes that are based on a counter (HOTP)"),
            (
                line("alice") + line("alice", kind="HOTP/E/6"),
                "/etc/users.oath: line 2 is for codes that are based on a counter",
            ),
            (line("alice", pin="1234"), "line 1 has a PIN"),
            (
                line("alice", kind="HOTP/T60"),
                "line 1 is for codes of 60 seconds, but interval is 30. Set interval to 60",
            ),
            (line("alice", kind="HOTP/T30/8"), "is for codes of 8 digits, but otp_digits is 6. Set otp_digits to 8"),
            (line("alice", history=" 0 12345678 2001-09-09T01:46:40L"), "is for codes of 8 digits"),
            (line("alice", kind="TOTP"), "/etc/users.oath: line 1 has a type that pam_oath does not know"),
            ("HOTP/T30 alice -\n", "line 1 is cut short"),
            (line("alice") + "\0\0\n", "/etc/users.oath: line 2 begins with a NUL byte, so that everybody's codes"),
            ("\n" + line("alice")[:-2], "line 2 has no hexadecimal key"),
            (line("alice", history=" x"), "line 1 has a counter that is no number, so that every code is denied"),
            (line("alice", history=" x") + line("alice"), "line 1 has a counter that is no number"),
            ("\n" + line("nobody1"), "/etc/users.oath: line 2 is for an account that web1 does not have. Remove it"),
            (
                line("a:b"),
                "/etc/users.oath: line 1 is for an account whose name PAM, sshd or a file cannot hold. Remove it",
            ),
            (
                line("al\N{REPLACEMENT CHARACTER}ce"),
                "line 1 is for an account whose name PAM, sshd or a file cannot hold",
            ),
        ],
    )
    def test_leaves_out_lines_that_a_credential_cannot_express(self, text: str, why: str) -> None:
        assert why in reason(text)

    @pytest.mark.parametrize(
        ("own", "why"),
        [
            ("", "/home/alice/ga: line 1 has no key in base32"),
            (f"{SECRET}\n", "is not for time-based codes: no line has TOTP_AUTH, so that every code is denied"),
            (f'{SECRET}\n" HOTP_COUNTER 1\n', "line 2 is for codes that are based on a counter (HOTP_COUNTER). Enrol"),
            (f"{OWN}\0", "/home/alice/ga: line 8 has a NUL byte"),
            (f'{SECRET}\n" TOTP_AUTH\n" DISALLOW_REUSE\t5 x\n', "line 3 has a DISALLOW_REUSE that"),
            (
                f'{SECRET}\n" STEP_SIZE 60\n" TOTP_AUTH\n',
                "/home/alice/ga: line 2, STEP_SIZE, is for codes of 60 seconds, but interval is 30. Set interval to 60",
            ),
            (f'{SECRET * 4}\n" TOTP_AUTH\n', "/home/alice/ga: line 1 has a key of 80 bytes, more than the 64 that a"),
            (
                f'{SECRET * 2}\n" TOTP_AUTH\n',
                "/home/alice/ga: line 1: the account has a key of 40 bytes, but pam_oath reads only 32. Set backend to "
                "google_authenticator, or",
            ),
            (OldFile("/home/alice/ga", unsafe="is not a regular file"), "/home/alice/ga is not a regular file"),
        ],
    )
    def test_leaves_out_files_that_a_credential_cannot_express(self, own: str | OldFile, why: str) -> None:
        assert why in reason(own={"alice": own})

    def test_leaves_out_users_with_contradicting_files_or_settings(self) -> None:
        assert "/etc/users.oath: line 1 and /home/alice/ga: line 1 have different secrets" in reason(
            line("alice", OTHER_KEY), {"alice": OWN}
        )
        assert "the secret in users differs from that in /etc/users.oath: line 1. Leave it out of users" in reason(
            line("alice", OTHER_KEY), users=[{"name": "alice", "secret": SECRET}]
        )
        absent = [{"name": "alice", "state": "absent"}]
        assert reason("\n" + line("alice"), users=absent) == (
            "/etc/users.oath: line 2 is for an account that has state: absent in users. Remove it there, or take "
            "state: absent out of users"
        )
        assert reason(own={"alice": OWN}, users=absent).startswith(
            "/home/alice/ga is for an account that has state: absent in users"
        )
        assert "is for codes of 6 digits, but otp_digits is 8" in reason(own={"alice": OWN}, otp_digits=8)

    @pytest.mark.parametrize(
        ("before", "expected", "after"),
        [
            ({"text": line("alice", pin="1234")}, "Put - in its place", {"text": line("alice")}),
            ({"text": line("alice", kind="HOTP/T60")}, "interval is 30. Set interval to 60", {"interval": 60}),
            ({"text": line("alice", kind="HOTP/T30/8")}, "otp_digits is 6. Set otp_digits to 8", {"otp_digits": 8}),
            ({"text": line("alice", history=" x")}, "Correct the line", {"text": line("alice", history=" 0")}),
            ({"text": line("alice") + "\0\n"}, "Remove it", {"text": line("alice")}),
            ({"text": line("alice", OTHER_KEY), "own": {"alice": OWN}}, "Remove the one", {"text": ""}),
            (
                {"text": line("alice"), "users": [{"name": "alice", "secret": "A" * 32}]},
                "Leave it out of users",
                {"users": []},
            ),
            (
                {"text": line("alice") + line("alice", OTHER_KEY), "backend": "google_authenticator"},
                "Set backend to oath",
                {"backend": "oath"},
            ),
            (
                {"own": {"alice": f'{SECRET * 2}\n" TOTP_AUTH\n'}},
                "Set backend to google_authenticator",
                {"backend": "google_authenticator"},
            ),
            ({"own": {"alice": f"{OWN}\0"}}, "Correct the file", {"own": {"alice": OWN}}),
        ],
    )
    def test_takes_over_after_the_remedy_is_done(
        self, before: dict[str, t.Any], expected: str, after: dict[str, t.Any]
    ) -> None:
        assert expected in reason(**before)
        assert adopted(**{**before, **after}).left == {}

    def test_leaves_out_names_of_lock_files(self) -> None:
        state = host_state(*ACCOUNTS, account("a.lock"))
        assert "is for an account whose name PAM, sshd or a file cannot hold" in reason(line("a.lock"), state=state)

    def test_uses_the_code_length_of_the_pam_line(self) -> None:
        asks = "@include common-auth\nauth required pam_oath.so usersfile=/etc/users.oath digits=8\n"
        state = host_state(files={f"{places.PAM_D}/sshd": asks})
        assert "is for codes of 8 digits" in reason(line("alice"), state=state)
        assert adopted(line("alice", kind="HOTP/T30/8"), state=state, otp_digits=8).left == {}
        state = host_state(files={f"{places.PAM_D}/sshd": asks.replace("auth ", "#auth "), places.SWITCH: asks})
        assert adopted(line("alice"), state=state).left == {}

    def test_accepts_what_the_modules_accept(self) -> None:
        for text in (
            line("alice", history=" 7"),
            line("alice", history=" 0 123456"),
            f"  # alice - a note\n\t{line('alice')}",
            line("alice") * 2,
        ):
            assert list(adopted(text).credentials) == ["alice"], text
        for own in (f'{OWN}" HOTP_COUNTER soon\n', f"{OWN}a note\n", OWN.replace("\n", "\r\n")):
            assert list(adopted(own={"alice": own}).credentials) == ["alice"], own

    def test_leaves_out_one_and_takes_the_others(self) -> None:
        own = {"alice": f'{SECRET}\n" TOTP_AUTH\n" DISALLOW_REUSE\t5 x\n', "bob": f'{OWN}" HOTP_COUNTER soon\n'}
        text = line("alice", history=f" 0 {'²' * 6}") + line("carol", history=" 0 \N{REPLACEMENT CHARACTER}")
        found = adopted(text, own)
        assert list(found.left) == ["alice"]
        assert list(found.credentials) == ["bob", "carol"]

    def test_leaves_out_only_the_users_in_a_users_file_that_others_can_read(self) -> None:
        """With the user's own file alone, codes that the other file records as used might be right again."""
        state = replace(host_state(), now=NOW)
        own = {name: OldFile(f"/home/{name}/ga", OWN) for name in ("alice", "bob")}
        exposed = OldFile(
            "/etc/users.oath", line("alice") + line("carol"), unsafe="can be read by others. Make it 0600"
        )
        shared = [exposed, OldFile("/srv/users.oath", line("dora") + line("carol"))]
        people = {*state.accounts, "dora"}
        found = adoption(Situation(settings(), state), shared, own, people, os.urandom)
        assert [*found.credentials] == ["bob", "dora"]
        told = "/etc/users.oath can be read by others. Make it 0600"
        assert found.left == {"alice": told, "carol": told}
        shared[0] = replace(exposed, unsafe="")
        assert adoption(Situation(settings(), state), shared, own, people, os.urandom).left == {}

    def test_says_what_differs_for_each_user(self) -> None:
        assert adopted(line("alice")).differences == {}
        assert adopted(own={"alice": OWN.replace(" 17", " 3")}).differences == {}
        short = (
            "has a key of 10 bytes, and RFC 4226 asks for 16 at least. The app goes on with this key; renew in users"
        )
        for where, found in (
            ("/etc/users.oath: line 2", adopted(line("alice") + line("alice", KEY[:10]))),
            ("/home/alice/ga: line 1", adopted(own={"alice": f'{SECRET[:16]}\n" DISALLOW_REUSE\n" TOTP_AUTH'})),
        ):
            assert found.differences["alice"].startswith(f"{where} {short}")
            assert oath.read(found.credentials["alice"], "alice").apps[-1].key == KEY[:10]
        assert adopted(own={"alice": f'{SECRET}\n" WINDOW_SIZE 17\n" TOTP_AUTH\n'}).differences == {
            "alice": "/home/alice/ga: line 2, WINDOW_SIZE, accepts codes up to 8 steps early. After the change it is "
            "up to 1, as window says. /home/alice/ga: a code could be used more than once (no DISALLOW_REUSE). After "
            "the change each code is valid once"
        }
        found = adopted(line("alice") + "TOTP alice - 00\nHOTP/T30 alice - 0\nHOTP/T30 alice - 00\n")
        assert found.differences == {
            "alice": "/etc/users.oath: line 2 has a type that pam_oath does not know. pam_oath skips this line, "
            "and it is not taken over. /etc/users.oath: line 3 has no hexadecimal key of 1 to 32 bytes. pam_oath "
            "accepts no code of this line or of those below it, and they are not taken over"
        }

    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize(("skew", "side"), [(20, "600 seconds ahead"), (-2, "60 seconds behind"), (1, "")])
    def test_takes_nobody_as_proven_while_the_clock_is_off(self, backend: str, skew: int, side: str) -> None:
        found = adopted(own={"alice": f'{OWN.replace(" 17", " 3")}" TIME_SKEW {skew}\n'}, backend=backend)
        said = found.differences.get("alice", "")
        assert (f"the clock of the app was {side}" in said) == bool(side)
        assert backends.BACKENDS[backend].read(found.credentials["alice"], "alice").proven == (not side)

    @given(
        users=st.text(alphabet="HOTP/E36 \n\t-alice0123f#", max_size=80),
        own=st.text(alphabet='A2"\n TOTP_U1', max_size=60),
    )
    def test_reads_any_content(self, users: str, own: str) -> None:
        found = adopted(users, {"alice": own})
        assert "alice" in {*found.credentials, *found.left}
        for name, text in found.credentials.items():
            assert oath.read(text, name).apps
            text.encode("ascii")

    def test_escapes_names_that_a_terminal_would_act_on(self) -> None:
        found = adopted(line("al\x1b[2Jice") + line("a" * 500))
        assert sorted(found.left) == [repr("a" * 100), r"'al\x1b[2Jice'"]

    def test_shows_no_secret_in_any_representation(self) -> None:
        shown = repr((adopted(line("alice"), {"bob": OWN}), OldFile("/etc/users.oath", OWN)))
        for secret in (SECRET, KEY.hex(), "12345678"):
            assert secret not in shown


class TestObstacle:
    def test_is_an_unconfirmed_change_or_another_backend(self) -> None:
        assert obstacle(Situation(settings(), host_state()), []) is None
        assert "is not confirmed" in str(obstacle(Situation(settings(), host_state(pending=True)), []))
        other = obstacle(Situation(settings(), host_state(backend="google_authenticator")), [])
        assert "belong to the google_authenticator backend, but backend is oath" in str(other)

    def test_is_a_users_file_whose_users_are_uncertain(self) -> None:
        exposed = OldFile("/etc/users.oath", unsafe="can be read by others. Make it 0600")
        assert obstacle(Situation(settings(), host_state()), [exposed]) is None
        told = obstacle(Situation(settings(), host_state()), [replace(exposed, names_are_certain=False)])
        assert str(told).startswith(
            "/etc/users.oath can be read by others. Make it 0600. Until then, it is not certain"
        )


@pytest.mark.parametrize(
    ("users_file", "secret_file", "wrong"),
    [
        ("/srv/users.oath", "~/.google_authenticator", ""),
        ("/srv/users.oath", "${HOME}/.ga/${USER}", ""),
        ("/srv/users.oath", "/var/lib/ga/${USER}/secret", ""),
        ("/etc/oathusers/${USER}", "~/.ga", "users_files"),
        ("${HOME}/.oath", "~/.ga", "users_files"),
        ("~/.oath", "~/.ga", "users_files"),
        ("/etc/oathusers/*", "~/.ga", "users_files"),
        ("users.oath", "~/.ga", "users_files"),
        ("/srv/users.oath", "/srv/ga/one", "secret_file"),
        ("/srv/users.oath", "/srv/ga/%u", "secret_file"),
        ("/srv/users.oath", "/srv/ga/$USER", "secret_file"),
        ("/srv/users.oath", "/srv/ga/${user}/${USER}", "secret_file"),
        ("/srv/users.oath", "~alice/.ga", "secret_file"),
    ],
)
def test_paths_that_would_mean_nothing_are_refused(users_file: str, secret_file: str, wrong: str) -> None:
    """Otherwise nobody would be taken over, and everybody would get in without a second factor afterwards."""
    found = " ".join(adopt._unusable([users_file], secret_file))
    assert found.startswith(f"O({wrong}): " if wrong else "")
    assert bool(found) == bool(wrong)


class TestReading:
    """Reading files in places where others than root can replace them."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        made = tmp_path / "home" / "secret"
        made.parent.mkdir()
        made.write_text(OWN)
        made.chmod(0o600)
        return made

    def read(self, path: Path, largest: int = 1000) -> OldFile | None:
        return adopt._read(str(path), str(path.parent), (os.getuid(),), largest)

    def test_returns_the_text_of_a_file_that_only_the_owner_can_read(self, path: Path) -> None:
        assert self.read(path) == OldFile(str(path), OWN)
        path.chmod(0o400)
        assert self.read(path) == OldFile(str(path), OWN)

    def test_skips_missing_files(self, path: Path) -> None:
        assert self.read(path.with_name("none")) is None
        assert self.read(path / "none") is None
        assert self.read(path.parent / "none" / "none") is None

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
    def test_refuses_a_file_that_others_can_access(self, path: Path, mode: int) -> None:
        path.chmod(mode)
        found = self.read(path)
        assert found
        assert (found.text, f"(mode {mode:04o})" in found.unsafe) == ("", True)

    @pytest.mark.parametrize(("mode", "names"), [(0o600, True), (0o640, True), (0o604, True), (0o620, False)])
    def test_names_the_users_of_a_file_that_only_root_can_write(self, path: Path, mode: int, names: bool) -> None:
        path.chmod(mode)
        found = adopt._read(str(path), str(path.parent), (os.getuid(),), 1000, names_at_least=True)
        assert found
        assert (found.text, bool(found.unsafe), found.names_are_certain) == (OWN if names else "", mode != 0o600, names)
        path.with_name("hard").hardlink_to(path)
        found = adopt._read(str(path), str(path.parent), (os.getuid(),), 1000, names_at_least=True)
        assert found
        assert (found.text, found.names_are_certain) == ("", False)

    def test_refuses_links_special_files_and_files_of_others(self, path: Path) -> None:
        link, hard, pipe, folder = (path.with_name(name) for name in ("link", "hard", "pipe", "folder"))
        link.symlink_to(path)
        os.mkfifo(pipe, 0o600)
        folder.mkdir()
        for other, why in ((link, "is a symbolic link"), (pipe, "not a regular file"), (folder, "not a regular file")):
            found = self.read(other)
            assert found
            assert (found.text, why in found.unsafe) == ("", True)
        hard.hardlink_to(path)
        found = self.read(path)
        assert found
        assert (found.text, found.unsafe[:30]) == ("", "has further hard links. Remove")
        hard.unlink()
        found = adopt._read(str(path), str(path.parent), (os.getuid() + 1,), 1000)
        assert found
        assert (found.text, "belongs to neither" in found.unsafe) == ("", True)

    def test_refuses_a_file_that_is_too_large(self, path: Path) -> None:
        found = self.read(path, largest=len(OWN) - 1)
        assert found
        assert (found.text, "more than the" in found.unsafe) == ("", True)
        assert self.read(path, largest=len(OWN)) == OldFile(str(path), OWN)

    def test_distinguishes_a_link_from_a_file_in_place_of_a_folder(self, path: Path) -> None:
        folder = path.with_name("folder")
        folder.symlink_to("nowhere")
        inside = folder / "secret"
        found, of_link = (adopt._read(str(one), str(path.parent), (os.getuid(),), 1000) for one in (inside, folder))
        assert found
        assert of_link
        assert "is a symbolic link, or is in a directory that is one" in found.unsafe
        assert of_link.unsafe == found.unsafe
        folder.unlink()
        folder.write_text("")
        assert adopt._read(str(inside), str(path.parent), (os.getuid(),), 1000) is None

    def test_looks_up_accounts_that_the_host_does_not_list(self, monkeypatch: pytest.MonkeyPatch) -> None:
        root, daemon = pwd.getpwnam("root"), pwd.getpwnam("daemon")
        monkeypatch.setattr(pwd, "getpwall", list)
        users_file = [OldFile("/etc/users.oath", line("root") + line("stranger1") + line("x\0y"))]
        assert adopt._known(settings(users=[{"name": "daemon"}]), users_file) == {"daemon": daemon, "root": root}

    def test_follows_no_link_below_a_home(self, path: Path) -> None:
        (path.parent / "folder").symlink_to(path.parent)
        found = adopt._read(str(path.parent / "folder" / "secret"), str(path.parent), (os.getuid(),), 1000)
        assert found
        assert (found.text, "is in a directory that is one" in found.unsafe) == ("", True)
        assert stat.S_ISLNK((path.parent / "folder").lstat().st_mode)
