# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The store of secrets on the controller, with Ansible's own vault, real files and real processes."""

from __future__ import annotations

import base64
import errno
import multiprocessing
import multiprocessing.synchronize
import os
import re
import stat
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret

import preloaded
from ansible_collections.fleet.auth.plugins.lookup import totp_secret

NAME = "fleet.auth.totp_secret"
SECRET = "NBSWY3DPFQQHO33SNRSCC3DPNZTWK4RB"
TYPED = "nbsw y3dp fqqh o33s nrsc c3dp nztw k4rb"

Secrets = tuple[tuple[str, VaultSecret], ...]
OLD: Secrets = (("default", VaultSecret(b"old password")),)
PROD: Secrets = (("dev", VaultSecret(b"dev password")), ("prod", VaultSecret(b"prod password")))

OPTIONS = yaml.safe_load(totp_secret.DOCUMENTATION)["options"]
constants.config.initialize_plugin_configuration_definitions("lookup", NAME, OPTIONS)


def lookup(store: Path, *users: t.Any, secrets: Secrets = OLD, **options: t.Any) -> list[str]:
    """Look up as Ansible does."""
    loader = DataLoader()
    loader.set_vault_secrets(list(secrets))
    plugin = totp_secret.LookupModule(loader=loader)
    plugin._load_name = plugin.ansible_name = NAME
    return plugin.run(list(users), variables={}, store=str(store), **options)


def refusal(store: Path, *users: t.Any, **options: t.Any) -> str:
    with pytest.raises(AnsibleError) as refused:
        lookup(store, *users, **options)
    error: BaseException | None = refused.value
    texts = ""
    while error:
        texts += f"{error} {error!r} {error.args}"
        error = error.__cause__ or error.__context__
    assert SECRET not in texts
    assert TYPED not in texts
    return str(refused.value)


def decrypted(path: Path, secrets: Secrets = OLD) -> t.Any:
    return yaml.safe_load(VaultLib(secrets).decrypt(path.read_bytes()))


def keep(store: Path, text: str, secrets: Secrets = OLD) -> Path:
    """Put a file for alice into the store, encrypted if there are vault secrets."""
    path = store / "alice.yml"
    path.write_bytes(VaultLib(secrets).encrypt(text) if secrets else text.encode())
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def made(store: Path) -> Path:
    store.mkdir()
    return store


class TestFirstUse:
    def test_makes_a_secret_of_20_bytes_and_keeps_it(self, store: Path) -> None:
        (secret,) = lookup(store, "alice")
        assert len(base64.b32decode(secret)) == 20
        assert lookup(store, "alice") == [secret]
        assert decrypted(store / "alice.yml") == {"secret": secret}

    def test_gives_each_user_a_secret_of_their_own_in_the_order_of_the_terms(self, store: Path) -> None:
        bob, alice = lookup(store, "bob", "alice")
        assert bob != alice
        assert lookup(store, "alice", "bob") == [alice, bob]

    def test_is_readable_only_by_its_owner_and_leaves_nothing_else(self, store: Path) -> None:
        before = os.umask(0)
        try:
            lookup(store / "below", "alice")
        finally:
            os.umask(before)
        assert [path.name for path in (store / "below").iterdir()] == ["alice.yml"]
        assert stat.S_IMODE((store / "below").stat().st_mode) == 0o700
        assert stat.S_IMODE((store / "below" / "alice.yml").stat().st_mode) == 0o600

    def test_uses_the_first_vault_secret_and_names_it_in_the_file(self, store: Path) -> None:
        (secret,) = lookup(store, "alice", secrets=PROD)
        assert (store / "alice.yml").read_text().splitlines()[0] == "$ANSIBLE_VAULT;1.2;AES256;dev"
        assert decrypted(store / "alice.yml", PROD[:1])["secret"] == secret

    def test_uses_the_requested_vault_id(self, store: Path) -> None:
        (secret,) = lookup(store, "alice", secrets=PROD, vault_id="prod")
        assert decrypted(store / "alice.yml", PROD[1:])["secret"] == secret
        assert lookup(store, "alice", secrets=PROD) == [secret]

    def test_is_refused_with_a_vault_id_that_the_run_does_not_have(self, store: Path) -> None:
        message = refusal(store, "alice", secrets=PROD, vault_id="test")
        assert "new secret of alice" in message
        assert "vault_id is test, but this run has the vault secrets dev, prod" in message
        assert not store.exists()

    def test_is_refused_without_a_vault_secret(self, store: Path) -> None:
        message = refusal(store, "alice", secrets=())
        assert f"new secret of alice, {store}/alice.yml" in message
        assert "--vault-id" in message
        assert "plain=true" in message
        assert not store.exists()

    @pytest.mark.parametrize("secrets", [(), OLD])
    def test_is_kept_in_plain_text_on_request(self, store: Path, secrets: Secrets) -> None:
        (secret,) = lookup(store, "alice", secrets=secrets, plain=True)
        assert yaml.safe_load((store / "alice.yml").read_text()) == {"secret": secret}
        assert stat.S_IMODE((store / "alice.yml").stat().st_mode) == 0o600
        assert lookup(store, "alice", secrets=secrets, plain=True) == [secret]

    @pytest.mark.parametrize(
        "name", ["", ".", "..", "../alice", "/etc/alice", "a/b", "a\nb", "a\0b", "al ice", ".alice", "-alice", "ü"]
    )
    def test_is_refused_for_an_invalid_name(self, store: Path, name: str) -> None:
        assert "is not the name of a user" in refusal(store, name)
        assert not store.exists()

    @pytest.mark.parametrize("term", [None, 7, ["alice"], {"name": "alice"}])
    def test_is_refused_for_a_term_that_is_no_text(self, store: Path, term: t.Any) -> None:
        assert "must be the names of users" in refusal(store, term)

    def test_makes_no_secret_if_one_of_the_names_is_invalid(self, store: Path) -> None:
        refusal(store, "alice", "../bob")
        assert not store.exists()


