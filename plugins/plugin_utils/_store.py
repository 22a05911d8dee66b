# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""On the controller: the secrets of users, one file each, encrypted with Ansible's vault.

Every error is an AnsibleLookupError. It names the user and the file, and never repeats the contents of the file.
"""

from __future__ import annotations

import errno
import fcntl
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
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_BLANK = b"\xef\xbb\xbf \t\r\n"
_DAMAGED = (
    "Correct the file, or restore it. If you remove it, a new secret is made, and the user's app needs a new QR code"
)


@dataclass(frozen=True)
class Store:
    """A directory with one file per user.

    vault_secrets: those of the run, by vault id. vault_id: which of them encrypts a new file; the first if None.
    plain: whether new files are in plain text, and existing ones may be.
    """

    directory: Path
    vault_secrets: t.Sequence[tuple[str, VaultSecret]] = field(default=(), repr=False)
    vault_id: str | None = None
    plain: bool = False

    def secret_of(self, user: str) -> str:
        """Return the user's secret in base32, and make one on first use. Of concurrent runs, only one makes it."""
        path = self.path_of(user)
        try:
            if not _exists(path):
                self._make(user, path)
            content = path.read_bytes()
        except OSError as error:
            reason = "it is a link that leads nowhere" if error.errno == errno.ENOENT else error.strerror
            raise AnsibleLookupError(
                f"The secret of {user}, {path}, cannot be read: {reason}. {_advice_to_read(error)}."
            ) from None
        return self._read(user, path, content)

    def path_of(self, user: str) -> Path:
        """The path of this user's file. A name that could lead out of the store is refused."""
        if not is_account_name(user):
            raise AnsibleLookupError(
                f"{user!r} is not the name of a user; use letters, digits, '_', '.', '@' and '-'. "
                "It names the file in the store of TOTP secrets."
            )
        return self.directory / f"{user}.yml"

    def _make(self, user: str, path: Path) -> None:
        """Put a random secret into the store, whole or not at all. If another run was faster, its secret stays."""
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
                _put_in_place(unfinished, path)
            finally:
                Path(unfinished).unlink(missing_ok=True)
            files.sync_directory(str(path))
        except OSError as error:
            raise AnsibleLookupError(
                f"The new secret of {user}, {path}, cannot be written: {error.strerror}. "
                f"{_advice_to_write(error, self.directory)}, or name another store."
            ) from None

    def _encrypted(self, text: str, user: str, path: Path) -> bytes:
        """The content of a new file: the text, encrypted with Ansible's vault unless the store is plain."""
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
        """The secret in a file of the store, in base32. Raises AnsibleLookupError, without the file's contents."""
        # Editors may have put a byte order mark or blanks before encrypted text. Ansible itself does not skip them.
        bare = content.lstrip(_BLANK)
        encrypted = is_encrypted(bare)
        if encrypted:
            content = self._decrypted(user, path, bare)
        try:
            document, complaint = yaml.load(content, Loader=_Loader), "has no line 'secret: …'"  # noqa: S506 - a safe one
        except _NotOurs as error:
            document, complaint = None, str(error)
        except yaml.MarkedYAMLError as error:
            line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
            document, complaint = None, f"is not YAML{line}"
        except (yaml.YAMLError, ValueError, RecursionError):
            # For example also an impossible date, or a number that is too long.
            document, complaint = None, "is not YAML"
        if not isinstance(document, dict) or "secret" not in document:
            raise AnsibleLookupError(f"The file with the secret of {user}, {path}, {complaint}. {_DAMAGED}.")
        secret = document["secret"]
        if isinstance(secret, str) and is_encrypted(secret):
            secret = _Encrypted(secret.encode())
        if isinstance(secret, _Encrypted):
            encrypted = True
            secret = self._decrypted(user, path, secret.text, alone=True).decode("utf-8", "replace")
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

    def _decrypted(self, user: str, path: Path, content: bytes, *, alone: bool = False) -> bytes:
        """Decrypt a whole file or, if `alone`, the one value in it that is encrypted."""
        if not self.vault_secrets:
            raise AnsibleLookupError(
                f"The secret of {user}, {path}, is encrypted, and this run has no vault secret. {_GIVE_A_VAULT_SECRET}."
            )
        try:
            text: bytes = VaultLib(self.vault_secrets).decrypt(content)
        except AnsibleError:
            header = content.split(b"\n", 1)[0].decode("ascii", "replace").split(";")
            named = f" It was encrypted with the vault id {header[3]}." if len(header) > 3 else ""
            anew = (
                f"encrypt_string writes the line in {path} anew" if alone else f"rekey {path} brings it from old to new"
            )
            raise AnsibleLookupError(
                f"The secret of {user}, {path}, cannot be decrypted with the vault secrets of this run "
                f"({self._vault_ids()}).{named} Give the one that it was encrypted with. If that has changed since, "
                f"ansible-vault {anew}. If it is among them, the file is damaged. {_DAMAGED}."
            ) from None
        return text

    def _vault_ids(self) -> str:
        return ", ".join(vault_id for vault_id, _secret in self.vault_secrets)


