"""A reward head on a language model's last state, trained alone, with adapters, or all together.

What is maximised are the likelihoods of the answers (`feedback/`), the same as for every other
utility; nothing is derived anew here.

Legend: B observations, K options, T texts, H numbers of a state, C examples of one step.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_contract import Channel
from penchant.fitting.channel_examples import ChannelExamples
from penchant.fitting.channel_head import joint_channels
from penchant.fitting.language_learner import LanguageLearner, LearnerConfig, Parameters
from penchant.fitting.processes import number, wait_for_all
from penchant.fitting.sgd import TrainConfig, Training, train
from penchant.fitting.sgd_checkpoint import fingerprint_of
from penchant.lm.language_model import LanguageModel
from penchant.lm.low_rank import LowRankConfig, fresh_low_rank, merged
from penchant.lm.recomputing import recomputing
from penchant.lm.states import read_states, text_states
from penchant.lm.tokens import fingerprint
from penchant.numerics.arrays import Array
from penchant.utilities.reward_head import reward

TRAINED = ("head", "low_rank", "whole")
OFFSET = "offset"
_HEAD, _BODY, _THIN = "head.", "body.", "thin."


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageRewardConfig:
    """trained: "head" (the model stays as it is), "low_rank" (adapters beside it) or "whole".
    width: hidden units of the head; 0 is a linear one. seed: of what is drawn at the start.
    is_half: whether the model's products are taken in bfloat16 while it is trained; parameters,
    their averages, head and likelihood stay in single precision. recomputes: whether what happened
    in a layer is worked out again on the way back rather than kept, of models of transformers that
    are trained: less memory for one more pass forward."""

    trained: str = "low_rank"
    width: int = 0
    low_rank: LowRankConfig = field(default_factory=LowRankConfig)
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    seed: int = 0
    is_half: bool = False
    recomputes: bool = False

    def __post_init__(self) -> None:
        if self.recomputes and self.trained == "head":
            raise ConfigError(
                "got recomputes=True with trained='head', whose states are read once with nothing "
                "kept; it would change nothing. Leave it out, or train the model."
            )
        if self.trained not in TRAINED:
            raise ConfigError(f"got trained={self.trained!r}; expected one of {TRAINED}.")


@dataclass(frozen=True, kw_only=True, eq=False)
class LanguageReward:
    """A model whose parameters hold what was learnt (adapters merged), its head, and the channels'
    own parameters, one after the other."""

    model: LanguageModel
    head: Parameters
    own: Float[Array, " M"]

    def rewards(self, texts: Sequence[Sequence[int]], at_once: int = 64) -> Float[Array, " T"]:
        """What each row of tokens is worth, in logits; differences count."""
        import torch

        with torch.no_grad():
            return reward(self.head, read_states(self.model, texts, at_once)).numpy()


def fit_language_reward(
    model: LanguageModel,
    texts: Sequence[Sequence[int]],
    batch: Batch,
    training: TrainConfig,
    *,
    channels: tuple[Channel, ...] | None = None,
    config: LanguageRewardConfig | None = None,
    held_out: Int[Array, " M"] | None = None,
    checkpoint: Path | None = None,
) -> tuple[LanguageReward, Training]:
    """Maximise sum_b weight_b log p(y_b | r(texts of b)) by mini-batches of answers.

    The options of the batch are numbered by `texts`, rows of tokens. channels None:
    `joint_channels`, a likelihood for each kind of feedback. A feature `offset` is added to each
    reward as it is: minus a margin at the winner makes the reward loss with margin (Touvron et al.
    2023). Soft labels are both answers with the probabilities for weights. `held_out`: examples for
    early stopping, numbered block by block. Several processes of `torchrun` take one step together
    (`processes.joined`); a checkpoint's folder is taken up where it was left.

    Raises `DataError` for an option without a text or features other than `offset`.
    """
    import torch

    config = config or LanguageRewardConfig()
    _check(batch, len(texts))
    channels = channels or joint_channels(batch)
    for channel in channels:
        channel.validate(batch)
    dtype = next(iter(model.parameters.values())).dtype
    generator = torch.Generator().manual_seed(config.seed)
    own = np.concatenate([np.zeros(0), *(channel.initial(batch) for channel in channels)])
    trained = {
        **_prefixed(_HEAD, fresh_head(model.network.width, config.width, generator, dtype)),
        "own": torch.from_numpy(own).to(dtype),
    }
    if config.trained == "low_rank":
        thin = fresh_low_rank(model.parameters, config.low_rank, generator)
        trained |= _prefixed(_THIN, thin)
    elif config.trained == "whole":
        trained |= _prefixed(_BODY, model.parameters)
    objective = _Objective(
        model=model, texts=texts, config=config,
        answers=ChannelExamples.of(batch, channels, dtype),
        states=read_states(model, texts) if config.trained == "head" else None,
    )  # fmt: skip
    learner = LanguageLearner(trained, objective, config.learner)
    held = np.zeros(0, dtype=np.int64) if held_out is None else held_out
    mine = np.setdiff1d(np.arange(len(objective.answers.weight)), held)
    with recomputing(model) if config.recomputes else nullcontext():
        done = train(
            learner, mine, held, training, checkpoint=checkpoint, is_writer=number() == 0,
            fingerprint="" if checkpoint is None else fingerprint_of(
                batch, channels, config, held, fingerprint(texts, model.parameters)
            ),
        )  # fmt: skip
    # Whoever trains on in the same folder finds there what the first process kept.
    wait_for_all()
    body = objective.body(learner.parameters)
    return LanguageReward(
        model=model.with_parameters(body), head=_part(_HEAD, learner.parameters),
        own=learner.parameters["own"].numpy().astype(np.float64),
    ), done  # fmt: skip


def fresh_head(width: int, hidden: int, generator: Any, dtype: Any = None) -> dict[str, Array]:
    """A linear head of zeros, or a hidden layer of variance 1 / inputs under an output of zeros:
    before any data all texts are worth the same."""
    import torch

    if hidden == 0:
        return {"out": torch.zeros(width, dtype=dtype)}
    drawn = torch.randn(width, hidden, generator=generator) / width**0.5
    return {
        "hidden": drawn.to(dtype), "bias": torch.zeros(1, hidden, dtype=dtype),
        "out": torch.zeros(hidden, dtype=dtype),
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class _Objective:
    """Implements `language_learner.Objective`. states: of a model that stays as it is, read
    once."""

    model: LanguageModel
    texts: Sequence[Sequence[int]]
    config: LanguageRewardConfig
    answers: ChannelExamples
    states: Float[Array, "T H"] | None

    def weight(self, examples: Int[Array, " C"]) -> float:
        return float(self.answers.weight[examples].sum())

    def log_prob(self, parameters: Parameters, examples: Int[Array, " C"]) -> Any:
        import torch

        batch = self.answers.examples.take(examples)
        shown = [block.option[block.offered] for block in batch.blocks]
        met, place = torch.unique(torch.cat(shown), return_inverse=True)
        rewards = reward(_part(_HEAD, parameters), self._states(parameters, met))
        of_block = dict(zip(map(id, batch.blocks), place.split([len(one) for one in shown])))

        def worths(block: Block) -> Any:
            flat = rewards[of_block[id(block)]]
            told = rewards.new_zeros(block.offered.shape).masked_scatter(block.offered, flat)
            return told + block.features.sum(dim=2)

        return self.answers.log_prob(batch.blocks, worths, parameters["own"])

    def penalty(self, parameters: Parameters) -> Any:
        own = parameters["own"]
        if not len(own):
            return 0.0
        total = max(float(self.answers.weight.sum()), 1e-300)
        return 0.5 * (self.answers.precision * own * own).sum() / total

    def body(self, parameters: Parameters) -> dict[str, Array]:
        """The model's parameters as these say."""
        if self.config.trained == "low_rank":
            thin = _part(_THIN, parameters)
            return merged(self.model.parameters, thin, self.config.low_rank.scale)
        return {**self.model.parameters, **_part(_BODY, parameters)}

    def _states(self, parameters: Parameters, met: Int[Array, " T"]) -> Float[Array, "T H"]:
        if self.states is not None:
            return self.states[met]
        import torch

        texts = [self.texts[place] for place in met.tolist()]
        body = self.body(parameters)
        kept = next(iter(body.values()))
        with torch.autocast(kept.device.type, torch.bfloat16, enabled=self.config.is_half):
            states = text_states(self.model, body, texts)
        # What texts are worth differs in digits that a half does not have.
        return states.to(kept.dtype)


def _check(batch: Batch, num_texts: int) -> None:
    if set(batch.feature_names) - {OFFSET}:
        raise DataError(
            f"the batch has features {batch.feature_names[:6]}; expected none, or {OFFSET!r} alone:"
            " a language model's reward is of the text. Put what it should know into the prompt."
        )
    most = max((int(block.option.max(initial=-1)) for block in batch.blocks), default=-1)
    if most >= num_texts:
        raise DataError(
            f"the batch shows text {most}, but there are {num_texts} texts; expected one for each "
            "option. Number the options by the texts that were tokenised."
        )


def _prefixed(prefix: str, parameters: Parameters) -> dict[str, Array]:
    return {prefix + name: value for name, value in parameters.items()}


def _part(prefix: str, parameters: Parameters) -> dict[str, Array]:
    return {n.removeprefix(prefix): v for n, v in parameters.items() if n.startswith(prefix)}
