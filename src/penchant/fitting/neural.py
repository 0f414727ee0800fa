"""Small networks from any feedback: layers by mini-batches in torch, the last one by Newton.

Legend: B observations, K options, D features, H outputs of the last layer, C examples of one step,
M parameters, N networks, R draws, G groups (people).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from penchant.beliefs.belief import Belief, Encoder
from penchant.data.batch import Batch
from penchant.errors import MissingExtraError
from penchant.feedback.channel_contract import Channel
from penchant.fitting.examples import Examples
from penchant.fitting.neural_learner import NetworkConfig, NetworkLearner, random_network
from penchant.fitting.pooled import fit_pooled
from penchant.fitting.pooled_task import prepare
from penchant.fitting.sgd import Look, TrainConfig, Training, hold_out, train
from penchant.fitting.sgd_checkpoint import fingerprint_of
from penchant.fitting.shrinkage import Shrinkage
from penchant.numerics.arrays import Array
from penchant.utilities.linear import Linear
from penchant.utilities.neural import Network, Neural

# Draws of each network's last layer.
_DRAWS = 100


def fit_neural(
    batch: Batch,
    channels: tuple[Channel, ...],
    *,
    network: NetworkConfig | None = None,
    training: TrainConfig | None = None,
    linear: tuple[int, ...] | None = None,
    encoder: Encoder | None = None,
    checkpoint: Path | None = None,
    on_look: Callable[[int, Look], None] | None = None,
) -> Belief:
    """Train the layers until held-out people gain nothing, then fit the last layer to everybody.

    The layers start at random beside the best linear worths, so that training begins where the
    linear model ends. With the layers fixed, worths are linear in the tastes: Newton finds their
    posterior mode, the evidence says how much to shrink the head (MacKay 1992), and the curvature
    is the doubt: a Laplace approximation on the last layer (Daxberger et al. 2021).

    That alone is far too sure, since the layers were learnt from the same answers: 40 to 70 % of
    its 90 % intervals hold. So `num_networks` are trained from different starts, each on people
    with random exponential weights (the weighted likelihood bootstrap of Newton and Raftery 1994).
    The belief is their equal mixture: worths are averaged, and a draw of our doubt is one network
    with one draw of its last layer.

    linear: which features enter linearly too (all; none without `has_linear`). checkpoint: a
    folder from which an interrupted fit goes on, bit for bit. on_look(network, look) sees the
    training.
    Raises `MissingExtraError` without torch, `DataError` for unusable data, `ConfigError` for a
    checkpoint of another training, `FitError` for a training that runs into NaN.
    """
    need_torch()
    began = time.perf_counter()
    network, training = network or NetworkConfig(), training or TrainConfig()
    if linear is None or not network.has_linear:
        linear = tuple(range(batch.num_features)) if network.has_linear else ()
    members = []
    for number in range(network.num_networks):
        folder = None if checkpoint is None else checkpoint / f"network_{number}"
        watch = None if on_look is None else partial(on_look, number)
        weighted = batch if network.num_networks == 1 else reweighted(batch, training.seed, number)
        members.append(
            _member(weighted, channels, network, _seeded(training, number), linear, folder, watch)
        )
    utility = Neural(
        networks=tuple(member.network for member in members),
        feature_names=batch.feature_names,
        linear=linear,
    )
    belief = _mixture(members, utility, len(linear), training.seed)
    rate = training.learning_rate
    return _told(replace(belief, encoder=encoder), members, batch, channels, rate, began)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Member:
    """One trained network, the belief about its last layer, and how the training went."""

    network: Network
    head: Belief
    training: Training


def _member(
    batch: Batch,
    channels: tuple[Channel, ...],
    config: NetworkConfig,
    training: TrainConfig,
    linear: tuple[int, ...],
    checkpoint: Path | None,
    on_look: Callable[[Look], None] | None,
) -> _Member:
    examples = Examples.of(batch)
    mine, held = hold_out(examples.group, config.held_out_share, training.seed)
    start = _linear_start(examples.take(mine), channels, linear)
    learner = NetworkLearner(
        batch, channels, random_network(batch, config, training.seed), linear, start,
        config.weight_decay,
    )  # fmt: skip
    done = train(
        learner, mine, held, training,
        checkpoint=checkpoint, on_look=on_look,
        fingerprint="" if checkpoint is None else fingerprint_of(batch, channels, config, linear),
    )  # fmt: skip
    made = learner.trained()
    utility = Neural(networks=(made,), feature_names=batch.feature_names, linear=linear)
    own = sum(channel.num_parameters(batch) for channel in channels)
    families = (-1,) * len(linear) + (0,) * made.width + (-1,) * own
    head = fit_pooled(
        utility.lift(batch),
        utility=Linear(),
        channels=channels,
        shrinkage=Shrinkage(families=families, names=("hidden",)),
    )
    return _Member(network=made, head=head, training=done)


def reweighted(batch: Batch, seed: int, number: int) -> Batch:
    """The batch with an exponential weight of mean one for each group (Newton and Raftery 1994)."""
    drawn = np.random.default_rng([seed, number]).exponential(size=batch.num_groups)
    blocks = (replace(b, weight=b.weight * drawn[b.group]) for b in batch.blocks)
    return replace(batch, blocks=tuple(blocks))


def _seeded(training: TrainConfig, number: int) -> TrainConfig:
    # 1,000,003 is prime: seeds of users, small numbers most often, do not run into each other.
    return replace(training, seed=training.seed + 1_000_003 * number)


def _mixture(members: list[_Member], utility: Neural, num_linear: int, seed: int) -> Belief:
    """The members' beliefs as one: each fills its own place among the heads, the others are zero.

    Worths are linear in theta, so that the mean of theta is the mean of worths.
    """
    first = members[0].head
    num_heads, num_own = utility.width, len(first.theta) - num_linear - members[0].network.width
    size = num_linear + num_heads + num_own
    thetas, spreads, draws, start = [], np.zeros((size, size)), [], num_linear
    rng = np.random.default_rng([seed, len(members)])
    for member in members:
        width = member.network.width
        place = np.concatenate(
            [np.arange(num_linear), start + np.arange(width), num_linear + num_heads +
             np.arange(num_own)]
        )  # fmt: skip
        start += width
        assert member.head.covariance is not None
        thetas.append(_placed(member.head.theta, place, size))
        spreads[np.ix_(place, place)] += member.head.covariance / len(members)
        draws += [_placed(one.theta, place, size) for one in member.head.sample(_DRAWS, rng)]
    mean = np.mean(thetas, axis=0)
    apart = np.stack(thetas) - mean
    covariance = spreads + apart.T @ apart / len(members)
    names = first.parameter_names
    hidden_names = tuple(f"hidden[{h}]" for h in range(num_heads))
    return replace(
        first,
        theta=mean,
        parameter_names=(
            *names[:num_linear], *hidden_names, *names[num_linear + members[0].network.width :]
        ),
        utility=utility,
        covariance=covariance,
        robust_covariance=covariance if len(members) > 1 else first.robust_covariance,
        draws=np.stack(draws) if len(members) > 1 else None,
    )  # fmt: skip


def _placed(theta: Float[Array, " A"], place: Int[Array, " A"], size: int) -> Float[Array, " M"]:
    wide = np.zeros(size)
    wide[place] = theta
    return wide


def _linear_start(
    batch: Batch, channels: tuple[Channel, ...], linear: tuple[int, ...]
) -> Float[Array, " M"]:
    """The best linear worths and the channels' own parameters beside them."""
    if not linear:
        return np.concatenate([np.zeros(0), *(channel.initial(batch) for channel in channels)])
    blocks = tuple(replace(b, features=b.features[:, :, list(linear)]) for b in batch.blocks)
    names = tuple(batch.feature_names[place] for place in linear)
    return fit_pooled(
        replace(batch, blocks=blocks, feature_names=names), utility=Linear(), channels=channels
    ).theta


