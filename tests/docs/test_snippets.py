"""What the pages show works: every Python block, every penchant command, every description.

Blocks of a page run one after the other, as a reader would type them, in a folder with the files
that the commands speak of. The bundled data are cut to a few people and chains to a few sweeps: it
is the words that are tested here, not the figures.
"""

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import penchant
from penchant.cli.main import app
from penchant.data import samples
from penchant.data.description import Description, load
from penchant.data.guess import guess
from penchant.data.readers.write import write
from penchant.data.votes import Votes
from penchant.models import hierarchical_logit
from penchant.simulation.decisions import DecisionWorld

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FEW_PEOPLE = 40
ALL_TRIPS = samples.swissmetro
# What a block needs beyond the core; it is left out where that is absent.
NEEDS = {"NeuralLogit": "torch", "fit_variational": "torch", "LanguageModel": "torch",
         "TextEncoder": "sentence_transformers"}  # fmt: skip
# Tested by themselves, at length.
LEFT_OUT = ("penchant demo", "penchant serve")


def blocks(page, *languages):
    return [text for language, text in FENCE.findall(page.read_text()) if language in languages]


def commands(page):
    lines = "".join(blocks(page, "", "sh", "shell", "bash")).splitlines()
    # Options may go on in the next line.
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()
    told = [
        line.partition("  #")[0].strip()
        for line in joined
        if line.startswith(("penchant ", "python -c "))
    ]
    return [line for line in told if not line.startswith(LEFT_OUT)]


def few(records, people=FEW_PEOPLE):
    _, person = np.unique(records.rows["person"].to_pylist(), return_inverse=True)
    return records.take(np.flatnonzero(person < people))


