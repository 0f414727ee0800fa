"""Neural-linear: a small network, trained on a schedule, whose outputs a linear belief is about.

Legend: K options, D features, H outputs of the network.
"""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from penchant.beliefs.neural_worths import KeptAnswer, NeuralConfig, NeuralWorths, lifted
from penchant.beliefs.online_worths import OnlineWorths
from penchant.data.batch import Batch, Block
from penchant.fitting.neural import need_torch
from penchant.fitting.neural_learner import NetworkConfig, NetworkLearner, random_network
from penchant.fitting.online_answers import OnlineAnswers, block_of
from penchant.fitting.online_normal import with_further
from penchant.fitting.sgd import TrainConfig, hold_out, train
from penchant.numerics.arrays import Array
from penchant.utilities.neural import Network

_TRAINING = TrainConfig(batch_size=64, max_epochs=60, patience=8)
_HELD_OUT = 0.2


class OnlineNeural:
    """Between two trainings it is `OnlineAnswers` on features and network outputs. When it is due
    the network is trained on the kept answers, from a random start beside the linear worths, until
    people held out gain nothing; the belief is then learnt anew from the same answers, since what
    was known of the old outputs says nothing of the new ones. Where people held out never gain,
    there is no network until the next time. Doubt is about the last layer alone, as published.

    Torch trains; whoever only decides needs none.
    """

    def __init__(self, belief: NeuralWorths) -> None:
        self._belief = belief
        self._learner = OnlineAnswers(belief.worths)
        self._kept = deque(belief.kept, maxlen=belief.config.memory)

    @property
    def belief_(self) -> NeuralWorths:
        """What is known now, as a value that later answers do not change."""
        return replace(self._belief, worths=self._learner.belief_, kept=tuple(self._kept))

    @property
    def num_features(self) -> int:
        """Of options."""
        return self._belief.num_features

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of feedback that can be learnt from."""
        return self._learner.kinds

    @property
    def bar(self) -> float | None:
        """See `OnlineWorths.bar`."""
        return self._learner.bar

    def moments(
        self, features: Float[Array, "K D"], person: str | None = None
    ) -> tuple[Float[Array, " K"], Float[Array, "K K"]]:
        """See `NeuralWorths.moments`."""
        return self._learner.moments(self._belief.lifted(features), person)

    def learn(
        self,
        features: Float[Array, "K D"],
        kind: str,
        answer: Mapping[str, Array],
        *,
        person: str | None = None,
        weight: float = 1.0,
        time: float | None = None,
    ) -> float:
        """As `OnlineAnswers.learn`; when it is due, the network is trained anew."""
        known = self._belief
        told = self._learner.learn(
            known.lifted(features), kind, answer, person=person, weight=weight, time=time
        )
        now = float(known.num_answers) if time is None else time
        # A copy: callers use their arrays again.
        self._kept.append(
            KeptAnswer(features=np.array(features), kind=kind, answer=answer, person=person,
                       weight=weight, time=now)
        )  # fmt: skip
        self._belief = replace(known, num_answers=known.num_answers + 1)
        if self._belief.num_answers >= known.due:
            self._begin_anew()
        return told

    def forget(self, person: str) -> None:
        """Drop what sets a person apart; the next belief is learnt without their answers."""
        self._learner.forget(person)
        kept = [one for one in self._kept if one.person != person]
        self._kept = deque(kept, maxlen=self._belief.config.memory)

    def _begin_anew(self) -> None:
        known, kept = self._belief, list(self._kept)
        config = known.config
        network = trained_network(kept, known.nothing, config.width, seed=known.num_answers)
        self._learner = relearnt(kept, known.nothing, network)
        due = known.num_answers + min(known.num_answers, config.memory)
        self._belief = replace(known, network=network, due=due)


def nothing_neural(known: OnlineWorths, config: NeuralConfig) -> NeuralWorths:
    """Before any answer. known: nothing yet, of the options' own features. Raises
    `MissingExtraError` without torch."""
    need_torch()
    return NeuralWorths(worths=known, nothing=known, config=config, due=config.first)


def trained_network(
    kept: Sequence[KeptAnswer], known: OnlineWorths, width: int, seed: int
) -> Network | None:
    """A network of one hidden layer beside linear worths; None where it gains people held out
    nothing, or where there are too few of them to tell."""
    need_torch()
    batch = batch_of(kept, known.num_features)
    if batch.num_groups < 10:
        return None
    linear = tuple(range(batch.num_features))
    config = NetworkConfig(hidden=(width,), held_out_share=_HELD_OUT, num_networks=1)
    start = relearnt(kept, known, None).view().law.mean
    learner = NetworkLearner(
        batch, known.channels, random_network(batch, config, seed), linear, start,
        config.weight_decay,
    )  # fmt: skip
    group = np.concatenate([block.group for block in batch.blocks])
    mine, held = hold_out(group, config.held_out_share, seed)
    done = train(learner, mine, held, replace(_TRAINING, seed=seed))
    return learner.trained() if done.best else None


def relearnt(
    kept: Sequence[KeptAnswer], known: OnlineWorths, network: Network | None
) -> OnlineAnswers:
    """The belief about features and network outputs, learnt from nothing, answer by answer.

    Weights of outputs have a prior as wide as makes the network's part of worths vary as much as
    the linear part before any answer.
    """
    law, D = known.law, known.num_features
    if network is not None:
        shown = np.concatenate([one.features for one in kept])
        made = lifted(network, shown)[:, D:]
        linear = float((shown**2 @ law.spread()[:D] ** 2).mean())
        scale = linear / max(float(made.var(axis=0).sum()), 1e-12)
        law = with_further(law, D, np.zeros(network.width), np.full(network.width, scale))
    learner = OnlineAnswers(replace(known, law=law, prior=law))
    for one in kept:
        learner.learn(
            lifted(network, one.features), one.kind, one.answer, person=one.person,
            weight=one.weight, time=one.time,
        )  # fmt: skip
    return learner


def batch_of(kept: Sequence[KeptAnswer], num_features: int) -> Batch:
    """Answers as what fits learn from; each of nobody known is somebody's of their own."""
    alike = defaultdict[tuple[str, int], list[int]](list)
    for row, one in enumerate(kept):
        alike[one.kind, len(one.features)].append(row)
    names = [f"row {row}" if one.person is None else f"person {one.person}"
             for row, one in enumerate(kept)]  # fmt: skip
    groups = {name: code for code, name in enumerate(dict.fromkeys(names))}
    most = max(map(len, (one.features for one in kept)))
    return Batch(
        blocks=tuple(_block([kept[row] for row in rows], rows, names, groups)
                     for rows in alike.values()),
        feature_names=tuple(f"feature {d}" for d in range(num_features)),
        option_names=tuple(str(k) for k in range(most)),
        group_names=tuple(groups), group_features=np.zeros((len(groups), 0)), num_rows=len(kept),
    )  # fmt: skip


def _block(
    kept: Sequence[KeptAnswer], rows: Sequence[int], names: Sequence[str], groups: Mapping[str, int]
) -> Block:
    first = block_of(len(kept[0].features), kept[0].kind, kept[0].answer)
    num = len(kept)
    return replace(
        first,
        features=np.stack([one.features for one in kept]),
        offered=np.repeat(first.offered, num, axis=0), option=np.repeat(first.option, num, axis=0),
        row=np.array(rows), group=np.array([groups[names[row]] for row in rows]),
        weight=np.array([one.weight for one in kept]),
        answer={name: np.stack([np.asarray(one.answer[name]) for one in kept])
                for name in first.answer},
    )  # fmt: skip
