"""One answer of any kind at a time: from a pick, ranking, rating or reward to better part-worths.

Legend: K options of a menu, D features, M own parameters of a channel.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from penchant.beliefs.normal_law import DiagonalNormal, NormalLaw
from penchant.beliefs.online_worths import OnlineWorths
from penchant.data.batch import ANSWERS, Batch, Block
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_contract import Channel
from penchant.feedback.channel_option import Outcome, Rating
from penchant.fitting.online_laplace import laplace, seen_through
from penchant.fitting.online_normal import learnt, relaxed, with_further
from penchant.numerics.arrays import Array

# Prior standard deviation of own parameters around what even answers would give.
OWN_SCALE = 2.0


class OnlineAnswers:
    """Part-worths of all people, and of each person what sets them apart, from any feedback.

    A person p values option k at x_k' (w + b_p): few answers of theirs leave them close to all
    others, many do not. Each answer is learnt by Laplace's approximation to normal law times
    likelihood, whatever its channel, own parameters (thresholds, bars, tie strengths) along with
    the part-worths; for rewards with normal noise and nobody in particular that is ridge regression
    exactly. What an answer says of w + b_p is shared out by their covariances, and covariances
    between the laws of w and of the b_p are dropped (assumed density filtering).
    """

    def __init__(self, belief: OnlineWorths) -> None:
        self._belief = belief
        # Copied once, then changed in place: a snapshot of thousands after each answer is slow.
        self._people = dict(belief.people)
        self._last = dict(belief.last)

    @property
    def belief_(self) -> OnlineWorths:
        """What is known now, as a value that later answers do not change."""
        return replace(self._belief, people=dict(self._people), last=dict(self._last))

    def moments(
        self, features: Float[Array, "K D"], person: str | None = None
    ) -> tuple[Float[Array, " K"], Float[Array, "K K"]]:
        """See `OnlineWorths.moments`."""
        return self.view().moments(features, person)

    def view(self) -> OnlineWorths:
        """What is known now, without a copy: later answers change it."""
        return replace(self._belief, people=self._people)

    @property
    def num_features(self) -> int:
        """Of options."""
        return self._belief.num_features

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of feedback that can be learnt from."""
        return tuple(channel.kind for channel in self._belief.channels)

    @property
    def bar(self) -> float | None:
        """See `OnlineWorths.bar`."""
        return self._belief.bar

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
        """One answer on a menu; gives the log of its probability before it was learnt.

        answer: as `data.batch.ANSWERS` says for the kind, without the axis of observations. weight:
        it counts as so many. time: when it was given, in the units of the half-life; one of the
        past is learnt as if it came now. Raises `DataError` for a kind that no channel serves, an
        answer that it cannot give, or numbers that are not finite.
        """
        known = self._belief
        channel, block, plan = self._read(features, kind, answer, weight)
        mean, total = known.joint(plan)
        if time is not None and not np.isfinite(time):
            raise DataError(
                f"an answer of kind {kind!r} came at the time {time}; expected a finite number, in "
                "the units of the half-life. Leave it out where it is not known."
            )
        if known.half_life is not None:
            now = float(known.num_answers) if time is None else time
            known = self._move_on(known, person, now, known.half_life)
            mean, total = known.joint(plan)
        own = replace(known, people=self._people).person(person)
        if own is None or person is None:
            told = laplace(channel, block, mean, total, weight)
            law = learnt(known.law, plan, told.step, told.root)
        else:
            theirs = _of_a_person(own, features, len(plan))
            apart = own.covariance_of(theirs)
            told = laplace(channel, block, mean + theirs @ own.mean, total + apart, weight)
            law = learnt(known.law, plan, told.step, seen_through(told.root, apart))
            self._people[person] = learnt(own, theirs, told.step, seen_through(told.root, total))
        self._belief = replace(known, law=law, num_answers=known.num_answers + 1)
        return told.log_evidence

    def evidence(
        self,
        features: Float[Array, "K D"],
        kind: str,
        answer: Mapping[str, Array],
        *,
        person: str | None = None,
        weight: float = 1.0,
    ) -> float:
        """The log of an answer's probability; nothing is learnt. Raises as `learn` does."""
        channel, block, plan = self._read(features, kind, answer, weight)
        mean, total = self._belief.joint(plan)
        own = self.view().person(person)
        if own is not None:
            theirs = _of_a_person(own, features, len(plan))
            mean, total = mean + theirs @ own.mean, total + own.covariance_of(theirs)
        return laplace(channel, block, mean, total, weight).log_evidence

    def _read(
        self,
        features: Float[Array, "K D"],
        kind: str,
        answer: Mapping[str, Array],
        weight: float,
    ) -> tuple[Channel, Block, Float[Array, "E L"]]:
        """Whose answer it is, as a block, and what of the belief it speaks of."""
        channel = self._belief.channels[self._belief.place_of(kind)]
        if not 0 <= weight < np.inf:
            raise DataError(
                f"an answer of kind {kind!r} has the weight {weight}; expected a finite number, "
                "not below 0."
            )
        block = block_of(len(features), kind, answer)
        channel.validate(_batch(block))
        return channel, block, self._belief.plan(features, kind)

    def forget(self, person: str) -> None:
        """Drop what sets a person apart; what they taught of all people stays."""
        self._people.pop(person, None)
        self._last.pop(person, None)

    def _move_on(
        self, known: OnlineWorths, person: str | None, time: float, half_life: float
    ) -> OnlineWorths:
        """What is known now of all people, and of a person, who are no longer as they were."""
        law = relaxed(known.law, known.prior, self._kept(None, time, half_life))
        if person in self._people and known.apart is not None:
            kept = self._kept(person, time, half_life)
            self._people[person] = relaxed(self._people[person], known.apart, kept)
        if known.apart is not None:
            self._last[person] = max(time, self._last.get(person, time))
        return replace(known, law=law)

    def _kept(self, who: str | None, time: float, half_life: float) -> float:
        before = self._last.get(who, time)
        self._last[who] = max(time, before)
        return float(0.5 ** (max(time - before, 0.0) / half_life))


