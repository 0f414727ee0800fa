"""Starts that solve nothing, or everything, are passed over."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.evaluation.policy_start import screened
from penchant.fitting.sgd import TrainConfig
from penchant.lm.byte_tokenizer import ByteTokenizer
from penchant.lm.decoder import Decoder, DecoderConfig
from penchant.lm.language_model import LanguageModel
from penchant.lm.sample import SampleConfig
from penchant.simulation.tasks.chain import Chain

shares = st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), max_size=8)
bounds = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


def unread(name):
    """A model that nobody asks anything but its name."""
    network = Decoder(config=DecoderConfig(width=8, layers=1, heads=1))
    return LanguageModel(network=network, parameters={}, tokenizer=ByteTokenizer(), name=str(name))


@given(shares, bounds)
def test_the_first_start_within_the_bounds_is_taken_and_no_later_one_is_made(seen, between):
    low, high = between
    made = []

    def candidates():
        for at in range(len(seen)):
            made.append(at)
            yield unread(at)

    within = [at for at, share in enumerate(seen) if low <= share <= high]
    if not within:
        with pytest.raises(DataError, match=f"none of {len(seen)} starts"):
            screened(candidates(), lambda model: seen[int(model.name)], low, high)
        return
    start = screened(candidates(), lambda model: seen[int(model.name)], low, high)
    assert start.model.name == str(within[0])
    assert start.share == seen[within[0]]
    assert len(start.passed_over) == within[0]
    assert made == list(range(within[0] + 1))


def test_bounds_in_the_wrong_order_are_refused():
    with pytest.raises(ConfigError, match="low <= high"):
        screened([unread(0)], lambda model: 0.5, 0.8, 0.2)


def test_a_refusal_tells_every_share_that_was_seen():
    with pytest.raises(DataError, match=r"0\.1, 0\.95.*smaller rounds"):
        screened([unread(0), unread(1)], lambda model: (0.1, 0.95)[int(model.name)])


def test_a_decoder_is_taught_until_it_is_right_some_of_the_time():
    pytest.importorskip("torch")
    from penchant.evaluation.policy_trial import share_right
    from penchant.policies.language.teaching import Teaching, decoders_taught

    task = Chain(fewest=1, most=1, scratch=False)
    shape = DecoderConfig(width=32, layers=1, heads=2, window=16)
    training = TrainConfig(batch_size=32, max_epochs=1, learning_rate=1e-2, patience=None)
    starts = decoders_taught(task, shape, Teaching(num=200, training=training), rounds=6)

    def right(model, seed=1):
        return share_right(model, task, 300, SampleConfig(most_tokens=3), seed)

    start = screened(starts, right, 0.08, 0.5)
    assert start.passed_over  # one round teaches next to nothing
    assert all(share < 0.08 for share in start.passed_over)
    assert start.share == right(start.model)
    assert 0.03 < right(start.model, 0) < 0.55
