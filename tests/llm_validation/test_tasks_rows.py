"""Bad rows are reported with file, line number and what is wrong."""

import re
import types

import huggingface_hub
import pandas as pd
import pytest

from llm_validation.tasks import load_task
from llm_validation.tasks.rows import BadRowError, Reader, Row

GOOD = '{"problem": "1+1?", "answer": "2", "level": 1, "subject": "Algebra"}'


def problem(row: Row) -> str:
    return row.text("problem")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b'{"problem": "x"', r"not valid JSON \(Expecting ',' delimiter at column 16\)"),
        (b"nonsense", r"not valid JSON \(Expecting value at column 1\)"),
        (b'["a"]', "must be a JSON object; it is a list"),
        (b'{"problem": "\xff"}', r"not UTF-8 \(byte 14\)"),
        (b'{"answer": "2"}', "the row lacks 'problem'"),
        (b'{"problem": 3}', "'problem' must be text; it is a int"),
        (b"[" * 100_000, r"not usable JSON \(nested too deeply\)"),
    ],
)
def test_broken_line_is_named(tmp_path, line, complaint):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"\n".join([GOOD.encode(), b"", line, GOOD.encode()]))
    place = re.escape(f"{file}, line 3: ")
    with pytest.raises(BadRowError, match=f"1 bad row.*{place}{complaint}"):
        Reader().examples(file, "train", problem)
    lenient = Reader(strict=False)
    assert lenient.examples(file, "train", problem) == ["1+1?", "1+1?"]
    assert lenient.read == 3
    assert len(lenient.bad_rows) == 1
    assert re.search(rf"line 3: {complaint}", lenient.bad_rows[0])


def test_many_bad_rows_are_counted(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join([GOOD, *(["{}"] * 9)]))
    with pytest.raises(BadRowError, match=r"9 bad row\(s\).*line 6.*; and 4 more"):
        Reader().examples(file, "train", problem)


def test_task_reports_the_bad_rows_it_left_out(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join([GOOD, "{", GOOD.replace("1,", "9,")]))
    with pytest.raises(BadRowError, match="task option strict=false leaves them out"):
        load_task("math", test_path=file)
    with load_task("math", test_path=file, strict=False) as task:
        assert len(task.test) == 1
        assert task.report.read == {"train": 0, "test": 3}
        assert [bool(re.search(r"line \d: ", text)) for text in task.report.bad_rows] == [True] * 2
        assert "'level' must be 1 to 5 or 'Level 1' to 5; it is 9" in task.report.bad_rows[1]
        assert task.to_dict()["bad_rows"] == list(task.report.bad_rows)
        assert "bad rows left out: 2" in task.describe()
        assert "licence: MIT for the data set" in task.describe()


def test_file_without_usable_rows(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("\n\n")
    with pytest.raises(BadRowError, match="holds no usable row"):
        Reader().examples(file, "train", problem)


def test_parquet_is_read_like_jsonl(tmp_path):
    file = tmp_path / "rows.parquet"
    pd.DataFrame({"problem": ["a", None, "c"]}).to_parquet(file)
    with pytest.raises(BadRowError, match=r"rows\.parquet, row 2: the row lacks 'problem'"):
        Reader().examples(file, "train", problem)
    assert Reader(strict=False).examples(file, "train", problem) == ["a", "c"]


def test_sources_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl is not a file; give a \.jsonl or"):
        Reader().examples(tmp_path / "none.jsonl", "train", problem)
    (tmp_path / "rows.csv").write_text("a,b")
    with pytest.raises(ValueError, match=r"read from \.jsonl or \.parquet files; got .*rows\.csv"):
        Reader().examples(tmp_path / "rows.csv", "train", problem)
    (tmp_path / "broken.parquet").write_text("a,b")
    with pytest.raises(ValueError, match=r"broken\.parquet is not a Parquet file"):
        Reader().examples(tmp_path / "broken.parquet", "train", problem)
    with pytest.raises(ValueError, match=r"written hub:owner/name\[:config\]\[@split\]; got hub:x"):
        Reader().examples("hub:x", "train", problem)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that serves one data set, from the cache or, if asked to, over the network."""
    folder = tmp_path / "snapshot"
    (folder / "main").mkdir(parents=True)
    for split in ("train", "test"):
        rows = pd.DataFrame({"question": [f"{split}?"] * 2, "answer": ["so #### 1,200"] * 2})
        rows.to_parquet(folder / "main" / f"{split}-00000-of-00001.parquet")
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: main\n  data_files:\n"
        "  - split: train\n    path: main/train-*\n  - split: test\n    path: main/test-*\n---\n"
    )
    asked = types.SimpleNamespace(cached=True)

    def snapshot_download(repo, *, local_files_only, **options):
        asked.repo, asked.local_files_only, asked.options = repo, local_files_only, options
        if local_files_only and not asked.cached:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not cached")
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return asked


def test_hub_rows_come_from_the_cache_unless_the_network_is_asked_for(hub):
    task = load_task("gsm8k", train_path="hub:owner/gsm8k:main", test_path="hub:owner/gsm8k@test")
    assert [example.prompt[0]["content"][:6] for example in task.train] == ["train?"] * 2
    assert [example.prompt[0]["content"][:5] for example in task.test] == ["test?"] * 2
    assert task.test[0].gold == "1200"
    assert (hub.repo, hub.local_files_only) == ("owner/gsm8k", True)
    assert not any("py" in pattern for pattern in hub.options["allow_patterns"])
    hub.cached = False
    with pytest.raises(FileNotFoundError, match="not in the local Hugging Face cache; pass down"):
        load_task("gsm8k", train_path="hub:owner/gsm8k:main")
    load_task("gsm8k", train_path="hub:owner/gsm8k:main", download=True)
    assert hub.local_files_only is False
    hub.cached = True
    with pytest.raises(ValueError, match=r"no such data \(config main, split dev\)"):
        load_task("gsm8k", train_path="hub:owner/gsm8k:main@dev")
