"""How much reasons count for: what they save on judgements that the heads have not seen.

Legend: B observations, N options over all menus, W reasons, J themes, K parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch_builder import groups_of
from penchant.encoders.reasons import WrittenReasons, winning_sides
from penchant.encoders.reasons_heard import FEWEST_REASONS, ReasonsHeard, ReasonTheme
from penchant.feedback.reason import reason_log_prob
from penchant.fitting.reasoned_head import Reading, likeliest_reading
from penchant.metrics.intervals import Interval, clustered_mean
from penchant.models.reward_head import Lessons, RewardHead
from penchant.models.reward_reasons import ReasonLessons, find_themes
from penchant.models.reward_unseen import unseen_parts
from penchant.numerics.arrays import Array

# How sharply reasons may be read. Not at all is a candidate too.
SHARPNESS = (0.25, 0.5, 1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class WeighedReasons:
    """The reasons as heads are to hear them, None where they are not used, and what was found."""

    lessons: ReasonLessons | None
    heard: ReasonsHeard


@dataclass(frozen=True, kw_only=True, eq=False)
class Reasoned:
    """Lessons whose reasons heads hear, where they help, the head of all of them, and what was
    found."""

    lessons: Lessons
    whole: RewardHead
    heard: ReasonsHeard
    notes: tuple[str, ...]


def with_reasons(
    lessons: Lessons, whole: RewardHead, written: WrittenReasons, seed: int
) -> Reasoned:
    """The lessons with these reasons; `whole`: the head of all answers without."""
    fold = unseen_parts(lessons, whole, seed).fold
    scale = whole.encoder.prior_scale
    found = weigh_reasons(lessons, written, fold, scale, seed)
    notes = (found.heard.sentence(), *written.notes)
    if found.lessons is None:
        return Reasoned(lessons=lessons, whole=whole, heard=found.heard, notes=notes)
    lessons = replace(lessons, reasons=found.lessons)
    whole = lessons.fit(np.ones(len(lessons.weight), dtype=bool), scale)
    return Reasoned(lessons=lessons, whole=whole, heard=found.heard, notes=notes)


def weigh_reasons(
    lessons: Lessons,
    written: WrittenReasons,
    fold: Int[Array, " B"],
    prior_scale: float,
    seed: int,
) -> WeighedReasons:
    """Whether and how sharply heads are to hear the reasons; fold: the parts that are left out in
    turn, -1 without an answer.

    Reasons are heard where heads that know none of them, and have not seen the judgements, foretell
    the themes that reasons name beyond chance, and where hearing them then saves nats on judgements
    that were not seen. Each sharpness of `SHARPNESS` has its heads, with the lapse that is
    likeliest beside it; the one that saves most is taken. What it saves is told of each part with
    the sharpness that the other parts would have chosen.
    """
    made = lessons_of_reasons(lessons, written, fold, seed)
    count = ReasonsHeard(
        columns=written.columns, reasons=len(made.row), judgements=len(np.unique(made.row)),
        observations=len(lessons.weight), unheard=len(written) - len(made.row),
        themes=_themes(made),
    )  # fmt: skip
    if len(made.row) < FEWEST_REASONS or len(count.themes) < 2:
        return WeighedReasons(lessons=None, heard=count)
    kept = [(fold >= 0) & (fold != k) for k in range(int(fold.max()) + 1)]
    plain = [lessons.fit(part, prior_scale) for part in kept]
    unseen = _Unseen.by(plain, lessons, made, fold)
    foretold = unseen.foretold(made.usual)
    count = replace(
        count, themes=_themes(made, unseen), foretold=foretold.estimate,
        foretold_low=foretold.low, foretold_high=foretold.high,
    )  # fmt: skip
    if not foretold.low > 0:
        return WeighedReasons(lessons=None, heard=count)
    judged = _Judged.of(lessons, fold, seed)
    candidates = [replace(made, reading=unseen.reading(made.usual, each)) for each in SHARPNESS]
    without = judged.nats(plain)
    saved = []
    for each in candidates:
        told = replace(lessons, reasons=each)
        saved.append(without - judged.nats([told.fit(part, prior_scale) for part in kept]))
    best = judged.chosen(np.stack(saved))
    count = replace(
        count, gain=best.gain.estimate, gain_low=best.gain.low, gain_high=best.gain.high
    )
    if not best.is_worth_it:
        return WeighedReasons(lessons=None, heard=count)
    taken = candidates[best.place]
    return WeighedReasons(
        lessons=taken,
        heard=replace(count, sharpness=taken.reading.sharpness, lapse=taken.reading.lapse),
    )


def lessons_of_reasons(
    lessons: Lessons, written: WrittenReasons, fold: Int[Array, " B"], seed: int
) -> ReasonLessons:
    """The reasons of judgements that somebody won, by the themes that they name; not to be heard
    yet. fold: -1 for judgements without an answer."""
    side = winning_sides(lessons.records)
    decided = np.zeros(len(lessons.weight), dtype=bool)
    decided[lessons.records.row_of_option[side != 0]] = True
    vectors = lessons.even(written.vectors - lessons.embedded.vectors.mean(axis=0))
    found = find_themes(written.texts, vectors, lessons.settings.attributes, seed)
    mine = np.flatnonzero((decided & (fold >= 0))[written.row])
    named = found.of_text[written.text[mine]]
    count = np.bincount(named, minlength=len(found.themes)) + 0.5
    return ReasonLessons(
        row=written.row[mine], named=named, side=side,
        row_of_option=lessons.records.row_of_option, themes=found.themes,
        usual=count / count.sum(), reading=Reading(sharpness=0.0, lapse=1.0),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class _Unseen:
    """What each theme contributed to the judgement of each reason, by heads that had not seen it.
    person: whose reason it is. worth: what a step along each theme counts for, on average over
    these heads."""

    contributions: Float[Array, "W J"]
    named: Int[Array, " W"]
    weight: Float[Array, " W"]
    person: Int[Array, " W"]
    worth: Float[Array, " J"]

    @classmethod
    def by(
        cls, heads: Sequence[RewardHead], lessons: Lessons, made: ReasonLessons,
        fold: Int[Array, " B"],
    ) -> "_Unseen":  # fmt: skip
        vectors, form = lessons.texts_read()
        told = [
            made.heard(
                (vectors, form / head.encoder.spread), lessons.embedded, fold == k, lessons.weight,
                len(head.fitted.theta),
            )
            for k, head in enumerate(heads)
        ]  # fmt: skip
        steps = np.std(np.concatenate([themes.along for themes in told]), axis=0)
        slopes = [themes.directions @ head.fitted.theta for themes, head in zip(told, heads)]
        return cls(
            contributions=np.concatenate(
                [themes.contributions(head.fitted.theta) for themes, head in zip(told, heads)]
            ),
            named=np.concatenate([themes.named for themes in told]),
            weight=np.concatenate([themes.weight for themes in told]),
            person=_whose(
                lessons,
                np.concatenate([made.row[fold[made.row] == k] for k in range(len(heads))]),
            ),
            worth=steps * np.mean(slopes, axis=0),
        )

    def reading(self, usual: Float[Array, " J"], sharpness: float | None = None) -> Reading:
        """The likeliest; of a given sharpness the likeliest lapse."""
        return likeliest_reading(self.contributions, self.named, self.weight, usual, sharpness)

    def foretold(self, usual: Float[Array, " J"]) -> Interval:
        """Nats a reason beside how often each theme is named."""
        reading = self.reading(usual)
        told = reason_log_prob(
            self.contributions, self.named, reading.sharpness, reading.lapse, usual
        )
        return clustered_mean(told - np.log(usual[self.named]), self.person, self.weight)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Chosen:
    """place: which candidate saves most. gain: what is saved a judgement, told of each part with
    what the others would have chosen; where no candidate saves anything, of that one."""

    place: int
    is_worth_it: bool
    gain: Interval


@dataclass(frozen=True, kw_only=True, eq=False)
class _Judged:
    """The judgements that heads are held to: menus of several texts of which some are better, or
    the pairs that ratings imply where there are none. part: in which each is left out."""

    lessons: Lessons
    best: Float[Array, " N"]
    rows: Int[Array, " M"]
    part: Int[Array, " B"]
    person: Int[Array, " M"]

    @classmethod
    def of(cls, lessons: Lessons, fold: Int[Array, " B"], seed: int) -> "_Judged":
        judged, part = lessons, fold
        if not (lessons.records.menu_sizes > 1).any():
            judged, row = lessons.in_pairs(fold, seed)
            part = fold[row]
        side = winning_sides(judged.records)
        decided = np.bincount(judged.records.row_of_option, side > 0, len(part)) > 0
        rows = np.flatnonzero(decided & (part >= 0) & (judged.records.menu_sizes > 1))
        return cls(lessons=judged, best=(side > 0).astype(float), rows=rows, part=part,
                   person=_whose(judged, rows))  # fmt: skip

    def nats(self, heads: Sequence[RewardHead]) -> Float[Array, " M"]:
        """-log of the chance that heads which have not seen a judgement gave to whoever was found
        best; how much their word counts for is that of fewest nats over all."""
        from scipy.optimize import minimize_scalar

        worth, weight = self._worths(heads), self.lessons.weight[self.rows]

        def nats(log_scale: float) -> Float[Array, " M"]:
            return self._softmax_loss(np.exp(log_scale) * worth)

        found = minimize_scalar(
            lambda each: float(weight @ nats(each)), bounds=(-5.0, 3.0), method="bounded"
        )
        return nats(float(found.x))

    def chosen(self, saved: Float[Array, "V M"]) -> _Chosen:
        """The candidate that saves most, of nats saved by each."""
        weight, part = self.lessons.weight[self.rows], self.part[self.rows]
        # Not to hear them is a candidate too.
        every = np.concatenate([np.zeros((1, saved.shape[1])), saved])
        total, by_others = every @ weight, np.zeros(saved.shape[1])
        for k in np.unique(part):
            mine = part == k
            taken = int(np.argmax(total - every[:, mine] @ weight[mine]))
            by_others[mine] = every[taken, mine]
        place = int(np.argmax(saved @ weight))
        some_save = bool(total[1 + place] > 0)
        gain = clustered_mean(by_others if some_save else saved[place], self.person, weight)
        return _Chosen(place=place, is_worth_it=some_save and gain.estimate > 0, gain=gain)

    def _worths(self, heads: Sequence[RewardHead]) -> Float[Array, " N"]:
        """What each text shown is worth to the head that has not seen its menu."""
        lessons, records = self.lessons, self.lessons.records
        worth = np.zeros(len(self.best))
        part = self.part[records.row_of_option]
        for k, head in enumerate(heads):
            mine = part == k
            worth[mine] = head.encoder.rewards(lessons.embedded)[lessons.embedded.of_option[mine]]
            if head.encoder.has_position:
                favour = head.fitted.coefficients[len(head.encoder.attributes)]
                worth[records.offsets[:-1][lessons.is_pair & (self.part == k)]] += favour
        return worth

    def _softmax_loss(self, worth: Float[Array, " N"]) -> Float[Array, " M"]:
        records = self.lessons.records
        start = records.offsets[:-1].astype(np.int64)
        top = np.maximum.reduceat(worth, start)[records.row_of_option]
        mass = np.exp(worth - top)
        best, whole = (np.add.reduceat(each, start) for each in (mass * self.best, mass))
        return np.log(whole[self.rows]) - np.log(np.maximum(best[self.rows], 1e-300))


def _whose(lessons: Lessons, rows: Int[Array, " M"]) -> Int[Array, " M"]:
    """Who judged these observations; of one judge answers count one by one."""
    person = groups_of(lessons.records, lessons.settings.group_by).of_row[rows]
    return person if len(np.unique(person)) > 1 else rows


def _themes(made: ReasonLessons, unseen: "_Unseen | None" = None) -> tuple[ReasonTheme, ...]:
    """The themes, those named most first."""
    named = np.bincount(made.named, minlength=len(made.themes)) / max(len(made.named), 1)
    worth = np.full(len(made.themes), np.nan) if unseen is None else unseen.worth
    return tuple(
        ReasonTheme(
            label=made.themes.labels[j], share=float(named[j]), worth=float(worth[j])
        )
        for j in np.argsort(-named, kind="stable")
        if named[j] > 0
    )  # fmt: skip
