"""What is told apart in judges of arguments, and what it is worth: a ladder on one embedding.

    python benchmarks/reward_ladder.py [--kinds] [--out FILE]

`convincing_arguments` is bundled. Nats a judgement over (first, second, equal), 95 % intervals over
judges, and each model's difference from the rung before. "later": each judge's first 60 % of
judgements (in the file's order) are revealed, the rest of whoever judged six pairs or more is
foretold. "new debates": two debates of 16 at a time are left out whole and foretold for whoever
judged three pairs or more of others. "new judges": a fifth of the judges at a time are foretold of
whom nothing is known, so that rungs differ only in what is known of people at large. With --kinds
judges are told apart by what arguments say, on "later" alone, each against their habits; results in
`reward_ladder_kinds.json`.
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
from penchant.evaluation.reward_trial import parts_by_column, parts_by_person
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
SHORT = dict(list(RUNGS.items())[:3])
KINDS = {
    "judges' reliability, tie rate, favour for the first": RewardModel(personal=HABITS),
    "a latent taste in what arguments say": RewardModel(kinds=2),
    "two classes": RewardModel(kinds=2, people="classes"),
    "mixes of two prototypes": RewardModel(kinds=2, people="prototypes"),
}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--kinds", action="store_true", help="judges by what arguments say")
    words.add_argument("--out", type=Path)
    given = words.parse_args()
    name = "reward_ladder_kinds.json" if given.kinds else "reward_ladder.json"
    out = given.out or Path(__file__).parent / "results" / name
    records = convincing_arguments()
    debate = [name.rsplit("_", 1)[0] for name in records.rows["debate"].to_pylist()]
    records = records.with_columns(rows={"topic": debate})
    if given.kinds:
        rows = list(ladder("later", records, later_answers(records), KINDS, against_first=True))
        document = {**circumstances(out.parent), "rows": rows}
        out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        return
    rows = [
        row
        for what, parts in (
            ("later", later_answers(records)),
            ("new debates", debates(records)),
            ("new judges", judges(records)),
        )
        for row in ladder(what, records, parts, RUNGS if what == "later" else SHORT)
    ]
    document = {**circumstances(out.parent), "rows": rows}
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def later_answers(records):
    """One part: what is learnt from, what is foretold, and whether people are known."""
    person = groups_of(records).of_row
    answers = np.bincount(person)
    order = np.argsort(person, kind="stable")
    place = np.empty(len(records), dtype=np.int64)
    place[order] = np.arange(len(records)) - np.repeat(np.cumsum(answers) - answers, answers)
    is_later = (answers[person] >= 6) & (place >= np.ceil(0.6 * answers[person]))
    return [(~is_later, is_later, True)]


def debates(records):
    person = groups_of(records).of_row
    part = parts_by_column(records, "topic", 8, 0)
    made = []
    for k in range(8):
        others = np.bincount(person[part != k], minlength=person.max() + 1)
        made.append((part != k, (part == k) & (others[person] >= 3), True))
    return made


def judges(records):
    part = parts_by_person(records, 5, 0)
    return [(part != k, part == k, False) for k in range(5)]


def ladder(what, records, parts, rungs, against_first=False):
    person = groups_of(records).of_row
    judged = np.concatenate([np.flatnonzero(asked) for _, asked, _ in parts])
    told = np.asarray(records.rows["outcome"])
    before = None
    for name, model in rungs.items():
        began, losses = time.process_time(), []
        for learn, asked, is_known in parts:
            known, rows = records.take(np.flatnonzero(learn)), np.flatnonzero(asked)
            said = model.fit(known).judge(records.take(rows), known if is_known else None)
            losses.append(-np.log(said.probabilities[np.arange(len(rows)), told[rows]]))
        loss = np.concatenate(losses)
        nll = clustered_mean(loss, person[judged])
        row = {"judged on": what, "model": name, "nll": nll.estimate, "low": nll.low,
               "high": nll.high, "judgements": len(judged),
               "judges": len(np.unique(person[judged])),
               "cpu_seconds": round(time.process_time() - began, 2)}  # fmt: skip
        if before is not None and not name.startswith("average"):
            gain = clustered_mean(loss - before, person[judged])
            row["against_first" if against_first else "against_rung_before"] = [
                gain.estimate,
                gain.low,
                gain.high,
            ]
        before = before if against_first and before is not None else loss
        print(json.dumps(row), flush=True)
        yield row


if __name__ == "__main__":
    main()
