# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every sshd of a host, however it is started, and every name of an account asks for a code or is named as open."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator

import pytest

from hosts import Host
from login import ssh
from login.backends import GOOGLE, OATH
from login.doors import by_su, counted_wrong_codes
from login.modules import module, options
from login.people import Person, new_person
from login.policy import DROP_INS, WATCHED, assert_off, assert_on, off, somebody

pytestmark = pytest.mark.usefixtures("package")

UNIT_D = "/etc/systemd/system/ssh.service.d"


@pytest.fixture
def person(host: Host) -> Iterator[Person]:
    with somebody(host) as person:
        yield person


@contextlib.contextmanager
def started_with(host: Host, words: str) -> Iterator[str]:
    """Make the unit of sshd start it with these options; yields the path of the file that sets them."""
    path = f"{UNIT_D}/options.conf"
    host.write(path, f"[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D {words}\n")
    host.run("systemctl daemon-reload && systemctl restart ssh")
    try:
        yield path
    finally:
        host.run("rm", "-r", UNIT_D)
        host.run("systemctl daemon-reload && systemctl restart ssh")


def test_options_of_the_unit_apply_and_are_named(host: Host, person: Person) -> None:
    # Without PAM, sshd denies accounts with a locked password, so Ansible's account gets an invalid one instead.
    host.run("usermod", "--password", "*", "ansible")
    with started_with(host, "-o UsePAM=no") as path:
        refused = module(host, "twofactor", options(person))
        assert not refused.ok
        assert f"'-o UsePAM=no' in {path} keeps PAM, and with it the code, out of sshd" in refused.message
        assert "line" not in refused.message
    other = "/etc/ssh/sshd_other"
    host.run(f"grep -v ^Include /etc/ssh/sshd_config >{other}")
    with started_with(host, f"-f {other}") as path:
        refused = module(host, "twofactor", options(person))
        assert f"{other} does not read {DROP_INS} for everyone" in refused.message
        assert_off(person)
        host.run(f"cp /etc/ssh/sshd_config {other} && systemctl reload ssh")
        assert module(host, "twofactor", options(person)).changed
        assert_on(person)
        # What systemd would start is examined as well as what runs.
        host.write(path, f"[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D -f {other} -o UsePAM=no\n")
        host.run("systemctl", "daemon-reload")
        found = module(host, "twofactor_info", options(person))
        assert found["enforced"] == {"sshd": False}
        assert f"'-o UsePAM=no' in {path}" in " ".join(found["refusals"])
    off(host)
    host.run("rm", other)


def test_unit_that_systemd_has_not_read_yet_is_refused(host: Host, person: Person) -> None:
    """Its next start may open what a run has closed, and systemd itself does not notice each new file."""
    drop_in, unit = f"{UNIT_D}/unread.conf", "/etc/systemd/system/ssh.service"
    without_pam = "ExecStart=/usr/sbin/sshd -D -o UsePAM=no"
    try:
        host.write(drop_in, f"[Service]\nExecStart=\n{without_pam}\n")
        refused = module(host, "twofactor", options(person))
        assert f"the files of ssh.service on {host.name} have changed since systemd read them" in refused.message
        assert_off(person)
        host.run("rm", "-r", UNIT_D)
        host.run(f"sed 's|^ExecStart=.*|{without_pam}|' /lib/systemd/system/ssh.service >{unit}")
        refused = module(host, "twofactor", options(person))
        assert f"the files of ssh.service on {host.name} have changed since systemd read them" in refused.message
        host.run("systemctl", "daemon-reload")
        assert f"'-o UsePAM=no' in {unit} keeps PAM" in module(host, "twofactor", options(person)).message
    finally:
        host.run(f"rm -rf {UNIT_D} {unit} && systemctl daemon-reload")
    assert module(host, "twofactor", options(person)).changed
    assert_on(person)
    off(host)


