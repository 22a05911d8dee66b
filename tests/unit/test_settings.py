# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import re
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleet.auth.plugins.module_utils._backends import backends
from ansible_collections.fleet.auth.plugins.module_utils._backends.backends import BACKENDS
from ansible_collections.fleet.auth.plugins.module_utils._wanted.options import argument_spec
from ansible_collections.fleet.auth.plugins.module_utils._wanted.secret import decode_secret
from ansible_collections.fleet.auth.plugins.module_utils._wanted.settings import (
    Lockout,
    Settings,
    SettingsError,
    TimeSync,
    User,
)
from unit.builders import KEY, SECRET, options, texts_of


def settings(**changes: t.Any) -> Settings:
    return Settings.from_options(options(**changes), backends.unsupported)


def problems(**changes: t.Any) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        settings(**changes)
    return caught.value.problems


class TestDefaults:
    def test_are_those_of_the_dataclasses(self) -> None:
        assert settings(services=[], require_proof=True, renew="never", guard="warn") == Settings()

    def test_of_suboptions_are_those_of_the_dataclasses(self) -> None:
        given = settings(services=[], require_proof=True, renew="never", guard="warn", lockout={}, time_sync={})
        assert given == Settings()

    def test_turn_sshd_off_and_cockpit_on(self) -> None:
        assert (settings().ssh, settings().services) == (False, ("cockpit",))


def test_the_option_names_every_backend() -> None:
    assert argument_spec()["backend"]["choices"] == list(BACKENDS)


class TestBounds:
    @pytest.mark.parametrize(
        ("option", "low", "high", "unit"),
        [("otp_digits", 6, 8, ""), ("window", 0, 10, " steps")],
    )
    def test_of_an_option_are_reported(self, option: str, low: int, high: int, unit: str) -> None:
        for value in (low - 1, high + 1, -(10**9), 10**9):
            assert problems(**{option: value}) == (f"{option} is {value}; it must be between {low} and {high}{unit}.",)
        for value in (low, high):
            assert getattr(settings(**{option: value}), option) == value

    @pytest.mark.parametrize(
        ("option", "high", "unit"),
        [("attempts", 100, ""), ("unlock_seconds", 604_800, " seconds"), ("count_seconds", 604_800, " seconds")],
    )
    def test_of_the_lockout_are_reported(self, option: str, high: int, unit: str) -> None:
        for value in (0, -1, high + 1):
            told = f"lockout.{option} is {value}; it must be between 1 and {high}{unit}."
            assert problems(lockout={option: value}) == (told,)
        for value in (1, high):
            assert settings(lockout={option: value}).lockout == Lockout(**{option: value})

    @pytest.mark.parametrize(
        ("backend", "digits", "interval", "able"),
        [
            *(("oath", 6, interval, "google_authenticator") for interval in (5, 29, 45, 59)),
            *(("google_authenticator", digits, interval, "oath") for digits in (7, 8) for interval in (30, 60)),
            *((backend, 6, interval, None) for backend in BACKENDS for interval in (-30, 0, 4, 61, 90)),
            *((backend, digits, 45, None) for backend in BACKENDS for digits in (7, 8)),
        ],
    )
    def test_of_codes_depend_on_the_backend(self, backend: str, digits: int, interval: int, able: str | None) -> None:
        unable = f"the {backend} backend ({BACKENDS[backend].MODULE}) cannot" if able else "no backend can"
        assert problems(backend=backend, otp_digits=digits, interval=interval) == (
            f"interval is {interval} seconds and otp_digits is {digits}, which {unable} do. oath can do 6 to 8 digits "
            "for 30 or 60 seconds, google_authenticator can do 6 digits for 5 to 60 seconds."
            + (f" Set backend to {able}." if able else ""),
        )

    @pytest.mark.parametrize(
        ("backend", "digits", "interval"),
        [
            *(("oath", digits, interval) for digits in (6, 7, 8) for interval in (30, 60)),
            *(("google_authenticator", 6, interval) for interval in (5, 29, 30, 45, 60)),
        ],
    )
    def test_of_codes_are_included(self, backend: str, digits: int, interval: int) -> None:
        assert settings(backend=backend, otp_digits=digits, interval=interval).interval == interval

    @pytest.mark.parametrize("seconds", [0.0, -0.5, 30.01, float("inf"), float("nan")])
    def test_of_the_clocks_error_are_reported(self, seconds: float) -> None:
        told = f"time_sync.max_error_seconds is {seconds}; it must be more than 0 and at most 30 seconds."
        assert problems(time_sync={"max_error_seconds": seconds}) == (told,)

    @pytest.mark.parametrize("seconds", [0.001, 30.0])
    def test_of_the_clocks_error_are_included(self, seconds: float) -> None:
        assert settings(time_sync={"max_error_seconds": seconds}).time_sync == TimeSync(True, seconds)

    def test_are_reported_all_at_once(self) -> None:
        told = problems(otp_digits=5, window=11, interval=1, users=[{"name": "a b"}], services=["sshd"])
        assert [sentence.split()[0] for sentence in told] == ["otp_digits", "window", "interval", "users:", "services"]


