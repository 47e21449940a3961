"""Logit updates of positive and negative reinforcement, and what they do to entropy."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures.picture import Picture
from figures.style import WIDE, Theme, is_narrow, look, new_figure, optimum, title
from theory.logit_gradients import entropy_change, nsr_logit_update, psr_logit_update

POLICY = (0.5, 0.25, 0.15, 0.07, 0.03)
"""Probabilities of five tokens."""

SAMPLED = (0, 3)
"""Tokens that are reinforced: a likely and a rare one."""

UPDATES = {"psr": psr_logit_update, "nsr": nsr_logit_update}


def logit_updates_table(*, points: int = 97) -> pd.DataFrame:
    """Logit updates of PSR and NSR on one policy, and their change of entropy on many.

    Args:
        points: Number of probabilities of the sampled token in the last panel, in (0, 1).

    Returns:
        Columns panel (update, entropy), scheme, sampled (the sampled token's index, for updates),
        token (index, or empty), probability (of the token; of the sampled one for entropy) and
        value (Δz of a unit step, or the first-order change of entropy in nats).

    Source: arXiv 2506.01347, section 4; updates of π(y), its form.

    >>> table = logit_updates_table(points=3)
    >>> table.query("panel == 'update' and scheme == 'nsr' and sampled == 0")["value"].tolist()
    [-0.25, 0.125, 0.075, 0.035, 0.015]
    """
    logits = np.log(np.array(POLICY))
    tables = []
    for sampled in SAMPLED:
        for scheme, update in UPDATES.items():
            tables.append(
                pd.DataFrame(
                    {
                        "panel": "update",
                        "scheme": scheme,
                        "sampled": sampled,
                        "token": np.arange(len(POLICY)),
                        "probability": POLICY,
                        "value": np.round(update(logits, sampled), 15),
                    }
                )
            )
    probability = np.linspace(0, 1, points + 2)[1:-1]
    rest = np.array(POLICY[1:]) / sum(POLICY[1:])
    policies = np.column_stack([probability, (1 - probability)[:, None] * rest])
    first = np.zeros(points, dtype=int)
    for scheme, update in UPDATES.items():
        change = entropy_change(np.log(policies), update(np.log(policies), first))
        tables.append(
            pd.DataFrame(
                {"panel": "entropy", "scheme": scheme, "probability": probability, "value": change}
            )
        )
    table = pd.concat(tables, ignore_index=True)
    return table.astype({"sampled": "Int64", "token": "Int64"})


def logit_updates_picture() -> Picture:
    """Picture of the updates and of the change of entropy.

    Source: arXiv 2506.01347, section 4.
    """
    table = logit_updates_table()

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 2.5)
        left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.05))
        updates = table[table["panel"] == "update"]
        width = 0.38
        for axes, sampled in zip((left, middle), SAMPLED, strict=True):
            for number, scheme in enumerate(UPDATES):
                part = updates[(updates["sampled"] == sampled) & (updates["scheme"] == scheme)]
                places = part["token"].astype(float) + (number - 0.5) * width
                axes.bar(
                    places,
                    part["value"],
                    width,
                    color=look(scheme, theme).color,
                    hatch="" if scheme == "psr" else "////",
                    edgecolor=axes.get_facecolor(),
                    linewidth=0,
                    label=title(scheme),
                )
            axes.axhline(0, color=optimum(theme).color, linewidth=0.8)
            labels = [f"{p:g}" for p in POLICY]
            labels[sampled] += "\nsampled"
            axes.set_xticks(range(len(POLICY)), labels)
            axes.set_xlabel("token, by its probability")
            axes.set_ylim(-0.3, 0.3)
            axes.set_title(f"sampled: a token of {POLICY[sampled]:g}")
            axes.grid(visible=False, axis="x")
        left.set_ylabel("logit update Δz")
        left.legend(loc="lower right")
        if not is_narrow():  # beside the left one
            middle.set_yticklabels([])
        for name, part in table[table["panel"] == "entropy"].groupby("scheme", sort=False):
            right.plot(
                part["probability"],
                part["value"],
                **look(str(name), theme).line(),
                label=title(str(name)),
            )
        right.axhline(0, color=optimum(theme).color, linewidth=0.8)
        right.set_xlim(0, 1)
        right.set_xlabel("probability of the sampled token")
        right.set_title("change of entropy")
        right.set_ylabel("nats")
        right.legend(loc="lower left")
        return figure

    return Picture(
        "logit_updates",
        "Positive and negative reinforcement",
        "Logit updates of a unit step on π(y): positive reinforcement (PSR) raises the sampled "
        "token and lowers the others, negative reinforcement (NSR) does the opposite, and hands "
        "the mass on in proportion to the probability the others had. Both factors π(1−π) vanish "
        "for a token that is almost certain: NSR spares it. Right: reinforcing a likely token "
        "narrows the policy, penalising it widens it; for a rare token it is the other way round.",
        "Two panels of paired bars that mirror each other around zero, and one of two mirrored "
        "curves of entropy change over the probability of the sampled token.",
        table,
        draw,
    )
