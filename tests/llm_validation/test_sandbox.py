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