class TestScope:
    def test_groups_needs_scope_groups(self) -> None:
        told = "scope is groups, but scope_groups is empty; name the groups whose members need a code."
        assert problems(scope="groups") == (told,)
        assert settings(scope="groups", scope_groups=["staff", "staff"]).scope_groups == ("staff",)

    @pytest.mark.parametrize("scope", ["everyone", "enrolled"])
    def test_other_than_groups_rejects_scope_groups(self, scope: str) -> None:
        told = f"scope_groups is given, but scope is {scope}; set scope to groups, or leave scope_groups out."
        assert problems(scope=scope, scope_groups=["staff"]) == (told,)

    def test_groups_must_fit_in_a_line_of_pam(self) -> None:
        names = [f"group-{number:03}" for number in range(81)]
        told = "scope_groups is 809 characters long; a line of PAM holds 800. Name fewer groups."
        assert problems(scope="groups", scope_groups=names) == (told,)
        assert settings(scope="groups", scope_groups=names[1:])

    def test_needs_a_first_factor(self) -> None:
        assert problems(ssh_first_factors=[]) == ("ssh_first_factors is empty; name publickey, password or both.",)

    def test_sorts_its_first_factors(self) -> None:
        assert settings(ssh_first_factors=["password", "publickey"]).ssh_first_factors == ("publickey", "password")


class TestNames:
    @pytest.mark.parametrize(
        ("option", "key"),
        [
            ("users", "name"),
            ("exempt_users", None),
            ("exempt_groups", None),
            ("scope_groups", None),
        ],
    )
    @pytest.mark.parametrize(
        "name",
        [
            "",
            "a b",
            "a:b",
            "a,b",
            "*",
            "a*",
            "!a",
            "-a",
            ".a",
            "../a",
            "a/b",
            "a\nb",
            "a#b",
            "a\\b",
            "é",
            "a" * 258,
            "a$b",
        ],
    )
    def test_must_be_valid_for_pam_sshd_and_files(self, option: str, key: str | None, name: str) -> None:
        scope = "groups" if option == "scope_groups" else "everyone"
        told = problems(**{option: [{key: name} if key else name], "scope": scope})
        by_group = " An account with another name can be exempt by one of its groups; name that group in exempt_groups."
        assert told == (
            f"{option}: {name!r} is a name that PAM, sshd or a file cannot hold; "
            f"use letters, digits, '_', '.', '@' and '-'.{by_group if option in ('users', 'exempt_users') else ''}",
        )

    @pytest.mark.parametrize("name", ["a", "_apt", "first.last", "alice@example.org", "host$", "1", "A-B", "a" * 256])
    def test_of_people_are_accepted(self, name: str) -> None:
        wanted = settings(users=[{"name": name}], exempt_users=[name], exempt_groups=[name])
        assert wanted.users == (User(name),)
        assert wanted.exempt_users == wanted.exempt_groups == (name,)

    @pytest.mark.parametrize("name", ["alice.lock", "bob.new"])
    def test_of_users_must_not_collide_with_the_locks_of_pam_oath(self, name: str) -> None:
        told = (
            f"users: the name {name} collides with the lock files of pam_oath (*.lock, *.new). "
            "Leave the account out, or rename it on the hosts."
        )
        assert problems(users=[{"name": name}]) == (told,)
        assert settings(exempt_users=[name]).exempt_users == (name,)

    def test_of_users_must_be_unique(self) -> None:
        told = "users names alice twice; keep one entry."
        assert problems(users=[{"name": "alice"}, {"name": "bob"}, {"name": "alice"}]) == (told,)

    @pytest.mark.parametrize(
        "name",
        [
            *["common-auth", "common-session", "password-auth", "system-auth", "postlogin", "other", "twofactor"],
            *["", "a b", "../sudo", "a/b", ".hidden", "a" * 65],
        ],
    )
    def test_of_services_must_be_files_that_programs_open(self, name: str) -> None:
        told = (
            f"services: {name!r} is not the name of a PAM service (a file in /etc/pam.d that programs open). Name one "
            "such as sudo, or leave it out."
        )
        assert problems(services=[name]) == (told,)

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("sshd", "services names sshd; set ssh to true instead, which covers keys as well."),
            (
                "login",
                "services names login, the console, which is the way back in when a phone is lost. Leave it out, or "
                "set allow_console to true.",
            ),
        ],
    )
    def test_of_services_must_not_be_covered_by_other_options(self, name: str, expected: str) -> None:
        assert problems(services=[name]) == (expected,)

    def test_of_services_must_be_lower_case(self) -> None:
        assert problems(services=["SoGo"]) == (
            "services: libpam looks up every service in lower case, so no program opens /etc/pam.d/SoGo. Name sogo, "
            "or leave it out.",
        )

    def test_of_services_may_include_the_console_if_allowed(self) -> None:
        assert settings(services=["login"], allow_console=True).services == ("login",)
        assert settings(allow_console=True).services == ("cockpit",)

    @pytest.mark.parametrize("name", ["cockpit", "sudo", "su-l", "polkit-1", "xrdp-sesman"])
    def test_of_services_are_used_once(self, name: str) -> None:
        assert settings(services=[name, name]).services == (name,)


