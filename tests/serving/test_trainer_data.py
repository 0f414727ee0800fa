"""Judged texts and tasks as the tables that trainers read, from Python and from the shell."""

import json
from dataclasses import replace

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


@pytest.fixture(scope="module")
def votes():
    """Texts side by side: the second won, the first won, a tie."""
    from penchant.data.description import Description

    table = {"prompt": ["q", None, "s"], "a": ["x", "y", "z"], "b": ["u", "v", "w"],
             "winner": ["b", "a", "tie"]}  # fmt: skip
    said = Description(
        layout="pairs", kind="pair", option_columns=("a", "b"), answer="winner",
        codes={"a": "first", "b": "second", "tie": "tie"}, allow_missing=("prompt",),
        feature_columns={"text": {"first": "a", "second": "b"}},
    )  # fmt: skip
    return read(table, said).records


def test_the_winner_is_the_chosen_and_the_good_one_on_whichever_side_it_stood(votes):
    rows = preference_table(votes).to_pylist()
    assert rows == [{"prompt": "q", "chosen": "u", "rejected": "x"},
                    {"prompt": "", "chosen": "y", "rejected": "v"}]  # fmt: skip
    judged = [(row["prompt"], row["completion"], row["label"])
              for row in unpaired_table(votes).to_pylist()]  # fmt: skip
    assert judged == [("q", "x", False), ("q", "u", True), ("", "y", True), ("", "v", False)]


def test_what_has_no_prompt_is_no_prompt_to_go_on_from(votes):
    assert prompt_table(votes).to_pylist() == [{"prompt": "q"}, {"prompt": "s"}]
    bare = replace(votes, rows=votes.rows.drop_columns("prompt"))
    with pytest.raises(DataError, match="none of 3 observations has a prompt"):
        prompt_table(bare)


def test_answers_that_nobody_judged_are_left_out():
    from penchant.data.description import Description

    one = {"prompt": ["a", "b", "c"], "completion": ["x", "y", "z"], "label": [True, None, False]}
    found = read(one, Description(layout="trl")).records
    assert unpaired_table(found)["completion"].to_pylist() == ["x", "z"]


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
    assert row["reward_model"]["ground_truth"] == ""


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


def test_the_options_of_the_shell_are_heeded(tmp_path):
    def prompts(name, *words):
        done = run("CHAIN:most=3", "--to", "trl", "--num", 40, "--out", tmp_path / name, *words)
        assert done.exit_code == 0, done.output
        files = sorted((tmp_path / name).glob("prompts-*.parquet"))
        return {file.stem: pq.read_table(file)["prompt"].to_pylist() for file in files}

    first, again = prompts("a"), prompts("b")
    assert first == again
    assert set(first) == {"prompts-train", "prompts-test"}
    other, whole = prompts("c", "--seed", 1), prompts("d", "--held-out", 0)
    assert {*other["prompts-train"], *other["prompts-test"]} != set(whole["prompts-train"])
    assert {*first["prompts-train"], *first["prompts-test"]} == set(whole["prompts-train"])
    assert list(whole) == ["prompts-train"]
    assert len(whole["prompts-train"]) == 40
    assert "Chain(fewest=1, most=3" in (tmp_path / "a" / "reward.py").read_text()


def test_lines_that_cannot_be_read_are_set_aside_and_prompts_are_held_out_by_the_seed(tmp_path):
    file = tmp_path / "pairs.jsonl"
    lines = [dict(zip(PAIRS, row)) for row in zip(*PAIRS.values())]
    lines[4]["chosen"] = None
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run(file, "--to", "trl", "--out", tmp_path / "no").exit_code == 3
    tests = []
    for seed in (0, 1):
        out = tmp_path / str(seed)
        done = run(
            file, "--to", "verl", "--out", out, "--on-bad-rows", "quarantine", "--seed", seed
        )
        assert done.exit_code == 0, done.output
        assert (out / "pairs.quarantined.csv").is_file()
        rows = pq.read_table(out / "test.parquet").to_pylist()
        tests.append({row["extra_info"]["prompt"] for row in rows})
    assert tests[0] != tests[1]


def test_texts_without_prompts_are_nothing_for_verl_to_go_on_from(tmp_path):
    file = tmp_path / "bare.jsonl"
    file.write_text("".join(
        json.dumps({"chosen": f"good {k}", "rejected": "bad"}) + "\n" for k in range(12)
    ))  # fmt: skip
    done = run(file, "--to", "verl", "--out", tmp_path / "out")
    assert done.exit_code == 3
    assert "no answer has a prompt" in " ".join(done.output.split())
    assert run(file, "--to", "trl", "--out", tmp_path / "trl").exit_code == 0
    assert not list((tmp_path / "trl").glob("prompts*"))


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
