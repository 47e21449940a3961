"""Checkpoints: what is lost is noticed, and the newest whole one is found."""

import errno

import pytest

from llm_validation.checkpoints import (
    MANIFEST,
    check_checkpoint,
    last_checkpoint,
    what_is_lost,
    whole_or_gone,
    write_manifest,
)


def checkpoint(folder, step):
    path = folder / f"checkpoint-{step}"
    (path / "global").mkdir(parents=True)
    (path / "optimizer.pt").write_bytes(b"moments")
    (path / "global" / "part.pt").write_bytes(b"shard")
    write_manifest(path)
    return path


def test_a_whole_checkpoint_is_the_newest_by_number(tmp_path):
    assert last_checkpoint(tmp_path) is None
    for step in (2, 10, 9):
        checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-11").mkdir()  # killed while it was written
    (tmp_path / "checkpoint-11" / "optimizer.pt").write_bytes(b"moments")
    assert last_checkpoint(tmp_path).name == "checkpoint-10"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("optimizer.pt", None, "optimizer.pt is missing"),
        ("global/part.pt", None, "global/part.pt is missing"),
        ("optimizer.pt", b"mom", "optimizer.pt has 3 bytes instead of 7"),
        ("optimizer.pt", b"momentz", "optimizer.pt is not what was written"),
        (MANIFEST, b"{", "its manifest.json cannot be read"),
        (MANIFEST, b"[]", "its manifest.json cannot be read"),
        (MANIFEST, None, "has no manifest.json"),
    ],
)
def test_what_is_lost_is_said(tmp_path, capsys, name, content, sentence):
    older, newer = checkpoint(tmp_path, 1), checkpoint(tmp_path, 2)
    assert what_is_lost(newer) == ""
    if content is None:
        (newer / name).unlink()
    else:
        (newer / name).write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        check_checkpoint(newer)
    assert last_checkpoint(tmp_path) == older
    if name != MANIFEST or content is not None:
        assert sentence in capsys.readouterr().err
        (older / "optimizer.pt").unlink()
        with pytest.raises(ValueError, match=r"no checkpoint in .* is whole"):
            last_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (Exception("Error while serializing: I/O error: whatever (os error 28)"), errno.ENOSPC),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos"), errno.EIO),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), errno.EDQUOT),
        (OSError(errno.EACCES, "Permission denied", "elsewhere"), errno.EACCES),
    ],
)
def test_a_folder_that_the_disk_does_not_take_is_removed_and_named(tmp_path, error, number):
    folder = tmp_path / "checkpoint-1"
    folder.mkdir()
    (folder / "half").write_bytes(b"half")
    with pytest.raises(OSError, match=r".+") as failed, whole_or_gone(folder):
        raise error
    assert failed.value.errno == number
    assert failed.value.filename == (getattr(error, "filename", None) or str(folder))
    assert not folder.exists()


def test_an_error_of_another_kind_is_left_alone(tmp_path):
    for error in (ValueError("no weights"), RuntimeError("out of memory"), ConnectionError("hub")):
        with pytest.raises(type(error), match=str(error)), whole_or_gone(tmp_path):
            raise error
    assert tmp_path.exists()
