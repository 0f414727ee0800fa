"""What stands beside pairs: kept answers, the same worth in another context, rewards of tokens, and
tokens that a tool said."""

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.fitting.sgd import TrainConfig
from penchant.lm.log_probs import log_probs
from penchant.lm.tokens import padded
from penchant.policies.language.direct import DirectConfig, _Mixture, fit_direct, reference_of
from penchant.policies.language.own_pairs import judged_answers, own_pairs
from penchant.policies.language.pair_terms import (
    Beside,
    TokenRewards,
    contrastive_token_rewards,
    term_reference,
    token_reward,
)
from penchant.policies.language.pairs import Pairs
from penchant.policies.language.rollouts import demonstration_ids
from penchant.policies.language.unpaired import Judged

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch


def rows_of(*said):
    rows = [demonstration_ids(tiny().tokenizer, *one) for one in said]
    return [row for row, _ in rows], np.array([place for _, place in rows])


def two_pairs(wins=(1.0, 0.0)):
    first, place = rows_of(("?", "ab"), ("?", "c"))
    second, _ = rows_of(("?", "de"), ("?", "fgh"))
    return Pairs(first=first, second=second, place=place, first_wins=np.array(wins),
                 person=np.arange(2))  # fmt: skip


def moved(model):
    return model.with_parameters({n: 1.05 * v for n, v in model.parameters.items()})


def told(pairs, terms=(), strength=0.5, anchor=0.0):
    base = tiny()
    objective = _Mixture(
        model=base, pairs=pairs, config=DirectConfig(strength=strength, anchor=anchor),
        features=np.zeros((2, 0)), reference=reference_of(base, pairs), terms=terms,
        term_references=[term_reference(base, term, len(pairs)) for term in terms],
    )  # fmt: skip
    blank = torch.zeros((0, 1), dtype=torch.float64)
    return objective.log_prob({**moved(base).parameters, "router": blank}, np.arange(2)).item()


def of_answer(model, row, place):
    """log pi of each token of the answer, the slow way."""
    return log_probs(model, padded([row], 0)).log_prob[0, place - 1 :]


def test_kept_answers_take_their_mean_log_probability_off():
    rows, place = rows_of(("other?", "yes"), ("more", "no, no"))
    term = Beside(rows=rows, place=place, weight=0.2)
    policy = moved(tiny())
    wanted = sum(0.2 * of_answer(policy, row, at).mean().item() for row, at in zip(rows, place))
    assert told(two_pairs(), (term,)) - told(two_pairs()) == pytest.approx(wanted, rel=1e-9)


def test_the_same_answer_is_asked_to_be_worth_the_same_after_a_longer_context():
    pairs = two_pairs((1.0, 1.0))
    rows, place = rows_of(("xx yy zz ?", "ab"), ("qq ?", "c"))
    term = Beside(rows=rows, place=place, weight=3.0, form="same_worth")
    policy, base = moved(tiny()), tiny()
    wanted = 0.0
    for b in range(2):
        short = of_answer(policy, pairs.first[b], pairs.place[b]).sum()
        short -= of_answer(base, pairs.first[b], pairs.place[b]).sum()
        long = of_answer(policy, rows[b], place[b]).sum() - of_answer(base, rows[b], place[b]).sum()
        wanted -= 3.0 * 0.5 * abs(short - long).item()
    assert told(pairs, (term,)) - told(pairs) == pytest.approx(wanted, rel=1e-9)
    assert abs(wanted) > 0.01


@pytest.mark.parametrize("wins", [(1.0, 1.0), (1.0, 0.0)])
def test_rewards_of_tokens_are_weighed_by_how_wrong_the_order_is(wins):
    pairs = two_pairs(wins)
    reward = torch.randn((2, 2, 8), generator=torch.Generator().manual_seed(0),
                         dtype=torch.float64)  # fmt: skip
    term = TokenRewards(reward=reward, weight=0.25)
    policy, base, wanted = moved(tiny()), tiny(), 0.0
    for b in range(2):
        said, worth = [], []
        for side, row in enumerate((pairs.first[b], pairs.second[b])):
            place = pairs.place[b]
            own = of_answer(policy, row, place)
            worth.append(0.5 * (own.sum() - of_answer(base, row, place).sum()).item())
            said.append((reward[b, side, place - 1 : place - 1 + len(own)] * own).sum().item())
        better = 0 if wins[b] == 1.0 else 1
        weight = 1.0 / (1.0 + np.exp(worth[better] - worth[1 - better]))
        wanted += 0.25 * weight * 0.5 * sum(said)
    assert told(pairs, (term,)) - told(pairs) == pytest.approx(wanted, rel=1e-9)


def test_rewards_of_tokens_come_from_two_prompts_of_the_model_itself():
    model, pairs = tiny(), two_pairs()
    found = contrastive_token_rewards(model, pairs.first, pairs.second, [60, 61], [62])
    row, place = pairs.second[1], pairs.place[1]
    good = of_answer(model, [*row[:1], 60, 61, *row[1:]], place + 2)
    bad = of_answer(model, [*row[:1], 62, *row[1:]], place + 1)
    wanted = 1.0 / (1.0 + torch.exp(bad - good)) - 0.5
    torch.testing.assert_close(found[1, 1, place - 1 : len(row) - 1], wanted)
    torch.testing.assert_close(token_reward(good, bad), wanted)
    same = contrastive_token_rewards(model, pairs.first, pairs.second, [60], [60])
    assert same.abs().max() < 1e-12


