"""`penchant align`: policies from tasks and from preferences, whole runs and broken ones."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from penchant.cli.align_methods import METHODS, AlignOptions, learner_of
from penchant.cli.align_tasks import TASKS
from penchant.cli.main import app

torch = pytest.importorskip("torch")

SHAPE = ("--width", "16", "--layers", "1", "--passes", "1")
TINY = (*SHAPE, "--demonstrations", "40", "--trial", "12")
FEW = ("--steps", "2", "--prompts", "2", "--group-size", "2")


def run(*arguments):
    return CliRunner().invoke(app, ["align", *map(str, arguments)])


def done(*arguments):
    found = run(*arguments)
    assert found.exit_code == 0, found.output
    return found


def refused(*arguments, code=2):
    found = run(*arguments)
    assert found.exit_code == code, found.output
    return " ".join(found.output.replace("│", " ").split())


def pairs_file(folder, num=40):
    """Ann likes "yes", bob likes "no"."""
    rng = np.random.default_rng(0)
    rows = []
    for row in range(num):
        chosen, rejected = ("yes", "no") if row % 2 else ("no", "yes")
        rows.append({"prompt": f"{row % 13}?", "chosen": chosen, "rejected": rejected,
                     "person": "ann" if row % 2 else "bob",
                     "place": "home" if rng.random() < 0.5 else "work"})  # fmt: skip
    return write(folder / "pairs.jsonl", rows)


def frozen(folder, window=48):
    """A model that answers and is not trained."""
    from lm.tiny_models import TINY as SMALL
    from lm.tiny_models import save_tiny

    save_tiny(folder / "frozen", config=replace(SMALL, window=window))
    return folder / "frozen"


def write(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def weights(folder):
    from penchant.lm.folder import load_language_model

    return load_language_model(folder).parameters


@pytest.mark.parametrize("method", [n for n, o in METHODS.items() if o.way == "reward"])
def test_a_method_of_rewards_writes_a_policy_a_card_and_a_page(method, tmp_path):
    out = tmp_path / "out"
    tasks = {"rank-grpo": "RANK", "hgpo": "DOOR", "epo": "DOOR", "igpo": "LOOK"}
    task = {**tasks, "retroformer": "RETRY"}.get(method, "TOOL")
    more = {"modes": ("--mode", "a"), "dsp": ("--frozen", frozen(tmp_path))}.get(method, ())
    found = json.loads(done(task, "-m", method, "-o", out, *TINY, *FEW, *more, "--json").stdout)
    assert found["at"] == [1.0, 2.0]
    for name in ("reward", "entropy", "length", "degenerate", "clipped", "effective"):
        assert len(found["steps"][name]) == 2
    assert found["whole"]["num"] == 12
    assert {one["group"] for one in found["scores"]} == {"difficulty"}
    page = (out / "report.html").read_text()
    assert "Entropy" in page
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert METHODS[method].told[1:20] in (out / "policy" / "README.md").read_text()
    start, policy = weights(out / "start"), weights(out / "policy")
    assert start.keys() == policy.keys()


def test_a_single_stream_draws_one_response_a_prompt_and_compares_none(tmp_path):
    out = tmp_path / "out"
    done("CHAIN:most=1,fewest=1", "-m", "single-stream", "-o", out, *TINY, "--steps", "1")
    found = json.loads((out / "report.json").read_text())
    assert found["steps"]["degenerate"] == [None]
    assert not any("of groups" in told for told in found["warnings"])
    assert "of groups all responses" not in (out / "report.html").read_text()
    settings = json.loads((out / "run.json").read_text())
    assert (settings["group_size"], settings["prompts"]) == (1, 128)


def test_a_square_goes_over_a_batch_in_several_steps_where_nothing_is_said(tmp_path):
    for method, updates in (("k1.5", 4), ("rloo", 1)):
        out = tmp_path / method
        done("CHAIN:most=1,fewest=1", "-m", method, "-o", out, *TINY, "--steps", "1")
        assert json.loads((out / "run.json").read_text())["updates"] == updates


def test_modes_are_asked_for_and_only_where_they_are_forced(tmp_path):
    few = ("--steps", "1", "--prompts", "2")
    assert "expected --mode" in refused("CHAIN", "-m", "modes", "-o", tmp_path / "a", *TINY, *few)
    assert "--mode would change nothing" in refused(
        "CHAIN", "-m", "grpo", "--mode", "#", "-o", tmp_path / "b", *TINY, *few
    )
    command = ("CHAIN", "-m", "modes", "--mode", "#", "-o", tmp_path / "c", *TINY)
    done(*command, *few)
    assert json.loads((tmp_path / "c" / "run.json").read_text())["modes"] == ["#"]
    done(*command, "--steps", "2", "--prompts", "2")
    other = ("CHAIN", "-m", "modes", "--mode", "1", "-o", tmp_path / "c", *TINY)
    assert "holds a run with modes ['#']" in refused(*other, *few)


def test_hints_are_graded_by_what_the_frozen_model_makes_of_them(tmp_path):
    command = ("CHAIN:most=1", "-m", "dsp", *TINY, *FEW[2:])
    asked = "expected --frozen FOLDER"
    assert asked in refused(*command, "-o", tmp_path / "a")
    assert asked in refused("DOOR", *command[1:], "--frozen", "x", "-o", tmp_path / "a")
    assert asked in refused(*command, "--frozen", "x", "--reward", "x.py", "-o", tmp_path / "a")
    assert "--frozen would change nothing" in refused(
        "CHAIN", "-m", "grpo", "--frozen", "x", "-o", tmp_path / "a", *TINY
    )
    # What the frozen model has no room for is said before a policy is taught.
    small = frozen(tmp_path, window=20)
    said = refused(*command, "--frozen", small, "-o", tmp_path / "a", code=3)
    assert "and its answer may have 16; expected 20 in all, that model's window" in said
    folder = frozen(tmp_path)
    assert "0.05" in refused(*command, "--frozen", folder, "--anchor", "0", "-o", tmp_path / "a")
    most = ("--most-tokens", "1", "-o", tmp_path / "a")
    assert "2 or more for dsp" in refused(*command, "--frozen", folder, *most)
    assert not (tmp_path / "a").exists()
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    command = (*command, "--frozen", folder)
    one = json.loads(done(*command, "-o", whole, "--steps", "2", "--json").stdout)
    assert one["facts"]["reward without a hint"] == f"{0.0:.3f}"
    assert one["facts"]["frozen model"] == str(folder)
    # Taken up again by another process: the task is known by its words, the anchor by its strength.
    done(*command, "-o", parts, "--steps", "1")
    other = json.loads(done(*command, "-o", parts, "--steps", "2", "--json").stdout)
    assert other["steps"] == one["steps"]
    # The frozen model stays as it was.
    before = weights(folder)
    from lm.tiny_models import tiny

    assert all(torch.equal(value, tiny().parameters[n].float()) for n, value in before.items())


def test_reflections_are_of_worlds_and_steps_of_single_answers(tmp_path):
    out = tmp_path / "o"
    assert "RETRY" in refused("CHAIN", "-m", "retroformer", "-o", out, *TINY)
    assert "a task without turns" in refused("RETRY", "-m", "direct-advantage", "-o", out, *SHAPE)
    file = pairs_file(tmp_path)
    assert "a file cannot grade" in refused(file, "-m", "direct-advantage", "-o", out, *SHAPE)
    assert "--tokens-at-once would change" in refused(
        "CHAIN", "-m", "direct-advantage", "-o", out, "--tokens-at-once", "64"
    )


def test_steps_are_learnt_from_a_critic_of_their_own_and_a_round_goes_on_where_it_stood(tmp_path):
    command = ("CHAIN:most=2", "-m", "direct-advantage", *TINY, "--prompts", "4", "--group-size",
               "2", "--strength", "0.5")  # fmt: skip
    out = tmp_path / "out"
    found = json.loads(done(*command, "-o", out, "--epochs", "2", "--json").stdout)
    assert found["whole"]["num"] == 12
    assert int(found["facts"]["steps tried"]) >= 8
    assert int(found["facts"]["tokens drawn"]) >= 12
    # So small a start is never right, and the page says what comes of that.
    assert ["earned 0" in told for told in found["warnings"]] == [True]
    start, policy = weights(out / "start"), weights(out / "policy")
    assert max(float((policy[n] - v).abs().max()) for n, v in start.items()) > 1e-5
    again = json.loads(done(*command, "-o", out, "--epochs", "2", "--json").stdout)
    assert again["whole"] == found["whole"]
    # Another round from where the first one ended.
    more = ("--model", out / "policy", *TINY[8:])
    done(command[0], "-m", "direct-advantage", "--prompts", "4", "--group-size", "2", *more,
         "-o", tmp_path / "second")  # fmt: skip


def test_a_frozen_model_has_room_for_the_longest_references(tmp_path):
    from penchant.cli.align_reward import hinted
    from penchant.cli.align_tasks import read_task

    options = AlignOptions(frozen=str(frozen(tmp_path)))
    # "1,2,3,4,5,6,7,8,#8" and its end, where a task's usual answer has 16 tokens.
    for task, most in (("CHAIN:most=8", 19), ("CHAIN:most=2", 16)):
        assert hinted(read_task(task), 16, options).answerer.most_tokens == most


@pytest.mark.parametrize("task", list(TASKS))
def test_every_task_is_played_and_graded(task, tmp_path):
    most = ("--most-tokens", "3")
    found = done(
        task, "-o", tmp_path / "o", *TINY, "--steps", "1", "--prompts", "2", *most, "--json"
    )
    assert json.loads(found.stdout)["whole"]["num"] == 12


@pytest.mark.parametrize("method", [n for n, o in METHODS.items()
                                    if o.way in ("pairs", "answers", "shown")])  # fmt: skip
def test_a_method_of_data_learns_from_a_file(method, tmp_path):
    file, out = pairs_file(tmp_path), tmp_path / "out"
    found = json.loads(done(file, "-m", method, "-o", out, *_shape(method), "--json").stdout)
    assert found["whole"]["num"] >= 2
    moved = [float((weights(out / "policy")[n] - v).abs().max())
             for n, v in weights(out / "start").items()]  # fmt: skip
    assert max(moved) > 1e-5
    assert (out / "report.html").is_file()


def _shape(method):
    return SHAPE[:4] if METHODS[method].way == "shown" else SHAPE


def test_a_policys_folder_is_one_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    out = tmp_path / "out"
    done("TOOL", "-o", out, *TINY, *FEW, "--rank", "2")
    model = transformers.AutoModelForCausalLM.from_pretrained(out / "policy")
    ours = weights(out / "policy")["embed_tokens.weight"]
    assert torch.equal(model.get_input_embeddings().weight.detach(), ours)


def test_a_run_that_was_broken_off_ends_as_the_unbroken_one(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    command = ("CHAIN:most=1", "-m", "ppo", *TINY, *FEW[2:], "--anchor", "0.1")
    one = json.loads(done(*command, "-o", whole, "--steps", "4", "--json").stdout)
    done(*command, "-o", parts, "--steps", "2")
    other = json.loads(done(*command, "-o", parts, "--steps", "4", "--json").stdout)
    for name in ("steps", "whole", "scores", "samples"):
        assert other[name] == one[name]
    for name, value in weights(whole / "policy").items():
        assert torch.equal(weights(parts / "policy")[name], value)
    message = refused(*command, "-o", parts, "--steps", "4", "--seed", "3")
    assert "holds a run with seed 0; this one has 3" in message
    # A folder of another version, which lacked a setting or had one more.
    said = json.loads((parts / "run.json").read_text())
    for other in ({n: v for n, v in said.items() if n != "modes"}, said | {"modes_": []}):
        (parts / "run.json").write_text(json.dumps(other))
        message = refused(*command, "-o", parts, "--steps", "4")
        assert "another version of penchant began (of the two only one knows modes" in message


def test_answers_are_kept_with_who_drew_them_and_are_a_file_of_ranked_lists(tmp_path):
    out, parts = tmp_path / "out", tmp_path / "parts"
    command = ("CHAIN:most=1", "-m", "truth", *TINY, *FEW[2:4], "--group-size", "3",
               "--keep-answers")  # fmt: skip
    done(*command, "-o", out, "--steps", "3")
    lines = [json.loads(line) for line in (out / "answers.jsonl").read_text().split("\n")[:-1]]
    assert [line["step"] for line in lines] == [1, 1, 2, 2, 3, 3]
    for line in lines:
        assert line["sources"].count("inserted truth") == 1
        assert len(set(line["contexts"])) == 1
        assert set(line["versions"]) == {line["step"] - 1, -1}
    # What a broken-off run wrote of a step that it did not finish is written once.
    done(*command, "-o", parts, "--steps", "2")
    with (parts / "answers.jsonl").open("a") as file:
        file.write(json.dumps(lines[4] | {"scores": None}) + "\n" + '{"step": 3, "pro')
    done(*command, "-o", parts, "--steps", "3")
    assert (parts / "answers.jsonl").read_text() == (out / "answers.jsonl").read_text()
    file = parts / "answers.jsonl"
    file.write_text("{\n" + file.read_text())
    assert "line 1" in refused(*command, "-o", parts, "--steps", "4", code=3)
    learnt = json.loads(done(out / "answers.jsonl", "-m", "dpo", "-o", tmp_path / "dpo", *SHAPE,
                             "--epochs", "1", "--json").stdout)  # fmt: skip
    assert int(learnt["facts"]["ranked lists"]) >= 4
    message = refused(pairs_file(tmp_path), "-m", "dpo", "-o", tmp_path / "n", "--keep-answers")
    assert "--keep-answers would change nothing" in message


def test_kept_answers_may_hold_whatever_a_policy_says(tmp_path):
    from penchant.cli.align_folder import RunFolder

    folder, said = RunFolder(tmp_path), ["\x85", "a\u2028b", "\u2029", "\x1c\r\n"]
    lines = [{"step": step, "completions": said} for step in (1, 2)]
    folder.begin_answers(0)
    folder.add_answers(lines)
    kept = (tmp_path / "answers.jsonl").read_text(encoding="utf-8")
    folder.begin_answers(2)
    assert (tmp_path / "answers.jsonl").read_text(encoding="utf-8") == kept
    folder.begin_answers(1)
    assert [json.loads(kept.split("\n")[0])] == lines[:1]
    assert (tmp_path / "answers.jsonl").read_text(encoding="utf-8") == kept.split("\n")[0] + "\n"


def test_ctrl_c_in_a_rollout_keeps_what_was_done(tmp_path, monkeypatch):
    from penchant.policies.language import gathering

    real, calls = gathering.draw_rollouts, []

    def pressed(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    command = ("TOOL", *TINY, *FEW[2:], "--steps", "4")
    unbroken = json.loads(done(*command, "-o", tmp_path / "a", "--json").stdout)
    monkeypatch.setattr(gathering, "draw_rollouts", pressed)
    found = run(*command, "-o", tmp_path / "b")
    assert found.exit_code == 130
    assert "goes on from there" in found.output
    monkeypatch.setattr(gathering, "draw_rollouts", real)
    resumed = json.loads(done(*command, "-o", tmp_path / "b", "--json").stdout)
    assert resumed["steps"] == unbroken["steps"]


def test_halves_of_what_was_kept_are_refused_with_what_to_do(tmp_path):
    command = ("TOOL", *TINY, *FEW, "-o", tmp_path)
    done(*command)
    for name in ("state/trainer.safetensors", "steps.jsonl", "run.json"):
        file = tmp_path / name
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])
        message = refused(*command, code=3)
        assert "cannot be read" in message
        assert "start again" in message
        file.write_bytes(content)
    policy = tmp_path / "policy" / "model.safetensors"
    policy.write_bytes(policy.read_bytes()[:100])
    message = refused("TOOL", "-o", tmp_path / "new", "--model", tmp_path / "policy", *FEW)
    assert "cannot be read as a decoder" in message


def test_kinds_of_people_are_told_apart_and_written_one_by_one(tmp_path):
    file, out = pairs_file(tmp_path, 80), tmp_path / "out"
    done(file, "-m", "dpo", "-o", out, *SHAPE, "--kinds", "2", "--rank", "4", "--strength", "1",
         "--epochs", "60", "--learning-rate", "0.02", "--held-out", "0")  # fmt: skip
    people = json.loads((out / "people.json").read_text())
    ann, bob = people["ann"]["policy-1"], people["bob"]["policy-1"]
    assert abs(ann - bob) > 0.9
    assert weights(out / "policy-1").keys() == weights(out / "policy-2").keys()


def test_tastes_that_change_with_the_context_are_found(tmp_path):
    rows = []
    for row in range(80):
        place = ("home", "work")[row % 2]
        chosen, rejected = ("yes", "no") if place == "home" else ("no", "yes")
        rows.append({"prompt": f"{row % 7}?", "chosen": chosen, "rejected": rejected,
                     "person": f"p{row % 8 // 2}", "place": place})  # fmt: skip
    out = tmp_path / "out"
    found = done(write(tmp_path / "p.jsonl", rows), "-m", "dpo", "-o", out, *SHAPE, "--kinds", "2",
                 "--rank", "4", "--strength", "1", "--epochs", "60", "--learning-rate", "0.02",
                 "--context", "place", "--held-out", "0", "--json")  # fmt: skip
    shares = json.loads((out / "people.json").read_text())
    at = {place: [v["policy-1"] for n, v in shares.items() if n.endswith(place)]
          for place in ("home", "work")}  # fmt: skip
    assert abs(np.mean(at["home"]) - np.mean(at["work"])) > 0.9
    by_place = [one for one in json.loads(found.stdout)["scores"] if one["group"] == "place"]
    assert [one["after"] for one in by_place] == [1.0, 1.0]


def test_what_does_not_go_together_is_refused(tmp_path):
    file, out = pairs_file(tmp_path), tmp_path / "out"
    assert "Did you mean 'grpo'" in refused("CHAIN", "-m", "grpoo", "-o", out)
    assert "expected a task" in refused(file, "-m", "grpo", "-o", out)
    assert "--out is missing" in refused("CHAIN")
    assert "no task of that name" in refused("CHAINS", "-o", out)
    assert "fewest, most, scratch" in refused("CHAIN:hops=2", "-o", out)
    assert "type int" in refused("CHAIN:most=two", "-o", out)
    assert "--strength would change nothing" in refused("CHAIN", "-o", out, "--strength", "2")
    assert "--steps would change nothing" in refused(file, "-m", "dpo", "-o", out, "--steps", "2")
    assert "--kinds would change" in refused(file, "-m", "ipo", "-o", out, "--kinds", "2")
    assert "adapters" in refused(file, "-m", "dpo", "-o", out, "--kinds", "2", *SHAPE)
    for method, option in (
        ("dpo", "--strength"),
        ("kto", "--strength"),
        ("sft", "--learning-rate"),
    ):
        for value in ("0", "-1"):
            assert "above 0" in refused(file, "-m", method, "-o", out, *SHAPE, option, value)
    nan = tmp_path / "nan"
    assert "temperature=nan" in refused("CHAIN", "-o", nan, *SHAPE, "--temperature", "nan")
    # Refused before anything was taught: the folder is nobody's yet.
    assert not nan.exists()
    assert "packed or padded" in refused("CHAIN", "-o", out, "--layout", "mixed")
    assert "full or bfloat16" in refused("CHAIN", "-o", out, "--precision", "int8")
    for method, option in (("kto", "--tokens-at-once"), ("sft", "--tokens-at-once")):
        assert "would change nothing" in refused(file, "-m", method, "-o", out, option, "64")
    assert "--layout would change" in refused(file, "-m", "sft", "-o", out, "--layout", "packed")
    assert "group_size=1" in refused("CHAIN", "-m", "grpo", "-o", nan, "--group-size", "1")
    assert "the task RANK" in refused("TOOL", "-m", "rank-grpo", "-o", nan)
    assert "DOOR, LOOK or TALK" in refused("TOOL", "-m", "hgpo", "-o", nan)
    assert "DOOR, LOOK or TALK" in refused("TOOL", "-m", "epo", "-o", nan)
    assert "--updates 2 or more" in refused("TOOL", "-m", "k1.5", "-o", nan, "--updates", "1")
    assert not nan.exists()
    assert "which is a file" in refused("CHAIN", "-o", file, *TINY)


def test_data_that_cannot_be_learnt_from_are_refused(tmp_path):
    out = tmp_path / "out"
    holes = [{"prompt": "a", "chosen": "b", "rejected": "c"}, {"prompt": "a", "rejected": "c"}]
    assert "chosen" in refused(
        write(tmp_path / "holes.jsonl", holes), "-m", "dpo", "-o", out, code=3
    )
    long = [{"prompt": "a" * 90, "chosen": "b", "rejected": "c"}] * 12
    message = refused(write(tmp_path / "long.jsonl", long), "-m", "dpo", "-o", tmp_path / "l",
                      *SHAPE, "--window", "40", code=3)  # fmt: skip
    assert "40 at most, the model's window" in message
    good = [{"prompt": f"{n}", "completion": "b", "label": True} for n in range(12)]
    message = refused(write(tmp_path / "good.jsonl", good), "-m", "kto", "-o", tmp_path / "g",
                      *SHAPE, code=3)  # fmt: skip
    assert "12 of 12 answers are desired" in message
    message = refused("CHAIN", "-o", tmp_path / "w", *TINY, *FEW, "--window", "20", code=3)
    assert "the model's window" in message


def test_what_is_too_long_for_the_model_is_set_aside_where_bad_rows_are(tmp_path):
    from penchant.data.readers.read import read

    rows = [{"prompt": f"{n}?", "chosen": "yes", "rejected": "no"} for n in range(6)]
    rows.insert(2, {"prompt": "a" * 90, "chosen": "yes", "rejected": "no"})
    file, out = write(tmp_path / "p.jsonl", rows), tmp_path / "out"
    found = done(file, "-m", "dpo", "-o", out, *SHAPE, "--window", "40", "--epochs", "1",
                 "--on-bad-rows", "quarantine")  # fmt: skip
    assert "1 of 7 observations are longer than the model's window of 40" in " ".join(
        found.output.split()
    )
    assert json.loads((out / "report.json").read_text())["facts"]["pairs"] == "6"
    kept = read(out / "too_long.parquet").records
    assert kept.rows["prompt"].to_pylist() == ["a" * 90]
    for method in ("sft", "kto"):
        done(file, "-m", method, "-o", tmp_path / method, *_shape(method), "--window", "40",
             "--on-bad-rows", "quarantine", "--epochs", "1")  # fmt: skip


def test_data_that_compare_nothing_are_refused_before_anything_is_taught(tmp_path):
    out = tmp_path / "out"
    same = [{"prompt": f"{n}?", "completions": ["a", "b", "c"], "scores": [1, 1, 1]}
            for n in range(3)]  # fmt: skip
    single = [{"prompt": f"{n}?", "completion": "a", "label": n % 2 == 0} for n in range(4)]
    for name, rows in (("same", same), ("single", single)):
        message = refused(write(tmp_path / f"{name}.jsonl", rows), "-m", "dpo", "-o", out, *SHAPE,
                          code=3)  # fmt: skip
        assert f"none of {len(rows)} observations ranks an answer above another" in message
    assert not (out / "start").exists()


def test_what_a_method_of_answers_would_not_heed_is_refused_before_anything_is_taught(tmp_path):
    lists = [{"prompt": f"{n}?", "completions": ["a", "b", "c"][: 2 + (n > 0)],
              "ranks": [1, 2, 3][: 2 + (n > 0)]} for n in range(4)]  # fmt: skip
    alike = [row | {"ranks": [1] * len(row["ranks"])} for row in lists]
    weighed = [{"prompt": f"{n}?", "chosen": "a", "rejected": "b", "weight": 1 + n}
               for n in range(4)]  # fmt: skip
    for rows, method, told in (
        # One line of the lists is a pair: the others would have been left out without a word.
        (lists, "kto", "ranks more than two answers"),
        (alike, "sft", "none has an answer to imitate"),
        (weighed, "kto", "counts all alike"),
    ):
        file, out = write(tmp_path / "w.jsonl", rows), tmp_path / method
        assert told in refused(file, "-m", method, "-o", out, *_shape(method), code=3)
        assert not (out / "start").exists()


def test_the_same_text_on_both_sides_is_neither_won_nor_lost(tmp_path):
    rows = [{"prompt": f"{n}?", "chosen": "yes", "rejected": "yes"} for n in range(6)]
    found = done(write(tmp_path / "s.jsonl", rows), "-m", "dpo", "-o", tmp_path / "o", *SHAPE,
                 "--epochs", "1", "--json")  # fmt: skip
    assert json.loads(found.stdout)["whole"]["after"] == 0.5


def test_a_program_that_cannot_be_loaded_is_refused_before_anything_is_taught(tmp_path):
    for body, said in (("return (", "SyntaxError"), ("pass\nreward = 1", "no function reward")):
        message = refused("TOOL", *TINY, *FEW, "-o", tmp_path / "o", "--reward",
                          program(tmp_path, body), code=3)  # fmt: skip
        assert "cannot be used" in message
        assert said in message
        assert not (tmp_path / "o" / "start").exists()


def test_an_empty_completion_is_an_answer_that_ends_at_once(tmp_path):
    rows = [{"prompt": f"{n % 7}", "chosen": "", "rejected": "word"} for n in range(24)]
    found = done(write(tmp_path / "e.jsonl", rows), "-m", "dpo", "-o", tmp_path / "o", *SHAPE,
                 "--epochs", "5", "--learning-rate", "0.01", "--json")  # fmt: skip
    assert json.loads(found.stdout)["whole"]["after"] == 1.0


def weighted_file(folder):
    """Of each prompt two pairs, the second turned round and worth more, and a tie."""
    rows = []
    for n in range(20):
        pair = {"prompt": f"{n}?", "chosen": "yes", "rejected": "no"}
        turned = {"prompt": f"{n}?", "chosen": "no", "rejected": "yes"}
        rows += [pair | {"weight": 1.0}, turned | {"weight": 4.0 if n < 15 else 0.0}]
    return write(folder / "weighted.jsonl", rows)


def test_a_column_of_weights_is_heeded_or_refused(tmp_path):
    file = weighted_file(tmp_path)
    out = tmp_path / "out"
    found = json.loads(done(file, "-m", "dpo", "-o", out, *SHAPE, "--epochs", "6", "--held-out",
                            "0", "--learning-rate", "0.01", "--json").stdout)  # fmt: skip
    # 35 of 40 pairs count; "no" has 60 of 80 votes, though it won 15 of 35 pairs. The report counts
    # them as the training does.
    assert found["whole"]["num"] == 35
    assert found["whole"]["after"] == pytest.approx(60 / 80)
    assert found["unit"] == "share of pairs in the judged order, by their weights"
    for method in ("kto", "sft"):
        message = refused(file, "-m", method, "-o", tmp_path / method, *_shape(method), code=3)
        assert f"--method {method} counts all alike" in message


def lists_file(folder, num=24, **more):
    """Ann likes "a" before "b" before "c", bob the other way round."""
    rows = []
    for n in range(num):
        ranks = [1, 2, 3] if n % 2 else [3, 2, 1]
        rows.append({"prompt": f"{n // 2}?", "completions": ["a", "b", "c"], "ranks": ranks,
                     "person": "ann" if n % 2 else "bob"}
                    | {name: of(n) for name, of in more.items()})  # fmt: skip
    return write(folder / "lists.jsonl", rows)


def test_ranked_lists_are_learnt_from_told_and_taken_up_again(tmp_path, monkeypatch):
    # Ann's lists weigh four times as much: her order wins.
    file = lists_file(tmp_path, weight=lambda n: 4.0 if n % 2 else 1.0)
    command = (file, "-m", "dpo", *SHAPE, "--epochs", "6", "--learning-rate", "0.02", "--batch",
               "4", "--strength", "1", "--held-out", "0")  # fmt: skip
    whole = json.loads(done(*command, "-o", tmp_path / "a", "--json").stdout)
    assert whole["facts"]["ranked lists"] == "24"
    assert whole["unit"] == (
        "share of a list's pairs in the judged order, mean over lists, by their weights"
    )
    assert whole["whole"]["num"] == 24
    assert whole["whole"]["after"] == pytest.approx(0.8)
    assert {one["label"]: one["after"] for one in whole["scores"]} == {"ann": 1.0, "bob": 0.0}
    assert "ranked lists" in (tmp_path / "a" / "report.html").read_text()

    from penchant.policies.language import direct

    real, calls = direct.of_lists, []

    def pressed(*args):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(direct, "of_lists", pressed)
    assert run(*command, "-o", tmp_path / "b").exit_code == 130
    again = json.loads(done(*command, "-o", tmp_path / "b", "--json").stdout)
    # Six passes in all, of which three stood before the break and one was begun again.
    assert len(calls) == 4 + 3
    assert again["whole"] == whole["whole"]
    for name, value in weights(tmp_path / "a" / "policy").items():
        assert torch.equal(weights(tmp_path / "b" / "policy")[name], value)


def test_kinds_of_people_are_told_apart_by_their_lists(tmp_path):
    out = tmp_path / "out"
    done(lists_file(tmp_path, 48), "-m", "dpo", "-o", out, *SHAPE, "--kinds", "2", "--rank", "4",
         "--strength", "1", "--epochs", "60", "--learning-rate", "0.02",
         "--held-out", "0")  # fmt: skip
    people = json.loads((out / "people.json").read_text())
    assert abs(people["ann"]["policy-1"] - people["bob"]["policy-1"]) > 0.9


def test_lists_of_two_are_pairs_and_equal_ones_ties_with_their_weights(tmp_path):
    rows = [{"prompt": f"{n}?", "completions": ["a", "b"], "scores": [n % 3, 1],
             "weight": 1.0 + 8.0 * (n % 3 == 1)} for n in range(24)]  # fmt: skip
    file = write(tmp_path / "two.jsonl", rows)
    told = json.loads(done(file, "-m", "dpo", "--ties", "davidson", "-o", tmp_path / "o", *SHAPE,
                           "--held-out", "0", "--epochs", "1", "--json").stdout)  # fmt: skip
    assert told["facts"]["pairs"] == "24"
    # 8 ties of weight 9 among 24 pairs: 72 of 88 are ties at the start.
    assert told["facts"]["ties of equal answers"] in ("81%", "82%")
    assert told["whole"]["num"] == 16
    done(file, "-m", "ipo", "-o", tmp_path / "i", *SHAPE, "--epochs", "1")


def test_lists_under_other_names_and_verls_rollouts_are_learnt_from(tmp_path):
    rows = [{"prompt": f"{n}?", "drafts": ["a", "b", "c"], "judged": [1, 2, 3]} for n in range(4)]
    roles = ("layout=trl", "options.text=drafts", "answer.column=judged", "answer.kind=ranking")
    few = (*SHAPE, "--epochs", "1", "--json")
    found = done(write(tmp_path / "own.jsonl", rows), "-m", "dpo", "-o", tmp_path / "a", *few,
                 *(word for role in roles for word in ("--role", role)))  # fmt: skip
    assert json.loads(found.stdout)["facts"]["ranked lists"] == "4"
    kept = [{"input": f"{p}?", "output": f"{k}", "score": float(k == 1), "step": 1}
            for p in range(5) for k in range(3)]  # fmt: skip
    found = done(write(tmp_path / "1.jsonl", kept), "-m", "dpo", "-o", tmp_path / "b", *few)
    assert json.loads(found.stdout)["facts"]["ranked lists"] == "5"
    message = refused("CHAIN", "-m", "dpo", "-o", tmp_path / "c", "--role", "rows.person=p")
    assert "--role would change nothing" in message


def test_what_only_pairs_have_is_refused_of_lists_before_anything_is_taught(tmp_path):
    file, out = lists_file(tmp_path), tmp_path / "out"
    for more in (("-m", "ipo"), ("-m", "hinge"), ("-m", "dpo", "--ties", "davidson")):
        assert "expected --method dpo or dpo-nll" in refused(file, *more, "-o", out, *SHAPE)
        assert not (out / "start").exists()
    assert "dpo-nll and sft learn" in refused(file, "-m", "kto", "-o", out, *SHAPE, code=3)
    best = json.loads(done(file, "-m", "sft", "-o", tmp_path / "s", *_shape("sft"),
                           "--json").stdout)  # fmt: skip
    assert best["facts"]["answers"]
    tied = write(tmp_path / "tied.jsonl", [
        {"prompt": f"{n}?", "completions": [f"{k}" for k in range(10)], "scores": [1] * 9 + [0]}
        for n in range(3)
    ])  # fmt: skip
    message = refused(tied, "-m", "dpo", "-o", tmp_path / "t", *SHAPE, code=3)
    assert "observation 0 has 9 answers of one rank or score" in message


def test_ties_are_learnt_as_an_answer_of_their_own(tmp_path):
    from penchant.cli.reading import read_file
    from penchant.data.readers.native import save

    records = read_file(pairs_file(tmp_path), None, on_bad_rows="error", aside=None,
                        quiet=True).records  # fmt: skip
    tied = pa.array(np.where(np.arange(40) % 3 == 0, 2, 0))
    at = records.rows.column_names.index("outcome")
    file = tmp_path / "tied.parquet"
    save(replace(records, rows=records.rows.set_column(at, "outcome", tied)), file)
    out = tmp_path / "out"
    for law in ("davidson", "rao-kupper"):
        done(file, "-m", "dpo", "--ties", law, "-o", out / law, *SHAPE, "--json")
        assert "ties of equal answers" in (out / law / "report.html").read_text()
    assert "--ties got 'no'" in refused(file, "-m", "dpo", "--ties", "no", "-o", out / "n")
    assert "--ties would change nothing" in refused(file, "-m", "ipo", "--ties", "davidson", "-o",
                                                    out / "i")  # fmt: skip


def program(folder, body):
    file = folder / "reward.py"
    file.write_text(f"import math, os, time\ndef reward(prompt, response, shown):\n    {body}\n")
    return file


def test_a_reward_of_ones_own_is_climbed_and_its_failures_are_counted(tmp_path):
    body = "print('x'); return 1 / (sum(map(ord, response)) % 3)"
    few = ("--steps", "2", "--prompts", "3", "--group-size", "4")
    command = ("TOOL", *TINY, *few, "--reward", program(tmp_path, body))
    found = json.loads(done(*command, "-o", tmp_path / "a", "--json").stdout)
    assert all(0.5 <= reward <= 1.0 for reward in found["steps"]["reward"])
    assert sum(found["steps"]["failed"]) > 0
    assert any("Gradings that failed: " in text and "raised ZeroDivisionError" in text
               for text in found["warnings"])  # fmt: skip
    program(tmp_path, "return 0.0")
    assert "holds a run with reward" in refused(*command, "-o", tmp_path / "a")
    alike = json.loads(done(*command, "-o", tmp_path / "b", "--json").stdout)
    assert alike["steps"]["degenerate"] == [1.0, 1.0]
    start, policy = weights(tmp_path / "b" / "start"), weights(tmp_path / "b" / "policy")
    assert all(torch.equal(policy[name], value) for name, value in start.items())


BAD = {
    "is no number": ("return math.nan", "4 gradings raised", "gave nan; expected a finite"),
    "is infinite": ("return math.inf", "4 gradings raised", "gave inf; expected a finite"),
    "is a word": ("return 'good'", "4 gradings raised", "convert string to float: 'good'"),
    "is none": ("return None", "0 gradings raised", "the others gave None"),
    "raises": ("raise ValueError('why')", "4 gradings raised", "raised ValueError: why"),
    "hangs": ("time.sleep(60)", "4 gradings raised", "gave no answer in 2 s"),
    "forks": ("os.fork()", "4 gradings raised", "raised "),
    "writes": ("open('/tmp/penchant-mark', 'w')", "4 gradings raised", "raised "),
}


@pytest.mark.parametrize("name", BAD)
def test_a_reward_that_never_comes_ends_the_run_with_what_to_do(name, tmp_path):
    message = refused("TOOL", *TINY, *FEW, "-o", tmp_path / "o", "--reward",
                      program(tmp_path, BAD[name][0]), code=3)  # fmt: skip
    assert "no response has a reward" in message
    assert "Mend the reward function" in message
    for said in BAD[name][1:]:
        assert said in message


def test_a_reward_of_ones_own_is_of_whole_episodes_in_a_world(tmp_path):
    file = tmp_path / "reward.py"
    file.write_text(
        "def reward(episode):\n"
        "    sizes = {len(episode[name]) for name in ('observed', 'said', 'earned')}\n"
        "    assert len(sizes) == 1 and episode['observed'][0] == episode['prompt']\n"
        "    assert episode['ended'] in (True, False) and episode['demonstration'] is not None\n"
        "    return -float(sizes.pop())\n"
    )
    found = json.loads(done("DOOR:rooms=2,horizon=3", *TINY, *FEW, "-m", "turns", "-o",
                            tmp_path / "o", "--reward", file, "--json").stdout)  # fmt: skip
    assert found["steps"]["failed"] == [0, 0]
    assert all(-3.0 <= reward <= -1.0 for reward in found["steps"]["reward"])
    assert "component earned" in found["steps"]
    assert "no program" in refused("TOOL", "-o", tmp_path / "p", "--reward", tmp_path / "absent.py")


def test_methods_and_tasks_are_listed():
    found = json.loads(done("--methods", "--json").stdout)
    assert found["methods"].keys() == METHODS.keys()
    assert found["tasks"].keys() == TASKS.keys()
    told = done("--methods").output
    assert all(name in told for name in METHODS)


def test_a_few_prompts_are_all_learnt_from_and_nobody_is_made_up(tmp_path):
    rows = [{"prompt": f"{n}?", "chosen": "yes", "rejected": "no"} for n in range(5)]
    found = done(write(tmp_path / "few.jsonl", rows), "-m", "dpo", "-o", tmp_path / "o", *SHAPE,
                 "--epochs", "3", "--json")  # fmt: skip
    told = json.loads(found.stdout)
    assert "on what it was trained on" in told["lead"][0]
    assert told["facts"]["held out"] == "none"
    assert told["facts"]["people"] == "not known"
    assert told["scores"] == []


def test_a_batch_of_judged_answers_may_be_large(tmp_path):
    rows = [{"prompt": f"{n}", "completion": "b" * (1 + n % 2), "label": n % 2 == 0}
            for n in range(80)]  # fmt: skip
    done(write(tmp_path / "k.jsonl", rows), "-m", "kto", "-o", tmp_path / "o", *SHAPE, "--batch",
         "80", "--epochs", "1")  # fmt: skip


def test_lines_that_are_set_aside_lie_in_the_runs_folder(tmp_path):
    rows = [{"prompt": f"{n}", "chosen": "b", "rejected": "c"} for n in range(12)]
    rows[3]["chosen"] = None
    done(write(tmp_path / "h.jsonl", rows), "-m", "dpo", "-o", tmp_path / "o", *SHAPE, "--epochs",
         "1", "--on-bad-rows", "quarantine")  # fmt: skip
    assert (tmp_path / "o" / "h.quarantined.csv").is_file()
    rows = [{"prompt": f"{n}", "completions": ["b", "c"], "ranks": [1, 2]} for n in range(12)]
    rows[3]["ranks"] = [1]
    told = done(write(tmp_path / "l.jsonl", rows), "-m", "dpo", "-o", tmp_path / "l", *SHAPE,
                "--epochs", "1", "--on-bad-rows", "quarantine")  # fmt: skip
    (aside,) = (tmp_path / "l" / "l.quarantined.jsonl").read_text().splitlines()
    assert json.loads(aside)["row_number"] == 4
    assert "l.quarantined.jsonl" in "".join(told.output.split())


def test_two_processes_take_one_run_together(tmp_path):
    def steps(folder):
        return [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]

    def align(folder, *launcher, more=()):
        entry = "import sys; from penchant.cli.main import app; sys.argv[0] = 'penchant'; app()"
        script = tmp_path / "entry.py"
        script.write_text(entry)
        found = subprocess.run(
            [sys.executable, *launcher, str(script), "align", "TOOL", *TINY, "--steps", "3",
             "--prompts", "4", "--group-size", "4", "-o", str(folder), *more],
            capture_output=True, text=True, timeout=300,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                 "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert found.returncode == 0, found.stderr[-2000:]
        return found

    two = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    said = align(tmp_path / "two", *two)
    # One of them speaks and writes; neither goes on from what the other kept.
    assert said.stdout.count("before and") == 1
    assert "Taken up" not in said.stderr
    align(tmp_path / "one")
    whole, shared = steps(tmp_path / "one"), steps(tmp_path / "two")
    assert [step["tokens"] for step in whole] == [step["tokens"] for step in shared]
    align(tmp_path / "pieces", *two, more=("--divided",))
    one = weights(tmp_path / "one" / "policy")
    for folder in ("two", "pieces"):
        other = weights(tmp_path / folder / "policy")
        for name, value in one.items():
            torch.testing.assert_close(other[name], value, rtol=0, atol=1e-5)


def test_two_threads_take_one_run_together(tmp_path, monkeypatch):
    from penchant.fitting import language_learner

    before, counts = torch.get_num_threads(), []
    original = language_learner.LanguageLearner.step

    def watched(*arguments):
        counts.append(torch.get_num_threads())
        return original(*arguments)

    monkeypatch.setattr(language_learner.LanguageLearner, "step", watched)
    for threads in (1, 2):
        counts.clear()
        done("TOOL", "-o", tmp_path / str(threads), "--threads", threads, *SHAPE, "--steps", "1",
             "--prompts", "2", "--group-size", "2", "--demonstrations", "8", "--trial", "2",
             "--most-tokens", "2", "--anchor", "0.1")  # fmt: skip
        assert counts
        assert set(counts) == {threads}
        assert torch.get_num_threads() == before
    # No setting of the run: what one thread began another number goes on with.
    assert "threads" not in json.loads((tmp_path / "2" / "run.json").read_text())
    one, two = (weights(tmp_path / name / "policy") for name in ("1", "2"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-5)


def test_a_model_is_laid_in_pieces_where_there_are_processes_to_hold_them(tmp_path):
    assert learner_of(AlignOptions(divided=True)).is_divided
    assert not learner_of(AlignOptions()).is_divided
    assert "torchrun" in refused("CHAIN", "-o", tmp_path, "--divided")
    message = refused("CHAIN", "-o", tmp_path, "-m", "kto", "--divided")
    assert "--divided would change nothing" in message


def test_answers_drawn_by_a_server_train_the_policy_that_it_then_loads(tmp_path):
    import threading

    from lm.test_remote_sampling import Server
    from lm.tiny_models import save_tiny
    from penchant.lm.folder import load_language_model

    save_tiny(tmp_path / "model")
    command = ("TOOL", "--model", tmp_path / "model", *FEW, "--trial", "4", "--most-tokens", "4")
    with Server(load_language_model(tmp_path / "model")) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = ("--server", f"http://127.0.0.1:{server.server_port}/v1", "--served", "mine")
        followed = done(*command, *address, "--weights", tmp_path / "shared", "-o", tmp_path / "a",
                        "--json")  # fmt: skip
        steps = json.loads(followed.stdout)["steps"]
        assert len(steps["reward"]) == 2
        assert steps["effective"] == pytest.approx([1.0, 1.0], abs=1e-3)
        assert {path for path, _ in server.seen} == {"/v1/completions", "/update_weights_from_disk"}
        assert {asked["model"] for path, asked in server.seen if path == "/v1/completions"} == {
            "mine"
        }
        assert (tmp_path / "shared").is_dir()
        message = refused(*command, *address, "-m", "grpo", "-o", tmp_path / "b")
        assert "a sampler that keeps its weights" in message
        server.twist = lambda said: {"choices": [{**one, "token_ids": None}
                                                 for one in said["choices"]]}  # fmt: skip
        found = run(*command, *address, "-o", tmp_path / "c")
        assert found.exit_code not in (0, 1)
        assert "without token_ids" in " ".join(found.output.split())
        server.shutdown()
        thread.join()
    assert "expected it too" in refused(*command, "--served", "x", "-o", tmp_path / "d")
    assert "--weights, a folder" in refused("TOOL", *TINY, *address, "-o", tmp_path / "e")


def test_a_tokenizer_without_padding_or_end_is_read_all_the_same(tmp_path):
    pytest.importorskip("transformers")
    from lm.tiny_models import save_tiny

    model = tmp_path / "model"
    save_tiny(model)
    for name, keys in (("config.json", ("penchant_decoder", "eos_token_id", "pad_token_id")),
                       ("tokenizer_config.json", ("eos_token", "pad_token"))):  # fmt: skip
        said = json.loads((model / name).read_text())
        (model / name).write_text(json.dumps({k: v for k, v in said.items() if k not in keys}))
    found = done("TOOL", "--model", model, *FEW, "--trial", "4", "--most-tokens", "4",
                 "-o", tmp_path / "out", "--json")  # fmt: skip
    document = json.loads(found.stdout)
    assert document["steps"]["ended"] == [0.0, 0.0]
    assert any("ran out of room" in text for text in document["warnings"])
    file = pairs_file(tmp_path)
    done(file, "-m", "dpo", "--model", model, "--epochs", "1", "-o", tmp_path / "pairs")
