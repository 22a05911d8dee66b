# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the output of commands and the files of a host are read, including those of systems that are not at hand."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import typing as t
from pathlib import Path

import pytest

from ansible_collections.fleet.auth.plugins.module_utils._host import (
    accounts,
    become,
    key_denials,
    logins,
    look,
    nss,
    session,
    sshd_starts,
    system,
)
from ansible_collections.fleet.auth.plugins.module_utils._host.files import read_file
from ansible_collections.fleet.auth.plugins.module_utils._host.state import Login
from ansible_collections.fleet.auth.plugins.module_utils._texts.sshd_config import Effective
from unit.builders import file

UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.3 LTS"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n'


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The files of the host."""
    texts: dict[str, str] = {}
    monkeypatch.setattr(system, "read_file", lambda path: file(texts[path]) if path in texts else None)
    return texts


def test_lines_of_passwd_that_stand_for_other_accounts_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    root = pwd.struct_passwd(("root", "x", 0, 0, "root", "/root", "/bin/bash"))
    others = [pwd.struct_passwd((name, None, 0, 0, None, None, None)) for name in ("+", "+@admins", "-bob")]
    monkeypatch.setattr(pwd, "getpwall", lambda: [root, *others])
    assert nss.listed() == {"root": root}


def test_of_two_accounts_with_one_name_the_host_knows_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a local one, and one of a directory."""
    local, other = (
        pwd.struct_passwd(("alice", "x", 1001, 1001, "", home, "/bin/sh")) for home in ("/home/a", "/net/a")
    )
    root = pwd.struct_passwd(("root", "x", 0, 0, "", "/root", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwall", lambda: [root, local, other])
    assert [*nss.listed().items()] == [("root", root), ("alice", local)]


@pytest.mark.parametrize(
    ("shell", "command", "asked"),
    [("bash", "none", True), ("nologin", "none", False), ("nologin", "internal-sftp -l INFO", True)],
)
def test_keys_from_a_command_may_let_in_even_without_a_shell(shell: str, command: str, asked: bool) -> None:
    """sshd's own SFTP server needs none."""
    account = pwd.struct_passwd(("files", "x", 1001, 1001, "", "/srv/files", f"/usr/sbin/{shell}"))
    sshd = Effective({"authorizedkeyscommand": ("/usr/bin/keys",), "forcecommand": (command,)})
    assert accounts._asks_elsewhere(account, sshd) is asked


SOMEBODY = pwd.struct_passwd(("alice", "x", 1001, 1001, "", "/home/alice", "/bin/bash"))


@pytest.mark.parametrize("kind", ["device", "pipe", "directory", "nothing"])
def test_authorized_keys_that_are_no_file_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A device may act as soon as it is opened, such as a watchdog, which then resets the host."""
    place = {"device": Path(os.devnull), "directory": tmp_path}.get(kind, tmp_path / "there")
    if kind == "pipe":
        os.mkfifo(place)
    link = tmp_path / "authorized_keys"
    link.symlink_to(place)
    opened: list[int] = []
    really_open = os.open
    monkeypatch.setattr(os, "open", lambda path, flags: opened.append(flags) or really_open(path, flags))
    monkeypatch.setattr(accounts, "open", lambda *_arguments: pytest.fail("it was opened"), raising=False)
    assert accounts._start_of(str(link), SOMEBODY) == ""
    assert opened == [os.O_PATH]


@pytest.mark.parametrize(
    ("text", "release", "family"),
    [
        ('VERSION_ID="11"\nID=debian\n', ("debian", "11"), "debian"),
        (UBUNTU, ("ubuntu", "24.04"), "debian"),
        (UBUNTU.replace("24.04", "22.04"), ("ubuntu", "22.04"), "debian"),
        ('ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.6"\n', ("rhel", "9.6"), "rhel"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="10.0"\n', ("rocky", "10.0"), "rhel"),
        ('ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.6"\n', ("almalinux", "9.6"), "rhel"),
        ("ID=fedora\nVERSION_ID=43\n", ("fedora", "43"), "rhel"),
        ('ID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n', ("amzn", "2023"), "rhel"),
        ('ID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="10"\n', ("centos", "10"), "rhel"),
    ],
)
@pytest.mark.parametrize("backend", ["oath", "google_authenticator"])
def test_family_of_a_release(
    files: dict[str, str], text: str, release: tuple[str, str], family: str, backend: str
) -> None:
    files["/etc/os-release"] = text
    assert system.os_release(backend) == (release, family)


@pytest.mark.parametrize("setting", ["{home}/keys/%u/*", "keys/%u/[a-m]*", "keys/*/laptop", "keys/%u/lap*"])
def test_authorized_keys_may_be_a_pattern_of_files(tmp_path: Path, setting: str) -> None:
    """OpenSSH 10 reads each file that the pattern matches, and older ones read a file of that very name."""
    entry = pwd.struct_passwd(("alice", "x", 1001, 1001, "", str(tmp_path), "/bin/sh"))
    sshd = Effective({"authorizedkeysfile": (setting.format(home=tmp_path),)})
    assert not accounts._has_key(entry, sshd, {"root": sshd})
    (tmp_path / "keys" / "alice").mkdir(parents=True)
    for number in range(200):
        (tmp_path / "keys" / "alice" / f"x{number}").touch()
    (tmp_path / "keys" / "alice" / "laptop").write_text("ssh-ed25519 AAAA alice\n")
    assert accounts._has_key(entry, sshd, {"root": sshd})


_CLOUD_INIT = (
    "no-port-forwarding,no-agent-forwarding,no-X11-forwarding,"
    r"""command="echo 'Please login as the user \"admin\" rather than the user \"root\".';echo;sleep 10;exit 142" """
)


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        (_CLOUD_INIT, False),
        ("command=\"echo 'Log in as admin.'; sleep 5\",no-pty ", False),
        ("  # ", False),
        ("", True),
        ("no-pty ", True),
        ('command="rrsync /srv" ', True),
        ("command=\"echo 'Welcome.';exec bash\" ", True),
        ("command=\"echo '';bash;echo ''\" ", True),
        ('environment="A=command=",no-pty ', True),
    ],
)
def test_key_that_only_prints_a_sentence_lets_nobody_in(tmp_path: Path, line: str, counts: bool) -> None:
    """Images for clouds have such a key for root."""
    (tmp_path / "keys").write_text(f"# written by cloud-init\n\n{line}ssh-ed25519 AAAA root\n")
    sshd = Effective({"authorizedkeysfile": (str(tmp_path / "keys"),)})
    assert accounts._has_key(SOMEBODY, sshd, {"root": sshd}) is counts


@pytest.mark.parametrize(
    ("protection", "writable", "found"),
    [
        ("", "", ()),
        ("no", "", ()),
        ("yes", "", ()),
        ("full", "", ("/etc/oath",)),
        ("strict", "", ("/etc/oath", "/run/fleet-auth")),
        ("strict", "/etc/oath", ("/run/fleet-auth",)),
        ("strict", "-/etc/oath -/run/fleet-auth", ()),
        ("strict", "/etc/ +/run", ()),
        ("strict", "/etc/oathes", ("/etc/oath", "/run/fleet-auth")),
    ],
)
def test_polkit_may_be_kept_from_writing(protection: str, writable: str, found: tuple[str, ...]) -> None:
    def run(words: t.Sequence[str]) -> tuple[int, str, str]:
        assert words[-1] == "polkit-agent-helper@fleet-auth.service"
        return 0, f"ProtectSystem={protection}\nReadWritePaths={writable}\n" if protection else "", ""

    assert system.read_only_to_polkit(run, "oath") == found


def test_selinux_types_are_those_of_existing_paths(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def getxattr(path: str, name: str) -> bytes:
        assert name == "security.selinux"
        if path != "/etc/oath":
            raise FileNotFoundError(path)
        return b"unconfined_u:object_r:etc_t:s0\0"

    monkeypatch.setattr(os, "getxattr", getxattr)
    files["/sys/fs/selinux/enforce"] = "1"
    assert system.selinux_types() == {"/etc/oath": "etc_t"}
    files["/sys/fs/selinux/enforce"] = "0"
    assert system.selinux_types() is None
    del files["/sys/fs/selinux/enforce"]
    assert system.selinux_types() is None


def test_keys_that_root_may_not_read_are_read_with_the_rights_of_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a home on NFS with root_squash. sshd does the same."""
    path = tmp_path / "authorized_keys"
    path.write_text("ssh-ed25519 AAAA alice\n")
    acting, really_open = [0, 0], os.open

    def squashed(path: str, flags: int) -> int:
        if acting != [1001, 1001]:
            raise PermissionError(errno.EACCES, path)
        return really_open(path, flags)

    monkeypatch.setattr(os, "open", squashed)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getegid", lambda: 0)
    for number, name in enumerate(("seteuid", "setegid")):
        monkeypatch.setattr(os, name, lambda value, number=number: acting.__setitem__(number, value))
    assert accounts._start_of(str(path), SOMEBODY) == path.read_text()
    assert acting == [0, 0]


def test_expired_accounts_are_those_whose_day_is_over() -> None:
    days = {"never": "", "old": "1", "yesterday": "19999", "today": "20000", "tomorrow": "20001", "odd": "x"}
    text = "".join(f"{name}:!:19700:0:99999:7::{day}:\n" for name, day in days.items())
    assert accounts.expired_of(f"{text}torn:x\n", 20000 * 86400 + 5.0) == {"old", "yesterday"}


SHADOW = """\
root:*:19700:0:99999:7:::
alice:$y$j9T$salt$hash:19700:0:99999:7:::
bob:!$y$j9T$salt$hash:19700:0:99999:7:::
carol::19700:0:99999:7:::
torn
"""


def test_locked_or_empty_password_is_no_password() -> None:
    assert accounts.parse_shadow(SHADOW) == {"alice"}
    assert accounts.parse_shadow("") == frozenset()


def test_password_counts_anywhere_pam_finds_it_and_an_empty_one_if_sshd_accepts_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shadow = "old:*:1::::::\nempty::1::::::\nlocked:!:1::::::\nleft::1:::::2:\n"
    monkeypatch.setattr(accounts, "read_file", lambda path: file(shadow) if path == "/etc/shadow" else None)
    fields = {
        "old": "$6$salt$hashes",
        "empty": "x",
        "bare": "",
        "locked": "x",
        "elsewhere": "*",
        "off": "!$6$salt$hash",
        "left": "$6$salt$hash",
    }
    people = {name: pwd.struct_passwd((name, one, 1, 1, "", "/h", "/bin/sh")) for name, one in fields.items()}
    none = dict.fromkeys(people, ())

    def having(permitted: str) -> list[str]:
        of = dict.fromkeys(people, Effective(permitemptypasswords=(permitted,)))
        return [name for name, one in accounts.accounts(people, none, of).items() if one.has_password]

    assert having("no") == ["old"]
    assert having("yes") == ["old", "empty", "bare"]
    found = accounts.accounts(people, none, dict.fromkeys(people, Effective()))
    assert [name for name, one in found.items() if one.password_is_empty] == ["empty", "bare"]
    assert [name for name, one in found.items() if one.is_expired] == ["left"]


class Commands:
    """Commands of a host by their first word, with the exit code of each."""

    def __init__(self, **codes: int) -> None:
        self.codes = codes
        self.run_with: list[tuple[str, ...]] = []

    def __call__(self, argv: t.Sequence[str]) -> tuple[int, str, str]:
        self.run_with.append(tuple(argv))
        return self.codes[argv[0]], "", ""


@pytest.mark.parametrize(("allowed", "runs", "asks"), [(0, 1, True), (0, 0, False), (1, 1, False)])
def test_sudo_is_asked_whether_it_wants_a_password(allowed: int, runs: int, asks: bool) -> None:
    commands = Commands(sudo=allowed, runuser=runs)
    assert become.sudo_asks(commands, "alice") == asks
    assert commands.run_with[0] == ("sudo", "-n", "-l", "-U", "alice", "-u", "root", "/bin/sh")
    assert ["-k" in argv and "-n" in argv for argv in commands.run_with[1:]] == [True] * (allowed == 0)


def test_journal_shows_who_has_logged_in() -> None:
    out = """\
1795859999.100000 web1 sshd[17]: Accepted gssapi-with-mic for CORP\\\\joe from 192.0.2.7 port 40000 ssh2: joe@CORP
1795859999.100000 web1 sshd-session[18]: Accepted publickey for mary ann from 2001:db8::7 port 40000 ssh2: RSA x
1795859999.100000 web1 sshd[18]: Accepted password for j\\303\\274rgen from 192.0.2.7 port 40000 ssh2
1795859999.100000 web1 sshd[19]: Accepted for nobody
1795859999.100000 web1 cockpit-session[20]: pam_unix(cockpit:session): session opened for user carol(uid=1) by (uid=0)
1795859999.100000 web1 login[21]: pam_unix(login:session): session opened for user dave by LOGIN(uid=0)
-- Boot 0123 --
1795859999.100000 web1 sudo[22]: pam_sss(sudo:auth): authentication success; logname= uid=5 ruser=e user=m n
1795859999.100000 web1 sudo[23]: pam_krb5(sudo-i:auth): user frank authenticated as frank@CORP
1795859999.100000 web1 su[24]: pam_winbind(su:auth): user 'CORP\\grace' granted access
1795859999.100000 web1 sshd[25]: pam_sss(sshd:auth): authentication success; logname= uid=0 tty=ssh user=x
1795859999.100000 web1 sudo[26]:     eve : USER=root ; COMMAND=pam_sss(su:auth): authentication success; user=x
1795859999.100000 web1 sudo[27]: pam_unix(sudo:session): session opened for user root(uid=0) by eve(uid=5)
1795859999.100000 web1 sudo[28]: pam_sss(sudo:auth): authentication failure; logname= uid=5 ruser=e user=x
"""
    assert list(logins.parse_journal(out)) == [
        Login("CORP\\joe", "sshd", "gssapi-with-mic", "2026-11-28"),
        Login("mary ann", "sshd", "publickey", "2026-11-28"),
        Login("jürgen", "sshd", "password", "2026-11-28"),
        Login("carol", "cockpit", "password", "2026-11-28"),
        Login("dave", "login", "password", "2026-11-28"),
        Login("m n", "sudo", "password", "2026-11-28"),
        Login("frank", "sudo-i", "password", "2026-11-28"),
        Login("CORP\\grace", "su", "password", "2026-11-28"),
    ]


def test_journal_shows_whose_security_key_did_not_ask_for_its_pin() -> None:
    end = "rejected: user verification requirement not met "
    out = f"""\
1795859999.100000 web1 sshd[17]: error: public key ED25519-SK SHA256:a+b/c signature for carol from ::1 port 4 {end}
1795859999.100000 web1 sshd-session[1]: error: public key ED25519-SK SHA256:d signature for m n from ::1 port 4 {end}
1795859999.100000 web1 sshd[17]: Accepted publickey for {end} from ::1 port 4
"""
    assert key_denials.denials(lambda _argv: (0, out, ""), 30, 1e9) == [
        ("carol", "SHA256:a+b/c", "2026-11-28"),
        ("m n", "SHA256:d", "2026-11-28"),
    ]


def test_last_shows_who_has_logged_in_over_the_network() -> None:
    out = """\
alice    pts/0        192.0.2.7        2026-11-28T13:00:00+00:00   still logged in
bob      ssh          web2             2026-11-27T13:00:00+00:00 - 2026-11-27T14:00:00+00:00  (01:00)
carol    tty1                          2026-11-27T13:00:00+00:00 - down                       (01:00)
dave     :0           :0               2026-11-27T13:00:00+00:00 - down                       (01:00)
reboot   system boot  6.1.0-9-amd64    2026-11-27T13:00:00+00:00   still running

wtmp begins 2026-11-01T00:00:00+00:00
"""
    assert list(logins.parse_last(out)) == [
        Login("alice", "sshd", "", "2026-11-28"),
        Login("bob", "sshd", "", "2026-11-27"),
    ]


def test_last_login_of_each_method_is_reported_with_the_latest_first() -> None:
    day = "1795859999.1 web1 sshd[1]: Accepted {} for alice from 192.0.2.7 port 4 ssh2\n"
    told = {
        "journalctl": day.format("password") + day.replace("17958", "17957").format("publickey"),
        "last": "alice pts/0 192.0.2.7 2026-11-28T13:00:00+00:00 still logged in\n",
    }
    asked: list[t.Sequence[str]] = []

    def run(argv: t.Sequence[str]) -> tuple[int, str, str]:
        asked.append(argv)
        return 0, told[argv[2]], ""

    assert logins.seen(run, 30, 1795860000.0).logins == (
        Login("alice", "sshd", "password", "2026-11-28"),
        Login("alice", "sshd", "", "2026-11-28"),
        Login("alice", "sshd", "publickey", "2026-11-27"),
    )
    assert [argv[0] for argv in asked] == ["timeout", "timeout"]
    assert f"--since=@{1795860000 - 30 * 86400}" in asked[0]


@pytest.mark.parametrize(
    ("code", "error", "unread"),
    [(1, "", ""), (127, "not found", ""), (124, "", "not be read in"), (1, "Compiled without", "Compiled without")],
)
def test_unreadable_journal_is_reported(code: int, error: str, unread: str) -> None:
    assert unread in logins.seen(lambda _argv: (code, "", error), 30, 1e9).unread
    assert bool(logins.seen(lambda _argv: (code, "", error), 30, 1e9).unread) == bool(unread)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("# Default settings\nSSHD_OPTS=\n", []),
        ("SSHD_OPTS=-4 # only IPv4\n", ["-4"]),
        ("SSHD_OPTS='-4 -o UsePAM=no'\n", ["-4", "-o", "UsePAM=no"]),
        ("SSHD_OPTS=-4\nSSHD_OPTS=-6\n", ["-6"]),
        ("OPTIONS=-4\n", None),
        # As systemd reads it: with blanks, over several lines, with closed and unclosed quotes.
        ("  SSHD_OPTS = -o UsePAM=no\t\n", ["-o", "UsePAM=no"]),
        ("SSHD_OPTS=-4 \\\n  -o UsePAM=no\n", ["-4", "-o", "UsePAM=no"]),
        ('SSHD_OPTS="-4 \\\n-o UsePAM=no\nOPTIONS=-6\n"\r\nA=b\n', ["-4", "-o", "UsePAM=no", "OPTIONS=-6"]),
        ("SSHD_OPTS='-4\n", ["-4"]),
        ("SSHD_OPTS=-o Banner=/it's\n", ["-o", "Banner=/its"]),
        ('SSHD_OPTS=-o "AllowUsers a b" -4\n', ["-o", "AllowUsers a b", "-4"]),
        ('SSHD_OPTS=\'-4\' "-o \\"UsePAM no\\" "-6\n', ["-4-o", "UsePAM no", "-6"]),
        ("; SSHD_OPTS=-4\n#SSHD_OPTS=-6\nA=b\\\nSSHD_OPTS=-4\n", None),
    ],
)
def test_service_starts_sshd_with_the_last_options_in_its_files(text: str, options: list[str] | None) -> None:
    assert sshd_starts.parse_options(text, "SSHD_OPTS") == options


