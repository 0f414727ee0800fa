"""What `torchrun` starts for a test: fit, take the fit up again, and write what came out."""

import sys
import time
from pathlib import Path

import numpy as np

from fitting.exchange_threads import check_none_is_left
from fitting.judged_rows import mixed_rows
from fitting.test_language_reward import SHORT, config
from lm.tiny_models import tiny
from penchant.fitting import sgd_checkpoint
from penchant.fitting.language_reward import fit_language_reward
from penchant.fitting.processes import joined, num_processes, share

save_training = sgd_checkpoint.save_training


def slowly(*given):
    """The second process would be at the next fit long before the first one has kept this one."""
    time.sleep(0.5)
    save_training(*given)


if __name__ == "__main__":
    sgd_checkpoint.save_training = slowly
    folder, trained = Path(sys.argv[1]), sys.argv[2]
    texts, batch = mixed_rows()
    with joined() as number:
        assert num_processes() == 2
        for name in (f"{number}.npy", f"{number}.resumed.npy"):
            fitted, _ = fit_language_reward(
                tiny(), texts, batch, SHORT, config=config(trained), checkpoint=folder / "kept"
            )
            np.save(folder / name, fitted.rewards(texts))
        np.save(folder / f"{number}.share.npy", share(np.arange(7)))
    check_none_is_left()
