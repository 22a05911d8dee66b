# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module ends in one place: with a result, with a failure for a person, or with the traceback of a bug."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import time
import typing as t

import pytest

from ansible_collections.fleet.auth.plugins.module_utils._apply.actions import ApplyError
from ansible_collections.fleet.auth.plugins.module_utils._backends import oath
from ansible_collections.fleet.auth.plugins.module_utils._host import sshd
from ansible_collections.fleet.auth.plugins.module_utils._host.state import FileState
from ansible_collections.fleet.auth.plugins.module_utils._plan.situation import Situation
from ansible_collections.fleet.auth.plugins.module_utils._runs import (
    changing,
    confirm,
    credential,
    main,
    preview,
    verify,
)
from ansible_collections.fleet.auth.plugins.module_utils._texts.code_step import CodeStep
from unit.builders import SECRET, host_state, options, plan, settings, texts_of


class Ended(Exception):
    """A module ended, with `changed` or with `failed`, and with everything that it returned."""

    def __init__(self, **result: t.Any) -> None:
        super().__init__()
        self.result = result


class FakeModule:
    """The parts of an AnsibleModule that a run uses."""

    _name = "twofactor"
    check_mode = False
    _diff = False

    def __init__(self, **params: t.Any) -> None:
        self.params = params

    def exit_json(self, **result: t.Any) -> None:
        raise Ended(**result)

    def fail_json(self, msg: str, **result: t.Any) -> None:
        raise Ended(failed=True, msg=msg, **result)


def ended(body: t.Callable[[t.Any], main.Result]) -> dict[str, t.Any]:
    with pytest.raises(Ended) as end:
        main.run(t.cast(t.Any, FakeModule()), body)
    return end.value.result