class TestFile:
    @pytest.mark.parametrize(
        "text",
        [
            f"secret: {SECRET}\n",
            f"secret: {TYPED}\n",
            f"---\n# typed off a sheet\nsecret: {TYPED.replace(' ', '-')}\nproven: true\n",
            f"secret: '{SECRET}======'\n",
            f"\ufeff---\r\nsecret: {SECRET}\r\n",
            f"secret: !unsafe {SECRET}\n",
        ],
    )
    def test_is_read_as_people_write_it(self, made: Path, text: str) -> None:
        keep(made, text)
        assert lookup(made, "alice") == [SECRET]

    def test_holds_from_16_to_32_bytes(self, made: Path) -> None:
        for size in (16, 32):
            secret = base64.b32encode(b"x" * size).decode().rstrip("=")
            keep(made, f"secret: {secret}\n")
            assert lookup(made, "alice") == [secret]
        for size in (15, 33):
            path = keep(made, f"secret: {base64.b32encode(b'x' * size).decode().rstrip('=')}\n")
            message = refusal(made, "alice")
            assert f"The secret of alice in {path} holds {size} bytes; it must hold 16 to 32" in message

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            (f"secret: {SECRET}1\n", "is not base32"),
            (f"secret: {SECRET}A\n", "is not base32"),
            ("secret: 23456723456723456723456723456723\n", "is not a text; put it in quotes"),
            ("secret:\n", "is not a text"),
            (f"secrets: {SECRET}\n", "has no line 'secret: …'"),
            (f"- {SECRET}\n", "has no line 'secret: …'"),
            (SECRET, "has no line 'secret: …'"),
            (f"secret: [{SECRET}\n", "is not YAML"),
            (f"secret: {SECRET}\n{SECRET}\n", "is not YAML (line 3)"),
            (f"---\n\tsecret: {SECRET}\n", "is not YAML (line 2)"),
            ("\n", "has no line 'secret: …'"),
            (f"made: 2026-02-31\nsecret: {SECRET}\n", "is not YAML"),
            ("[" * 3000, "is not YAML"),
            (f"secret: {'2' * 5000}\n", "is not YAML"),
            (f"secret: {SECRET}\nsecret: {SECRET[::-1]}\n", "has more than one line 'secret: …'"),
            (f"secret: {SECRET}\n---\nsecret: {SECRET}\n", "has more than one document"),
        ],
    )
    @pytest.mark.parametrize("secrets", [(), OLD], ids=["plain", "encrypted"])
    def test_that_is_wrong_is_refused_with_a_remedy(
        self, made: Path, text: str, complaint: str, secrets: Secrets
    ) -> None:
        path = keep(made, text, secrets)
        before = path.read_bytes()
        message = refusal(made, "alice", secrets=secrets, plain=not secrets)
        assert complaint in message
        assert "alice" in message
        assert str(path) in message
        assert path.read_bytes() == before

    def test_in_plain_text_is_refused_unless_requested(self, made: Path) -> None:
        path = keep(made, f"secret: {SECRET}\n", ())
        message = refusal(made, "alice")
        assert f"the secret of alice, {path}, is not encrypted" in message
        assert f"ansible-vault encrypt {path}" in message
        assert lookup(made, "alice", plain=True) == [SECRET]

    def test_that_is_encrypted_is_read_even_if_plain_text_is_allowed(self, made: Path) -> None:
        keep(made, f"secret: {SECRET}\n")
        assert lookup(made, "alice", plain=True) == [SECRET]

    def test_with_another_password_is_refused_and_stays(self, made: Path) -> None:
        path = keep(made, f"secret: {SECRET}\n")
        before = path.read_bytes()
        message = refusal(made, "alice", secrets=PROD)
        assert f"The secret of alice, {path}, cannot be decrypted" in message
        assert "vault secrets of this run (dev, prod)" in message
        assert f"If that has changed since, ansible-vault rekey {path} brings" in message
        assert path.read_bytes() == before

    def test_with_a_vault_id_that_the_run_does_not_have_is_refused_with_its_name(self, made: Path) -> None:
        lookup(made, "alice", secrets=PROD, vault_id="prod")
        assert "It was encrypted with the vault id prod" in refusal(made, "alice", secrets=OLD)

    @pytest.mark.parametrize("words", [["--name", "secret"], ["--stdin-name", "secret"]])
    @pytest.mark.parametrize("whole", [False, True])
    def test_may_have_only_its_secret_encrypted(self, made: Path, words: list[str], *, whole: bool) -> None:
        (made / "password").write_text("old password\n")
        given = [] if "--stdin-name" in words else [TYPED]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ansible",
                "vault",
                "encrypt_string",
                "--vault-password-file=password",
                *words,
                *given,
            ],
            cwd=made,
            input=f"{SECRET}\n",
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith("secret: !vault |")
        path = keep(made, f"---\n{done.stdout}", OLD if whole else ())
        assert lookup(made, "alice") == [SECRET]
        assert "this run has no vault secret" in refusal(made, "alice", secrets=())
        message = refusal(made, "alice", secrets=OLD if whole else PROD, plain=True) if not whole else ""
        assert whole or f"ansible-vault encrypt_string writes the line in {path} anew" in message

    @pytest.mark.parametrize(
        "form", ["secret: !vault |\n{}", "secret: !vault-encrypted |-\n{}", "secret: |\n{}", "\n{}"]
    )
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    def test_that_is_encrypted_is_read_as_editors_leave_it(self, made: Path, form: str, end: str, mark: str) -> None:
        is_whole = form == "\n{}"
        text = f"secret: {SECRET}\n" if is_whole else SECRET
        encrypted = VaultLib().encrypt(text, secret=OLD[0][1]).decode()
        indent = "" if is_whole else "  "
        lines = form.format("".join(f"{indent}{line}\n" for line in encrypted.splitlines()))
        keep(made, "", ()).write_bytes((mark + lines).replace("\n", end).encode())
        assert lookup(made, "alice") == [SECRET]

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            (
                "secret: !vault >\n  $ANSIBLE_VAULT;1.1;AES256\n  61\n",
                "has a !vault that is one line. Write 'secret: !va",
            ),
            (
                "secret: !vault\n  $ANSIBLE_VAULT;1.1;AES256\n  61\n",
                "has a !vault that is one line. Write 'secret: !va",
            ),
            ("secret: !vault [a]\n", "has a !vault that is not a text"),
            (f"secret: !vault {SECRET}\n", "has a !vault that ansible-vault has not made"),
            (f"secret: !secret {SECRET}\n", "has the YAML tag !secret, which has no meaning here"),
        ],
    )
    def test_with_an_invalid_tag_is_refused_with_the_reason(self, made: Path, text: str, complaint: str) -> None:
        keep(made, text)
        assert complaint in refusal(made, "alice")

    def test_that_is_encrypted_is_refused_without_a_vault_secret(self, made: Path) -> None:
        path = keep(made, f"secret: {SECRET}\n")
        message = refusal(made, "alice", secrets=())
        assert f"The secret of alice, {path}, is encrypted, and this run has no vault secret" in message
        assert "--vault-id" in message

    @pytest.mark.parametrize("secrets", [(), OLD], ids=["plain", "encrypted"])
    def test_that_is_cut_short_anywhere_is_refused_and_stays(self, made: Path, secrets: Secrets) -> None:
        path = keep(made, f'secret: "{SECRET}"\n', secrets)
        whole = path.read_bytes().rstrip()
        for length in range(0, len(whole), 7 if secrets else 1):
            path.write_bytes(whole[:length])
            message = refusal(made, "alice", secrets=secrets, plain=True)
            assert "alice" in message
            assert str(path) in message
            assert path.read_bytes() == whole[:length]

    def test_that_is_a_directory_is_refused(self, made: Path) -> None:
        (made / "alice.yml").mkdir()
        message = refusal(made, "alice")
        assert f"The secret of alice, {made}/alice.yml, cannot be read: Is a directory. Put the file" in message

    def test_that_is_a_link_to_nowhere_is_refused(self, made: Path) -> None:
        (made / "alice.yml").symlink_to(made / "gone")
        message = refusal(made, "alice")
        assert f"The secret of alice, {made}/alice.yml, cannot be read: it is a link that leads nowhere" in message
        assert [path.name for path in made.iterdir()] == ["alice.yml"]


