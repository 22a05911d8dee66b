# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doors of a host, found from what was seen of it."""

from __future__ import annotations

import fnmatch
import typing as t

import pytest

from ansible_collections.fleet.auth.plugins.module_utils._host import doors as seen_doors
from ansible_collections.fleet.auth.plugins.module_utils._host import systemd
from ansible_collections.fleet.auth.plugins.module_utils._host.processes import Process
from ansible_collections.fleet.auth.plugins.module_utils._host.state import HostState, Listener
from ansible_collections.fleet.auth.plugins.module_utils._plan import doors
from ansible_collections.fleet.auth.plugins.module_utils._plan.situation import Situation
from ansible_collections.fleet.auth.plugins.module_utils._texts.sshd_start import Start
from unit.builders import host_state, plan, settings

OWN = Listener(10, "ssh.service", Start())
FURTHER = Listener(20, "inside.service", Start("/etc/ssh/sshd_inside"))
SAME = Listener(30, "more.service", Start())
OTHER_OPTIONS = Listener(40, "odd.service", Start(settings=("UsePAM=no",)))
DAEMONS = {"cockpit": "process 5", "vsftpd": "process 6", "dropbear": "dropbear.service", "tailscaled": "process 7"}


def warned(state: HostState, **options: t.Any) -> list[str]:
    """The doors that a run warns about."""
    wanted = settings("alice", "bob", "carol", exempt_users=["ansible"], ssh=True, **options)
    return [one.split(" on web1 ")[0] for one in plan(wanted, state).warnings if " lets people in to " in one]


def test_are_listed_with_their_state() -> None:
    state = host_state(listeners=(OWN, FURTHER, SAME, OTHER_OPTIONS), daemons=DAEMONS)
    found = doors.doors(Situation(settings(ssh=True), state), ["sshd", "cockpit", "sudo"])
    assert {door.name: door.state for door in found} == {
        "sshd": "covered",
        "/etc/ssh/sshd_inside": "open",
        "sshd:odd.service": "open",
        "cockpit": "covered",
        "cockpit-ssh": "covered",
        "dropbear": "open",
        "vsftpd": "open",
        "tailscaled": "unknown",
        "su": "open",
        "sudo": "covered",
    }
    assert next(door for door in found if door.name == "dropbear") == (
        *("dropbear", "daemon", "a shell", "open", "dropbear.service"),
    )


@pytest.mark.parametrize(
    ("name", "expected"), [("caf\udce9", "caf\\udce9"), ("two\nlines", "two\\nlines"), ("with space", "with space")]
)
def test_have_one_line_names_for_any_file_name(name: str, expected: str) -> None:
    state = host_state(files={f"/etc/pam.d/{name}": "@include common-auth\n"})
    (door,) = [one for one in doors.doors(Situation(settings(), state), []) if "program" in one.reaches]
    assert (door.name, door.seen) == (expected, f"/etc/pam.d/{expected}")


def test_are_warned_about_if_open_and_not_accepted() -> None:
    state = host_state(listeners=(OWN, FURTHER), daemons=DAEMONS)
    assert warned(state) == ["/etc/ssh/sshd_inside", "dropbear", "vsftpd", "tailscaled"]
    assert warned(state, accepted_doors=["dropbear", "/etc/ssh/sshd_inside", "tailscaled"]) == ["vsftpd"]
    assert warned(state, services=[], accepted_doors=["dropbear", "vsftpd", "tailscaled"]) == [
        "/etc/ssh/sshd_inside",
        "cockpit",
    ]
    assert warned(host_state(listeners=(OWN, SAME), daemons={"cockpit": "process 5"})) == []