class TestAddresses:
    @pytest.mark.parametrize(
        ("given_address", "kept"),
        [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.0/255.255.255.0", "192.0.2.0/24"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1/128"),
        ],
    )
    def test_are_kept_as_networks(self, given_address: str, kept: str) -> None:
        assert settings(exempt_addresses=[given_address, given_address]).exempt_addresses == (kept,)

    @pytest.mark.parametrize(
        ("value", "what"),
        [
            ("192.0.2", "'192.0.2' does not appear to be an IPv4 or IPv6 network"),
            ("192.0.2.7/24", "192.0.2.7/24 has host bits set"),
            ("example.org", "'example.org' does not appear to be an IPv4 or IPv6 network"),
            ("", "'' does not appear to be an IPv4 or IPv6 network"),
            ("*", "'*' does not appear to be an IPv4 or IPv6 network"),
            ("fe80::1%eth0", "'fe80::1%eth0' has a zone, which sshd and PAM do not compare"),
            ("fe80::1%\nMatch all", "'fe80::1%\\nMatch all' has a zone, which sshd and PAM do not compare"),
        ],
    )
    def test_must_be_addresses_or_networks(self, value: str, what: str) -> None:
        (told,) = problems(exempt_addresses=[value])
        assert told == (
            f"exempt_addresses: {what}; give an address (192.0.2.7) or a network (192.0.2.0/24, 2001:db8::/32)."
        )


