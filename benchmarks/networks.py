"""Networks beside formulas on real choices: Swissmetro, five folds of new people.

    python benchmarks/networks.py [--folds 5] [--out FOLDER]

Prints nats per choice with intervals over people, and each row's difference from the row above on
the same choices: the table "When not" of docs/neural.md. Needs the extra `torch`. Some minutes of
one core.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import circumstances
from penchant.data.samples import swissmetro
from penchant.evaluation.comparison import paired_difference
from penchant.evaluation.cross_validation import cross_validate
from penchant.evaluation.predictions import Predictions
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.neural_logit import NeuralLogit

ATTRIBUTES = "option + time/100 + cost/100 + headway/60 + seats"
SIX = "purpose + who + luggage + ga + age + income"
ELEVEN = f"{SIX} + group + survey + first + ticket + male"
ROWS: dict[str, Callable[[], Any]] = {
    "one taste": lambda: ConditionalLogit(ATTRIBUTES),
    "option, time and cost by six context columns, not shrunk": lambda: ConditionalLogit(
        f"{ATTRIBUTES} + (option + time/100 + cost/100):({SIX})"
    ),
    "network, six context columns": lambda: NeuralLogit(ATTRIBUTES, context=SIX),
    "every attribute by eleven context columns, shrunk": lambda: ConditionalLogit(
        ATTRIBUTES, shrunk=f"({ATTRIBUTES}):({ELEVEN})"
    ),
    "network, eleven context columns": lambda: NeuralLogit(ATTRIBUTES, context=ELEVEN),
    "the same, averaged over 50 draws of doubt": lambda: NeuralLogit(
        ATTRIBUTES, context=ELEVEN, doubt_draws=50
    ),
}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--folds", type=int, default=5)
    words.add_argument("--out", type=Path, help="folder for networks.json")
    said = words.parse_args()
    records, before, lines = swissmetro(), None, []
    print(f"{'nats':>6}  {'95 %':>14}  {'CPU s':>6}  less the row above, on the same choices")
    for name, make in ROWS.items():
        began = time.process_time()
        found = cross_validate(make, records, num_folds=said.folds)
        lines.append(line(name, found, before, time.process_time() - began))
        print(told(lines[-1]), flush=True)
        before = found
    if said.out is not None:
        said.out.mkdir(parents=True, exist_ok=True)
        kept = {"circumstances": circumstances(None), "folds": said.folds, "rows": lines}
        text = json.dumps(kept, indent=1)
        (said.out / "networks.json").write_text(text + "\n")


def line(
    name: str, found: Predictions, before: Predictions | None, seconds: float
) -> dict[str, Any]:
    """A row's figures; `gain` is its paired difference from the row above."""
    loss = found.nll()
    gain = None if before is None else paired_difference(found, before)
    return {
        "model": name, "nll": loss.estimate, "low": loss.low, "high": loss.high,
        "cpu_seconds": round(seconds, 1),
        "gain": None if gain is None else [gain.estimate, gain.low, gain.high],
    }  # fmt: skip


def told(row: dict[str, Any]) -> str:
    gain = "" if row["gain"] is None else "{:+.3f} ({:+.3f} to {:+.3f})".format(*row["gain"])
    ends = f"{row['low']:.3f} to {row['high']:.3f}"
    return f"{row['nll']:6.3f}  {ends}  {row['cpu_seconds']:6.1f}  {gain:26}  {row['model']}"


if __name__ == "__main__":
    main()
