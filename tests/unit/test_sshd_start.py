# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How sshd is started, according to /proc and systemd."""

from __future__ import annotations

import fnmatch
import os
import time
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._host import files, processes, sshd_starts, systemd
from ansible_collections.fleet.auth.plugins.module_utils._host.processes import Process
from ansible_collections.fleet.auth.plugins.module_utils._host.state import Listener
from ansible_collections.fleet.auth.plugins.module_utils._host.systemd import Unit
from ansible_collections.fleet.auth.plugins.module_utils._texts.sshd_start import Start, parse_title, parse_words
from unit.builders import file

SHOWN = """\
Id=ssh.service
LoadState=loaded
ExecStart={ path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -D $SSHD_OPTS -o LogLevel=DEBUG ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }
Environment=A=b "SSHD_OPTS=-o UsePAM=no"
EnvironmentFiles=/etc/default/ssh (ignore_errors=yes)
FragmentPath=/lib/systemd/system/ssh.service
DropInPaths=/etc/systemd/system/ssh.service.d/a.conf

Id=sshd.service
LoadState=not-found
Environment=
"""  # noqa: E501


@pytest.mark.parametrize(
    ("words", "config", "settings"),
    [
        ("-D", "/etc/ssh/sshd_config", ()),
        ("-D -e -4 -p 2222", "/etc/ssh/sshd_config", ()),
        ("-f /etc/ssh/alt -D", "/etc/ssh/alt", ()),
        ("-f/etc/ssh/alt", "/etc/ssh/alt", ()),
        ("-D -oUsePAM=no -o Port=22", "/etc/ssh/sshd_config", ("UsePAM=no", "Port=22")),
        ("-Do UsePAM=no -h /etc/key", "/etc/ssh/sshd_config", ("UsePAM=no",)),
        ("-o AllowUsers alice bob -D", "/etc/ssh/sshd_config", ("AllowUsers alice bob",)),
        ("-f", "", ()),
    ],
)
def test_start_has_the_words_that_affect_the_settings(words: str, config: str, settings: tuple[str, ...]) -> None:
    assert parse_words(words.split()) == Start(config, settings)


@pytest.mark.parametrize(
    ("command_line", "words"),
    [
        ("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups\0", ["-D"]),
        ("sshd: /usr/sbin/sshd -D -f /etc/ssh/alt [listener] 1 of 10-100 startups\0\0\0", ["-D", "-f", "/etc/ssh/alt"]),
        ("sshd-other: /opt/sshd-other -D [listener] 0 of 10-100 startups\0", ["-D"]),
        ("sshd: alice [priv]\0", None),
        ("/usr/bin/less\0sshd: /x [listener]\0", None),
        ("sshd: /x -f /a\0b [listener] 0 of 10-100 startups\0", None),
        ("sshd-session: alice [priv]\0", None),
        ("/usr/sbin/sshd\0-D\0-o\0AllowUsers a b\0", ["-D", "-o", "AllowUsers a b"]),
        ("/usr/sbin/sshd\0-i\0", None),
        ("/usr/sbin/sshd\0-ei\0", None),
        ("/usr/sbin/sshd\0-t\0-f\0/tmp/new\0", None),
        ("/usr/sbin/sshd\0-De\0-fi\0-oi=T\0", ["-De", "-fi", "-oi=T"]),
        ("/usr/bin/sshd-tool\0", None),
    ],
)
def test_listener_is_recognized_by_its_command_line(command_line: str, words: list[str] | None) -> None:
    assert parse_title(command_line) == words