@pytest.fixture(autouse=True)
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.parametrize("name", ["x/alice", "../google-authenticator/alice", "", " alice", "alice\n", "a\x1bb"])
def test_invalid_name_is_not_taken_for_another_account(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The credential of pam_google_authenticator contains no name, so it could be taken for that of any other name."""
    there = FileState(f"{SECRET}\n", 0o400)
    monkeypatch.setattr(credential, "read_file", lambda path: there if path.endswith("/alice") else None)
    monkeypatch.setattr(os.path, "isfile", lambda path: path == "/etc/google-authenticator/alice")
    with pytest.raises(credential.NoCredential, match="is not the name of an account that has a credential on") as told:
        credential.find(name, CodeStep.parse(None))
    assert str(told.value).isprintable()


def test_result_is_what_the_body_returns() -> None:
    assert ended(lambda _module: {"changed": False, "valid": True}) == {"changed": False, "valid": True}


def test_failure_returns_its_message_and_further_values() -> None:
    def body(_module: t.Any) -> main.Result:
        raise main.Failure("alice has no credential.", refusals=["alice"])

    assert ended(body) == {"failed": True, "msg": "alice has no credential.", "refusals": ["alice"]}


def test_bytes_that_are_not_utf_8_are_shown_as_escapes() -> None:
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")

    def fails(_module: t.Any) -> main.Result:
        raise main.Failure(f"includes {odd}.", doors=[{"name": odd}], enforced={odd: True})

    told = "caf\\udce9"
    for body, said in ((fails, {"failed": True, "msg": f"includes {told}."}), (lambda _module: {"café": (odd, 1)}, {})):
        answer = ended(body)
        assert answer == {**answer, **said}
        json.dumps(answer, ensure_ascii=False).encode()
    assert ended(fails)["doors"] == [{"name": told}]
    assert ended(fails)["enforced"] == {told: True}
    assert ended(lambda _module: {"changed": False, "of": odd})["of"] == told


def test_bug_keeps_its_traceback() -> None:
    def body(_module: t.Any) -> main.Result:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        main.run(t.cast(t.Any, FakeModule()), body)


def test_broken_host_is_a_failure_in_words() -> None:
    def body(_module: t.Any) -> main.Result:
        raise OSError(errno.ELOOP, "Too many levels of symbolic links", "/etc/oath")

    assert ended(body)["msg"] == (
        f"twofactor cannot look at {os.uname().nodename}: /etc/oath: Too many levels of symbolic links. Correct that "
        "there, and run again."
    )


def test_module_without_root_fails_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = ended(lambda _module: pytest.fail("the body ran"))
    assert result["msg"] == f"twofactor needs root on {os.uname().nodename}: set become to true."


def test_invalid_settings_are_a_failure_without_their_secrets() -> None:
    users = [{"name": "alice", "secret": SECRET}, {"name": "bob", "secret": f"{SECRET}!"}]
    with pytest.raises(main.Failure, match="Nothing was changed: users: the secret of bob is not base32") as raised:
        main.settings_of(t.cast(t.Any, FakeModule(**options(users=users))))
    assert len(raised.value.result["refusals"]) == 1
    assert SECRET not in texts_of(raised.value)


@pytest.mark.parametrize("error", [ApplyError("sshd does not reload."), OSError("no room")])
def test_error_on_the_host_is_a_failure_that_keeps_its_cause(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changing, "exclusive", lambda _wait: contextlib.nullcontext(0.0))
    held = functools.partial(changing.changing, t.cast(t.Any, FakeModule()))
    message = f"^Two-factor login on web1: {error}$"
    with pytest.raises(main.Failure, match=message) as raised, held("Two-factor login on web1"):
        raise error
    assert raised.value.__cause__ is error


def test_sshd_that_refuses_its_files_makes_a_change_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changing, "run", lambda _words: (255, "", "line 3: Bad configuration option"))
    with pytest.raises(ApplyError, match="line 3: Bad configuration option") as raised:
        changing.ACTIONS.effective("user=alice,host=192.0.2.1,addr=192.0.2.1", ())
    assert isinstance(raised.value.__cause__, sshd.SshdError)


@pytest.mark.parametrize("wanted", [True, False])
def test_diff_is_made_only_on_request(*, wanted: bool) -> None:
    target, module = settings("alice", "bob", "carol", ssh=True, exempt_users=["ansible"]), FakeModule()
    module._diff = wanted
    situation = Situation(target, host_state())
    result = preview.result(t.cast(t.Any, module), situation, situation, plan(target, host_state()), changed=True)
    assert result["changes"]
    assert bool(result.get("diff")) == wanted


class TestCheckMode:
    """What it announces is what the run does."""

    @pytest.fixture(autouse=True)
    def _alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(changing, "exclusive", lambda _wait: contextlib.nullcontext(0.0))

    @staticmethod
    def answer(body: t.Callable[[t.Any], main.Result], *, check_mode: bool, **params: str) -> main.Result:
        module = FakeModule(**params)
        module.check_mode = check_mode
        return body(t.cast(t.Any, module))

    @pytest.mark.parametrize("right", [True, False])
    def test_of_a_code_predicts_the_change_and_writes_nothing(
        self, monkeypatch: pytest.MonkeyPatch, *, right: bool
    ) -> None:
        code = oath.hotp(b"k" * 20, int(time.time()) // 30, 6) if right else "12345"
        text = f"HOTP/T30 alice - {(b'k' * 20).hex()}\n"
        stored = credential.StoredCredential(oath, "/etc/oath/alice", text, oath.read(text, "alice"))
        step = CodeStep.parse("auth required pam_oath.so usersfile=/etc/oath/${USER} window=2 digits=6\n")
        monkeypatch.setattr(credential, "code_step", lambda: step)
        monkeypatch.setattr(credential, "find", lambda _user, _step: stored)
        monkeypatch.setattr(verify, "refuse_held", lambda _what, _paths: None)
        written: list[str] = []

        def rewrite(_path: str, _lock: str, change: t.Callable[[str], str | None]) -> bool:
            new = change(text)
            written.extend([new] if new else [])
            return new is not None

        monkeypatch.setattr(verify.credential_files, "rewrite", rewrite)
        announced = self.answer(verify.verify, check_mode=True, user="alice", code=code)
        assert announced == {"changed": right, "valid": right, "can_be_checked": True}
        assert written == []
        assert self.answer(verify.verify, check_mode=False, user="alice", code=code) == announced
        assert bool(written) == right

    def test_of_a_confirmation_predicts_the_change_and_confirms_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        confirmed: list[str] = []
        monkeypatch.setattr(confirm, "pending_change", lambda: ("0123456789abcdef", 1.0))
        monkeypatch.setattr(confirm, "connection", lambda: None)
        monkeypatch.setattr(confirm.transaction, "confirm", lambda _actions: confirmed.append("the change"))
        announced = self.answer(confirm.confirm, check_mode=True, confirmation="0123456789abcdef")
        assert announced == {"changed": True}
        assert confirmed == []
        assert self.answer(confirm.confirm, check_mode=False, confirmation="0123456789abcdef") == announced
        assert confirmed == ["the change"]
        with pytest.raises(main.Failure, match="can no longer be confirmed"):
            self.answer(confirm.confirm, check_mode=True, confirmation="0" * 16)