@pytest.mark.parametrize(
    ("changes", "state", "remedy"),
    [
        ({"ssh": False}, "open", "set ssh to true, or accept it"),
        ({"exempt_addresses": ["10.0.0.0/8"]}, "unknown", "leave exempt_addresses out, or accept it"),
        (
            {"ssh": False, "exempt_addresses": ["10.0.0.0/8"]},
            "open",
            "set ssh to true without exempt_addresses, or accept it",
        ),
        ({}, "covered", ""),
        ({"services": ["sudo"], "accepted_doors": ["cockpit"]}, "", ""),
    ],
)
def test_cockpits_login_through_ssh_asks_if_sshd_does(changes: dict[str, t.Any], state: str, remedy: str) -> None:
    seen = host_state(listeners=(OWN,), daemons={"cockpit": "process 5"})
    wanted = settings("alice", "bob", "carol", **{"exempt_users": ["ansible"], "ssh": True, **changes})
    asking = ["sshd", *wanted.services] if wanted.ssh else [*wanted.services]
    found = {one.name: one.state for one in doors.doors(Situation(wanted, seen), asking)}
    assert found.get("cockpit-ssh", "") == state
    told = [one for one in plan(wanted, seen).warnings if one.startswith("cockpit-ssh on web1 (process 5) lets ")]
    assert [remedy in one for one in told] == ([True] if remedy else [])
    closed = host_state(
        listeners=(OWN,),
        daemons={"cockpit": "process 5"},
        files={"/etc/cockpit/cockpit.conf": "[Ssh-Login]\nCommand = /bin/false\n"},
    )
    assert "cockpit-ssh" not in [one.name for one in doors.doors(Situation(wanted, closed), asking)]


def test_foreign_sshds_are_open_under_any_name_and_cannot_be_covered() -> None:
    other_build = Listener(50, "ssh.service", Start(), program="/opt/ssh/sbin/sshd")
    jailed = Listener(60, "jail.service", Start(), has_own_files=True)
    of_bob = Listener(70, "session-3.scope", Start("/etc/ssh/sshd_inside"), owner="bob")
    state = host_state(listeners=(OWN, other_build, jailed, of_bob))
    wanted = settings("alice", ssh=True, sshd_configs=["/etc/ssh/sshd_inside"])
    found = {one.name: (one.state, one.reaches, one.seen) for one in doors.doors(Situation(wanted, state), ["sshd"])}
    assert found["sshd"][0] == "covered"
    assert found["/opt/ssh/sbin/sshd"] == ("open", "a shell and files", "process 50")
    assert found["sshd:jail.service"] == ("open", "a shell and files", "process 60, with files of its own")
    assert found["sshd:bob"] == ("open", "a shell as bob", "process 70 of bob")
    assert "/etc/ssh/sshd_inside" not in found
    assert state.drop_in_readers == (OWN,)
    told = [one for one in plan(wanted, state).warnings if " lets people in to " in one]
    assert len(told) == 3
    remedy = "Stop and disable it, or accept it: accepted_doors: ["
    assert all("sshd_configs" not in one and remedy in one for one in told)


def test_sshd_with_an_unusable_path_gets_a_remedy_that_works() -> None:
    relative = Listener(50, "rel.service", Start("sshd"))
    blank = Listener(60, "blank.service", Start("/etc/ssh/two words"))
    state = host_state(listeners=(OWN, relative, blank))
    wanted = settings("alice", "bob", "carol", exempt_users=["ansible"], ssh=True)
    told = [one for one in plan(wanted, state).warnings if " lets people in to " in one]
    assert [one.split(" on web1 ")[0] for one in told] == ["sshd:rel.service", "/etc/ssh/two words"]
    assert all("sshd_configs" not in one for one in told)


def test_telnetd_is_open_unless_both_login_and_remote_ask() -> None:
    situation = Situation(settings("alice"), host_state(daemons={"telnetd": "process 7", "ttyd": "process 8"}))
    for asking, state in ((["login"], "open"), (["login", "remote"], "covered")):
        found = {door.name: door.state for door in doors.doors(situation, ["sshd", *asking])}
        assert (found["telnetd"], found["ttyd"]) == (state, "open")


