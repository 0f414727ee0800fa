"""Parameters that several processes hold in pieces, each whole only while it is read.

As FSDP2 lays them out (Zhao et al. 2023; Rajbhandari et al. 2020): every process keeps its rows of
each array, and the same rows of what goes with it. A decoder gathers a layer's when it reads it,
lets them go and gathers them again on the way back; their gradients are summed over processes and
divided at once. All processes must read equally often.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from penchant.numerics.arrays import Array


class Pieces(Mapping[str, Array]):
    """Pieces under the names of the whole: who asks for one gets it whole, and its gradient goes
    back in pieces. What is not a layer's is asked for often and kept for as long as this lives."""

    def __init__(self, held: Mapping[str, Any]) -> None:
        self.held = held
        self._kept: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self._kept:
            self._kept[name] = self.passing(name)
        return self._kept[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)

    def passing(self, name: str) -> Array:
        """One whole, for as long as the caller has it."""
        from torch.distributed.tensor import Partial

        return self.held[name].full_tensor(grad_placements=[Partial()])


def divided(parameters: Mapping[str, Array]) -> dict[str, Any]:
    """Pieces of what every process has whole and alike."""
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh = _mesh(parameters)
    return {
        name: distribute_tensor(value, mesh, [Shard(0)], src_data_rank=None)
        for name, value in parameters.items()
    }


def own(held: Mapping[str, Any]) -> dict[str, Array]:
    """This process's rows of each, as plain arrays."""
    return {name: value.to_local() for name, value in held.items()}


def joined_up(rows: Mapping[str, Array], like: Mapping[str, Any]) -> dict[str, Any]:
    """Pieces of each process's rows."""
    from torch.distributed.tensor import DTensor

    return {
        name: DTensor.from_local(
            rows[name], value.device_mesh, value.placements, shape=value.shape,
            stride=value.stride(),
        )
        for name, value in like.items()
    }  # fmt: skip


def whole(held: Mapping[str, Any]) -> dict[str, Array]:
    """All of it in every process, without a gradient."""
    return {name: value.detach().full_tensor() for name, value in held.items()}


def _mesh(parameters: Mapping[str, Array]) -> Any:
    import torch
    from torch.distributed.device_mesh import init_device_mesh

    kind = next(iter(parameters.values())).device.type
    return init_device_mesh(kind, (torch.distributed.get_world_size(),))