def some_votes():
    rng = np.random.default_rng(0)
    items = ("a", "b", "c", "d", "e", "f")
    first, second = np.array([rng.permutation(6)[:2] for _ in range(400)]).T
    # Mostly a line, but a beats b beats c beats a.
    ahead = np.linspace(0, 1.5, 6)[first] - np.linspace(0, 1.5, 6)[second]
    both = (first < 3) & (second < 3)
    ahead[both] = np.where((second - first)[both] % 3 == 1, 3.0, -3.0)
    wins = ahead + rng.logistic(size=400) > 0
    return Votes(
        items=items,
        first=first,
        second=second,
        share=wins.astype(float),
        tie=np.zeros(400, dtype=bool),
        weight=np.ones(400),
    )


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with the files that pages speak of, and small data."""
    for name in ("swissmetro", "conjoint", "london"):
        small = few(getattr(samples, name)())
        # The package first: it looks its names up, and would remember the small data for good.
        monkeypatch.setattr(penchant, name, lambda small=small: small, raising=False)
        monkeypatch.setattr(samples, name, lambda small=small: small)
    config = hierarchical_logit.HierarchicalConfig
    monkeypatch.setattr(
        hierarchical_logit,
        "HierarchicalConfig",
        lambda **told: config(**{**told, "num_warmup": 10, "num_draws": 20}),
    )
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    return tmp_path


def as_lines(*features):
    return Description(
        layout="long", person="person", situation=("task",), option="option", kind="choice",
        answer="choice", features=features,
    )  # fmt: skip


def write_files(folder):
    # Enough people that dearer is surely worse, and little context, which takes the time.
    trips = few(ALL_TRIPS(), 200)
    purpose = np.array(trips.rows["purpose"].to_pylist())
    trips = trips.take(np.flatnonzero(np.isin(purpose, ["business", "commuter", "leisure"])))
    kept = ["kind", "person", "situation", "purpose", "ga", "chosen", "weight"]
    trips = replace(
        trips,
        rows=trips.rows.select(kept),
        roles={n: r for n, r in trips.roles.items() if n in (*kept, *trips.options.column_names)},
    )
    write(trips, folder / "choices.csv", as_lines("time", "cost", "headway"))
    # What the demo leaves, under its name.
    (folder / "demo-out").mkdir()
    write(trips, folder / "demo-out" / "swissmetro.parquet", as_lines("time", "cost", "headway"))
    votes = some_votes()
    lines = ["model_a,model_b,winner,judge,language"]
    for b, (i, j, share) in enumerate(zip(votes.first, votes.second, votes.share)):
        winner = "model_a" if share else "model_b"
        names = f"{votes.items[i]},{votes.items[j]}"
        lines.append(f"{names},{winner},j{b % 20},{('en', 'de')[b % 2]}")
    (folder / "votes.csv").write_text("\n".join(lines) + "\n")
    shown = {"c": {"_multi": [{"id": "a"}, {"id": "b"}]}, "a": [1, 2], "p": [0.5, 0.5]}
    shown |= {"_label_cost": -1.0, "_label_probability": 0.5, "_labelIndex": 0}
    (folder / "decisions.dsjson").write_text(json.dumps(shown) + "\n")
    words = ("A>>B", "A>B", "A=B", "B>A", "B>>A")
    graded = [f"{votes.items[i]},{votes.items[j]},{words[(b + i) % 5]}"
              for b, (i, j) in enumerate(zip(votes.first, votes.second))]  # fmt: skip
    (folder / "graded.csv").write_text("\n".join(["left,right,verdict", *graded]) + "\n")
    menus = [
        {"event_id": "e1", "options": [{"id": "tea"}, {"id": "coffee"}]},
        {"event_id": "e1", "kind": "reward", "value": 1},
    ]
    (folder / "menus.jsonl").write_text("\n".join(map(json.dumps, menus)))
    # Judged texts that bring their embeddings, so that nothing need be read.
    texts = [
        {"prompt": f"q{b}", "chosen": f"yes {b}", "rejected": f"no {b}",
         "chosen_embedding": [1.0, b % 7], "rejected_embedding": [0.0, b % 5]}
        for b in range(80)
    ]  # fmt: skip
    answers = [{"text": f"yes {b}", "embedding": [0.5, b]} for b in range(3)]
    for name, rows in (("pairs", texts), ("answers", answers)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    # A table that the description on the page about data fits.
    rng = np.random.default_rng(1)
    lines = [
        "respondent_id,task,age,income,purpose,car_av,train_time,car_time,train_headway,choice"
    ]
    for b in range(240):
        times = f"{rng.integers(20, 90)},{rng.integers(20, 90)}"
        lines.append(
            f"p{b // 6},{b % 6},{20 + b // 6},{b // 60},{1 + b % 2},1,{times},30,{1 + b % 2}"
        )
    (folder / "trips.csv").write_text("\n".join(lines) + "\n")
    # The first is whole; those after it are keys to add to one.
    toml = blocks(ROOT / "docs" / "data.md", "toml")[0]
    (folder / "trips.toml").write_text(toml)
    # A log of decisions and its description, whole.
    page = ROOT / "docs" / "off_policy.md"
    for ending in ("csv", "toml"):
        (folder / f"rounds.{ending}").write_text(blocks(page, ending)[0])
        (folder / f"slates.{ending}").write_text(blocks(page, ending)[1])
    profiles = samples.conjoint()
    profiles = profiles.with_columns(rows={"age": 20 + np.arange(len(profiles)) // 5 % 50})
    write(profiles, folder / "profiles.csv", as_lines(*profiles.columns("feature")))
    write_log(folder)
    if has("torch"):
        from lm.tiny_models import save_tiny

        save_tiny(folder / "llm")


def write_log(folder):
    """A log of decisions with whole menus, and its description."""
    log = DecisionWorld().draw(400, np.random.default_rng(0))
    columns = {
        name: log.options[name].to_numpy(zero_copy_only=False).reshape(-1, 4)
        for name in ("propensity", "target", "success")
    }
    action = np.argmin(np.isnan(columns["success"]), axis=1)
    click = columns.pop("success")[np.arange(len(action)), action].astype(int)
    lists = {name: list(values) for name, values in columns.items()}
    told = {"menu": [list("abcd")] * len(action), "x": log.rows["x"], "action": action}
    pq.write_table(pa.table({**told, **lists, "click": click}), folder / "log.parquet")
    (folder / "log.toml").write_text(
        'layout = "decisions"\n[rows]\ncontext = ["x"]\n[options]\noption = "menu"\n'
        'propensity = "propensity"\nfeatures = ["target"]\n'
        '[answer]\ncolumn = "click"\naction = "action"\n'
    )


def test_pages_hold_something_to_test():
    assert sum(len(blocks(page, "python")) for page in PAGES) >= 10
    assert sum(len(commands(page)) for page in PAGES) >= 10


@pytest.mark.parametrize(
    "page", [p for p in PAGES if blocks(p, "python")], ids=lambda page: page.name
)
def test_the_python_of_a_page_runs_from_top_to_bottom(page, desk, capsys):
    names = {"np": np, "votes": some_votes()}
    for text in blocks(page, "python"):
        lacking = [extra for word, extra in NEEDS.items() if word in text and not has(extra)]
        # Clients need a service; they are tested beside one in tests/serving.
        if lacking or "TextEncoder" in text or "DecisionClient" in text:
            continue
        exec(compile(text, str(page), "exec"), names)


def has(module):
    from importlib.util import find_spec

    return find_spec(module) is not None


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=lambda page: page.name)
def test_the_commands_of_a_page_run_one_after_the_other(page, desk):
    runner = CliRunner()
    if any("other-belief" in line for line in commands(page)):
        first = ["fit", "choices.csv", "--out", "other-belief", "--formula", "option + time"]
        assert runner.invoke(app, first).exit_code == 0
    for line in commands(page):
        program, *words = shlex.split(line)
        if program == "python":
            exec(words[1], {})
            continue
        if "--language-model" in words and not has("torch"):
            continue
        done = runner.invoke(app, words)
        assert done.exit_code == 0, f"{line}\n{done.output}"


def test_the_description_on_the_page_about_data_is_one(tmp_path):
    # The first is whole; those after it are keys to add to one.
    toml = blocks(ROOT / "docs" / "data.md", "toml")[0]
    (tmp_path / "trips.toml").write_text(toml)
    assert load(tmp_path / "trips.toml").labels["purpose"] == {"1": "commuter", "2": "business"}


def test_the_log_on_the_page_about_policies_is_guessed_as_its_description_says(desk):
    assert guess("rounds.csv").description == load("rounds.toml")


def test_the_document_on_the_page_about_commands_has_the_keys_of_a_fit(desk):
    (told,) = blocks(ROOT / "docs" / "cli.md", "json")
    done = CliRunner().invoke(app, ["fit", "trips.csv", "--formula", "option + time", "--json"])
    found = json.loads(done.stdout)
    shown = json.loads(told)
    assert list(shown) == list(found)
    assert list(shown["fit"]) == list(found["fit"])
    assert list(shown["coefficients"][0]) == list(found["coefficients"][0])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_the_library_that_a_page_names_exist(page):
    for name in re.findall(r"`(?:penchant/)?((?:[a-z_]+/)+[a-z_]+\.py)`", page.read_text()):
        places = (ROOT / "src" / "penchant" / name, ROOT / name, ROOT / "src" / name)
        assert any(place.exists() for place in places), name