def test_nested_includes_of_sshd_are_followed(tmp_path: Path) -> None:
    config = f"{tmp_path}/sshd_config"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a.conf").write_text(f"Match User bob\n  Include {tmp_path}/bob.conf\n")
    (tmp_path / "bob.conf").write_text(f"Banner none\nInclude {tmp_path}/site/*.conf {tmp_path}/gone.conf\n")
    found = look.included_by_sshd({config: file(f"UsePAM yes\nInclude {tmp_path}/site/*.conf\n")}, [config])
    assert list(found) == [f"{tmp_path}/site/a.conf", f"{tmp_path}/bob.conf"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.conf", ["a.conf", "b[1].conf", "x*y.conf"]),
        ("[[:alpha:]].conf", ["a.conf"]),
        (r"[\a].conf", ["a.conf"]),
        (r"b\\[1\\].conf", ["b[1].conf"]),
        (r"x\\*y.conf", ["x*y.conf"]),
        (r"\\.h.conf", [".h.conf"]),
        (".*.conf", [".h.conf"]),
        ("[!a].conf", []),
        ("a.conf", ["a.conf"]),
    ],
)
def test_files_that_sshd_includes_are_found_as_sshd_finds_them(tmp_path: Path, pattern: str, names: list[str]) -> None:
    (tmp_path / "s i").mkdir()
    for name in ("a.conf", "b[1].conf", "x*y.conf", ".h.conf"):
        (tmp_path / "s i" / name).write_text("")
    config = "/etc/ssh/sshd_config"
    found = look.included_by_sshd({config: file(f'Include "{tmp_path}/s*/{pattern}"\n')}, [config])
    assert sorted(found) == [f"{tmp_path}/s i/{name}" for name in names]