class TestDirectory:
    def test_that_ansible_reads_as_an_inventory_is_warned_about(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        warned: list[str] = []
        monkeypatch.setattr(totp_secret.display, "warning", warned.append)
        inventory = tmp_path / "inventory"
        for store in (inventory / "totp_secrets", tmp_path / "totp_secrets"):
            store.mkdir(parents=True)
            totp_secret.LookupModule._warn_of_inventories(store, {"ansible_inventory_sources": [str(inventory)]})
        (one,) = warned
        assert f"The store {inventory}/totp_secrets is in the directory of the inventory {inventory}" in one
        assert f"such as to {tmp_path}/totp_secrets, and set twofactor_store to that." in one

    @pytest.mark.parametrize("empty", ["", " "])
    def test_with_an_empty_name_is_refused_and_gets_no_new_secrets(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: str
    ) -> None:
        """An empty path would mean the directory where Ansible was started."""
        monkeypatch.chdir(tmp_path)
        plugin = totp_secret.LookupModule(loader=DataLoader())
        plugin._load_name = plugin.ansible_name = NAME
        with pytest.raises(AnsibleError, match="twofactor_store, or what sets it, is empty"):
            plugin.run(["alice"], variables={}, store=empty, plain=True)
        monkeypatch.setenv("FLEET_AUTH_STORE", empty)
        with pytest.raises(AnsibleError, match="twofactor_store, or what sets it, is empty"):
            plugin.run(["alice"], variables={}, plain=True)
        assert not list(tmp_path.iterdir())

    def test_in_a_mistyped_option_is_refused_and_gets_no_new_secrets(self, tmp_path: Path) -> None:
        """The mistyped option would be ignored, and another store be used, in which nobody has a secret yet."""
        told = refusal(tmp_path / "store", "alice", stroe="/srv/secrets")
        assert told.startswith("The lookup fleet.auth.totp_secret has no option stroe. Its options are plain, store, ")
        assert not list(tmp_path.iterdir())

    def test_that_cannot_be_made_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        message = refusal(tmp_path / "file" / "store", "alice")
        assert "secret of alice" in message
        assert "Not a directory" in message

    def test_that_cannot_be_written_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder)
            made.chmod(0o555)
            if os.geteuid() == 0:
                # Root may write to any directory; other accounts may not.
                os.seteuid(65534)
            try:
                message = refusal(made, "alice")
            finally:
                os.seteuid(os.getuid())
            assert f"The new secret of alice, {made}/alice.yml, cannot be written: Permission denied" in message
            assert f"Let the account that runs Ansible write to {made}" in message
            assert list(made.iterdir()) == []

    def test_that_cannot_be_looked_into_is_refused_and_gets_no_second_secret(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder, "store")
            lookup(made, "alice")
            made.chmod(0o000)
            if os.geteuid() == 0:
                os.seteuid(65534)
            try:
                message = refusal(made, "alice")
            finally:
                os.seteuid(os.getuid())
                made.chmod(0o700)
            assert f"The secret of alice, {made}/alice.yml, cannot be read: Permission denied" in message

    @pytest.mark.parametrize(
        ("number", "advice"),
        [
            (errno.EROFS, "is mounted read-only. Mount it so that it can be written to"),
            (errno.ENOSPC, "is full. Make room there"),
            (errno.EIO, "name another store"),
        ],
    )
    def test_that_cannot_hold_a_new_file_says_why(
        self, made: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
    ) -> None:
        def fails(*_arguments: t.Any, **_options: t.Any) -> t.NoReturn:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(tempfile, "mkstemp", fails)
        message = refusal(made, "alice")
        assert f"cannot be written: {os.strerror(number)}" in message
        assert advice in message
        assert "Let the account" not in message


