"""The gradient-boosted trees of the demo, given more: hand-made differences, settings of their own.

    python benchmarks/trees.py [--seed SEED] [--no-nested]

Three rows on the folds of `penchant demo --seed SEED`: the trees as the demo shows them; the trees
that are also handed the differences of time, cost and headway between the options, which a
tree can only approach by many splits; and the trees whose settings are chosen anew in every fold,
by three folds over the people they learn from, from a grid around the demo's settings. The last
tells how much the demo's trees gain or lose by settings that were found on its own folds.
Written to results/trees.json: nats per choice with 95 % intervals over people, and the paired
difference from the demo's trees. The full run takes about six minutes on one core.
"""

import argparse
import itertools
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from measure import circumstances
from penchant.cli.demo_models import SWISSMETRO
from penchant.cli.demo_trees import BoostedTrees
from penchant.data.columns import to_codes
from penchant.data.records import Records
from penchant.evaluation.comparison import compare
from penchant.evaluation.cross_validation import cross_validate
from penchant.evaluation.known_people import predict_known_people
from penchant.evaluation.ladder import judge, ladder_row
from penchant.evaluation.predictions import Predictions
from penchant.evaluation.report import KNOWN_PEOPLE, NEW_PEOPLE

RESULTS = Path(__file__).resolve().parent / "results"
NUM_FOLDS, NUM_KNOWN = 5, 6
GRID = [
    {"max_leaf_nodes": leaves, "max_iter": steps}
    for leaves, steps in itertools.product((6, 12, 24), (150, 250, 400))
]


def with_differences(records: Records) -> Records:
    """Row columns with each option's time, cost and headway less those of Swissmetro."""
    codes, names = to_codes(records.options["option"])

    def wide(feature: str, option: str) -> np.ndarray:
        lines = np.flatnonzero(codes == list(names).index(option))
        values = np.full(len(records), np.nan)
        every = np.asarray(records.options[feature].to_numpy(), dtype=np.float64)
        values[records.row_of_option[lines]] = every[lines]
        return values

    return records.with_columns(
        rows={
            f"{feature}_{option}": wide(feature, option) - wide(feature, "swissmetro")
            for feature in ("time", "cost", "headway")
            for option in ("train", "car")
            if (feature, option) != ("headway", "car")
        }
    )


@dataclass(eq=False)
class ChosenTrees:
    """Trees whose settings are those of `GRID` that foretell best, by folds over the people given.

    Known people: the inner folds reveal first answers as the outer ones do; the settings for
    strangers and for known people are chosen apart, as the two questions are.
    """

    split: str
    seed: int
    picked: list[dict[str, int]] = field(default_factory=list)

    def fit(self, data: Records) -> BoostedTrees:
        """The trees with the settings that did best on the inner folds, on all the data."""
        losses = [_inner(settings, data, self.split, self.seed) for settings in GRID]
        best = GRID[int(np.argmin(losses))]
        self.picked.append(best)
        return BoostedTrees(**best, random_state=self.seed).fit(data)

    def predict_proba(self, data: Records, history: Records | None = None) -> np.ndarray:
        raise AssertionError("fit returns the trees that predict")


def _inner(settings: dict[str, int], data: Records, split: str, seed: int) -> float:
    def make() -> BoostedTrees:
        return BoostedTrees(**settings, random_state=seed)

    if split == NEW_PEOPLE:
        return cross_validate(make, data, 3, seed + 1).nll().estimate
    return predict_known_people(make, data, NUM_KNOWN, 3, seed + 1).nll().estimate


def _told(name: str, judged: Predictions, split: str, base: Predictions | None) -> dict:
    row = asdict(ladder_row(name, split, judged))
    if base is not None:
        gap = compare(judged, base, np.random.default_rng(0)).difference
        row["less_demo_trees"] = [gap.estimate, gap.low, gap.high]
    print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}))
    return row


def main(seed: int, is_nested: bool) -> dict:
    """All rows, printed as they come."""
    plain = SWISSMETRO.records()

    def judged(make: Callable[[str], object], records: Records) -> dict[str, Predictions]:
        found = {}
        for split in (NEW_PEOPLE, KNOWN_PEOPLE):
            made = {"": partial(make, split)}
            found |= judge(made, records, (split,), NUM_FOLDS, NUM_KNOWN, seed)
        return {split: predictions for (_, split), predictions in found.items()}

    demo = judged(lambda split: BoostedTrees(random_state=seed), plain)
    rows = [_told("as in the demo", demo[split], split, None) for split in demo]
    handed = judged(lambda split: BoostedTrees(random_state=seed), with_differences(plain))
    rows += [_told("handed differences", handed[s], s, demo[s]) for s in demo]
    picked: dict[str, list[dict[str, int]]] = {}
    if is_nested:
        trees = {split: ChosenTrees(split, seed) for split in demo}
        nested = judged(lambda split: trees[split], plain)
        rows += [_told("settings chosen in each fold", nested[s], s, demo[s]) for s in demo]
        picked = {split: chosen.picked for split, chosen in trees.items()}
    return {"seed": seed, "rows": rows, "picked": picked, "circumstances": circumstances(None)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the folds, as in the demo")
    parser.add_argument("--no-nested", action="store_true", help="leave out the slow row")
    options = parser.parse_args()
    path = RESULTS / "trees.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known[f"seed {options.seed}"] = main(options.seed, not options.no_nested)
    path.write_text(json.dumps(known, indent=1) + "\n")
