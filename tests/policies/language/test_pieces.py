"""Parameters in pieces over two processes: the same training, in states that one can take up."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from policies.language.two_halves import climber, imitated, preferred  # noqa: E402  # needs torch


@pytest.mark.slow
def test_two_processes_with_a_half_each_train_what_one_trains(tmp_path):
    folder = Path(__file__).parent
    paths = os.pathsep.join([str(folder.parent.parent), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone",
         str(folder / "two_halves.py"), str(tmp_path)],
        capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    alone = climber()
    alone.step()
    # What the two kept is whole: one process goes on from it, with or without its own first step.
    taken = climber()
    assert taken.restore(tmp_path / "climb")
    for name, value in alone.model.parameters.items():
        np.testing.assert_allclose(taken.model.parameters[name], value, atol=1e-9)
    alone.step()
    for name, model in (
        ("imitated", imitated()), ("preferred", preferred()), ("climber", alone.model)
    ):  # fmt: skip
        one, other = (dict(np.load(tmp_path / f"{name}.{rank}.npz")) for rank in (0, 1))
        for part, value in model.parameters.items():
            np.testing.assert_array_equal(one[part], other[part])
            np.testing.assert_allclose(one[part], value, atol=1e-9, err_msg=f"{name} {part}")
