"""TRL's GRPO trainer with the advantages of any scheme."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from trl import GRPOTrainer

from llm_validation.binary_advantages import binary_advantages
from llm_validation.checkpoints import (
    check_checkpoint,
    last_checkpoint,
    put_in_place,
    whole_or_gone,
    write_manifest,
)
from llm_validation.dead_groups import (
    DeadGroups,
    are_dead,
    check_dead_groups,
    replace_rows,
    rows_of,
)
from llm_validation.group_metrics import GROUP_METRICS, RECORDED, group_metrics
from llm_validation.planned_sampler import PlannedSampler, planner_of
from llm_validation.prompt_history import PromptHistory
from llm_validation.replan import Replan
from llm_validation.reward_split import RewardMode, RewardSplit
from llm_validation.sampling import check_sampling, seeded_generation, uniform_rows
from llm_validation.turns import Turns
from llm_validation.warpers import DivergedError
from runs.files import read_json, write_json
from runs.seeds import stream
from theory.advantages import group_advantages
from theory.rewards import OutcomeRule, shaping_advantages
from theory.schedules import ByEntropy, Schedule, scheme_at
from theory.schemes import SchemeLike, resolve

STATE_FILE = "apw_state.json"
"""What a checkpoint holds of ours: the record and the clocks."""


class WeightedGRPOTrainer(GRPOTrainer):
    """``GRPOTrainer`` whose advantages come from ``theory.advantages.group_advantages``.

    A_i = r_i a⁺(ρ̂) − (1 − r_i) a⁻(ρ̂) over the responses of each prompt. Everything else, from
    generation to the loss, is TRL's. With ``"grpo:ddof=1,eps=1e-4"`` the advantages are TRL's own.

    Of several reward functions the scheme weighs one, the outcome, and the others are added beside
    it as shaping (see :mod:`llm_validation.reward_split`). Responses without an outcome (None) get
    advantage 0 and do not enter their group's baseline. Sampling is a function of (seed, step,
    batch, row, turn), see ``llm_validation.sampling``; with vLLM it is the engine's.

    Args:
        scheme: Name in ``SCHEMES`` or a :class:`Scheme`.
        schedules: Options of the scheme that change with the optimizer step.
        outcome: Name of the reward function that the scheme weighs, where there are several;
            without it GRPO, DAPO, RLOO and Dr. GRPO take the weighted total as TRL does.
        outcome_rule: How its reward tells whether a response is correct; by default 0 and 1, grades
            in [0, 1], or two whole numbers such as −1 and 1, recognised as they come.
        shaping: How the other rewards enter: ``gate``, ``add``, ``apart`` or ``total``.
        dead_groups: What becomes of groups whose outcomes are all alike (see
            :mod:`llm_validation.dead_groups`): ``keep``, ``drop`` from the loss, ``resample`` their
            prompts or ``refill`` with others, up to ``tries`` times, and then drop.
        tries: How often dead groups are sampled again in a step.
        prompt_probability: Chance of each prompt of ``train_dataset``, as a plan of ``apw advise``
            has them, or :class:`llm_validation.replan.Replan` for a plan that follows the
            outcomes of training; all alike by default.
        seeded: Sample with numbers fixed by (seed, step, batch, row, turn) rather than torch's
            global state.
        **arguments: Arguments of ``trl.GRPOTrainer``.

    Attributes:
        record: What was logged, as (step, metric, value); the metrics of
            :func:`llm_validation.group_metrics.group_metrics`, those of TRL that matter under
            short names, and ``responses`` and ``tokens`` generated so far. A row of step t
            describes the batch that update t was made on.

    Raises:
        ValueError: An unknown scheme, a group size it is not defined for, or one that needs a
            critic, several reward functions of which none is named as the outcome of a scheme that
            needs one, or an option of generation that seeded sampling cannot honour.
    """

    model: Any  # TRL types these as what they may be before its __init__ has run
    num_generations: int
    _logs: dict[str, Any]

    def __init__(
        self,
        *,
        scheme: SchemeLike,
        schedules: Mapping[str, Schedule] | None = None,
        outcome: str | None = None,
        outcome_rule: OutcomeRule | None = None,
        shaping: RewardMode | None = None,
        dead_groups: DeadGroups = "keep",
        tries: int = 4,
        prompt_probability: Sequence[float] | Replan | None = None,
        seeded: bool = True,
        **arguments: Any,
    ) -> None:
        self.scheme = resolve(scheme)
        self.schedules = dict(schedules or {})
        self._follows_entropy = any(isinstance(s, ByEntropy) for s in self.schedules.values())
        if self.scheme.needs_baseline:
            raise ValueError(
                f"{self.scheme.name} needs a critic, which this trainer does not have; "
                "rloo is the group method with the same population weight"
            )
        scheme_at(self.scheme, self.schedules, 0, entropy=0.0)
        if self.scheme.keeps_history and self.schedules:
            raise ValueError(
                f"the prior of {self.scheme.name} follows the history of prompts: no schedules"
            )
        self._history = PromptHistory(self.scheme)
        super().__init__(**arguments)
        self.scheme.check_group_size(self.num_generations)
        self._split = RewardSplit(
            self.scheme,
            self.reward_func_names,
            self.reward_weights.tolist(),
            outcome=outcome,
            rule=outcome_rule,
            mode=shaping,
        )
        self.dead_groups, self.tries = dead_groups, tries
        check_dead_groups(self)
        self.seeded = seeded and not self.use_vllm
        if self.seeded:
            self._check_generation()
        self._batch = (-1, 0)  # step, and number of the batch among those generated at it
        self._turns = Turns()
        self.record: list[tuple[int, str, float]] = []
        self._responses = self._tokens = 0
        self._rewards: torch.Tensor | None = None
        self._dead = np.zeros(0, dtype=bool)
        self._lengths: list[int] = []
        self._unwrapped: tuple[Any, Any] = (None, None)
        self._probability: Any = prompt_probability
        if isinstance(prompt_probability, Replan):
            self._history.planner = planner_of(prompt_probability, self, outcome, outcome_rule)
            self._probability = self._history.planner.probability
        if prompt_probability is not None:
            self._get_train_sampler()  # refuses what cannot be drawn by before the first step

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        sampler, chances = super()._get_train_sampler(dataset), self._probability
        return sampler if chances is None else PlannedSampler(sampler, chances)

    def _check_generation(self) -> None:
        """Refuse what seeded sampling cannot honour, and sample nothing where nothing is random."""
        if getattr(self, "use_transformers_continuous_batching", False):
            raise ValueError(
                "seeded sampling needs use_transformers_continuous_batching = False, or give "
                "seeded=False"
            )
        if self.generation_config.do_sample:
            check_sampling(self.generation_config)
        else:
            self.seeded = False

    def _calculate_rewards(
        self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any
    ) -> torch.Tensor:
        rewards: torch.Tensor = super()._calculate_rewards(
            inputs, prompts, completions, completion_ids_list
        )
        self._rewards = rewards
        self._lengths = [len(ids) for ids in completion_ids_list]
        return rewards

    def _generate_single_turn(  # type: ignore[override]
        self, prompt_ids: Any, images: Any, fields: Any, *arguments: Any, **options: Any
    ) -> Any:
        if not (self.seeded and self.model.training):
            return super()._generate_single_turn(prompt_ids, images, fields, *arguments, **options)
        rows = self._turns.rows(len(prompt_ids))
        step = self.state.global_step
        uniforms = uniform_rows(
            self.args.seed,
            step,
            self.accelerator.process_index * self._turns.size,
            self._turns.size,
            self.generation_config.max_new_tokens,
            batch=self._batch[1],
            turn=self._turns.number - 1,
        )[rows]
        numbers = torch.from_numpy(uniforms).to(self.accelerator.device)
        try:
            noted = self._noted if self.scheme.needs_confidence else None
            with seeded_generation(self._inner_model(), numbers, noted):
                return super()._generate_single_turn(
                    prompt_ids, images, fields, *arguments, **options
                )
        except DivergedError as error:
            raise DivergedError(
                f"training diverged by step {step}: {error}; lower learning_rate or max_grad_norm"
            ) from error

    def _tool_call_loop(
        self, prompts: Any, prompt_ids: Any, completion_ids: Any, completions: Any, *more: Any
    ) -> Any:
        self._turns.follow(completions)
        return super()._tool_call_loop(prompts, prompt_ids, completion_ids, completions, *more)

    def _inner_model(self) -> Any:
        """The model without its wrappers, which are looked through once: that takes a while."""
        whole = self.model_wrapped
        if self._unwrapped[0] is not whole:
            self._unwrapped = (whole, self.accelerator.unwrap_model(whole))
        return self._unwrapped[1]

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        output = self._weighted(inputs)
        if self.model.training and self.dead_groups != "keep":
            output = self._without_dead(inputs, output)
        if self.model.training:
            self._history.end_batch()
        return output

    def _without_dead(self, inputs: Any, output: dict[str, Any]) -> dict[str, Any]:
        """The batch with its dead groups sampled again, or dropped from the loss."""
        dead = self._dead
        if self.dead_groups != "drop":
            output, dead = self._sampled_again(inputs, output, dead)
        left = torch.from_numpy(np.repeat(dead, self.num_generations)).to(self.accelerator.device)
        output["advantages"] = torch.where(left, 0.0, output["advantages"])
        output["completion_mask"] = torch.where(left[:, None], 0, output["completion_mask"])
        loss_mask = output["completion_mask"] * output.get("tool_mask", 1)
        output["num_items_in_batch"] = self.accelerator.gather(loss_mask.sum()).sum()
        share = torch.tensor(dead.mean(), dtype=torch.float32, device=self.accelerator.device)
        self._metrics["train"]["groups_left_out"].append(
            float(self.accelerator.gather(share).mean())
        )
        return output

    def _sampled_again(
        self, inputs: Any, output: dict[str, Any], dead: np.ndarray
    ) -> tuple[dict[str, Any], np.ndarray]:
        """The batch with dead groups replaced by ones that teach, and what is dead still."""
        size, processing = self.num_generations, cast(Any, self.processing_class)
        pad = getattr(processing, "tokenizer", processing).pad_token_id
        for _ in range(self.tries):
            mine = np.flatnonzero(dead).tolist()
            # Processes generate together: those with fewer dead groups sample others beside them.
            count = self._over_processes(len(mine), largest=True)
            if count == 0:
                break
            spare = [group for group in range(len(dead)) if group not in mine]
            groups = (mine + spare)[:count]
            fresh = self._weighted(self._rows_again(inputs, groups))
            better = [place for place in range(len(mine)) if not self._dead[place]]
            replaced = rows_of([groups[place] for place in better], size)
            output = replace_rows(output, replaced, fresh, rows_of(better, size), pad)
            dead = dead.copy()
            dead[[groups[place] for place in better]] = False
        return output, dead

    def _rows_again(self, inputs: Any, groups: list[int]) -> list[Any]:
        """Rows to generate for: the groups' own, or those of other prompts under ``refill``."""
        size = self.num_generations
        if self.dead_groups == "resample":
            return [inputs[row] for row in rows_of(groups, size)]
        key = (*self._batch, self.accelerator.process_index)
        data: Any = self.train_dataset
        rows = stream(self.args.seed, "refill", *key).choice(len(data), len(groups))
        return [data[int(row)] for row in rows for _ in range(size)]

    def _weighted(self, inputs: Any) -> dict[str, Any]:
        """TRL's batch with the scheme's advantages; says in ``_dead`` which groups are."""
        if self.model.training:
            step, batch = self._batch
            now = self.state.global_step
            self._batch, self._turns = (now, batch + 1 if step == now else 0), Turns()
            self._noted: list[torch.Tensor] = []
            self._history.begin(inputs, self.num_generations, now)
        output = super()._generate_and_score_completions(inputs)
        if not self.model.training:
            return output
        rewards, advantages, valid = self._weigh(output)
        assert self._rewards is not None
        self._history.add(rewards, valid, self._rewards.cpu().numpy())
        rows = output["advantages"].shape[0]
        first = self.accelerator.process_index * rows
        mine = torch.from_numpy(advantages.reshape(-1)[first : first + rows])
        output["advantages"] = mine.to(output["advantages"])
        groups = slice(first // self.num_generations, (first + rows) // self.num_generations)
        self._dead = are_dead(rewards, valid)[groups]
        self._correct_logs(rewards, advantages, valid)
        return output

    def _transform_advantages(self, advantages: torch.Tensor) -> torch.Tensor:
        """Give versions of TRL that ask for them (its pull request 7298) the scheme's advantages.

        They log what they are given here. Weights that depend on the policy's own probabilities
        have to wait until TRL has put the batch together.
        """
        if not self.model.training or self._follows_entropy or self.scheme.needs_confidence:
            return advantages
        return torch.from_numpy(self._weigh({})[1].reshape(-1)).to(advantages)

    def _weigh(self, output: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Outcomes, advantages and which responses are scored, of all processes, by group."""
        entropy = self._mean_entropy(output) if self._follows_entropy else None
        scheme = scheme_at(self.scheme, self.schedules, self.state.global_step, entropy=entropy)
        group = (-1, self.num_generations)
        # In NumPy: on a few hundred numbers torch's own overhead is larger than the work.
        assert self._rewards is not None
        outcomes, beside, scored = self._split(self._rewards.cpu().numpy())
        rewards, valid = outcomes.reshape(group), scored.reshape(group)
        # A mask that masks nothing would double the cost of the advantages.
        counted = None if valid.all() else valid
        if scheme.needs_length:
            own = torch.tensor(self._lengths, device=self.accelerator.device)
            length = self.accelerator.gather(own).cpu().numpy().reshape(group)
            advantages = group_advantages(rewards, scheme, length=length, valid=counted)
        elif scheme.needs_confidence:
            gathered = self.accelerator.gather(self._log_confidence(output))
            confidence = gathered.cpu().numpy().reshape(group)
            advantages = group_advantages(rewards, scheme, log_confidence=confidence, valid=counted)
        elif scheme.keeps_history:
            advantages = self._history.advantages(rewards, counted)
        elif counted is None:
            advantages = binary_advantages(rewards, scheme)
        else:
            advantages = group_advantages(rewards, scheme, valid=counted)
        if beside is not None:
            parts = beside.reshape(*group, beside.shape[1])
            mode = self._split.shaping_mode
            advantages = advantages + shaping_advantages(rewards, parts, mode, valid=counted)
        return rewards, advantages, valid

    @torch.no_grad()
    def _log_confidence(self, output: dict[str, Any]) -> torch.Tensor:
        """Length-normalised log-probability of this process's responses under the sampler."""
        log_probs = output.get("sampling_per_token_logps")
        if log_probs is None and not self.mask_truncated_completions:
            log_probs = output.get("old_per_token_logps")
        if log_probs is None and len(self._noted) == 1:  # a tool's answer begins another turn
            log_probs = self._noted[0][:, : output["completion_ids"].shape[1]]
        if log_probs is None:
            log_probs, _ = self._score(output)
        log_probs = log_probs.float()  # sums over tokens in half precision lose digits
        used = self._sampled_tokens(output) & ~log_probs.isnan()
        total = torch.where(used, log_probs, 0.0).sum(dim=1)
        # A log-probability of 1e-8 above 0 is rounding, not a probability above 1.
        return (total / used.sum(dim=1).clamp(min=1)).clamp(max=0.0)

    @torch.no_grad()
    def _mean_entropy(self, output: dict[str, Any]) -> float:
        """Mean entropy of the policy over the tokens of all responses, in nats."""
        _, entropies = self._score(output, compute_entropy=True)
        used = self._sampled_tokens(output)
        sums = torch.stack([torch.where(used, entropies.float(), 0.0).sum(), used.sum().float()])
        total, count = self.accelerator.reduce(sums, reduction="sum").tolist()
        return float(total / max(count, 1.0))

    def _score(self, output: dict[str, Any], **options: Any) -> tuple[torch.Tensor, Any]:
        """Log-probabilities and entropies of the sampled tokens under the present policy."""
        real = self._real_tokens(output).to(output["prompt_mask"].dtype)
        log_probs, entropies, _ = self._get_per_token_logps_and_entropies(
            self.model,
            torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1),
            torch.cat([output["prompt_mask"], real], dim=1),
            output["completion_ids"].shape[1],
            batch_size=self.args.per_device_train_batch_size,
            **options,
        )
        return log_probs, entropies

    def _real_tokens(self, output: dict[str, Any]) -> torch.Tensor:
        """Tokens that are no padding, shape (rows, tokens).

        Not completion_mask, which TRL zeroes where a truncated response is left out of the loss.
        """
        ids = output["completion_ids"]
        lengths = torch.tensor(self._lengths, device=ids.device)
        return torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]

    def _sampled_tokens(self, output: dict[str, Any]) -> torch.Tensor:
        """Tokens the policy sampled: real ones that no tool has put there."""
        real = self._real_tokens(output)
        return real & output["tool_mask"].bool() if "tool_mask" in output else real

    def _correct_logs(self, rewards: np.ndarray, advantages: np.ndarray, valid: np.ndarray) -> None:
        """Put the true advantages where TRL logged its own, and add what they say."""
        logged = self._logs["advantages"]
        for _ in range(min(len(logged), advantages.size)):
            logged.pop()
        logged.extend(advantages.reshape(-1).tolist())
        self._responses += advantages.size
        self._tokens += self._over_processes(sum(self._lengths))
        metrics = self._metrics["train"]
        values = group_metrics(rewards, advantages, valid)
        for name, value in (values | self._history.metrics()).items():
            metrics[name].append(value)

    def _over_processes(self, number: int, *, largest: bool = False) -> int:
        """Sum of a number over all processes, or the largest."""
        if self.accelerator.num_processes == 1:
            return number
        numbers = self.accelerator.gather(torch.tensor([number], device=self.accelerator.device))
        return int(numbers.max() if largest else numbers.sum())

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log as TRL does, and record what a run keeps."""
        super().log(logs, start_time)
        if not self.model.training or "loss" not in logs:
            return
        step = self.state.global_step
        values = {
            RECORDED.get(name, name): value
            for name, value in logs.items()
            if value is not None
            and (name in RECORDED or name in GROUP_METRICS or name.startswith("outcome_"))
        }
        values |= {"updates": step, "responses": self._responses, "tokens": self._tokens}
        self.record.extend((step, name, float(value)) for name, value in values.items())

    def train(
        self, resume_from_checkpoint: str | bool | None = None, *arguments: Any, **options: Any
    ) -> Any:
        """Train, from a checkpoint if one is given; True is the newest that is whole.

        Raises:
            ValueError: The checkpoint lacks something, or there is none.
            DivergedError: The model's logits are not finite.
        """
        if resume_from_checkpoint is True:
            folder = Path(str(self.args.output_dir))
            found = last_checkpoint(folder)
            if found is None:
                raise ValueError(f"{folder} holds no whole checkpoint to resume from")
            print(f"resuming from {found}", file=sys.stderr)
            resume_from_checkpoint = str(found)
        elif resume_from_checkpoint:
            check_checkpoint(Path(str(resume_from_checkpoint)))
        return super().train(resume_from_checkpoint, *arguments, **options)

    def create_model_card(self, *arguments: Any, **options: Any) -> None:
        """Write none: checkpoints of a run are its own, not for publication."""

    def save_trained(self, folder: Path) -> None:
        """Write the present model and its tokenizer, whole or not at all."""
        unfinished = folder.parent / f".{folder.name}.unfinished"
        if self.accelerator.is_main_process:
            shutil.rmtree(unfinished, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        with whole_or_gone(unfinished):
            self.save_model(str(unfinished))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            put_in_place(unfinished, folder)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
        with whole_or_gone(folder):
            super()._save_checkpoint(model, trial)
            # Every process writes its random state; only then is the checkpoint whole.
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                record = [(step, name, _json_number(value)) for step, name, value in self.record]
                state = {
                    "responses": self._responses,
                    "tokens": self._tokens,
                    "record": record,
                    "rewards_seen": sorted(self._split.seen),
                    "prompts_seen": self._history.state(),
                }
                write_json(folder / STATE_FILE, state)
                write_manifest(folder)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            state = read_json(Path(checkpoint) / STATE_FILE)
            self._responses, self._tokens = state["responses"], state["tokens"]
            self.record = [(step, name, float(value)) for step, name, value in state["record"]]
            self._split.remember(state.get("rewards_seen", []))
            self._history.remember(state.get("prompts_seen", {}))


def _json_number(value: float) -> float | str:
    """A number as JSON has it: NaN and infinities as text, which ``float`` reads."""
    return value if math.isfinite(value) else str(value)
