# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people may do by themselves, and which requests they may send."""

from __future__ import annotations

import errno
import json
import os
import pwd
import socket
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._apply import files, invitations
from ansible_collections.fleet.auth.plugins.module_utils._backends import backends, oath, usersfile
from ansible_collections.fleet.auth.plugins.module_utils._backends.credential import RECOVERY_CODES, Clock
from ansible_collections.fleet.auth.plugins.module_utils._backends.hotp import hotp
from ansible_collections.fleet.auth.plugins.module_utils._host import nss
from ansible_collections.fleet.auth.plugins.module_utils._plan import self_service as plan_self_service
from ansible_collections.fleet.auth.plugins.module_utils._self_service import pam_client, program, terminal
from ansible_collections.fleet.auth.plugins.module_utils._self_service.conversation import (
    Conversation,
    Refusal,
    parse_request,
)
from ansible_collections.fleet.auth.plugins.module_utils._texts import invitation
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import PASS_THROUGH, CodeStep
from ansible_collections.fleet.auth.plugins.module_utils._texts.invitation import Invitation
from ansible_collections.fleet.auth.plugins.module_utils._wanted.secret import decode_secret, encode_secret
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings, User
from ansible_collections.fleet.auth.plugins.plugin_utils import _host_files
from unit.closure import closure

NOW = 1_000_000_000.0
KEY = b"k" * 20
RIGHT = "314159"
BEGUN = {"place": "cockpit", "code": "", "invitation": ""}
INVITATION = "AAAA-BBBB-CCCC-DDDD"
OLD = usersfile.Token("alice", KEY).render() + "\n"


def switch(enrolled: t.Sequence[str] = (), **settings: t.Any) -> str:
    wanted = Settings(**{"scope": "enrolled", **settings})
    return CodeStep.wanted(wanted, enrolled, backends.BACKENDS[wanted.backend].pam_line(wanted)).render()


class FakeHost:
    """A host whose code step accepts the code RIGHT."""

    name = "web1"

    def __init__(self, text: str | None, switch_text: str, *, given: bool = False, asks: bool = True) -> None:
        self.text, self.switch_text, self.given, self.doors = text, switch_text, given, asks
        self.invited: Invitation | None = None
        self.logged: list[str] = []
        self.checked: list[str] = []
        self.keys = 0

    def code_step(self) -> CodeStep:
        return CodeStep.parse(self.switch_text)

    def settings(self) -> Settings | None:
        backend = backends.asking(self.code_step())
        return Settings(backend=backend) if backend else None

    def asks(self) -> bool:
        return self.doors

    def groups(self, _user: str) -> t.Collection[str]:
        return ["users"]

    def has_given_secret(self, _user: str) -> bool:
        return self.given

    def credential(self, _user: str) -> str | None:
        return self.text

    def invitation(self, _user: str) -> Invitation | None:
        return self.invited

    def try_invitation(self, _user: str, typed: str) -> bool:
        assert self.invited
        if self.invited.fits(typed):
            return True
        self.invited = self.invited._replace(tries=max(0, self.invited.tries - 1))
        return False

    def check(self, _user: str, code: str) -> pam_client.Answer:
        self.checked.append(code)
        return pam_client.Answer(right=code == RIGHT, asked=True)

    def revise(self, _user: str, new: t.Callable[[str | None], str]) -> None:
        before, self.text = self.text, new(self.text)
        self.invited = self.invited if before else None

    def make_key(self, length: int) -> bytes:
        self.keys += 1
        return bytes([self.keys]) * length

    def picture(self, text: str) -> str:
        return f"<svg>{text}</svg>"

    def clock(self) -> Clock:
        return Clock(NOW, "2001-09-09T01:46:40L")

    def log(self, text: str) -> None:
        self.logged.append(text)


def talk(host: FakeHost, *requests: dict[str, str]) -> list[dict[str, t.Any]]:
    conversation = Conversation(host, "alice")
    return [conversation.answer(json.dumps(request).encode() + b"\n") for request in requests]


