"""Answers that should stay as they are beside pairs about others (C3PO, Stephan et al. 2024): 0.2
times -log pi of the old answer where the feedback does not apply, 0.1 times where it nearly does.

Theirs: 30 % less overgeneralisation at the same obedience. Ours: a decoder of 0.06 million
parameters that copies two digits behind six tags ("B47=" is "47") and marks one answer in ten
("x47"); the feedback asks for the mark behind the tag A alone: pairs of 60 numbers, marked above
plain. Anchors are the plain answers behind B (near) and C to F (out of scope). Counted are the
chances, exactly, to mark the answers of the 40 numbers that no pair or anchor showed: behind A, B,
and C to F. Paired by seed, 95 % intervals of five seeds; rate and passes chosen for DPO on another.
DPO marks 76 % behind B, almost as many as behind A (77); C3PO 26 %: 66 % less (59 to 73), and
57 % less out of scope (35 to 78). Not met: as obedient beyond chance (4 points more behind A, -22
to 31). Tiny: two seeds, little learnt.
"""

from collections.abc import Sequence
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

SHAPE = DecoderConfig(width=48, layers=2, heads=2, window=16)
TRAINING = TrainConfig(batch_size=32, learning_rate=3e-3, patience=None)
PLACES = {"in scope": "A", "near": "B", "out of scope": "CDEF"}
RATE = 3e-4
SOURCE = "C3PO: 30 % less overgeneralisation"


@dataclass(frozen=True, kw_only=True)
class Config:
    """passes: over the start's lessons; epochs: over the pairs."""

    num_seeds: int = 5
    passes: int = 8
    epochs: int = 30
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_seeds=2, passes=1, epochs=1)


def main(config: Config) -> dict[str, Any]:
    need_torch()
    rows = [one_seed(config, config.seed + s) for s in range(config.num_seeds)]
    each = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    obeyed = each["C3PO, in scope"] - each["DPO, in scope"]
    saved = {
        where: 100.0 * (1.0 - each[f"C3PO, {where}"] / each[f"DPO, {where}"])
        for where in ("near", "out of scope")
    }
    claims = [
        no_worse(f"% less leaked {where}, low end", 30.0, low_over_seeds(share), source=SOURCE)
        for where, share in saved.items()
    ]
    short = [
        no_worse("points in scope beside DPO, low end", -3.0, low_over_seeds(obeyed),
                 source="our notes on C3PO"),
    ]  # fmt: skip
    return results(
        claims,
        not_met=short,
        points_in_scope_beside_dpo=over_seeds(obeyed, 2),
        less_leaked={where: over_seeds(share, 1) for where, share in saved.items()},
        marks={name: over_seeds(values, 2) for name, values in each.items()},
    )


def one_seed(config: Config, seed: int) -> dict[str, float]:
    generator, start = np.random.default_rng(seed), started(config, seed)
    shown, new = np.split(generator.permutation(100), [60])
    good, place = written(start, "A", shown, True)
    bad, _ = written(start, "A", shown, False)
    pairs = Pairs(first=good, second=bad, place=place, first_wins=np.ones(60), person=np.arange(60))
    anchors = []
    for tags, weight in ((PLACES["out of scope"], 0.2), (PLACES["near"], 0.1)):
        tag = "".join(generator.choice(list(tags), 60))
        rows, at = written(start, tag, generator.permutation(shown), False)
        anchors.append(Beside(rows=rows, place=at, weight=weight))
    found = marked(start, new, "start")
    training = replace(TRAINING, max_epochs=config.epochs, learning_rate=RATE, seed=seed)
    for name, terms in (("DPO", ()), ("C3PO", anchors)):
        fit = fit_direct(start, pairs, training, DirectConfig(strength=0.1), terms=terms)
        found |= marked(fit.policies[0], new, name)
    return found


def started(config: Config, seed: int) -> LanguageModel:
    """A decoder that copies digits and now and then marks them, whatever the tag."""
    model, rows, generator = fresh_decoder(SHAPE, seed), [], np.random.default_rng((seed, 1))
    for tag in "ABCDEF":
        for is_marked, num in ((False, 135), (True, 15)):
            told, place = written(model, tag, generator.integers(0, 100, num), is_marked)
            rows += told
    training = replace(TRAINING, max_epochs=config.passes, seed=seed)
    return fit_next_token(model, rows, training, from_place=np.full(len(rows), place[0]))[0]


def written(
    model: LanguageModel, tags: str, numbers: Sequence[int] | np.ndarray, is_marked: bool
) -> tuple[list[list[int]], np.ndarray]:
    """Prompts of these numbers with their answers, and where the answers begin; `tags`: one for
    all or one each."""
    rows, places = [], []
    for number, tag in zip(numbers, tags if len(tags) > 1 else tags * len(numbers), strict=True):
        digits = f"{number:02d}"
        said = f"x{digits}" if is_marked else digits
        row, place = demonstration_ids(model.tokenizer, f"{tag}{digits}=", said)
        rows.append(row)
        places.append(place)
    return rows, np.array(places)


def marked(model: LanguageModel, numbers: np.ndarray, name: str) -> dict[str, float]:
    """The chance in 100 to mark the answers of these numbers, behind each kind of tag."""
    found = {}
    for where, tags in PLACES.items():
        told = [written(model, tag, numbers, True) for tag in tags]
        rows, place = [row for part, _ in told for row in part], told[0][1][0]
        said = log_probs(model, padded(rows, 0)).log_prob[:, place - 1 :].sum(dim=1)
        found[f"{name}, {where}"] = 100.0 * float(said.detach().exp().mean())
    return found


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
