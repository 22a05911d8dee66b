# Copyright (c) 2026 the fleet.auth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks PAM whether a code is right, as a login does. A right code is used up, and a wrong one is counted; pam(3)."""

from __future__ import annotations

import ctypes
import typing as t

_PROMPTS = (1, 2)  # PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON
_SUCCESS, _CONVERSATION_ERROR, _SILENT = 0, 19, 0x8000


class _Message(ctypes.Structure):
    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class _Response(ctypes.Structure):
    _fields_ = (("text", ctypes.c_void_p), ("code", ctypes.c_int))


_Talk = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.POINTER(_Response)),
    ctypes.c_void_p,
)


class _Conversation(ctypes.Structure):
    _fields_ = (("talk", _Talk), ("data", ctypes.c_void_p))


class Answer(t.NamedTuple):
    """Whether PAM accepted the code, and whether it asked for one at all."""

    right: bool
    asked: bool


def ask(service: str, user: str, code: str) -> Answer:
    """Authenticate a user to a service, and answer each prompt with the code."""
    pam, libc = ctypes.CDLL("libpam.so.0"), ctypes.CDLL(None)
    libc.calloc.restype = libc.strdup.restype = ctypes.c_void_p
    libc.calloc.argtypes = (ctypes.c_size_t, ctypes.c_size_t)
    asked = []

    def talk(count: int, messages: t.Any, responses: t.Any, _data: t.Any) -> int:
        memory = libc.calloc(count, ctypes.sizeof(_Response))
        if not memory:
            return _CONVERSATION_ERROR
        made = ctypes.cast(memory, ctypes.POINTER(_Response))
        for number in range(count):
            if messages[number].contents.style in _PROMPTS:
                asked.append(number)
                made[number].text = libc.strdup(code.encode("ascii"))
        responses[0] = made
        return _SUCCESS

    conversation = _Conversation(_Talk(talk), None)
    handle = ctypes.c_void_p()
    if pam.pam_start(service.encode(), user.encode(), ctypes.byref(conversation), ctypes.byref(handle)) != _SUCCESS:
        return Answer(right=False, asked=False)
    status = pam.pam_authenticate(handle, _SILENT)
    pam.pam_end(handle, status)
    return Answer(right=status == _SUCCESS and bool(asked), asked=bool(asked))
