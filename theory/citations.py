"""Which papers the pieces you used come from, as BibTeX.

``cite`` reads the ``Source`` of what it is given: the citation key of a scheme, and the arXiv
numbers in the docstrings of a module, function or class.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator
from typing import Any

from theory.schemes import SCHEMES, Scheme, resolve


def _preprint(key: str, title: str, authors: str, number: str, year: int) -> str:
    return (
        f"@misc{{{key},\n"
        f"  title         = {{{title}}},\n"
        f"  author        = {{{authors}}},\n"
        f"  year          = {{{year}}},\n"
        f"  eprint        = {{{number}}},\n"
        f"  archivePrefix = {{arXiv}},\n"
        f"  url           = {{https://arxiv.org/abs/{number}}}\n"
        "}"
    )


# key: (title, authors, arXiv number, year); authors are given only as far as they are certain.
_PREPRINTS: dict[str, tuple[str, str, str, int]] = {
    "apw": (
        "Asymmetric Prompt Weighting for Reinforcement Learning with Verifiable Rewards",
        "Heckel, Reinhard and Soltanolkotabi, Mahdi and Thramboulidis, Christos",
        "2602.11128",
        2026,
    ),
    "lens": (
        "Don't Waste Mistakes: Leveraging Negative {RL}-Groups via Confidence Reweighting",
        "Feng, Yunzhen and Jain, Parag and Hartshorn, Anthony and Duan, Yaqi and Kempe, Julia",
        "2510.08696",
        2025,
    ),
    "nsr": (
        "The Surprising Effectiveness of Negative Reinforcement in {LLM} Reasoning",
        "Zhu, Xinyu and Xia, Mengzhou and Wei, Zhepei and Chen, Wei-Lin and Chen, Danqi "
        "and Meng, Yu",
        "2506.01347",
        2025,
    ),
    "maxrl": (
        "Maximum Likelihood Reinforcement Learning",
        "Tajwar, Fahim and Zeng, Guanning and Zhou, Yueer and Song, Yuda and Arora, Daman "
        "and Jiang, Yiding and Schneider, Jeff and Salakhutdinov, Ruslan and Feng, Haiwen "
        "and Zanette, Andrea",
        "2602.02710",
        2026,
    ),
    "rl2ml": (
        "{RL2ML}: Finite-Rollout Surrogate Objectives from Reinforcement Learning to "
        "Maximum Likelihood",
        "Zheng, Yifu",
        "2605.30154",
        2026,
    ),
    "curverl": (
        "{CurveRL}: Principled Distribution-Aware Context Reweighting for {LLM} Reasoning",
        "Sun, Ke and Zhao, Yizhou and Xin, Jiayi and Long, Qi and Su, Weijie",
        "2605.24331",
        2026,
    ),
    "mgpo": (
        "Tiny Model, Big Logic: Diversity-Driven Optimization Elicits Large-Model Reasoning "
        "Ability in {VibeThinker-1.5B}",
        "Xu, Sen and others",
        "2511.06221",
        2025,
    ),
    "dgpo": (
        "Harder Is Better: Boosting Mathematical Reasoning via Difficulty-Aware {GRPO} and "
        "Multi-Aspect Question Reformulation",
        "Dai, Yanqi and others",
        "2601.20614",
        2026,
    ),
    "ha_dw": (
        "Your Group-Relative Advantage Is Biased",
        "Yang, Fengkai and others",
        "2601.08521",
        2026,
    ),
    "opo": (
        "On-Policy {RL} with Optimal Reward Baseline",
        "Hao, Yaru and others",
        "2505.23585",
        2025,
    ),
    "shaping": (
        "Advantage Shaping as Surrogate Reward Maximization: Unifying Pass@K Policy Gradients",
        "Thrampoulidis, Christos and Mahdavi, Sadegh and Deng, Wenlong",
        "2510.23049",
        2025,
    ),
    "pkpo": (
        "Pass@K Policy Optimization: Solving Harder Reinforcement Learning Problems",
        "Walder, Christian and Karkhanis, Deep",
        "2505.15201",
        2025,
    ),
    "grpo_dynamics": (
        "Reinforcement Learning with Verifiable Rewards: {GRPO}'s Effective Loss, Dynamics, "
        "and Success Amplification",
        "Mroueh, Youssef",
        "2503.06639",
        2025,
    ),
    "objective": (
        "What is the objective of reasoning with reinforcement learning?",
        "Davis, Damek and Recht, Benjamin",
        "2510.13651",
        2025,
    ),
    "grpo": (
        "{DeepSeekMath}: Pushing the Limits of Mathematical Reasoning in Open Language Models",
        "Shao, Zhihong and others",
        "2402.03300",
        2024,
    ),
    "dr_grpo": (
        "Understanding {R1-Zero}-Like Training: A Critical Perspective",
        "Liu, Zichen and others",
        "2503.20783",
        2025,
    ),
    "dapo": (
        "{DAPO}: An Open-Source {LLM} Reinforcement Learning System at Scale",
        "Yu, Qiying and others",
        "2503.14476",
        2025,
    ),
    "gdpo": (
        "{GDPO}: Group Reward-Decoupled Normalization Policy Optimization for Multi-Reward {RL} "
        "Optimization",
        "Liu, Shih-Yang and others",
        "2601.05242",
        2026,
    ),
    "rloo": (
        "Back to Basics: Revisiting {REINFORCE} Style Optimization for Learning from Human "
        "Feedback in {LLMs}",
        "Ahmadian, Arash and others",
        "2402.14740",
        2024,
    ),
    "ppo": (
        "Proximal Policy Optimization Algorithms",
        "Schulman, John and Wolski, Filip and Dhariwal, Prafulla and Radford, Alec "
        "and Klimov, Oleg",
        "1707.06347",
        2017,
    ),
    "greso": (
        "Act Only When It Pays: Efficient Reinforcement Learning for {LLM} Reasoning via "
        "Selective Rollouts",
        "Zheng, Haizhong and others",
        "2506.02177",
        2025,
    ),
    "reinforce_ada": (
        "{Reinforce-Ada}: An Adaptive Sampling Framework for Reinforce-Style {LLM} Training",
        "Xiong, Wei and others",
        "2510.04996",
        2025,
    ),
    "dars": (
        "Depth-Breadth Synergy in {RLVR}: Unlocking {LLM} Reasoning Gains with Adaptive "
        "Exploration",
        "Yang, Zhicheng and others",
        "2508.13755",
        2025,
    ),
    "knapsack": (
        "{Knapsack RL}: Unlocking Exploration of {LLMs} via Optimizing Budget Allocation",
        "Li, Ziniu and others",
        "2509.25849",
        2025,
    ),
    "difficulty_filtering": (
        "Online Difficulty Filtering for Reasoning Oriented Reinforcement Learning",
        "Bae, Sanghwan and others",
        "2504.03380",
        2025,
    ),
    "kimi": (
        "Kimi k1.5: Scaling Reinforcement Learning with {LLMs}",
        "{Kimi Team}",
        "2501.12599",
        2025,
    ),
    "large_batch": (
        "An Empirical Model of Large-Batch Training",
        "McCandlish, Sam and Kaplan, Jared and Amodei, Dario and {OpenAI Dota Team}",
        "1812.06162",
        2018,
    ),
    "pass_at_k": (
        "Evaluating Large Language Models Trained on Code",
        "Chen, Mark and others",
        "2107.03374",
        2021,
    ),
}

BIBTEX: dict[str, str] = {
    **{
        key: _preprint(key, title, authors, number, year)
        for key, (title, authors, number, year) in _PREPRINTS.items()
    },
    "reinforce": (
        "@article{reinforce,\n"
        "  title   = {Simple Statistical Gradient-Following Algorithms for Connectionist "
        "Reinforcement Learning},\n"
        "  author  = {Williams, Ronald J.},\n"
        "  journal = {Machine Learning},\n"
        "  volume  = {8},\n"
        "  pages   = {229--256},\n"
        "  year    = {1992}\n"
        "}"
    ),
}
"""BibTeX entries by citation key."""

_KEY_OF_NUMBER = {number: key for key, (_, _, number, _) in _PREPRINTS.items()}
_NUMBER = re.compile(r"\b\d{4}\.\d{5}\b")


def cite(*used: str | Scheme | types.ModuleType | Any) -> str:
    """BibTeX entries of the papers behind schemes, modules, functions or keys, each once.

    Args:
        *used: Schemes or their names (options may follow a colon), citation keys, and modules,
            functions and classes of this package. A name that is both a scheme and a key cites
            the scheme's paper. Nothing at all cites every paper.

    Returns:
        Entries in the order of first use, separated by blank lines; empty if the pieces given
        come from no paper.

    Raises:
        ValueError: A name that is neither a scheme nor a key, or an object without docstring.

    >>> print(cite("rloo").splitlines()[0])
    @misc{rloo,
    >>> from theory import lens
    >>> [line for line in cite("sqrt_r", lens).splitlines() if "eprint" in line]
    ['  eprint        = {2602.11128},', '  eprint        = {2510.08696},']
    """
    keys = list(BIBTEX) if not used else [key for piece in used for key in _keys(piece)]
    return "\n\n".join(BIBTEX[key] for key in dict.fromkeys(keys))


def _keys(piece: Any) -> list[str]:
    if isinstance(piece, Scheme):
        return [piece.source] if piece.source in BIBTEX else _numbered(piece.source)
    if isinstance(piece, str):
        try:
            return _keys(resolve(piece))
        except ValueError:
            if piece in BIBTEX:
                return [piece]
        raise ValueError(
            f"unknown scheme or citation key {piece!r}; keys are: {', '.join(BIBTEX)}; "
            f"schemes are: {', '.join(SCHEMES)}"
        )
    code = inspect.ismodule(piece) or inspect.isroutine(piece) or inspect.isclass(piece)
    if not (code and inspect.getdoc(piece)):
        raise ValueError(
            f"cite takes schemes, names, modules, functions and classes; got {piece!r}"
        )
    return [key for text in _docstrings(piece) for key in _numbered(text)]


def _numbered(text: str) -> list[str]:
    return [_KEY_OF_NUMBER[number] for number in _NUMBER.findall(text) if number in _KEY_OF_NUMBER]


def _docstrings(piece: Any) -> Iterator[str]:
    """Docstring of the piece and, for a module, of what is defined in it."""
    yield inspect.getdoc(piece) or ""
    if isinstance(piece, types.ModuleType):
        for member in vars(piece).values():
            if getattr(member, "__module__", None) == piece.__name__:
                yield inspect.getdoc(member) or ""