def code_of(secret: str) -> str:
    return hotp(decode_secret(secret), int(NOW) // 30, 6)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null\n",
        b"[]\n",
        b'{"do":"status"}',
        b'{"do":"status","user":"bob"}\n',
        b'{"do":{"do":"status"}}\n',
        b'{"do":["status"]}\n',
        b'{"do":"begin","what":"../bob","place":"cockpit","code":"","invitation":""}\n',
        b'{"do":"begin","what":"enrol","place":"/etc","code":"","invitation":""}\n',
        b'{"do":"begin","what":"enrol","place":"cockpit","code":""}\n',
        b'{"do":"begin","what":"enrol","place":"cockpit","code":"","invitation":"' + b"A" * 41 + b'"}\n',
        b'{"do":"prove","code":"12345a"}\n',
        b'{"do":"prove","code":"123456789"}\n',
        '{"do":"prove","code":"١٢٣٤٥٦"}\n'.encode(),
        b"\xff\n",
        b"\0\n",
        b"[" * 4000 + b"\n",
        b'{"do":"status"' + b" " * 4096 + b"}\n",
    ],
)
def test_invalid_request_is_refused(line: bytes) -> None:
    with pytest.raises(Refusal):
        parse_request(line)


@pytest.mark.parametrize(
    ("text", "groups", "found"),
    [
        (switch(), [], "free"),
        (switch(["alice"]), [], "asked"),
        (switch(scope="everyone"), [], "asked"),
        (switch(scope="everyone", exempt_users=("alice",)), [], "exempt"),
        (switch(scope="everyone", exempt_groups=("staff",)), ["staff"], "exempt"),
        (switch(scope="groups", scope_groups=("staff",)), ["staff"], "asked"),
        (switch(scope="groups", scope_groups=("staff",)), ["users"], "exempt"),
    ],
)
def test_standing_matches_the_code_step(text: str, groups: list[str], found: str) -> None:
    assert CodeStep.parse(text).standing("alice", groups) == found


ALICE = pwd.struct_passwd(("alice", "x", 1000, 1000, "", "/home/alice", "/bin/bash"))
SHELLS = "# /etc/shells: valid login shells\n/bin/sh\n/bin/bash\n/usr/sbin/nologin\n"


def test_only_people_and_root_log_in() -> None:
    def may(name: str = "alice", uid: int = 1000, shell: str = "/bin/bash", login_defs: str = "") -> bool:
        account = pwd.struct_passwd((name, "x", uid, uid, "", "/", shell))
        return nss.is_for_people(account, SHELLS, login_defs)

    assert all([may(), may("root", 0), may(shell=""), may(uid=500, login_defs="#UID_MIN 9\nUID_MIN\t\t 500\n")])
    services = [
        may("postgres", 110),
        may("www-data", 33, "/usr/sbin/nologin"),
        may("nobody", 65534, "/usr/sbin/nologin"),
        may("git", 1001, "/usr/bin/git-shell"),
        may("alice.lock"),
        may("al ice"),
    ]
    assert not any(services)
    assert not nss.is_for_people(ALICE, "", "")


def test_program_has_exactly_the_modules_that_it_imports() -> None:
    needed = {name for one in (program, terminal) for name in closure(Path(one.__file__).resolve())}
    assert sorted({*needed, "_self_service/program", "_self_service/terminal"}) == sorted(_host_files.MODULES)


def test_program_may_write_the_credentials_of_each_backend() -> None:
    (unit,) = _host_files.texts([places.SELF_SERVICE_SERVICE_UNIT]).values()
    (allowed,) = (line for line in unit.splitlines() if line.startswith("ReadWritePaths="))
    assert {f"-{directory}" for directory in backends.DIRECTORIES} < set(allowed.partition("=")[2].split())


@pytest.fixture
def draw_qr_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[str], tuple[str, list[str]]]:
    """Draw a key with a stub of qrencode that ends like this; return the picture and the log."""

    def draw(end: str) -> tuple[str, list[str]]:
        stub = tmp_path / "qrencode"
        stub.write_text(f'#!/bin/sh\necho "$*" >{tmp_path}/words\ncat >{tmp_path}/input\necho "<svg/>"\n{end}\n')
        stub.chmod(0o755)
        logged: list[str] = []
        monkeypatch.setattr(places, "QRENCODE", str(stub))
        host = program.ThisHost.__new__(program.ThisHost)
        monkeypatch.setattr(program.ThisHost, "log", lambda _self, text: logged.append(text))
        return host.picture("otpauth://totp/web1?secret=ABCDEFGH"), logged

    return draw


