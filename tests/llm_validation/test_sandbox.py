"""What is confined can compute and do nothing else; every attempt is made for real."""

import json
import platform
import subprocess
import sys

import pytest

from llm_validation import sandbox

pytestmark = pytest.mark.skipif(not sandbox.available(), reason="this kernel has no seccomp")

ATTEMPTS = {
    "fork": "os.fork()",
    "exec": "os.execv('/bin/true', ['true'])",
    "spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "fork_exec": (
        "import _posixsubprocess as p; r, w = os.pipe(); "
        "p.fork_exec([b'/bin/true'], [b'/bin/true'], True, (w,), None, None, -1, -1, -1, -1, -1, "
        "-1, r, w, False, False, -1, None, None, None, -1, None)"
    ),
    "thread": "import _thread; _thread.start_new_thread(print, ())",
    "socket": "import _socket; _socket.socket()",
    "socket pair": "import _socket; _socket.socketpair()",
    "write": "open(folder + '/new', 'w')",
    "append": "open(folder + '/old', 'a')",
    "truncate": "os.truncate(folder + '/old', 0)",
    "unnamed file": "os.open(folder, os.O_TMPFILE | os.O_WRONLY)",
    "mkdir": "os.mkdir(folder + '/new')",
    "unlink": "os.unlink(folder + '/old')",
    "rename": "os.rename(folder + '/old', folder + '/new')",
    "link": "os.link(folder + '/old', folder + '/new')",
    "symlink": "os.symlink('a', folder + '/new')",
    "chmod": "os.chmod(folder + '/old', 0o777)",
    "times": "os.utime(folder + '/old', (0, 0))",
    "signal the parent": "os.kill(os.getppid(), 0)",
    "signal everybody": "os.kill(-1, 0)",
    "priority": "os.setpriority(os.PRIO_PROCESS, 0, 5)",
    "limits": "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
    "change folder": "os.chdir('/')",
    "pipe": "os.pipe()",
    "shared memory": "os.memfd_create('x')",
    "ptrace": "call(101, 0, 0, 0, 0)",
    "io_uring": "call(425, 8, 0)",
    "openat2": "call(437, -100, 0, 0, 0)",
    "new namespace": "call(272, 0x10000000)",
    "memory of another process": "call(310, os.getppid(), 0, 0, 0, 0, 0)",
    "write into another process": "call(311, os.getppid(), 0, 0, 0, 0, 0)",
    "files of another process": "call(438, 3, 0, 0)",
    "handle of another process": "call(434, os.getppid(), 0)",
    "new kind of fork": "call(435, 0, 0)",
    "old kind of fork": "call(58)",
    "exec without a path": "call(322, 0, b'', 0, 0, 0x1000)",
    "open by handle": "call(304, -100, 0, 0)",
    "mount": "call(165, b'none', b'/mnt', b'tmpfs', 0, 0)",
    "another root": "call(161, b'/tmp')",
    "leave namespaces": "call(308, 0, 0)",
    "typing into a terminal": "call(16, 0, 0x5412, b'x')",
    "System V memory": "call(29, 0, 4096, 0o1600)",
    "message queue": "call(240, b'q', 0o102, 0o600, 0)",
    "named pipe": "os.mkfifo(folder + '/new')",
    "device": "os.mknod(folder + '/new', 0o20600, 0)",
    "owner": "os.chown(folder + '/old', 1, 1)",
    "attribute": "os.setxattr(folder + '/old', 'user.x', b'x')",
    "copy between files": "call(326, 0, 0, 1, 0, 1, 0)",
    "room for a file": "call(285, 1, 0, 0, 4096)",
    "another user": "os.setuid(1)",
    "traps in memory": "call(323, 0)",
    "kernel programs": "call(321, 0, 0, 0)",
    "performance counters": "call(298, 0, 0, -1, -1, 0)",
    "keys": "call(248, b'user', b'x', b'y', 1, -1)",
    "watching files": "call(294, 0)",
    "asynchronous files": "call(206, 1, 0)",
    "another filter": "call(317, 1, 0, 0)",
    "own rights": "call(157, 23, 0, 0, 0, 0)",
    "queued signal": "call(129, os.getppid(), 10, 0)",
    "cores of another process": "call(203, os.getppid(), 8, b'\\1' + bytes(7))",
    "segments": "call(154, 1, 0, 0)",
}
ON_X86 = {name for name, code in ATTEMPTS.items() if "call(" in code}
SCRIPT = """
import ctypes, json, os, resource, sys
from llm_validation import sandbox
def call(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")
def outcome(code):
    try:
        exec(code)
    except PermissionError:
        return "refused"
    except (RuntimeError, ValueError) as error:  # how Python words a refused thread and limit
        return "refused" if "start new thread" in str(error) or "limit" in str(error) else "failed"
    except BaseException as error:
        return repr(error)
    return "done"
libc = ctypes.CDLL(None, use_errno=True)
folder, attempts = sys.argv[1], json.loads(sys.argv[2])
reply = os.dup(1)
assert sandbox.confine(reply)
os.write(reply, json.dumps({name: outcome(code) for name, code in attempts.items()}).encode())
os._exit(0)
"""


def attempt(attempts, folder):
    (folder / "old").write_text("old")
    command = [sys.executable, "-c", SCRIPT, str(folder), json.dumps(attempts)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert [path.name for path in folder.iterdir()] == ["old"]
    assert (folder / "old").read_text() == "old"
    return json.loads(done.stdout)


def test_nothing_but_computing_is_let_through(tmp_path):
    known = platform.machine() == "x86_64"
    attempts = {name: code for name, code in ATTEMPTS.items() if known or name not in ON_X86}
    assert attempt(attempts, tmp_path) == dict.fromkeys(attempts, "refused")


def test_computing_is_let_through(tmp_path):
    harmless = {
        "arithmetic": "assert 9**999 % 7 == 1 and bytearray(1 << 24)",
        "import": "import fractions, decimal; decimal.Decimal(2).sqrt()",
        "read": "assert open(folder + '/old').read() == 'old'",  # modules are read at first use
        "ask": "import time; time.sleep(0.01); os.urandom(4); os.getpid(); os.listdir(folder)",
    }
    assert attempt(harmless, tmp_path) == dict.fromkeys(harmless, "done")


def test_the_layer_is_found_by_trying():
    code = "from llm_validation import sandbox; print(sandbox.in_force())"
    assert run(code) == sandbox.SECCOMP
    # A filter that only says it holds is not believed.
    assert run(code.replace("; print", "; sandbox.confine = bool; print")) == sandbox.LIMITS


def run(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
