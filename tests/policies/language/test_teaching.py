"""Demonstrations round after round."""

from dataclasses import replace
from itertools import islice

import pytest

from penchant.fitting.sgd import TrainConfig
from penchant.lm.decoder import DecoderConfig
from penchant.policies.language import teaching as rooms
from penchant.simulation.tasks.chain import Chain

torch = pytest.importorskip("torch")

TASK = Chain(fewest=1, most=1)
TEACHING = rooms.Teaching(
    num=20,
    training=TrainConfig(batch_size=5, max_epochs=1, learning_rate=1e-2, patience=None),
    seed=3,
)


def fresh():
    return rooms.fresh_decoder(DecoderConfig(width=16, layers=1, heads=2, window=16), 0)


def same(one, other):
    return all(torch.equal(one.parameters[n], other.parameters[n]) for n in one.parameters)


def test_a_first_round_is_the_teaching_itself_and_a_second_goes_on_from_it():
    first, second = islice(rooms.taught_further(fresh(), TASK, TEACHING, 5), 2)
    once, _ = rooms.taught(fresh(), TASK, TEACHING)
    assert same(first, once)
    further, _ = rooms.taught(first, TASK, replace(TEACHING, seed=TEACHING.seed + 1_000_003))
    assert same(second, further)


def test_after_the_rounds_of_one_decoder_come_those_of_another():
    shape = DecoderConfig(width=16, layers=1, heads=2, window=16)
    found = list(rooms.decoders_taught(TASK, shape, TEACHING, rounds=2, decoders=2))
    for own, pair in ((3, found[:2]), (1_003, found[2:])):
        teaching = replace(TEACHING, seed=own)
        alone = rooms.taught_further(rooms.fresh_decoder(shape, own), TASK, teaching, 2)
        assert all(same(one, other) for one, other in zip(pair, alone, strict=True))


def test_every_round_has_problems_of_its_own_and_of_its_own_seed(monkeypatch):
    drawn = []
    original = rooms.lessons_of

    def kept(task, num, generator, tokenizer):
        drawn.append(original(task, num, generator, tokenizer))
        return drawn[-1]

    monkeypatch.setattr(rooms, "lessons_of", kept)
    for seed in (3, 4):
        list(rooms.taught_further(fresh(), TASK, replace(TEACHING, seed=seed), 3))
    rows = [tuple(map(tuple, each.rows)) for each in drawn]
    assert len(rows) == 6
    assert len(set(rows)) == 6
    assert all(len(each.from_place) == 20 for each in drawn)
