"""What is preferred in short contexts, worth the same in long ones (SoLoPO, 2025): 3 |r(short) -
r(long)| of the chosen answer beside DPO on short contexts alone.

Theirs: beside DPO 0.9 points more on LongBench and 0.6 on RULER (ORPO's 4.2 and 10 are not tried).
Ours: one digit among letters is the answer ("kq7t=" is "#7"); a decoder of 0.03 million parameters
taught contexts of 4 and 8 letters by one who guesses three answers in ten, until it is 10 points
less right with 48 letters than with 4 (means of 24 and 42 %); 200 pairs of contexts of 4 letters,
right above wrong, their long twins with 48. Counted are exact chances of right answers on 200 new
contexts of 4, 48 and 64 letters. Paired by seed, 95 % intervals of five seeds; lengths and the rate
(for DPO the better of two) were chosen on another. Not met: above DPO at 48 and 64 letters (-4
points, -12 to 4; -14 to 5), as good within 3 at 4 (0.2, -8 to 8); DPO alone gains 6 points in long
contexts, 3 in short ones. Tiny: two seeds, little learnt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_worse
from penchant.evaluation.policy_start import screened
from penchant.evaluation.recipes import low_over_seeds, over_seeds, results, run_recipe
from penchant.fitting.sgd import TrainConfig
from penchant.lm.decoder import DecoderConfig
from penchant.lm.language_model import LanguageModel
from penchant.lm.log_probs import log_probs
from penchant.lm.tokens import padded
from penchant.policies.language.direct import DirectConfig, fit_direct
from penchant.policies.language.pair_terms import Beside
from penchant.policies.language.pairs import Pairs
from penchant.policies.language.rollouts import demonstration_ids
from penchant.policies.language.teaching import Teaching, decoders_taught, lessons_of
from penchant.policies.language.trainer import need_torch
from penchant.simulation.tasks.task import Problem

SHAPE = DecoderConfig(width=32, layers=2, heads=2, window=80)
TEACHING = TrainConfig(batch_size=8, max_epochs=1, learning_rate=5e-3, patience=None)
TRAINING = TrainConfig(batch_size=16, learning_rate=3e-4, patience=None)
LENGTHS, WEIGHT = (4, 48, 64), 3.0
TAUGHT, LETTERS = (4, 4, 4, 8), "abcdefghijklmnop"
SOURCE = "SoLoPO with DPO: 0.9 on LongBench, 0.6 on RULER"


@dataclass(frozen=True, kw_only=True)
class Config:
    """lessons, rounds: of the start, until it is so many points (`gap`) more right in short
    contexts than in long ones. pairs, epochs: of what is preferred."""

    num_seeds: int = 5
    lessons: int = 1_000
    rounds: int = 10
    gap: float = 10.0
    pairs: int = 200
    epochs: int = 4
    held_out: int = 200
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_seeds=2, lessons=60, rounds=1, gap=-100.0, pairs=16, epochs=1, held_out=10)


def main(config: Config) -> dict[str, Any]:
    need_torch()
    rows = [one_seed(config, config.seed + s) for s in range(config.num_seeds)]
    each = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    points = dict(zip(LENGTHS, (each["SoLo-DPO"] - each["DPO"]).T, strict=True))
    # In short contexts it need not be above, only about as good.
    short = [
        no_worse(f"points beside DPO at {n} letters, low end", 0.0, low_over_seeds(found),
                 slack=3.0 if n == 4 else 0.0, source=SOURCE)
        for n, found in points.items()]  # fmt: skip
    return results([], not_met=short, points={n: over_seeds(x, 2) for n, x in points.items()},
                   right={m: [over_seeds(n, 1) for n in x.T] for m, x in each.items()})  # fmt: skip


def one_seed(config: Config, seed: int) -> dict[str, list[float]]:
    start, generator = started(config, seed), np.random.default_rng((seed, 2))
    digits = generator.integers(0, 10, config.pairs)
    wrong = (digits + generator.integers(1, 10, len(digits))) % 10
    short, long = ([among(d, n, generator) for d in digits] for n in LENGTHS[:2])
    chosen, rejected, twins = (
        tuple(zip(*(demonstration_ids(start.tokenizer, prompt, f"#{d}")
                    for prompt, d in zip(prompts, said, strict=True))))
        for prompts, said in ((short, digits), (short, wrong), (long, digits))
    )  # fmt: skip
    pairs = Pairs(first=chosen[0], second=rejected[0], place=np.array(chosen[1]),
                  first_wins=np.ones(len(digits)), person=np.arange(len(digits)))  # fmt: skip
    same = Beside(rows=twins[0], place=np.array(twins[1]), weight=WEIGHT, form="same_worth")
    found = {"start": right(start, config)}
    training = replace(TRAINING, max_epochs=config.epochs, seed=seed)
    for name, terms in (("DPO", ()), ("SoLo-DPO", (same,))):
        fit = fit_direct(start, pairs, training, DirectConfig(strength=0.1), terms=terms)
        found[name] = right(fit.policies[0], config)
    return found


def started(config: Config, seed: int) -> LanguageModel:
    """Taught until it is clearly less right in long contexts; where it never is, another one."""
    teaching = Teaching(num=config.lessons, training=TEACHING, seed=seed)
    starts = decoders_taught(Among(), SHAPE, teaching, rounds=config.rounds)
    return screened(
        starts, lambda model: -float(np.diff(right(model, config, 20_000))[0]), config.gap, 100.0
    ).model


@dataclass(frozen=True)
class Among:
    """A digit among letters is the answer; one who knows it `sure` often shows it, or guesses."""

    lengths: tuple[int, ...] = TAUGHT
    sure: float = 0.7

    def draw(self, num: int, generator: np.random.Generator) -> Sequence[Problem]:
        letters = generator.choice(self.lengths, num)
        digits, guesses = generator.integers(0, 10, (2, num))
        said = np.where(generator.random(num) < self.sure, digits, guesses)
        return tuple(
            Problem(prompt=among(d, n, generator), demonstration=f"#{shown}", difficulty=int(n))
            for d, n, shown in zip(digits, letters, said)
        )

    def grade(self, problem: Problem, response: str) -> Mapping[str, float]:
        return {"correct": float(response == "#" + problem.prompt.strip(LETTERS + "="))}


def among(digit: int, letters: int, generator: np.random.Generator) -> str:
    """A prompt: the digit somewhere among so many letters."""
    text = [str(letter) for letter in generator.choice(list(LETTERS), letters)]
    text.insert(int(generator.integers(0, letters + 1)), str(digit))
    return "".join(text) + "="


def right(model: LanguageModel, config: Config, seed: int = 10_000) -> list[float]:
    """The chance in 100 of a right answer, at each length."""
    import torch

    generator, found = np.random.default_rng(seed), []
    for letters in LENGTHS:
        told = lessons_of(Among((letters,), 1.0), config.held_out, generator, model.tokenizer)
        with torch.no_grad():
            said = log_probs(model, padded(told.rows, 0)).log_prob
        found.append(100.0 * float(said[:, told.from_place[0] - 1 :].sum(dim=1).exp().mean()))
    return found


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
