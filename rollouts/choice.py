"""Which of the files in a folder are rollouts of a training run, and why the others are not."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rollouts.files import RolloutFile, find_files
from rollouts.layouts import LAYOUTS, NAMES, TABLE, Layout, is_metrics, layout_of
from rollouts.sample import Sample, peek
from runs.pass_rates import CORRECT

_FOLDERS = tuple(dict.fromkeys(name for layout in LAYOUTS for name in layout.folders))


@dataclasses.dataclass(frozen=True)
class Chosen:
    """Files of rollouts, all laid out alike.

    Attributes:
        files: The files.
        sample: First rows of the first file, and of the last.
        layout: How they are laid out.
        evaluation: They are evaluations, not what was trained on.
        passed: What was passed over, in words, with the reason.
    """

    files: Sequence[RolloutFile]
    sample: Sample
    layout: Layout
    evaluation: bool
    passed: Sequence[str] = ()


def choose_files(paths: Sequence[Path], scratch: Path) -> Chosen:
    """Choose the rollouts of a training run among files and folders.

    Files whose paths differ only in numbers are taken for alike, and the first is looked at.

    Args:
        paths: Files and folders.
        scratch: Folder for what has to be converted.

    Raises:
        FileNotFoundError: A path that is not there, or a folder without tables.
        ValueError: A file that cannot be read, or rollouts of several kinds.
    """
    streams: dict[tuple[Path, str], list[RolloutFile]] = {}
    for path in paths:
        for file in find_files(path, _FOLDERS):
            # Files that were named are meant, and those of a folder looked for.
            root = path if path.is_dir() else Path()
            streams.setdefault((root, file.pattern if path.is_dir() else file.kind), []).append(
                file
            )
    looked = [_look(files, scratch) for files in streams.values()]
    good = [one for one in looked if isinstance(one, Chosen)]
    wrong = [
        (files, one)
        for files, one in zip(streams.values(), looked, strict=True)
        if isinstance(one, ValueError)
    ]
    if not good:
        raise wrong[0][1]
    passed = [f"{_named(files)} ({reason})" for files, reason in wrong]
    steps = [one for one in good if one.layout is TABLE and is_metrics(one.sample.fields)]
    if len(steps) < len(good):
        good = [one for one in good if one not in steps]
        passed += [f"{_named(one.files)} (metrics of training steps)" for one in steps]
    usable = [one for one in good if _has_rewards(one)] or good
    passed += [f"{_named(one.files)} (no rewards in it)" for one in good if one not in usable]
    known = [one for one in usable if one.layout is not TABLE] or usable
    passed += [f"{_named(one.files)} (another table)" for one in usable if one not in known]
    training = [one for one in known if not one.evaluation] or known
    passed += [f"{_named(one.files)} (evaluations)" for one in known if one not in training]
    best = _preferred(training)
    passed += [f"{_named(one.files)} (a copy)" for one in training if one not in best]
    first = best[0]
    for other in best[1:]:
        if _kind(other) != _kind(first):
            raise ValueError(
                f"there are rollouts of several kinds, {first.layout.name} in "
                f"{_named(first.files)} and {other.layout.name} in {_named(other.files)}; name "
                "those that belong together"
            )
    files = [file for one in best for file in one.files]
    rows = tuple(row for one in best for row in one.sample.rows)
    sample = dataclasses.replace(first.sample, rows=rows)
    return dataclasses.replace(first, files=files, sample=sample, passed=passed)


def _look(files: list[RolloutFile], scratch: Path) -> Chosen | ValueError:
    try:
        if files[0].kind == "torch":
            files = [_converted(file, scratch) for file in files]
        first = peek(files[0])
        rows = first.rows + (peek(files[-1]).rows if len(files) > 1 else ())
        sample = dataclasses.replace(first, rows=rows)
        if not rows:
            return ValueError(
                f"{files[0].path} {'holds no rows' if _header(files[0]) else 'is empty'}"
            )
    except ValueError as error:
        return error
    layout = layout_of(sample.fields, sample, lines=files[0].kind == "jsonl")
    return Chosen(files, sample, layout, layout.evaluation or files[0].evaluation)


def _header(file: RolloutFile) -> bool:
    return file.kind == "parquet" or file.path.stat().st_size > 0


def _has_rewards(chosen: Chosen) -> bool:
    if chosen.layout is not TABLE:
        return True
    names = {name.lower().rpartition(".")[2] for name in chosen.sample.fields}
    counts = any(name in names for name in CORRECT)
    return counts or not names.isdisjoint(NAMES["reward"])


def _kind(chosen: Chosen) -> tuple[object, ...]:
    """What files have to share to be read as one: layout, format, and names of what counts."""
    sample = chosen.sample
    names = [name.lower() for name in sample.fields] if chosen.layout is TABLE else []
    named = [
        next((name for name in known if name in names), None)
        for known in (NAMES["prompt"], (*NAMES["reward"], *CORRECT))
    ]
    return (chosen.layout, chosen.files[0].kind, sample.container, sample.nested, *named)


def _preferred(training: list[Chosen]) -> list[Chosen]:
    """Of copies of the same rollouts, those that were trained on."""
    for part in ("train/effective", "train/all"):
        found = [one for one in training if f"/{part}/" in f"/{one.files[0].path.as_posix()}"]
        if found:
            return found
    return training


def _named(files: Sequence[RolloutFile]) -> str:
    return files[0].pattern if len(files) > 1 else files[0].path.name


def _converted(file: RolloutFile, scratch: Path) -> RolloutFile:
    """A file of torch as JSON lines, read by a loader that cannot execute code."""
    try:
        import torch
    except ImportError as error:
        raise ValueError(
            f"{file.path} is a file of torch, which is not installed; pip install torch, or log "
            "rollouts as JSON lines"
        ) from error
    try:
        loaded = torch.load(file.path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"{file.path} holds more than plain data, and loading it could execute code; log "
            "rollouts as JSON lines"
        ) from error
    samples = loaded.get("samples") if isinstance(loaded, dict) else None
    if not isinstance(samples, list) or not all(isinstance(one, dict) for one in samples):
        raise ValueError(f"{file.path} has no list of samples")
    step = loaded.get("rollout_id")
    path = scratch / f"torch-{len(list(scratch.iterdir()))}.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for one in samples:
            stream.write(json.dumps({"rollout_id": step, **one}, default=_plain) + "\n")
    return dataclasses.replace(file, path=path, kind="jsonl")


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
