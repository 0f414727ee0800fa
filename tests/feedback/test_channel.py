"""Channels: one set of verbs for every kind of feedback, and errors that say what to do."""

from dataclasses import replace

import numpy as np
import pytest

from fitting.small_batches import mixed_feedback
from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError, DataError
from penchant.feedback import rating
from penchant.feedback.channel import channel_for, default_channels
from penchant.feedback.channel_choice import Choice, Nested, Probit
from penchant.feedback.channel_contract import Channel
from penchant.feedback.channel_option import Approval, Binary, Outcome, Rating
from penchant.feedback.channel_order import BestWorst, Ranking
from penchant.feedback.channel_pair import GradedPair, Pair
from penchant.feedback.scaled import Scaled
from penchant.feedback.thresholds import Ordered, Symmetric

B, K, G, A = 40, 4, 7, 6


def block(kind, rng, size=K, **answer):
    option = np.argsort(rng.random((B, A)), axis=1)[:, :size]
    offered = np.ones((B, size), dtype=bool)
    if size == K:
        offered[:, 3] = rng.random(B) < 0.7
        option[~offered] = -1
    return Block(
        kind=kind,
        features=rng.normal(size=(B, size, 3)),
        offered=offered,
        option=option,
        row=np.arange(B),
        group=np.sort(rng.integers(0, G, B)),
        weight=np.ones(B),
        answer=answer,
    )


def batch_of(*blocks):
    return Batch(
        blocks=blocks,
        feature_names=("a", "b", "c"),
        option_names=tuple("abcdef"),
        group_names=tuple("ABCDEFG"),
        group_features=np.zeros((G, 0)),
        num_rows=B,
    )


def everything():
    rng = np.random.default_rng(0)
    best = rng.integers(0, 3, B)
    value = np.where(rng.random((B, K)) < 0.3, np.nan, rng.normal(size=(B, K)))
    return batch_of(
        block("choice", rng, chosen=best),
        block("pair", rng, size=2, outcome=rng.integers(0, 3, B)),
        block("graded", rng, size=2, grade=np.arange(B) % 5),
        block("ranking", rng, rank=rng.integers(0, 4, (B, K))),
        block("best_worst", rng, best=best, worst=(best + 1) % 3),
        block("rating", rng, level=rng.integers(-1, 5, (B, K))),
        block("approval", rng, approved=rng.random((B, K)) < 0.4),
        block("binary", rng, success=rng.integers(-1, 2, (B, K))),
        block("outcome", rng, value=value),
    )


ALL = [
    *default_channels(everything()),
    Nested(nests=(0, 0, 1, 1, -1, -1), nest_names=("land", "sea")),
    Probit(),
    Probit(num_correlated=A, num_draws=8),
    Pair(ties="rao_kupper"),
    Pair(ties="rao_kupper", link="probit"),
    GradedPair(levels=5, has_position_bias=True),
    GradedPair(levels=6, link="probit"),
    Ranking(ties="davidson_luce", tie_sizes=(2, 3, 4)),
    BestWorst(model="max_diff"),
    Rating(levels=5, by_person=True),
    Rating(levels=5, link="probit"),
    Binary(link="probit"),
    Outcome(has_intercept=True),
    Outcome(has_intercept=True, by_person=True),
    Scaled(channel=Choice()),
    Scaled(channel=Pair(ties="davidson")),
    Scaled(channel=Rating(levels=5, by_person=True)),
    Scaled(channel=Outcome(has_intercept=True, by_person=True)),
]


@pytest.mark.parametrize("channel", ALL, ids=repr)
def test_every_channel_speaks_the_same_verbs_with_agreeing_shapes(channel):
    batch = everything()
    (block,) = (block for block in batch.blocks if block.kind == channel.kind)
    assert isinstance(channel, Channel)
    channel.validate(batch)
    start = channel.initial(batch)
    size = channel.num_parameters(batch)
    assert len(start) == len(channel.parameter_names(batch)) == size
    assert len(channel.prior_precision(batch)) == size
    assert np.isfinite(start).all()
    index = channel.parameter_index(block)
    utilities = block.features[..., :2]  # two kinds of people
    for parameters in (start[:, None], np.stack([start, start + 0.1], axis=1)):
        log_p = channel.log_prob(utilities, block, parameters)
        score = channel.score(utilities, block, parameters)
        curvature = channel.curvature(utilities, block, parameters)
        assert log_p.shape == (B, 2)
        assert score.utilities.shape == utilities.shape
        assert score.parameters.shape == (*index.shape, 2)
        assert curvature.cross.shape == (*utilities.shape[:2], index.shape[1], 2)
        assert curvature.parameters.shape == (*index.shape, index.shape[1], 2)
        assert np.isfinite(log_p).all()
        assert np.isfinite(curvature.utilities).all()