def _race(store: Path, start: multiprocessing.synchronize.Barrier, results: t.Any, plain: bool) -> None:
    start.wait()
    results.put(lookup(store, "alice", plain=plain)[0])


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("links", [True, False], ids=["", "no-hard-links"])
def test_runs_side_by_side_make_one_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: bool, links: bool
) -> None:
    def link(*_paths: t.Any) -> t.NoReturn:
        raise PermissionError(errno.EPERM, "Operation not permitted")  # the error on vfat and some network file systems

    if not links:
        monkeypatch.setattr(os, "link", link)
    processes = multiprocessing.get_context("fork")
    for number in range(8):
        store, start, results = tmp_path / str(number), processes.Barrier(8), processes.SimpleQueue()
        runs = [processes.Process(target=_race, args=(store, start, results, plain)) for _run in range(8)]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
        assert [run.exitcode for run in runs] == [0] * 8
        assert {results.get() for _run in runs} == set(lookup(store, "alice", plain=plain))
        assert sorted(path.name for path in store.iterdir()) == [*[".lock"] * (not links), "alice.yml"]


def test_playbook_gets_one_secret_for_all_hosts_with_password_file_and_vault_id(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("of the file\n")
    (tmp_path / "other").write_text("of another file\n")
    (tmp_path / "hosts").write_text("".join(f"web{number} ansible_connection=local\n" for number in range(4)))
    (tmp_path / "play.yml").write_text(
        """
- hosts: all
  gather_facts: false
  vars:
    twofactor_store: "{{ lookup('env', 'PWD') }}/kept"
    secrets: "{{ lookup('fleet.auth.totp_secret', 'alice', 'bob', wantlist=true) }}"
  tasks:
    - ansible.builtin.debug:
        msg: "{{ secrets | join(' ') }}"
"""
    )

    def play(*arguments: str) -> set[str]:
        words = ["ansible-playbook", "-i", "hosts", "--forks=4", "play.yml", *arguments]
        done = preloaded.run(*words, cwd=tmp_path, PWD=str(tmp_path))
        assert done.returncode == 0, done.stdout + done.stderr
        found = re.findall(r'^ok: \[web\d\] => \{\n    "msg": (.*)\n\}$', done.stdout, re.MULTILINE)
        assert len(found) == 4
        return set(found)

    first = play("--vault-password-file=password", "--check")
    assert len(first) == 1
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["alice.yml", "bob.yml"]
    assert play("--vault-id=other@other", "--vault-id=prod@password") == first


def test_documentation_names_every_option_with_its_type() -> None:
    assert {name: option["type"] for name, option in OPTIONS.items()} == {
        "_terms": "list",
        "store": "path",
        "vault_id": "str",
        "plain": "bool",
    }