def test_sshd_that_has_not_read_the_files_that_are_there_reads_them(host: Host, person: Person) -> None:
    """As after a backup was put back, or a drop-in was taken away: the files are right, and sshd asks for no code."""
    drop_in, first = f"{DROP_INS}/00-twofactor.conf", f"{DROP_INS}/00-first.conf"
    # What comes next is later by the clock of the file system, too.
    reload = "systemctl reload ssh; until [ /run/sshd.pid -nt /root ]; do sleep 0.1; done; sleep 0.1"

    def assert_only_reload_is_needed(changed: str) -> None:
        assert ssh.gets_in(person.by_key, batch=True)
        found = module(host, "twofactor_info", options(person))
        assert f"sshd on {host.name} has not read its files since {changed} changed" in " ".join(found["drift"])
        assert module(host, "twofactor", options(person))["changes"] == ["reload sshd"]
        assert not person.by_key(batch=True).ok
        assert module(host, "twofactor", options(person)).changed is False

    assert module(host, "twofactor", options(person)).changed
    assert module(host, "twofactor", options(person)).changed is False
    host.run(f"mv {drop_in} /root; {reload}")
    host.run(f"mv /root/00-twofactor.conf {drop_in}")
    assert_only_reload_is_needed(drop_in)
    host.write(first, "Match all\n    AuthenticationMethods publickey\n")
    host.run(f"touch /root; {reload}; rm {first}")
    assert_only_reload_is_needed(DROP_INS)
    assert_on(person)
    off(host)


def test_sshd_without_a_pid_file_reads_changed_files_too(host: Host, person: Person) -> None:
    setting, ours = f"{DROP_INS}/50-pid.conf", f"{DROP_INS}/00-twofactor.conf"
    host.write(setting, "PidFile none\n")
    host.run("systemctl restart ssh && rm -f /run/sshd.pid")
    try:
        assert module(host, "twofactor", options(person)).changed
        assert not module(host, "twofactor", options(person)).changed
        host.run(f"mv {ours} /root/ours && systemctl reload ssh && sleep 2 && mv /root/ours {ours}")
        assert ssh.gets_in(person.by_key, batch=True)
        told = " ".join(module(host, "twofactor_info", options(person))["drift"])
        assert f"sshd on {host.name} has not read its files since {ours} changed" in told
        assert module(host, "twofactor", options(person)).changed
        assert not person.by_key(batch=True).ok
        assert not module(host, "twofactor", options(person)).changed
    finally:
        host.run(f"rm {setting} && systemctl restart ssh")


def test_settings_of_a_port_of_its_own_are_looked_at(host: Host, person: Person) -> None:
    """sshd -T reports nothing if a `Match` has LocalPort, and it is not told a port."""
    setting = f"{DROP_INS}/50-port.conf"
    host.write(setting, f"Match LocalPort {PORT}\n    PasswordAuthentication no\n")
    try:
        assert module(host, "twofactor", options(person, guard="warn")).changed
        assert not module(host, "twofactor", options(person, guard="warn")).changed
        assert_on(person)
        host.write(setting, f"Match LocalPort {PORT + 1}\n    PasswordAuthentication no\n")
        host.run("sh /usr/libexec/fleet-auth/guard; systemctl reload ssh")
        found = module(host, "twofactor_info", options(person, guard="warn"))
        assert (found["enforced"], found["guard"]["alerts"]) == ({"sshd": True}, [])
    finally:
        host.run("rm", setting)


def test_variables_of_systemd_itself_apply(host: Host, person: Person) -> None:
    """Every service has them, and the unit of sshd takes its options from a variable."""
    defaults = "/etc/default/ssh"
    before = host.run("cat", defaults).stdout
    try:
        host.run("sed", "-i", "/SSHD_OPTS/d", defaults)
        assert module(host, "twofactor_info", options(person))["refusals"] == []
        host.run("systemctl", "set-environment", "SSHD_OPTS=-o UsePAM=no")
        refused = module(host, "twofactor", options(person))
        assert "'-o UsePAM=no' in the environment of systemd ('systemctl show-environment') keeps" in refused.message
    finally:
        host.write(defaults, before)
        host.run("systemctl", "unset-environment", "SSHD_OPTS")


@pytest.mark.parametrize("host", ["debian13"], indirect=True)
def test_other_pam_service_of_sshd_is_refused_and_reported_as_not_enforced(host: Host, person: Person) -> None:
    service, drop_in = "/etc/pam.d/sshd-corp", f"{DROP_INS}/50-corp.conf"
    host.run("cp", "/etc/pam.d/sshd", service)
    try:
        host.write(drop_in, f"Match User {person.name}\n  PAMServiceName sshd-corp\n")
        before = host.snapshot(WATCHED)
        refused = module(host, "twofactor", options(person))
        assert f"{drop_in} line 2: PAMServiceName sshd-corp (under" in refused.message
        assert host.snapshot(WATCHED) == before
        host.run("rm", drop_in)
        assert module(host, "twofactor", options(person)).changed
        host.write(drop_in, "PAMServiceName sshd-corp\n")
        host.run("systemctl", "reload", "ssh")
        assert ssh.login(host, person.name, password=person.password).ok
        found = module(host, "twofactor_info", options(person))
        assert found["enforced"] == {"sshd": False}
        assert f"{drop_in} line 1: PAMServiceName sshd-corp" in " ".join(found["refusals"])
    finally:
        host.run("rm", "-f", service, drop_in)
        host.run("systemctl", "reload", "ssh")


