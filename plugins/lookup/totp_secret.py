# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: totp_secret
short_description: The TOTP secret of a user, from a store on the controller
version_added: 1.0.0
author:
  - The fleet.auth contributors (@fleet-auth)
description:
  - Reads the secret of a user from the file C(USER.yml) in the store, a directory on the controller.
  - If there is no such file yet, the lookup makes a secret of 20 random bytes and keeps it there. So a user has the
    same secret on every host, and needs one entry in an app for all of them.
  - Ansible Vault encrypts the whole file, with a vault secret of the run (C(--vault-id), C(--vault-password-file),
    C(--ask-vault-pass)). C(ansible-vault view), C(ansible-vault edit) and C(ansible-vault rekey) work on it. A file in
    which only the secret is encrypted, as C(ansible-vault encrypt_string --name secret) writes it, can be read as well.
  - The decrypted file is YAML with one key, C(secret), in base32 (RFC 4648), 16 to 32 bytes (RFC 4226 section 4
    requires at least 128 bits). Spaces, hyphens, lower case and missing padding are accepted, so a secret can be typed
    in. Anything else is an error, whose text does not repeat the secret. Other keys are ignored.
options:
  _terms:
    description:
      - The names of users. Each is also a file name, so only letters, digits, V(_), V(.), V(@) and V(-) are accepted.
    type: list
    elements: str
    required: true
  store:
    description:
      - The directory, made on first use with mode 0700. Its files have mode 0600.
      - A relative path starts where Ansible was started. In a configuration file, it starts at the directory of that
        file.
      - It must not be in a directory that is given as the inventory, because Ansible reads all files there as
        inventories.
    type: path
    default: totp_secrets
    vars:
      - name: twofactor_store
    env:
      - name: FLEET_AUTH_STORE
    ini:
      - section: fleet_auth
        key: store
  vault_id:
    description:
      - The vault id of the vault secret that encrypts a new file. The default is the first one of the run.
      - A vault id that the run does not have is refused. Any vault secret of the run may decrypt an existing file.
    type: str
    vars:
      - name: twofactor_store_vault_id
    env:
      - name: FLEET_AUTH_STORE_VAULT_ID
    ini:
      - section: fleet_auth
        key: store_vault_id
  plain:
    description:
      - Whether new files are written in plain text, and files in plain text are accepted.
      - Without it, both are refused. It can be set only in the call of the lookup.
    type: bool
    default: false
notes:
  - The lookup works the same in check mode, because Ansible's lookups do not know about check mode. A secret that is
    made in a run with C(--check) is therefore the one that the next run puts on the hosts.
  - Parallel runs, and parallel hosts in one run, make only one secret for a user. If the file system of the store does
    not support hard links, they wait for each other with a lock on the file C(.lock) in the store.
  - The lookup never changes an existing file. If you remove one, the next run makes a new secret, and the user's app
    has to scan a new QR code.
  - Use the secret only in tasks with C(no_log=true), or in options that hide it, as
    O(fleet.auth.twofactor#role:main:twofactor_users) does.
seealso:
  - plugin: fleet.auth.otpauth_uri
    plugin_type: filter
"""

EXAMPLES = r"""
# inventory/group_vars/all.yml
# One secret per person for the whole fleet:
#   ansible-playbook fleet.auth.enable -i inventory --vault-id fleet@prompt
twofactor_store: "{{ inventory_dir | dirname }}/totp_secrets"
twofactor_users:
  - name: alice
    secret: "{{ lookup('fleet.auth.totp_secret', 'alice') }}"
  - name: bob
    secret: "{{ lookup('fleet.auth.totp_secret', 'bob') }}"
"""

RETURN = r"""
_raw:
  description: The secret of each user in base32, in upper case and without padding.
  type: list
  elements: str
  sample: [JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP]
"""

import os
import typing as t
from pathlib import Path

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ansible_collections.fleet.auth.plugins.plugin_utils._store import Store

if t.TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar

display = Display()


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        for unknown in sorted(kwargs.keys() - self.option_definitions.keys()):
            known = ", ".join(sorted(self.option_definitions.keys() - {"_terms"}))
            raise AnsibleLookupError(
                f"The lookup fleet.auth.totp_secret has no option {unknown}. Its options are {known}. Correct the name."
            )
        rendered = self._rendered(variables or {})
        _see_that_it_is_named(kwargs.get("store"), rendered.get("twofactor_store"), os.environ.get("FLEET_AUTH_STORE"))
        self.set_options(var_options=rendered, direct=kwargs)
        store = Store(
            Path(self.get_option("store")),
            vault_secrets=t.cast("DataLoader", self._loader)._vault.secrets or (),
            vault_id=self.get_option("vault_id"),
            plain=self.get_option("plain"),
        )
        self._warn_of_inventories(Path(self.get_option("store")), variables or {})
        for term in terms:
            if not isinstance(term, str):
                raise AnsibleLookupError(
                    f"The terms of fleet.auth.totp_secret must be the names of users; one is of type "
                    f"{type(term).__name__}."
                )
            store.path_of(term)
        return [store.secret_of(user) for user in terms]

    @staticmethod
    def _warn_of_inventories(store: Path, variables: t.Mapping[str, t.Any]) -> None:
        """Warn if Ansible takes the files of the store for inventories; it warns about each that it cannot read."""
        for source in map(Path, variables.get("ansible_inventory_sources") or ()):
            if source.is_dir() and store.resolve().is_relative_to(source.resolve()):
                beside = source.resolve().parent / store.name
                display.warning(
                    f"The store {store} is in the directory of the inventory {source}, where Ansible reads each file "
                    f"as an inventory. Move it beside that directory, such as to {beside}, and set twofactor_store to "
                    "that."
                )

    def _rendered(self, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """The variables that set an option, templated. Ansible gives them to lookups untemplated."""
        names = [entry["name"] for option in self.option_definitions.values() for entry in option.get("vars", [])]
        templar = t.cast("Templar", self._templar)
        return {name: templar.template(variables[name]) for name in names if name in variables}


def _see_that_it_is_named(*given: t.Any) -> None:
    """Raise AnsibleLookupError if the first of these that is set, and so names the store, is empty.

    Ansible would use the directory in which it was started. It has no secrets, so everybody would get new ones.
    """
    first = next((one for one in given if one is not None), "the default")
    if isinstance(first, str) and not first.strip():
        raise AnsibleLookupError(
            "The store of TOTP secrets has no name: twofactor_store, or what sets it, is empty. Name its directory, or "
            "leave that out for totp_secrets."
        )
