"""A reward model as the functions that trainers of language models call: TRL's and verl's."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penchant.errors import ConfigError, DataError
from penchant.models.reward_scorer import RewardScorer
from penchant.serving.lines import score_lines

# The folder of the model that verl's processes load.
FOLDER_VARIABLE = "PENCHANT_REWARD_MODEL"


def trl_reward(
    scorer: RewardScorer, *, person: str = "person", pessimism: float = 0.0
) -> Callable[..., list[float]]:
    """A function for TRL's `reward_funcs`: reward(prompts, completions, **columns).

    Prompts and completions are strings or lists of messages; a column named by `person` says who
    is asking (unknown names and None: anybody), all other columns are ignored. `pessimism` times
    the half-width of the 95 % interval is taken off, so that what the model does not know does not
    pay.

    Calling it raises `DataError` where columns have other lengths than the completions.
    """

    def penchant_reward(
        prompts: Sequence[Any] | None = None, completions: Sequence[Any] = (), **columns: Any
    ) -> list[float]:
        people = column(columns.get(person), len(completions), person)
        asked = column(prompts, len(completions), "prompts")
        rows = [
            {"text": text, "prompt": prompt, "person": who}
            for text, prompt, who in zip(completions, asked, people)
        ]
        return [_held(said, pessimism) for said in score_lines(scorer, rows)]

    return penchant_reward


def verl_score(
    scorer: RewardScorer, *, person: str = "person", prompt: str = "prompt", pessimism: float = 0.0
) -> Callable[..., float]:
    """A function for verl's `custom_reward_function`: compute_score(data_source, solution_str,
    ground_truth, extra_info). The person and the prompt are looked for in `extra_info`."""

    def compute_score(
        data_source: str | None = None,
        solution_str: str = "",
        ground_truth: Any = None,
        extra_info: Mapping[str, Any] | None = None,
        **others: Any,
    ) -> float:
        known = dict(extra_info or {})
        row = {"text": solution_str, "prompt": known.get(prompt), "person": known.get(person)}
        (said,) = score_lines(scorer, [row])
        return _held(said, pessimism)

    return compute_score


def compute_score(
    data_source: str | None = None,
    solution_str: str = "",
    ground_truth: Any = None,
    extra_info: Mapping[str, Any] | None = None,
    **others: Any,
) -> float:
    """`verl_score` of the model in the folder that PENCHANT_REWARD_MODEL names: give verl this
    module's path and this name. Raises `ConfigError` where the variable is not set."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        raise ConfigError(
            f"{FOLDER_VARIABLE} is not set; expected the folder of a fitted reward model, as in "
            f"export {FOLDER_VARIABLE}=model"
        )
    return _loaded(folder)(data_source, solution_str, ground_truth, extra_info)


@functools.lru_cache(maxsize=2)
def _loaded(folder: str) -> Callable[..., float]:
    return verl_score(RewardScorer.load(folder))


def _held(said: Mapping[str, Any], pessimism: float) -> float:
    return float(said["reward"] - pessimism * 0.5 * (said["high"] - said["low"]))


def column(values: Any, size: int, name: str) -> Sequence[Any]:
    """One value a completion; one for all where a single one was given. Raises `DataError` for
    another number of them."""
    if values is None or isinstance(values, str):
        return [values] * size
    if len(values) != size:
        raise DataError(
            f"the column {name!r} has {len(values)} values for {size} completions; expected one "
            "for each."
        )
    return list(values)