@contextlib.contextmanager
def other_name(person: Person) -> Iterator[Person]:
    """A second name of the account, added after two-factor login was turned on."""
    host, name = person.host, f"{person.name}x"
    for path in ("/etc/passwd", "/etc/shadow"):
        host.run("sh", "-c", f"sed -n 's/^{person.name}:/{name}:/p' {path} >>{path}")
    try:
        yield dataclasses.replace(person, name=name)
    finally:
        host.run("sed", "-i", f"/^{name}:/d", "/etc/passwd", "/etc/shadow")


@pytest.mark.backends(OATH, GOOGLE)
def test_other_name_of_an_account_lets_nobody_in_without_a_code(host: Host, person: Person) -> None:
    bystander = new_person(host)
    assert module(host, "twofactor", options(person, services=["su"], scope="enrolled")).changed
    with other_name(person) as other:
        assert not ssh.gets_in(other.by_key, batch=True)
        assert not ssh.gets_in(other.by_password, methods="password")
        assert not ssh.gets_in(other.by_password, "000000")
        assert not by_su(other, other.password, "000000")
        assert_off(bystander)
        refused = module(host, "twofactor", options(person, scope="enrolled"))
        assert f"{other.name} has no credential and would be locked out" in refused.message
    assert_on(person)
    for scope in ({"scope": "groups", "scope_groups": [person.name]}, {"exempt_users": ["ansible", bystander.name]}):
        assert module(host, "twofactor", options(person, **scope)).changed, scope
        with other_name(person) as other:
            assert not ssh.gets_in(other.by_key, "000000"), scope
            assert bystander.by_key(batch=True).ok
    off(host)
    host.run("userdel", "--force", "--remove", bystander.name)


def test_second_name_of_a_group_is_refused(host: Host, person: Person) -> None:
    """If two groups share a number, PAM takes a member of either for a member of both; sshd sees the first one only."""
    first, second, third = (f"{person.name}-{number}" for number in ("first", "second", "third"))
    host.run(f"groupadd --gid 7001 {first} && groupadd --non-unique --gid 7001 {second} && groupadd {third}")
    host.run("usermod", "--append", "--groups", second, person.name)
    other = new_person(host, groups=[third])
    wanted = functools.partial(options, person, other, scope="groups")
    refused = module(host, "twofactor", wanted(scope_groups=[third, second]))
    assert f"scope_groups: {second} on {host.name} is another name of the group {first}" in refused.message
    assert module(host, "twofactor", wanted(scope_groups=[third, first])).changed
    assert_on(person)
    off(host)
    host.run("userdel", "--force", "--remove", other.name)
    for group in (first, second, third):
        host.run("groupdel", group)


CONFIG = "/etc/ssh/sshd_further"
PORT = 2222


@contextlib.contextmanager
def further_sshd(host: Host) -> Iterator[Host]:
    """Run an sshd with its own configuration, which includes no drop-in, on another port."""
    host.run(f"grep -v ^Include /etc/ssh/sshd_config >{CONFIG}; echo 'PidFile none' >>{CONFIG}")
    start = f"systemd-run --unit further --service-type exec /usr/sbin/sshd -D -f {CONFIG} -p {PORT}"
    host.run(start)
    try:
        yield host
    finally:
        host.run(f"systemctl stop further; rm {CONFIG}")


@pytest.fixture
def there(person: Person) -> Iterator[Person]:
    """The same person, logging in at the host's own address and the other port. The host keys are known there."""
    host = dataclasses.replace(person.host, address=person.host.inner_address, port=PORT)
    known_hosts = host.key.with_name("known_hosts")
    before = known_hosts.read_text()
    further = before.replace(f"[{person.host.address}]:{person.host.port}", f"[{host.address}]:{PORT}")
    known_hosts.write_text(before + further)
    yield dataclasses.replace(person, host=host)
    known_hosts.write_text(before)