class _Encrypted(t.NamedTuple):
    """A value that `ansible-vault encrypt_string` has made."""

    text: bytes


class _NotOurs(ValueError):
    """YAML that has no meaning here, or is ambiguous."""


class _Loader(yaml.SafeLoader):
    """Reads plain YAML, with values that are encrypted with Ansible's vault."""

    def encrypted(self, node: yaml.Node) -> _Encrypted:
        """The value behind !vault."""
        if not isinstance(node, yaml.ScalarNode):
            raise _NotOurs("has a !vault that is not a text")
        text = self.construct_scalar(node).encode()
        if not is_encrypted(text):
            raise _NotOurs("has a !vault that ansible-vault has not made")
        if b"\n" not in text.strip():
            raise _NotOurs(
                "has a !vault that is one line. Write 'secret: !vault |', and below it the lines as ansible-vault made "
                "them"
            )
        return _Encrypted(text)

    def plain(self, node: yaml.ScalarNode) -> t.Any:
        """The value behind !unsafe, which marks a text that is no template. Here no text is one."""
        return self.construct_scalar(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[t.Hashable, t.Any]:
        """A mapping; the key `secret` may occur only once."""
        names = [key.value for key, _value in node.value] if isinstance(node, yaml.MappingNode) else []
        if names.count("secret") > 1:
            raise _NotOurs("has more than one line 'secret: …'")
        return super().construct_mapping(node, deep)

    def get_single_node(self) -> yaml.Node | None:
        """The only document."""
        node = super().get_node() if self.check_node() else None
        if self.check_node():
            raise _NotOurs("has more than one document ('---')")
        return node

    def unknown(self, node: yaml.Node) -> t.NoReturn:
        """Refuse a value with any other tag."""
        tag = node.tag if node.tag.isprintable() else "?"
        raise _NotOurs(f"has the YAML tag {tag[:30]}, which has no meaning here")


for _tag in ("!vault", "!vault-encrypted"):
    _Loader.add_constructor(_tag, _Loader.encrypted)
_Loader.add_constructor("!unsafe", _Loader.plain)
_Loader.add_constructor(None, _Loader.unknown)


def _exists(path: Path) -> bool:
    """Whether there is anything of this name, even a broken link. Raises OSError if that cannot be found out."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _put_in_place(unfinished: str, path: Path) -> None:
    """Give a file its final name. If another run was faster, keep the file that is there."""
    try:
        # Unlike a rename, a link replaces nothing.
        os.link(unfinished, path)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # The file system has no hard links, so runs that make a secret wait for each other.
        with open(path.parent / ".lock", "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _exists(path):
                os.rename(unfinished, path)


def _advice_to_read(error: OSError) -> str:
    """What to do about a file that cannot be read."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return "Let the account that runs Ansible read it, or name another store"
    if error.errno in (errno.EISDIR, errno.ENOENT):
        return "Put the file itself there, or name another store"
    return "Correct that, or name another store"


def _advice_to_write(error: OSError, directory: Path) -> str:
    """What to do about a directory in which no file can be written."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Let the account that runs Ansible write to {directory}"
    if error.errno == errno.EROFS:
        return f"{directory} is mounted read-only. Mount it so that it can be written to"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The file system of {directory} is full. Make room there"
    return "Correct that"