def test_qr_code_is_drawn_without_the_secret_on_a_command_line(
    draw_qr_code: t.Callable[[str], tuple[str, list[str]]], tmp_path: Path
) -> None:
    assert draw_qr_code("exit 0") == ("<svg/>\n", [])
    assert (tmp_path / "input").read_text() == "otpauth://totp/web1?secret=ABCDEFGH"
    assert (tmp_path / "words").read_text() == "--type=SVG --svg-path --level=M --output=-\n"


def test_failure_to_draw_a_qr_code_is_logged_and_gives_no_picture(
    draw_qr_code: t.Callable[[str], tuple[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, (told,) = draw_qr_code("exit 1")
    assert picture == ""
    assert told.endswith("qrencode draws no QR code: CalledProcessError")
    monkeypatch.setattr(program, "_DRAWING_SECONDS", 0.1)
    assert draw_qr_code("exec sleep 5")[0] == ""
    monkeypatch.setattr(places, "QRENCODE", "/nowhere/qrencode")
    assert program.ThisHost.__new__(program.ThisHost).picture("x") == ""


def test_first_enrolment_takes_effect_after_a_right_code() -> None:
    host = FakeHost(None, switch())
    conversation = Conversation(host, "alice")
    begun = conversation.answer(b'{"do":"begin","what":"enrol","place":"cockpit","code":"","invitation":""}\n')
    uri = f"otpauth://totp/web1:alice@web1?secret={begun['secret']}&issuer=web1"
    assert begun == {"ok": True, "secret": begun["secret"], "uri": uri, "picture": f"<svg>{uri}</svg>"}
    wrong = conversation.answer(b'{"do":"prove","code":"000000"}\n')
    assert (wrong["ok"], host.text) == (False, None)
    proven = conversation.answer(json.dumps({"do": "prove", "code": code_of(begun["secret"])}).encode() + b"\n")
    assert len(proven["recovery_codes"]) == RECOVERY_CODES
    phone = usersfile.tokens_of(host.text or "", "alice")[0]
    assert (phone.key, phone.last_code) == (decode_secret(begun["secret"]), code_of(begun["secret"]))
    assert begun["secret"] not in "".join(host.logged)
    assert (phone.label, phone.name) == ("self-made", "2001-09-09/cockpit")
    for standing, doors, waits in (
        (switch(), True, True),
        (switch(scope="everyone"), False, True),
        (switch(scope="everyone"), True, False),
    ):
        host.switch_text, host.doors = standing, doors
        (status,) = talk(host, {"do": "status"})
        assert ("once that is accepted" in status["message"]) == waits


class TestInvitedUser:
    def host(self, **how: t.Any) -> FakeHost:
        """A host on which alice is invited."""
        host = FakeHost(None, how.pop("switch_text", switch()), **how)
        host.invited = invitation.create(INVITATION, b"salt", NOW + 3600)
        return host

    def begin(self, host: FakeHost, typed: str) -> dict[str, t.Any]:
        return talk(host, {"do": "begin", **BEGUN, "what": "enrol", "invitation": typed})[0]

    def test_enrols_once_and_is_proven(self) -> None:
        host = self.host()
        assert talk(host, {"do": "status"})[0]["invited"]
        conversation = Conversation(host, "alice")
        request = {"do": "begin", **BEGUN, "what": "enrol", "place": "terminal", "invitation": INVITATION}
        begun = conversation.answer(json.dumps(request).encode() + b"\n")
        assert begun["picture"] == ""
        assert prove(conversation, code_of(begun["secret"]))["ok"]
        made = oath.read(host.text or "", "alice")
        assert (made.proven, made.self_made, host.invited) == (True, "", None)
        assert host.logged == ["alice: enrol done, with an invitation"]
        host.text = None
        assert self.begin(host, INVITATION)["message"].startswith("There is no invitation for you on this host")

    def test_may_enrol_even_if_codes_are_already_asked_for(self) -> None:
        host = self.host(switch_text=switch(scope="everyone"))
        assert self.begin(host, INVITATION.lower().replace("-", " "))["ok"]
        host.invited = None
        assert not self.begin(host, "")["ok"]

    def test_must_type_the_invitation_and_has_five_tries(self) -> None:
        host = self.host()
        assert self.begin(host, "")["message"] == "You are invited: type your invitation."
        told = [self.begin(host, "AAAA-BBBB-CCCC-EEEE") for _try in range(invitation.TRIES)]
        assert told[0]["message"] == "This is not your invitation. Type it again. Tries that are left: 4."
        assert told[-1]["message"].startswith("Too many invitations were wrong, so yours is void.")
        assert self.begin(host, INVITATION)["message"] == told[-1]["message"]
        assert self.begin(host, "")["message"] == told[-1]["message"]
        (status,) = talk(host, {"do": "status"})
        assert (status["may"], status["message"], status["invited"]) == ([], told[-1]["message"], False)
        assert host.logged[-1] == "alice: wrong invitation, 0 tries left"
        assert "BBBB" not in "".join(host.logged)

    @pytest.mark.parametrize(
        "afterwards", [None, invitation.create("EEEE", b"salt", NOW + 3600)], ids=["gone", "another one"]
    )
    def test_must_still_be_invited_when_the_code_is_typed(self, afterwards: Invitation | None) -> None:
        host = self.host()
        conversation = Conversation(host, "alice")
        request = {"do": "begin", **BEGUN, "what": "enrol", "invitation": INVITATION}
        begun = conversation.answer(json.dumps(request).encode() + b"\n")
        host.invited = afterwards
        assert prove(conversation, code_of(begun["secret"]))["message"].startswith("Your invitation was changed")
        assert host.text is None

    def test_is_not_overtaken_by_an_earlier_enrolment(self) -> None:
        host = FakeHost(None, switch())
        page = begun(host, "enrol", "")
        host.invited = invitation.create(INVITATION, b"salt", NOW + 3600)
        assert (prove(*page)["ok"], host.text) == (False, None)


class TestInvitationFile:
    ONE = invitation.create(INVITATION, b"salt", 1_000.5)

    def test_contains_no_code_and_is_read_back(self) -> None:
        assert invitation.parse(self.ONE.render()) == self.ONE
        assert not any(group in self.ONE.render() for group in INVITATION.split("-"))
        assert self.ONE.digest.hex() not in repr(self.ONE)

    @pytest.mark.parametrize("typed", [INVITATION, "aaaabbbbccccdddd", " AAAA bbbb-cccc dddd", "AAAA-8888-CCCC-DDDD"])
    def test_matches_the_code_however_it_is_typed(self, typed: str) -> None:
        assert self.ONE.fits(typed)

    @pytest.mark.parametrize("typed", ["", "AAAA-BBBB-CCCC-DDDE", "AAAA-BBBB-CCCC", "ÄÄÄÄ\ud800", f"{INVITATION}A"])
    def test_does_not_match_anything_else(self, typed: str) -> None:
        assert not self.ONE.fits(typed)
        assert not invitation.CLOSED.fits(typed)

    @pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"salt": 1}', '{"salt":"","digest":"","until":"x"}'])
    def test_that_is_damaged_lets_nobody_enrol(self, text: str) -> None:
        assert invitation.parse(text) == invitation.CLOSED

    def test_is_used_up_unless_the_credential_cannot_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(places, "INVITATIONS", str(tmp_path))
        (tmp_path / "alice").write_text(self.ONE.render())

        def fail_to_write() -> None:
            with invitations.used_up("alice"):
                assert invitations.read("alice", 1_000.0) is None
                raise OSError(errno.ENOSPC, "full")

        with pytest.raises(OSError, match="full"):
            fail_to_write()
        assert invitations.read("alice", 1_000.0) == self.ONE
        with invitations.used_up("alice"), invitations.used_up("bob"):
            pass
        assert list(tmp_path.iterdir()) == []

    def test_belongs_to_root_counts_tries_and_is_removed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(places, "INVITATIONS", str(tmp_path / "invitations"))
        monkeypatch.setattr(files, "set_rights", lambda path, mode, _uid, _gid: Path(path).chmod(mode))
        monkeypatch.setattr(os, "fchown", lambda *_words: None)
        invitations.put("alice", self.ONE)
        path = tmp_path / "invitations" / "alice"
        assert [one.stat().st_mode & 0o777 for one in (path.parent, path)] == [0o700, 0o600]
        assert invitations.try_code("alice", INVITATION, 1_000.0)
        assert not invitations.try_code("alice", "wrong", 1_000.0)
        assert invitations.read("alice", 1_000.0) == self.ONE._replace(tries=4)
        for _try in range(9):
            assert not invitations.try_code("alice", "wrong", 1_000.0)
        assert not invitations.try_code("alice", INVITATION, 1_000.0)
        assert not invitations.try_code("bob", INVITATION, 1_000.0)
        assert invitations.read("alice", 1_001.0) is None
        invitations.remove_expired(1_000.0)
        assert path.exists()
        invitations.remove_expired(1_001.0)
        assert not path.exists()
        invitations.remove("alice")

    def test_has_a_random_code(self) -> None:
        assert invitation.new_code(bytes) == "AAAA-AAAA-AAAA-AAAA"
        assert len({invitation.new_code(os.urandom) for _number in range(100)}) == 100


@pytest.mark.parametrize("made", ["", "2001-09-09/cockpit"])
def test_renewal_is_as_trusted_as_the_old_credential(made: str) -> None:
    host = FakeHost(backends.BACKENDS["oath"].with_self_made(OLD, "alice", made), switch(["alice"]))
    conversation, code = begun(host, "renew")
    assert prove(conversation, code)["ok"]
    assert backends.BACKENDS["oath"].read(host.text or "", "alice").self_made == made


def test_user_who_is_asked_or_exempt_cannot_enrol() -> None:
    for text in (switch(scope="everyone"), switch(exempt_users=("alice",)), PASS_THROUGH):
        host = FakeHost(None, text)
        assert [one["ok"] for one in talk(host, {"do": "begin", **BEGUN, "what": "enrol", "code": ""})] == [False]
    prepared = FakeHost(None, switch(scope="everyone"), asks=False)
    assert talk(prepared, {"do": "begin", **BEGUN, "what": "enrol", "code": ""})[0]["ok"]


def begun(host: FakeHost, what: str, code: str = RIGHT) -> tuple[Conversation, str]:
    """A conversation that holds a new key, and the code that proves this key."""
    conversation = Conversation(host, "alice")
    answer = conversation.answer(json.dumps({"do": "begin", **BEGUN, "what": what, "code": code}).encode() + b"\n")
    return conversation, code_of(answer["secret"])


def prove(conversation: Conversation, code: str) -> dict[str, t.Any]:
    return conversation.answer(json.dumps({"do": "prove", "code": code}).encode() + b"\n")


@pytest.mark.parametrize("what", ["enrol", "renew", "device"])
def test_second_page_invalidates_the_first_one(what: str) -> None:
    host = FakeHost(*((None, switch()) if what == "enrol" else (OLD, switch(["alice"]))))
    code = "" if what == "enrol" else RIGHT
    pages = [begun(host, what, code), begun(host, what, code)]
    assert prove(*pages[1])["ok"]
    text = host.text
    assert prove(*pages[0]) == {
        "ok": False,
        "message": "Your key was changed meanwhile, by somebody else or in another window. Start again.",
    }
    assert host.text == text


def test_change_by_a_run_in_between_is_respected() -> None:
    host = FakeHost(None, switch())
    page = begun(host, "enrol", "")
    host.switch_text = switch(scope="everyone")
    assert (prove(*page)["ok"], host.text) == (False, None)
    host = FakeHost(OLD, switch(["alice"]))
    page = begun(host, "renew")
    host.given = True
    assert (prove(*page)["ok"], host.text) == (False, OLD)


def test_each_spare_device_is_one_more_up_to_five() -> None:
    host = FakeHost(OLD, switch(["alice"]))
    for _device in range(5):
        assert prove(*begun(host, "device"))["ok"]
    apps = oath.read(host.text, "alice").apps
    assert [app.name for app in apps][1:] == ["self-service", *(f"self-service-{number}" for number in range(2, 6))]
    assert len({app.key for app in apps}) == 6
    host.checked.clear()
    refused = Conversation(host, "alice").answer(
        json.dumps({"do": "begin", **BEGUN, "what": "device", "code": RIGHT}).encode() + b"\n"
    )
    assert refused["message"].startswith("You have added 5 spare devices, and cannot add more.")
    assert host.checked == []


def test_login_in_between_is_no_change() -> None:
    host = FakeHost(OLD, switch(["alice"]))
    page = begun(host, "device")
    host.text = oath.use_code(OLD, "alice", code_of(encode_secret(KEY)), host.code_step(), host.clock())
    assert host.text
    assert prove(*page)["ok"]


@pytest.mark.parametrize("what", ["renew", "device", "recovery-codes"])
def test_wrong_code_changes_nothing(what: str) -> None:
    host = FakeHost(OLD, switch(["alice"]))
    begun, proven = talk(
        host, {"do": "begin", **BEGUN, "what": what, "code": "271828"}, {"do": "prove", "code": "271828"}
    )
    assert (begun["ok"], proven["ok"], host.text, host.checked) == (False, False, OLD, ["271828"])
    assert not any("271828" in line for line in host.logged)


def test_renewal_replaces_only_the_key() -> None:
    text = oath.revise(OLD, User("alice", renew="lost", recovery_codes="2026"), Settings(), lambda n: b"r" * n)
    host = FakeHost(text, switch(["alice"]))
    conversation = Conversation(host, "alice")
    begun = conversation.answer(json.dumps({"do": "begin", **BEGUN, "what": "renew", "code": RIGHT}).encode() + b"\n")
    assert host.text == text
    conversation.answer(json.dumps({"do": "prove", "code": code_of(begun["secret"])}).encode() + b"\n")
    phone, codes = usersfile.tokens_of(host.text or "", "alice")
    assert (phone.key, phone.name) == (decode_secret(begun["secret"]), "lost")
    assert codes == usersfile.tokens_of(text, "alice")[1]
    # The next run has nothing to do.
    wanted = User("alice", renew="lost", recovery_codes="2026")
    assert oath.revise(host.text, wanted, Settings(), host.make_key) == host.text


def test_new_recovery_codes_keep_the_name_of_their_set() -> None:
    text = oath.revise(OLD, User("alice", recovery_codes="2026"), Settings(), lambda n: b"r" * n)
    host = FakeHost(text, switch(["alice"]))
    (answer,) = talk(host, {"do": "begin", **BEGUN, "what": "recovery-codes", "code": RIGHT})
    codes = usersfile.tokens_of(host.text or "", "alice")[1]
    assert (codes.name, codes.key != b"r" * 20) == ("2026", True)
    assert answer["recovery_codes"][0] == hotp(codes.key, 0, 6)


def test_key_given_by_the_administrator_is_not_renewed() -> None:
    host = FakeHost(OLD, switch(["alice"]), given=True)
    status, begun = talk(host, {"do": "status"}, {"do": "begin", **BEGUN, "what": "renew", "code": RIGHT})
    assert (status["may"], begun["ok"], host.checked) == (["device", "recovery-codes"], False, [])
    given = Settings(users=(User("alice", secret=KEY), User("bob")))
    assert json.loads(plan_self_service._config(given)) == {
        "codes": {"otp_digits": 6, "interval": 30, "window": 1},
        "given": ["alice"],
    }


def test_google_authenticator_has_no_spare_device_and_uses_scratch_codes() -> None:
    google = {"backend": "google_authenticator"}
    host = FakeHost(None, switch(**google))
    assert prove(*begun(host, "enrol", ""))["ok"]
    host.switch_text = switch(["alice"], **google)
    status, refused, renewed = talk(
        host,
        {"do": "status"},
        {"do": "begin", **BEGUN, "what": "device", "code": RIGHT},
        {"do": "begin", **BEGUN, "what": "recovery-codes", "code": RIGHT},
    )
    assert (status["may"], status["recovery_codes_left"]) == (["renew", "recovery-codes"], RECOVERY_CODES)
    assert (refused["ok"], host.checked) == (False, [RIGHT])
    assert [len(code) for code in renewed["recovery_codes"]] == [8] * RECOVERY_CODES
    assert set(renewed["recovery_codes"]) <= set((host.text or "").splitlines())


class TestCommand:
    @pytest.mark.parametrize(
        ("words", "status", "expected"),
        [
            (["renew", "device"], 2, "Usage: "),
            (["enrol-bob"], 2, "Usage: "),
            (["--help"], 0, "Usage: "),
            (
                [],
                1,
                "This shows your secret key, so it works only at a terminal. Run it at one.",
            ),
        ],
    )
    def test_says_what_is_wrong(
        self, capsys: pytest.CaptureFixture[str], words: list[str], status: int, expected: str
    ) -> None:
        assert terminal.main(words) == status
        assert capsys.readouterr().out.startswith(expected)

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            ({"ok": True, "may": ["enrol"], "invited": False}, "Set one up: twofactor-enrol\n"),
            ({"ok": True, "may": ["enrol"], "invited": True}, "Set one up, with your invitation:\ntwofactor-enrol\n"),
            ({"ok": True, "may": [], "invited": False}, ""),
            ({"ok": True, "may": ["renew", "device"], "invited": False}, ""),
            ({"ok": False, "message": "This host is too busy."}, ""),
            ([], ""),
            (None, ""),
        ],
    )
    def test_offers_enrolment_at_a_login_only_to_users_who_may_enrol(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        answer: t.Any,
        expected: str,
    ) -> None:
        monkeypatch.setattr(places, "SELF_SERVICE_SOCKET", str(tmp_path / "s"))
        assert (terminal.main(["--offer"]), capsys.readouterr().out) == (0, "")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(places.SELF_SERVICE_SOCKET)
            listener.listen()
            said = threading.Thread(target=_answer_once, args=(listener, answer))
            said.start()
            assert terminal.main(["--offer"]) == 0
            said.join()
        shown = capsys.readouterr().out
        assert shown.endswith(expected)
        assert bool(shown) == bool(expected)


