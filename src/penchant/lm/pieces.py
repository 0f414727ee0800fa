"""Parameters that several processes hold in pieces, each whole only while it is read.

As FSDP2 lays them out (Zhao et al. 2023; Rajbhandari et al. 2020): every process keeps its rows of
each array, and the same rows of what goes with it. A decoder gathers a layer's when it reads it,
lets them go and gathers them again on the way back; their gradients are summed over processes and
divided at once. All processes must read equally often.

Rows are plain tensors rather than torch's `DTensor`, whose caches hold the group of processes for
as long as Python lives: see `fitting.processes.joined`.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jaxtyping import Float

from penchant.numerics.arrays import Array


class Pieces(Mapping[str, Array]):
    """This process's rows under the names of the whole, of `num_rows` each: who asks for one gets
    it whole, and its gradient goes back to the rows. What is not a layer's is asked for often and
    kept for as long as this lives."""

    def __init__(self, rows: Mapping[str, Array], num_rows: Mapping[str, int]) -> None:
        self.rows, self.num_rows = rows, num_rows
        self._kept: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self._kept:
            self._kept[name] = self.passing(name)
        return self._kept[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def passing(self, name: str) -> Array:
        """One whole, for as long as the caller has it."""
        whole: Array = _gathering().apply(self.rows[name], self.num_rows[name])
        return whole


def heights(parameters: Mapping[str, Array]) -> dict[str, int]:
    """How many rows each has as a whole."""
    return {name: len(value) for name, value in parameters.items()}


def divided(parameters: Mapping[str, Array]) -> dict[str, Array]:
    """This process's rows of what every process has whole and alike."""
    return {name: _share(value).clone() for name, value in parameters.items()}


def whole(rows: Mapping[str, Array], num_rows: Mapping[str, int]) -> dict[str, Array]:
    """All of it in every process, without a gradient."""
    return {name: _gathered(value.detach(), num_rows[name]) for name, value in rows.items()}


def _share(whole: Float[Array, " N *S"]) -> Float[Array, " R *S"]:
    """This process's rows: equally many for each in turn, fewer or none for the last ones."""
    import torch

    most, process = _most(len(whole)), torch.distributed.get_rank()
    return whole[process * most : (process + 1) * most]


def _most(num_rows: int) -> int:
    import torch

    return -(-num_rows // int(torch.distributed.get_world_size()))


def _gathered(rows: Float[Array, " R *S"], num_rows: int) -> Float[Array, " N *S"]:
    import torch

    most = _most(num_rows)
    found = rows.new_empty(most * torch.distributed.get_world_size(), *rows.shape[1:])
    torch.distributed.all_gather(list(found.split(most)), _filled(rows, most))
    return found[:num_rows]


def _summed_rows(whole: Float[Array, " N *S"]) -> Float[Array, " R *S"]:
    """This process's rows of the sum of what each has of the whole."""
    import torch

    most = _most(len(whole))
    all_rows = _filled(whole, most * torch.distributed.get_world_size())
    found = whole.new_empty(most, *whole.shape[1:])
    torch.distributed.reduce_scatter(found, list(all_rows.split(most)))
    return found[: len(_share(whole))]


def _filled(rows: Float[Array, " R *S"], most: int) -> Float[Array, " M *S"]:
    """Rows of zeros at the end: processes hand over equally many, and cut these off again."""
    filled = rows.new_zeros(most, *rows.shape[1:])
    filled[: len(rows)] = rows
    return filled


@cache
def _gathering() -> Any:
    """Gathering as one step of autograd's; made at first use, since it needs torch."""
    from torch.autograd import Function

    class Gathering(Function):
        @staticmethod
        def forward(_: Any, rows: Array, num_rows: int) -> Array:
            return _gathered(rows, num_rows)

        @staticmethod
        def backward(_: Any, slope: Array) -> tuple[Array, None]:
            return _summed_rows(slope), None

    return Gathering
