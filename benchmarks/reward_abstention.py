"""Does a reward model know what it does not know? Arguments of debates that it has never met.

    python benchmarks/reward_abstention.py [--out FILE]

`convincing_arguments` is bundled. One average judge. "new judges": the judge's answers were left
out, others judged the same arguments. "new debates": everything of the pair's debate was left out,
one debate of 16 at a time. Widths and ignorance are of the difference in reward; accuracy is of
decided pairs, with 95 % intervals over judges; nats are of decided pairs, as they were
foretold (what new texts are worth of their own counted in) and with the rest of our doubt averaged
over, too.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from penchant.data.samples import convincing_arguments
from penchant.evaluation.recipes import circumstances
from penchant.evaluation.reward_trial import judge_parts, parts_by_column, parts_by_person
from penchant.metrics.intervals import clustered_mean
from penchant.models.reward_model import RewardModel
from penchant.numerics.arrays import log_sigmoid

COVERAGES = (1.0, 0.8, 0.6, 0.4, 0.2)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "reward_abstention.json"
    )
    out = words.parse_args().out
    records = convincing_arguments()
    # A debate has two sides, which share most of what there is to know.
    debate = [name.rsplit("_", 1)[0] for name in records.rows["debate"].to_pylist()]
    records = records.with_columns(rows={"topic": debate})
    debate = np.array(debate)
    began, rows = time.process_time(), []
    for name, parts in (
        ("new judges", parts_by_person(records, 5, 0)),
        ("new debates", parts_by_column(records, "topic", 16, 0)),
    ):
        (trial,) = judge_parts(lambda: RewardModel(personal=False), records, parts)
        rows.append({"judged on": name, **figures(trial, debate)})
        print(json.dumps(rows[-1], indent=1))
    document = {**circumstances(out.parent), "cpu_seconds": round(time.process_time() - began, 1),
                "rows": rows}  # fmt: skip
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def figures(trial, debate):
    """What is kept of one way of leaving out."""
    width, topic = trial.high - trial.low, debate[trial.row]
    decided = trial.take(np.flatnonzero(trial.decided))
    side = np.where(decided.outcome == 0, 1.0, -1.0)
    odds = np.log(decided.first_wins) - np.log1p(-decided.first_wins)
    averaged = decided.averaged_odds
    plain, doubted = -log_sigmoid(side * odds), -log_sigmoid(side * averaged)
    gain = clustered_mean(doubted - plain, decided.person)
    surest = np.argsort(-np.abs(averaged), kind="stable")
    selective = {}
    for share in COVERAGES:
        found = decided.take(surest[: round(share * len(surest))]).accuracy()
        selective[f"{share:.0%}"] = [found.estimate, found.low, found.high]
    return {
        "pairs": len(trial),
        "accuracy of the surest": selective,
        "nats of decided pairs": clustered_mean(plain, decided.person).estimate,
        "change by averaging over doubt": [gain.estimate, gain.low, gain.high],
        "mean width": float(width.mean()),
        "mean ignorance": float(trial.ignorance.mean()),
        "flagged as unfamiliar": float(trial.is_unfamiliar.mean()),
        "by debate": {
            str(name): {
                "width": float(width[topic == name].mean()),
                "ignorance": float(trial.ignorance[topic == name].mean()),
                "unfamiliar": float(trial.is_unfamiliar[topic == name].mean()),
            }
            for name in np.unique(topic)
        },
    }


if __name__ == "__main__":
    main()
