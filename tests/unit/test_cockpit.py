# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cockpit's ways in that bypass PAM: none of them may be open where Cockpit is reported to ask for codes."""

from __future__ import annotations

import struct
import subprocess
import time
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._host import cockpit, systemd
from ansible_collections.fleet.auth.plugins.module_utils._host.processes import Process
from ansible_collections.fleet.auth.plugins.module_utils._host.state import CockpitStart, HostState
from ansible_collections.fleet.auth.plugins.module_utils._plan import report
from ansible_collections.fleet.auth.plugins.module_utils._plan.changes import Plan, RestartCockpit, Write
from ansible_collections.fleet.auth.plugins.module_utils._plan.situation import Situation
from ansible_collections.fleet.auth.plugins.module_utils._texts import cockpit_conf, keytab
from unit.builders import file, host_state, plan, settings
from unit.simulator import Machine, carried_out

OWN = "/usr/lib/cockpit/cockpit-ws"
WEB = ("HTTP/web1.corp.example@CORP.EXAMPLE",)


def entry(*parts: bytes, realm: bytes = b"CORP.EXAMPLE") -> bytes:
    """An entry of a keytab, with a key of two bytes."""
    texts = b"".join(struct.pack(">H", len(text)) + text for text in (realm, *parts))
    body = struct.pack(">H", len(parts)) + texts + struct.pack(">IIBHH", 1, 0, 2, 18, 2) + b"\xff\x00"
    return struct.pack(">i", len(body)) + body


class TestKeytab:
    def test_names_each_principal_once(self) -> None:
        hole = struct.pack(">i", -7) + b"removed"
        data = b"\x05\x02" + entry(b"HTTP", b"web1.corp.example") * 2 + hole + entry(b"WEB1$")
        assert keytab.principals(data) == (*WEB, "WEB1$@CORP.EXAMPLE")
        assert keytab.principals(b"\x05\x02") == ()

    @pytest.mark.parametrize("data", [b"", b"\x05\x01rest", b"\x05\x02" + entry(b"HTTP", b"web1")[:20]])
    def test_that_is_damaged_is_refused(self, data: bytes) -> None:
        with pytest.raises(keytab.KeytabError):
            keytab.principals(data)


def test_keytab_is_found_in_files_that_the_kerberos_configuration_includes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "KRB5_CONFIG", f"{tmp_path}/krb5.conf")
    monkeypatch.setattr(places, "KEYTABS", ())
    texts = {
        "krb5.conf": f"includedir {tmp_path}/d\n # include {tmp_path}/no\n",
        "d/corp-1": f"include {tmp_path}/further\n[libdefaults]\n",
        "d/site.conf": f'[libdefaults]\n  default_keytab_name = "FILE:{tmp_path}/web.keytab"\n',
        "d/site.conf.rpmsave": f"[libdefaults]\n  default_keytab_name = {tmp_path}/no.keytab\n",
        "further": f"[libdefaults]\n default_keytab_name={tmp_path}/further.keytab\n",
    }
    (tmp_path / "d").mkdir()
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    for name in ("web", "further", "no"):
        (tmp_path / f"{name}.keytab").write_bytes(b"\x05\x02" + entry(b"HTTP", b"web1.corp.example"))
    assert cockpit.keytabs() == {f"{tmp_path}/{name}.keytab": WEB for name in ("web", "further")}


SHOWN = """\
Id=cockpit-wsinstance-http.service
LoadState=loaded
ExecStart={ path=/usr/lib/cockpit/cockpit-ws ; argv[]=/usr/lib/cockpit/cockpit-ws --no-tls --port=0 ; ignore_errors=no }
Environment=XDG_CONFIG_DIRS=/srv
FragmentPath=/usr/lib/systemd/system/cockpit-wsinstance-http.service
DropInPaths=/gone.conf

Id=cockpit-session@fleet-auth.service
LoadState=not-found
"""