def test_special_file_is_read_with_its_kind_and_no_content(tmp_path: Path) -> None:
    loop, pipe, plain = (tmp_path / name for name in ("loop", "pipe", "plain"))
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    plain.write_text("text")
    assert read_file(str(loop)) is None
    found = [read_file(str(path)) for path in (tmp_path, pipe, plain)]
    assert [(one.kind, one.content) for one in found if one] == [("directory", ""), ("named pipe", ""), ("", "text")]


def test_process_with_any_name_is_read() -> None:
    environ = b"HOME=/root\0SSH_CONNECTION=192.0.2.9 50000 192.0.2.1 22\0"
    status = "123 (odd) 9 (name) S 77 " + " ".join(map(str, range(5, 22))) + " 4200 " + " ".join("0" * 30)
    found = session.parse_process(1000, environ, status, 100)
    assert found == (1000, 77, 42.0, "192.0.2.9", "odd) 9 (name", 7)
    assert session.parse_process(0, b"", status, 100).ssh_client == ""


def test_people_are_looked_up_one_by_one_where_groups_are_in_a_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """sssd with `ignore_group_members` lists a group without its members."""
    alice = pwd.struct_passwd(("alice", "*", 5002, 5001, "", "/home/alice", "/bin/bash"))
    names = {5001: "people", 5004: "coded"}
    groups = {gid: grp.struct_group((name, "*", gid, [])) for gid, name in names.items()}
    monkeypatch.setattr(grp, "getgrall", lambda: list(groups.values()))
    monkeypatch.setattr(grp, "getgrgid", groups.__getitem__)
    monkeypatch.setattr(os, "getgrouplist", lambda _name, gid: [gid, 5004])
    for line, found in (
        ("group: files systemd", ("people",)),
        ("#group: sss\ngroup:files # sss", ("people",)),
        ("group:  files [SUCCESS=merge] sss systemd", ("people", "coded")),
        ("passwd: files\n group: winbind files", ("people", "coded")),
    ):
        assert nss.groups_of([alice], f"{line}\nshadow: files sss\n") == {"alice": found}


def test_groups_with_the_same_number_use_the_name_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [
        grp.struct_group(values)
        for values in (("first", "x", 70, []), ("second", "x", 70, ["alice"]), ("own", "x", 71, ["alice"]))
    ]
    monkeypatch.setattr(grp, "getgrall", lambda: listed)
    monkeypatch.setattr(grp, "getgrgid", {one.gr_gid: one for one in reversed(listed)}.__getitem__)
    monkeypatch.setattr(grp, "getgrnam", {one.gr_name: one for one in listed}.__getitem__)
    alice = pwd.struct_passwd(("alice", "x", 1001, 71, "", "/home/alice", "/bin/bash"))
    assert nss._groups_listed([alice]) == {"alice": ("own", "first")}
    assert nss.known_as(["first", "second", "own", "gone"]) == {"second": "first"}
