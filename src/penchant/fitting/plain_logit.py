"""The plain conditional logit, the fit that everybody starts with, as fast as the machine allows.

The same likelihood that `pooled.py` climbs for any mix of feedback; here value, gradient,
information and everybody's scores come from one pass over the features, and a long climb begins at
the top of a part of the data.

Legend: B choices, D tastes, G groups (people).
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch, FlatChoices
from penchant.fitting.newton import Evaluation, NewtonConfig, maximise, newton_step
from penchant.numerics.arrays import Array

# Up to so many numbers NumPy's pass takes 3 ms; loading compiled loops takes a hundred times that.
FEW_NUMBERS = 200_000
# From so many choices on, the climb begins on parts of the data: a pass over all of them then
# costs more than a few small ones, and parts are large enough to lie close to the whole.
MANY_CHOICES = 50_000
# The parts: the top of a fifth lies within some six standard errors of the whole one's, from where
# Newton's method doubles its digits with every step: two more and a third pass to see that it is.
SMALL_SHARE, LARGE_SHARE = 1 / 32, 1 / 5
STEPS_LEFT = 2
_RUNS = 64


@dataclass(kw_only=True, eq=False)
class PlainLogit:
    """sum_b w_b log p(chosen_b) for utilities x beta, over all choices of a batch.

    Remembers the groups' scores of the last evaluation: robust errors want them where it ended.
    They cost an eighth of a pass, so the first ones after a warm start go without.
    """

    flat: FlatChoices
    group: Int[Array, " B"]
    loops: ModuleType
    _last: tuple[bytes, Float[Array, "G D"]] | None = None
    _without_scores: int = 0

    @classmethod
    def of(cls, batch: Batch) -> "PlainLogit":
        """By loops fit for the size of the data; the same data always take the same loops."""
        flat = batch.flat_choices()
        return cls(
            flat=flat,
            group=np.repeat(np.arange(batch.num_groups), np.diff(flat.group_start)),
            loops=_loops(flat.features.size),
        )

    def evaluate(self, beta: Float[Array, " D"]) -> Evaluation:
        """Value, gradient and information of the log-likelihood."""
        if self._without_scores > 0:
            self._without_scores -= 1
            return self._of_run(beta, slice(0, len(self.flat.weight)))
        return self._with_scores(beta)[0]

    def group_scores(self, beta: Float[Array, " D"]) -> Float[Array, "G D"]:
        """Each group's gradient; free where the likelihood was last evaluated with them."""
        if self._last is None or self._last[0] != beta.tobytes():
            return self._with_scores(beta)[1]
        return self._last[1]

    def _with_scores(self, beta: Float[Array, " D"]) -> tuple[Evaluation, Float[Array, "G D"]]:
        flat = self.flat
        value, gradient, information, scores = self.loops.with_group_scores(
            flat.features,
            flat.menu_start,
            flat.chosen,
            flat.weight,
            self.group,
            len(flat.group_start) - 1,
            beta,
        )
        self._last = (beta.tobytes(), scores)
        here = Evaluation(value=float(value), gradient=gradient, information=information)
        return here, scores

    def value_at_zero(self) -> float:
        """The log-likelihood where every option is alike: -sum_b w_b log K_b."""
        return -float(self.flat.weight @ np.log(np.diff(self.flat.menu_start)))

    def scales(self) -> Float[Array, " D"]:
        """What `Linear.scales` says: the features' standard deviations within menus."""
        flat = self.flat
        total, count = self.loops.spreads_within_menus(flat.features, flat.menu_start, flat.weight)
        return np.sqrt(total / np.where(count > 0, count, 1.0))

    def warm_start(
        self, start: Float[Array, " D"], precision: Float[Array, " D"]
    ) -> Float[Array, " D"]:
        """A point near the top, found on growing parts of the data; `start` where they are few.

        `precision`: of a weak normal prior around zero, lest a part push a rare feature to
        infinity. Nothing but the number of steps depends on where a concave climb begins.
        """
        if len(self.flat.weight) < MANY_CHOICES:
            return start
        config = NewtonConfig(max_steps=8, tolerance=0.5)
        start = maximise(self._part(SMALL_SHARE, precision), start, config).theta
        # From the top of the small part one step ends as near to the large one's as its own
        # distance from the whole's; to look whether it arrived would cost another look at it.
        here = self._part(LARGE_SHARE, precision)(start)
        self._without_scores = STEPS_LEFT
        return start + newton_step(here.information, here.gradient)

    def _part(
        self, share: float, precision: Float[Array, " D"]
    ) -> Callable[[Float[Array, " D"]], Evaluation]:
        """The log-density of runs of choices spread evenly over the data."""
        ends = np.linspace(0, len(self.flat.weight), _RUNS + 1).astype(int)
        runs = [
            slice(int(start), int(start + max(1, round(share * (stop - start)))))
            for start, stop in itertools.pairwise(ends)
        ]

        def evaluate(beta: Float[Array, " D"]) -> Evaluation:
            prior = Evaluation(
                value=-0.5 * float(precision @ beta**2),
                gradient=-precision * beta,
                information=np.diag(precision),
            )
            return _total([prior, *(self._of_run(beta, run) for run in runs)])

        return evaluate

    def _of_run(self, beta: Float[Array, " D"], run: slice) -> Evaluation:
        menu_start = self.flat.menu_start[run.start : run.stop + 1]
        first, last = int(menu_start[0]), int(menu_start[-1])
        value, gradient, information = self.loops.value_score_information(
            self.flat.features[first:last],
            menu_start - first,
            self.flat.chosen[run] - first,
            self.flat.weight[run],
            beta,
        )
        return Evaluation(value=float(value), gradient=gradient, information=information)


def _total(parts: Sequence[Evaluation]) -> Evaluation:
    return Evaluation(
        value=sum(part.value for part in parts),
        gradient=np.sum([part.gradient for part in parts], axis=0),
        information=np.sum([part.information for part in parts], axis=0),
    )


def _loops(numbers: int) -> ModuleType:
    """Compiled loops for much data; NumPy's for little, and where numba is not installed."""
    from penchant.feedback import choice_flat

    if numbers <= FEW_NUMBERS:
        return choice_flat
    try:
        from penchant.feedback import choice_fused
    except ImportError:
        return choice_flat
    return choice_fused
