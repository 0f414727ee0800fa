"""What the page of a leaderboard says of votes to come."""

from dataclasses import dataclass

# More than a reader takes in at once; the whole batch is in leaderboard.json.
MOST_PAIRS = 40


@dataclass(frozen=True, kw_only=True)
class NextPair:
    """A pair worth comparing, and in words how many nats it is expected to settle, at what cost
    (empty where none was given)."""

    first: str
    second: str
    gain: str
    cost: str = ""


@dataclass(frozen=True, kw_only=True)
class NextView:
    """Pairs worth comparing next, the best first, to settle the `goal`, and in `takeaway` how many
    votes it takes; either part may be empty."""

    takeaway: str
    goal: str
    pairs: tuple[NextPair, ...]

    @property
    def lines(self) -> tuple[NextPair, ...]:
        return self.pairs[:MOST_PAIRS]

    @property
    def num_pairs(self) -> int:
        return len(self.pairs)

    @property
    def has_costs(self) -> bool:
        return any(pair.cost for pair in self.pairs)
