"""The command ``apw``: finds the command asked for, and turns its errors into sentences."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from apw.command_names import COMMANDS as COMMANDS
from apw.packages import check_packages

if TYPE_CHECKING:
    from apw.command_line import Answer

_EXTRAS = {
    "torch": "llm",
    "transformers": "llm",
    "trl": "llm",
    "datasets": "llm",
    "accelerate": "llm",
    "math_verify": "llm",
    "gguf": "llm",
    "reasoning_gym": "llm",
    "safetensors": "llm",
    "tokenizers": "llm",
    "peft": "peft",
    "vllm": "vllm",
    "verl": "verl",
    "ray": "verl",
}
"""Module → the extra that installs it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    0; 1 if a check that was asked for fails; 2 for bad input; 130 if interrupted.

    With ``--json`` standard output gets one JSON object and standard error everything else.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if words[0] == "--version":
        import apw

        print(f"apw {apw.__version__}")
        return 0
    if words[0] == "--completion":
        from apw.completion import completion_script

        try:
            print(completion_script(words[1] if len(words) > 1 else ""), end="")
        except ValueError as error:
            return _fail("", str(error))
        return 0
    if isinstance(sys.stdout, io.TextIOWrapper) and "utf" not in sys.stdout.encoding.lower():
        sys.stdout.reconfigure(errors="replace")  # a ρ that cannot be printed is no reason to fail
    name, *rest = words
    if name not in COMMANDS:
        return _fail("", f"unknown command {name!r}; the commands are {', '.join(COMMANDS)}")
    as_json = "--json" in rest
    try:
        check_packages()
        rest = _with_schemes_read(rest)
        _allow_named_code(rest)
        with _json_only(as_json) as output:
            answer: Answer = importlib.import_module(f"apw.commands.{name}").main(rest)
            print(answer.as_json() if as_json else answer.text, file=output)
    except KeyboardInterrupt:
        _fail(name, "interrupted; the same command resumes the run")
        return 130
    except BrokenPipeError:
        # Whoever read us has gone: nothing is left to say, not even at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except (ValueError, OSError, ImportError, MemoryError) as error:
        if os.environ.get("APW_TRACEBACK"):
            raise
        return _fail(name, _sentence(error))
    return answer.status


def _allow_named_code(words: Sequence[str]) -> None:
    """Let schemes be imported that the command line itself names as ``module:function``."""
    named = [word.partition("=")[2] if word.startswith("--") else word for word in words]
    if any(":" in word for word in named):
        from theory.schemes import allow_import

        allow_import(*named)


def _with_schemes_read(words: Sequence[str]) -> list[str]:
    if not any(word.endswith(".json") for word in words):
        return list(words)
    from apw.saved_schemes import with_files_read

    return with_files_read(words)


def usage() -> str:
    """What ``apw --help`` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: apw COMMAND [OPTIONS]",
            "",
            "Prompt weighting in reinforcement learning with verifiable rewards.",
            "",
            *lines,
            "",
            "apw COMMAND --help lists a command's options of daily use, --help-all all of them;",
            "every command takes --json. apw --completion bash prints completion for a shell.",
        ]
    )


def _fail(command: str, sentence: str) -> int:
    print(f"apw {command}: {sentence}" if command else f"apw: {sentence}", file=sys.stderr)
    return 2


def _sentence(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        if package in _EXTRAS:
            return f"this needs {package}: pip install '.[{_EXTRAS[package]}]'"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror.lower()}"
    if isinstance(error, json.JSONDecodeError) and not str(error):
        return "not valid JSON"
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def _json_only(wanted: bool) -> Iterator[TextIO]:
    """Yield where the answer goes; with ``wanted``, send every other print to standard error.

    Libraries and worker processes that write to file descriptor 1 are sent there too.
    """
    if not wanted:
        yield sys.stdout
        return
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # standard output is no file, as under a test's capture
        output = sys.stdout
        with contextlib.redirect_stdout(sys.stderr):
            yield output
        return
    sys.stdout.flush()
    with open(os.dup(descriptor), "w", encoding="utf-8") as output:
        os.dup2(sys.stderr.fileno(), descriptor)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield output
        finally:
            output.flush()
            os.dup2(output.fileno(), descriptor)


if __name__ == "__main__":
    sys.exit(main())