def test_cockpit_with_a_session_for_everyone_is_open_even_if_its_service_asks() -> None:
    seen = {"cockpit": "cockpit.socket", "cockpit-local-session": "process 7"}
    situation = Situation(settings("alice"), host_state(daemons=seen))
    found = {door.name: door.state for door in doors.doors(situation, ["sshd", "cockpit"])}
    assert (found["cockpit"], found["cockpit-local-session"]) == ("covered", "open")


def test_inetd_has_the_state_unknown() -> None:
    situation = Situation(settings("alice"), host_state(daemons={"inetd": "inetd.service"}))
    assert [door.state for door in doors.doors(situation, ["sshd"]) if door.name == "inetd"] == ["unknown"]


def test_programs_without_prompts_are_refused_as_services() -> None:
    state = host_state(files={"/etc/pam.d/xrdp-sesman": "@include common-auth\n@include common-account\n"})
    made = plan(settings("alice", services=["xrdp-sesman"]), state)
    (told,) = made.refusals
    assert told.startswith("xrdp-sesman on web1 cannot ask for a code: xrdp answers every PAM prompt with the")
    assert told.endswith("Take xrdp-sesman out of services, and stop xrdp, or accept it: accepted_doors: [xrdp].")
    assert made.changes == ()


@pytest.mark.parametrize("service", ["dovecot", "imap", "smtp", "cups", "openvpn", "postgresql"])
def test_mail_and_database_services_without_prompts_are_refused(service: str) -> None:
    state = host_state(files={f"/etc/pam.d/{service}": "@include common-auth\n@include common-account\n"})
    made = plan(settings("alice", services=[service]), state)
    (told,) = made.refusals
    assert told.startswith(f"{service} on web1 cannot ask for a code: ")
    assert " answers every PAM prompt with the password. That would count as a wrong code, and so close" in told
    assert told.endswith(f"Take {service} out of services.")
    assert made.changes == ()


@pytest.mark.parametrize("service", ["swaylock", "i3lock", "kde", "xscreensaver"])
def test_screen_lockers_are_refused_because_they_cannot_read_credentials(service: str) -> None:
    state = host_state(files={f"/etc/pam.d/{service}": "@include common-auth\n"})
    made = plan(settings("alice", "bob", "carol", exempt_users=["ansible"], services=[service]), state)
    assert made.refusals == (
        f"{service} on web1 cannot ask for a code: it checks passwords with the rights of the user who has locked "
        "the screen, and who cannot read the secret. A right code would be denied, and the screen would stay locked. "
        f"Take {service} out of services.",
    )


@pytest.mark.parametrize(("service", "program"), [("samba", "Samba"), ("cron", "cron")])
def test_services_that_have_pam_check_no_password_are_refused(service: str, program: str) -> None:
    state = host_state(files={f"/etc/pam.d/{service}": "@include common-auth\n"})
    made = plan(settings("alice", "bob", "carol", exempt_users=["ansible"], services=[service]), state)
    assert made.refusals == (
        f"{service} on web1 cannot ask for a code: {program} has PAM check no password. "
        f"Take {service} out of services.",
    )


def test_include_every_service_that_asks_for_a_password() -> None:
    asking = "@include common-auth\n"
    files = {
        "vpn": asking,
        "panel": f"auth required pam_env.so\n{asking}",
        # Of these, only `takes-shared` is listed. The others ask for no password by themselves, or only root uses them.
        "open-to-all": "auth required pam_permit.so\n",
        "shared": asking,
        "takes-shared": "auth include shared\n",
        "cron": asking,
        "other": asking,
        # None of these three is listed: another door, a copy, and the code step.
        "vsftpd": asking,
        "vpn.dpkg-old": asking,
        "twofactor": asking,
        "unclear": f"{asking}auth required pam_env.so \\\n# or not\n",
    }
    state = host_state(files={f"/etc/pam.d/{name}": text for name, text in files.items()})
    found = doors.doors(Situation(settings("alice"), state), ["sshd", "panel"])
    inside = {one.name: one.state for one in found if one.kind == "local"}
    assert inside == {
        "su": "open",
        "sudo": "open",
        "panel": "covered",
        "takes-shared": "unknown",
        "unclear": "unknown",
        "vpn": "unknown",
    }
    (vpn,) = [one for one in found if one.name == "vpn"]
    assert (vpn.reaches, vpn.seen) == ("what its program lets people do", "/etc/pam.d/vpn")
    assert warned(state) == []


