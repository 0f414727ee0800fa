"""Elasticities by the logit's derivative are those of shares that were really moved."""

import numpy as np
import pytest

from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.latent_class_logit import LatentClassLogit
from penchant.models.mixed_logit import MixedLogit
from penchant.models.nested_logit import NestedLogit
from penchant.policies.oneshot.elasticities import difference_matrix, elasticities
from penchant.policies.oneshot.what_if import Change, apply_changes
from policies.test_what_if import trips

STEP = 1e-4
MODELS = {
    "pooled": ConditionalLogit("option + time + log(cost)"),
    "random": MixedLogit("option + time + cost", random={"time": "normal"}, num_draws=40),
    "classes": LatentClassLogit("option + time + cost", "rich", num_classes=2, num_starts=2),
}


@pytest.fixture(scope="module")
def records():
    return trips(np.random.default_rng(3), num_people=40)


def moved_ends(belief, records, step=STEP):
    """The encoded records with each option's cost a little higher and a little lower."""
    base = belief.encode(records)
    return base, [
        tuple(
            belief.encode(
                apply_changes(records, [Change(feature="cost", option=name, multiply=factor)])
            )
            for factor in (1.0 + step, 1.0 / (1.0 + step))
        )
        for name in base.option_names
    ]


def matrix(found):
    names = list(dict.fromkeys(one.of for one in found))
    return np.array([one.value for one in found]).reshape(-1, len(names))


@pytest.mark.parametrize("kind", MODELS)
def test_the_derivative_is_the_limit_of_differences_of_shares(kind, records):
    belief = MODELS[kind].fit(records).belief_
    slow = difference_matrix(belief, *moved_ends(belief, records), STEP)
    quick = matrix(elasticities(belief, records, "cost", step=STEP))
    assert np.abs(slow).max() > 0.05
    np.testing.assert_allclose(quick, slow, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", ["pooled", "classes"])
def test_many_draws_at_once_are_the_draws_one_by_one(kind, records):
    belief = MODELS[kind].fit(records).belief_
    found = elasticities(
        belief, records, "cost", step=STEP, num_draws=220, rng=np.random.default_rng(5)
    )
    base, ends = moved_ends(belief, records)
    drawn = belief.sample(220, np.random.default_rng(5), robust=True)
    one_by_one = np.stack([difference_matrix(each, base, ends, STEP) for each in drawn])
    low, high = np.quantile(one_by_one, [0.025, 0.975], axis=0)
    np.testing.assert_allclose([e.low for e in found], low.ravel(), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose([e.high for e in found], high.ravel(), rtol=1e-5, atol=1e-8)


def test_models_that_are_no_plain_logit_move_their_own_shares(records):
    nests = {"both": ("bus", "rail")}
    belief = NestedLogit("option + time + cost", nests=nests).fit(records).belief_
    slow = difference_matrix(belief, *moved_ends(belief, records), STEP)
    quick = matrix(elasticities(belief, records, "cost", step=STEP))
    np.testing.assert_allclose(quick, slow, rtol=1e-12)


def test_a_weight_of_two_counts_twice(records):
    """Doubling the weight of some people is counting them twice."""
    belief = MODELS["pooled"].fit(records).belief_
    rows = np.arange(len(records))
    some = rows[: len(rows) // 2]
    twice = records.take(np.concatenate([rows, some]))
    heavy = records.with_columns(rows={"weight": 1.0 + (rows < len(some))})
    one, other = (matrix(elasticities(belief, data, "cost")) for data in (twice, heavy))
    np.testing.assert_allclose(one, other, rtol=1e-10)
