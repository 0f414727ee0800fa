"""What the page of a reward model claims holds of what was judged."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.evaluation import reward_examples
from penchant.evaluation import reward_page as page
from penchant.evaluation.reward_examples import disagreement, examples
from penchant.evaluation.reward_form import ShownTexts
from penchant.evaluation.reward_trial import RewardTrial
from penchant.metrics.calibration import clustered_share
from penchant.metrics.intervals import Z95, clustered_mean


def trial_of(first_wins, outcome, person=None, *, reach=0.1):
    p = np.asarray(first_wins, dtype=float)
    gap = np.log(np.clip(p, 1e-9, 1)) - np.log1p(-np.clip(p, 0, 1 - 1e-9))
    reach = np.broadcast_to(reach, p.shape)
    size = len(p)
    return RewardTrial(
        row=np.arange(size),
        person=np.arange(size) if person is None else np.asarray(person),
        outcome=np.asarray(outcome),
        probabilities=np.column_stack([p, 1 - p]),
        gap=gap,
        low=gap - reach,
        high=gap + reach,
        own_variance=np.zeros(size),
        ignorance=np.full(size, 0.1),
        is_unfamiliar=np.zeros(size, dtype=bool),
    )


def texts_of(pairs, words=8):
    pairs = np.asarray(pairs)
    return ShownTexts(
        words=tuple(f"t{i}" for i in range(words)),
        of_option=pairs.ravel(),
        offsets=2 * np.arange(len(pairs) + 1),
        size=np.ones(words),
        prompt=np.zeros(len(pairs)),
    )


@pytest.mark.parametrize("wins", [0, 1, 19, 20])
def test_a_share_and_its_interval_stay_between_none_and_all(wins):
    hits, person = (np.arange(20) < wins).astype(float), np.arange(20)
    found = clustered_share(hits, person)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.high - found.low > 0.05


def test_a_share_of_many_people_has_the_interval_of_its_mean():
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(400), 5)
    hits = (rng.random(2000) < np.repeat(rng.beta(6, 3, 400), 5)).astype(float)
    one, other = clustered_share(hits, person), clustered_mean(hits, person)
    assert one.low == pytest.approx(other.low, abs=0.002)
    assert one.high == pytest.approx(other.high, abs=0.002)


def test_people_disagree_where_their_votes_do_and_not_where_the_model_is_torn(monkeypatch):
    monkeypatch.setattr(reward_examples, "_ENOUGH_PAIRS", 2)
    # Texts 0 and 1: six votes, split, the model is sure. Texts 2 and 3: six alike, it is torn.
    pairs = [(0, 1), (1, 0)] * 3 + [(2, 3)] * 6
    outcome = [0, 0, 1, 1, 0, 0] + [0] * 6
    said = [0.95, 0.05] * 3 + [0.5] * 6
    trial, texts = trial_of(said, outcome), texts_of(pairs)
    worth, has_votes = disagreement(trial, texts)
    assert has_votes
    assert (worth[:6] > 0.2).all()
    np.testing.assert_allclose(worth[6:], 0.0)
    few = trial.take(np.array([0, 6]))
    _, has_votes = disagreement(few, texts)
    assert not has_votes


def test_odds_that_rest_on_little_are_not_the_surest():
    size = 40
    said = np.r_[np.full(size, 0.9), np.full(size, 0.85)]
    # The bolder half is wrong half of the time and knows little.
    outcome = np.r_[np.arange(size) % 2, np.zeros(size, dtype=int)]
    trial = trial_of(said, outcome, reach=np.r_[np.full(size, 12.0), np.full(size, 0.1)])
    of_40 = page._selective(trial)[3]
    assert of_40.value == 100.0
    assert of_40.high <= 100.0


def test_what_new_texts_are_worth_of_their_own_is_counted_in_once():
    """The probabilities have it in; only the rest of the doubt draws them in further."""
    told = trial_of([0.9, 0.6], [0, 1], reach=Z95 * np.sqrt(3.0))
    whole = replace(told, own_variance=np.full(2, 3.0))
    inside = np.log(told.first_wins) - np.log1p(-told.first_wins)
    np.testing.assert_allclose(whole.averaged_odds, inside)
    np.testing.assert_allclose(told.averaged_odds, inside / np.sqrt(1.0 + 3.0 * np.pi / 8.0))
    # A gap of 4 with a variance of 2 of the texts' own and 1 of the head.
    p = 1 / (1 + np.exp(-4.0 / np.sqrt(1.0 + 2.0 * np.pi / 8.0)))
    some = replace(trial_of([p], [0], reach=Z95 * np.sqrt(3.0)), own_variance=np.full(1, 2.0))
    np.testing.assert_allclose(some.averaged_odds, 4.0 / np.sqrt(1.0 + 3.0 * np.pi / 8.0))


def test_noise_is_not_told_as_a_gain():
    rng = np.random.default_rng(1)
    said = rng.uniform(0.3, 0.7, 60)
    outcome = (rng.random(60) > said).astype(int)
    stranger = trial_of(said, outcome)
    noise = np.clip(said + 0.02 * rng.standard_normal(60), 0.01, 0.99)
    words = page._few_shot_words([(0, stranger), (4, trial_of(noise, outcome))])
    assert "told from chance" in words
    better = np.where(outcome == 0, said + 0.2, said - 0.2)
    words = page._few_shot_words([(0, stranger), (4, trial_of(better, outcome))])
    assert "raise the chance" in words


def test_examples_of_certain_pairs_have_finite_ends():
    trial = trial_of([0.0, 1.0], [1, 0])
    trial = replace(trial, low=trial.gap - 2000.0, high=trial.gap + 2000.0)
    for example in examples(trial, texts_of([(0, 1), (2, 3)]), np.ones(2)):
        assert 0 <= example.low <= example.said <= example.high <= 1


def test_pairs_whose_texts_others_judged_are_counted_as_met():
    texts = texts_of([(0, 1), (1, 0), (2, 3), (4, 5)])
    trial = trial_of([0.5] * 4, [0] * 4, [0, 1, 2, 2])
    assert page._met(trial, texts) == pytest.approx(0.5)
