"""What `torchrun` starts for a test: train with parameters in pieces, write what came out whole."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from fitting.exchange_threads import check_none_is_left
from lm.tiny_models import rows_of, tiny
from penchant.fitting.language_learner import LearnerConfig
from penchant.fitting.next_token import fit_next_token
from penchant.fitting.processes import joined, num_processes
from penchant.fitting.sgd import TrainConfig
from penchant.lm.pieces import Pieces
from penchant.policies.language.direct import DirectConfig, fit_direct
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.group_relative import grpo
from penchant.policies.language.trainer import PolicyTrainer
from policies.language.test_direct import uneven_pairs
from policies.language.test_trainer import SHARED, EvenBytes

# One row at a time: one process of two has more parts of three rows than the other.
IN_PIECES = LearnerConfig(at_once=1, is_divided=True)
TRAINING = TrainConfig(batch_size=3, max_epochs=2, learning_rate=0.01, patience=None)


def imitated():
    # Three are looked at, so that one process has more to read than the other.
    model, done = fit_next_token(
        tiny(), rows_of(), TRAINING, config=IN_PIECES, held_out=np.array([0, 2, 4])
    )
    assert all(np.isfinite(look.held_out) for look in done.looks)
    return model


def preferred():
    config = DirectConfig(strength=0.7, learner=IN_PIECES)
    return fit_direct(tiny(), uneven_pairs(), TRAINING, config).policies[0]


def climber():
    method = grpo(Anchor(strength=0.2, place="loss"))
    return PolicyTrainer(tiny(), EvenBytes(), method, replace(SHARED, learner=IN_PIECES))


def kept(model, file):
    np.savez(file, **{n: v.numpy() for n, v in model.parameters.items()})


def check_pieces(learner):
    """Half of the rows here, of the parameters as of Adam's memory; and whole in a state."""
    name = "embed_tokens.weight"
    assert learner._held[name].shape == learner.memory.mean[name].shape
    assert abs(len(learner.memory.mean[name]) - 259 / 2) <= 1
    assert len(learner.state()[f"square.{name}"]) == 259
    view = Pieces(learner._held, learner._num_rows)
    assert view.passing(name).shape == (259, 16)
    assert not view._kept


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with joined() as number:
        assert num_processes() == 2
        kept(imitated(), folder / f"imitated.{number}.npz")
        kept(preferred(), folder / f"preferred.{number}.npz")
        trainer = climber()
        trainer.step()
        trainer.save(folder / "climb")
        check_pieces(trainer._learner)
        torch.distributed.barrier()
        again = climber()
        assert again.restore(folder / "climb")
        again.step()
        kept(again.model, folder / f"climber.{number}.npz")
        torch.distributed.barrier()
    check_none_is_left()
