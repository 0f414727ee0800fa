"""Latent people by amortised variational inference: mini-batches of people, in torch.

Legend: B pairs, C people of one step, D dimensions, G people, N draws, Z latent dimensions.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from penchant.errors import ConfigError, DataError, MissingExtraError
from penchant.feedback.gap import GapModel
from penchant.fitting.adam import AdamConfig, AdamMemory, adam_step
from penchant.fitting.head_pairs import HeadPairs, refuse_offset
from penchant.fitting.linear_head import fit_linear_head
from penchant.fitting.sgd import Look, State, TrainConfig, Training, hold_out, train
from penchant.numerics.arrays import Array, log_sigmoid
from penchant.populations.variational import LatentPosterior, VariationalPeople, decode, encode


def _training() -> TrainConfig:
    return TrainConfig(batch_size=64, max_epochs=200, learning_rate=0.01, schedule="cosine",
                       patience=None)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class VariationalConfig:
    """latent: dimensions of z. hidden: units of the encoder. decoder_hidden: units of the decoder
    beside z itself; 0 is a taste linear in z, normal over people. kl_weight: beta, of
    KL(q || N(0, I)). fit_term: "sum" over a person's pairs, whose ELBO then has kl_weight 1; "mean"
    over them, as some releases have it, under which the same weight collapses. Never quote a KL
    weight without it. num_draws: of z for each person and step. weight_decay: of the encoder, per
    step and unit of learning rate. held_out_share: of people, to keep the best look by."""

    latent: int = 8
    hidden: int = 64
    decoder_hidden: int = 0
    kl_weight: float = 1.0
    fit_term: Literal["sum", "mean"] = "sum"
    num_draws: int = 4
    weight_decay: float = 1e-3
    held_out_share: float = 0.15
    training: TrainConfig = field(default_factory=_training)

    def __post_init__(self) -> None:
        if (
            min(self.latent, self.hidden, self.num_draws) < 1
            or min(self.decoder_hidden, self.kl_weight) < 0
        ):
            raise ConfigError(
                f"got latent={self.latent}, hidden={self.hidden}, num_draws={self.num_draws}, "
                f"decoder_hidden={self.decoder_hidden} and kl_weight={self.kl_weight}; expected 1 "
                "or more of each of the first three, and 0 or more of the others."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class VariationalFit:
    """posterior: of the people of the fit. active_units: latent dimensions that tell them apart.
    elbo: nats a person under "sum". warnings: of a collapsed posterior, in words."""

    people: VariationalPeople
    posterior: LatentPosterior
    active_units: int
    elbo: float
    training: Training
    warnings: tuple[str, ...]


def fit_variational(
    pairs: HeadPairs,
    group: Int[Array, " B"],
    config: VariationalConfig | None = None,
    *,
    on_look: Callable[[Look], None] | None = None,
) -> VariationalFit:
    """Base, loadings and encoder that make people's answers most likely, z summed out.

    max E_q(z | H) sum_(b in H) log sigmoid(gap_b(z)) - kl_weight KL(q || N(0, I)), H all of each
    person's own pairs: the encoder adds up what they say one by one, so that it reads a short
    history too without having seen any. Starts at the pooled head, loadings small.

    Raises `MissingExtraError` without torch, `DataError` for ties, an offset, columns, weights that
    differ or fewer than ten people.
    """
    if find_spec("torch") is None:
        raise MissingExtraError(
            "fit_variational trains an encoder, which needs torch. pip install 'penchant[torch]', "
            "or use fit_prototypes or fit_head_mixture, which do not."
        )
    config = config or VariationalConfig()
    refuse_offset(pairs, "a latent person")
    if pairs.columns.size or np.ptp(pairs.weight) > 0.0:
        raise DataError(
            f"the pairs have {pairs.columns.shape[1]} columns of their own and weights from "
            f"{pairs.weight.min():g} to {pairs.weight.max():g}, which a latent person would not "
            "hear of; expected no columns and weights alike. Leave them out, or use "
            "fit_head_mixture, which hears both."
        )
    if not np.isin(pairs.answer, (0, 1)).all() or len(np.unique(group)) < 10:
        raise DataError(
            f"got answers {np.unique(pairs.answer).tolist()} of {len(np.unique(group))} people; "
            "expected 0 and 1 (drop ties, or use fit_head_mixture) of ten people or more."
        )
    learner = LatentLearner(pairs, group, config)
    train_people, held = hold_out(
        np.arange(learner.num_people), config.held_out_share, config.training.seed
    )
    done = train(learner, train_people, held, config.training, on_look=on_look)
    people = learner.people()
    differences = pairs.differences(np.arange(len(pairs))).astype(np.float64)
    posterior = people.posterior(differences, pairs.answer, group, learner.num_people)
    active = people.active_units(posterior)
    warnings: tuple[str, ...] = ()
    if active == 0:
        warnings = (
            f"The posterior collapsed: answers change nobody's z ({active} of {config.latent} "
            "latent dimensions at work), and everybody is foretold as anybody. Lower kl_weight "
            f"({config.kl_weight:g}, with the fit term a {config.fit_term} over pairs), or believe "
            "that these people do not differ.",
        )
    return VariationalFit(
        people=people, posterior=posterior, active_units=active,
        elbo=learner.evaluate(np.arange(learner.num_people)), training=done, warnings=warnings,
    )  # fmt: skip


class LatentLearner:
    """The ELBO as a learner of people: see `sgd.py`."""

    def __init__(
        self, pairs: HeadPairs, group: Int[Array, " B"], config: VariationalConfig
    ) -> None:
        import torch

        self.config = config
        order = np.argsort(group, kind="stable")
        self.count = np.bincount(group)
        self.start = np.concatenate([[0], np.cumsum(self.count)])
        self.num_people = len(self.count)
        sign = np.where(pairs.answer == 0, 1.0, -1.0)[order]
        signed = pairs.differences(np.arange(len(pairs)))[order].astype(np.float64) * sign[:, None]
        self.size = float(np.sqrt((signed**2).sum(axis=1).mean())) or 1.0
        self.signed = torch.from_numpy(signed / self.size)
        dims, wide, latent = signed.shape[1], config.hidden, config.latent
        rng = np.random.default_rng(config.training.seed)
        # Loadings of a tenth of the base's typical length, so that z matters from the start.
        base = fit_linear_head(pairs, GapModel(), has_covariance=False).weights * self.size
        spread = max(0.1 * float(np.linalg.norm(base)), 1.0) / np.sqrt(dims)
        start = {
            "base": base,
            "loadings": spread * rng.normal(size=(dims, latent + config.decoder_hidden)),
            "weights.0": rng.normal(size=(dims, wide)) * np.sqrt(1.0 / dims) * 2.0,
            "biases.0": 0.5 * rng.normal(size=wide),
            "weights.1": rng.normal(size=(wide, 2 * latent)) / np.sqrt(wide),
            "biases.1": np.concatenate([np.zeros(latent), np.full(latent, -2.0)]),
            "bends": rng.normal(size=(latent, config.decoder_hidden)),
            "bend_biases": 0.5 * rng.normal(size=config.decoder_hidden),
        }
        self.parameters: dict[str, Any] = {k: torch.from_numpy(v) for k, v in start.items()}
        self.memory = AdamMemory.fresh(self.parameters)
        self.adam = AdamConfig(weight_decay=config.weight_decay)

    def step(self, examples: Int[Array, " C"], learning_rate: float) -> float:
        import torch

        # What a step draws depends on the seed and its number alone: training can be taken up.
        rng = np.random.default_rng([self.config.training.seed, self.memory.steps])
        leaves = {name: value.requires_grad_() for name, value in self.parameters.items()}
        value = self._elbo(leaves, examples, rng)
        gradients = torch.autograd.grad(-value, list(leaves.values()))
        plain = {name: leaf.detach() for name, leaf in leaves.items()}
        self.parameters, self.memory = adam_step(
            plain, dict(zip(plain, gradients)), self.memory, learning_rate, self.adam,
            frozenset({"weights.0", "weights.1"}),
        )  # fmt: skip
        return float(value.detach())

    def evaluate(self, examples: Int[Array, " C"]) -> float:
        import torch

        with torch.no_grad():
            rng = np.random.default_rng(self.config.training.seed)
            return float(self._elbo(self.parameters, examples, rng))

    def state(self) -> State:
        parts = {"": self.parameters, "mean.": self.memory.mean, "square.": self.memory.square}
        plain = {
            prefix + name: np.array(value.detach().numpy())
            for prefix, part in parts.items()
            for name, value in part.items()
        }
        return {**plain, "steps": np.array(self.memory.steps)}

    def restore(self, state: State) -> None:
        import torch

        def named(prefix: str) -> dict[str, Any]:
            return {n: torch.from_numpy(np.array(state[prefix + n])) for n in self.parameters}

        self.parameters, mean, square = named(""), named("mean."), named("square.")
        self.memory = AdamMemory(mean=mean, square=square, steps=int(state["steps"]))

    def people(self) -> VariationalPeople:
        """What was learned, in the features' own units."""
        found = {name: np.array(value.detach().numpy()) for name, value in self.parameters.items()}
        return VariationalPeople(
            base=found["base"] / self.size, loadings=found["loadings"] / self.size,
            weights=(found["weights.0"], found["weights.1"]),
            biases=(found["biases.0"], found["biases.1"]), size=self.size,
            bends=found["bends"], bend_biases=found["bend_biases"],
        )  # fmt: skip

    def _elbo(
        self, leaves: dict[str, Any], examples: Int[Array, " C"], rng: np.random.Generator
    ) -> Any:
        """Mean over people."""
        import torch

        count = self.count[examples]
        rows = [np.arange(self.start[one], self.start[one + 1]) for one in examples]
        signed = self.signed[torch.from_numpy(np.concatenate(rows))]
        whose = torch.from_numpy(np.repeat(np.arange(len(examples)), count))
        q = encode(leaves, signed, whose, len(examples))
        shape = (self.config.num_draws, *q.mean.shape)
        z = q.mean + torch.from_numpy(rng.standard_normal(shape)) * q.variance.sqrt()
        placed = decode(z, leaves["bends"], leaves["bend_biases"])[:, whose]
        gap = signed @ leaves["base"] + ((signed @ leaves["loadings"]) * placed).sum(dim=2)
        told = log_sigmoid(gap).mean(dim=0)
        if self.config.fit_term == "mean":
            told = told / torch.from_numpy(count.astype(float))[whose]
        return (told.sum() - self.config.kl_weight * q.kl().sum()) / len(examples)
