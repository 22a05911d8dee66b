# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible on hosts that ask its own account for a code, through the connection plugin `fleet.auth.ssh_totp`."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import threading
import time
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pyotp
import pytest
import yaml

import hosts
from hosts import Host
from login import ssh
from login.doors import counted_wrong_codes
from login.modules import connections
from login.people import PASSWORD, Person, inventory_path, new_person, playbook, settings
from login.policy import TALLY

pytestmark = pytest.mark.release("debian12")

PLUGIN = "fleet.auth.ssh_totp"
NO_KEY = {"ansible_ssh_private_key_file": "/dev/null"}
BY_PASSWORD = {"ansible_password": PASSWORD, **NO_KEY}
FIRST_FACTOR = pytest.mark.parametrize("first_factor", [{}, BY_PASSWORD], ids=["key", "password"])
PIPELINING = pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "no pipelining"])
NEWEST = max(hosts.RELEASES)
ON_THE_NEWEST = pytest.mark.parametrize("host", [NEWEST], indirect=True)
"""For behaviour of the controller alone; how sshd and PAM of each release answer is covered by the other tests."""

# Tests search for this text everywhere, so it must not occur by chance.
LONG_PASSWORD = "correct horse battery staple"


@dataclasses.dataclass(frozen=True)
class Controller:
    """Ansible as it runs on the controller: its inventory, variables and directories."""

    folder: Path
    control: Path
    people: tuple[Person, ...]
    inventory: Path | None = None
    """If given, used instead of the inventories of the people's hosts."""

    def run(self, *words: str, **variables: t.Any) -> Done:
        """Run an Ansible command; *variables* are added to those for the connection."""
        process = self.start(*words, **variables)
        output = process.communicate(timeout=300)[0]
        return Done(process.returncode, output)

    def start(self, *words: str, **variables: t.Any) -> subprocess.Popen[str]:
        """Start an Ansible command."""
        values = {"ansible_connection": PLUGIN, "ansible_totp_secret": self.people[0].secret, **variables}
        file = self.folder / "variables.json"
        file.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))
        paths = [self.inventory] if self.inventory else [inventory_path(person.host.fleet) for person in self.people]
        inventories = [word for path in paths for word in ("-i", str(path))]
        settings = {
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.control),
        }
        return subprocess.Popen(
            [*words, *inventories, "-e", f"@{file}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **settings},
        )

    def ping(self, *words: str, **how: t.Any) -> Done:
        """Run a module on each host."""
        return self.run("ansible", "fleet", "-m", "ansible.builtin.ping", *words, **how)

    def play(self, tasks: list[dict[str, t.Any]], *words: str, **how: t.Any) -> Done:
        """Run a play of *tasks* on each host."""
        play = [{"hosts": "fleet", "gather_facts": False, "tasks": tasks}]
        path = self.folder / "play.yml"
        path.write_text(json.dumps(play))
        return self.run("ansible-playbook", str(path), *words, **how)


@dataclasses.dataclass(frozen=True)
class Done:
    """The result of an Ansible command."""

    status: int
    output: str

    @property
    def unreachable(self) -> bool:
        """Whether Ansible calls a host unreachable."""
        return self.status == 4 and "UNREACHABLE!" in self.output


@pytest.fixture(scope="module")
def jumper(host: Host) -> Person:
    """A person whom the host, as a jump host, asks for a code."""
    return new_person(host, password=LONG_PASSWORD)


@pytest.fixture(scope="module")
def exempt(host: Host) -> Person:
    """A person who is exempt, so that the key alone gets in."""
    return new_person(host)


@pytest.fixture(scope="module")
def ansible(host: Host, jumper: Person, exempt: Person) -> Iterator[Person]:
    """Ansible's account, on a host that asks it for a code. It is turned on through the connection plugin as well."""
    host.set_password("ansible", PASSWORD)
    person = Person("ansible", host, host.key)
    variables = {"ansible_connection": PLUGIN, "ansible_totp_secret": person.secret}
    done = playbook("enable", host, **settings(person, jumper, exempt_users=[exempt.name]), **variables)
    assert done.ok, done.output
    yield person
    host.run("twofactor-recover")
    host.run("usermod", "--lock", "ansible")


@pytest.fixture
def controller(ansible: Person, tmp_path: Path) -> Iterator[Controller]:
    """A controller without open connections, and a host on which Ansible's account has no used or wrong codes."""
    clear_codes(ansible.host)
    with connections(ansible.host) as control:
        yield Controller(tmp_path, control, (ansible,))


def clear_codes(host: Host, user: str = "ansible") -> None:
    """Clear the used code and the wrong codes of an account."""
    host.run("sed", "-i", r"s/^\(HOTP\S*\s\+\S\+\s\+\S\+\s\+\S\+\).*/\1/", f"/etc/oath/{user}")
    host.run("faillock", "--dir", TALLY, "--user", user, "--reset")


def logins(host: Host, user: str = "ansible") -> int:
    """How often the account has logged in since boot."""
    host.run("journalctl", "--sync")
    said = host.run("journalctl", "--boot", "--output", "cat", "--no-pager").stdout
    return len(re.findall(rf"^Accepted \S+ for {user} ", said, re.MULTILINE))


def wrong_passwords(host: Host) -> int:
    """How many wrong passwords the host has seen since boot."""
    return host.run("journalctl", "--boot", "--output", "cat", "--no-pager").stdout.count("authentication failure;")


def lock(person: Person) -> None:
    """Give wrong codes until the account is locked."""
    for _attempt in range(5):
        assert not person.by_key("000000").ok


@PIPELINING
@FIRST_FACTOR
def test_gets_in_with_a_first_factor_and_a_code(
    controller: Controller, first_factor: dict[str, str], pipelining: bool
) -> None:
    done = controller.ping(ansible_pipelining=pipelining, **first_factor)
    assert done.status == 0, done.output
    assert '"ping": "pong"' in done.output


@pytest.mark.parametrize("transfer", ["sftp", "scp", "piped"])
@pytest.mark.parametrize(
    ("host", "pipelining"),
    # Without pipelining, modules are transferred as files too. That covers both cases for the older releases.
    [*((release, False) for release in hosts.RELEASES), (NEWEST, True)],
    indirect=["host"],
    scope="module",
)
def test_everything_uses_one_login(controller: Controller, transfer: str, pipelining: bool) -> None:
    [person] = controller.people
    before = logins(person.host)
    (controller.folder / "sent").write_text("some text\n")
    done = controller.play(
        [
            {"ansible.builtin.command": "id -un", "become": True, "register": "who"},
            {"ansible.builtin.assert": {"that": ["who.stdout == 'root'"]}},
            {"ansible.builtin.copy": {"src": f"{controller.folder}/sent", "dest": "/tmp/sent", "mode": "0600"}},
            {"ansible.builtin.fetch": {"src": "/tmp/sent", "dest": f"{controller.folder}/fetched", "flat": True}},
            {"ansible.builtin.file": {"path": "/tmp/sent", "state": "absent"}},
        ],
        ansible_pipelining=pipelining,
        ansible_ssh_transfer_method=transfer,
    )
    assert done.status == 0, done.output
    assert (controller.folder / "fetched").read_text() == "some text\n"
    assert logins(person.host) == before + 1


@ON_THE_NEWEST
def test_new_login_waits_for_the_next_code(controller: Controller) -> None:
    [person] = controller.people
    before = logins(person.host)
    ssh.fresh_step(at_least=12)
    step = int(time.time()) // 30
    done = controller.play(
        [
            {"ansible.builtin.ping": {}},
            {"ansible.builtin.meta": "reset_connection"},
            {"ansible.builtin.ping": {}},
        ],
        "-v",
        # A template of a number works like a number, here and in any other option.
        ansible_totp_digits="{{ 6 }}",
    )
    assert done.status == 0, done.output
    assert int(time.time()) // 30 > step
    assert "for the next code" in done.output
    assert logins(person.host) == before + 2
    assert counted_wrong_codes(person) == 0


@ON_THE_NEWEST
def test_next_run_waits_for_the_next_code(controller: Controller) -> None:
    [person] = controller.people
    ssh.fresh_step(at_least=12)
    step = int(time.time()) // 30
    assert controller.ping().status == 0
    end_connections(controller)
    done = controller.ping()
    assert done.status == 0, done.output
    assert int(time.time()) // 30 > step
    assert counted_wrong_codes(person) == 0


@ON_THE_NEWEST
def test_processes_that_log_in_to_one_host_take_turns(controller: Controller) -> None:
    """Two names of one host have a connection each, but share an account."""
    [person] = controller.people
    before = logins(person.host)
    inventory = yaml.safe_load(inventory_path(person.host.fleet).read_text())
    group = inventory["all"]["children"]["fleet"]
    values = group["hosts"].pop(person.host.name)
    for name in ("first", "second"):
        group["hosts"][name] = {**values, "ansible_control_path": f"%(directory)s/{name}"}
    path = controller.folder / "inventory.yml"
    path.write_text(yaml.safe_dump(inventory))
    done = controller.run("ansible", "first,second", "-m", "ansible.builtin.ping", "-i", str(path))
    assert done.status == 0, done.output
    assert done.output.count("pong") == 2
    assert logins(person.host) == before + 2
    assert counted_wrong_codes(person) == 0


@pytest.mark.parametrize("host", ["debian13"], indirect=True)  # the second host has the other release
def test_hosts_that_share_a_secret_take_the_same_code(
    controller: Controller, fleet: Callable[[str], Host], request: pytest.FixtureRequest
) -> None:
    [person] = controller.people
    other = fleet("debian13" if person.host.release == "debian12" else "debian12")
    variables = {"ansible_connection": PLUGIN, "ansible_totp_secret": person.secret}
    twin = Person("ansible", other, other.key, secret=person.secret)
    request.addfinalizer(lambda: playbook("disable", other, twofactor_purge_credentials=True))
    request.addfinalizer(lambda: other.run("twofactor-recover", check=False))
    # The clock of a host that has just started may not be in sync yet.
    policy = settings(twin, exempt_users=[], time_sync={"required": False})
    enabled = playbook("enable", other, **policy, **variables)
    assert enabled.ok, enabled.output
    clear_codes(other)
    both = dataclasses.replace(controller, people=(person, twin))
    ssh.fresh_step(at_least=12)
    started = time.time()
    done = both.ping("--forks", "2")
    assert done.status == 0, done.output
    assert done.output.count("pong") == 2
    assert time.time() // 30 == started // 30


def test_wrong_secret_is_tried_once(controller: Controller) -> None:
    [person] = controller.people
    task = {"ansible.builtin.ping": {}, "ignore_unreachable": True}
    done = controller.play(
        [task, {"ansible.builtin.meta": "reset_connection"}, task],
        ansible_totp_secret=pyotp.random_base32(),
        ansible_ssh_retries=3,
    )
    assert done.output.count("UNREACHABLE!") == 2
    assert "The code was refused." in done.output
    assert "Not tried again in this run." in done.output
    assert counted_wrong_codes(person) == 1


@ON_THE_NEWEST
def test_refused_code_makes_a_host_unreachable(controller: Controller) -> None:
    done = controller.ping(ansible_totp_secret=pyotp.random_base32())
    assert done.unreachable
    assert "ansible_totp_secret" in done.output


@FIRST_FACTOR
def test_locked_account_is_distinguished_from_a_wrong_code(
    controller: Controller, first_factor: dict[str, str]
) -> None:
    [person] = controller.people
    lock(person)
    done = controller.ping(**first_factor)
    assert done.unreachable
    assert "no code was asked for" in done.output
    assert "the code step is closed" in done.output
    assert "faillock --dir" in done.output


def test_wrong_password_costs_no_code(controller: Controller) -> None:
    [person] = controller.people
    done = controller.ping(ansible_password="wrong", ansible_ssh_retries=2, **NO_KEY)
    assert done.unreachable
    assert "the password is wrong" in done.output
    assert counted_wrong_codes(person) == 0
    assert person.by_key(person.code()).ok


def test_wrong_key_is_named(controller: Controller) -> None:
    done = controller.ping(**NO_KEY)
    assert done.unreachable
    assert "accepts no key" in done.output


# OpenSSH has penalties since 9.8.
@pytest.mark.parametrize("host", ["debian13"], indirect=True)
def test_penalised_address_is_distinguished_from_a_locked_account(controller: Controller, host: Host) -> None:
    drop_in = "/etc/ssh/sshd_config.d/01-penalties.conf"
    host.write(drop_in, "PerSourcePenalties authfail:60s min:5s\n")
    # A reload is not over when systemctl returns, and a login that comes before its end costs no penalty.
    host.run("systemctl", "restart", "ssh")
    try:
        assert not controller.people[0].by_key("000000").ok
        done = controller.ping()
    finally:
        host.run("rm", drop_in)
        host.run("systemctl", "restart", "ssh")
    assert done.unreachable
    assert "PerSourcePenalties" in done.output
    assert "nothing was sent" in done.output


@ON_THE_NEWEST
def test_host_that_does_not_answer_is_distinguished_from_a_refusal(controller: Controller) -> None:
    done = controller.ping(ansible_port=1)
    assert done.unreachable
    assert "cannot be reached" in done.output
    assert "Connection refused" in done.output


def test_host_that_boots_is_tried_again(controller: Controller) -> None:
    [person] = controller.people
    person.host.write("/run/nologin", "System is booting up. Unprivileged users are not permitted to log in yet.\n")
    try:
        done = controller.ping()
    finally:
        person.host.run("rm", "/run/nologin")
    assert done.unreachable
    assert "accepts no logins now" in done.output
    assert counted_wrong_codes(person) == 0
    assert controller.ping().status == 0


@ON_THE_NEWEST
@FIRST_FACTOR
def test_connection_that_ends_just_before_it_is_used_is_opened_again(
    controller: Controller, first_factor: dict[str, str]
) -> None:
    """The command that was to use it does not log in by itself, not even with an empty password."""
    [person] = controller.people
    before = wrong_passwords(person.host)
    wrapper = controller.folder / "ssh"
    wrapper.write_text(
        "#!/bin/sh\n"
        'case "$*" in *" -O "* | *BatchMode=no* | *" -G "*) exec ssh "$@" ;; esac\n'
        f"if [ ! -e {controller.folder}/ended ]; then\n"
        f"  touch {controller.folder}/ended\n"
        f"  for socket in {controller.control}/[0-9a-f]*; do ssh -o ControlPath=$socket -O exit any; done\n"
        "fi\n"
        'exec ssh "$@"\n'
    )
    wrapper.chmod(0o755)
    done = controller.ping(ansible_ssh_executable=str(wrapper), **first_factor)
    assert (controller.folder / "ended").exists()
    assert done.status == 0, done.output
    assert counted_wrong_codes(person) == 0
    assert wrong_passwords(person.host) == before


@ON_THE_NEWEST
def test_invalid_secret_is_not_shown(controller: Controller) -> None:
    done = controller.ping("-vvv", ansible_totp_secret="TOOSHORT777")
    assert done.unreachable
    assert "ansible_totp_secret" in done.output
    assert "TOOSHORT777" not in done.output


@ON_THE_NEWEST
def test_connection_that_would_not_persist_is_refused(controller: Controller) -> None:
    [person] = controller.people
    before = logins(person.host)
    done = controller.ping(ansible_ssh_args="-o ControlMaster=no -o ControlPath=none")
    assert done.status != 0
    assert "ControlPersist" in done.output
    assert logins(person.host) == before


@ON_THE_NEWEST
def test_without_a_secret_it_is_plain_ssh(controller: Controller) -> None:
    [person] = controller.people
    done = controller.ping(ansible_totp_secret=None)
    assert done.unreachable
    assert "Permission denied (keyboard-interactive)" in done.output
    assert counted_wrong_codes(person) == 0
    assert controller.ping().status == 0
    assert controller.ping(ansible_totp_secret=None).status == 0


@ON_THE_NEWEST
def test_no_secret_is_where_others_can_read_it(controller: Controller) -> None:
    [person] = controller.people
    person.host.set_password("ansible", LONG_PASSWORD)
    started = time.time()
    process = controller.start(
        *("ansible", "fleet", "-m", "ansible.builtin.ping", "-vvvv"),
        ansible_password=LONG_PASSWORD,
        **NO_KEY,
        ansible_ssh_verbosity=3,
    )
    seen: list[bytes] = []
    files: dict[Path, bytes] = {}
    places = [controller.control, controller.folder / "tmp", Path("/dev/shm")]
    watch = threading.Thread(target=lambda: watch_until_end(process, seen, places, files))
    watch.start()
    output = process.communicate(timeout=120)[0]
    watch.join()
    person.host.set_password("ansible", PASSWORD)
    assert process.returncode == 0, output
    steps = range(int((time.time() - started) // 30) + 2)
    codes = [person.code(at=started, steps=step) for step in steps]
    assert any(b"BatchMode=no" in text for text in seen), "the login itself was not seen"
    for place in (output.encode(), *seen, *files.values()):
        for secret in (person.secret, LONG_PASSWORD, *codes):
            assert not re.search(rb"(?<!\d)" + re.escape(secret).encode() + rb"(?!\d)", place)
    assert {oct(path.stat().st_mode & 0o777) for path in controller.control.iterdir()} == {"0o600"}


@dataclasses.dataclass(frozen=True)
class Behind:
    """Hosts behind a bastion: names of the one host, which ssh's configuration file makes reachable through it."""

    controller: Controller
    host: Host

    def ping(
        self, bastion: Person, user: Person, *names: str, key: str = "", how: str = "", **variables: t.Any
    ) -> Done:
        """Run a module on the hosts *names*, as *user*.

        key: the private key for the bastion. how: the ssh option to use instead of ProxyJump.
        """
        known = [self.host.ssh_options[place + 1] for place, word in enumerate(self.host.ssh_options) if word == "-o"]
        where = f"HostName {self.host.address}\nPort {self.host.port}\nUser {bastion.name}"
        lines = [
            f"Host bastion\n{where}\nIdentityFile {key or bastion.key}",
            "Host web*\nHostName 127.0.0.1\nPort 22",
            f"HostKeyAlias [{self.host.address}]:{self.host.port}\n{how or 'ProxyJump bastion'}",
            "Host *",
            *(setting.replace("=", " ", 1) for setting in known),
        ]
        (self.controller.folder / "config").write_text("\n".join(lines))
        place = {
            "ansible_ssh_common_args": f"-F {self.controller.folder}/config",
            "ansible_ssh_private_key_file": str(user.key),
            "ansible_user": user.name,
        }
        path = self.controller.folder / "behind.json"
        path.write_text(json.dumps({"all": {"hosts": {name: {**place} for name in names}}}))
        controller = dataclasses.replace(self.controller, inventory=path)
        return controller.run("ansible", "all", "-m", "ansible.builtin.ping", "-vvv", **variables)


def test_bastion_and_host_each_get_their_own_codes_and_passwords(
    controller: Controller, jumper: Person, exempt: Person, ansible: Person
) -> None:
    host, behind = ansible.host, Behind(controller, ansible.host)

    def start_over() -> None:
        """Close all connections, and clear used and wrong codes."""
        end_connections(controller)
        for name in (jumper.name, "ansible"):
            clear_codes(host, name)
        for note in controller.control.glob("totp-*"):
            note.unlink()

    def wrong() -> tuple[int, int]:
        return counted_wrong_codes(jumper), counted_wrong_codes(ansible)

    # The host's secret is for that host only: a bastion that asks for a code gets none from it.
    start_over()
    done = behind.ping(jumper, ansible, "web1")
    assert done.unreachable
    assert "a jump host, failed. The host asks for a code" in done.output
    assert "Set ansible_totp_jump_hosts['bastion'].secret." in done.output
    assert wrong() == (0, 0)

    # Codes on the bastion only: one login there, however many hosts are behind it.
    before = logins(host, jumper.name), logins(host, exempt.name)
    mine = {"bastion": {"secret": jumper.secret}}
    done = behind.ping(jumper, exempt, "web1", "web2", ansible_totp_secret=None, ansible_totp_jump_hosts=mine)
    assert done.output.count("SUCCESS =>") == 2, done.output
    assert (logins(host, jumper.name), logins(host, exempt.name)) == (before[0] + 1, before[1] + 2)

    # Codes on the host only.
    start_over()
    done = behind.ping(exempt, ansible, "web1")
    assert done.output.count("SUCCESS =>") == 1, done.output

    # Passwords and codes on both.
    start_over()
    before_passwords = wrong_passwords(host)
    both = {"bastion": {"secret": jumper.secret, "password": LONG_PASSWORD}}
    done = behind.ping(jumper, ansible, "web1", key="/dev/null", ansible_totp_jump_hosts=both, **BY_PASSWORD)
    assert done.output.count("SUCCESS =>") == 1, done.output
    assert wrong() == (0, 0)
    assert wrong_passwords(host) == before_passwords
    assert not [secret for secret in (jumper.secret, LONG_PASSWORD) if secret in done.output]

    # A bastion's wrong secret is tried once, however many hosts are behind it.
    start_over()
    others = {"bastion": {"secret": pyotp.random_base32()}}
    done = behind.ping(jumper, ansible, "web1", "web2", ansible_totp_jump_hosts=others)
    assert done.output.count("UNREACHABLE!") == 2
    assert "Not tried again in this run." in done.output
    assert wrong() == (1, 0)

    # A ProxyCommand has no terminal: it cannot ask, and nobody can answer it.
    start_over()
    by_hand = f"ProxyCommand ssh -F {controller.folder}/config -W %h:%p bastion"
    done = behind.ping(jumper, ansible, "web1", how=by_hand)
    assert done.unreachable
    assert "by a jump host or a ProxyCommand ended" in done.output
    assert wrong() == (0, 0)
    done = behind.ping(exempt, ansible, "web1", how=by_hand)
    assert done.output.count("SUCCESS =>") == 1, done.output


def watch_until_end(
    process: subprocess.Popen[str], seen: list[bytes], places: list[Path], files: dict[Path, bytes]
) -> None:
    """Record the command line and environment of all processes, and the contents of files below *places*."""
    while process.poll() is None:
        for folder in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                try:
                    text = (folder / name).read_bytes()
                except OSError:
                    continue
                if text not in seen:
                    seen.append(text)
        for path in (
            Path(folder, name) for place in places for folder, _folders, names in os.walk(place) for name in names
        ):
            try:
                text = path.read_bytes() if path.is_file() else b""
            except OSError:
                continue
            if text not in files.get(path, b""):
                files[path] = files.get(path, b"") + text


def end_connections(controller: Controller) -> None:
    """Close a controller's connections, as ControlPersist does after some time."""
    # The jump host's connection last, because the connections through it end with it.
    for socket in sorted(controller.control.iterdir(), key=lambda path: path.name.startswith("jump-")):
        if socket.is_socket():
            words = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "any"]
            subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=True)