def test_further_sshd_with_the_configuration_of_the_host_asks_too(host: Host, person: Person, there: Person) -> None:
    words = f"-o Port={PORT} -o PidFile=none"
    host.run(f"systemd-run --quiet --unit odd /usr/sbin/sshd -D {words} -o UsePAM=no")
    try:
        refused = module(host, "twofactor", options(person))
        assert not refused.ok
        assert "'-o UsePAM=no' in the command line of sshd, process " in refused.message
        accepted = module(host, "twofactor_info", options(person, accepted_doors=["sshd:odd.service"]))
        assert accepted["refusals"] == []
        assert {"sshd:odd.service": "open"}.items() <= {one["name"]: one["state"] for one in accepted["doors"]}.items()
    finally:
        host.run("systemctl", "stop", "odd")
    # Options that do not affect who gets in: this sshd asks as the usual one does.
    host.run(f"systemd-run --quiet --unit odd /usr/sbin/sshd -D {words}")
    try:
        assert module(host, "twofactor", options(person)).changed
        assert not there.by_key(batch=True).ok
        assert there.by_password(person.code()).ok
    finally:
        host.run("systemctl", "stop", "odd")


def test_second_sshd_that_the_unit_of_the_host_starts_follows_each_change(
    host: Host, person: Person, there: Person
) -> None:
    """A reload by systemd reaches the first one only. Without pam_systemd, one started by hand is in its unit too."""
    started = f"sudo /usr/sbin/sshd -o Port={PORT} -o PidFile=none"
    assert ssh.login(host, "ansible", key=host.key, batch=True, command=started).ok
    second = f"pgrep -f 'sshd: .* [P]ort={PORT} '"
    assert "ssh.service" in host.run(f"cat /proc/$({second})/cgroup").stdout
    try:
        assert_off(there)
        assert module(host, "twofactor", options(person)).changed
        assert not there.by_key(batch=True).ok
        assert there.by_key(person.code()).ok
        host.run("twofactor-recover")
        assert there.by_key(batch=True).ok
    finally:
        host.run(f"kill $({second})")


def test_sshd_by_another_name_asks_or_is_named(host: Host, person: Person, there: Person) -> None:
    """Up to OpenSSH 9.7, its name is that of its PAM service, so our block does not concern it."""
    called = "/usr/local/sbin/sshd-corp"
    host.run(f"ln -s /usr/sbin/sshd {called}")
    host.run(f"systemd-run --quiet --unit odd {called} -D -o Port={PORT} -o PidFile=none")
    try:
        done = module(host, "twofactor", options(person))
        assert done.changed
        found = {one["name"]: one["state"] for one in module(host, "twofactor_info", options(person))["doors"]}
        let_in = ssh.gets_in(there.by_password)
        assert let_in is (host.release == "debian12")
        assert found.get(called) == ("open" if let_in else None)
        assert (f"{called} on {host.name} (process " in " ".join(done.values.get("warnings", ()))) is let_in
    finally:
        host.run(f"systemctl stop odd; rm {called}")


def test_further_sshd_does_not_count_right_passwords_and_is_covered_on_request(
    host: Host, person: Person, there: Person
) -> None:
    with further_sshd(host):
        done = module(host, "twofactor", options(person))
        assert done.changed
        assert f"{CONFIG} on {host.name} (process " in " ".join(done["warnings"])
        found = module(host, "twofactor_info", options(person, accepted_doors=[CONFIG]))
        assert {CONFIG: "open", "sshd": "covered"}.items() <= {
            one["name"]: one["state"] for one in found["doors"]
        }.items()
        assert found["drift"] == []
        for _attempt in range(2):
            assert not there.by_password(methods="password").ok
        assert counted_wrong_codes(person) == 0
        assert there.by_key(batch=True).ok
        refused = module(host, "twofactor", options(person, sshd_configs=[CONFIG]))
        assert f"{CONFIG} does not read {DROP_INS} for everyone" in refused.message
        host.run(f"sed -i '1i Include {DROP_INS}/*.conf' {CONFIG} && systemctl kill --signal HUP further")
        off(host)
        assert_off(there)
        assert module(host, "twofactor", options(person, sshd_configs=[CONFIG])).changed
        assert not there.by_key(batch=True).ok
        ssh.fresh_step()
        assert_on(there)
        host.run("twofactor-recover")
        assert_off(there)


