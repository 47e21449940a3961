"""Completion of the command line in a shell: commands, their options, choices, schemes, recipes."""

from __future__ import annotations

import importlib
import shlex
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from apw.command_names import COMMANDS
from apw.help import shipped
from apw.options import bare, options_of
from runs.configuration import may_be_none

SHELLS = ("bash", "zsh")

# Words that a command line holds are taken as data; nothing of them is evaluated.
_SCRIPT = """\
# Completion of apw for {shell}: put this line into {file}
#   source <(apw --completion {shell})
{begin}_apw() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=$3 command=${{COMP_WORDS[1]}} choices=
    if [ "$COMP_CWORD" -eq 1 ]; then
        choices={commands}
    elif [ "${{word:0:1}}" = - ]; then
        case $command in
{options}
        esac
    else
        case $command$before in
{choices}
        esac
    fi
    COMPREPLY=($(compgen -W "$choices" -- "$word"))
}}
complete -o default -F _apw apw
"""


_ZSH = """\
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i; }
autoload -U +X bashcompinit && bashcompinit
"""


def completion_script(shell: str) -> str:
    """A script for a shell to read.

    Args:
        shell: ``bash`` or ``zsh``.

    Raises:
        ValueError: Another shell.
    """
    if shell not in SHELLS:
        raise ValueError(f"--completion takes one of {', '.join(SHELLS)}; got {shell!r}")
    options, choices = [], []
    for name in COMMANDS:
        kind = importlib.import_module(f"apw.commands.{name}").Options
        known = options_of(kind)
        options.append(_case(name, [*known, "--help", "--help-all"]))
        takes = {**_choices(known), **shipped(kind)}
        choices += [_case(f"{name}{one}", found) for one, found in takes.items()]
    return _SCRIPT.format(
        shell=shell,
        file=f"~/.{shell}rc",
        begin=_ZSH if shell == "zsh" else "",
        commands=shlex.quote(" ".join(COMMANDS)),
        options="\n".join(options),
        choices="\n".join(choices),
    )


def _case(pattern: str, words: Sequence[str]) -> str:
    return f"            {shlex.quote(pattern)}) choices={shlex.quote(' '.join(words))} ;;"


def _choices(known: Mapping[str, Any]) -> dict[str, list[str]]:
    """Option → the words that it takes, where they are few and known."""
    from theory.schemes import SCHEMES

    found = {
        name: [str(one) for one in typing.get_args(_literal(hint))]
        for name, hint in known.items()
        if _literal(hint) is not None
    }
    for name in {"--scheme", "--schemes", "--against"} & set(known):
        found[name] = list(SCHEMES)
    return found


def _literal(annotation: Any) -> Any:
    """The ``Literal`` of an annotation that may be none or a list, or None."""
    core = bare(annotation)
    parts = typing.get_args(core) if may_be_none(core) else (core,)
    for part in map(bare, parts):
        inner = typing.get_args(part)[0] if typing.get_origin(part) is tuple else part
        if typing.get_origin(bare(inner)) is Literal:
            return bare(inner)
    return None
