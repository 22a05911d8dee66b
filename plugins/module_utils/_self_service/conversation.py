# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people may do by themselves: requests and answers over one connection, one line of JSON each.

The kernel says whose connection it is. The account is never part of a request, so nobody can act for somebody else. A
new key exists only in this conversation until a code of it was right. If the conversation breaks, the old key stays.
"""

from __future__ import annotations

import json
import re
import typing as t
import urllib.parse
from dataclasses import replace

from .._backends import backends
from .._backends.credential import Clock, Credential, CredentialError
from .._backends.hotp import KEY_BYTES
from .._texts.code_step import CodeStep
from .._texts.invitation import LONGEST_TYPED, Invitation
from .._wanted.secret import encode_secret
from .._wanted.settings import Device, Settings, User
from . import pam_client

REQUEST_BYTES = 4096
NAME = "self-service"
"""The name of a set of recovery codes that somebody made here, and of the first spare device."""
_SPARES = (NAME, *(f"{NAME}-{number}" for number in range(2, 6)))
"""The names of the spare devices that somebody may add here."""
PLACES = ("cockpit", "terminal")
"""Where people make a credential alone, as their client says. It is noted together with the day."""
_REQUESTS = {"status": {"do"}, "begin": {"do", "what", "place", "code", "invitation"}, "prove": {"do", "code"}}
OFF = "Two-factor login is off on this host. Log in without a code."
_WAITS = (
    "Two-factor login is set up, but not in force for you yet. Tell your administrator that it was you who set it up: "
    "codes are asked for once that is accepted and the playbook has run."
)
"""Said to people who enrolled alone and whose credential nobody has accepted yet."""
_UNTIL_PROVEN = {
    "enrol": "Two-factor login is not set up yet.",
    "renew": "Your old key still works, and the new one does not yet.",
    "device": "The spare device is not added yet.",
}
"""The state as long as no code of a new key was right, by action."""
ACTIONS = ("enrol", "renew", "device", "recovery-codes")


class Refusal(Exception):
    """A request is refused. The text says why, in words for the person."""


def parse_request(line: bytes) -> dict[str, str]:
    """Read a request. Raises Refusal for anything that is not exactly one request."""
    try:
        request = json.loads(line.decode("utf-8")) if len(line) <= REQUEST_BYTES and line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        request = None
    if (
        not isinstance(request, dict)
        or not all(isinstance(value, str) for value in request.values())
        or _REQUESTS.get(request.get("do", "")) != set(request)
        or (request["do"] == "begin" and not (request["what"] in ACTIONS and request["place"] in PLACES))
    ):
        raise Refusal("This is not a request.")
    if len(request.get("invitation", "")) > LONGEST_TYPED:
        raise Refusal("This is not an invitation.")
    if not re.fullmatch(r"[0-9]{0,8}", request.get("code", ""), re.ASCII):
        raise Refusal("A code has only digits.")
    return request


class _Pending(t.NamedTuple):
    """A new key of which no code was right yet, and the keys that existed when it was made."""

    what: str
    place: str
    key: bytes
    existing_keys: frozenset[bytes]
    invitation: Invitation | None
    """The invitation whose code was right."""


class Host(t.Protocol):
    """What a conversation needs from the host."""

    name: str

    def code_step(self) -> CodeStep:
        """The code step as it is now."""

    def settings(self) -> Settings | None:
        """The form of codes and the backend that asks for them, or None if two-factor login is off."""

    def asks(self) -> bool:
        """Whether any service asks for codes."""

    def groups(self, user: str) -> t.Collection[str]:
        """The groups of an account."""

    def has_given_secret(self, user: str) -> bool:
        """Whether the administrator gives this account its secret."""

    def credential(self, user: str) -> str | None:
        """The text of the credential file."""

    def invitation(self, user: str) -> Invitation | None:
        """The invitation of an account, unless its time is over."""

    def try_invitation(self, user: str, typed: str) -> bool:
        """Whether this is the code of an account's invitation. If not, it has one try less. Raises OSError."""

    def check(self, user: str, code: str) -> pam_client.Answer:
        """Ask the code step. A right code is used up, and a wrong one is counted."""

    def revise(self, user: str, new: t.Callable[[str | None], str]) -> None:
        """Write the credential that `new` makes of the existing one. Raises Refusal or OSError.

        If there is none yet, the invitation of the account is used up.
        """

    def make_key(self, length: int) -> bytes:
        """A new key."""

    def picture(self, text: str) -> str:
        """A text as a QR code, in SVG. Empty if it could not be drawn; the key must then be typed."""

    def clock(self) -> Clock:
        """The time."""

    def log(self, text: str) -> None:
        """Log what was done."""