def test_further_sshd_that_starts_at_boot_is_named_before_it_does(host: Host, person: Person, there: Person) -> None:
    path, link = "/etc/systemd/system/further.service", "/etc/systemd/system/multi-user.target.wants/further.service"
    host.run(f"grep -v ^Include /etc/ssh/sshd_config >{CONFIG}; echo 'PidFile none' >>{CONFIG}")
    listening = f"-D -f {CONFIG} -p {PORT}"
    try:
        for start, door in (
            (f"/usr/sbin/sshd {listening}", CONFIG),
            (f"/bin/sh -c 'exec /usr/sbin/sshd {listening}'", "sshd:further.service"),
        ):
            host.write(path, f"[Unit]\nBefore=sshd.target\n[Service]\nExecStart={start}\n")
            host.run(f"ln -sf {path} {link} && systemctl daemon-reload")
            done = module(host, "twofactor", options(person))
            assert done.ok
            assert f"{door} on {host.name} (further.service) lets people in to a shell" in " ".join(done["warnings"])
            assert {door: "open", "sshd": "covered"}.items() <= {
                one["name"]: one["state"] for one in module(host, "twofactor_info", options(person))["doors"]
            }.items()
            host.run("systemctl", "start", "further")
            assert ssh.gets_in(there.by_key, batch=True)
            host.run("systemctl", "stop", "further")
        # The same by a drop-in of a unit that starts something else.
        host.write(path, "[Service]\nExecStart=/bin/true\n")
        host.write(f"{path}.d/sshd.conf", f"[Service]\nExecStart=\nExecStart=/usr/sbin/sshd {listening}\n")
        host.run("systemctl", "daemon-reload")
        told = " ".join(module(host, "twofactor", options(person))["warnings"])
        assert f"{CONFIG} on {host.name} (further.service) lets people in to a shell" in told
        host.run("rm", "-r", f"{path}.d")
        # Checking the configuration lets nobody in.
        host.write(path, f"[Service]\nExecStart=/usr/sbin/sshd -t -f {CONFIG}\n")
        host.run("systemctl", "daemon-reload")
        assert "warnings" not in module(host, "twofactor", options(person)).values
    finally:
        off(host)
        host.run(f"systemctl stop further; rm -f {link} {path} {CONFIG}; systemctl daemon-reload", check=False)


def test_sshds_of_another_program_files_or_account_are_named_as_open(host: Host, person: Person, there: Person) -> None:
    other, mine, home = "/opt/sshd-other", "/etc/ssh/sshd_mine", f"/home/{person.name}"
    host.run(f"cp /usr/sbin/sshd {other}; grep -v ^Include /etc/ssh/sshd_config >{mine}")
    # An sshd of an ordinary account can use a high port and its own host key, and needs no further rights.
    host.run(
        f"cp /etc/ssh/ssh_host_ed25519_key {home}/key && printf 'HostKey {home}/key\nPidFile none\nUsePAM no\n' "
        f">{home}/config && chown {person.name}: {home}/key {home}/config"
    )
    listening = f"-D -o Port={PORT} -o PidFile=none"
    starts = {
        other: f"systemd-run --quiet --unit odd {other} {listening}",
        "sshd:odd.service": (
            f"systemd-run --quiet --unit odd -p BindPaths={mine}:/etc/ssh/sshd_config /usr/sbin/sshd {listening}"
        ),
        f"sshd:{person.name}": (
            f"systemd-run --quiet --unit odd --uid {person.name} /usr/sbin/sshd -D -f {home}/config -p {PORT}"
        ),
        # With an empty environment, its process title has no room for the command line.
        "sshd:cut.service": (
            f"systemd-run --quiet --unit cut -p RemainAfterExit=yes env -i /usr/sbin/sshd -f {mine} {listening[3:]}"
        ),
    }
    try:
        assert module(host, "twofactor", options(person)).changed
        for door, start in starts.items():
            host.run(start)
            try:
                # The other program uses the host's files, as far as a run can tell.
                assert there.by_key(batch=True).ok is (door != other), door
                done = module(host, "twofactor", options(person))
                assert not done.changed, door
                assert f"{door} on {host.name} (process " in " ".join(done["warnings"])
                assert "Name " not in " ".join(done["warnings"])
                found = module(host, "twofactor_info", options(person, accepted_doors=[door]))
                states = {one["name"]: one["state"] for one in found["doors"]}
                assert (states["sshd"], states[door]) == ("covered", "open")
                assert found["drift"] == []
            finally:
                host.run("systemctl stop odd cut", check=False)
    finally:
        off(host)
        host.run("rm", "-f", other, mine)


