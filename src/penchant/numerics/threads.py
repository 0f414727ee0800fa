"""How many threads linear algebra takes.

Our matrices are small: on a busy machine the threads of BLAS wait for each other, and a fit takes
six to seventeen times as long, so that fits take one. Language models have larger ones, and take as
many as they are told. What the user had set comes back at the end of either.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# Modules that bring a BLAS of their own; each must be told.
_BRINGS_BLAS = ("numpy", "scipy.linalg", "torch", "sklearn")


def one_blas_thread(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, with one thread of BLAS while it runs.

    The setting is the whole process's: of fits in several threads at once, the first to begin
    sets it and puts it back, and the others leave it alone (threadpoolctl sees to that).
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        loaded = tuple(name in sys.modules for name in _BRINGS_BLAS)
        with _libraries(loaded).limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return run


@cache
def _libraries(loaded: tuple[bool, ...]) -> Any:
    """The libraries in the process: looked for again when a module has brought another."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def torch_threads(num: int | None) -> Iterator[None]:
    """So many threads for torch's products; None leaves them as they are.

    The setting is the whole process's. Sums are cut elsewhere, so that numbers differ by rounding
    from those of another count.
    """
    if num is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(num)
    try:
        yield
    finally:
        torch.set_num_threads(before)