def _answer_once(listener: socket.socket, answer: t.Any) -> None:
    connection = listener.accept()[0]
    with connection:
        connection.recv(100)
        connection.sendall(b"" if answer is None else json.dumps(answer).encode() + b"\n")


class TestLimitOfProcesses:
    @pytest.fixture
    def started(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The accounts that a process was started for; every uid below 60000 has an account."""
        started: list[str] = []
        monkeypatch.setattr(program, "_start", lambda _connection, user: started.append(user) or len(started))
        monkeypatch.setattr(program, "_account", lambda uid: f"user{uid}" if uid < 60000 else None)
        return started

    def take(self, monkeypatch: pytest.MonkeyPatch, uid: int, talking: dict[int, int]) -> str:
        monkeypatch.setattr(program, "_peer", lambda _connection: uid)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            return program._accept(ours, talking)

    def test_refuses_a_user_without_an_account(self, monkeypatch: pytest.MonkeyPatch, started: list[str]) -> None:
        assert self.take(monkeypatch, 100_001, {}).startswith("Nobody logs in with this account")
        assert started == []

    def test_limits_each_user_separately(self, monkeypatch: pytest.MonkeyPatch, started: list[str]) -> None:
        talking: dict[int, int] = {}
        answers = [self.take(monkeypatch, 1000, talking) for _connection in range(200)]
        assert answers.count("") == program.CONNECTIONS == len(started)
        assert self.take(monkeypatch, 1001, talking) == ""

    def test_limits_all_users_together(self, monkeypatch: pytest.MonkeyPatch, started: list[str]) -> None:
        talking: dict[int, int] = {}
        answers = [self.take(monkeypatch, uid, talking) for uid in range(1000, 1200)]
        assert answers.count("") == program.TOTAL_CONNECTIONS == len(started)
        assert "too busy" in answers[-1]


def test_unknown_user_number_has_no_account() -> None:
    assert program._account(4_000_000_000) is None
