"""What is told apart in judges of arguments, and what it is worth: a ladder on one embedding.

    python benchmarks/reward_ladder.py [--out FILE]

`convincing_arguments` is bundled. Each judge's first 60 % of judgements (in the file's order) are
revealed, the rest of whoever judged six pairs or more is foretold: nats a judgement over (first,
second, equal), 95 % intervals over judges, and each model's difference from the rung before.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from penchant.data.batch_builder import groups_of
from penchant.data.samples import convincing_arguments
from penchant.encoders.text_attributes import ATTRIBUTES
from penchant.evaluation.recipes import circumstances
from penchant.metrics.intervals import clustered_mean
from penchant.models.reward_model import HABITS, RewardModel

FORM = tuple(ATTRIBUTES)
RUNGS = {
    "average judge": RewardModel(personal=False),
    "judges' reliability, tie rate, favour for the first": RewardModel(personal=HABITS),
    "and their own taste for length": RewardModel(),
    "average judge, eight attributes of form": RewardModel(personal=False, attributes=FORM),
    "judges' habits, eight attributes": RewardModel(personal=HABITS, attributes=FORM),
    "and their own taste for each": RewardModel(attributes=FORM, correlated=False),
}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "reward_ladder.json"
    )
    out = words.parse_args().out
    records = convincing_arguments()
    person = groups_of(records).of_row
    answers = np.bincount(person)
    order = np.argsort(person, kind="stable")
    place = np.empty(len(records), dtype=np.int64)
    place[order] = np.arange(len(records)) - np.repeat(np.cumsum(answers) - answers, answers)
    is_later = (answers[person] >= 6) & (place >= np.ceil(0.6 * answers[person]))
    later, known = np.flatnonzero(is_later), np.flatnonzero(~is_later)
    told, history = np.asarray(records.rows["outcome"])[later], records.take(known)
    rows, before = [], None
    for name, model in RUNGS.items():
        began = time.process_time()
        said = model.fit(history).judge(records.take(later), history=history).probabilities
        loss = -np.log(said[np.arange(len(later)), told])
        nll = clustered_mean(loss, person[later])
        row = {"model": name, "nll": nll.estimate, "low": nll.low, "high": nll.high,
               "cpu_seconds": round(time.process_time() - began, 2)}  # fmt: skip
        if before is not None and not name.startswith("average"):
            gain = clustered_mean(loss - before, person[later])
            row["against_rung_before"] = [gain.estimate, gain.low, gain.high]
        before = loss
        rows.append(row)
        print(json.dumps(row))
    document = {**circumstances(out.parent), "judgements": len(later),
                "judges": len(np.unique(person[later])), "rows": rows}  # fmt: skip
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
