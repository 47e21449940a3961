"""Turning a question into a prompt for a chat model or for a base model."""

from __future__ import annotations

from llm_validation.tasks.task import Prompt

STYLES = ("chat", "plain")
"""``chat``: messages for the model's own template; ``plain``: text for a base model to continue."""

BOXED = r"Please reason step by step, and put your final answer within \boxed{}."


def make_prompt(question: str, instruction: str, style: str) -> Prompt:
    r"""The question followed by the instruction, in the given style.

    >>> make_prompt("1 + 1?", "Answer briefly.", "chat")
    [{'role': 'user', 'content': '1 + 1?\n\nAnswer briefly.'}]
    """
    if style not in STYLES:
        raise ValueError(f"style must be one of {', '.join(STYLES)}; got {style!r}")
    text = f"{question}\n\n{instruction}" if instruction else question
    if style == "chat":
        return [{"role": "user", "content": text}]
    return f"Question: {text}\n\nAnswer:"
