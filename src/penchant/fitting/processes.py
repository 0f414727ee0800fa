"""Several processes that train one model together, as `torchrun` starts them; one alone as well.

Each has all parameters, or a piece of each (`lm.pieces`), and its share of a step's examples;
gradients are summed over processes.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from jaxtyping import Int

from penchant.numerics.arrays import Array


@contextmanager
def joined(backend: str = "gloo") -> Iterator[int]:
    """Meet the other processes, if the environment speaks of any; gives this one's number.

    `torchrun` sets WORLD_SIZE, RANK and where to meet. Whoever joined before stays joined. No
    thread of the exchange outlives it: one that lets go of a tensor while Python ends aborts it.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or num_processes() > 1:
        yield number()
        return
    import torch

    # Its functions' defaults would hold the group for ever if it were first imported within it, as
    # gradient checkpointing and others do.
    import torch.distributed.nn.functional

    torch.distributed.init_process_group(backend)
    try:
        yield number()
    finally:
        torch.distributed.destroy_process_group()


def num_processes() -> int:
    """How many train together."""
    import torch

    distributed = torch.distributed
    has_met = distributed.is_available() and distributed.is_initialized()
    return int(distributed.get_world_size()) if has_met else 1


def number() -> int:
    """This process's number, 0 for the first and for one alone."""
    import torch

    return int(torch.distributed.get_rank()) if num_processes() > 1 else 0


def wait_for_all() -> None:
    """Go on when every process is here: what one of them wrote before is there then."""
    import torch

    if num_processes() > 1:
        torch.distributed.barrier()


def share(examples: Int[Array, " C"]) -> Int[Array, " D"]:
    """This process's examples: every so-manieth, so that shares differ by one at most."""
    return np.asarray(examples)[number() :: num_processes()]


def most(count: int) -> int:
    """The largest of what the processes say."""
    if num_processes() == 1:
        return count
    import torch

    found = torch.tensor([count])
    torch.distributed.all_reduce(found, op=torch.distributed.ReduceOp.MAX)
    return int(found)


def summed(arrays: Sequence[Array]) -> list[Array]:
    """Each array summed over processes, in one exchange."""
    if num_processes() == 1:
        return list(arrays)
    import torch

    flat = torch.cat([array.detach().reshape(-1) for array in arrays])
    torch.distributed.all_reduce(flat)
    parts = flat.split([array.numel() for array in arrays])
    return [part.reshape(array.shape) for part, array in zip(parts, arrays)]