_LATE = "/run/systemd/generator.late/multi-user.target.wants"
_ETC = "/etc/systemd/system/multi-user.target.wants"
ON_DEBIAN = [
    ("dropbear", "/usr/sbin/dropbear -EF -p 22 -W 65536", f"{_ETC}/dropbear.service"),
    (
        "tinysshd",
        "/usr/sbin/tinysshd -v -- /etc/tinyssh/sshkeydir",
        "/etc/systemd/system/sockets.target.wants/tinysshd.socket",
    ),
    ("lsh", "/usr/sbin/lshd --port 22", f"{_ETC}/lsh-server.service"),
    ("telnetd", "telnetd", ""),
    ("telnetd", "", "/etc/systemd/system/multi-user.target.requires/telnet.socket"),
    ("inetd", "/usr/sbin/inetd", f"{_ETC}/inetd.service"),
    ("inetd", "", f"{_ETC}/inetutils-inetd.service"),
    ("inetd", "", f"{_LATE}/rlinetd.service"),
    ("xinetd", "/usr/sbin/xinetd -pidfile /run/xinetd.pid -stayalive -inetd_compat", f"{_LATE}/xinetd.service"),
    ("xrdp", "/usr/sbin/xrdp-sesman --nodaemon", f"{_ETC}/xrdp-sesman.service"),
    ("xrdp", "", f"{_ETC}/xrdp.service"),
    ("vsftpd", "/usr/sbin/vsftpd /etc/vsftpd.conf", f"{_ETC}/vsftpd.service"),
    ("proftpd", "proftpd: (accepting connections)", f"{_ETC}/proftpd.service"),
    ("pure-ftpd", "", f"{_LATE}/pure-ftpd.service"),
    ("shellinabox", "/usr/bin/shellinaboxd -q --background=/var/run/x -p 4200", f"{_LATE}/shellinabox.service"),
    ("vnc", "Xtigervnc :1 -SecurityTypes None", ""),
    ("vnc", "/usr/bin/X0tigervnc -display :1 -localhost=1 -rfbport 5999", ""),
    ("vnc", "x11vnc -display :1 -rfbport 5998 -forever", ""),
    ("gnome-remote-desktop", "/usr/libexec/gnome-remote-desktop-daemon --system", ""),
    ("jupyter", "/usr/bin/python3 /usr/bin/jupyter-notebook --no-browser", ""),
    (
        "jupyterhub",
        "/usr/bin/python3 -m jupyterhub.app -f /etc/jupyterhub/jupyterhub_config.py",
        f"{_ETC}/jupyterhub.service",
    ),
]
"""On Debian 12 and 13 with these packages started: the words of a process, and the link of an enabled unit."""


@pytest.mark.parametrize(("door", "words", "link"), ON_DEBIAN)
def test_are_seen_as_debian_starts_them(door: str, words: str, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Process, "is_in_container", False)
    monkeypatch.setattr(systemd.glob, "glob", lambda _pattern: [])
    # proftpd has overwritten its words with a title.
    command_line = words if ": " in words else words.replace(" ", "\0") + "\0"
    assert seen_doors.daemons([Process(7, 0, command_line)], (), {}) == ({door: "process 7"} if words else {})
    monkeypatch.setattr(systemd.glob, "glob", lambda pattern: fnmatch.filter([link], pattern))
    assert seen_doors.daemons([], (), {}) == ({door: link.rpartition("/")[2]} if link else {})


