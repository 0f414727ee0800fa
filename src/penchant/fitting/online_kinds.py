"""Kinds of people from answers that come one at a time: who is of which, and what each kind values.

Legend: K options, D features, S kinds, L = D (1 + S).
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from penchant.beliefs.kinds_of_worths import KindsOfWorths, as_one_of
from penchant.beliefs.online_worths import OnlineWorths
from penchant.fitting.online_answers import OnlineAnswers
from penchant.fitting.online_normal import with_further
from penchant.numerics.arrays import Array

# A kind that somebody is so surely not of learns nothing from them.
_NEVER = 1e-3
# Nobody is ever so surely of one kind that no answers could tell otherwise.
_LEAST = 1e-12


class OnlineKinds:
    """Streaming Bayes for a mixture, by assumed density filtering (Minka 2001).

    An answer is weighed under each kind; by Bayes' rule that moves the probability that the person
    is of it; each kind then learns the answer with that probability as its weight, and with it what
    all kinds share and what sets the person apart as one of it. Answers learnt while it was open of
    which kind a person is are not looked at again.
    """

    def __init__(self, belief: KindsOfWorths) -> None:
        self._belief = belief
        self._learner = OnlineAnswers(belief.worths)
        self._weights = dict(belief.weights)
        self._crowd = np.array(belief.crowd)
        self._num = belief.num_answers

    @property
    def belief_(self) -> KindsOfWorths:
        """What is known now, as a value that later answers do not change."""
        return KindsOfWorths(
            worths=self._learner.belief_, crowd=self._crowd.copy(), weights=dict(self._weights),
            num_answers=self._num,
        )  # fmt: skip

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
        """See `KindsOfWorths.moments`."""
        return self._now().moments(features, person)

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
        """As `OnlineAnswers.learn`."""
        known = self._now()
        before = known.weights_of(person)
        seen = [known.features_of(features, s) for s in range(known.num_kinds)]
        names = [as_one_of(person, s) for s in range(known.num_kinds)]
        told = np.array([
            self._learner.evidence(x, kind, answer, person=name, weight=weight)
            for x, name in zip(seen, names)
        ])  # fmt: skip
        joint = np.log(before) + told
        evidence = float(np.logaddexp.reduce(joint))
        after = np.maximum(np.exp(joint - evidence), _LEAST)
        after /= after.sum()
        # Half of what was learnt is forgotten after so many answers, not after so many of kinds.
        now = float(self._num) if time is None else time
        for s, share in enumerate(after):
            if share > _NEVER:
                self._learner.learn(
                    seen[s], kind, answer, person=names[s], weight=weight * float(share), time=now
                )
        self._num += 1
        if person is not None:
            self._crowd += after - self._weights.get(person, 0.0)
            self._weights[person] = after
        return evidence

    def forget(self, person: str) -> None:
        """Drop what sets a person apart, and of which kind they are."""
        for s in range(self._belief.num_kinds):
            self._learner.forget(f"{as_one_of(person, s)}")
        self._crowd -= self._weights.pop(person, 0.0)

    def _now(self) -> KindsOfWorths:
        return replace(
            self._belief, worths=self._learner.view(), crowd=self._crowd, weights=self._weights
        )


def several_kinds(
    known: OnlineWorths, num_kinds: int, scale: float, concentration: float = 1.0
) -> KindsOfWorths:
    """Before any answer, where people are of several kinds.

    known: nothing yet, of people of one kind. scale: standard deviation of what sets a kind apart
    from all people, of each part-worth. concentration: so many people are believed to be of each
    kind before any is met. Kinds begin at random places of their prior, always the same ones: from
    one and the same place they would never part.
    """
    D = known.num_features
    rng = np.random.default_rng(num_kinds)
    start = scale * rng.normal(size=num_kinds * D)
    law = with_further(known.law, D, start, np.full(len(start), scale**2))
    return KindsOfWorths(
        worths=replace(known, law=law, prior=law), crowd=np.full(num_kinds, concentration)
    )
