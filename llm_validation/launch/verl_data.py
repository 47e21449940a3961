"""A run's prompts as the Parquet file that verl reads, in the order that the run meets them.

python -m llm_validation.launch.verl_data recipe.toml SEED train.parquet
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from llm_validation.config import TrainConfig, load_recipe
from llm_validation.prompt_planner import PromptPlanner, draw
from llm_validation.replan import replan
from llm_validation.tasks import Example, load_task
from llm_validation.tasks.task import prompt_text
from llm_validation.train import prompt_order


def table(examples: Sequence[Example], name: str) -> pd.DataFrame:
    """Rows in verl's form: data_source, prompt (chat messages), reward_model, extra_info."""
    rows = [
        {
            "data_source": name,
            "prompt": [{"role": "user", "content": example.prompt}]
            if isinstance(example.prompt, str)
            else example.prompt,
            "reward_model": {"style": "rule", "ground_truth": example.gold},
            "extra_info": {"id": example.id, "problem": prompt_text(example.prompt)},
        }
        for example in examples
    ]
    return pd.DataFrame(rows)


def training_table(config: TrainConfig, seed: int) -> pd.DataFrame:
    """Every prompt of a run under a seed, as often and in the order it is trained on.

    Raises:
        ValueError: The task has no training prompts.
    """
    with load_task(
        config.task,
        train_path=config.train_path,
        test_path=config.test_path,
        limit=config.task_limit,
        seed=config.task_seed,
        **config.task_options,
    ) as task:
        if not task.train:
            raise ValueError(f"task {config.task} has no training prompts; set train_path")
        order = _order(config, task.train, seed)
        return table([task.train[place] for place in order], task.name)


def _order(config: TrainConfig, examples: Sequence[Example], seed: int) -> np.ndarray:
    """Places of a run's prompts; by the first plan throughout, if prompts are planned.

    verl's trainer tells nobody the outcomes of a batch before it takes the next, so that plans
    cannot follow them there.
    """
    batch = config.updates_per_generation * config.prompts_per_step
    how = replan(config, examples)
    if how is None:
        return prompt_order(len(examples), config.generations * batch, seed)
    keys = [example.id for example in examples]
    planner = PromptPlanner(keys, batch=batch, group_size=config.group_size, how=how)
    chances = planner.probability(0)
    return np.concatenate(
        [draw(chances, batch, seed, number) for number in range(config.generations)]
    )


def main(arguments: Sequence[str]) -> int:
    """Write the file, unless it is there."""
    if len(arguments) != 3:
        print("usage: python -m llm_validation.launch.verl_data RECIPE SEED FILE", file=sys.stderr)
        return 2
    recipe, seed, file = arguments
    target = Path(file)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.unfinished")
        training_table(load_recipe(recipe), int(seed)).to_parquet(unfinished)
        unfinished.replace(target)
    print(f"{target}: {len(pd.read_parquet(target)):,} prompts")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