@contextlib.contextmanager
def socket_started(host: Host, name: str, port: int, start: str) -> Iterator[str]:
    """A socket that listens without being enabled, and starts this for each connection; yields the service's file."""
    units = "/etc/systemd/system"
    path = f"{units}/{name}@.service"
    host.write(f"{units}/{name}.socket", f"[Socket]\nListenStream={port}\nAccept=yes\n")
    host.write(path, f"[Service]\nExecStart=-{start}\nStandardInput=socket\n")
    host.run(f"systemctl daemon-reload && systemctl start {name}.socket")
    try:
        yield path
    finally:
        host.run(f"systemctl stop {name}.socket; rm {units}/{name}.socket {path}; systemctl daemon-reload")


def test_sshd_that_a_socket_starts_for_each_connection_asks_or_is_named(
    host: Host, person: Person, there: Person
) -> None:
    host.run(f"grep -v ^Include /etc/ssh/sshd_config >{CONFIG}")
    with socket_started(host, "alt", PORT, f"/usr/sbin/sshd -i -f {CONFIG}"):
        done = module(host, "twofactor", options(person))
        assert f"{CONFIG} on {host.name} (alt.socket) lets people in to a shell and files" in " ".join(done["warnings"])
        assert there.by_key(batch=True).ok
        refused = module(host, "twofactor", options(person, sshd_configs=[CONFIG]))
        assert f"{CONFIG} does not read {DROP_INS} for everyone" in refused.message
    # Through a shell, which may start sshd in any way.
    with socket_started(host, "alt", PORT, f"/bin/sh -c 'exec /usr/sbin/sshd -i -f {CONFIG}'"):
        assert there.by_key(batch=True).ok
        found = {one["name"]: one for one in module(host, "twofactor_info", options(person))["doors"]}
        assert (found["sshd:alt.socket"]["state"], found["sshd"]["state"]) == ("open", "covered")
    with socket_started(host, "alt", PORT, "/usr/sbin/sshd -i -o UsePAM=no") as path:
        refused = module(host, "twofactor", options(person))
        assert f"'-o UsePAM=no' in {path} keeps PAM" in refused.message
        accepted = module(host, "twofactor_info", options(person, accepted_doors=["sshd:alt.socket"]))
        assert accepted["refusals"] == []
    # With the host's configuration, it asks as the usual sshd does.
    with socket_started(host, "alt", PORT, "/usr/sbin/sshd -i"):
        assert module(host, "twofactor_info", options(person))["drift"] == []
        assert not there.by_key(batch=True).ok
        ssh.fresh_step()
        assert there.by_password(person.code()).ok
    with socket_started(host, "telnet", 23, "/usr/sbin/in.telnetd"):
        found = {one["name"]: one for one in module(host, "twofactor_info", options(person))["doors"]}
        assert (found["telnetd"]["state"], found["telnetd"]["seen"]) == ("open", "telnet.socket")
    host.run("rm", CONFIG)


def test_account_whose_key_is_valid_only_from_an_address_is_named_before_it_is_locked_out(
    host: Host, person: Person
) -> None:
    name, drop_in = f"{person.name}k", f"{DROP_INS}/50-keys.conf"
    host.run("useradd", name)
    host.run(f"install -D /home/{person.name}/.ssh/authorized_keys /etc/ssh/keys/{name}")
    host.write(drop_in, "Match Address 172.17.0.0/16\n  AuthorizedKeysFile /etc/ssh/keys/%u\n")
    named = f"{name} has no credential and would be locked out of sshd"
    try:
        assert named in module(host, "twofactor", options(person)).message

        # The same through a file included from elsewhere, for this account only, and with a space in the path.
        host.run("mv", "/etc/ssh/keys", "/etc/ssh/keys of people")
        host.write("/etc/ssh/site/keys.conf", f'Match User {name}\n  AuthorizedKeysFile "/etc/ssh/keys of people/%u"\n')
        host.run("cp", "-a", "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.kept")
        host.write(drop_in, "")
        host.run("sh", "-c", "echo 'Include /etc/ssh/site/*.conf' >>/etc/ssh/sshd_config")
        assert named in module(host, "twofactor", options(person)).message
    finally:
        host.run("mv /etc/ssh/sshd_config.kept /etc/ssh/sshd_config", check=False)
        host.run(f"userdel {name}; rm -rf /etc/ssh/keys* /etc/ssh/site {drop_in}")
