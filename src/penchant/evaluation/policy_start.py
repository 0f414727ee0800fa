"""A start that a claim on policies can be tried from: it solves some of its task, and not all."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from penchant.errors import ConfigError, DataError
from penchant.lm.language_model import LanguageModel


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """share: what the model was let pass with, on problems that nothing else should be judged by.
    passed_over: the shares of those before it."""

    model: LanguageModel
    share: float
    passed_over: tuple[float, ...]


def screened(
    candidates: Iterable[LanguageModel],
    share: Callable[[LanguageModel], float],
    low: float = 0.2,
    high: float = 0.8,
) -> Start:
    """The first of the candidates whose share lies from `low` to `high`.

    A start that is never right has nothing to reinforce, one that always is nothing to gain, and
    starts that differ widely by seed make every interval wide. Candidates are made as far as they
    are asked for: `teaching.decoders_taught` gives one after more and more lessons, then another.
    Measure the start again on the problems that the claim is judged on: who was let pass for a
    lucky share has less of it there.

    Raises `ConfigError` for bounds in the wrong order, `DataError` where no candidate passes.
    """
    if not low <= high:
        raise ConfigError(f"got low={low} and high={high}; expected low <= high.")
    seen: list[float] = []
    for model in candidates:
        found = share(model)
        if low <= found <= high:
            return Start(model=model, share=found, passed_over=tuple(seen))
        seen.append(found)
    raise DataError(
        f"none of {len(seen)} starts has a share from {low:g} to {high:g}; got "
        f"{', '.join(f'{each:.3g}' for each in seen) or 'no start at all'}. Teach in smaller "
        "rounds where the shares leap over the bounds, in more of them where they end below."
    )
