"""What was taken of a menu teaches more than clicks do: people of Swissmetro, raters of films and
voters on statements who come one by one.

Theirs: no paper's figure but no gain at all, what an online learner from choices (McFadden 1974;
Spiegelhalter and Lauritzen 1990) must beat beside one from clicks (logistic Thompson sampling,
Chapelle and Li 2011). Ours: gains in reward a round with 95 % intervals; all learn with one rule,
Thompson's, and one prior; what stood in front earns 1 where the person took it. "clicks" are told
the same as "pick", as a yes or no of each option by itself; "click" only whether what stood in
front was taken. Swissmetro: trips and what was chosen (bundled sample). Films: menus of three that
one person rated in one situation, of which the one rated highest was taken; data of
`context_ratings` (Zheng et al. 2015), weights of each film by place, company and day, hashed.
Statements: menus of three that one person voted on, of which they agreed with one alone, which was
taken; `statement_votes`, the conversation with the fewest statements, a level of each. Intervals
are clustered by person and paired; features of trips have mean 0 and standard deviation 1 over all
rounds, for all alike. Not met: of films and statements, where weights are mostly levels, one choice
teaches no more than the same as three clicks. Tiny: 15 people of Swissmetro, 2 orders. 2 minutes on
one core.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from penchant.data.samples import swissmetro
from penchant.encoders.hashed import HashedMenu
from penchant.encoders.table import TableEncoder
from penchant.evaluation.arrivals import Contender, compare_arrivals
from penchant.evaluation.claims import Claim, no_worse
from penchant.evaluation.recipes import results, run_recipe, shared_file
from penchant.policies.bandits.rules import Thompson
from penchant.simulation.arrivals import Arrivals, arrivals_of

FORMULA = "option + time + cost + headway"


@dataclass(frozen=True, kw_only=True)
class Config:
    """num_people: who come in each order; of films and statements all, who are fewer. has_shared:
    also films and statements, which are not bundled."""

    num_people: int = 200
    num_orders: int = 5
    has_shared: bool = True
    num_hashed: int = 256
    conversation: str = "brexit-consensus"
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_people=15, num_orders=2, has_shared=False)


def main(config: Config) -> dict[str, Any]:
    data = {"Swissmetro": travellers()}
    if config.has_shared:
        data |= {"films": raters(config), "statements": voters(config)}
    claims, not_met, facts = [], [], dict[str, list[float]]()
    for name, arrivals in data.items():
        orders = [
            arrivals.in_another_order(np.random.default_rng((config.seed, s)), config.num_people)
            for s in range(config.num_orders)
        ]
        for told in ("click", "clicks"):
            pair = [Contender(name=t, rule=Thompson(), told=t) for t in (told, "pick")]
            found = compare_arrivals(orders, pair)
            clicked, picked = found.standings
            claim = gains(f"{name}, pick beside {told}", picked.gain, picked.gain_low)
            is_short = name != "Swissmetro" and told == "clicks"
            (not_met if is_short else claims).append(claim)
            facts[f"{name}, {told}"] = [clicked.earned, clicked.low, clicked.high]
            facts[f"{name}, gain beside {told}"] = [picked.gain, picked.gain_low, picked.gain_high]
        facts[f"{name}, pick"] = [picked.earned, picked.low, picked.high]
    return results(claims, not_met=not_met, earned_a_round=facts)


def gains(what: str, gain: float, low: float) -> Claim:
    """Holds where the lower end of the gain's interval is above nothing at all."""
    return no_worse(f"{what}: gain a round", 0.0, gain, slack=low - gain, source="no gain")


def travellers() -> Arrivals:
    """Real trips, and which way was chosen."""
    trips = swissmetro()
    return arrivals_of(TableEncoder(FORMULA).fit(trips).encode(trips))


def raters(config: Config) -> Arrivals:
    """Menus of three films in one situation; those without one best film are left out."""
    encoder = HashedMenu(num_features=config.num_hashed, parts=("name", "name*context"))
    rng, seen = np.random.default_rng((config.seed, 1)), dict[tuple, list[tuple[str, int]]]()
    lines = pq.read_table(shared_file("context_ratings/movies.parquet")).to_pylist()
    for line in lines:
        situation = (line["user_id"], line["location"], line["companion"], line["time"])
        seen.setdefault(situation, []).append((line["movie"], line["rating"]))
    features, person, chosen = [], [], []
    people = {name: p for p, name in enumerate(sorted({key[0] for key in seen}))}
    for key, rated in seen.items():
        shuffled = [rated[k] for k in rng.permutation(len(rated))]
        context = dict(zip(("location", "companion", "time"), key[1:]))
        for start in range(0, len(shuffled) - 2, 3):
            menu = shuffled[start : start + 3]
            ratings = [rating for _, rating in menu]
            if ratings.count(max(ratings)) == 1 and len({film for film, _ in menu}) == 3:
                features.append([encoder.encode(film, {}, context) for film, _ in menu])
                person.append(people[key[0]])
                chosen.append(int(np.argmax(ratings)))
    return threes(features, person, chosen)


def voters(config: Config) -> Arrivals:
    """Menus of one statement that somebody agreed with among two that they did not."""
    encoder = HashedMenu(num_features=config.num_hashed // 4, parts=("name",))
    rng, votes = np.random.default_rng((config.seed, 2)), dict[int, tuple[list, list]]()
    of_one = [("conversation", "=", config.conversation)]
    for line in pq.read_table(
        shared_file("statement_votes/votes.parquet"), filters=of_one
    ).to_pylist():
        both = votes.setdefault(line["participant"], ([], []))
        both[line["vote"] != 1].append(str(line["statement"]))
    features, person, chosen = [], [], []
    for who, (yes, no) in sorted(votes.items()):
        agreed, rest = rng.permutation(yes), rng.permutation(no)
        for k in range(min(len(agreed), len(rest) // 2)):
            order = rng.permutation(3)
            menu = np.array([agreed[k], rest[2 * k], rest[2 * k + 1]])[order]
            features.append([encoder.encode(name, {}, {}) for name in menu])
            person.append(who)
            chosen.append(int(np.flatnonzero(order == 0)[0]))
    return threes(features, person, chosen)


def threes(features: list, person: list[int], chosen: list[int]) -> Arrivals:
    """Menus of three."""
    return Arrivals(
        features=np.array(features), offered=np.ones((len(chosen), 3), dtype=bool),
        person=np.array(person), chosen=np.array(chosen),
    )  # fmt: skip


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