class TestUnit:
    @pytest.fixture
    def files(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
        texts: dict[str, str] = {}
        for room in (sshd_starts, systemd):
            monkeypatch.setattr(room, "read_file", lambda path: file(texts[path]) if path in texts else None)
        return texts

    def test_starts_sshd_with_the_words_in_its_files(self, files: dict[str, str]) -> None:
        (unit,) = systemd.parse_units(SHOWN)
        assert sshd_starts.start_of(unit) == Start(settings=("UsePAM=no", "LogLevel=DEBUG"), source="ssh.service")
        files["/etc/default/ssh"] = "SSHD_OPTS='-f /etc/ssh/alt'\n"
        assert sshd_starts.start_of(unit) == Start("/etc/ssh/alt", ("LogLevel=DEBUG",), "/etc/default/ssh")
        files["/etc/default/ssh"] = "SSHD_OPTS=\n"
        files["/etc/systemd/system/ssh.service.d/a.conf"] = "[Service]\nExecStart=\nExecStart=sshd -o LogLevel=DEBUG\n"
        found = sshd_starts.start_of(unit)
        assert found is not None
        assert found.source == "/etc/systemd/system/ssh.service.d/a.conf"

    @pytest.mark.usefixtures("files")
    def test_may_have_variables_within_words(self) -> None:
        shown = SHOWN.replace("-D $SSHD_OPTS -o LogLevel=DEBUG", "-D -f /etc/ssh/${NAME}.conf -oUsePAM=${PAM} $NONE")
        (unit,) = systemd.parse_units(shown.replace("A=b", 'NAME=corp PAM=no "B=it\'s"'))
        assert sshd_starts.start_of(unit) == Start("/etc/ssh/corp.conf", ("UsePAM=no",), "ssh.service")

    def test_may_have_a_pattern_of_environment_files(
        self, files: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (unit,) = systemd.parse_units(SHOWN.replace("/etc/default/ssh", "/etc/ssh/env/*"))
        files.update({"/etc/ssh/env/b": "SSHD_OPTS='-f /etc/ssh/b'\n", "/etc/ssh/env/a": "SSHD_OPTS=-4\n"})
        monkeypatch.setattr(sshd_starts.glob, "glob", lambda pattern: [*files] if "*" in pattern else [])
        assert sshd_starts.start_of(unit) == Start("/etc/ssh/b", ("LogLevel=DEBUG",), "/etc/ssh/env/b")

    @pytest.mark.parametrize(
        ("environment", "words"),
        [
            ("LANG=C SSHD_OPTS=-4", ["-o", "LogLevel=DEBUG"]),
            (r'LANG=C "SSHD_OPTS=-o UsePAM=no" "OTHER=a \"b\" \$c"', ["-o", "UsePAM=no", "-o", "LogLevel=DEBUG"]),
        ],
    )
    def test_has_the_variables_of_systemd_unless_it_sets_them(
        self, files: dict[str, str], environment: str, words: list[str]
    ) -> None:
        asked: list[t.Sequence[str]] = []

        def run(command: t.Sequence[str]) -> tuple[int, str, str]:
            asked.append(command)
            return 0, f"Environment={environment}\n", ""

        bare = systemd.parse_units(SHOWN.replace(' "SSHD_OPTS=-o UsePAM=no"', ""))
        (unit,) = systemd.with_inherited(run, bare)
        found = sshd_starts.start_of(unit)
        assert found is not None
        assert found.words == words
        if "UsePAM=no" in words:
            assert found.source == "the environment of systemd ('systemctl show-environment')"
        assert asked == [["systemctl", "show", "--property=Environment"]]
        # systemd is not asked about variables that the unit sets.
        own = systemd.parse_units(SHOWN)
        assert systemd.with_inherited(run, own) == own
        files["/etc/default/ssh"] = "SSHD_OPTS=\n"
        assert systemd.with_inherited(run, bare) == bare
        assert len(asked) == 1
        assert systemd.with_inherited(run, bare, ["XDG_CONFIG_DIRS"]) != bare

    @pytest.mark.parametrize(
        ("present", "is_outdated"),
        [
            ([], False),
            (["/etc/systemd/system/ssh.service.d/a.conf"], False),
            (["/usr/lib/systemd/system/ssh.service.d/a.conf"], False),
            (["/etc/systemd/system/ssh.service.d/b.conf"], True),
            (["/run/systemd/system/sshd.service.d/b.conf"], True),
            (["/etc/systemd/system/service.d/b.conf"], True),
            (["/etc/systemd/system/ssh.service"], True),
            (["/run/systemd/generator.late/ssh.service"], False),
        ],
    )
    def test_is_outdated_if_its_files_are_not_those_that_systemd_has_read(
        self, present: list[str], is_outdated: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        present = [*present, "/lib/systemd/system/ssh.service"]
        monkeypatch.setattr(systemd.glob, "glob", lambda pattern: fnmatch.filter(present, pattern))
        monkeypatch.setattr(systemd.os.path, "lexists", present.__contains__)
        (unit,) = systemd.parse_units(
            SHOWN.replace("LoadState=loaded", "LoadState=loaded\nNames=ssh.service sshd.service")
        )
        assert unit.is_outdated is is_outdated
        assert sshd_starts.Units(own=unit).outdated == (("ssh.service",) if is_outdated else ())

    def test_is_outdated_if_systemd_says_so(self) -> None:
        (unit,) = systemd.parse_units(SHOWN.replace("LoadState=loaded", "LoadState=loaded\nNeedDaemonReload=yes"))
        assert unit.is_outdated

    def test_that_is_made_from_a_template_may_have_only_the_file_of_that(self, monkeypatch: pytest.MonkeyPatch) -> None:
        present = ["/lib/systemd/system/ssh@.service"]
        monkeypatch.setattr(systemd.glob, "glob", lambda _pattern: [])
        monkeypatch.setattr(systemd.os.path, "lexists", present.__contains__)
        shown = SHOWN.replace("ssh.service", "ssh@one.service").replace("system/ssh@one", "system/ssh@")
        (unit,) = systemd.parse_units(shown)
        assert not unit.is_outdated
        present.append("/etc/systemd/system/ssh@one.service")
        assert unit.is_outdated
        present.pop()
        drop_in = "/etc/systemd/system/ssh@.service.d/b.conf"
        monkeypatch.setattr(systemd.glob, "glob", lambda pattern: fnmatch.filter([drop_in], pattern))
        assert unit.is_outdated

    def test_has_no_start_if_it_starts_another_program(self) -> None:
        (unit,) = systemd.parse_units(SHOWN.replace("path=/usr/sbin/sshd", "path=/bin/sh"))
        assert sshd_starts.start_of(unit) is None

    @pytest.mark.usefixtures("files")
    def test_is_merged_with_running_processes_in_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        (unit,) = systemd.parse_units(SHOWN)
        monkeypatch.setattr(Process, "is_in_container", False)
        monkeypatch.setattr(Process, "executable", "/usr/sbin/sshd")
        monkeypatch.setattr(Process, "has", lambda _self, _path: True)
        monkeypatch.setattr(Process, "unit", property(lambda self: {5: "other.service", 7: "ssh.service"}[self.pid]))
        running = [
            Process(5, 0, "sshd: /usr/sbin/sshd -f /etc/ssh/alt [listener] 0 of 10-100 startups\0"),
            Process(7, 0, "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups\0"),
        ]
        found = sshd_starts.listeners(running)
        assert [one.pid for one in found] == [7, 5]
        further = ("/etc/ssh/alt", "/etc/ssh/off")
        covered = sshd_starts.starts(unit, found, further)
        assert [one.config for one in covered[2:]] == [*further]
        started = sshd_starts.starts(unit, found)
        assert [one.words for one in started] == [[], ["-o", "UsePAM=no", "-o", "LogLevel=DEBUG"]]
        # An sshd with the host's own configuration has to ask as well, however it is started, unless it is accepted.
        beside = (*found, Listener(9, "odd.service", Start(settings=("Port=2222",))))
        assert sshd_starts.starts(unit, beside) == started
        more = sshd_starts.starts(unit, beside, (), ())
        assert [one.words for one in more] == [*(one.words for one in started), ["-o", "Port=2222"]]
        assert sshd_starts.starts(unit, beside, (), ["sshd:odd.service"]) == started
        apart = (*found, Listener(9, "ssh.service", Start(settings=("Port=2222",)), owner="bob"))
        assert sshd_starts.starts(unit, apart, (), ()) == started
        (plain,) = systemd.parse_units(SHOWN.replace(" -o LogLevel=DEBUG", "").replace("-o UsePAM=no", ""))
        assert len(sshd_starts.starts(plain, found)) == 1


SOCKETS = """\
Id={own}.socket
LoadState=loaded
ActiveState={state}
Accept={accept}
Triggers={own}.service
Listen=[::]:22 (Stream)

Id=alt.socket
ActiveState=active
Accept=yes
Triggers=
Listen=0.0.0.0:2222 (Stream)
Listen=/run/alt (Stream)

Id=telnet.socket
ActiveState=active
Accept=yes
Listen=[::]:23 (Stream)

Id=sshd-vsock.socket
ActiveState=active
Accept=yes
Listen=vsock::22 (Stream)

Id=dbus.socket
ActiveState=active
Accept=no
Triggers=dbus.service
Listen=/run/dbus/system_bus_socket (Stream)
"""


class TestSockets:
    """Sockets of systemd, which start an sshd when somebody connects."""

    @pytest.fixture
    def files(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
        texts = {
            "/etc/systemd/system/alt@.service": "ExecStart=/usr/sbin/sshd -i -f /etc/ssh/each\n",
            "/usr/lib/systemd/system/ssh@.service": "ExecStart=-/usr/sbin/sshd -i $SSHD_OPTS\n",
            "/usr/lib/systemd/system/telnet@.service": "ExecStart=/usr/sbin/in.telnetd\n",
            "/run/systemd/generator/sshd-vsock@.service": "ExecStart=/usr/sbin/sshd -i\n",
        }
        for room in (sshd_starts, systemd):
            monkeypatch.setattr(room, "read_file", lambda path: file(texts[path]) if path in texts else None)
        monkeypatch.setattr(sshd_starts.glob, "glob", lambda _pattern: [])
        monkeypatch.setattr(sshd_starts.os.path, "isdir", lambda _path: True)
        return texts

    @staticmethod
    def read_sockets(
        sockets: str, *, program: str = "/usr/sbin/sshd", changed: tuple[str, str] = ("", "")
    ) -> tuple[sshd_starts.Units, list[list[str]]]:
        """What is found if systemd reports these sockets, and the units that it was asked about."""
        asked: list[list[str]] = []
        own = SHOWN.replace("-o UsePAM=no", "")
        block = own.split("\n\n", maxsplit=1)[0].replace("path=/usr/sbin/sshd", f"path={program}")

        def run(words: t.Sequence[str]) -> tuple[int, str, str]:
            asked.append([*words[words.index("--") + 1 :]])
            if "*.socket" in words:
                return 0, f"{own}\n{sockets}", ""
            each = block.replace("-D $SSHD_OPTS -o LogLevel=DEBUG", "-i -f /etc/ssh/each")
            return 0, "\n\n".join(each.replace("ssh.service", name) for name in asked[-1]).replace(*changed), ""

        return sshd_starts.units(run), asked

    @pytest.mark.usefixtures("files")
    def test_that_listen_show_what_they_start(self) -> None:
        units, asked = self.read_sockets(SOCKETS.format(own="ssh", state="inactive", accept="no"))
        assert asked == [["ssh.service", "sshd.service", "*.socket"], ["alt@fleet-auth.service"]]
        assert units.sockets == {"alt.socket", "telnet.socket"}
        assert units.commands["telnet.socket"] == ["/usr/sbin/in.telnetd"]
        (found,) = sshd_starts.listeners([], units)
        assert (found.door, found.seen, found.start.words) == (
            "/etc/ssh/each",
            "alt.socket",
            ["-f", "/etc/ssh/each"],
        )
        assert not found.is_own
        assert len(sshd_starts.starts(units.own, [found])) == 1

    @pytest.mark.usefixtures("files")
    def test_of_the_host_are_its_own_if_they_listen_or_are_enabled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        units, _asked = self.read_sockets(SOCKETS.format(own="ssh", state="active", accept="yes"))
        own, _alt = sshd_starts.listeners([], units)
        assert own.is_own
        configs = ["/etc/ssh/sshd_config", "/etc/ssh/each"]
        assert [one.config for one in sshd_starts.starts(units.own, [own])] == configs
        for kind in ("wants", "requires", "upholds"):
            link = f"/etc/systemd/system/sockets.target.{kind}/ssh.socket"
            monkeypatch.setattr(sshd_starts.glob, "glob", lambda pattern, link=link: fnmatch.filter([link], pattern))
            units, asked = self.read_sockets(SOCKETS.format(own="ssh", state="inactive", accept="yes"))
            assert asked[0] == ["ssh.service", "sshd.service", "ssh.socket", "*.socket"]
            assert [one.is_own for one in sshd_starts.listeners([], units)] == [True, False]

    @pytest.mark.usefixtures("files")
    def test_of_another_program_cannot_be_covered(self) -> None:
        sockets = SOCKETS.format(own="ssh", state="inactive", accept="no")
        units, _asked = self.read_sockets(sockets, program="/opt/ssh/sbin/sshd")
        (found,) = sshd_starts.listeners([], units)
        assert (found.is_separate, found.door) == (True, "/opt/ssh/sbin/sshd")

    @pytest.mark.parametrize(
        ("old", "new", "door"),
        [
            (
                "path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd",
                "path=/bin/sh ; argv[]=/bin/sh -c exec sshd",
                "sshd:alt.socket",
            ),
            ("path=/usr/sbin/sshd", "path=/opt/sshd-other", "/opt/sshd-other"),
            ("LoadState=loaded", "LoadState=loaded\nUser=bob\nRootDirectory=", "sshd:bob"),
            ("LoadState=loaded", "LoadState=loaded\nUser=root\nRootDirectory=/srv/jail", "sshd:alt.socket"),
            ("LoadState=loaded", "LoadState=loaded\nBindPaths=/srv/pam:/etc/pam.d:rbind", "sshd:alt.socket"),
            (
                "LoadState=loaded",
                "LoadState=loaded\nBindReadOnlyPaths=/x:/y -/a:/etc/ssh/sshd_config",
                "sshd:alt.socket",
            ),
            ("LoadState=loaded", "LoadState=loaded\nTemporaryFileSystem=/etc:ro", "sshd:alt.socket"),
            ("LoadState=loaded", "LoadState=loaded\nBindPaths=/etc/ssh:/srv/ssh /x:/etc/sshd", "/etc/ssh/each"),
        ],
    )
    @pytest.mark.usefixtures("files")
    def test_with_another_program_account_or_files_are_reported(self, old: str, new: str, door: str) -> None:
        units, _asked = self.read_sockets(SOCKETS.format(own="ssh", state="inactive", accept="no"), changed=(old, new))
        (found,) = sshd_starts.listeners([], units)
        assert (found.is_separate, found.door, found.seen) == (door != "/etc/ssh/each", door, "alt.socket")

    @pytest.mark.parametrize("place", ["/run/systemd/generator.late", "/etc/systemd/system.attached"])
    def test_may_come_from_a_generator_or_an_image(self, files: dict[str, str], place: str) -> None:
        files[f"{place}/alt@.service"] = files.pop("/etc/systemd/system/alt@.service")
        units, _asked = self.read_sockets(SOCKETS.format(own="ssh", state="inactive", accept="no"))
        assert [*units.further] == ["alt.socket"]

    @pytest.mark.usefixtures("files")
    def test_may_start_a_service_by_another_name(self) -> None:
        other = (
            "Id=alt@fleet-auth.service",
            "Id=ssh@fleet-auth.service\nNames=ssh@fleet-auth.service alt@fleet-auth.service",
        )
        units, _asked = self.read_sockets(SOCKETS.format(own="ssh", state="inactive", accept="no"), changed=other)
        assert [*units.further] == ["alt.socket"]

    @pytest.mark.usefixtures("files")
    def test_that_only_mention_sshd_start_none(self) -> None:
        no_sshd = (
            "path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -i",
            "path=/bin/cat ; argv[]=/bin/cat /etc/ssh/sshd_config",
        )
        units, _asked = self.read_sockets(SOCKETS.format(own="ssh", state="inactive", accept="no"), changed=no_sshd)
        assert sshd_starts.listeners([], units) == ()

    def test_need_no_further_command_if_none_starts_an_sshd(self, files: dict[str, str]) -> None:
        del files["/etc/systemd/system/alt@.service"]
        _units, asked = self.read_sockets(SOCKETS.format(own="ssh", state="active", accept="no"))
        assert len(asked) == 1

    @pytest.mark.usefixtures("files")
    def test_count_once_if_the_started_service_already_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Process, "executable", "/usr/sbin/sshd")
        monkeypatch.setattr(Process, "has", lambda _self, _path: True)
        monkeypatch.setattr(Process, "is_in_container", False)
        monkeypatch.setattr(Process, "unit", "alt.service")
        each = systemd.parse_units(SHOWN)[0]._replace(name="alt.service")
        running = [Process(5, 0, "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups\0")]
        found = sshd_starts.listeners(running, sshd_starts.Units(further={"alt.service": each}))
        assert [one.pid for one in found] == [5]


@pytest.mark.parametrize(
    ("active", "stopped"),
    [
        ({"fleet-auth-guard.path": "active", "fleet-auth-self-service.socket": "active"}, set()),
        ({"fleet-auth-guard.path": "failed"}, {"fleet-auth-guard.path"}),
        (
            {"fleet-auth-guard.path": "inactive", "fleet-auth-self-service.socket": "failed", "cups.socket": "failed"},
            {"fleet-auth-guard.path", "fleet-auth-self-service.socket"},
        ),
    ],
)
def test_units_of_ours_that_no_longer_wait_are_known(
    active: dict[str, str], stopped: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    links = [
        f"/etc/systemd/system/{name.rpartition('.')[2]}s.target.wants/{name}"
        for name in ("cups.socket", "fleet-auth-self-service.socket", "fleet-auth-guard.path")
    ]
    monkeypatch.setattr(sshd_starts, "read_file", lambda _path: None)
    monkeypatch.setattr(sshd_starts.glob, "glob", lambda pattern: fnmatch.filter(links, pattern))
    monkeypatch.setattr(sshd_starts.os.path, "isdir", lambda _path: True)
    asked: list[str] = []

    def run(words: t.Sequence[str]) -> tuple[int, str, str]:
        asked.extend(words[words.index("--") + 1 :])
        return 0, "\n\n".join(f"Id={name}\nActiveState={state}" for name, state in active.items()), ""

    assert sshd_starts.units(run).stopped == stopped
    sockets = ["cups.socket", "fleet-auth-self-service.socket", "*.socket"]
    assert asked == ["ssh.service", "sshd.service", "fleet-auth-guard.path", *sockets]


class TestServicesThatStartAtBoot:
    """Services that are enabled and start a further sshd."""

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The units that systemd is asked about."""
        links = {
            f"/etc/systemd/system/multi-user.target.wants/{name}.service": f"[Unit]\nBefore={text}\n"
            for name, text in {"ssh": "sshd", "further": "sshd", "sshd": "sshd", "other": "cron"}.items()
        }
        for room in (sshd_starts, systemd):
            monkeypatch.setattr(room, "read_file", lambda path: file(links[path]) if path in links else None)
        monkeypatch.setattr(sshd_starts.glob, "glob", lambda pattern: fnmatch.filter(links, pattern))
        monkeypatch.setattr(sshd_starts.os.path, "isdir", lambda _path: True)
        return []

    def listeners(
        self, asked: list[str], command: str, running: list[Process], name: str = "further.service"
    ) -> tuple[Listener, ...]:
        """The sshds that are found if this is the command of the further service."""
        program = command.partition(" ")[0]
        usual = "path=/usr/sbin/sshd ; argv[]=/usr/sbin/sshd -D $SSHD_OPTS -o LogLevel=DEBUG"
        block = SHOWN.partition("\n\n")[0].replace("ssh.service", name)

        def run(words: t.Sequence[str]) -> tuple[int, str, str]:
            asked.extend(words[words.index("--") + 1 :])
            return 0, f"{block.replace(usual, f'path={program} ; argv[]={command}')}\n\n{SHOWN}", ""

        units = sshd_starts.units(run)
        assert units.own is not None
        assert units.own.name == "ssh.service"
        return sshd_starts.listeners(running, units)

    @pytest.mark.parametrize(
        ("command", "door"),
        [
            ("/usr/sbin/sshd -D -f /etc/ssh/further", "/etc/ssh/further"),
            ("/usr/sbin/sshd -D -o Port=2222", "sshd:further.service"),
            ("/bin/sh -c exec /usr/sbin/sshd -D -f /etc/ssh/further", "sshd:further.service"),
            ("/bin/sh -c /usr/sbin/sshd -t -f /x && exec /usr/sbin/sshd -D -f /x", "sshd:further.service"),
            ("/bin/sh -c mkdir -p /run/sshd; /usr/sbin/sshd -t; exec sshd -D", "sshd:further.service"),
            ("/opt/ssh/sbin/sshd -D", "/opt/ssh/sbin/sshd"),
            ("/etc/init.d/sshd-alt start", "/etc/init.d/sshd-alt"),
        ],
    )
    def test_are_named(self, asked: list[str], command: str, door: str) -> None:
        (found,) = self.listeners(asked, command, [])
        assert (found.door, found.seen) == (door, "further.service")
        assert not found.is_own
        assert asked == ["ssh.service", "sshd.service", "further.service", "*.socket"]

    def test_may_have_the_other_name_of_the_hosts_own(self, asked: list[str]) -> None:
        found = self.listeners(asked, "/usr/sbin/sshd -D -f /etc/ssh/legacy", [], "sshd.service")
        assert [(one.door, one.seen, one.is_own) for one in found] == [("/etc/ssh/legacy", "sshd.service", True)]

    @pytest.mark.parametrize(
        "command",
        [
            "/usr/sbin/sshd -t -f /etc/ssh/further",
            "/bin/sh -c /usr/sbin/sshd -T | mail root",
            "/bin/sh -c /usr/sbin/sshd -t && exec sshd -T",
            "/usr/libexec/openssh/sshd-keygen rsa",
            "/usr/bin/fail2ban-client start sshd",
            "/bin/mkdir -p /run/sshd",
            "/bin/cat /etc/ssh/sshd_config",
        ],
    )
    def test_that_let_nobody_in_are_left_out(self, asked: list[str], command: str) -> None:
        assert self.listeners(asked, command, []) == ()

    @pytest.mark.parametrize(
        ("program", "shell"),
        [("/usr/sbin/sshd", ""), ("/opt/ssh/sbin/sshd", ""), ("/usr/sbin/sshd", "/bin/sh -c sleep 1; exec ")],
    )
    def test_count_once_if_they_run(
        self, asked: list[str], program: str, shell: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Process, "executable", program)
        monkeypatch.setattr(Process, "has", lambda _self, _path: True)
        monkeypatch.setattr(Process, "is_in_container", False)
        monkeypatch.setattr(Process, "unit", "further.service")
        running = [Process(5, 0, f"sshd: {program} -D -f /etc/ssh/further [listener] 0 of 10-100 startups\0")]
        found = self.listeners(asked, f"{shell}{program} -D -f /etc/ssh/further", running)
        assert [one.pid for one in found] == [5]


def test_systemd_is_not_asked_about_templates_and_has_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[t.Sequence[str]] = []

    def run(words: t.Sequence[str]) -> tuple[int, str, str]:
        asked.append(words)
        return 1, "", "Failed to connect to bus\n"

    names = ["ssh.service", "odd@.socket", "odd@one.socket"]
    with monkeypatch.context() as patch:
        patch.setattr(places, "SYSTEMD", "/")
        with pytest.raises(systemd.SystemdError, match="Failed to connect to bus"):
            systemd.shown(run, "Id", names)
    assert asked[0][-2:] == ["ssh.service", "odd@one.socket"]
    monkeypatch.setattr(places, "SYSTEMD", "/nowhere")
    assert systemd.shown(run, "Id", names) == ""


class TestUnreadFiles:
    """The files that have changed since sshd read its configuration."""

    OWN = Listener(7, "ssh.service", Start())
    TEXT = "Include /nowhere/*.conf /nowhere.conf\nUsePAM yes\n"

    @pytest.fixture
    def config(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        """A file that was there before sshd started."""
        config = tmp_path / "sshd_config"
        config.write_text(self.TEXT)
        pid_file = tmp_path / "run" / "sshd.pid"
        pid_file.parent.mkdir()
        pid_file.write_text("7\n")
        monkeypatch.setattr(places, "SSHD_PID_FILE", str(pid_file))
        for path, seconds in ((config, 20), (tmp_path, 20), (pid_file, 10)):
            os.utime(path, (time.time() - seconds,) * 2)
        return str(config)

    def unread(self, listening: list[Listener], texts: dict[str, str], since: float = 0) -> tuple[str, ...]:
        """What sshd has not read; its unit has last changed `since` seconds ago, unless that is 0."""
        changed_at = int((time.clock_gettime(time.CLOCK_MONOTONIC) - since) * 1_000_000) if since else 0
        unit = Unit("ssh.service", places.SSHD, (), changed_at=changed_at)
        return sshd_starts.unread(listening, texts, places.SSHD_PID_FILE, unit)

    def test_are_those_that_are_newer_than_the_start_or_reload_of_the_unit_without_a_pid_file(
        self, config: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With `PidFile none`."""
        monkeypatch.setattr(places, "SSHD_PID_FILE", "none")
        assert self.unread([self.OWN], {config: self.TEXT}) == ()
        assert self.unread([self.OWN], {config: self.TEXT}, since=10) == ()
        assert self.unread([self.OWN], {config: self.TEXT}, since=30) == (config,)
        assert self.unread([self.OWN._replace(pid=0)], {config: self.TEXT}, since=30) == ()

    def test_are_those_that_are_newer_than_the_pid_file(self, config: str, tmp_path: Path) -> None:
        assert self.unread([self.OWN], {config: self.TEXT}) == ()
        Path(config).chmod(0o600)
        assert self.unread([self.OWN], {config: self.TEXT}) == ()
        link = tmp_path / "gone.conf"
        link.symlink_to(tmp_path / "nowhere")
        # A file that is put back keeps the time of its content.
        kept = os.stat(config)
        Path(config).rename(tmp_path / "aside")
        (tmp_path / "aside").rename(config)
        assert os.stat(config).st_mtime == kept.st_mtime
        assert self.unread([self.OWN], {config: self.TEXT, str(link): ""}) == (config,)
        os.utime(places.SSHD_PID_FILE, (time.time(),) * 2)
        assert self.unread([self.OWN], {config: self.TEXT}) == ()

    @pytest.mark.parametrize("own", [None, OWN._replace(pid=0), OWN._replace(pid=8), OWN._replace(unit="odd.service")])
    def test_are_unknown_unless_the_pid_file_is_of_the_hosts_own_sshd(self, config: str, own: Listener | None) -> None:
        Path(config).write_text("UsePAM no\n")
        assert self.unread([own] if own else [], {config: self.TEXT}) == ()
        assert self.unread([self.OWN], {config: self.TEXT}) == (config,)

    def test_are_unknown_while_the_clock_is_wrong(self, config: str, monkeypatch: pytest.MonkeyPatch) -> None:
        Path(config).write_text("UsePAM no\n")
        monkeypatch.setattr(files.time, "time", lambda: 0.0)
        assert self.unread([self.OWN], {config: self.TEXT}) == ()

    def test_count_as_the_directory_that_one_has_gone_from(self, config: str, tmp_path: Path) -> None:
        several, one, left = tmp_path / "several", tmp_path / "one", tmp_path / "several" / "left.conf"
        several.mkdir()
        one.mkdir()
        left.write_text("")
        before = (time.time() - 20,) * 2
        for path in (left, several, one, tmp_path):
            os.utime(path, before)
        texts = {config: f"Include {several}/*.conf {left}\nInclude {one}/gone.conf\n", str(left): ""}
        assert self.unread([self.OWN], texts) == ()
        os.utime(one)
        assert self.unread([self.OWN], texts) == (str(one),)
        os.utime(one, before)
        os.utime(several)
        assert self.unread([self.OWN], {config: texts[config]}) == (str(several),)
        left.write_text("Banner none\n")
        assert self.unread([self.OWN], texts) == (str(left),)


@pytest.mark.parametrize(
    ("command_line", "sessions", "program"),
    [
        ("sshd-corp: /usr/sbin/sshd-corp -D [listener] 0 of 10-100 startups\0", (), "/usr/sbin/sshd-corp"),
        ("sshd-corp: /usr/sbin/sshd-corp -D [listener] 0 of 10-100 startups\0", ("/",), "/usr/sbin/sshd"),
        ("sshd: /usr/local/sbin/sshd -D [listener] 0 of 10-100 startups\0", (), "/usr/sbin/sshd"),
    ],
)
def test_listener_with_another_name_is_another_program_where_its_pam_service_is_another(
    monkeypatch: pytest.MonkeyPatch, command_line: str, sessions: tuple[str, ...], program: str
) -> None:
    monkeypatch.setattr(places, "SSHD_SESSIONS", sessions)
    for name, value in {"executable": "/usr/sbin/sshd", "is_in_container": False, "unit": "ssh.service"}.items():
        monkeypatch.setattr(Process, name, value)
    monkeypatch.setattr(Process, "has", lambda _self, _path: True)
    (found,) = sshd_starts.listeners([Process(5, 0, command_line)])
    assert found.program == program


def test_unit_that_starts_the_hosts_sshd_by_another_name_keeps_its_options(tmp_path: Path) -> None:
    called = tmp_path / "sshd-corp"
    called.symlink_to(places.SSHD)
    unit = systemd.Unit("corp.service", str(called), ("-D", "-f", "/etc/ssh/corp", "-o", "UsePAM=no"))
    found = sshd_starts.start_of(unit)
    assert found is not None
    assert (found.config, found.settings) == ("/etc/ssh/corp", ("UsePAM=no",))


def test_foreign_listener_is_recognized_by_program_files_and_account(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = {5: "/usr/sbin/sshd", 6: "/opt/ssh/sbin/sshd", 7: "/usr/sbin/sshd", 8: "/usr/sbin/sshd", 9: ""}
    monkeypatch.setattr(Process, "executable", property(lambda self: programs[self.pid]))
    monkeypatch.setattr(Process, "has", lambda self, path: self.pid != 7 or path != "/etc/ssh/sshd_config")
    monkeypatch.setattr(Process, "is_in_container", False)
    monkeypatch.setattr(Process, "unit", "ssh.service")
    monkeypatch.setattr(processes.pwd, "getpwuid", lambda uid: SimpleNamespace(pw_name={1000: "bob"}[uid]))
    title = "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups\0"
    found = sshd_starts.listeners(Process(pid, 1000 if pid == 8 else 0, title) for pid in programs)
    assert [one.pid for one in found] == [5, 9, 6, 7, 8]
    assert [(one.is_own, one.is_separate) for one in found] == [(True, False)] * 2 + [(False, True)] * 3
    assert [(one.program, one.has_own_files, one.owner) for one in found[2:]] == [
        ("/opt/ssh/sbin/sshd", False, ""),
        ("/usr/sbin/sshd", True, ""),
        ("/usr/sbin/sshd", False, "bob"),
    ]


@pytest.mark.parametrize(
    ("command_line", "door"),
    [
        ("tcpserver\0000\0002222\0/usr/sbin/sshd\0-i\0", "/usr/bin/server"),
        ("/usr/bin/socat\0TCP-LISTEN:2222,fork\0EXEC:/usr/sbin/sshd -i\0", "/usr/bin/server"),
        ("/usr/bin/socat\0TCP-LISTEN:2222,fork\0TCP:127.0.0.1:22\0", ""),
        ("/bin/busybox\0nc\0-ll\0-p\0002222\0-e\0/usr/sbin/sshd\0-i\0", "/usr/bin/server"),
        ("/bin/busybox\0tail\0/var/log/sshd\0", ""),
        ("ncat\0-e\0cat /etc/ssh/sshd_config\0", ""),
        ("vi\0/usr/sbin/sshd\0", ""),
    ],
)
def test_sshd_started_for_each_connection_is_recognized_by_its_starter(
    monkeypatch: pytest.MonkeyPatch, command_line: str, door: str
) -> None:
    monkeypatch.setattr(Process, "executable", "/usr/bin/server")
    monkeypatch.setattr(Process, "is_in_container", False)
    monkeypatch.setattr(Process, "has", lambda _self, _path: True)
    found = sshd_starts.listeners([Process(5, 0, command_line)])
    assert [(one.door, one.is_separate) for one in found] == ([(door, True)] if door else [])


@pytest.mark.parametrize(
    ("command_line", "door"),
    [
        ("sshd: /usr/sbin/s\0", "sshd:odd.service"),
        ("sshd: /usr/sbin/sshd -D -f /etc/ssh/alt [liste\0\0", "sshd:odd.service"),
        ("sshd: /usr/sbin/sshd -f /etc/ssh/alt -o PidFile=none\x002\0", "sshd:odd.service"),
        ("sshd: /usr/sbin/sshd\0", "sshd:odd.service"),
        ("sshd: alice [priv]\0", ""),
        ("ssh: /root/.ansible/cp/1 [mux]\0", ""),
    ],
)
def test_listener_with_a_truncated_command_line_is_recognized(
    monkeypatch: pytest.MonkeyPatch, command_line: str, door: str
) -> None:
    for name, value in {"executable": "/usr/sbin/sshd", "is_in_container": False, "unit": "odd.service"}.items():
        monkeypatch.setattr(Process, name, value)
    monkeypatch.setattr(Process, "has", lambda _self, _path: True)
    found = sshd_starts.listeners([Process(5, 0, command_line)])
    assert [(one.door, one.is_separate, one.seen) for one in found] == (
        [(door, True, "process 5, with unknown options")] if door else []
    )


@pytest.mark.parametrize(
    ("unit", "is_own"),
    [
        ("ssh.service", True),
        ("sshd.socket", True),
        ("ssh.internal.service", False),
        ("sshd@internal.service", False),
        ("", False),
    ],
)
def test_listener_is_the_hosts_own_by_the_full_name_of_its_unit(unit: str, is_own: bool) -> None:
    assert Listener(5, unit, Start("/etc/ssh/internal")).is_own is is_own


@pytest.mark.parametrize(
    ("ids", "uid"), [("0\t0\t0\t0", 0), ("65534\t65534\t65534\t65534", 65534), ("0\t1000\t0\t1000", 1000)]
)
def test_account_of_a_process_is_not_the_owner_of_its_files_in_proc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ids: str, uid: int
) -> None:
    """Any account can have root own them."""
    status = tmp_path / "status"
    status.write_text(f"Name:\tsshd\nUid:\t{ids}\nGid:\t0\t0\t0\t0\n")
    monkeypatch.setattr(processes, "open", lambda _path, **how: status.open(**how), raising=False)
    assert processes._uid("5") == uid


def test_unit_may_have_a_name_that_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cgroup = tmp_path / "cgroup"
    cgroup.write_bytes(b"0::/user.slice/\xff/odd.service\n")
    monkeypatch.setattr(processes, "open", lambda _path, **how: cgroup.open(**how), raising=False)
    assert Process(5, 0, "sshd\0").unit == "odd.service"


@pytest.mark.parametrize("other", ["/etc/pam.d/sshd", "/etc/ssh/sshd_config.d/00-twofactor.conf"])
def test_listener_has_its_own_files_if_a_single_one_differs(monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    names = ["/etc/pam.d/sshd", "/etc/pam.d/su", "/etc/ssh/sshd_config.d/00-twofactor.conf"]
    monkeypatch.setattr(
        sshd_starts.glob, "glob", lambda pattern: [one for one in names if one.startswith(pattern[:-1])]
    )
    monkeypatch.setattr(Process, "executable", "/usr/sbin/sshd")
    monkeypatch.setattr(Process, "is_in_container", False)
    monkeypatch.setattr(Process, "has", lambda _self, path: path != other)
    (found,) = sshd_starts.listeners([Process(5, 0, "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups\0")])
    assert found.has_own_files


@pytest.mark.parametrize(
    ("link", "program"),
    [
        ("/usr/sbin/sshd", "/usr/sbin/sshd"),
        ("/usr/sbin/sshd (deleted)", "/usr/sbin/sshd"),
        ("/usr/sbin/sshd.dpkg-new (deleted)", "/usr/sbin/sshd"),
        ("/usr/sbin/sshd;65f0a1b2 (deleted)", "/usr/sbin/sshd"),
        ("/opt/sshd.dpkg", "/opt/sshd.dpkg"),
    ],
)
def test_program_is_recognized_after_an_upgrade(monkeypatch: pytest.MonkeyPatch, link: str, program: str) -> None:
    monkeypatch.setattr(processes.os, "readlink", lambda _path: link)
    assert Process(5, 0, "").executable == program


@pytest.mark.parametrize(
    ("numbers", "has_root", "is_in_container"),
    [("pid:[1]", True, False), ("pid:[2]", True, False), ("pid:[2]", False, True)],
)
def test_process_is_in_a_container_only_with_its_own_root(
    monkeypatch: pytest.MonkeyPatch, numbers: str, has_root: bool, is_in_container: bool
) -> None:
    monkeypatch.setattr(processes.os, "readlink", lambda path: "pid:[1]" if path.startswith("/proc/self") else numbers)
    monkeypatch.setattr(Process, "has", lambda _self, path: path != "/" or has_root)
    assert Process(5, 0, "").is_in_container is is_in_container


def test_files_are_the_same_unless_the_process_sees_others(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"/proc/5/root": 2, "/proc/5/root/etc/pam.d": 3, "/etc/pam.d": 3, "/proc/5/root/etc/ssh": 4, "/etc/ssh": 5}

    def stat(path: str) -> SimpleNamespace:
        if path not in there:
            raise PermissionError(path)
        return SimpleNamespace(st_dev=1, st_ino=there[path])

    monkeypatch.setattr(processes.os, "stat", stat)
    process = Process(5, 0, "")
    assert [process.has(path) for path in ("/etc/pam.d", "/etc/ssh", "/etc/nothing")] == [True, False, True]
    # A process that is gone, or whose files cannot be looked at.
    assert Process(6, 0, "").has("/etc/ssh")