def _told(
    belief: Belief,
    members: list[_Member],
    batch: Batch,
    channels: tuple[Channel, ...],
    rate: float,
    began: float,
) -> Belief:
    """The belief with a report of all its networks."""
    assert isinstance(belief.utility, Neural)
    settled = sum(member.training.has_settled for member in members)
    stuck = sum(not member.training.best and len(member.training.looks) > 1 for member in members)
    fitted = [member.head.report for member in members if member.head.report is not None]
    layers = sum(network.num_parameters for network in belief.utility.networks)
    looks = [member.training.looks[member.training.best] for member in members]
    epochs, held = (np.mean([getattr(look, n) for look in looks]) for n in ("epoch", "held_out"))
    warnings: tuple[str, ...] = batch.notes
    if len(members) == 1:
        warnings += (
            "Standard errors, intervals and draws take the network's layers as given (Laplace on "
            "the last layer) and are far too narrow; num_networks=8 asks how sure the layers are.",
        )
    if stuck:
        warnings += (
            f"{stuck} of {len(members)} networks never foretold held-out people better than they "
            "did before training, and were left as they began. Lower the learning rate "
            f"({rate:g}); if that changes nothing, the linear worths say all that these data can.",
        )
    unsettled = len(members) - settled - stuck
    if unsettled:
        warnings += (
            f"{unsettled} of {len(members)} networks did not settle: when the epochs "
            "ran out, people held out had still been gaining (or nobody was held out). Raise "
            "max_epochs.",
        )
    log_prob = belief.log_prob(batch)
    report = replace(
        fitted[0],
        log_likelihood=sum(float(b.weight @ lp) for b, lp in zip(batch.blocks, log_prob)),
        null_log_likelihood=_null(batch, channels),
        parameters=len(belief.theta) + layers,
        effective_parameters=None,
        converged=settled == len(members) and all(one.converged for one in fitted),
        iterations=sum(member.training.steps for member in members),
        seconds=time.perf_counter() - began,
        method=(
            f"{len(members)} network(s): layers by Adam, {epochs:.1f} epochs (held-out people: "
            f"{held:.4f} nats an answer), last layers by Newton"
        ),
        warnings=warnings,
    )
    return replace(belief, report=report)


def _null(batch: Batch, channels: tuple[Channel, ...]) -> float:
    """The log-likelihood of worths of zero."""
    blocks = tuple(replace(b, features=0.0 * b.features[:, :, :1]) for b in batch.blocks)
    bare = replace(batch, blocks=blocks, feature_names=batch.feature_names[:1])
    task = prepare(bare, Linear(), channels, has_matrix=False)
    return task.density.slope(task.initial).value


def need_torch() -> None:
    try:
        import torch  # noqa: F401  # asked for, not used here
    except ImportError as error:
        raise MissingExtraError(
            "training a network needs the package torch, which is not installed (using a trained "
            "one does not). Install the extra: pip install 'penchant[torch]'."
        ) from error