class TestSecret:
    @given(st.binary(min_size=16, max_size=32), st.data())
    def test_is_read_as_people_type_it(self, key: bytes, data: st.DataObject) -> None:
        text = base64.b32encode(key).decode()
        if data.draw(st.booleans()):
            text = text.rstrip("=")
        if data.draw(st.booleans()):
            text = text.lower()
        blank = data.draw(st.sampled_from(["", " ", "-", "\n", "  "]))
        assert decode_secret(blank.join(re.findall("..?.?.?", text))) == key

    @pytest.mark.parametrize(
        ("secret", "expected"),
        [
            ("", "is not base32 (letters A to Z and digits 2 to 7)"),
            ("====", "is not base32 (letters A to Z and digits 2 to 7)"),
            (SECRET.replace("G", "0"), "is not base32 (letters A to Z and digits 2 to 7)"),
            (SECRET + "1", "is not base32 (letters A to Z and digits 2 to 7)"),
            (SECRET + "A", "is not base32: characters are missing or too many"),
            (SECRET[:-2], "is not base32: characters are missing or too many"),
            (
                base64.b32encode(KEY[:15]).decode(),
                "holds 15 bytes; it must hold 16 to 32 (RFC 4226 asks for 128 bits at least)",
            ),
            (
                base64.b32encode(KEY + KEY[:13]).decode(),
                "holds 33 bytes; it must hold 16 to 32 (RFC 4226 asks for 128 bits at least)",
            ),
        ],
    )
    def test_is_refused_with_the_problem_and_the_user_but_not_shown(self, secret: str, expected: str) -> None:
        with pytest.raises(SettingsError) as caught:
            settings(users=[{"name": "alice", "secret": secret}])
        assert caught.value.problems == (f"users: the secret of alice {expected}.",)
        if len(secret) > 4:
            assert secret[:8] not in texts_of(caught.value)
        with pytest.raises(ValueError, match=re.escape(expected)) as decoded:
            decode_secret(secret)
        if len(secret) > 4:
            assert secret[:8] not in texts_of(decoded.value)

    def test_is_not_in_the_repr_of_the_settings(self) -> None:
        wanted = settings(users=[{"name": "alice", "secret": SECRET}])
        assert wanted.users[0].secret == KEY
        for text in (repr(wanted), str(wanted), repr(wanted.users[0])):
            assert repr(KEY)[2:-1] not in text
            assert SECRET not in text

    def test_is_not_in_messages_about_other_problems(self) -> None:
        with pytest.raises(SettingsError) as caught:
            settings(users=[{"name": "alice", "secret": SECRET}], window=99)
        assert SECRET not in texts_of(caught.value)
        assert repr(KEY)[2:-1] not in texts_of(caught.value)

    def test_is_the_only_option_that_ansible_does_not_log(self) -> None:
        suboptions = argument_spec()["users"]["options"]
        assert [name for name, spec in suboptions.items() if spec.get("no_log")] == ["secret"]


class TestUsers:
    @pytest.mark.parametrize("label", ["", "a b", "-a", "ü", "a=b", "a" * 65, "a\nb"])
    def test_need_device_and_renewal_names_that_fit_in_a_comment(self, label: str) -> None:
        for wanted in ({"renew": label}, {"recovery_codes": label}, {"devices": [{"name": label}]}):
            (option,) = wanted
            if wanted == {"recovery_codes": ""}:
                continue
            found = problems(users=[{"name": "alice", **wanted}])
            assert found[0].startswith(f"users: {option} of alice has the name {label!r}; use up to 64 letters")

    def test_must_have_each_device_once(self) -> None:
        found = problems(users=[{"name": "alice", "devices": [{"name": "tablet"}, {"name": "tablet"}]}])
        assert found == ("users: the devices of alice have tablet twice; keep one entry.",)

    def test_must_not_have_a_weak_secret_on_any_device(self) -> None:
        found = problems(users=[{"name": "alice", "devices": [{"name": "tablet", "secret": "JBSWY3DP"}]}])
        assert found[0].startswith("users: the secret of alice's device tablet holds 5 bytes;")
        assert "JBSWY3DP" not in found[0]

    def test_may_have_recovery_codes_only_with_a_window(self) -> None:
        users = [{"name": "alice", "recovery_codes": "first"}]
        assert problems(users=users, window=0) == (
            "users: recovery_codes of alice need a window of at least 1. With a smaller one, the oath backend "
            "(pam_oath.so) accepts only the first code. Raise window, or leave recovery_codes out.",
        )
        assert settings(users=users, window=0, backend="google_authenticator").window == 0

    def test_may_have_one_device_if_the_backend_has_one_secret(self) -> None:
        devices: list[dict[str, str]] = [{"name": "tablet"}]
        assert problems(users=[{"name": "alice", "devices": devices}], backend="google_authenticator") == (
            "users: alice has devices, but the google_authenticator backend (pam_google_authenticator.so) has one "
            "secret per user. Leave them out, or set backend to oath.",
        )
        devices[0]["state"] = "absent"
        assert settings(users=[{"name": "alice", "devices": devices}], backend="google_authenticator").users

    def test_are_present_by_default(self) -> None:
        wanted = settings(users=[{"name": "alice"}, {"name": "bob", "state": "absent"}])
        assert wanted.user("alice") == User("alice", present=True)
        assert wanted.user("bob") == User("bob", present=False)
        assert wanted.user("carol") is None
