"""Judges of several tastes in one embedding: where tastes part, and who is of which.

A mixture of reward heads finds the directions of the embedding in which judges differ. What a text
is worth along them are a few numbers, features of the second stage like its length; there judges
differ in their weights as the population says: r(f; p) = f' (average + loadings z_p), with z_p
normal (a latent person; Poddar et al. 2024), one of K places (a mixture; Shen et al. 2025, MiCRo)
or a mix of K (prototypes; Chen et al. 2024, PAL). So what the heads' word is worth on pairs that
they have not seen is found out for each taste as it is for the average head.

Legend: B pairs, K heads, L = K - 1 directions of taste, E dimensions of the embedding, F features,
G judges.
"""

import time
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.beliefs.belief import Belief, Encoder
from penchant.beliefs.report import FitReport
from penchant.data.batch import Batch
from penchant.data.batch_builder import groups_of
from penchant.encoders.reward import SHOWN_FIRST, TIE
from penchant.errors import DataError
from penchant.feedback.gap import GapModel
from penchant.fitting.head_mixture import fit_head_mixture
from penchant.fitting.head_pairs import HeadPairs
from penchant.fitting.latent_classes import fit_latent_classes
from penchant.fitting.pooled import fit_pooled
from penchant.models.reward_head import Lessons, RewardHead
from penchant.numerics.arrays import Array
from penchant.populations.prototypes import Prototypes
from penchant.utilities.linear import Linear

