"""penchant's side of `reward.py`: the same contract as `reward_peers.py`."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

import reward_worlds as worlds  # noqa: F401  (contender.py loads worlds by it)
from reward_worlds import World

Fit = Callable[[], dict]


def _pairs(world: World):
    from penchant.fitting.head_pairs import HeadPairs

    size = len(world.outcome)
    return HeadPairs(
        features=world.differences, first=np.arange(size), second=None,
        answer=world.outcome.astype(np.int64), weight=np.ones(size),
    )  # fmt: skip


def head(world: World, *, tolerance: float) -> Fit:
    """The linear head, its ridge given, without errors."""
    from penchant.feedback.gap import GapModel
    from penchant.fitting.linear_head import HeadConfig, fit_linear_head

    config = HeadConfig(tolerance=tolerance)
    pairs = _pairs(world)

    def fit() -> dict:
        found = fit_linear_head(
            pairs, GapModel(), prior_scale=world.prior_scale, has_covariance=False, config=config
        )
        return {"weights": found.weights.tolist(), "iterations": found.iterations}

    return fit


def one_pass(world: World) -> Fit:
    """Value and gradient once: the features read for the gaps, and read for the gradient."""
    from penchant.feedback.gap import GapModel
    from penchant.fitting.head_pairs import HeadDensity

    dimensions = world.differences.shape[1]
    density = HeadDensity(
        pairs=_pairs(world), model=GapModel(), precision=np.full(dimensions, world.prior_scale**-2)
    )
    theta = np.full(dimensions, 0.01)

    def fit() -> dict:
        density.gather(density.respond(density.gaps(theta), theta[dimensions:]))
        return {}

    return fit


def one_product(world: World) -> Fit:
    """One product with the curvature: two passes, and no likelihood."""
    pairs, direction = _pairs(world), np.full(world.differences.shape[1], 0.01)

    def fit() -> dict:
        pairs.gather(0.25 * pairs.gaps(direction, np.zeros(0)))
        return {}

    return fit


def reading(world: World) -> Fit:
    """Every byte of the features once, at the speed at which this machine adds up memory."""
    flat = world.differences.reshape(-1).view(np.float32)

    def fit() -> dict:
        for at in range(0, len(flat), 1 << 20):
            flat[at : at + (1 << 20)].dot(flat[at : at + (1 << 20)])
        return {"bytes": flat.nbytes}

    return fit


def mixture_pass(world: World, *, heads: int) -> Fit:
    """Value and gradient of a mixture of heads, ten pairs a person."""
    from penchant.feedback.gap import GapModel
    from penchant.fitting.head_mixture import Context, group_pairs
    from penchant.fitting.head_mixture_density import HeadMixtureDensity

    pairs = _pairs(world)
    group = np.arange(len(pairs)) // 10
    density = HeadMixtureDensity(
        data=group_pairs(pairs, group, Context.of(pairs, group, None)), model=GapModel(),
        num_heads=heads, head_precision=world.prior_scale**-2,
    )  # fmt: skip
    theta = 0.01 * np.random.default_rng(0).standard_normal(density.cuts[-1])

    def fit() -> dict:
        density.at(theta)
        return {}

    return fit


def mixture_fit(world: World, *, heads: int) -> Fit:
    """All starts of a mixture of heads, ten pairs a person, the ridge given."""
    from penchant.fitting.head_mixture import fit_head_mixture

    pairs = _pairs(world)
    group = np.arange(len(pairs)) // 10

    def fit() -> dict:
        found = fit_head_mixture(
            pairs, heads, rng=np.random.default_rng(0), group=group, head_scale=world.prior_scale
        )
        return {"log_likelihood": found.log_likelihood, "gain_over_one": found.gain_over_one,
                "iterations": found.iterations}  # fmt: skip

    return fit


def _judged():
    from penchant.data.samples import convincing_arguments
    from penchant.models.reward_model import RewardModel

    records = convincing_arguments()
    return RewardModel(num_draws=100).fit(records.take(np.arange(8000))), records


def scoring(_: World) -> Fit:
    """From records that bring their embeddings to probabilities and intervals, 10,000 pairs."""
    model, records = _judged()
    some = records.take(np.arange(10_000, 20_000))

    def fit() -> dict:
        return {"pairs": len(model.judge(some).gap)}

    return fit


def rewards(_: World) -> Fit:
    """From embeddings in memory to the difference in reward, 10,000 pairs."""
    from penchant.encoders.reward_pairs import read_pairs

    model, records = _judged()
    encoder = model.belief_.encoder
    pairs = read_pairs(records.take(np.arange(10_000, 20_000)), encoder.embedding)

    def fit() -> dict:
        worth = encoder.rewards(pairs.embedded)
        return {"pairs": len(worth[pairs.first] - worth[pairs.second])}

    return fit


def adaptation(_: World, *, draws: int) -> Fit:
    """A new judge's weights from eight judgements already read, one judge after another: mode and
    curvature, or (draws > 0) the weighted draws that predictions are made of."""
    from penchant.beliefs.personal import personal_modes, personal_tastes, taste_prior
    from penchant.models.estimator import encoded

    model, records = _judged()
    belief = model.belief_
    person = np.asarray(records.rows["person"])
    names, counts = np.unique(person, return_counts=True)
    batches = [
        encoded(belief, records.take(np.flatnonzero(person == name)[:8]))
        for name in names[counts >= 8][:100]
    ]

    def fit() -> dict:
        for batch in batches:
            if draws:
                personal_tastes(belief, batch, batch, num_draws=draws)
            else:
                personal_modes(batch.flat_choices(), taste_prior(belief))
        return {"people": len(batches)}

    return fit


def second_encoding(_: World) -> Fit:
    """How many texts a second fit embeds that the first one had embedded: none."""
    import tempfile

    from penchant.data.samples import convincing_arguments
    from penchant.encoders.text import TextEncoder

    records = convincing_arguments().take(np.arange(2000))
    cache = tempfile.mkdtemp()
    calls: list[int] = []

    def embed(texts):
        calls.append(len(texts))
        return np.zeros((len(texts), 384), dtype=np.float32)

    encoder = replace(TextEncoder(model="counted"), cache=cache)
    encoder.encode_features(records, embed)
    first = sum(calls)

    def fit() -> dict:
        encoder.encode_features(records, embed)
        return {"embedded_first": first, "embedded_again": sum(calls) - first}

    return fit
