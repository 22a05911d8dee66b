# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes an ordered list of changes, or refusals, from the wanted state and the state of a host. Pure.

The order makes the changes safe: after each one, logins follow either the old policy or the new one. sshd sends
accounts to PAM before PAM asks them for a code, and keeps sending them until PAM no longer asks. One file decides
whether PAM asks: the switch, which a rename puts in place for all services at once.
"""

from __future__ import annotations

from .._backends.credential import MakeKey
from . import enable
from .changes import Plan
from .people import Sentence
from .situation import Situation


def plan(situation: Situation, make_key: MakeKey) -> Plan:
    """Decide what brings the host to the wanted state. `make_key` makes keys for people who have none."""
    raw_plan = _plan(situation, make_key)

    def named(sentence: str) -> str:
        text = situation.settings.named(sentence)
        return Sentence(text, sentence.users) if isinstance(sentence, Sentence) else text

    return raw_plan._replace(
        refusals=tuple(map(named, raw_plan.refusals)), warnings=tuple(map(named, raw_plan.warnings))
    )


def _plan(situation: Situation, make_key: MakeKey) -> Plan:
    if situation.settings.enabled:
        return enable.plan(situation, make_key)
    # Imported only if two-factor login is to be off, which saves compiling it on other hosts.
    from . import disable

    return disable.plan(situation)
