"""What is preferred in short contexts, worth the same in long ones (SoLoPO, 2025): 3 |r(short) -
r(long)| of the chosen answer beside DPO on short contexts alone.

Theirs: beside DPO 0.9 points more on LongBench and 0.6 on RULER (beside ORPO 4.2 and 10.0, which is
not tried). Ours: one digit among letters is the answer ("kq7t=" is "#7"); a decoder of 0.03 million
parameters taught contexts of 4 to 32 letters, most of them short, by one who guesses three answers
in ten; 200 pairs of contexts of 4 letters, right above wrong, their long twins with 24 letters.
Counted are exact chances of right answers on 200 new contexts of 4, 24 and 32 letters. Paired by
seed, 95 % intervals of five seeds; the rates chosen on another. Not met: above DPO beyond chance
(11 points at 24 and at 32 letters, -12 to 35), and as good within 3 points at 4 letters (12, -13 to
38). The start is as right in long contexts (49 %) as in short ones: there was no gap to close.
Tiny: two seeds, little learnt.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_worse
from penchant.evaluation.recipes import low_over_seeds, over_seeds, results, run_recipe
from penchant.fitting.next_token import fit_next_token
from penchant.fitting.sgd import TrainConfig
from penchant.lm.decoder import DecoderConfig
from penchant.lm.language_model import LanguageModel
from penchant.lm.log_probs import log_probs
from penchant.lm.tokens import padded
from penchant.policies.language.direct import DirectConfig, fit_direct
from penchant.policies.language.pair_terms import Beside
from penchant.policies.language.pairs import Pairs
from penchant.policies.language.rollouts import demonstration_ids
from penchant.policies.language.teaching import fresh_decoder
from penchant.policies.language.trainer import need_torch

SHAPE = DecoderConfig(width=32, layers=2, heads=2, window=48)
TEACHING = TrainConfig(batch_size=8, max_epochs=1, learning_rate=5e-3, patience=None)
TRAINING = TrainConfig(batch_size=16, learning_rate=1e-3, patience=None)
LENGTHS, WEIGHT = (4, 24, 32), 3.0
SOURCE = "SoLoPO with DPO: 0.9 on LongBench, 0.6 on RULER"


@dataclass(frozen=True, kw_only=True)
class Config:
    """lessons: of the start. pairs, epochs: of what is preferred."""

    num_seeds: int = 5
    lessons: int = 6_000
    pairs: int = 200
    epochs: int = 4
    held_out: int = 200
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_seeds=2, lessons=60, pairs=16, epochs=1, held_out=10)


def main(config: Config) -> dict[str, Any]:
    need_torch()
    rows = [one_seed(config, config.seed + s) for s in range(config.num_seeds)]
    each = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    points = {n: each[f"SoLo-DPO, {n}"] - each[f"DPO, {n}"] for n in LENGTHS}
    # In short contexts it need not be above, only about as good.
    short = [
        no_worse(f"points beside DPO at {n} letters, low end", 0.0, low_over_seeds(found),
                 slack=3.0 if n == 4 else 0.0, source=SOURCE)
        for n, found in points.items()
    ]  # fmt: skip
    return results(
        [], not_met=short,
        points={f"{n} letters": over_seeds(found, 2) for n, found in points.items()},
        right={name: over_seeds(found, 1) for name, found in each.items()},
    )  # fmt: skip


def one_seed(config: Config, seed: int) -> dict[str, float]:
    generator, model = np.random.default_rng(seed), fresh_decoder(SHAPE, seed)
    told = []
    for _ in range(config.lessons):
        letters = int(generator.choice([4, 4, 4, 8, 16, 24, 32]))
        digit = int(generator.integers(10))
        said = digit if generator.random() < 0.7 else int(generator.integers(10))
        told.append(row(model, among(digit, letters, generator), said))
    shown, places = zip(*told, strict=True)
    start, _ = fit_next_token(model, shown, replace(TEACHING, seed=seed),
                              from_place=np.array(places))  # fmt: skip
    digits = generator.integers(0, 10, config.pairs)
    short = [among(int(d), 4, generator) for d in digits]
    wrong = (digits + generator.integers(1, 10, len(digits))) % 10
    first, second = ([row(start, text, int(d)) for text, d in zip(short, said, strict=True)]
                     for said in (digits, wrong))  # fmt: skip
    pairs = Pairs(
        first=[ids for ids, _ in first], second=[ids for ids, _ in second],
        place=np.array([at for _, at in first]), first_wins=np.ones(len(digits)),
        person=np.arange(len(digits)),
    )  # fmt: skip
    long = [row(start, among(int(d), 24, generator), int(d)) for d in digits]
    same = Beside(rows=[ids for ids, _ in long], place=np.array([at for _, at in long]),
                  weight=WEIGHT, form="same_worth")  # fmt: skip
    found = right(start, "start", config)
    training = replace(TRAINING, max_epochs=config.epochs, seed=seed)
    for name, terms in (("DPO", ()), ("SoLo-DPO", (same,))):
        fit = fit_direct(start, pairs, training, DirectConfig(strength=0.1), terms=terms)
        found |= right(fit.policies[0], name, config)
    return found


def among(digit: int, letters: int, generator: np.random.Generator) -> str:
    """A prompt: the digit somewhere among so many letters."""
    text = [str(letter) for letter in generator.choice(list("abcdefghijklmnop"), letters)]
    text.insert(int(generator.integers(0, letters + 1)), str(digit))
    return "".join(text) + "="


def row(model: LanguageModel, prompt: str, digit: int) -> tuple[list[int], int]:
    return demonstration_ids(model.tokenizer, prompt, f"#{digit}")


def right(model: LanguageModel, name: str, config: Config) -> dict[Any, float]:
    """The chance in 100 of a right answer, at each length."""
    import torch

    generator, found = np.random.default_rng(10_000), {}
    for letters in LENGTHS:
        digits = generator.integers(0, 10, config.held_out)
        told = [row(model, among(int(d), letters, generator), int(d)) for d in digits]
        with torch.no_grad():
            said = log_probs(model, padded([ids for ids, _ in told], 0)).log_prob
        chance = said[:, told[0][1] - 1 :].sum(dim=1).exp()
        found[f"{name}, {letters}"] = 100.0 * float(chance.mean())
    return found


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