def test_what_a_tool_said_is_not_scored():
    pairs = two_pairs()
    # The second token of each first answer is a tool's.
    own = [[True] * len(row) for row in pairs.first]
    for row in own:
        row[2] = False
    masked = Pairs(first=pairs.first, second=pairs.second, place=pairs.place,
                   first_wins=pairs.first_wins, person=pairs.person, first_own=own)  # fmt: skip
    policy, base, wanted = moved(tiny()), tiny(), 0.0
    for b, sign in ((0, 1.0), (1, -1.0)):
        worth = []
        for row, mine in ((pairs.first[b], own[b]), (pairs.second[b], None)):
            place = pairs.place[b]
            apart = of_answer(policy, row, place) - of_answer(base, row, place)
            keep = torch.ones(len(apart)) if mine is None else torch.tensor(mine[place:])
            worth.append(0.5 * (apart * keep).sum().item())
        wanted -= np.log1p(np.exp(-sign * (worth[0] - worth[1])))
    assert told(masked) == pytest.approx(wanted, rel=1e-9)
    assert told(masked) != pytest.approx(told(pairs), rel=1e-4)
    # Nor is a tool's token held by an anchor: the mean is over what the policy wrote. The better
    # answer of the second pair is its second.
    better = of_answer(policy, pairs.first[0], pairs.place[0])
    kept = better[torch.tensor(own[0][pairs.place[0] :])].mean().item()
    kept += of_answer(policy, pairs.second[1], pairs.place[1]).mean().item()
    assert told(masked, anchor=0.4) - told(masked) == pytest.approx(0.4 * kept, rel=1e-9)


def test_pairs_from_played_worlds_score_the_policys_own_tokens():
    from penchant.lm.sample import SampleConfig
    from penchant.policies.language.gathering import explore
    from penchant.simulation.tasks.find import FindByLooking

    found = explore(tiny(), FindByLooking(), 2, 3, SampleConfig(most_tokens=3),
                    np.random.default_rng(0), torch.Generator().manual_seed(0))  # fmt: skip
    reward = np.tile([1.0, 0.0, 0.0], 2)
    pairs = own_pairs(found.rollouts, reward, most=1)
    drawn = found.rollouts.is_drawn
    for b, row in enumerate((0, 3)):
        size = len(pairs.first[b])
        np.testing.assert_array_equal(pairs.first_own[b][1:], drawn[row, : size - 1])
        assert not all(pairs.first_own[b][pairs.place[b] :])
    judged = judged_answers(found.rollouts, reward)
    np.testing.assert_array_equal(judged.own[0][1:], drawn[0, : len(judged.rows[0]) - 1])


def test_a_kept_answer_stays_likelier_than_without_its_term():
    base = tiny(dtype=torch.float32)
    first, place = rows_of(*[("?", "ab")] * 8)
    second, _ = rows_of(*[("?", "ac")] * 8)
    pairs = Pairs(first=first, second=second, place=place, first_wins=np.ones(8),
                  person=np.arange(8))  # fmt: skip
    rows, at = rows_of(*[("!", "ac")] * 8)
    training = TrainConfig(batch_size=8, max_epochs=12, learning_rate=0.02, patience=None)

    def kept(terms):
        (policy,) = fit_direct(base, pairs, training, DirectConfig(strength=0.1),
                               terms=terms).policies  # fmt: skip
        return of_answer(policy, rows[0], at[0]).sum().item()

    assert kept((Beside(rows=rows, place=at, weight=0.5),)) > kept(()) + 0.5


def test_terms_that_do_not_fit_the_pairs_are_refused(tmp_path):
    rows, place = rows_of(("a", "b"))
    with pytest.raises(DataError, match="1 entries beside 2 pairs"):
        told(two_pairs(), (Beside(rows=rows, place=place, weight=1.0),))
    with pytest.raises(ConfigError, match="above 0"):
        Beside(rows=rows, place=place, weight=0.0)
    with pytest.raises(DataError, match="without a token"):
        Beside(rows=rows, place=np.array([9]), weight=1.0)
    with pytest.raises(DataError, match="other lengths"):
        Judged(rows=rows * 2, place=np.repeat(place, 2), is_desired=np.array([True, False]),
               own=[[True], [True]])  # fmt: skip


def test_a_training_beside_other_terms_is_another_training(tmp_path):
    rows, place = rows_of(("a", "b"), ("c", "d"))
    whole = TrainConfig(batch_size=2, max_epochs=1, learning_rate=0.01, patience=None)
    fit_direct(tiny(), two_pairs(), whole, checkpoint=tmp_path)
    with pytest.raises(ConfigError, match="fingerprint"):
        fit_direct(tiny(), two_pairs(), whole, checkpoint=tmp_path,
                   terms=(Beside(rows=rows, place=place, weight=1.0),))  # fmt: skip
