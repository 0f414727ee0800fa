"""What `torchrun` starts for a test: climb, keep, go on from what was kept, write what came out."""

import sys
from pathlib import Path

import numpy as np
import torch

from lm.tiny_models import tiny
from penchant.fitting.processes import joined, num_processes
from penchant.policies.language.trainer import PolicyTrainer
from policies.language.test_trainer import CLIMBS, SHARED, EvenBytes

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with joined() as number:
        assert num_processes() == 2
        for name, method in CLIMBS.items():
            begun = PolicyTrainer(tiny(), EvenBytes(), method, SHARED)
            begun.step()
            begun.step()
            begun.save(folder / f"{name}.{number}")
            torch.distributed.barrier()
            # The first kept it for both: in one folder they would write over each other.
            assert not (folder / f"{name}.1").exists()
            trainer = PolicyTrainer(tiny(), EvenBytes(), method, SHARED)
            assert trainer.restore(folder / f"{name}.0")
            trainer.step()
            learnt = {n: value.numpy() for n, value in trainer.model.parameters.items()}
            np.savez(folder / f"{name}.{number}.npz", **learnt)