People = Literal["normal", "classes", "prototypes"]
PEOPLE: tuple[People, ...] = ("normal", "classes", "prototypes")
# A kind that nobody follows has no place on any direction.
_LEAST_SHARE = 1e-3
# Standard deviation of a class's weights before any data, in logits per standard deviation of the
# feature: wide beside tastes, narrow beside what a handful of judges lets run away.
_CLASS_SCALE = 2.0
_NO_ERRORS = (
    "Mixes of prototypes come without errors: intervals of rewards and margins leave out our doubt "
    "about what the prototypes weigh. Classes or a latent taste have it."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TasteDirections:
    """Where the heads of a mixture lie along the directions that tell them apart: mean 0, variance
    1 over people, the direction that moves gaps most first. member: which head each judge follows,
    shares summing to one; nothing of judges without answers."""

    heads: Float[Array, "K E"]
    places: Float[Array, "K L"]
    shares: Float[Array, " K"]
    member: Float[Array, "G K"]

    @classmethod
    def of(
        cls, heads: Float[Array, "K E"], member: Float[Array, "G K"], pairs: HeadPairs
    ) -> "TasteDirections":
        """Principal directions of the heads' gaps about their mean, heads weighed by followers."""
        shares = np.maximum(member.sum(axis=0) / member.sum(), _LEAST_SHARE)
        shares = shares / shares.sum()
        apart = heads - shares @ heads
        gaps = pairs.differences(np.arange(len(pairs))) @ apart.T.astype(np.float32)
        root = np.sqrt(shares)
        gram = root[:, None] * (gaps.T @ gaps).astype(np.float64) * root
        _, axes = np.linalg.eigh(gram)
        places = axes[:, :0:-1] / root[:, None]
        # So that the same data always give the same side.
        places = places * np.where(places[0] < 0, -1.0, 1.0)
        return cls(heads=heads, places=places, shares=shares, member=member)

    @property
    def loadings(self) -> Float[Array, "E L"]:
        """What a step along each direction adds to the weights."""
        return (self.heads.T * self.shares) @ self.places

    def as_by(self, heads: Float[Array, "K E"], member: Float[Array, "G K"]) -> Float[Array, "E L"]:
        """The same directions by heads that others fitted, each taken for the one whose followers
        it shares (the assignment of Kuhn 1955)."""
        from scipy.optimize import linear_sum_assignment

        _, place = linear_sum_assignment(-self.member.T @ member)
        return replace(self, heads=heads[place]).loadings


def find_tastes(
    lessons: Lessons, told: Bool[Array, " B"], num_kinds: int, seed: int
) -> TasteDirections:
    """The directions in which judges of these pairs part.

    Raises `DataError` where there is other feedback than pairs, or nobody answered twice.
    """
    if not lessons.is_pair.all():
        raise DataError(
            f"{int((~lessons.is_pair).sum())} of the {len(lessons.is_pair)} observations are no "
            f"pairs; {num_kinds} kinds of judges are found by pairs alone. Keep only pairs, or fit "
            "with kinds=1."
        )
    pairs, judge = _judged(lessons, told)
    if np.bincount(judge).max(initial=0) < 2:
        raise DataError(
            f"nobody is known to have answered twice, so that {num_kinds} kinds of judges cannot "
            "be told apart: half against half looks like indifference. Name who answered "
            "(`person`), or fit with kinds=1."
        )
    return TasteDirections.of(*_heads(lessons, pairs, judge, num_kinds, seed), pairs)


def with_tastes(head: RewardHead, loadings: Float[Array, "E L"]) -> RewardHead:
    """The head with directions of taste."""
    sizes = head.encoder.sizes
    told = loadings if sizes is None else loadings / sizes[:, None]
    return replace(head, encoder=head.encoder.with_tastes(told.astype(np.float32)))


def unseen_tastes(
    lessons: Lessons, kept: Bool[Array, " B"], tastes: TasteDirections, seed: int
) -> Float[Array, "E L"]:
    """The directions by heads that have seen these observations alone. They are looked for anew:
    heads that begin where others ended keep what those had seen, and call chance taste."""
    pairs, judge = _judged(lessons, kept)
    return tastes.as_by(*_heads(lessons, pairs, judge, len(tastes.places), seed))


def _judged(lessons: Lessons, kept: Bool[Array, " B"]) -> tuple[HeadPairs, Int[Array, " A"]]:
    """The pairs, and the number of whoever judged each."""
    pairs, row = lessons.head_pairs(kept)
    return pairs, groups_of(lessons.records, lessons.settings.group_by).of_row[row]


def _heads(
    lessons: Lessons, pairs: HeadPairs, judge: Int[Array, " B"], num_kinds: int, seed: int
) -> tuple[Float[Array, "K E"], Float[Array, "G K"]]:
    """A mixture's heads and who follows which."""
    met, group = np.unique(judge, return_inverse=True)
    found = fit_head_mixture(
        pairs, num_kinds, rng=np.random.default_rng(seed), group=group.reshape(-1),
        model=lessons.settings.pair_model,
    )  # fmt: skip
    num = len(groups_of(lessons.records, lessons.settings.group_by).names)
    member = np.zeros((num, num_kinds))
    member[met] = found.responsibilities
    return found.heads.weights, member


def fit_kinds(
    choices: Batch, people: People, tastes: TasteDirections, *, encoder: Encoder, seed: int
) -> Belief:
    """The second stage where judges are of kinds, or mixes of them. Classes begin where the heads
    of the mixture are: its many starts have been made."""
    rng, num_kinds = np.random.default_rng(seed), len(tastes.places)
    if people == "prototypes":
        return _fit_mixes(choices, num_kinds, encoder, rng)
    assert people == "classes", people
    return fit_latent_classes(
        choices, num_kinds, rng=rng, encoder=encoder, prior_scale=_CLASS_SCALE,
        start=_class_start(choices, tastes),
    )  # fmt: skip


def _class_start(choices: Batch, tastes: TasteDirections) -> Float[Array, " M"]:
    """One taste for all, but for the places of the heads along the directions; their shares."""
    told = [place for place, name in enumerate(choices.feature_names) if name.startswith("taste ")]
    weights = np.tile(fit_pooled(choices).theta, (len(tastes.places), 1))
    weights[:, told] = tastes.places
    return np.concatenate([weights.ravel(), np.log(tastes.shares[1:] / tastes.shares[0])])


def _fit_mixes(
    choices: Batch, num_kinds: int, encoder: Encoder, rng: np.random.Generator
) -> Belief:
    """Everybody a mix of prototypes, evenly spread over all mixes. The favour for the first shown
    and the tie rate are shared by all; of our doubt nothing is known."""
    began = time.perf_counter()
    population = Prototypes(num_prototypes=num_kinds, num_mixes=64 if num_kinds == 2 else 256)
    pairs, group, scale = _as_pairs(choices)
    has_ties = TIE in choices.feature_names
    found = fit_head_mixture(
        pairs, num_kinds, rng=rng, group=group, mixing=population.mixing(),
        model=GapModel(ties="davidson" if has_ties else None),
    )  # fmt: skip
    theta = np.zeros((num_kinds, choices.num_features))
    theta[:, : len(scale)] = found.heads.weights / scale
    favour = found.heads.coefficients
    if len(favour):
        theta[:, choices.feature_names.index(SHOWN_FIRST)] = favour[0]
    if has_ties:
        # In a gap the favour stands on both sides of a tie, among features before the first.
        theta[:, -1] = found.heads.own[0] + 0.5 * (favour[0] if len(favour) else 0.0)
    options = np.concatenate([np.full(len(b), b.offered.shape[1]) for b in choices.blocks])
    parameters = found.heads.weights.size + len(favour) + len(found.heads.own)
    return Belief(
        theta=theta.ravel(),
        parameter_names=population.parameter_names(choices.feature_names, ()),
        utility=Linear(),
        population=population,
        encoder=encoder,
        has_unknown_doubt=True,
        fingerprint=choices.fingerprint,
        report=FitReport(
            log_likelihood=found.log_likelihood,
            null_log_likelihood=-float(pairs.weight @ np.log(options)),
            rows=len(pairs),
            people=int(group.max()) + 1,
            parameters=parameters,
            converged=found.converged,
            iterations=found.iterations,
            seconds=time.perf_counter() - began,
            method="L-BFGS from many starts, mixes summed out",
            prior=f"normal, standard deviation {found.head_scale:.3g} per feature's root mean "
            "square, by the evidence",
            warnings=(*choices.notes, _NO_ERRORS),
        ),
    )


def _as_pairs(choices: Batch) -> tuple[HeadPairs, Array, Float[Array, " F"]]:
    """The choices of (first, second, perhaps a tie) as pairs whose features have size one, whose
    each is, and the sizes. Being shown first is a column: all share what it counts for."""
    (block,) = choices.blocks
    names = choices.feature_names
    of_text = [place for place, name in enumerate(names) if name not in (SHOWN_FIRST, TIE)]
    apart = block.features[:, 0] - block.features[:, 1]
    size = np.sqrt((apart[:, of_text] ** 2).mean(axis=0))
    size = np.where(size > 0, size, 1.0)
    rows = np.arange(len(block))
    pairs = HeadPairs(
        features=(apart[:, of_text] / size).astype(np.float32), first=rows, second=None,
        answer=block.answer["chosen"], weight=block.weight,
        columns=apart[:, [names.index(SHOWN_FIRST)]] if SHOWN_FIRST in names else np.zeros((0, 0)),
    )  # fmt: skip
    return pairs, np.unique(block.group, return_inverse=True)[1].reshape(-1), size
