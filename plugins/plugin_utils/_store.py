# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""On the controller: the secrets of users, one file each, encrypted by Ansible's own vault.

Every error is an AnsibleLookupError. It names the user and the file, and never repeats what the file holds.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.parsing.vault import VaultLib, VaultSecret, is_encrypted, match_secrets

from ansible_collections.fleet.auth.plugins.module_utils._apply import files
from ansible_collections.fleet.auth.plugins.module_utils._backends.hotp import KEY_BYTES
from ansible_collections.fleet.auth.plugins.module_utils._wanted.bounds import is_account_name
from ansible_collections.fleet.auth.plugins.module_utils._wanted.secret import decode_secret, encode_secret

_GIVE_A_VAULT_SECRET = "Give this run one with --vault-id, --vault-password-file or --ask-vault-pass"  # noqa: S105 - words for a person
_DAMAGED = (
    "Put the file right, or restore it. Removing it makes a new secret: the user's app has to read a new QR code then"
)


@dataclass(frozen=True)
class Store:
    """A directory with one file a user.

    vault_secrets: those of the run, by vault id. vault_id: which of them encrypts a new file, the first if None.
    plain: whether files are written, and may be, in plain text.
    """

    directory: Path
    vault_secrets: t.Sequence[tuple[str, VaultSecret]] = field(default=(), repr=False)
    vault_id: str | None = None
    plain: bool = False

    def secret_of(self, user: str) -> str:
        """Return the user's secret in base32, and make one on first use. Of several that make one, one does."""
        path = self.path_of(user)
        if not os.path.exists(path):
            self._make(user, path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise AnsibleLookupError(
                f"The secret of {user}, {path}, cannot be read: {error.strerror}. Let the account that runs Ansible "
                "read it, or name another store."
            ) from None
        return self._read(user, path, content)

    def path_of(self, user: str) -> Path:
        """Where the file of this user is, a name that cannot lead out of the store."""
        if not is_account_name(user):
            raise AnsibleLookupError(
                f"{user!r} is not the name of a user; use letters, digits, '_', '.', '@' and '-'. "
                "It names the file in the store of TOTP secrets."
            )
        return self.directory / f"{user}.yml"

    def _make(self, user: str, path: Path) -> None:
        secret = encode_secret(secrets.token_bytes(KEY_BYTES))
        content = self._encrypted(f'---\nsecret: "{secret}"\n', user, path)
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, unfinished = tempfile.mkstemp(prefix=f".{user}.", dir=self.directory)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(descriptor)
                # Unlike a rename, a link replaces nothing.
                os.link(unfinished, path)
            except FileExistsError:
                pass  # another run was faster, and its secret is the user's
            finally:
                os.unlink(unfinished)
            files.sync_directory(str(path))
        except OSError as error:
            raise AnsibleLookupError(
                f"The new secret of {user}, {path}, cannot be written: {error.strerror}. Let the account that runs "
                f"Ansible write to {self.directory}, or name another store."
            ) from None

    def _encrypted(self, text: str, user: str, path: Path) -> bytes:
        if self.plain:
            return text.encode()
        if not self.vault_secrets:
            raise AnsibleLookupError(
                f"There is no vault secret to encrypt the new secret of {user}, {path}, with. {_GIVE_A_VAULT_SECRET}, "
                "or pass plain=true to the lookup to keep it in plain text."
            )
        candidates = match_secrets(self.vault_secrets, [self.vault_id]) if self.vault_id else self.vault_secrets
        if not candidates:
            raise AnsibleLookupError(
                f"The new secret of {user}, {path}, cannot be encrypted: vault_id is {self.vault_id}, but this run has "
                f"the vault secrets {self._vault_ids()}. Give it with --vault-id {self.vault_id}@FILE, or name another."
            )
        vault_id, vault_secret = candidates[0]
        encrypted: bytes = VaultLib().encrypt(text, secret=vault_secret, vault_id=vault_id)
        return encrypted

    def _read(self, user: str, path: Path, content: bytes) -> str:
        encrypted = is_encrypted(content)
        if encrypted:
            content = self._decrypted(user, path, content)
        try:
            document = yaml.safe_load(content)
        except (yaml.YAMLError, UnicodeDecodeError):
            document, complaint = None, "is not YAML"
        else:
            complaint = "has no line 'secret: …'"
        if not isinstance(document, dict) or "secret" not in document:
            raise AnsibleLookupError(f"The file with the secret of {user}, {path}, {complaint}. {_DAMAGED}.")
        secret = document["secret"]
        if not isinstance(secret, str):
            raise AnsibleLookupError(f"The secret of {user} in {path} is not a text; put it in quotes.")
        try:
            key = decode_secret(secret)
        except ValueError as error:
            raise AnsibleLookupError(f"The secret of {user} in {path} {error}. {_DAMAGED}.") from None
        if not encrypted and not self.plain:
            raise AnsibleLookupError(
                f"The file with the secret of {user}, {path}, is not encrypted. Encrypt it with "
                f"'ansible-vault encrypt {path}', or pass plain=true to the lookup."
            )
        return encode_secret(key)

    def _decrypted(self, user: str, path: Path, content: bytes) -> bytes:
        if not self.vault_secrets:
            raise AnsibleLookupError(
                f"The secret of {user}, {path}, is encrypted, and this run has no vault secret. {_GIVE_A_VAULT_SECRET}."
            )
        try:
            text: bytes = VaultLib(self.vault_secrets).decrypt(content)
        except AnsibleError:
            raise AnsibleLookupError(
                f"The secret of {user}, {path}, cannot be decrypted with the vault secrets of this run "
                f"({self._vault_ids()}). Give the one that it was encrypted with; if that is among them, the file is "
                f"damaged. {_DAMAGED}."
            ) from None
        return text

    def _vault_ids(self) -> str:
        return ", ".join(vault_id for vault_id, _secret in self.vault_secrets)