@pytest.mark.parametrize("channel", ALL, ids=repr)
def test_slopes_added_up_by_parameter_index_are_those_of_the_total(channel):
    batch, step = everything(), 1e-6
    (block,) = (block for block in batch.blocks if block.kind == channel.kind)
    rng = np.random.default_rng(1)
    point = channel.initial(batch) + 0.1 * rng.normal(size=channel.num_parameters(batch))
    utilities = block.features[..., 0]
    gradient = np.zeros(len(point))
    score = channel.score(utilities, block, point)
    np.add.at(gradient, channel.parameter_index(block), score.parameters)
    for m in range(len(point)):
        move = step * np.eye(len(point))[m]
        up, down = (channel.log_prob(utilities, block, point + s * move).sum() for s in (1, -1))
        np.testing.assert_allclose(gradient[m], (up - down) / (2 * step), atol=2e-6)


@pytest.mark.parametrize("channel", ALL, ids=repr)
def test_probabilities_of_all_answers_sum_to_one_or_lie_between(channel):
    batch = everything()
    (block,) = (block for block in batch.blocks if block.kind == channel.kind)
    utilities, start = block.features[..., 0], channel.initial(batch)
    plain = channel.channel if isinstance(channel, Scaled) else channel
    if isinstance(plain, Outcome):
        with pytest.raises(ConfigError, match="mean of the outcome"):
            channel.probabilities(utilities, block, start)
        return
    p = channel.probabilities(utilities, block, start)
    assert p.shape[0] == B
    assert (p >= 0).all()
    assert (p <= 1 + 1e-12).all()
    if isinstance(plain, (Rating, GradedPair)):
        np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-9)
    elif not isinstance(plain, (Approval, Binary)):
        np.testing.assert_allclose(p.reshape(B, -1).sum(axis=1), 1.0, rtol=1e-9)


@pytest.mark.parametrize(
    ("channel", "shares"),
    [
        (Pair(ties="davidson"), "outcome"),
        (Pair(ties="rao_kupper"), "outcome"),
        (Pair(ties="rao_kupper", link="probit"), "outcome"),
        (GradedPair(levels=5), "grade"),
        (GradedPair(levels=5, has_position_bias=True), "grade"),
        (Rating(levels=5), "level"),
        (Rating(levels=5, link="probit"), "level"),
    ],
    ids=repr,
)
def test_a_fit_starts_at_the_shares_of_the_answers(channel, shares):
    batch = everything()
    (block,) = (block for block in batch.blocks if block.kind == channel.kind)
    answer = block.answer[shares]
    answer = (answer[block.offered] if answer.ndim == 2 else answer).ravel()
    counts = np.bincount(answer[answer >= 0]) + 0.5
    expected = counts / counts.sum()
    start = channel.initial(batch)
    p = channel.probabilities(np.zeros(block.offered.shape), block, start)
    got = p[0, 0] if p.ndim == 3 else p[0]
    if isinstance(channel, Pair):
        np.testing.assert_allclose(got[2], expected[2], rtol=1e-9)
    elif isinstance(channel, GradedPair) and not channel.has_position_bias:
        np.testing.assert_allclose(got, (expected + expected[::-1]) / 2, rtol=1e-9)
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_a_persons_thresholds_are_carried_to_another_batch_by_name():
    channel, batch = Rating(levels=3, by_person=True), everything()
    parameters = np.arange(2.0 + 2 * G)
    other = Batch(
        blocks=(),
        feature_names=(),
        option_names=(),
        group_names=("C", "stranger"),
        group_features=np.zeros((2, 0)),
        num_rows=0,
    )
    carried = channel.transfer(parameters, batch.group_names, other)
    np.testing.assert_array_equal(carried, [0, 1, 6, 7, 0, 0])
    wide = channel.transfer(np.stack([parameters] * 2, axis=1), batch.group_names, other)
    np.testing.assert_array_equal(wide[:, 1], carried)


def test_only_persons_own_thresholds_are_held_together():
    precision = Rating(levels=3, by_person=True, shift_scale=2.0, stretch_scale=0.5)
    np.testing.assert_array_equal(precision.prior_precision(everything()), [0, 0] + [0.25, 4.0] * G)


