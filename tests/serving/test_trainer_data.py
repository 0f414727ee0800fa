"""Judged texts and tasks as the tables that trainers read, from Python and from the shell."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from penchant.cli.main import app
from penchant.data.readers.read import read
from penchant.errors import DataError
from penchant.serving.trainer_data import (
    preference_table,
    prompt_table,
    task_table,
    unpaired_table,
    verl_table,
)
from penchant.simulation.tasks.chain import Chain

PAIRS = {
    "prompt": [f"q{k // 2}" for k in range(24)],
    "chosen": [f"good {k}" for k in range(24)],
    "rejected": [f"bad {k}" for k in range(24)],
    "person": [f"p{k % 3}" for k in range(24)],
}
ROLES = {"person": "person"}


@pytest.fixture(scope="module")
def records():
    from penchant.data.description import Description

    return read(PAIRS, Description(layout="trl", person="person")).records


def test_pairs_are_written_as_they_were_read(records):
    table = preference_table(records)
    assert {name: table[name].to_pylist() for name in PAIRS} == PAIRS


def test_each_pair_is_a_good_and_a_bad_answer(records):
    rows = unpaired_table(records).to_pylist()
    assert len(rows) == 48
    assert rows[2] == {"prompt": "q0", "person": "p1", "completion": "good 1", "label": True}
    assert rows[3] == {"prompt": "q0", "person": "p1", "completion": "bad 1", "label": False}


def test_judged_answers_stay_judged_answers():
    from penchant.data.description import Description

    one = {"prompt": ["a", "b"], "completion": ["x", "y"], "label": [True, False]}
    found = read(one, Description(layout="trl")).records
    assert unpaired_table(found).to_pydict() == one
    with pytest.raises(DataError, match="pair of texts with a winner"):
        preference_table(found)


def test_each_prompt_stands_once_for_each_person(records):
    rows = prompt_table(records).to_pylist()
    assert len(rows) == len({(row["prompt"], row["person"]) for row in rows}) == 24
    assert {row["prompt"] for row in rows} == set(PAIRS["prompt"])


def test_messages_stay_messages():
    from penchant.data.description import Description

    def said(text, role="assistant"):
        return [{"role": role, "content": text}]

    chat = {"prompt": [said("q", "user")], "chosen": [said("a")], "rejected": [said("b")]}
    found = read(pa.table(chat), Description(layout="trl")).records
    assert preference_table(found).to_pylist() == [{n: v[0] for n, v in chat.items()}]
    (row,) = verl_table(prompt_table(found), "penchant/x").to_pylist()
    assert row["prompt"] == said("q", "user")
    assert row["extra_info"]["prompt"] == "q"


def test_verls_rows_have_its_five_columns():
    problems = Chain(fewest=1, most=1).draw(3, np.random.default_rng(0))
    rows = verl_table(task_table(problems), "penchant/CHAIN", "test").to_pylist()
    for index, (row, problem) in enumerate(zip(rows, problems, strict=True)):
        assert row["data_source"] == row["ability"] == "penchant/CHAIN"
        assert row["prompt"] == [{"role": "user", "content": problem.prompt}]
        assert row["reward_model"] == {"style": "rule", "ground_truth": problem.demonstration}
        known = row["extra_info"]
        assert (known["split"], known["index"]) == ("test", index)
        assert (known["prompt"], known["difficulty"]) == (problem.prompt, problem.difficulty)


def run(*words):
    return CliRunner().invoke(app, ["export", *map(str, words)])


def test_the_shell_writes_a_task_for_either_trainer(tmp_path):
    done = run("CHAIN:most=2", "--to", "trl", "--out", tmp_path / "trl", "--num", 50)
    assert done.exit_code == 0, done.output
    train, test = (pq.read_table(tmp_path / "trl" / f"prompts-{p}.parquet") for p in
                   ("train", "test"))  # fmt: skip
    assert train.column_names == ["prompt", "answer", "difficulty"]
    assert not set(train["prompt"].to_pylist()) & set(test["prompt"].to_pylist())
    assert (tmp_path / "trl" / "reward.py").is_file()
    done = run("CHAIN:most=2", "--to", "verl", "--out", tmp_path / "verl", "--num", 50, "--json")
    files = json.loads(done.stdout)["files"]
    assert set(files) == {"train.parquet", "test.parquet", "reward.py"}
    row = pq.read_table(tmp_path / "verl" / "test.parquet").to_pylist()[0]
    assert row["extra_info"]["split"] == "test"
    scope = {}
    exec((tmp_path / "verl" / "reward.py").read_text(), scope)
    found = scope["compute_score"](
        data_source=row["data_source"], solution_str=row["reward_model"]["ground_truth"],
        ground_truth=row["reward_model"]["ground_truth"], extra_info=row["extra_info"],
    )  # fmt: skip
    assert found["score"] == 1.0


def test_the_shell_writes_judged_texts_in_all_their_formats(tmp_path):
    file = tmp_path / "pairs.jsonl"
    lines = [dict(zip(PAIRS, row)) for row in zip(*PAIRS.values())]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = run(file, "--to", "trl", "--out", tmp_path / "out", "--held-out", 0.25)
    assert done.exit_code == 0, done.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"{kind}-{part}.parquet" for kind in ("preference", "unpaired", "prompts")
                     for part in ("train", "test")}  # fmt: skip
    prompts = {
        kind: set(pq.read_table(tmp_path / "out" / f"{kind}-test.parquet")["prompt"].to_pylist())
        for kind in ("preference", "unpaired", "prompts")
    }
    assert len(prompts["preference"]) == 3
    assert prompts["preference"] == prompts["unpaired"] == prompts["prompts"]
    whole = pq.read_table(tmp_path / "out" / "preference-train.parquet")
    assert len(whole) == 18
    assert set(whole.column_names) == set(PAIRS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("DOOR", "--to", "trl"), "several turns"),
        (("CHAIN", "--to", "nobody"), "expected one of trl, verl"),
        (("nothing.jsonl", "--to", "trl"), "there is no file"),
        (("CHAIN", "--to", "trl", "--belief", "x"), "Leave it out"),
    ],
)
def test_what_cannot_be_exported_is_told(tmp_path, words, said):
    done = run(*words, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
