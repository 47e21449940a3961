"""LENS: the penalty w(z), calibrated rewards, and what all-wrong groups are taught."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures.picture import Picture
from figures.style import WIDE, Theme, accent, look, new_figure, optimum, title
from theory.advantages import group_advantages
from theory.lens import calibrated_rewards, penalty_weight

GROUP_SIZE = 16
SURE_CORRECT = (0.05, 0.2)
"""Confidence of the only correct response in the mixed groups, whose D is then G times that."""

_MOST_CONFIDENT_WRONG = 0.3


def lens_table(*, group_size: int = GROUP_SIZE, points: int = 99) -> pd.DataFrame:
    """Penalties, rewards and advantages of LENS, in long form.

    Args:
        group_size: G.
        points: Number of confidence ratios z of the first panel, evenly spaced in (0, 1).

    Returns:
        Columns panel (penalty, reward, advantage), curve, confidence and value: w(z) over z; G
        times the calibrated reward of wrong responses over their confidence; advantages of an
        all-wrong group over the confidence.

    Raises:
        ValueError: A group of fewer than two responses.

    Source: arXiv 2510.08696, Theorem 2 and section 3.

    >>> table = lens_table(group_size=4, points=3)
    >>> table.query("panel == 'penalty'")["value"].round(4).tolist()
    [0.1507, 0.3863, 0.8484]
    """
    if group_size < 2:
        raise ValueError(f"group_size must be at least 2; got {group_size}")
    ratio = np.linspace(0, 1, points + 2)[1:-1]
    tables = [_rows("penalty", "w(z)", ratio, np.asarray(penalty_weight(ratio)))]
    wrong = np.linspace(0.01, _MOST_CONFIDENT_WRONG, group_size)
    for name, confidence in {
        "all wrong": wrong,
        **{f"one correct, π̄ = {sure:g}": np.append(wrong[1:], sure) for sure in SURE_CORRECT},
    }.items():
        rewards = np.zeros(group_size)
        rewards[-1] = float(name != "all wrong")
        calibrated = calibrated_rewards(rewards, np.log(confidence))
        chosen = rewards == 0
        tables.append(_rows("reward", name, confidence[chosen], group_size * calibrated[chosen]))
    none = np.zeros(group_size)
    confident = group_advantages(none, "lens", log_confidence=np.log(wrong))
    for scheme, values in (("grpo", group_advantages(none, "grpo")), ("lens", confident)):
        tables.append(_rows("advantage", scheme, wrong, values))
    return pd.concat(tables, ignore_index=True)


def lens_picture(*, group_size: int = GROUP_SIZE) -> Picture:
    """Picture of w(z), calibrated rewards and advantages in an all-wrong group.

    Args:
        group_size: G.

    Raises:
        ValueError: A group of fewer than two responses.

    Source: arXiv 2510.08696.
    """
    table = lens_table(group_size=group_size)

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 2.5)
        panels = dict(zip(("penalty", "reward", "advantage"), figure.subplots(1, 3), strict=True))
        penalty = table[table["panel"] == "penalty"]
        axes = panels["penalty"]
        axes.plot(
            penalty["confidence"], penalty["value"], **look("lens", theme).line(), label="w(z)"
        )
        axes.plot(
            [0, 1],
            [0, 0.5],
            color=optimum(theme).color,
            linewidth=0.8,
            linestyle=(0, (1, 2)),
            label="z/2",
        )
        axes.set_ylim(0, 3)
        axes.set_xlim(0, 1)
        axes.set_xlabel("z = π/D")
        axes.set_title("penalty w(z)")
        axes.legend(loc="upper left")
        axes = panels["reward"]
        parts = table[table["panel"] == "reward"].groupby("curve", sort=False)
        for number, (name, part) in enumerate(parts):
            style = accent(number + 1, theme)
            axes.plot(
                part["confidence"],
                part["value"],
                **style.line(),
                marker=style.marker,
                markersize=2.5,
                label=name,
            )
        axes.set_ylim(-1.05, 0.05)
        axes.set_xlabel("confidence π̄ of a wrong response")
        axes.set_title("G × calibrated reward")
        axes.legend(loc="lower left")
        axes = panels["advantage"]
        for scheme, part in table[table["panel"] == "advantage"].groupby("curve", sort=False):
            style = look(str(scheme), theme)
            axes.plot(
                part["confidence"],
                group_size * part["value"],
                **style.line(),
                marker=style.marker,
                markersize=2.5,
                label=title(str(scheme)),
            )
        axes.set_xlabel("confidence π̄ of a wrong response")
        axes.set_title("G × advantage, all wrong")
        axes.legend(loc="lower left")
        return figure

    return Picture(
        "lens",
        "LENS",
        "Left: a wrong answer is penalised by w(z) = (1/z) ln(1/(1−z)) − 1, about z/2 where the "
        "policy is unsure and without bound as its confidence nears the scale D. Middle: the "
        f"calibrated reward of the wrong responses of a group of {group_size} lies between −1/G "
        "and 0; a correct response that the policy was sure of raises D and mutes the penalties. "
        "Right: an all-wrong group, which GRPO ignores, moves mass from confident mistakes to "
        "unsure ones; the advantages sum to zero (α = 0.25).",
        "Left: a curve rising from 0 ever more steeply. Middle: falling curves of reward over "
        "confidence. Right: GRPO's line at zero, LENS's falling from above to below zero.",
        table,
        draw,
    )


def _rows(panel: str, curve: str, confidence: np.ndarray, value: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {"panel": panel, "curve": curve, "confidence": confidence, "value": np.asarray(value)}
    )
