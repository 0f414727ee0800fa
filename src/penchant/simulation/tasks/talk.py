"""TALK: a partner with a hidden preference, who answers offers and questions by a script."""

from dataclasses import dataclass, field

import numpy as np

from penchant.errors import ConfigError
from penchant.simulation.tasks.task import Turn

TOPICS = ("price", "speed", "looks")


@dataclass(kw_only=True)
class TalkWorld:
    """ "ask price" is answered by "yes" if the partner cares for it; "offer price" ends the talk.

    The partner cares for exactly one topic. Reward 1 for the offer they care for, 0 for another,
    less `cost` a question; nonsense is answered by "what" and costs the same. An agent that offers
    at once is right a third of the time; one that asks first is always right.
    """

    cares_for: str
    cost: float = 0.1
    most_turns: int = 5
    prompt: str = field(default="hello", init=False)
    _turns: int = field(default=0, init=False)
    _refused: tuple[str, ...] = field(default=(), init=False)
    _wanted: str | None = field(default=None, init=False)
    _is_over: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.cares_for not in TOPICS:
            raise ConfigError(f"got cares_for={self.cares_for!r}; expected one of {TOPICS}.")

    @classmethod
    def drawn(cls, generator: np.random.Generator, cost: float = 0.1) -> "TalkWorld":
        return cls(cares_for=str(generator.choice(TOPICS)), cost=cost)

    @property
    def difficulty(self) -> int:
        """One: partners are equally hard to read."""
        return 1

    def best_action(self) -> str:
        """Ask in turn until one is wanted or one is left, and offer that."""
        left = [topic for topic in TOPICS if topic not in self._refused]
        if self._wanted is not None or len(left) == 1:
            return f"offer {self._wanted or left[0]}"
        return f"ask {left[0]}"

    def step(self, action: str) -> Turn:
        if self._is_over:
            raise ConfigError("this world is over; expected a new one for every rollout.")
        self._turns += 1
        verb, _, topic = action.strip().partition(" ")
        is_offer = verb == "offer" and topic in TOPICS
        self._is_over = is_offer or self._turns >= self.most_turns
        if is_offer:
            reward = float(topic == self.cares_for)
            return Turn(text="", reward=reward, is_over=True)
        if verb == "ask" and topic in TOPICS:
            said = "yes" if topic == self.cares_for else "no"
            if said == "yes":
                self._wanted = topic
            else:
                self._refused = (*self._refused, topic)
        else:
            said = "what"
        return Turn(text=said, reward=-self.cost, is_over=self._is_over)


@dataclass(frozen=True, kw_only=True)
class FindWish:
    """The task: partners who each care for one topic."""

    cost: float = 0.1

    def draw_world(self, generator: np.random.Generator) -> TalkWorld:
        return TalkWorld.drawn(generator, cost=self.cost)
