"""The invariances that a policy-gradient loss has by its making, and those that it has not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.policies.language.aggregation import aggregate, token_scale
from penchant.policies.language.loss import (
    Surrogate,
    divergence_loss,
    likelihood_loss,
    policy_gradient_loss,
    to_tokens,
)
from penchant.policies.language.ratio import (
    BEHAVIOUR,
    ITSELF,
    OLD,
    clipped,
    denominator,
    importance_weight,
    is_clipped,
    log_ratio,
    truncated,
    unit_mean,
)

torch = pytest.importorskip("torch")

SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=15, deadline=None)
MEANS = ("token", "row", "constant", "unit", "group")


def batch(seed, num_rows=6, num_tokens=7):
    """Log-probabilities, what drew the tokens, credit, and units (two a row at most)."""
    rng = np.random.default_rng(seed)
    logp = torch.tensor(-rng.exponential(size=(num_rows, num_tokens)))
    against = logp + torch.tensor(0.3 * rng.normal(size=logp.shape))
    first = rng.integers(1, num_tokens, num_rows)[:, None]
    last = rng.integers(1, num_tokens + 1, num_rows)[:, None]
    place = np.arange(num_tokens)
    unit_of = np.where(place < first, 2 * np.arange(num_rows)[:, None], 0)
    unit_of = np.where(place >= first, 2 * np.arange(num_rows)[:, None] + 1, unit_of)
    unit_of = np.where((place > 0) & (place <= last), unit_of, -1)
    credit = to_tokens(rng.normal(size=2 * num_rows), unit_of)
    return logp.requires_grad_(), against, credit, unit_of


def value_and_gradient(loss, logp):
    return loss.item(), torch.autograd.grad(loss, logp)[0].numpy()


@FEW
@given(SEEDS, st.sampled_from(MEANS), st.sampled_from(["token", "unit"]))
def test_eight_micro_batches_of_one_are_one_of_eight(seed, mean, level):
    logp, against, credit, unit_of = batch(seed, num_rows=8)
    scale = token_scale(unit_of, mean, length=10, group_of=np.arange(8) // 2)
    config = Surrogate(level=level)
    whole = value_and_gradient(
        policy_gradient_loss(logp, against, credit, unit_of, scale, config), logp
    )
    parts = sum(
        policy_gradient_loss(
            logp[r : r + 1], against[r : r + 1], credit[r : r + 1], unit_of[r : r + 1],
            scale[r : r + 1], config,
        )
        for r in range(8)
    )  # fmt: skip
    split = value_and_gradient(parts, logp)
    assert split[0] == pytest.approx(whole[0], rel=1e-12, abs=1e-14)
    np.testing.assert_allclose(split[1], whole[1], rtol=1e-12, atol=1e-15)


@FEW
@given(
    SEEDS,
    st.sampled_from(MEANS),
    st.sampled_from(["token", "unit"]),
    st.sampled_from(["clipped", "plain", "truncated"]),
)
def test_padding_changes_nothing_and_has_no_gradient_be_it_not_a_number(seed, mean, level, form):
    logp, against, credit, unit_of = batch(seed)
    config = Surrogate(level=level, form=form)
    how = {"length": 10, "group_of": np.array([0, 0, 1, 1, 1, 2])}
    plain = value_and_gradient(
        policy_gradient_loss(
            logp, against, credit, unit_of, token_scale(unit_of, mean, **how), config
        ),
        logp,
    )
    nothing = torch.full((6, 3), torch.nan, dtype=torch.float64)
    wide = np.pad(unit_of, ((0, 0), (0, 3)), constant_values=-1)
    longer = torch.cat([logp.detach(), nothing], dim=1).requires_grad_()
    padded = value_and_gradient(
        policy_gradient_loss(
            longer, torch.cat([against.detach(), nothing], dim=1),
            np.pad(credit, ((0, 0), (0, 3)), constant_values=np.nan), wide,
            token_scale(wide, mean, **how), config,
        ),
        longer,
    )  # fmt: skip
    assert padded[0] == pytest.approx(plain[0], rel=1e-12)
    np.testing.assert_allclose(padded[1][:, :-3], plain[1], rtol=1e-12, atol=1e-15)
    assert np.all(padded[1][wide < 0] == 0.0)


@FEW
@given(
    SEEDS, st.sampled_from(["clipped", "plain", "truncated"]), st.sampled_from(["token", "unit"])
)
def test_where_the_policy_drew_its_tokens_itself_the_gradient_is_the_score_functions(
    seed, form, level
):
    logp, _, credit, unit_of = batch(seed)
    scale = token_scale(unit_of, "constant", length=7)
    config = Surrogate(form=form, level=level)
    loss = policy_gradient_loss(logp, logp.detach(), credit, unit_of, scale, config)
    found = torch.autograd.grad(loss, logp)[0].numpy()
    np.testing.assert_allclose(found, -scale * credit, atol=1e-14)
    assert not is_clipped(torch.ones_like(logp), torch.tensor(credit)).any()


def test_a_rollout_cut_in_two_rows_at_a_prefix_is_the_same_under_the_token_mean_only():
    logp, against, credit, unit_of = batch(3, num_rows=2)
    unit_of[:] = np.array([[-1, 0, 0, 0, 0, 0, -1], [-1, 1, 1, 1, -1, -1, -1]])
    credit = np.where(unit_of == 0, 0.7, -0.2)
    # The second row of the cut rollout holds its prefix again, which is not trained there.
    cut = np.array([[-1, 0, 0, -1, -1, -1, -1], [-1, -1, -1, 0, 0, 0, -1], unit_of[1]])
    again = [0, 0, 1]

    def gradient(mean, rows, units):
        loss = policy_gradient_loss(
            logp[rows], against[rows], credit[rows], units,
            token_scale(units, mean, length=7), Surrogate(),
        )  # fmt: skip
        return torch.autograd.grad(loss, logp)[0].numpy()

    np.testing.assert_allclose(
        gradient("token", again, cut), gradient("token", [0, 1], unit_of), atol=1e-14
    )
    assert not np.allclose(gradient("row", again, cut), gradient("row", [0, 1], unit_of))


def test_scales_are_what_the_words_say():
    unit_of = np.array([[0, 0, 1, -1], [2, -1, -1, -1], [-1, -1, -1, -1]])
    there = unit_of >= 0

    def scale(mean, **how):
        found = token_scale(unit_of, mean, **how)
        assert np.all(found[~there] == 0.0)
        return found[there]

    np.testing.assert_allclose(scale("token"), 1 / 4)
    np.testing.assert_allclose(scale("row"), [1 / 9, 1 / 9, 1 / 9, 1 / 3])
    np.testing.assert_allclose(scale("constant", length=10), 1 / 30)
    np.testing.assert_allclose(scale("unit"), [1 / 12, 1 / 12, 1 / 6, 1 / 3])
    group = np.array([5, 9, 9])
    np.testing.assert_allclose(scale("group", group_of=group), [1 / 6, 1 / 6, 1 / 6, 1 / 2])


@pytest.mark.parametrize("mean", ["constant", "group"])
def test_a_mean_that_lacks_what_it_needs_is_refused(mean):
    with pytest.raises(ConfigError, match="expected"):
        token_scale(np.zeros((1, 1), dtype=int), mean)


def test_what_does_not_count_may_be_not_a_number():
    loss = np.array([[1.0, np.nan], [3.0, np.inf]])
    assert aggregate(loss, np.array([[0.5, 0.0], [0.25, 0.0]])) == 1.25


@FEW
@given(SEEDS)
def test_a_units_ratio_is_the_geometric_mean_of_its_tokens_in_torch_and_numpy(seed):
    logp, against, _, unit_of = batch(seed)
    found = log_ratio(logp.detach(), against.detach(), torch.tensor(unit_of), "unit").numpy()
    same = log_ratio(logp.detach().numpy(), against.detach().numpy(), unit_of, "unit")
    np.testing.assert_allclose(same, found, atol=1e-14)
    apart = (logp - against).detach().numpy()
    for b, t in np.ndindex(unit_of.shape):
        mine = unit_of[b] == unit_of[b, t]
        wanted = apart[b][mine].mean() if unit_of[b, t] >= 0 else 0.0
        assert found[b, t] == pytest.approx(wanted)


def test_units_that_lie_in_two_rows_have_a_mean_in_each():
    values = np.array([[1.0, 3.0], [5.0, 7.0]])
    np.testing.assert_allclose(
        unit_mean(values, np.zeros((2, 2), dtype=int)), [[2.0, 2.0], [6.0, 6.0]]
    )


def test_every_row_names_its_denominator():
    logp = torch.full((3, 1), -1.0, requires_grad=True)
    drawn, old = torch.full((3, 1), -2.0), torch.full((3, 1), -3.0)
    kind = torch.tensor([BEHAVIOUR, OLD, ITSELF])
    assert denominator(logp, kind, drawn, old).flatten().tolist() == [-2.0, -3.0, -1.0]
    assert denominator(logp, kind, drawn).flatten().tolist() == [-2.0, -1.0, -1.0]
    assert not denominator(logp, kind, drawn, old).requires_grad


def test_clipping_stops_a_ratio_only_in_the_direction_it_is_pushed():
    ratio = torch.tensor([[0.5, 0.5, 1.0, 1.5, 1.5]], dtype=torch.float64, requires_grad=True)
    credit = torch.tensor([[1.0, -1.0, 1.0, 1.0, -1.0]], dtype=torch.float64)
    gain = clipped(ratio, credit, 0.2, 0.28)
    np.testing.assert_allclose(gain.detach().numpy(), [[0.5, -0.8, 1.0, 1.28, -1.5]])
    slope = torch.autograd.grad(gain.sum(), ratio)[0].numpy()
    np.testing.assert_allclose(slope, [[1.0, 0.0, 1.0, 0.0, -1.0]])
    stopped = is_clipped(ratio, credit, 0.2, 0.28).numpy()
    np.testing.assert_array_equal(stopped, slope == 0.0)
    # A second floor, for ratios far above one whose advantage is negative.
    far = torch.tensor([[10.0]], dtype=torch.float64)
    assert clipped(far, -torch.ones_like(far), worst=3.0).item() == -3.0


def test_a_truncated_ratio_keeps_every_tokens_gradient():
    logp = torch.tensor([[-0.5, -0.5]], dtype=torch.float64, requires_grad=True)
    ratio = torch.tensor([[0.5, 4.0]], dtype=torch.float64)
    gain = truncated(logp, ratio, torch.ones_like(ratio), 0.28)
    slope = torch.autograd.grad(gain.sum(), logp)[0].numpy()
    np.testing.assert_allclose(slope, [[0.5, 1.28]])


def test_a_samplers_numbers_are_corrected_up_to_a_bound():
    start, drawn = np.log([[0.5, 0.3, 0.9]]), np.array([[np.log(0.4), np.log(0.01), -np.inf]])
    np.testing.assert_allclose(importance_weight(start, drawn), [[1.25, 2.0, 2.0]])


def test_bounds_that_mean_nothing_are_refused():
    with pytest.raises(ConfigError, match="1 - low"):
        Surrogate(low=1.2)


def test_imitation_and_anchors_weigh_what_they_are_told():
    logp = torch.tensor([[-1.0, -2.0]], dtype=torch.float64, requires_grad=True)
    scale, weight = np.array([[0.5, 0.5]]), np.array([[1.0, 0.2]])
    assert likelihood_loss(logp, scale).item() == pytest.approx(1.5)
    assert likelihood_loss(logp, scale, weight).item() == pytest.approx(0.7)
    other = logp.detach() - 0.5
    assert divergence_loss(logp, other, scale, "k1", weight).item() == pytest.approx(0.3)
    assert divergence_loss(logp, other, scale, "k2").item() == pytest.approx(0.125)


def test_the_squared_anchor_is_of_whole_responses():
    logp, against, _, unit_of = batch(5)
    row_of = np.where(unit_of >= 0, np.arange(6)[:, None], -1)
    credit, there = np.array([0.5, -1.0, 0.2, 0.0, 0.7, -0.3]), row_of >= 0
    scale = token_scale(row_of, "constant", length=1)
    pulled = Surrogate(form="squared", pull=0.3)
    loss = policy_gradient_loss(
        logp, against.detach(), np.where(there, credit[:, None], 0.0), row_of, scale, pulled
    )
    told, began = logp.detach().numpy(), against.detach().numpy()
    total, apart = (np.where(there, v, 0.0).sum(axis=1) for v in (told, told - began))
    assert loss.item() == pytest.approx(-np.mean(credit * total - 0.15 * apart**2))
    slope = torch.autograd.grad(loss, logp)[0].numpy()
    push = -(credit - 0.3 * apart) / 6
    np.testing.assert_allclose(slope, np.where(there, push[:, None], 0.0), atol=1e-15)


def test_where_a_batch_begins_the_squared_anchor_is_the_plain_gradient():
    logp, _, advantage, unit_of = batch(6)
    scale = token_scale(unit_of, "token")
    plain, squared = (
        torch.autograd.grad(
            policy_gradient_loss(logp, logp.detach(), advantage, unit_of, scale, how), logp
        )[0].numpy()
        for how in (Surrogate(form="plain"), Surrogate(form="squared", pull=5.0))
    )
    np.testing.assert_allclose(squared, plain, atol=1e-15)


@pytest.mark.parametrize("bad", [{"form": "plain", "pull": 1.0}, {"form": "squared", "pull": -1.0}])
def test_a_pull_that_would_not_be_heard_or_drives_away_is_refused(bad):
    with pytest.raises(ConfigError, match="pull="):
        Surrogate(**bad)


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_what_a_divergence_does_not_count_has_no_gradient_be_it_not_a_number(estimator):
    logp = torch.tensor([[-1.0, -2000.0, -torch.inf, torch.nan]], dtype=torch.float64)
    logp.requires_grad_()
    other, scale = torch.zeros_like(logp), np.array([[0.5, 0.0, 0.0, 0.0]])
    loss = divergence_loss(logp, other, scale, estimator)
    alone = divergence_loss(logp[:, :1], other[:, :1], scale[:, :1], estimator)
    assert loss.item() == alone.item()
    slope = torch.autograd.grad(loss, logp)[0]
    assert slope[0, 1:].tolist() == [0.0, 0.0, 0.0]
    assert slope[0, 0].abs() > 0.4


def test_ratios_beyond_the_second_floor_count_as_stopped_and_have_no_gradient():
    ratio = torch.tensor([[0.5, 1.0, 2.0, 4.0, 4.0]], dtype=torch.float64, requires_grad=True)
    credit = torch.tensor([[-1.0, -1.0, -1.0, -1.0, 1.0]], dtype=torch.float64)
    slope = torch.autograd.grad(clipped(ratio, credit, worst=3.0).sum(), ratio)[0]
    stopped = is_clipped(ratio, credit, worst=3.0)
    assert stopped.tolist() == [[True, False, False, True, True]]
    np.testing.assert_array_equal(stopped.numpy(), (slope == 0.0).numpy())


@pytest.mark.parametrize(("form", "worst"), [("plain", 3.0), ("truncated", 3.0), ("clipped", 1.0)])
def test_a_second_floor_that_would_not_be_heard_is_refused(form, worst):
    with pytest.raises(ConfigError, match="None"):
        Surrogate(form=form, worst=worst)