def test_the_own_parameters_of_a_person_serve_that_persons_rows_only():
    channel, batch = Rating(levels=5, by_person=True), everything()
    (block,) = (block for block in batch.blocks if block.kind == "rating")
    parameters = channel.initial(batch)
    utilities = block.features[..., 0]
    before = channel.log_prob(utilities, block, parameters)
    parameters[4 + 2 * 3] = 0.7
    changed = channel.log_prob(utilities, block, parameters) != before
    rated = ((block.answer["level"] >= 0) & block.offered).any(axis=1)
    np.testing.assert_array_equal(changed, (block.group == 3) & rated)
    own = np.concatenate([parameters[:4], [0.7, 0.0]])[None]
    common = rating.log_prob(
        utilities - 0.7, block.offered, block.answer["level"], own[:, :4], thresholds=Ordered(5)
    )
    np.testing.assert_allclose(
        channel.log_prob(utilities, block, parameters)[block.group == 3],
        common[block.group == 3],
    )


def test_an_absent_option_of_a_nest_and_padding_are_no_matter():
    batch = everything()
    choice_block = batch.blocks[0]
    channel = Nested(nests=(0, 0, 0, 0, 0, 0))
    p = channel.probabilities(choice_block.features[..., 0], choice_block, np.zeros(1))
    np.testing.assert_allclose(
        p, Choice().probabilities(choice_block.features[..., 0], choice_block, np.zeros(0))
    )


def test_rankings_with_large_ties_choose_davidson_luce():
    rng = np.random.default_rng(0)
    size = 10
    rank = np.tile([1] * 9 + [2], (B, 1))
    wide = Block(
        kind="ranking",
        features=rng.normal(size=(B, size, 1)),
        offered=np.ones((B, size), dtype=bool),
        option=np.tile(np.arange(size), (B, 1)),
        row=np.arange(B),
        group=np.zeros(B, dtype=int),
        weight=np.ones(B),
        answer={"rank": rank},
    )
    batch = batch_of(wide)
    assert Ranking.fitting(batch) == Ranking(ties="davidson_luce", tie_sizes=(9,))
    with pytest.raises(DataError, match="davidson_luce"):
        Ranking().validate(batch)
    Ranking().validate(batch_of(wide.take(np.arange(0))))
    last = batch_of(Block(**{**vars(wide), "answer": {"rank": rank[:, ::-1] % 2 + 1}}))
    assert Ranking.fitting(last) == Ranking()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Nested(nests=(0, 2, 2, 0)), "Renumber"),
        (lambda: Nested(nests=(-1, -1)), "Renumber"),
        (lambda: Nested(nests=(0, 0, 1, -1)), "stands alone"),
        (lambda: Nested(nests=(0, 0), nest_names=("a", "b")), "one name for each"),
        (lambda: Pair(ties="davidson", link="probit"), "rao_kupper"),
        (lambda: Rating(levels=1), "at least 2"),
        (lambda: GradedPair(levels=0), "at least 2"),
        (lambda: Ranking(tie_sizes=(2,)), "Leave them out"),
        (lambda: Ranking(ties="davidson_luce", tie_sizes=(3, 2)), "Sort them"),
        (lambda: Probit(num_correlated=7), "2 to 6"),
        (lambda: Probit(num_draws=0), "1 or more"),
    ],
)
def test_a_channel_that_makes_no_sense_is_refused(make, says):
    with pytest.raises(ConfigError, match=says):
        make()


@pytest.mark.parametrize(
    ("channel", "says"),
    [
        (Pair(), "Pair\\(ties='davidson'\\)"),
        (Rating(levels=3), "Set `levels` to 5"),
        (GradedPair(levels=3), "Set `levels` to 5"),
        (Nested(nests=(0, 0)), "Complete `nests`"),
        (Probit(num_correlated=3), "Set `num_correlated`"),
        (Ranking(ties="davidson_luce", tie_sizes=(2,)), "tie_sizes=\\(2, 3"),
    ],
    ids=repr,
)
def test_answers_that_a_channel_cannot_give_are_refused(channel, says):
    with pytest.raises(DataError, match=says):
        channel.validate(everything())


def test_a_scale_needs_another_kind_of_feedback_beside_it():
    batch = everything()
    with pytest.raises(DataError, match="another kind"):
        Scaled(channel=Choice()).validate(batch_of(batch.blocks[0]))
    with pytest.raises(ConfigError, match="spread=0; expected a positive standard deviation"):
        Scaled(channel=Choice(), spread=0)