def test_starts_are_those_of_cockpits_units_and_of_other_units_that_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Process, "is_in_container", False)
    monkeypatch.setattr(Process, "unit", "web.service")
    asked: list[t.Sequence[str]] = []

    def run(words: t.Sequence[str]) -> tuple[int, str, str]:
        asked.append(words)
        return 0, SHOWN, ""

    (found,) = cockpit.starts(run, [Process(5, 0, "/usr/lib/cockpit/cockpit-ws\0-p\x009\0"), Process(6, 0, "sshd\0")])
    assert found == CockpitStart("cockpit-wsinstance-http.service", OWN, ("--no-tls", "--port=0"), "/srv")
    assert asked[0][-2:] == ["cockpit-session@fleet-auth.service", "web.service"]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("unit", "owner", "found"),
    [
        ("web.service", "", [OWN]),
        ("web.service", "alice", []),
        ("web.service", "bob", [OWN]),
        ("user@1000.service", "bob", []),
    ],
)
def test_starts_are_not_those_of_units_in_which_anybody_can_run_programs(
    monkeypatch: pytest.MonkeyPatch, unit: str, owner: str, found: list[str]
) -> None:
    monkeypatch.setattr(Process, "is_in_container", False)
    monkeypatch.setattr(Process, "unit", unit)
    monkeypatch.setattr(Process, "owner", owner)
    shown = SHOWN.replace("cockpit-wsinstance-http.service", unit)

    def run(words: t.Sequence[str]) -> tuple[int, str, str]:
        return 0, shown.replace("LoadState=loaded", "LoadState=loaded\nUser=bob") if unit in words else "", ""

    starts = cockpit.starts(run, [Process(5, 1000 if owner else 0, "/home/x/cockpit-ws\0")])
    assert [one.program for one in starts] == found


def test_starts_show_units_that_see_other_files_than_the_host() -> None:
    shown = SHOWN.replace("LoadState=loaded", "LoadState=loaded\nBindReadOnlyPaths=/srv/x:/etc/pam.d:rbind")
    (found,) = cockpit.starts(lambda _words: (0, shown, ""), [])
    assert found.hiding == "cockpit-wsinstance-http.service"


def test_starts_have_the_variables_of_systemd_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    fragment = "/usr/lib/systemd/system/cockpit-wsinstance-http.service"
    monkeypatch.setattr(systemd, "read_file", lambda path: file(f"ExecStart={OWN}") if path == fragment else None)

    def run(words: t.Sequence[str]) -> tuple[int, str, str]:
        of_systemd = "--" not in words
        return 0, "Environment=LANG=C XDG_CONFIG_DIRS=/srv\n" if of_systemd else SHOWN.replace("XDG_", "OTHER_"), ""

    (found,) = cockpit.starts(run, [])
    assert found.config_directories == "/srv"
    assert found.source == "the environment of systemd ('systemctl show-environment')"


