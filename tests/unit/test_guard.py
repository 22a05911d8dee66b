# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard between runs: its configuration, its script, and what a run makes of its alerts."""

from __future__ import annotations

import re
import shlex
import subprocess
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.module_utils import _places as places
from ansible_collections.fleet.auth.plugins.module_utils._backends import backends
from ansible_collections.fleet.auth.plugins.module_utils._host.state import HostState
from ansible_collections.fleet.auth.plugins.module_utils._plan import guard as guard_plan
from ansible_collections.fleet.auth.plugins.module_utils._plan import report
from ansible_collections.fleet.auth.plugins.module_utils._plan.changes import Listen, Remove, StopListening, Write
from ansible_collections.fleet.auth.plugins.module_utils._plan.situation import Situation
from ansible_collections.fleet.auth.plugins.module_utils._texts import cockpit_conf, drop_in, guard, pam_conf
from ansible_collections.fleet.auth.plugins.module_utils._texts.sshd_config import Files, include_lines
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import Settings
from unit import scripts
from unit.builders import INCLUDED, SERVICES, file, host_state, plan, security_key, settings
from unit.simulator import carried_out

FUNCTIONS = scripts.functions(scripts.script("guard"))
PEOPLE = [{"name": name} for name in ("alice", "bob", "carol", "root")]
EVERYTHING = {"ssh": True, "services": ["cockpit", "sudo"], "exempt_users": ["ansible"]}
GUARD = {*places.FOR_GUARD, places.GUARD_CONFIG, places.GUARD_DIRECTORY, places.GUARD_LINK}
ALERTS = (
    "2026-11-28T10:02:03Z\t2026-11-28T10:02:09Z\tsshd was open\n"
    "2026-11-28T11:00:00Z\t-\tpam_oath.so is gone\n"
    "nonsense\n"
)


def wanted(**changes: t.Any) -> Settings:
    return settings(**{"users": PEOPLE, **EVERYTHING, "guard": "warn", **changes})


def shell(function: str, *arguments: str, text: str = "") -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", f'{"".join(FUNCTIONS.values())}\n{function} "$@"', "sh", *arguments],
        input=text.encode("utf-8", "surrogateescape"),
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
    )
    return done.stdout.decode("utf-8", "surrogateescape")


@pytest.fixture(scope="module")
def on() -> HostState:
    return carried_out(wanted(), host_state(module_directories=("/usr/lib/x/security",)))


def config(state: HostState) -> list[list[str]]:
    return [line.split("\t") for line in (state.text(places.GUARD_CONFIG) or "").splitlines()]


def pam_files(state: HostState) -> dict[str, str]:
    return {name: text for name, text in state.service_files.texts.items() if name not in ("twofactor",)}


class TestAuthPart:
    def test_is_the_same_in_the_script(self, on: HostState, tmp_path: Path) -> None:
        texts = {**INCLUDED, **SERVICES, **pam_files(on)}
        texts["odd"] = (
            "AUTH\trequired a.so\n -auth b \\ \n c.so\n#auth d\naccount e\nauthx f\n @INCLUDE g\n\xe9\n\nauth\n"
            "[auth] h\n [-AUTH]\ti\n-Account j\naccounts k\n\tSESSION l \\\nm\n #n \\\n\n \n\\\nsession\npassword"
        )
        texts["not in utf-8"] = "auth required \udcff.so\n# \udcff\n"
        for name, text in texts.items():
            path = tmp_path / "file"
            path.write_bytes(text.encode("utf-8", "surrogateescape"))
            assert guard.auth_part(text) == shell("auth_part", str(path)), name
            assert f"{guard.digest(text)}\n" == shell("digest", text=text)

    def test_contains_what_decides_who_gets_in(self) -> None:
        text = "# A remark.\nauth a\naccount b\n# BEGIN fleet.auth twofactor: x\n#| auth c\naccount d\n"
        text += "# END fleet.auth twofactor\nauth e\n"
        assert guard.auth_part(text).split("\n")[:2] == ["auth a", "# BEGIN fleet.auth twofactor: x"]
        assert "account d" in guard.auth_part(text)
        assert "auth e" not in guard.auth_part(text)
        assert "remark" not in guard.auth_part(text)
        assert guard.auth_part(
            text.replace("A remark", "Another").replace("account b", "account x")
        ) == guard.auth_part(text)

    @pytest.mark.parametrize("kind", ["auth", "AUTH", "-auth", "[auth]", "[-Auth]", "sesion", "[session", "-"])
    def test_contains_each_line_that_libpam_reads_for_auth(self, kind: str) -> None:
        line = f"{kind} sufficient pam_permit.so"
        assert pam_conf.rule_of(line)
        assert guard.auth_part(f"account a\n{line}\n") == f"{line}\n"


