"""Whatever may be typed after `penchant fit` arrives where it counts; nothing is dropped."""

import inspect
import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from penchant.cli import reading, reward_options, unfinished
from penchant.cli.fit import fit
from penchant.cli.main import app
from penchant.evaluation import reward_page, reward_trial
from penchant.models import tuned_language_model
from penchant.models.reward_model import HABITS, RewardModel

DESCRIPTION = """
layout = "long"
[rows]
person = "who"
situation = ["task"]
[options]
option = "option"
features = ["x", "y"]
[answer]
kind = "choice"
column = "chosen"
"""

# Typed with a model of choices -> the setting of its estimator, and what it must then be.
OF_CHOICES = {
    "formula": (["--formula", "y"], "formula", "y"),
    "shrunk": (["--formula", "x", "--shrunk", "x:y"], "shrunk", "x:y"),
    "group_formula": (["-m", "classes", "--group-formula", "age"], "group_formula", "age"),
    "context": (["-m", "neural", "--formula", "x", "--context", "age"], "context", "age"),
    "random": (["-m", "mixed", "--random", "x=uniform"], "random", {"x": "uniform"}),
    "correlated": (["-m", "mixed", "--correlated"], "correlated", True),
    "classes": (["-m", "classes", "--classes", "3"], "num_classes", 3),
    "draws": (["-m", "personal", "--draws", "77"], "num_draws", 77),
    "chains": (["-m", "hierarchical", "--chains", "2"], "num_chains", 2),
    "seed": (["-m", "mixed", "--seed", "41"], "random_state", 41),
}
# The same options where further models take them.
ELSEWHERE = [
    (["-m", "personal", "--random", "x=lognormal"], "random", {"x": "lognormal"}),
    (["-m", "hierarchical", "--random", "x"], "random", ("x",)),
    (["-m", "mixed", "--draws", "77"], "num_draws", 77),
    (["-m", "hierarchical", "--draws", "77"], "num_draws", 77),
    (["-m", "context", "--formula", "x", "--shrunk", "x:y"], "shrunk", "x:y"),
    (["-m", "mixed", "--formula", "x", "--shrunk", "x:y"], "shrunk", "x:y"),
    (["-m", "personal", "--formula", "x", "--shrunk", "x:y"], "shrunk", "x:y"),
    *(
        (["-m", model, "--formula", "y"], "formula", "y")
        for model in ("context", "classes", "mixed", "personal", "hierarchical", "neural")
    ),
    *(
        (["-m", model, "--seed", "41"], "random_state", 41)
        for model in ("pooled", "classes", "personal", "hierarchical", "neural")
    ),
]
# Typed with --model reward -> how to see it in the model that is fitted.
OF_TEXTS = {
    "text": (["--text", "words"], lambda m: m.embedding.text, "words"),
    "prompt": (["--prompt", "asked"], lambda m: m.embedding.prompt, "asked"),
    "embedding": (["--embedding", "numbers"], lambda m: m.embedding.column, "numbers"),
    "embedder": (["--embedder", "minilm"], lambda m: m.embedding.model, "minilm"),
    "endpoint": (
        ["--embedder", "minilm", "--endpoint", "http://localhost:1/v1"],
        lambda m: (m.embedding.endpoint.url, m.embedding.endpoint.model),
        ("http://localhost:1/v1", "minilm"),
    ),
    "language_model": (["--language-model", "tiny"], lambda m: m.embedding.model, "tiny"),
    "attributes": (["--attributes", "capitals"], lambda m: m.attributes, ("capitals",)),
    "judges": (["--judges", "habits"], lambda m: m.personal, HABITS),
    "kinds": (
        ["--judges", "prototypes", "--kinds", "3"],
        lambda m: (m.people, m.kinds),
        ("prototypes", 3),
    ),
    "soft_label": (["--soft-label", "p"], lambda m: (m.soft_label, m.personal), ("p", False)),
    "margin": (["--margin", "p"], lambda m: m.margin, "p"),
    "reason": (
        ["--reason", "asked", "--reason", "prompt"],
        lambda m: m.reasons,
        ("asked", "prompt"),
    ),
    "seed": (["--seed", "41"], lambda m: m.random_state, 41),
}
TUNED = ["--language-model", "tiny", "--tune", "low_rank"]
# How a language model is tuned before.
OF_TUNING = {
    "tune": (TUNED, lambda t: t.reward.trained, "low_rank"),
    "learning_rate": (
        [*TUNED, "--learning-rate", "0.25"],
        lambda t: t.training.learning_rate,
        0.25,
    ),
    "epochs": ([*TUNED, "--epochs", "3"], lambda t: t.training.max_epochs, 3),
    "seed": (
        [*TUNED, "--seed", "41"],
        lambda t: (t.seed, t.reward.seed, t.training.seed),
        (41, 41, 41),
    ),
}
# How the file is read.
OF_READING = {
    "file": ([], lambda said: said["file"].name, "trips.csv"),
    "description": (["-d", "other.toml"], lambda said: said["description"].name, "other.toml"),
    "role": (["--role", "rows.person=age"], lambda said: said["roles"], ["rows.person=age"]),
    "outside_option": (["--outside-option", "none"], lambda said: said["outside_option"], "none"),
    "on_bad_rows": (["--on-bad-rows", "quarantine"], lambda s: s["on_bad_rows"], "quarantine"),
}
# What is judged in the report of a reward model.
OF_THE_REPORT = {
    "topic": (["--topic", "age"], "age"),
    "folds": (["--folds", "3"], 3),
    "by": (["--by", "age", "--by", "asked"], ("age", "asked")),
}
# Seen in what is printed or written, further down and in the tests of those commands.
SEEN_BELOW = {"model", "out", "form", "json", "price", "debug"}
# `test_language_model_command.py` fits one and looks at the folder.
SEEN_THERE = {"classifier"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("options")
    rng = np.random.default_rng(0)
    lines = ["who,age,task,option,x,y,chosen"]
    for row in range(60):
        x, y = rng.normal(size=(2, 2))
        best = int(np.argmax(x + 0.5 * y + rng.gumbel(size=2)))
        lines += [
            f"p{row // 6},{20 + row // 6},{row},{'ab'[k]},{x[k]:.4f},{y[k]:.4f},{int(k == best)}"
            for k in (0, 1)
        ]
    (folder / "trips.csv").write_text("\n".join(lines) + "\n")
    described = DESCRIPTION.replace('"who"', '"who"\nperson_features = ["age"]')
    (folder / "trips.toml").write_text(described)
    (folder / "other.toml").write_text(described)
    pairs = [
        {
            "person": f"p{row % 24}", "asked": f"q{row % 2}", "age": row % 2, "p": 0.5,
            "prompt": "why", "chosen": f"one {row}", "rejected": f"two {row}",
            **{f"{side}_{column}": [float(x) for x in rng.normal(size=2) + (side == "chosen")]
               for side in ("chosen", "rejected") for column in ("numbers", "embedding")},
        }
        for row in range(96)
    ]  # fmt: skip
    (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return folder


def run(*words, code=0):
    done = CliRunner().invoke(app, ["fit", *map(str, words)])
    assert done.exit_code == code, done.output
    return done


def stop_at(monkeypatch, home, name):
    """Let a command run until it calls `home.name`, and hand over what it calls it with."""
    arrived = []

    def stop(*given, **named):
        arrived.append((given, named))
        raise typer.Exit(0)

    monkeypatch.setattr(home, name, stop)
    return arrived


def test_no_option_is_left_out_here():
    seen = {*OF_CHOICES, *OF_TEXTS, *OF_TUNING, *OF_READING, *OF_THE_REPORT}
    assert seen | SEEN_BELOW | SEEN_THERE == set(inspect.signature(fit).parameters)


@pytest.mark.parametrize(
    ("words", "setting", "value"),
    [*OF_CHOICES.values(), *ELSEWHERE],
    ids=lambda said: " ".join(said) if isinstance(said, list) else "",
)
def test_an_option_of_choices_is_a_setting_of_the_estimator(
    folder, monkeypatch, words, setting, value
):
    arrived = stop_at(monkeypatch, unfinished, "fit_resumably")
    run(folder / "trips.csv", *words)
    ((estimator, *_), _) = arrived[0]
    assert estimator.get_params()[setting] == value
    # A value that is there anyway would prove nothing.
    assert type(estimator)().get_params()[setting] != value


@pytest.mark.parametrize("option", OF_TEXTS)
def test_an_option_of_texts_is_a_setting_of_the_reward_model(folder, monkeypatch, option):
    words, see, value = OF_TEXTS[option]
    arrived = stop_at(monkeypatch, RewardModel, "fit")
    monkeypatch.setattr(RewardModel, "fit", _keeping(arrived))
    run(folder / "pairs.jsonl", "-m", "reward", *words)
    assert see(arrived[0]) == value


def _keeping(arrived):
    def fit(self, records):
        arrived.append(self)
        raise typer.Exit(0)

    return fit


@pytest.mark.parametrize("option", OF_TUNING)
def test_an_option_of_tuning_is_how_a_language_model_is_tuned(
    folder, monkeypatch, option, tmp_path
):
    words, see, value = OF_TUNING[option]
    arrived = stop_at(monkeypatch, tuned_language_model, "tune_language_model")
    run(folder / "pairs.jsonl", "-m", "reward", *words, "--out", tmp_path)
    ((_, states, out, tuning), _) = arrived[0]
    assert (states.model, out.parent) == ("tiny", tmp_path)
    assert see(tuning) == value


@pytest.mark.parametrize("model", ["pooled", "reward"])
@pytest.mark.parametrize("option", OF_READING)
def test_an_option_of_reading_is_how_the_file_is_read(folder, monkeypatch, option, model):
    words, see, value = OF_READING[option]
    arrived = stop_at(monkeypatch, reading, "read_file")
    words = [str(folder / word) if word.endswith(".toml") else word for word in words]
    if (model, option) == ("reward", "outside_option"):
        # Texts are answers to a question: none of them stands for no answer.
        assert "would change nothing" in " ".join(
            run(folder / "trips.csv", "-m", model, *words, code=2).output.replace("│", "").split()
        )
        return
    run(folder / "trips.csv", "-m", model, *words)
    ((file, description), named) = arrived[0]
    assert see({"file": file, "description": description, **named}) == value


def test_a_margin_is_what_a_language_model_is_tuned_by(folder, monkeypatch, tmp_path):
    arrived = stop_at(monkeypatch, tuned_language_model, "tune_language_model")
    run(folder / "pairs.jsonl", "-m", "reward", *TUNED, "--margin", "p", "--out", tmp_path)
    assert arrived[0][1]["margin"] == "p"


def test_options_of_the_report_are_what_it_judges(folder, monkeypatch, tmp_path):
    said = {}

    def spy(home, name, keep):
        real = getattr(home, name)

        def called(*given, **named):
            said.update(keep(given, named))
            return real(*given, **named)

        monkeypatch.setattr(home, name, called)

    spy(reward_trial, "parts_by_column", lambda given, named: {"topic": given[1]})
    spy(reward_trial, "parts_by_person", lambda given, named: {"folds": given[1]})
    spy(reward_page, "reward_page", lambda given, named: {"by": named["by"]})
    words = [word for typed, _ in OF_THE_REPORT.values() for word in typed]
    run(folder / "pairs.jsonl", "-m", "reward", "--judges", "one", *words, "--out", tmp_path)
    assert said == {option: value for option, (_, value) in OF_THE_REPORT.items()}


def test_what_is_printed_and_written_is_what_was_asked_for(folder, tmp_path):
    plain = run(folder / "trips.csv")
    priced = run(folder / "trips.csv", "--price", "y", "--format", "markdown", "--out", tmp_path)
    assert "What people would pay" in priced.stdout
    assert "|:--" in priced.stdout or "| :--" in priced.stdout
    assert "What people would pay" not in plain.stdout
    assert {"fit.json", "willingness.json"} <= {path.name for path in tmp_path.iterdir()}
    said = json.loads(run(folder / "trips.csv", "--json", "-m", "classes").stdout)
    assert said["model"] == "classes"


def test_debug_shows_where_an_error_came_from(folder):
    wrong = (folder / "trips.csv", "--formula", "z")
    assert "Traceback" not in run(*wrong, code=3).output
    assert "Traceback" in run(*wrong, "--debug", code=3).output


def test_every_option_of_reward_models_is_known_as_one_of_theirs():
    # `--model pooled --judges one` is refused because `given` sees it; a name it lacks is ignored.
    typed = {
        "folds": 1, "epochs": 1, "learning_rate": 0.1, "by": ("age",), "classifier": True,
        "kinds": 2, "reason": ("why",),
    }  # fmt: skip
    names = {*OF_TEXTS, *OF_TUNING, *OF_THE_REPORT, *SEEN_THERE} - {"seed"}
    every = reward_options.RewardOptions(**{name: typed.get(name, "x") for name in names})
    assert set(every.given()) == {f"--{name.replace('_', '-')}" for name in names}