@pytest.mark.parametrize(
    ("words", "door"),
    [
        ("/usr/bin/node --max-old-space-size=512 /usr/bin/wetty", "wetty"),
        ("python3 -u -m jupyterlab --port 8888", "jupyter"),
        ("perl -T /usr/share/webmin/miniserv.pl", "webmin"),
        ("perl /usr/share/usermin/miniserv.pl /etc/usermin/miniserv.conf", "usermin"),
        ("tcpserver -v 0 23 /usr/sbin/in.telnetd", "telnetd"),
        ("/usr/bin/socat TCP-LISTEN:23,fork EXEC:/usr/sbin/telnetd", "telnetd"),
        ("busybox nc -ll -p 22 -e /usr/sbin/dropbear -i", "dropbear"),
        ("socat - TCP:192.0.2.1:22", ""),
        ("/usr/lib/cockpit/cockpit-ws --no-tls --local-session=/usr/bin/cockpit-bridge", "cockpit-local-session"),
        ("/usr/lib/cockpit/cockpit-ws --local-session /usr/bin/cockpit-bridge", "cockpit-local-session"),
        ("/usr/lib/cockpit/cockpit-ws --local-session=-", "cockpit"),
        ("sh -c ttyd", ""),
        ("python3 -m", ""),
        ("bash", ""),
    ],
)
def test_are_seen_behind_interpreters_and_wrappers(words: str, door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Process, "is_in_container", False)
    monkeypatch.setattr(systemd.glob, "glob", lambda _pattern: [])
    assert [*seen_doors.daemons([Process(7, 0, words.replace(" ", "\0") + "\0")], (), {})] == ([door] if door else [])


def test_are_seen_by_the_program_that_a_socket_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd.glob, "glob", lambda _pattern: [])
    commands = {
        "corp.socket": ["", "/usr/sbin/dropbear -i -F"],
        "box.socket": ["/bin/busybox telnetd -i"],
        "telnet.socket": ["/usr/sbin/in.telnetd"],
        "db.socket": ["/usr/bin/db --for vsftpd"],
    }
    found = seen_doors.daemons([], {"telnet.socket"}, commands)
    assert found == {"dropbear": "corp.socket", "telnetd": "telnet.socket"}
    assert seen_doors.daemons([], (), {"box.socket": commands["box.socket"]}) == {"telnetd": "box.socket"}


def test_are_seen_by_their_processes_and_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        systemd.glob, "glob", lambda _pattern: ["/etc/systemd/system/sockets.target.wants/telnet.socket"]
    )
    monkeypatch.setattr(Process, "is_in_container", property(lambda self: self.pid == 3))
    running = [
        Process(1, 0, "/usr/sbin/vsftpd\0/etc/vsftpd.conf\0"),
        Process(2, 0, "/usr/bin/perl\0/usr/share/webmin/miniserv.pl\0/etc/webmin/miniserv.conf\0"),
        Process(3, 0, "/usr/sbin/dropbear\0-F\0"),
        Process(4, 1000, "vi\0/home/alice/vsftpd-notes\0"),
        Process(5, 0, "/usr/sbin/inetd\0"),
        # A process in a container, and a man page about a program, are not that program.
        Process(6, 0, "/usr/bin/man\0dropbear\0"),
        Process(3, 0, "/usr/sbin/proftpd\0"),
        Process(8, 0, "/usr/sbin/proftpd\0"),
        Process(9, 1000, "/usr/bin/node\0/usr/bin/wetty\0--port\0003000\0"),
        Process(10, 1000, "/opt/alice/bin/python3.11\0/opt/alice/bin/jupyter-lab\0"),
    ]
    assert seen_doors.daemons(running, {"rlogin.socket", "dbus.socket"}, {}) == {
        "rlogind": "rlogin.socket",
        "telnetd": "telnet.socket",
        "vsftpd": "process 1",
        "webmin": "process 2",
        "inetd": "process 5",
        "proftpd": "process 8",
        "wetty": "process 9",
        "jupyter": "process 10",
    }
