"""What written reasons added to a reward model, as its folder keeps it and its reports tell it."""

import math
from dataclasses import dataclass

# Of fewer a sharpness and a lapse cannot be told.
FEWEST_REASONS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class ReasonTheme:
    """label: a reason that names it; share: of all reasons; worth: what being nearer to it by one
    standard deviation of the judged differences counts for (logits)."""

    label: str
    share: float
    worth: float


@dataclass(frozen=True, kw_only=True)
class ReasonsHeard:
    """What reasons added to a reward model.

    columns: where they stood. reasons: how many were read, beside `judgements` of `observations`;
    unheard: beside answers that prefer nothing, which they cannot explain. foretold: nats by which
    heads without reasons, that had not seen a judgement, foretell the theme of its reason better
    than how often each is named. sharpness, lapse: of the likelihood by which the head heard them
    (`feedback/reason.py`), sharpness 0 where reasons are not used. gain: nats saved a judgement by
    heads that had not seen it, as sharply as other judgements would have it. Low and high: 95 %,
    over judges (over judgements of one judge).
    """

    columns: tuple[str, ...]
    reasons: int
    judgements: int
    observations: int
    unheard: int
    themes: tuple[ReasonTheme, ...]
    foretold: float = 0.0
    foretold_low: float = 0.0
    foretold_high: float = 0.0
    sharpness: float = 0.0
    lapse: float = 1.0
    gain: float = 0.0
    gain_low: float = 0.0
    gain_high: float = 0.0

    @property
    def has_worths(self) -> bool:
        """Whether heads say what the themes count for."""
        return all(math.isfinite(theme.worth) for theme in self.themes)

    def sentence(self) -> str:
        """For a report, plainly."""
        told = _counted(self)
        if self.sharpness:
            return (
                f"{told} Heads that had not seen a judgement foretell its reason's theme "
                f"{self.foretold:.3f} nats better than how often each is named; reasons are heard "
                f"with a sharpness of {self.sharpness:g} and a lapse of {self.lapse:.2f}. On "
                f"judgements that the heads had not seen this {self._saved()}."
            )
        return f"{told} Reasons did not help here, and are not used: {self._why_not()}."

    def _why_not(self) -> str:
        if self.reasons < FEWEST_REASONS:
            return f"of fewer than {FEWEST_REASONS} nothing can be told"
        if len(self.themes) < 2:
            return "all name one theme, which tells nothing apart"
        if self.foretold_low <= 0:
            return (
                "what the heads say of the two texts does not foretell which theme is named "
                f"(better than how often each is by {self.foretold:.3f} nats, "
                f"{self.foretold_low:.3f} to {self.foretold_high:.3f})"
            )
        return f"on judgements that the heads had not seen, hearing them {self._saved()}"

    def _saved(self) -> str:
        """What hearing them does, and whether it may be chance."""
        if self.gain == 0:
            return "saves nothing"
        told = f"{'saves' if self.gain > 0 else 'costs'} "
        told += f"{_nats(self.gain, self.gain_low, self.gain_high)} each"
        return told if self.gain_low > 0 or self.gain_high < 0 else f"{told}, which may be chance"


def _counted(heard: ReasonsHeard) -> str:
    told = (
        f"{heard.reasons:,} reasons ({', '.join(heard.columns)}) beside {heard.judgements:,} of "
        f"{heard.observations:,} judgements, of {len(heard.themes)} themes."
    )
    if heard.unheard:
        told += f" {heard.unheard:,} more stand beside answers that prefer nothing."
    return told


def _nats(gain: float, low: float, high: float) -> str:
    """The size of a gain and its interval, whichever way it points."""
    sign = 1.0 if gain > 0 else -1.0
    told = f"{sign * gain:.4f} nats"
    if not math.isfinite(low):
        return told
    least, most = sorted((sign * low, sign * high))
    return f"{told} ({least:.4f} to {most:.4f})"