def test_configuration_is_unread_if_cockpit_has_started_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    units = {5: "cockpit-wsinstance-http.service", 6: "web.service", 7: "cockpit.service", 8: "cockpit.service"}
    monkeypatch.setattr(Process, "is_in_container", property(lambda self: self.pid == 8))
    monkeypatch.setattr(Process, "unit", property(lambda self: units[self.pid]))
    monkeypatch.setattr(places, "COCKPIT_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(places, "COCKPIT_CONFIG", str(tmp_path / "cockpit.conf"))
    programs = {5: "cockpit-ws", 6: "cockpit-ws", 7: "cockpit-tls", 8: "cockpit-tls"}
    running = [Process(pid, 0, f"/usr/lib/cockpit/{program}\0") for pid, program in programs.items()]

    def unread(started: float) -> list[int]:
        monkeypatch.setattr(Process, "started", started)
        return [one.pid for one in running if cockpit.is_unread([one])]

    config = tmp_path / "cockpit.conf"
    config.write_text("[WebService]\n")
    changed = config.stat().st_mtime
    assert unread(changed - 1) == [5, 7]
    assert unread(changed) == []
    config.unlink()
    changed = tmp_path.stat().st_mtime
    assert unread(changed - 1) == [5, 7]
    assert unread(changed) == []


def test_start_of_a_process_is_known() -> None:
    with subprocess.Popen(["sleep", "9"]) as child:
        assert time.time() - 5 < Process(child.pid, 0, "").started <= time.time()
        child.kill()
    assert Process(child.pid, 0, "").started == pytest.approx(time.time(), abs=5)


class TestConfiguration:
    @pytest.mark.parametrize(
        ("text", "takes"),
        [
            (None, True),
            ("", True),
            ("[Negotiate]\naction = none\n", False),
            ("[negotiate]\n  ACTION=none", False),
            ("[Negotiate]\naction = none \n", True),
            ("[Negotiate]\n# action = none\n", True),
            ("[Negotiate]\naction = none\naction = localhost\n", True),
            ("[WebService]\naction = none\n", True),
            ("[Negotiate]\naction = none\nnonsense\n", True),
            ("action = none\n[Negotiate]\naction = none\n", True),
        ],
    )
    def test_says_whether_cockpit_accepts_tickets(self, text: str | None, takes: bool) -> None:
        assert cockpit_conf.accepts_kerberos(text) == takes

    @pytest.mark.parametrize(
        ("text", "logs_in"),
        [
            (None, True),
            ("[WebService]\nLoginTo = false\n", True),
            ("[Ssh-Login]\nCommand = /bin/false\n", False),
            ("[SSH-login]\n command=/usr/bin/false now", False),
            ("[Ssh-Login]\nCommand = /bin/false\nnonsense\n", True),
            ("[Ssh-Login]\nCommand = /usr/lib/cockpit/cockpit-ssh\n", True),
            ("[Ssh-Login]\nCommand = /opt/false\n", True),
        ],
    )
    def test_says_whether_the_page_logs_in_by_ssh(self, text: str | None, logs_in: bool) -> None:
        assert cockpit_conf.logs_in_by_ssh(text) == logs_in

    @given(st.none() | st.text("ab[]=#\n", max_size=40) | st.just("[Negotiate]\naction = localhost"))
    def test_is_as_before_after_the_block_is_removed(self, text: str | None) -> None:
        closed = cockpit_conf.without_kerberos(text)
        assert cockpit_conf.without_kerberos(closed) == closed
        assert cockpit_conf.without_block(closed) == text
        if cockpit_conf.unreadable_line(text) is None and not (text or "").lstrip().startswith(("a", "b", "=")):
            readable = cockpit_conf.accepts_kerberos(f"{text or ''}\n[Negotiate]\naction = none")
            assert cockpit_conf.accepts_kerberos(closed) == readable

    def test_keeps_what_somebody_wrote_below_the_block(self) -> None:
        for text in (None, "[WebService]\n", "[WebService]"):
            closed = cockpit_conf.without_kerberos(text) + "[Log]\nFatal = x\n"
            assert (cockpit_conf.without_block(closed) or "").endswith("[Log]\nFatal = x\n")
            assert "fleet.auth" not in (cockpit_conf.without_block(closed) or "")


def after(state: HostState, made: Plan) -> HostState:
    """The host after a plan is carried out."""
    assert not made.refusals
    return Machine.booted(state).stages(made.changes)[-1].state


def settings_for(*people: str, **changes: t.Any) -> t.Any:
    return settings(*people, services=["cockpit"], scope="enrolled", **changes)


def host(text: str | None = None, names: tuple[str, ...] = WEB, **changes: t.Any) -> HostState:
    keytabs = {"/etc/krb5.keytab": names} if names else {}
    return host_state(files={places.COCKPIT_CONFIG: text}, keytabs=keytabs, **changes)


class TestPlan:
    @pytest.mark.parametrize("names", [WEB, ("host/web1@CORP.EXAMPLE",), ("unknown, since it begins with 0501",)])
    def test_refuses_cockpit_where_a_ticket_is_enough(self, names: tuple[str, ...]) -> None:
        (refusal,) = plan(settings_for("alice"), host(names=names)).refusals
        assert "Kerberos ticket, without a code" in refusal
        assert f"/etc/krb5.keytab: {names[0]}" in refusal
        assert "set cockpit_negotiate to none" in refusal

    def test_refuses_certificates(self) -> None:
        text = "[Negotiate]\naction = none\n[WebService]\nClientCertAuthentication = yes\n"
        (refusal,) = plan(settings_for("alice", cockpit_negotiate="none"), host(text)).refusals
        assert "/etc/cockpit/cockpit.conf line 4: ClientCertAuthentication" in refusal

    def test_refuses_exempt_addresses_that_anybody_can_claim(self) -> None:
        text = "[WebService]\nForwardedForHeader = X-Forwarded-For\n"
        (refusal,) = plan(settings_for("alice", exempt_addresses=["10.0.0.0/8"]), host(text, ())).refusals
        assert "/etc/cockpit/cockpit.conf line 2: ForwardedForHeader = X-Forwarded-For)" in refusal
        assert plan(settings_for("alice"), host(text, ())).refusals == ()
        empty = host("[WebService]\nForwardedForHeader =\n", ())
        assert plan(settings_for("alice", exempt_addresses=["10.0.0.0/8"]), empty).refusals == ()

    def test_refuses_custom_programs_which_may_not_ask(self) -> None:
        text = "[WebService]\nOrigins = x\n[Basic]\ncommand = /opt/login --now\n[Ssh-Login]\nUnixPath = /run/x\n"
        refusals = plan(settings_for("alice"), host(text, ())).refusals
        assert [one.partition("than its own, ")[2] for one in refusals] == [
            f"{one}. Remove that line, or leave cockpit out of services."
            for one in (
                "'/opt/login --now', and asks for no code there (/etc/cockpit/cockpit.conf line 4: command in [basic])",
                "'/run/x', and asks for no code there (/etc/cockpit/cockpit.conf line 6: unixpath in [ssh-login])",
            )
        ]

    @pytest.mark.parametrize(
        "line",
        [
            "command = /opt/cockpit-session",
            "command = /usr/lib/cockpit/../../../opt/cockpit-session",
            "command = cockpit-session",
            "command = /opt/false",
            "unixpath = /opt/session",
            "command =",
        ],
    )
    def test_recognizes_cockpits_programs_by_their_path(self, line: str) -> None:
        (refusal,) = plan(settings_for("alice"), host(f"[Basic]\n{line}\n", ())).refusals
        assert "/etc/cockpit/cockpit.conf line 2: " in refusal

    @pytest.mark.parametrize(
        "text",
        [
            "[basic]\ncommand = /usr/lib/cockpit/cockpit-session\nUnixPath=/run/cockpit/session\n",
            "[basic]\ncommand = /usr/libexec/cockpit-session\n",
            "[ssh-login]\ncommand = /usr/lib/cockpit/cockpit-ssh --x\n",
            "[basic]\ncommand = /opt/login\ncommand = /bin/false\n",
        ],
    )
    def test_accepts_cockpits_own_programs(self, text: str) -> None:
        assert plan(settings_for("alice"), host(text, ())).refusals == ()

    @pytest.mark.parametrize(
        ("start", "expected"),
        [
            (
                CockpitStart("/x.conf", "/opt/cockpit-ws", ("--no-tls",)),
                "started as '/opt/cockpit-ws --no-tls' (/x.conf)",
            ),
            (CockpitStart("/x.conf", "/bin/sh", ("-c", "exec")), "started as '/bin/sh -c exec' (/x.conf)"),
            (
                CockpitStart("/x.conf", "/usr/libexec/cockpit-ws", ("--local-session=cockpit-bridge",)),
                "started as '/usr/libexec/cockpit-ws --local-session=cockpit-bridge' (/x.conf)",
            ),
            (CockpitStart("/x.conf", OWN, (), "/srv:/etc"), "(XDG_CONFIG_DIRS=/srv:/etc in /x.conf)"),
        ],
    )
    def test_refuses_cockpit_with_other_start_options(self, start: CockpitStart, expected: str) -> None:
        usual = CockpitStart("cockpit.service", OWN, ("--no-tls", "--port=0"), "/etc")
        (refusal,) = plan(settings_for("alice"), host(names=(), cockpit_starts=(usual, start, start))).refusals
        assert expected in refusal
        assert plan(settings_for("alice"), host(names=(), cockpit_starts=(usual,))).refusals == ()

    def test_restarts_cockpit_that_has_not_read_its_configuration(self) -> None:
        on = carried_out(settings_for("alice"), host(names=()))
        assert plan(settings_for("alice"), on).changes == ()
        made = plan(settings_for("alice"), replace(on, unread_by_cockpit=True))
        assert made.changes == (RestartCockpit(),)
        (told,) = made.warnings
        assert told.startswith("Cockpit on web1 has not read /etc/cockpit/cockpit.conf since it changed")

    def test_refuses_units_that_systemd_has_not_read(self) -> None:
        changed = CockpitStart("cockpit.service", OWN, ("--no-tls", "--port=0"), "/etc", outdated="cockpit.service")
        (refusal,) = plan(settings_for("alice"), host(names=(), cockpit_starts=(changed,))).refusals
        assert "the files of cockpit.service on web1 have changed since systemd read them, so Cockpit may" in refusal
        assert "Run 'systemctl daemon-reload' there" in refusal

    def test_names_the_line_because_of_which_cockpit_ignores_the_file(self) -> None:
        (refusal,) = plan(settings_for("alice", cockpit_negotiate="none"), host("[WebService]\n; old\n")).refusals
        assert "Correct line 2 of /etc/cockpit/cockpit.conf, because" in refusal

    def test_refuses_to_write_through_a_link(self) -> None:
        state = host_state(
            files={places.COCKPIT_CONFIG: file("", link="/srv/cockpit.conf")}, keytabs={"/etc/krb5.keytab": WEB}
        )
        (refusal,) = plan(settings_for("alice", cockpit_negotiate="none"), state).refusals
        assert "symbolic link to /srv/cockpit.conf" in refusal

    @pytest.mark.parametrize(
        "text", [None, "[WebService]\nOrigins = https://web1", "[Negotiate]\naction = localhost\n"]
    )
    def test_turns_tickets_off_and_on_again(self, text: str | None) -> None:
        before, wanted = host(text), settings_for("alice", cockpit_negotiate="none")
        done = plan(wanted, before)
        written = [one for one in done.changes if isinstance(one, Write) and one.path == places.COCKPIT_CONFIG]
        assert [cockpit_conf.accepts_kerberos(one.content) for one in written] == [False]
        last = [one.path for one in done.changes if isinstance(one, Write)][-1]
        assert last == places.SWITCH
        on = after(before, done)
        assert plan(wanted, on).changes == ()
        assert report.enforced(Situation(wanted, on)) == {"cockpit": True}
        off = plan(settings_for(enabled=False), on)
        assert sum(isinstance(one, RestartCockpit) for one in off.changes) == 1
        assert after(on, off).text(places.COCKPIT_CONFIG) == text

    def test_leaves_cockpit_alone_if_it_asks_for_no_code(self) -> None:
        wanted = settings("alice", services=["sudo"], scope="enrolled", cockpit_negotiate="none")
        assert not any(isinstance(one, RestartCockpit) for one in plan(wanted, host()).changes)

    def test_does_not_say_that_cockpit_asks_if_a_ticket_is_enough(self) -> None:
        wanted = settings_for("alice")
        state = host(names=())
        on = after(state, plan(wanted, state))
        assert report.enforced(Situation(wanted, on)) == {"cockpit": True}
        joined = replace(on, keytabs={"/etc/krb5.keytab": WEB})
        assert report.enforced(Situation(wanted, joined)) == {"cockpit": False}
        assert "Kerberos ticket" in plan(wanted, joined).refusals[0]
