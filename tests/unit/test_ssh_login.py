# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each prompt of a login is answered once, outcomes are distinguished, and the note of used codes keeps its secrets.

Programs that ask on their terminal replace ssh. tests/login/test_connection.py tests ssh itself with a host.
"""

from __future__ import annotations

import shlex
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.plugin_utils._ssh_login import (
    CODE,
    PASSWORD,
    Answers,
    Login,
    Names,
    explain,
    locked_note,
    log_in,
)

ASK_FOR_THE_CODE = "ask " + shlex.quote("(ansible@web1) One-time password (OATH) for `ansible':")
NAMES = Names("ansible_totp_secret", "ansible_password", "ansible_ssh_private_key_file")
DENIED = "ansible@web1: Permission denied (keyboard-interactive)."


def answers() -> Answers:
    return Answers(
        {CODE: lambda: "123456", PASSWORD: lambda: "correct horse"},
        recognised_by={CODE: "One-time password", PASSWORD: "assword"},
    )


def run(script: str, patience: float = 10) -> tuple[Login, list[str]]:
    """Log in with a shell script that asks as ssh does, with no echo."""
    answer = answers()
    ask = 'ask() { printf "%s" "$1" >/dev/tty; stty -echo </dev/tty; read -r reply </dev/tty; echo >/dev/tty; }\n'
    return log_in(["sh", "-c", ask + script], answer, patience=patience), answer.asked


def test_each_prompt_gets_its_own_answer() -> None:
    login, asked = run(f'ask "Password:"; echo "$reply" >&2; {ASK_FOR_THE_CODE}; echo "$reply" >&2; exit 3')
    assert login.ok
    assert login.stderr == "correct horse\n123456"
    assert asked == [PASSWORD, CODE]


def test_login_without_a_prompt_needs_no_answer() -> None:
    assert run("exit 0") == (Login(0), [])


def test_second_prompt_for_the_same_answer_ends_the_login() -> None:
    login, asked = run(f'{ASK_FOR_THE_CODE}; {ASK_FOR_THE_CODE}; echo "$reply" >&2')
    assert not login.ok
    assert login.stderr == ""
    assert explain(login, asked, names=NAMES, has_password=False).text.startswith("The code was refused.")


def test_prompt_without_an_answer_is_named() -> None:
    login, asked = run('ask "Are you sure you want to continue connecting (yes/no)? "')
    assert not login.ok
    assert (
        "Are you sure you want to continue connecting (yes/no)?"
        in explain(login, asked, names=NAMES, has_password=True).text
    )


def test_expired_password_is_not_reported_as_a_refused_code() -> None:
    login, asked = run(f'{ASK_FOR_THE_CODE}; ask "Current password: "; ask "New password: "')
    failure = explain(login, asked, names=NAMES, has_password=True)
    assert "expired" in failure.text


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("(alice@db-new) Password: ", "correct horse"),
        ("(alice@new) Password: ", "correct horse"),
        ("(alice@web.current) Password: ", "correct horse"),
        ("(alice@web1) New password: ", None),
        ("(current) UNIX password: ", None),
        ("Retype new password: ", None),
    ],
)
def test_password_is_given_unless_a_new_one_is_asked_for(prompt: str, answer: str | None) -> None:
    assert answers()(prompt) == answer


def test_silence_ends_the_login() -> None:
    started = time.monotonic()
    login, asked = run("sleep 60", patience=0.3)
    assert time.monotonic() - started < 10
    failure = explain(login, asked, names=NAMES, has_password=True)
    assert "silent" in failure.text
    assert not failure.final


def test_background_process_does_not_delay_the_login() -> None:
    started = time.monotonic()
    assert run("sleep 20 </dev/null & exit 0")[0].ok
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("said", "asked", "text", "answered", "final"),
    [
        (DENIED, [CODE], "The code was refused", True, True),
        (f"System is booting up.\n{DENIED}", [CODE], "accepts no logins now", True, False),
        (
            "Connection closed by 192.0.2.1 port 22",
            [CODE],
            "ended the connection after the code was given",
            True,
            False,
        ),
        (DENIED, [], "the code step is closed", True, True),
        (DENIED, [PASSWORD], "either the password is wrong, or the code step is closed", True, True),
        ("web1: Permission denied (publickey,keyboard-interactive).", [], "accepts no key", True, False),
        ("kex_exchange_identification: Connection closed by remote host", [], "PerSourcePenalties", False, False),
        ("ssh: connect to host web1 port 22: Connection refused", [], "cannot be reached", False, False),
    ],
)
def test_failures_are_distinguished(said: str, asked: list[str], text: str, answered: bool, final: bool) -> None:
    failure = explain(Login(255, said), asked, names=NAMES, has_password=True)
    assert text in failure.text
    assert failure.text.endswith(said)
    assert (failure.answered, failure.final) == (answered, final)


@pytest.mark.parametrize(
    ("said", "asked", "text", "answered", "final"),
    [
        (DENIED, [CODE], "asks for a code, and there is no secret to make one from. Set jump.secret.", True, True),
        (DENIED, [PASSWORD], "The password was refused. Correct jump.password.", True, True),
        (DENIED, [], "Name the right key with IdentityFile, or set jump.password.", True, False),
        (f"{DENIED}\nConnection closed by UNKNOWN port 65535", [], "by a jump host or a ProxyCommand", False, False),
    ],
)
def test_failure_of_a_jump_host_names_its_own_variables(
    said: str, asked: list[str], text: str, answered: bool, final: bool
) -> None:
    names = Names("jump.secret", "jump.password", "IdentityFile")
    failure = explain(Login(255, said), asked, names=names, has_password=True, has_secret=False)
    assert text in failure.text
    assert (failure.answered, failure.final) == (answered, final)


def test_note_is_readable_only_by_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "note"
    with locked_note(str(path)) as note:
        assert note.next_code_at == 0
        note.next_code_at = 1_800_000_000
        note.next_code_at = 60
    assert path.read_text() == "60"
    assert path.stat().st_mode & 0o777 == 0o600
    with locked_note(str(path)) as note:
        assert note.next_code_at == 60


def test_damaged_note_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "note"
    path.write_text("what\n")
    with locked_note(str(path)) as note:
        assert note.next_code_at == 0


def test_note_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "note").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"), locked_note(str(tmp_path / "note")):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_note_is_locked_while_it_is_used(tmp_path: Path) -> None:
    path = str(tmp_path / "note")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count_up, [path] * 40))
    with locked_note(path) as note:
        assert note.next_code_at == 40


def count_up(path: str) -> None:
    with locked_note(path) as note:
        seen = note.next_code_at
        time.sleep(0.001)
        note.next_code_at = seen + 1


class TestLyingHost:
    """Whatever it asks, the code and the password are given once each, and only at their own prompts."""

    GIVEN = 'given() { [ -z "$reply" ] || echo "$reply" >&2; reply=; }\n'

    def login(self, script: str, patience: float = 10) -> tuple[list[str], list[str], float]:
        """The answers that it got, the kinds of answers that it asked for, and the time in seconds."""
        began = time.monotonic()
        login, asked = run(self.GIVEN + script, patience)
        return [line for line in login.stderr.splitlines() if line], asked, time.monotonic() - began

    @pytest.mark.parametrize("prompt", ["One-time password", "Password: ", "x", " "])
    def test_gets_one_answer_to_a_thousand_prompts(self, prompt: str) -> None:
        script = f'n=0; while [ $n -lt 1000 ]; do ask "{prompt}"; given; n=$((n + 1)); done'
        given, _asked, seconds = self.login(script, patience=2)
        assert len(given) == ("assword" in prompt)
        assert seconds < 8

    def test_gets_no_password_after_the_code(self) -> None:
        given, asked, _seconds = self.login(f'{ASK_FOR_THE_CODE}; given; ask "Password: "; given')
        assert given == ["123456"]
        assert asked == [CODE, PASSWORD]

    @pytest.mark.parametrize("prompt", ["New password: ", "Current Password:", "(current) UNIX password: "])
    def test_gets_no_password_to_change_it(self, prompt: str) -> None:
        assert self.login(f'ask "{prompt}"; given')[0] == []

    @pytest.mark.parametrize("flood", ["yes | tr -d '\\n'", "yes 'One-time password:'", "cat /dev/zero"])
    def test_cannot_flood_the_terminal_forever(self, flood: str) -> None:
        given, _asked, seconds = self.login(f"{flood} >/dev/tty", patience=1)
        assert given == []
        assert seconds < 8

    def test_cannot_send_an_endless_banner(self) -> None:
        began = time.monotonic()
        # If it is not ended, the output stops before the disk is full.
        prompts = "yes 'Password:' | head -c 50000000 >&2; sleep 20"
        login, asked = run(f"head -c 10000000 /dev/zero | tr '\\0' b >&2; {prompts}", patience=10)
        assert time.monotonic() - began < 8
        assert asked == []
        assert len(login.stderr) <= 16_384

    def test_leaves_no_process_behind(self, tmp_path: Path) -> None:
        note = tmp_path / "started"
        _login, asked = run(f'sleep 60 & echo $! >{note}; ask "Favourite colour?"; wait')
        assert asked == ["Favourite colour?"]
        state = Path("/proc", note.read_text().strip(), "stat")
        deadline = time.monotonic() + 5
        # A process that nobody has waited for yet is a zombie.
        while state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline, state.read_text()
            time.sleep(0.05)

    def test_output_is_escaped(self) -> None:
        login, asked = run("printf '\\033]0;x\\007\\nbanner' >&2; ask \"$(printf 'a\\033[2J')\"")
        assert login.stderr == "\\x1b]0;x\\x07\nbanner"
        assert login.unanswered == r"a\x1b[2J"
        assert explain(login, asked, names=NAMES, has_password=True).text.replace("\n", "").isprintable()
