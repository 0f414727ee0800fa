"""One policy for each person: pairs teach a shared prompt of soft places, and what each person's
own differs from it.

Legend: B pairs, G people, C people of a step, K places, H numbers of an embedding, T1 tokens after
those before them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError, DataError
from penchant.fitting.language_learner import LanguageLearner, LearnerConfig, Parameters
from penchant.fitting.processes import number
from penchant.fitting.sgd import TrainConfig, Training, train
from penchant.lm.language_model import LanguageModel
from penchant.lm.low_rank import LowRankConfig, adapted_model, fresh_low_rank
from penchant.lm.soft_prompt import after_first, soft_ids, with_soft_prompt
from penchant.numerics.arrays import Array
from penchant.policies.language.direct import DirectConfig, of_pairs, reference_of
from penchant.policies.language.layout import Layout
from penchant.policies.language.pairs import Pairs, settled_pairs, told_data

_SHARED, _OWN = "prompt.shared", "prompt.own"


@dataclass(frozen=True, kw_only=True, slots=True)
class PersonalConfig:
    """places: of each soft prompt. spread: standard deviation of what one's own numbers differ
    from the shared ones, in standard deviations of the model's embeddings: a normal prior, so that
    who said little is as people are. low_rank: adapters that all share; None leaves the model as
    it is. strength: beta, nats of utility a nat of log-ratio. layout: `direct.DirectConfig`'s."""

    places: int = 4
    spread: float = 1.0
    strength: float = 0.1
    low_rank: LowRankConfig | None = None
    layout: Layout = "packed"
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.places < 1 or not (self.spread > 0.0 and self.strength > 0.0):
            raise ConfigError(
                f"got places={self.places}, spread={self.spread}, strength={self.strength}; "
                "expected one place or more, and the others above 0."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonalFit:
    """policy: with everybody's prompts, those of people by their numbers and the shared one after
    them. places: of each. training: how it went."""

    policy: LanguageModel
    places: int
    num_people: int
    training: Training

    def row_for(self, person: int | None, ids: Sequence[int]) -> list[int]:
        """A row of tokens with this person's prompt in it; None is for whom nobody knows."""
        who = self.num_people if person is None else person
        if person is not None and not 0 <= person < self.num_people:
            raise DataError(
                f"got person {person}; expected 0 to {self.num_people - 1}, or None for others."
            )
        return after_first(ids, soft_ids(who, self.places))


def fit_personal(
    model: LanguageModel,
    pairs: Pairs,
    training: TrainConfig,
    config: PersonalConfig | None = None,
    *,
    checkpoint: Path | None = None,
) -> PersonalFit:
    """Maximise sum_b log sigma(u_b1 - u_b2) - |own|^2 / (2 spread^2), the policy of a pair being
    the model after its person's soft prompt, beside the model as given without one.

    As Li et al. (2024, P-DPO) give people embeddings of their own; theirs come from an index, ours
    with a prior, so that people share what they agree in. An example of the training is a person.
    Raises `DataError` where a row has no room for the places.
    """
    config = config or PersonalConfig()
    num_people = int(pairs.person.max()) + 1
    _check_room(model, pairs, config.places)
    config = replace(config, layout=settled_pairs(model, pairs, config.layout))
    objective = _objective(model, pairs, config)
    learner = LanguageLearner(_fresh(model, num_people, config), objective, config.learner)
    features = np.zeros((num_people, 0))
    done = train(
        learner, np.arange(num_people), np.zeros(0, dtype=np.int64), training,
        checkpoint=checkpoint, is_writer=number() == 0,
        fingerprint="" if checkpoint is None else (
            f"{config!r} on {told_data(model, pairs, features)}"
        ),
    )  # fmt: skip
    now = {name: value.detach() for name, value in learner.parameters.items()}
    return PersonalFit(
        policy=objective.policy(now), places=config.places, num_people=num_people, training=done
    )


def with_prompts(pairs: Pairs, places: int) -> Pairs:
    """The pairs with the soft prompt of each one's person after the first token."""

    def longer(rows: Sequence[Sequence[int]]) -> list[list[int]]:
        return [after_first(row, soft_ids(int(p), places)) for row, p in zip(rows, pairs.person)]

    def own(said: Sequence[Sequence[bool]] | None) -> list[list[bool]] | None:
        if said is None:
            return None
        return [[*row[:1], *[False] * places, *row[1:]] for row in said]

    return replace(
        pairs, first=longer(pairs.first), second=longer(pairs.second), place=pairs.place + places,
        first_own=own(pairs.first_own), second_own=own(pairs.second_own),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class _Personal:
    """Implements `language_learner.Objective`; an example is a person."""

    model: LanguageModel
    pairs: Pairs
    config: PersonalConfig
    num_people: int
    scale: float
    reference: Float[Array, "B 2 T1"]

    def weight(self, examples: Int[Array, " C"]) -> float:
        return float(np.isin(self.pairs.person, examples).sum())

    def log_prob(self, parameters: Parameters, examples: Int[Array, " C"]) -> Any:
        rows = np.flatnonzero(np.isin(self.pairs.person, examples))
        said = of_pairs(
            [self.policy(parameters)], self.pairs, self.reference[rows],
            DirectConfig(strength=self.config.strength, layout=self.config.layout), rows,
        )  # fmt: skip
        return said.log_prob.sum()

    def penalty(self, parameters: Parameters) -> Any:
        return 0.5 * (parameters[_OWN] ** 2).sum() / len(self.pairs)

    def policy(self, parameters: Parameters) -> LanguageModel:
        """The model after what is shared, with a prompt for each person and the shared one."""
        import torch

        thin = {n: v for n, v in parameters.items() if n not in (_SHARED, _OWN)}
        base = self.model
        if self.config.low_rank is not None:
            base = adapted_model(self.model, thin, self.config.low_rank)
        shared = parameters[_SHARED][None]
        everybody = torch.cat([shared + self.scale * parameters[_OWN], shared])
        return with_soft_prompt(base, everybody.flatten(0, 1))


def _objective(model: LanguageModel, pairs: Pairs, config: PersonalConfig) -> _Personal:
    import torch

    reference = reference_of(model, pairs, config.layout, config.learner.precision)
    return _Personal(
        model=model, config=config, num_people=int(pairs.person.max()) + 1,
        scale=_scale(model) * config.spread, pairs=with_prompts(pairs, config.places),
        # What is scored stands so many places later; what was said of it is the same.
        reference=torch.nn.functional.pad(reference, (config.places, 0)),
    )  # fmt: skip


def _fresh(model: LanguageModel, num_people: int, config: PersonalConfig) -> dict[str, Any]:
    """The shared prompt begins as embeddings of drawn tokens, as Lester et al. do; everybody's own
    as nothing beside it. One's own are in units of the spread."""
    import torch

    generator = torch.Generator().manual_seed(config.seed)
    table = _table(model)
    drawn = torch.randint(len(table), (config.places,), generator=generator).to(table.device)
    shared = table[drawn].detach().clone()
    own = shared.new_zeros((num_people, *shared.shape))
    thin = {} if config.low_rank is None else fresh_low_rank(
        model.parameters, config.low_rank, generator
    )  # fmt: skip
    return {**thin, _SHARED: shared, _OWN: own}


def _table(model: LanguageModel) -> Float[Array, "_ H"]:
    """The model's embeddings, under the names of the usual families."""
    names = [n for n in model.parameters if n.endswith(("embed_tokens.weight", "wte.weight",
                                                        "embed_in.weight"))]  # fmt: skip
    if not names:
        raise ConfigError(
            f"none of the model's matrices is called embed_tokens, wte or embed_in; it has "
            f"{', '.join(list(model.parameters)[:4])}, ... Expected a causal model such as Llama, "
            "Qwen or GPT-2."
        )
    return model.parameters[names[0]]


def _scale(model: LanguageModel) -> float:
    return float(_table(model).std())


def _check_room(model: LanguageModel, pairs: Pairs, places: int) -> None:
    window = model.network.window
    size = max(len(row) for side in (pairs.first, pairs.second) for row in side)
    if window and size + places > window:
        raise DataError(
            f"a row has {size} tokens and a soft prompt {places} places; expected {window} in all, "
            "the model's window. Shorten them, or take fewer places."
        )