class TestBlock:
    @pytest.mark.parametrize("service", ["sshd", "cockpit", "sudo"])
    def test_is_put_back_where_it_was(self, on: HostState, tmp_path: Path, service: str) -> None:
        protected, before = on.service_files.texts[service], SERVICES[service]
        path = tmp_path / service
        path.write_text(before)
        given = "".join(f"{line}\n" for line in guard.block(protected))
        assert shell("with_block", str(path), text=given) == protected
        assert guard.block(before) == []

    @pytest.mark.parametrize(
        "text", ["", "auth required other.so\n", "@include common-auth\nx\n@include common-auth\n"]
    )
    def test_is_put_back_nowhere_else(self, on: HostState, tmp_path: Path, text: str) -> None:
        path = tmp_path / "sshd"
        path.write_text(text)
        given = "".join(f"{line}\n" for line in guard.block(on.service_files.texts["sshd"]))
        assert shell("with_block", str(path), text=given) == ""


ODD = (
    '"Match" User bob\n\tpasswordAUTHENTICATION = yes\n=AuthenticationMethods=publickey\r\n\n# Match all\n'
    "Include\n include /etc/ssh/site/*.conf\nMatchless x\nPAMServiceName \xe9\\n\nMATCH all\nPubkeyAuthOptions none"
)


