"""Networks as utilities: symmetries, one formula in NumPy and torch, linear in the tastes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.small_batches import mixed_feedback
from penchant.data.batch import Block
from penchant.errors import DataError
from penchant.utilities.neural import Network, Neural, hidden

ACTIVATIONS = ("tanh", "silu", "relu")


def random_utility(rng, num_features=3, sees_menu=False, activation="silu", num_networks=2):
    def network():
        sizes = [(num_features, 5), (5, 4)]
        return Network(
            centre=rng.normal(size=num_features),
            scale=rng.uniform(0.5, 2.0, num_features),
            weights=tuple(rng.normal(size=size) for size in sizes),
            biases=tuple(rng.normal(size=size[1]) for size in sizes),
            menu_weights=tuple(rng.normal(size=size) for size in sizes) if sees_menu else (),
            activation=activation,
        )

    return Neural(
        networks=tuple(network() for _ in range(num_networks)),
        feature_names=tuple("xyz"[:num_features]),
        linear=(0, 2)[: num_features - 1],
    )


def random_block(rng, num_rows=6, num_options=4, num_features=3):
    offered = rng.random((num_rows, num_options)) < 0.8
    offered[:, 0] = True
    features = np.where(
        offered[:, :, None], rng.normal(size=(num_rows, num_options, num_features)), 0.0
    )
    return Block(
        kind="choice",
        features=features,
        offered=offered,
        option=np.where(offered, np.arange(num_options), -1),
        row=np.arange(num_rows),
        group=np.arange(num_rows),
        weight=np.ones(num_rows),
        answer={"chosen": np.zeros(num_rows, dtype=np.int64)},
    )


@given(st.integers(0, 10_000), st.booleans(), st.sampled_from(ACTIVATIONS))
@settings(max_examples=40, deadline=None)
def test_the_order_in_which_options_are_shown_does_not_matter(seed, sees_menu, activation):
    rng = np.random.default_rng(seed)
    utility, block = random_utility(rng, sees_menu=sees_menu, activation=activation), None
    block = random_block(rng)
    values = rng.normal(size=(1, 2, 2 + utility.width))
    order = rng.permutation(4)
    shuffled = replace(
        block, features=block.features[:, order], offered=block.offered[:, order],
        option=block.option[:, order],
    )  # fmt: skip
    np.testing.assert_allclose(
        utility.worths(shuffled, values), utility.worths(block, values)[:, order], atol=1e-12
    )


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_an_absent_option_might_as_well_not_exist(seed, sees_menu):
    rng = np.random.default_rng(seed)
    utility, block = random_utility(rng, sees_menu=sees_menu), random_block(rng)
    values = rng.normal(size=(1, 1, 2 + utility.width))
    ghost = rng.normal(size=(6, 1, 3)) * 50
    padded = replace(
        block,
        features=np.concatenate([block.features, ghost], axis=1),
        offered=np.concatenate([block.offered, np.zeros((6, 1), dtype=bool)], axis=1),
        option=np.concatenate([block.option, np.full((6, 1), -1)], axis=1),
    )
    before, after = utility.worths(block, values), utility.worths(padded, values)[:, :4]
    np.testing.assert_allclose(after[block.offered], before[block.offered], rtol=1e-9, atol=1e-9)


def test_only_a_network_that_sees_the_menu_lets_rivals_matter():
    rng = np.random.default_rng(0)
    block = random_block(rng)
    block = replace(block, offered=np.ones_like(block.offered))
    moved = block.features.copy()
    moved[:, 1] += 1.0
    for sees_menu in (False, True):
        utility = random_utility(rng, sees_menu=sees_menu)
        values = rng.normal(size=(1, 1, 2 + utility.width))
        change = utility.worths(replace(block, features=moved), values) - utility.worths(
            block, values
        )
        assert np.all(np.abs(change[:, 1]) > 1e-9)
        assert (np.abs(change[:, 0]).max() > 1e-6) == sees_menu


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sees_menu", [False, True])
def test_torch_computes_what_numpy_computes(sees_menu, activation):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    network = random_utility(rng, sees_menu=sees_menu, activation=activation).networks[0]
    block = random_block(rng)
    as_torch = replace(
        network,
        **{name: tuple(map(torch.from_numpy, getattr(network, name)))
           for name in ("weights", "biases", "menu_weights")},
        centre=torch.from_numpy(network.centre), scale=torch.from_numpy(network.scale),
    )  # fmt: skip
    made = hidden(as_torch, torch.from_numpy(block.features), torch.from_numpy(block.offered))
    np.testing.assert_allclose(
        made.numpy(), hidden(network, block.features, block.offered), atol=1e-13
    )


def test_a_layer_by_hand():
    network = Network(
        centre=np.array([1.0]), scale=np.array([2.0]), weights=(np.array([[3.0, -1.0]]),),
        biases=(np.array([0.5, 0.0]),), menu_weights=(np.array([[1.0, 1.0]]),), activation="relu",
    )  # fmt: skip
    features = np.array([[[5.0], [1.0], [99.0]]])
    offered = np.array([[True, True, False]])
    # Standardised: 2, 0; their mean 1 is added to 2 * (3, -1) + (0.5, 0) and to (0.5, 0).
    np.testing.assert_allclose(hidden(network, features, offered)[0, :2], [[7.5, 0], [1.5, 1.0]])


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_derivatives_travel_back_to_the_tastes(seed):
    rng = np.random.default_rng(seed)
    utility, block = random_utility(rng), random_block(rng)
    num = 2 + utility.width
    score, weight = rng.normal(size=(6, 4)) * block.offered, rng.uniform(size=6)
    direction = rng.normal(size=num)
    worths = utility.worths(block, direction[None, None])[:, :, 0]
    rows = np.sum(score * worths, axis=1)
    np.testing.assert_allclose(utility.row_scores(block, score, num) @ direction, rows)
    np.testing.assert_allclose(
        utility.gradient(block, score, weight, num) @ direction, weight @ rows
    )
    bend = np.einsum("bk,bl->bkl", score, score)
    np.testing.assert_allclose(
        direction @ utility.information(block, bend, weight, num) @ direction, weight @ rows**2
    )
    cross = score[:, :, None]
    np.testing.assert_allclose(
        direction @ utility.cross_information(block, cross, weight, num), [weight @ rows]
    )


def test_a_batch_with_other_features_is_refused():
    rng = np.random.default_rng(2)
    with pytest.raises(DataError, match="trained on 3"):
        random_utility(rng).taste_names(mixed_feedback(rng))
