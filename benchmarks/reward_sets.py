"""Seven real sets through the shell, file to report, and what knowing the judge is worth on each.

    PENCHANT_DATA=... python benchmarks/reward_sets.py [NAME ...] [--out FILE] [--work FOLDER]

Each set's tables are joined into one file (texts beside answers) and left otherwise as they were
published; `penchant describe` writes the description, of which `corrected` changes what no program
can guess; `penchant fit --model reward` fits and judges on judges that the model has not met (on
pairs where nobody is named). Then the ladder: of everybody's pairs the first 60 % are revealed, the
rest foretold by one average judge, by one who knows their tie rate, favour for the first and
reliability, and by one who knows their taste for length, too: nats a judgement, 95 % intervals over
judges. Needs the extra `text`; embeddings are kept in WORK.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from penchant.cli.fit_reward import DEFAULT_EMBEDDER
from penchant.data.batch_builder import groups_of
from penchant.data.readers.read import read
from penchant.encoders.reward_pairs import pair_outcomes
from penchant.encoders.text_embedding import TextEmbedding
from penchant.evaluation.recipes import circumstances
from penchant.evaluation.reward_trial import judged_pairs
from penchant.metrics.intervals import clustered_mean
from penchant.models.reward_model import HABITS, RewardModel

SHELL = "from penchant.cli.main import main; main()"
RUNGS = {"average": False, "habits": HABITS, "taste": True}


@dataclass(frozen=True, kw_only=True)
class RealSet:
    """corrected: lines of the guessed description, put right."""

    table: pd.DataFrame
    prompt: str | None = None
    corrected: tuple[tuple[str, str], ...] = ()


def hh_rlhf(data):
    pairs = pd.read_parquet(data / "hh_rlhf/pairs.parquet").sample(800, random_state=0)
    # No annotators: the objective that people were given is who judges.
    return RealSet(table=pairs, prompt="prompt",
                   corrected=(("[rows]", '[rows]\nperson = "subset"'),
                              ('  "subset",', "")))  # fmt: skip


def lm_judges(data):
    pairs = pd.read_parquet(data / "lm_judges/human_pairs.parquet").sample(500, random_state=0)
    pairs["ask"] = pairs.instruction + "\n" + pairs.input.fillna("")
    kept = ["pair_id", "ask", "application", "model_1", "model_2", "response_1", "response_2"]
    table = pairs.melt(kept, ["annotator_1", "annotator_2", "annotator_3"], "annotator", "verdict")
    return RealSet(table=table, prompt="ask")


def popquorn_offensiveness(data):
    ratings = pd.read_parquet(data / "popquorn/offensiveness.parquet")
    items = pd.read_parquet(data / "popquorn/offensiveness_items.parquet")
    raters = pd.Series(ratings.rater_id.unique()).sample(40, random_state=0)
    return RealSet(table=ratings[ratings.rater_id.isin(raters)].merge(items, on="instance_id"))


def popquorn_edits(data):
    return RealSet(
        table=pd.read_parquet(data / "popquorn/email_edits.parquet").sample(1200, random_state=0)
    )


def summary_reviews(data):
    reviews = pd.read_parquet(data / "summary_reviews/reviews.parquet").drop(columns="comments")
    summaries = pd.read_parquet(data / "summary_reviews/summaries.parquet")
    table = reviews.merge(summaries, on=["passage_id", "question_no", "system"])
    return RealSet(table=table, prompt="question")


def writer_rankings(data):
    table = pd.read_parquet(data / "writer_edits/rankings.parquet")
    return RealSet(table=table, prompt="instruction")


def writer_edits(data):
    table = pd.read_parquet(data / "writer_edits/edits.parquet")
    return RealSet(table=table.drop(columns="fine_grained_edits"), prompt="instruction")


SETS = {made.__name__: made for made in (
    hh_rlhf, lm_judges, popquorn_offensiveness, popquorn_edits, summary_reviews, writer_rankings,
    writer_edits,
)}  # fmt: skip


def penchant(*arguments, work):
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SHELL, *map(str, arguments)], capture_output=True,
        text=True, check=False, env={**os.environ, "PENCHANT_CACHE": str(work / "cache")},
    )  # fmt: skip
    if made.returncode:
        raise SystemExit(f"penchant {' '.join(map(str, arguments))}\n{made.stderr}")


def through_the_shell(name, made, work):
    """The description and the report of a set."""
    file, said, model = (work / f"{name}{end}" for end in (".parquet", ".toml", ""))
    made.table.to_parquet(file, index=False)
    said.unlink(missing_ok=True)
    penchant("describe", file, "-o", said, work=work)
    text = said.read_text()
    for guessed, right in made.corrected:
        assert guessed in text, f"{name}: the guess has no {guessed}"
        text = text.replace(guessed, right, 1)
    said.write_text(text)
    prompt = ("--prompt", made.prompt) if made.prompt else ()
    penchant("fit", file, "--model", "reward", "--out", model, *prompt, work=work)
    return json.loads((model / "report.json").read_text())


def ladder(name, made, work):
    """Nats of later judgements by each rung, and each rung against the one before."""
    records = read(work / f"{name}.parquet", work / f"{name}.toml").records
    embedding = TextEmbedding(
        model=DEFAULT_EMBEDDER, text="text", prompt=made.prompt or "prompt",
        cache=str(work / "cache"),
    )  # fmt: skip
    person = groups_of(records).of_row
    later = later_rows(person)
    asked = judged_pairs(records, later.astype(int), embedding)
    outcome = pair_outcomes(asked.records)
    rows = np.flatnonzero(later[asked.row] & (outcome >= 0))
    judge = groups_of(asked.records).of_row[rows]
    history = records.take(np.flatnonzero(~later))
    found, before = {"judgements": len(rows), "judges": len(np.unique(judge))}, None
    for rung, personal in RUNGS.items():
        model = RewardModel(embedding=embedding, personal=personal).fit(history)
        said = model.judge(asked.records.take(rows), history).probabilities
        loss = -np.log(said[np.arange(len(rows)), outcome[rows]])
        nll = clustered_mean(loss, judge)
        found[rung] = {"nll": [nll.estimate, nll.low, nll.high]}
        if before is not None:
            gain = clustered_mean(loss - before, judge)
            found[rung]["against_rung_before"] = [gain.estimate, gain.low, gain.high]
        before = loss
    return found


def later_rows(person):
    """Of everybody with five answers or more the last 40 %, in the file's order."""
    order, count = np.argsort(person, kind="stable"), np.bincount(person)
    place = np.empty(len(person))
    place[order] = np.arange(len(person)) - np.repeat(np.cumsum(count) - count, count)
    return (count[person] >= 5) & (place >= np.ceil(0.6 * count[person]))


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("names", nargs="*", default=list(SETS))
    words.add_argument("--work", type=Path, default=Path("reward_sets"))
    words.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "reward_sets.json"
    )
    given = words.parse_args()
    data = Path(os.environ["PENCHANT_DATA"])
    given.work.mkdir(parents=True, exist_ok=True)
    kept = json.loads(given.out.read_text())["sets"] if given.out.is_file() else {}
    for name in given.names:
        began, made = time.process_time(), SETS[name](data)
        report = through_the_shell(name, made, given.work)
        whole, made_at = report["selective"][0], circumstances(given.out.parent)
        kept[name] = {
            "observations": len(made.table),
            "accuracy": [whole["value"], whole["low"], whole["high"]],
            "calibration_error": report["calibration"]["ece"],
            "facts": dict(report["facts"]), "warnings": report["warnings"],
            "by_length": [[e["label"], e["value"]] for e in report["by_length"]],
            "known_judges": ladder(name, made, given.work),
            "cpu_seconds_of_the_ladder": round(time.process_time() - began, 1),
            # Sets are measured one by one, at times by different code.
            "measured": {k: made_at[k] for k in ("date", "commit")},
        }  # fmt: skip
        print(name, json.dumps(kept[name], indent=1), flush=True)
        document = {**made_at, "sets": kept}
        given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