class TestOrder:
    """Files that sshd reads before our drop-in."""

    @pytest.fixture
    def files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
        inside = f"{tmp_path}/sshd_config.d"
        monkeypatch.setattr(places, "DROP_IN", f"{inside}/00-twofactor.conf")
        return {
            f"{tmp_path}/sshd_config": f"# Include x\nInclude {inside}/*.conf\nMatch User x\n  X11Forwarding yes\n",
            f"{inside}/00-twofactor.conf": "Match User *\n  PasswordAuthentication no\n",
            f"{inside}/50-site.conf": "Match User bob\n  X11Forwarding no\n",
        }

    @staticmethod
    def order_of(texts: dict[str, str]) -> tuple[int, str]:
        """What Python finds in these files; the script must find the same."""
        for path, text in texts.items():
            Path(path).parent.mkdir(exist_ok=True)
            Path(path).write_bytes(text.encode("utf-8", "surrogateescape"))
        files = Files(texts, next(iter(texts)))
        found = include_lines(files)
        many = guard.includes(texts[files.config], found.line)
        keywords = sorted(drop_in.keywords(wanted()))
        values = {"drop_in": places.DROP_IN, "newline": "\n", "patterns": "".join(f"{one}\n" for one in found.patterns)}
        given = "; ".join(f"{name}={shlex.quote(value)}" for name, value in values.items())
        told = guard.others(files, keywords, many)
        assert shell(f"{given}; others", str(many), " ".join(keywords), files.config) == told
        return many, told

    @pytest.mark.parametrize(
        ("name", "text", "wins"),
        [
            ("00-a.conf", "Match User bob\n    AuthenticationMethods publickey\n", True),
            ("00-a.conf", "match=address 10.0.0.0/8\n\tpasswordAUTHENTICATION = yes\n", True),
            ("00-a.conf", ODD, True),
            ("00-a.conf", "PasswordAuthentication no\nMatch User bob\n    X11Forwarding no\n", False),
            ("50-a.conf", "Match User bob\n    AuthenticationMethods publickey\n", False),
            ("50-a.conf", "Match User bob\n    PAMServiceName sshd-corp\n", True),
            (".a.conf", "Match User bob\n    AuthenticationMethods publickey\n", False),
        ],
    )
    def test_includes_lines_that_override_the_drop_in(
        self, files: dict[str, str], name: str, text: str, wins: bool
    ) -> None:
        many, plain = self.order_of(files)
        assert (many, plain.count("\n")) == (1, 1)
        path = f"{places.DROP_IN.rpartition('/')[0]}/{name}"
        assert (self.order_of({**files, path: text})[1] != plain) == wins

    def test_includes_the_configuration_before_its_include(self, files: dict[str, str]) -> None:
        config, plain = next(iter(files)), self.order_of(files)[1]
        for line in ("Match User alice\n", "Include /etc/ssh/site/*.conf\n"):
            assert self.order_of({**files, config: f"{line}{files[config]}"})[1] != plain
        for line in ("Match User alice\n    AuthenticationMethods any\n", "PasswordAuthentication no\n"):
            assert self.order_of({**files, config: f"{files[config]}{line}"})[1] == plain

    def test_includes_a_new_include_anywhere_in_the_configuration(self, files: dict[str, str]) -> None:
        # The new Include may name another PAM service for some accounts, and the last run did not know its pattern.
        config, plain = next(iter(files)), self.order_of(files)[1]
        for line in ("Include /etc/ssh/site/*.conf", "\tINCLUDE\t= site/*.conf other/*.conf", "include ''"):
            assert self.order_of({**files, config: f"{files[config]}{line}\n"})[1] != plain, line

    @pytest.mark.parametrize("line", ["'{}/a b.conf'", '"{}/a b.conf"', r"{}/a\ b.conf", "''{}/c.conf"])
    def test_includes_an_include_that_cannot_be_followed(self, files: dict[str, str], line: str) -> None:
        path, plain = f"{places.DROP_IN.rpartition('/')[0]}/60-a.conf", self.order_of(files)[1]
        assert self.order_of({**files, path: f"Include {line.format('/etc/ssh/site')}\n"})[1] != plain

    @pytest.mark.parametrize("line", ["'{}'", '"{}"', "/gone '{}'"])
    def test_follows_an_include_in_quotes(self, files: dict[str, str], line: str) -> None:
        site = f"{next(iter(files)).rpartition('/')[0]}/site.conf"
        files[f"{places.DROP_IN.rpartition('/')[0]}/60-a.conf"] = f"Include {line.format(site)}\n"
        plain = self.order_of({**files, site: "Banner none\n"})[1]
        assert self.order_of({**files, site: "PAMServiceName sshd-corp\n"})[1] != plain

    def test_follows_nested_includes(self, files: dict[str, str]) -> None:
        inside, config = places.DROP_IN.rpartition("/")[0], next(iter(files))
        site = f"{config.rpartition('/')[0]}/site.d"
        files[f"{inside}/60-a.conf"] = (
            f"Match User bob\n\tinclude = {site}//*.conf {config} # {site}/none\nInclude\nInclude {site}/gone\n"
        )
        files[f"{site}/a.conf"] = f'X11Forwarding no\nInclude "{site}/./b"\n'
        files[f"{site}/b"] = f"Include {site}/b {site}/c\n"
        files[f"{site}/c"] = "Match User carol\n"
        plain = self.order_of(files)[1]
        for name in ("a.conf", "b", "c"):
            path = f"{site}/{name}"
            assert self.order_of({**files, path: f"{files[path]}PAMServiceName sshd-corp\n"})[1] != plain, name
            assert self.order_of({**files, path: f"{files[path]}Banner none\n"})[1] == plain, name


class TestStart:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("# Default settings\nSSHD_OPTS=\n", ["SSHD_OPTS="]),
            ("[Service]\nExecStart=/usr/sbin/sshd -D \\\n  -o UsePAM=no\nRestart=on-failure\n", None),
            ("[Unit]\nDescription=x\nAfter=network.target\n", []),
            (" Environment = A=b\nEnvironmentFile=-/etc/default/ssh\nRootDirectory=/srv\nNice=1", None),
        ],
    )
    def test_is_the_same_in_the_script(self, tmp_path: Path, text: str, shown: list[str] | None) -> None:
        path = tmp_path / "ssh.service"
        path.write_text(text)
        found = guard.starting(str(path), text)
        assert shell("starting", f"{tmp_path}/ssh[d.@]*service") == found
        assert "".join(f"{path}\t{line}\n" for line in shown) == found if shown is not None else found

    def test_is_checked_in_each_file_that_affects_it(self, on: HostState) -> None:
        plain = {line[2]: line[1] for line in config(on) if line[0] == "start"}
        assert [*plain] == [*places.SSHD_STARTS]
        unit = "[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D -o UsePAM=yes\n"
        state = host_state(
            files={"/etc/systemd/system/ssh.service.d/a.conf": unit, "/etc/default/ssh": "SSHD_OPTS=-4\n"},
            sshd_variables=("/etc/default/ssh", "/etc/further"),
        )
        (further,) = [
            line for line in config(carried_out(wanted(), state)) if line[0] == "start" and line[2] not in plain
        ]
        assert further == ["start", guard.digest(""), "/etc/further"]
        assert ["watch", "/etc/further"] in config(carried_out(wanted(), state))
        found = {line[2]: line[1] for line in config(carried_out(wanted(), state)) if line[0] == "start"}
        assert [one for one in plain if found[one] != plain[one]] == [
            "/etc/default/ssh",
            "/etc/systemd/system/ssh[d.@]*service.d/*.conf",
        ]


