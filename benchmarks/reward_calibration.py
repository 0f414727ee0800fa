"""Are a reward model's probabilities of new texts honest? With and without the texts' own worth.

    python benchmarks/reward_calibration.py [--out FILE]

`convincing_arguments` is bundled. Two draws: 30 % of the texts and a fifth of the judges are left
out, and, separately, four of the 16 debates. On decided pairs: the slope of a logistic regression
of the answers on the log-odds foretold (1 is honest, below 1 too sure) with its 95 % interval over
judges, nats, the mean width of the interval of the gap, and the share flagged as unfamiliar. Judges
may differ in their habits, the default of the shell being taste for length, too.

"before" is `has_own_worth=False`: what new texts' content counts for is the only thing that new
texts differ in.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from penchant.data.batch_builder import groups_of
from penchant.data.samples import convincing_arguments
from penchant.encoders.embedding import EmbeddingColumn
from penchant.encoders.reward_pairs import read_pairs
from penchant.evaluation.recipes import circumstances
from penchant.metrics.intervals import Z95
from penchant.models.reward_model import HABITS, RewardModel

SEEDS = (0, 1)


def slope(odds, first_won, judge):
    """With the half-width of its interval, errors clustered by judge."""
    value = 1.0
    for _ in range(50):
        said = 1 / (1 + np.exp(-value * odds))
        value += odds @ (first_won - said) / (odds**2 @ (said * (1 - said)))
    said = 1 / (1 + np.exp(-value * odds))
    pull = np.bincount(judge, odds * (first_won - said))
    return value, Z95 * np.sqrt((pull**2).sum()) / (odds**2 @ (said * (1 - said)))


def figures(model, records, pairs, judge, rows):
    rows = rows[(pairs.outcome[rows] >= 0) & (pairs.outcome[rows] < 2)]
    said = model.judge(records.take(rows))
    odds = np.log(said.probabilities[:, 0] / said.probabilities[:, 1])
    first_won = (pairs.outcome[rows] == 0).astype(float)
    value, reach = slope(odds, first_won, judge[rows])
    nats = np.logaddexp(0.0, np.where(first_won == 1, -odds, odds)).mean()
    return {
        "pairs": len(rows), "slope": [value, value - reach, value + reach], "nats": nats,
        "width": float((said.high - said.low).mean()),
        "unfamiliar": float(said.is_unfamiliar.mean()),
    }  # fmt: skip


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "reward_calibration.json"
    )
    out = words.parse_args().out
    records = convincing_arguments()
    pairs = read_pairs(records, EmbeddingColumn())
    judge = groups_of(records).of_row
    debate = np.array([n.rsplit("_", 1)[0] for n in records.rows["debate"].to_pylist()])
    rows = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        is_new = rng.random(len(pairs.embedded.texts)) < 0.3
        num_new = is_new[pairs.first].astype(int) + is_new[pairs.second]
        left = rng.random(judge.max() + 1) < 0.2
        known = (num_new == 0) & ~left[judge]
        out_debate = np.isin(debate, np.random.default_rng(seed).permutation(np.unique(debate))[:4])
        asked = {
            "both texts new": (known, num_new == 2), "one text new": (known, num_new == 1),
            "both met, other judges": (known, (num_new == 0) & left[judge]),
            "new debates": (~out_debate, out_debate),
        }  # fmt: skip
        for learn in (known, ~out_debate):
            for how, has_own_worth in (("before", False), ("now", True)):
                model = RewardModel(personal=HABITS, has_own_worth=has_own_worth)
                model.fit(records.take(np.flatnonzero(learn)))
                for what, (of, judged) in asked.items():
                    if of is learn or (of == learn).all():
                        found = figures(model, records, pairs, judge, np.flatnonzero(judged))
                        rows.append({"seed": seed, "judged on": what, "model": how, **found})
                        print(json.dumps(rows[-1]), flush=True)
    document = {**circumstances(out.parent), "rows": rows}
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
