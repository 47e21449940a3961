"""What a process that reads hostile text may still do: nothing but compute, within limits.

Two layers. Resource limits, which every POSIX kernel has, bound memory and files. On Linux a
seccomp filter (https://docs.kernel.org/userspace-api/seccomp_filter.html), which needs no
privileges, lets through the few system calls that computing needs: no socket, no new process, no
signal to another process, and files are opened for reading only. An audit hook of Python would be
no sandbox: whoever runs code in the interpreter can reach the system below it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

_X86_64 = """
0 1 3 4 5 6 7 8 9 10 11 12 13 14 15 17 19 21 24 25 28 35 39 60 63 79 89 96 98 102 104 107
108 131 158 186 201 202 217 219 228 229 230 231 262 267 318 332 334 436 439
"""
_AARCH64 = """
17 48 57 61 62 63 64 65 67 73 78 79 80 93 94 98 101 113 114 115 124 128 132 134 135 139
160 165 169 172 174 175 176 177 178 214 215 216 222 226 233 278 291 293 436 439
"""
_CALLS = {
    # audit architecture; calls that open files, and which argument holds the flags; others
    "x86_64": (0xC000003E, {2: 1, 257: 2}, _X86_64),
    "aarch64": (0xC00000B7, {56: 2}, _AARCH64),
}
"""Numbers of the system calls let through: read, write, close, stat, poll, seek, memory, own signal
handlers, clocks, own ids, futex, random numbers, exit, reading of folders and links."""

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | 0o20000000  # O_TMPFILE
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # refused calls fail with EPERM
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _PARENT_DEATH, _FILTER = 38, 22, 1, 2

SECCOMP = "seccomp (no network, no new process, no writable file) and limits of memory"
LIMITS = "limits of memory only"


def available() -> bool:
    """Whether this kernel can filter system calls, and we know their numbers on this machine."""
    return (
        sys.platform == "linux"
        and platform.machine() in _CALLS
        and os.path.exists("/proc/sys/kernel/seccomp/actions_avail")
    )


def limit(memory: int) -> None:
    """Bound this process's address space to so many bytes; no core dumps, no bytes into files."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS knows no limit of address space
            resource.setrlimit(what, (most, most))


def confine(keep: int) -> bool:
    """Leave this process nothing but computing and one open file; there is no way back.

    Args:
        keep: The file descriptor, at least 3, that stays open besides the standard three.

    Returns:
        Whether the system calls are filtered; False where the kernel has no such filter.
    """
    os.closerange(3, keep)
    os.closerange(keep + 1, 256)
    if not available():
        return False
    call, header = _prepared()
    call(_PARENT_DEATH, signal.SIGKILL, 0, 0, 0)
    return bool(
        call(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0 and call(_SET_SECCOMP, _FILTER, header, 0, 0) == 0
    )


@functools.cache
def _prepared() -> tuple[Any, Any]:
    """The system call and the filter; made before forking, they cost a child nothing."""
    program = _program()
    buffer = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    )
    header.program = buffer  # type: ignore[attr-defined]  # kept as long as what points to it
    return ctypes.CDLL(None).prctl, ctypes.byref(header)


def _program() -> bytes:
    architecture, opening, others = _CALLS[platform.machine()]
    steps = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
    ]
    # Calls of the x32 interface share the architecture and start here.
    steps += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]
    for call, flags in opening.items():
        steps += [
            (_EQUAL, 0, 5, call),
            (_LOAD, 0, 0, 16 + 8 * flags),
            (_AND, 0, 0, _WRITES),
            (_EQUAL, 0, 1, 0),
            (_RETURN, 0, 0, _ALLOW),
            (_RETURN, 0, 0, _REFUSE),
        ]
    for call in map(int, others.split()):
        steps += [(_EQUAL, 0, 1, call), (_RETURN, 0, 0, _ALLOW)]
    steps.append((_RETURN, 0, 0, _REFUSE))
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def in_force() -> str:
    """Which layer holds, found by trying to break it in a forked child; for small processes only.

    Returns:
        ``SECCOMP`` or ``LIMITS``.
    """
    if available():
        _prepared()
    child = os.fork()
    if child == 0:
        held = 1
        with contextlib.suppress(BaseException):
            held = 0 if confine(3) and all(map(_refused, _ATTEMPTS)) else 1
        os._exit(held)
    _, status = os.waitpid(child, 0)
    return SECCOMP if status == 0 else LIMITS


_ATTEMPTS: tuple[Callable[[], object], ...] = (
    os.fork,
    socket.socket,
    lambda: os.open(os.devnull, os.O_WRONLY),
    lambda: os.kill(os.getppid(), 0),
)


def _refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except PermissionError:
        return True
    return False