def nothing_known(
    channels: Iterable[Channel],
    prior: NormalLaw,
    *,
    apart: NormalLaw | None = None,
    half_life: float | None = None,
    noise: float = 1.0,
    own_scale: float = OWN_SCALE,
) -> OnlineWorths:
    """Before any answer.

    prior: of all people's part-worths; without covariances (`DiagonalNormal`) for thousands of
    sparse features. apart: of what sets a person apart, around 0. half_life: of what was learnt, in
    units of `time` (of answers, where none is given): part-worths return to the prior, what sets a
    person apart to 0. noise: standard deviation of rewards around worths, taken as known.
    own_scale: prior standard deviation of other own parameters around what even answers would give.

    Raises `ConfigError` for two channels of one kind, parameters that persons own, or numbers out
    of range.
    """
    served = tuple(channels)
    kinds = [channel.kind for channel in served]
    if not served or len(set(kinds)) < len(kinds):
        raise ConfigError(
            f"channels serve the kinds {kinds}; expected one or more, of a kind of its own each. "
            "Drop one of two alike."
        )
    for name, value in (("half_life", half_life), ("noise", noise), ("own_scale", own_scale)):
        if value is not None and not 0 < value < np.inf:
            raise ConfigError(f"{name} is {value}; expected a number above 0.")
    own = [own_prior(channel, noise, own_scale) for channel in served]
    law = prior
    for part in own:
        law = with_further(law, len(law.mean), part.mean, part.variance)
    return OnlineWorths(
        law=law,
        prior=law,
        channels=served,
        channel_sizes=tuple(len(part.mean) for part in own),
        apart=apart,
        half_life=half_life,
    )


def _of_a_person(own: NormalLaw, features: Float[Array, "K D"], num: int) -> Float[Array, "E L"]:
    """What an answer says of somebody: people differ in the first features, as many as their law
    speaks of, and not in thresholds."""
    theirs = np.zeros((num, len(own.mean)))
    theirs[: len(features)] = features[:, : len(own.mean)]
    return theirs


def own_prior(channel: Channel, noise: float, scale: float = OWN_SCALE) -> DiagonalNormal:
    """Of a channel's own parameters before any answer; `nothing_known` says what noise and scale
    are. Raises `ConfigError` for parameters that persons own."""
    if isinstance(channel, Rating) and channel.by_person:
        raise ConfigError(
            "a channel of ratings has thresholds by person; expected thresholds that are common to "
            "all. Use Rating(levels=...) without by_person: what sets a person apart is learnt of "
            "their part-worths."
        )
    if isinstance(channel, Outcome):
        start, spread = np.array([np.log(noise), 0.0]), np.array([0.0, 5.0 * scale])
        return DiagonalNormal(
            mean=start[: channel.num_common()], variance=spread[: channel.num_common()] ** 2
        )
    start = channel.initial(_batch(_even_answers(channel)))
    return DiagonalNormal(mean=start, variance=np.full(len(start), scale**2))


def _even_answers(channel: Channel) -> Block:
    """Every answer once, where the start of a channel looks at answers at all."""
    levels: int = getattr(channel, "levels", 2)
    has_ties = getattr(channel, "ties", None) is not None
    once = {
        "rating": {"level": np.arange(levels)[:, None]},
        "graded": {"grade": np.arange(levels)},
        "pair": {"outcome": np.arange(3 if has_ties else 2)},
        "binary": {"success": np.array([[0], [1]])},
        "approval": {"approved": np.array([[False], [True]])},
    }
    answer = once.get(channel.kind, {name: np.zeros((1, 1)) for name in ANSWERS[channel.kind]})
    first = next(iter(answer.values()))
    return _rows(channel.kind, len(first), first.shape[1] if first.ndim == 2 else 2, answer)


def block_of(num_options: int, kind: str, answer: Mapping[str, Array]) -> Block:
    """One answer, as `data.batch.ANSWERS` says for its kind, about options without features."""
    if set(ANSWERS[kind]) != set(answer):
        raise DataError(
            f"an answer of kind {kind!r} has {sorted(answer)}; expected {list(ANSWERS[kind])}."
        )
    return _rows(kind, 1, num_options, {n: np.asarray(v)[None] for n, v in answer.items()})


def _rows(kind: str, num: int, width: int, answer: Mapping[str, Array]) -> Block:
    return Block(
        kind=kind,
        features=np.zeros((num, width, 0)),
        offered=np.ones((num, width), dtype=bool),
        option=np.tile(np.arange(width), (num, 1)),
        row=np.arange(num),
        group=np.zeros(num, dtype=np.int64),
        weight=np.ones(num),
        answer=answer,
    )


def _batch(block: Block) -> Batch:
    return Batch(
        blocks=(block,),
        feature_names=(),
        option_names=tuple(str(k) for k in range(block.option.shape[1])),
        group_names=("",),
        group_features=np.zeros((1, 0)),
        num_rows=len(block),
    )
