"""Policies as probabilities: they add up, and say what they are called."""

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records
from penchant.errors import ConfigError, DataError
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.latent_class_logit import LatentClassLogit
from penchant.policies.policy import (
    Careful,
    Column,
    EpsilonGreedy,
    Greedy,
    Logged,
    Softmax,
    Uniform,
    expected_worth,
    worth_of_the_worst_off,
)


@pytest.fixture(scope="module")
def menus():
    rng = np.random.default_rng(0)
    sizes = rng.integers(2, 5, size=60)
    x = rng.normal(size=sizes.sum())
    share = np.concatenate([rng.dirichlet(np.ones(k)) for k in sizes])
    return Records.from_arrays(
        options={"option": np.array([f"o{i % 7}" for i in range(len(x))]), "x": x, "share": share},
        menu_sizes=sizes, rows={"chosen": rng.integers(2, size=60)}, extras=("share",),
    )  # fmt: skip


@pytest.fixture(scope="module")
def belief(menus):
    return ConditionalLogit(formula="x", prior_scale=1.0).fit(menus).belief_


def totals(records, probability):
    return np.add.reduceat(probability, records.offsets[:-1])


def test_probabilities_add_up_to_one_in_every_menu(menus, belief):
    for policy in (Uniform(), Column("share"), Greedy(belief), EpsilonGreedy(belief, 0.2),
                   Softmax(belief, 0.5)):  # fmt: skip
        probability = policy(menus)
        assert np.all(probability >= 0)
        np.testing.assert_allclose(totals(menus, probability), 1.0)


def test_softmax_at_temperature_one_is_the_model_and_cold_it_is_greedy(menus, belief):
    blocks = belief.predict_proba(belief.encode(menus))
    np.testing.assert_allclose(Softmax(belief)(menus), belief.encode(menus).flat(blocks))
    np.testing.assert_allclose(Softmax(belief, 1e-6)(menus), Greedy(belief)(menus), atol=1e-6)
    np.testing.assert_allclose(Softmax(belief, 1e6)(menus), Uniform()(menus), atol=1e-4)


def test_greedy_takes_the_best_and_shares_among_equals(menus, belief):
    worth = expected_worth(belief, menus)
    greedy = Greedy(belief)(menus)
    best = np.repeat(np.maximum.reduceat(worth, menus.offsets[:-1]), menus.menu_sizes)
    np.testing.assert_array_equal(greedy > 0, worth == best)
    tied = menus.with_columns(options={"x": np.zeros(len(worth))})
    np.testing.assert_allclose(Greedy(belief)(tied), Uniform()(menus))
    mixed = EpsilonGreedy(belief, 0.3)(menus)
    np.testing.assert_allclose(mixed, 0.7 * greedy + 0.3 * Uniform()(menus))


def test_over_menus_of_what_was_shown_alone_no_policy_of_menus_is_told(menus, belief):
    first = menus.offsets[:-1]
    shown = Records.from_arrays(
        options={"option": menus.options["option"].take(first), "propensity": np.full(60, 1 / 6),
                 "success": np.ones(60, dtype=int), "x": menus.options["x"].take(first)},
        menu_sizes=np.ones(60, dtype=np.int64), rows={"pi": np.full(60, 0.3)}, kind="binary",
    )  # fmt: skip
    for policy in (Uniform(), Greedy(belief), EpsilonGreedy(belief), Softmax(belief)):
        with pytest.raises(DataError, match="--menu seen"):
            policy(shown)
    # What was certain was no choice: there one option is the whole menu.
    certain = shown.with_columns(options={"propensity": np.ones(60)})
    np.testing.assert_array_equal(Uniform()(certain), 1.0)
    np.testing.assert_array_equal(Column("pi")(shown), 0.3)


def test_a_column_of_lists_beside_the_menus_is_a_policy_too(menus):
    share = menus.options["share"].to_numpy(zero_copy_only=False)
    lists = [part.tolist() for part in np.split(share, menus.offsets[1:-1])]
    beside = menus.with_columns(rows={"pi": pa.array(lists)})
    np.testing.assert_array_equal(Column("pi")(beside), share)
    with pytest.raises(DataError, match="no column 'chosen' of options"):
        Column("chosen")(menus)


def test_what_cannot_be_a_policy_is_refused(menus, belief):
    with pytest.raises(DataError, match="no column 'pi'"):
        Column("pi")(menus)
    with pytest.raises(DataError, match="add up to 1"):
        Column("x")(menus)
    with pytest.raises(ConfigError, match="epsilon is 2"):
        EpsilonGreedy(belief, 2.0)
    with pytest.raises(ConfigError, match="temperature is 0"):
        Softmax(belief, 0.0)
    assert np.isnan(Logged()(menus)).all()


@pytest.fixture(scope="module")
def opposed():
    """Seven in ten people like x, the others the opposite; the middle is nobody's worst."""
    rng = np.random.default_rng(3)
    person = np.repeat(np.arange(120), 12)
    sign = np.where(person % 10 < 7, 1.0, -1.0)
    x = rng.normal(size=(len(person), 3))
    felt = 2.0 * sign[:, None] * x + rng.gumbel(size=x.shape)
    records = Records.from_arrays(
        options={"option": np.tile(np.array(list("abc")), (len(person), 1)), "x": x},
        rows={"person": person.astype(str), "chosen": felt.argmax(axis=1)},
    )  # fmt: skip
    return records, LatentClassLogit("x", num_classes=2, random_state=0).fit(records).belief_, x


def test_who_minds_the_worst_off_takes_the_middle_and_who_minds_all_the_best(opposed):
    records, belief, x = opposed
    everybody = Careful(belief, 1.0)(records)
    np.testing.assert_allclose(everybody, Greedy(belief)(records))
    careful = Careful(belief, 0.0)(records).reshape(-1, 3)
    far = np.abs(x - x.mean(axis=1, keepdims=True))
    assert (careful.argmax(axis=1) == far.argmin(axis=1)).mean() > 0.9
    np.testing.assert_allclose(careful.sum(axis=1), 1.0)


def test_the_worst_off_are_never_worth_more_than_all(opposed):
    records, belief, _ = opposed
    few, half, all_ = (worth_of_the_worst_off(belief, records, s) for s in (0.0, 0.5, 1.0))
    assert (few <= half + 1e-12).all()
    assert (half <= all_ + 1e-12).all()
    with pytest.raises(ConfigError, match="share of people"):
        Careful(belief, 2.0)


def test_where_all_are_of_one_kind_nobody_is_worse_off(menus, belief):
    np.testing.assert_allclose(Careful(belief, 1.0)(menus), Greedy(belief)(menus))
    with pytest.raises(ConfigError, match="--model classes"):
        Careful(belief, 0.5)(menus)