COCKPIT = [
    "",
    "[WebService]\nLoginTitle = x\n",
    "# x\n[Negotiate]\naction = none\n",
    "[ negotiate ]\r\n\taction=none \r\n[WEBSERVICE]\nclientCertAuthentication = yes",
    "LoginTitle = x\n",
    "[WebService]\nwhat is this\n  # x\n",
    "[Log]\nFatal = x\n[a[b]\n",
    "[WebService]\nForwardedForHeader = X-Forwarded-For\nLoginTo = false\n",
    "[Basic]\nAction = x\nCOMMAND = /opt/login\n[ssh-login]\nunixPath=/run/x\n",
    "[Ssh-Login]\nCommand = /bin/false\n",
    "[ssh-login]\nhost = x\n COMMAND=/usr/bin/false \r\n",
]


class TestCockpit:
    @pytest.mark.parametrize("text", COCKPIT)
    def test_is_the_same_in_the_script(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "cockpit.conf"
        path.write_text(text, newline="")
        assert shell("past_pam", str(path)) == cockpit_conf.past_pam(text)

    def test_is_empty_if_nobody_gets_in_past_pam(self) -> None:
        assert [bool(cockpit_conf.past_pam(text)) for text in COCKPIT] == [False, False, *[True] * 7, False, False]

    def test_is_watched_with_the_keys_of_kerberos_while_it_takes_tickets(self, on: HostState) -> None:
        watched = [line[1] for line in config(on) if line[0] == "watch"]
        assert {places.COCKPIT_DIRECTORY, *places.KEYTABS} <= {*watched}
        assert [line[1] for line in config(on) if line[0] == "keytab"] == [*places.KEYTABS]
        closed = config(carried_out(wanted(cockpit_negotiate="none"), host_state()))
        assert [line[0] for line in closed if line[0] in ("keytab", "cockpit")] == ["cockpit"]
        assert not [
            line for line in config(carried_out(wanted(services=["sudo"]), host_state())) if line[0] == "cockpit"
        ]

    @pytest.mark.parametrize(("size", "is_reported"), [(None, False), (2, False), (60, True)])
    def test_keytab_with_keys_is_reported(self, tmp_path: Path, size: int | None, is_reported: bool) -> None:
        path = tmp_path / "krb5.keytab"
        if size is not None:
            path.write_bytes(b"\5" * size)
        assert bool(shell("fault_of_keytab", str(path))) == is_reported


class TestPlan:
    def test_starts_the_guard_after_everything_else(self, on: HostState) -> None:
        made = plan(wanted(), host_state())
        paths = [change.path for change in made.changes if isinstance(change, Write)]
        assert paths[-len(places.FOR_GUARD) - 1 :].index(places.GUARD_CONFIG) >= 0
        assert made.changes[-1] == Listen(places.GUARD_UNIT)
        assert set(on.files) >= GUARD
        assert plan(wanted(), on).changes == ()

    def test_removes_the_guard_again(self) -> None:
        before = host_state(credentials=["alice", "bob", "carol", "root"])
        enabled = carried_out(wanted(), before)
        credentials = {backends.BACKENDS["oath"].DIRECTORY: file("", 0o700, kind="directory")}
        assert carried_out(replace(wanted(), enabled=False), enabled).files == {**before.files, **credentials}
        for without in (wanted(guard="off"), wanted(ssh=False, services=[])):
            made = plan(without, enabled)
            assert StopListening(places.GUARD_UNIT) in made.changes
            assert not GUARD & set(carried_out(without, enabled).files)

    def test_has_no_guard_without_systemd(self) -> None:
        assert not GUARD & set(carried_out(wanted(), host_state(has_systemd=False)).files)

    def test_restarts_the_guard_if_it_must_watch_something_else(self, on: HostState) -> None:
        made = plan(wanted(), replace(on, module_directories=("/usr/lib64/security",)))
        assert [type(one) for one in made.changes] == [StopListening, Write, Write, Listen]
        assert made.changes[0] == StopListening(places.GUARD_UNIT)
        policy = plan(wanted(window=2), on)
        assert Listen(places.GUARD_UNIT) not in policy.changes
        assert places.GUARD_CONFIG in [change.path for change in policy.changes if isinstance(change, Write)]

    def test_starts_a_guard_again_that_has_failed_or_been_stopped(self, on: HostState) -> None:
        stopped = replace(on, stopped_units=frozenset({places.GUARD_UNIT}))
        assert guard_plan.mode(on) == "warn"
        assert guard_plan.mode(stopped) == "off"
        made = plan(wanted(), stopped)
        assert made.changes == (StopListening(places.GUARD_UNIT), Listen(places.GUARD_UNIT))
        (told,) = made.warnings
        assert told.startswith("the guard of web1 has failed or been stopped")
        assert carried_out(wanted(), stopped) == on

    def test_reports_alerts_once(self, on: HostState) -> None:
        seen = replace(on, files={**on.files, places.GUARD_ALERTS: file(ALERTS, 0o600)})
        made = plan(wanted(), seen)
        assert made.changes == (Remove(places.GUARD_ALERTS),)
        first, second = (one for one in made.warnings if one.startswith("the guard of web1 saw"))
        assert first.endswith("2026-11-28T10:02:03Z: sshd was open. This lasted until 2026-11-28T10:02:09Z.")
        assert second.endswith("2026-11-28T11:00:00Z: pam_oath.so is gone.")
        told = report.status(Situation(wanted(), seen))["guard"]
        assert told["mode"] == "warn"
        assert [one["until"] for one in told["alerts"]] == ["2026-11-28T10:02:09Z", None]
        assert report.status(Situation(wanted(), carried_out(wanted(), seen)))["guard"] == {
            "mode": "warn",
            "alerts": [],
        }


class TestConfig:
    def test_has_what_the_policy_depends_on(self, on: HostState) -> None:
        lines = config(on)
        assert lines[0] == ["mode", "warn"]
        past_pam = [places.COCKPIT_DIRECTORY, *places.KEYTABS]
        watched = [*places.GUARD_WATCHED, *places.GUARD_WATCHED_UNITS, *past_pam, "/usr/lib/x/security"]
        assert [line[1] for line in lines if line[0] == "watch"] == watched
        own = {line[2]: line[1] for line in lines if line[0] == "file"}
        assert {places.SWITCH, places.DROP_IN, places.KEY_ACCEPTED, places.PASSWORD_METHOD} <= set(own)
        assert all(guard.digest(on.text(path) or "") == digest for path, digest in own.items())
        assert [line[2] for line in lines if line[0] == "block"] == ["sshd", "cockpit", "sudo"]
        stacks = {line[2]: line[3] for line in lines if line[0] == "stack"}
        assert stacks["common-auth"] == "sshd, cockpit, sudo"
        assert {"pam_oath.so", "pam_faillock.so"} <= {line[1] for line in lines if line[0] == "module"}
        assert re.search(r"^PathChanged=/usr/lib/x/security$", on.text(places.GUARD_PATH_UNIT) or "", re.MULTILINE)

    def test_watches_targets_of_links_and_vendor_files(self) -> None:
        text = INCLUDED["common-auth"]
        files = {
            f"{places.PAM_D}/common-auth": file(text, link="/etc/authselect/common-auth"),
            f"{places.VENDOR_PAM_D}/cockpit": SERVICES["cockpit"],
        }
        lines = config(carried_out(wanted(exempt_addresses=["192.0.2.0/24"]), host_state(files=files)))
        watched = [line[1] for line in lines if line[0] == "watch"]
        further = [places.COCKPIT_DIRECTORY, *places.KEYTABS, places.VENDOR_PAM_D, "/etc/security", "/etc/authselect"]
        assert watched == [*places.GUARD_WATCHED, *places.GUARD_WATCHED_UNITS, *further]

    def test_has_systemd_watch_directories_in_place_of_files_that_may_not_exist(self, on: HostState) -> None:
        """Otherwise systemd misses what changes at the same time as something comes into the directory."""
        watched = re.findall(r"^PathChanged=(.*)$", on.text(places.GUARD_PATH_UNIT) or "", re.MULTILINE)
        assert not {*places.SSHD_SERVICE_OPTIONS, *places.KEYTABS}.intersection(watched)
        assert {"/etc", "/etc/cockpit", "/etc/default"} < {*watched}
        assert "/etc/sysconfig" not in watched

    def test_watches_files_that_are_included_by_absolute_path(self) -> None:
        link, where = "/etc/site/auth", "/srv/pam/auth"
        files = {
            f"{places.PAM_D}/sudo": f"auth include {link}\n",
            link: file(INCLUDED["common-auth"], link=where),
        }
        lines = config(carried_out(wanted(), host_state(files=files, services_included=(link,))))
        assert {"/etc/site", "/srv/pam"} < {line[1] for line in lines if line[0] == "watch"}
        assert [line[3] for line in lines if line[0] == "stack" and line[2] == link] == ["sudo"]
        assert shell("path_of", link) == f"{link}\n"

    def test_asks_sshd_for_each_class_of_accounts(self, on: HostState) -> None:
        lines = config(on)
        assert [line[2] for line in lines if line[0] == "user"] == ["root", "alice"]
        assert ["set", "authenticationmethods", "publickey,keyboard-interactive:pam keyboard-interactive:pam"] in lines
        own = {f"{places.DROP_IN_DIRECTORY}/50-bob.conf": "Match User bob\n    Banner none\n"}
        state = carried_out(wanted(), host_state(files=own))
        assert [line[2] for line in config(state) if line[0] == "user"] == ["root", "alice", "bob"]

    def test_watches_what_starts_sshd_only_if_sshd_asks(self) -> None:
        lines = config(carried_out(wanted(ssh=False, services=["sudo"]), host_state()))
        assert [line[1] for line in lines if line[0] == "watch"] == [*places.GUARD_WATCHED]
        assert not [line for line in lines if line[0] in ("start", "sshd", "before")]

    def test_has_the_lists_of_security_keys(self) -> None:
        users: list[dict[str, t.Any]] = [{"name": name} for name in ("alice", "bob", "carol", "root")]
        users[0]["security_keys"] = [security_key(1, "blue")]
        lines = config(carried_out(wanted(users=users), host_state()))
        assert f"{places.KEYS_DIRECTORY}/alice" in [line[2] for line in lines if line[0] == "file"]
        assert places.KEYS_DIRECTORY in [line[1] for line in lines if line[0] == "watch"]
        assert ["set", "pubkeyauthoptions", "touch-required verify-required"] in lines
        assert [line[2] for line in lines if line[0] == "user"] == ["root", "alice", "bob"]

    def test_has_no_secret(self, on: HostState) -> None:
        keys = [one.content.split()[3] for one in on.credentials.values()]
        assert keys
        assert not any(key in (on.text(places.GUARD_CONFIG) or "") for key in keys)

    def test_has_only_words_that_the_script_knows(self, on: HostState) -> None:
        (cases,) = re.findall(r"case \$word in\n((?: +\w+\) .*\n)+)", FUNCTIONS["faults"])
        known = {*re.findall(r"^ +(\w+)\)", cases, re.MULTILINE), "mode", "watch", "line", "word"}
        assert {line[0] for line in config(on)} <= known


@pytest.mark.parametrize(("meanwhile", "status"), [(":", "0"), ("echo changed >state", "1")])
@pytest.mark.parametrize("found", ["", "sshd is open"])
def test_guard_looks_again_after_a_change_during_its_last_step(
    tmp_path: Path, meanwhile: str, status: str, found: str
) -> None:
    """systemd starts a path unit's service for no change that happens while the service still runs."""
    stand_ins = f"""
        conf=conf left=10
        take_lock() {{ :; }}; release_lock() {{ :; }}; is_changing() {{ false; }}; values() {{ echo warn; }}
        prints() {{ cat state; }}; faults() {{ printf '%s' '{found}'; }}; note() {{ {meanwhile}; }}
    """
    for name in ("conf", "state"):
        (tmp_path / name).write_text("before\n")
    script = f"{''.join(FUNCTIONS.values())}\n{stand_ins}\nlook; echo $?"
    done = subprocess.run(["/bin/sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"{status}\n"


def test_alerts_are_only_lines_that_the_guard_can_have_written() -> None:
    assert [one.text for one in guard.alerts(ALERTS)] == ["sshd was open", "pam_oath.so is gone"]
    assert guard.alerts(None) == guard.alerts("a\tb\tc\n") == []