class Conversation:
    """One connection of one person."""

    def __init__(self, host: Host, user: str) -> None:
        self._host = host
        self._user = user
        self._pending: _Pending | None = None

    def answer(self, line: bytes) -> dict[str, t.Any]:
        """Carry out a request, and return the answer."""
        try:
            request = parse_request(line)
            if request["do"] == "status":
                return {"ok": True, **self._status()}
            if request["do"] == "begin":
                return {"ok": True, **self._begin(**{name: request[name] for name in request if name != "do"})}
            return {"ok": True, **self._prove(request["code"])}
        except Refusal as refusal:
            return {"ok": False, "message": str(refusal)}
        except (OSError, CredentialError):
            self._host.log(f"{self._user}: the credential cannot be read or written")
            return {"ok": False, "message": "This did not work, and nothing was changed. Tell your administrator."}

    def _status(self) -> dict[str, t.Any]:
        """The first answer that a person needs: who they are, what they have, and what they may do."""
        settings = self._host.settings()
        credential = self._credential(settings)
        may, message = self._rights(settings, credential)
        return {
            "user": self._user,
            "host": self._host.name,
            "enrolled": bool(credential.apps),
            "may": may,
            "message": message,
            "invited": bool(may) and not credential.apps and self._host.invitation(self._user) is not None,
            "digits": settings.otp_digits if settings else None,
            "devices": [app.name for app in credential.apps if app.name],
            "recovery_codes_left": credential.recovery_codes_left,
        }

    def _credential(self, settings: Settings | None) -> Credential:
        return self._read(settings, self._host.credential(self._user)) if settings else Credential(())

    def _read(self, settings: Settings, text: str | None) -> Credential:
        try:
            return Credential(()) if text is None else backends.BACKENDS[settings.backend].read(text, self._user)
        except CredentialError:
            raise Refusal("The file with your key on this host is damaged. Tell your administrator.") from None

    def _rights(self, settings: Settings | None, credential: Credential) -> tuple[list[str], str]:
        """The actions that the person may take, and a message about the state."""
        if settings is None:
            return [], OFF
        found = self._host.code_step().standing(self._user, self._host.groups(self._user))
        if found == "exempt":
            return [], "Your account needs no code on this host. Log in without one."
        if not credential.apps:
            invitation = self._host.invitation(self._user)
            if invitation:
                return self._rights_of_invited(invitation)
            if found == "asked" and self._host.asks():
                return [], "Your account needs a code here, and has no key for it. Ask your administrator for one."
            return ["enrol"], "You have not set up two-factor login yet."
        waits = credential.self_made and (found == "free" or not self._host.asks())
        if found == "free":
            return [], _WAITS if waits else (
                "Two-factor login is set up. Keep the app: codes are asked for once your administrator has run the "
                "playbook."
            )
        able = backends.BACKENDS[settings.backend]
        more = ["device"] * able.DEVICES + ["recovery-codes"] * (settings.window >= able.RECOVERY_WINDOW)
        if self._host.has_given_secret(self._user):
            return more, "Two-factor login is set up. For another key, ask your administrator."
        return ["renew", *more], _WAITS if waits else "Two-factor login is set up."

    def _rights_of_invited(self, invitation: Invitation) -> tuple[list[str], str]:
        """The same for an invited person. Until they enrol, nobody can enrol in their place without the invitation."""
        if not invitation.tries:
            return [], (
                "Too many invitations were wrong, so yours is void. Ask your administrator for another one, and say "
                "whether it was you who typed them."
            )
        return ["enrol"], (
            "You have not set up two-factor login yet. You need the invitation from your administrator for it."
        )

    def _require(self, what: str, credential: Credential) -> Settings:
        settings = self._host.settings()
        may, message = self._rights(settings, credential)
        if settings is None or what not in may:
            raise Refusal(message)
        return settings

    def _begin(self, what: str, place: str, code: str, invitation: str) -> dict[str, t.Any]:
        """Offer a new key, which is valid once a code of it was right. New recovery codes need no such proof."""
        self._pending, invited = None, None
        credential = self._credential(self._host.settings())
        settings = self._require(what, credential)
        if what == "device":
            _free_name(credential)
        if what == "enrol":
            invited = self._checked_invitation(invitation)
        else:
            self._check(what, code)
        if what == "recovery-codes":
            return {"recovery_codes": self._new_recovery_codes(settings)}
        key = self._host.make_key(KEY_BYTES)
        self._pending = _Pending(what, place, key, _keys(credential), invited)
        uri = self._uri(settings, what, key)
        return {
            "secret": encode_secret(key),
            "uri": uri,
            "picture": self._host.picture(uri) if place == "cockpit" else "",
        }

    def _checked_invitation(self, typed: str) -> Invitation | None:
        """The person's invitation, if its code was typed; None if there is neither. Raises Refusal otherwise."""
        host, user = self._host, self._user
        found = host.invitation(user)
        if found is None and not typed:
            return None
        if found is None:
            raise Refusal("There is no invitation for you on this host, or its time is over. Ask your administrator.")
        if not typed:
            raise Refusal("You are invited: type your invitation.")
        if host.try_invitation(user, typed):
            return found
        left = host.invitation(user)
        host.log(f"{user}: wrong invitation, {left.tries if left else 0} tries left")
        if left and left.tries:
            raise Refusal(f"This is not your invitation. Type it again. Tries that are left: {left.tries}.")
        raise Refusal(self._rights(host.settings(), Credential(()))[1])

    def _check(self, what: str, code: str) -> None:
        found = self._host.check(self._user, code)
        if found.right:
            return
        self._host.log(f"{self._user}: {what} refused, {'wrong code' if found.asked else 'code step closed'}")
        raise Refusal(
            "The code is wrong, or was used already. Wait for the next one."
            if found.asked
            else "Too many codes were wrong, so none is accepted for a while. Wait, or ask your administrator."
        )

    def _uri(self, settings: Settings, what: str, key: bytes) -> str:
        spare = " (spare)" if what == "device" else ""
        label = urllib.parse.quote(f"{self._host.name}:{self._user}@{self._host.name}{spare}", safe=":@")
        query = {"secret": encode_secret(key), "issuer": self._host.name}
        if settings.otp_digits != 6:
            query["digits"] = str(settings.otp_digits)
        if settings.interval != 30:
            query["period"] = str(settings.interval)
        return f"otpauth://totp/{label}?{urllib.parse.urlencode(query, quote_via=urllib.parse.quote)}"

    def _prove(self, code: str) -> dict[str, t.Any]:
        """Write the pending key to the credential, if this is a code of it and nothing has changed since."""
        host, settings = self._host, self._host.settings()
        if self._pending is None or settings is None:
            raise Refusal("No new key waits for its code any more. Start again.")
        what, place, key, existing_keys, invited = self._pending
        backend, clock = backends.BACKENDS[settings.backend], host.clock()
        phone = User(self._user, secret=key)
        has_codes = what == "enrol" and settings.window >= backend.RECOVERY_WINDOW

        def used(text: str) -> str | None:
            return backend.use_code(text, self._user, code, host.code_step(), clock)

        if used(backend.revise(None, phone, settings, host.make_key)) is None:
            raise Refusal(
                f"This is not the code of the new key. {_UNTIL_PROVEN[what]} Type the code that your app shows for it "
                "now. If that is wrong too, let the phone set its clock automatically, and try again."
            )

        def new(text: str | None) -> str:
            credential = self._read(settings, text)
            if _keys(credential) != existing_keys:
                raise Refusal("Your key was changed meanwhile, by somebody else or in another window. Start again.")
            self._require(what, credential)
            if what == "enrol" and not _is_same_invitation(invited, host.invitation(self._user)):
                raise Refusal("Your invitation was changed meanwhile, or its time is over. Start again.")
            wanted = replace(phone, recovery_codes=NAME if has_codes else None)
            if what == "device":
                wanted = User(self._user, devices=(Device(_free_name(credential), secret=key),))
            revised = backend.revise(text, wanted, settings, host.make_key)
            # An invitation shows that this is the person whom the administrator means, so nobody has to accept this.
            made = credential.self_made if invited or what != "enrol" else f"{clock.local[:10]}/{place}"
            revised = backend.with_self_made(revised, self._user, made) if made else revised
            return used(revised) or revised

        host.revise(self._user, new)
        self._pending = None
        host.log(f"{self._user}: {what} done{', with an invitation' if invited else ''}")
        return {"recovery_codes": self._recovery_codes(settings) if what == "enrol" else []}

    def _new_recovery_codes(self, settings: Settings) -> list[str]:
        """Replace the remaining recovery codes with new ones."""
        backend, host = backends.BACKENDS[settings.backend], self._host

        def new(text: str | None) -> str:
            credential = self._read(settings, text)
            self._require("recovery-codes", credential)
            # A name that the administrator gave stays, so that the next run has nothing to renew.
            name = credential.recovery_set or NAME
            interval = credential.phone.interval if credential.phone else None
            unchanged = replace(settings, interval=interval or settings.interval)
            without = backend.revise(text, User(self._user, recovery_codes=""), unchanged, host.make_key)
            return backend.revise(without, User(self._user, recovery_codes=name), unchanged, host.make_key)

        host.revise(self._user, new)
        host.log(f"{self._user}: recovery-codes done")
        return self._recovery_codes(settings)

    def _recovery_codes(self, settings: Settings) -> list[str]:
        text = self._host.credential(self._user) or ""
        codes = backends.BACKENDS[settings.backend].recovery_codes(text, self._user, settings.otp_digits)
        return [code for _number, code in codes]


def _is_same_invitation(one: Invitation | None, other: Invitation | None) -> bool:
    """Whether both are the same invitation, or both are None. The number of tries left does not matter."""
    return (one and one.digest) == (other and other.digest)


def _free_name(credential: Credential) -> str:
    """A name for one more spare device. Raises Refusal if the person has as many as they may add."""
    taken = {app.name for app in credential.apps}
    for name in _SPARES:
        if name not in taken:
            return name
    raise Refusal(
        f"You have added {len(_SPARES)} spare devices, and cannot add more. Ask your administrator to remove one that "
        "you no longer use."
    )


def _keys(credential: Credential) -> frozenset[bytes]:
    return frozenset(app.key for app in credential.apps)