@pytest.mark.parametrize(
    "channel",
    [Choice(), Pair(ties="davidson"), Rating(levels=5), Rating(levels=5, by_person=True)],
    ids=repr,
)
def test_a_scale_multiplies_utilities_and_its_slopes_and_bends_are_right(channel):
    batch, step = everything(), 1e-6
    (block,) = (block for block in batch.blocks if block.kind == channel.kind)
    scaled, utilities = Scaled(channel=channel), block.features[..., 0]
    point = scaled.initial(batch) + 0.3
    np.testing.assert_allclose(
        scaled.log_prob(utilities, block, point),
        channel.log_prob(np.exp(0.3) * utilities, block, point[1:]),
    )

    def slopes(utilities, point):
        score = scaled.score(utilities, block, point)
        return score.utilities.copy(), score.parameters.copy()

    bend = scaled.curvature(utilities, block, point)
    up, down = (slopes(utilities, point + s * step * (np.arange(len(point)) == 0)) for s in (1, -1))
    np.testing.assert_allclose(bend.cross[:, :, 0], -(up[0] - down[0]) / (2 * step), atol=1e-7)
    np.testing.assert_allclose(bend.parameters[:, :, 0], -(up[1] - down[1]) / (2 * step), atol=1e-7)
    for k in range(utilities.shape[1]):
        move = step * (np.arange(utilities.shape[1]) == k)
        up, down = (slopes(utilities + s * move, point) for s in (1, -1))
        np.testing.assert_allclose(
            bend.utilities[:, :, k], -(up[0] - down[0]) / (2 * step), atol=1e-7
        )
        np.testing.assert_allclose(bend.cross[:, k], -(up[1] - down[1]) / (2 * step), atol=1e-7)


def test_best_and_worst_must_differ():
    batch = everything()
    blocks = [block for block in batch.blocks if block.kind == "best_worst"]
    blocks[0].answer["worst"][3] = blocks[0].answer["best"][3]
    with pytest.raises(DataError, match="1 observations"):
        BestWorst().validate(batch_of(*blocks))


def test_a_block_is_served_by_exactly_one_channel():
    batch = everything()
    channels = default_channels(batch)
    assert channel_for(channels, batch.blocks[1]) == Pair(ties="davidson")
    with pytest.raises(ConfigError, match="expected exactly one"):
        channel_for((*channels, Probit()), batch.blocks[0])
    with pytest.raises(ConfigError, match="0 channels"):
        channel_for((Outcome(),), batch.blocks[0])


def test_thresholds_increase_whatever_their_parameters():
    rng = np.random.default_rng(3)
    for thresholds in (Ordered(7), Symmetric(6), Symmetric(7)):
        tau = thresholds.values(rng.normal(size=(9, thresholds.num_parameters)))
        assert (np.diff(tau, axis=1) > 0).all()
    np.testing.assert_allclose(tau, -tau[:, ::-1])


def test_steps_of_grades_are_called_by_what_they_lie_between():
    batch = mixed_feedback(np.random.default_rng(0))
    words = ("B>>A", "B>A", "tie", "A>B", "A>>B")
    for levels, names in (
        (5, ("log threshold step tie|A>B", "log threshold step A>B|A>>B")),
        (4, ("log threshold step A>B|A>>B",)),
    ):
        labels = words if levels == 5 else (*words[:2], *words[3:])
        assert GradedPair(levels=levels, labels=labels).parameter_names(batch) == names
    assert GradedPair(levels=4).parameter_names(batch) == ("log threshold step 2|3",)
    with pytest.raises(ConfigError, match="3 labels"):
        GradedPair(levels=4, labels=words[:3])


def test_a_top_grade_that_nobody_gave_leaves_the_middle_where_it_was():
    batch = mixed_feedback(np.random.default_rng(0))
    pair = batch.blocks[1]
    graded = replace(pair, kind="graded", answer={"grade": pair.answer["outcome"] + 1})
    assert graded.answer["grade"].max() == 3
    scale = ("B>>A", "B>A", "tie", "A>B", "A>>B")
    told = replace(batch, blocks=(graded,), scale=scale)
    assert default_channels(told) == (GradedPair(levels=5, labels=scale),)
    assert default_channels(replace(told, scale=())) == (GradedPair(levels=4),)


@pytest.mark.parametrize("scales", [{"stretch_scale": 0.0}, {"shift_scale": -1.0}])
@pytest.mark.parametrize("channel", [Rating, Outcome])
def test_scales_of_people_that_are_no_standard_deviations_are_refused(channel, scales):
    wanted = {"levels": 3} if channel is Rating else {"has_intercept": True}
    with pytest.raises(ConfigError, match="expected positive standard deviations"):
        channel(**wanted, by_person=True, **scales)
