"""Pairs of answers as they are given, and how they are read together.

Legend: B pairs, C pairs or people of a step, G people, Q features of a person.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.lm.language_model import LanguageModel
from penchant.lm.tokens import fingerprint
from penchant.numerics.arrays import Array
from penchant.policies.language.answers import Answers, answers_of, check_people, check_scored
from penchant.policies.language.layout import Layout, settled
from penchant.policies.language.lists import Lists, list_answers


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Two answers to a prompt as rows of tokens, the prompt in both; from `place` on they are
    scored. first_wins: the probability that the first is the better one. person: whose taste it
    is, from 0 on; everybody their own where nobody is known. first_own, second_own: of several
    turns, which tokens of a row the policy wrote: what a tool or a world said is as likely under
    any policy, and is not scored (M-DPO, Xiong et al. 2024). None: all from `place` on. weight: how
    often each counts, above 0; None counts all once."""

    first: Sequence[Sequence[int]]
    second: Sequence[Sequence[int]]
    place: Int[Array, " B"]
    first_wins: Float[Array, " B"]
    person: Int[Array, " B"]
    first_own: Sequence[Sequence[bool]] | None = None
    second_own: Sequence[Sequence[bool]] | None = None
    weight: Float[Array, " B"] | None = None

    def __post_init__(self) -> None:
        sizes = {len(self.first), len(self.second), len(self.place), len(self.first_wins),
                 len(self.person)}  # fmt: skip
        sizes |= {len(given) for given in (self.first_own, self.second_own, self.weight)
                  if given is not None}  # fmt: skip
        if len(sizes) != 1 or not len(self.first):
            raise DataError(
                f"pairs came in lengths {sorted(sizes)}; expected one entry each of first, second, "
                "place, first_wins and person for every pair, and a pair at the least."
            )
        if not np.all((self.first_wins >= 0.0) & (self.first_wins <= 1.0)):
            raise DataError(
                f"first_wins goes from {np.min(self.first_wins):g} to {np.max(self.first_wins):g}; "
                "expected probabilities that the first is the better one, 0 to 1."
            )
        check_people(self.person, self.weight)
        check_scored(self.first, self.place, self.first_own, "the first answer of pair")
        check_scored(self.second, self.place, self.second_own, "the second answer of pair")

    def __len__(self) -> int:
        return len(self.first)

    @property
    def rows(self) -> list[list[Sequence[int]]]:
        """Both answers of each."""
        return [[one, other] for one, other in zip(self.first, self.second)]

    @property
    def weights(self) -> Float[Array, " B"]:
        return np.ones(len(self)) if self.weight is None else self.weight


def some_pairs(pairs: Pairs, rows: Int[Array, " C"]) -> Pairs:
    """A part of them, with the same numbers for people."""
    first, second = (
        None if own is None else [own[b] for b in rows]
        for own in (pairs.first_own, pairs.second_own)
    )
    return Pairs(
        first=[pairs.first[b] for b in rows], second=[pairs.second[b] for b in rows],
        place=pairs.place[rows], first_wins=pairs.first_wins[rows], person=pairs.person[rows],
        first_own=first, second_own=second,
        weight=None if pairs.weight is None else pairs.weight[rows],
    )  # fmt: skip


def told_data(model: LanguageModel, pairs: Pairs | Lists, features: Float[Array, "G Q"]) -> str:
    """Of all that a training learns from: answers, who gave them, what is known of people."""
    import torch

    said = {"place": pairs.place, "person": pairs.person, "of": features, "weight": pairs.weights}
    if isinstance(pairs, Lists):
        said["sizes"] = pairs.sizes
        said["rank"] = np.concatenate([np.asarray(rank) for rank in pairs.rank])
    else:
        said["wins"] = pairs.first_wins
    numbers = {name: torch.from_numpy(values) for name, values in said.items()}
    if isinstance(pairs, Lists):
        flat = [row for mine in pairs.answers for row in mine]
        return fingerprint(flat, {**model.parameters, **numbers})
    for name, own in (("first_own", pairs.first_own), ("second_own", pairs.second_own)):
        if own is not None:
            numbers[name] = torch.tensor([each for row in own for each in row])
    return fingerprint([*pairs.first, *pairs.second], {**model.parameters, **numbers})


def pair_answers(model: LanguageModel, pairs: Pairs | Lists, rows: Int[Array, " C"]) -> Answers:
    """First and second answers by turns; of lists all of theirs."""
    if isinstance(pairs, Lists):
        return list_answers(model, pairs, rows)
    sides = ((pairs.first, pairs.first_own), (pairs.second, pairs.second_own))
    both = [side[b] for b in rows for side, _ in sides]
    own = [[True] * len(side[b]) if mine is None else mine[b] for b in rows for side, mine in sides]
    is_all = pairs.first_own is None and pairs.second_own is None
    return answers_of(model, both, np.repeat(pairs.place[rows], 2), None if is_all else own)


def settled_pairs(model: LanguageModel, pairs: Pairs | Lists, layout: Layout) -> Layout:
    """The layout that the model can be read in, tried on the first pairs (`layout.settled`)."""
    return settled(model, pair_answers(model, pairs, np.arange(min(2, len(pairs)))), layout)


def people_within(
    pairs: Pairs | Lists, people: Int[Array, " C"], budget: int, layout: Layout
) -> list[Int[Array, " _"]]:
    """People in parts whose answers have about so many tokens, the longest first: prompts counted
    once, or (padded) every answer as long as the part's longest."""
    longest, tokens, answers = (np.zeros(int(pairs.person.max()) + 1, dtype=int) for _ in range(3))
    sizes = np.array([[len(row) for row in mine] for mine in pairs.rows])
    num = sizes.shape[1]
    np.maximum.at(longest, pairs.person, sizes.max(axis=1))
    np.add.at(tokens, pairs.person, sizes.sum(axis=1) - (num - 1) * pairs.place)
    np.add.at(answers, pairs.person, num)
    parts: list[list[int]] = []
    read = rows = 0
    for person in people[np.argsort(-longest[people], kind="stable")].tolist():
        rows, read = rows + answers[person], read + tokens[person]
        size = rows * longest[parts[-1][0]] if parts and layout == "padded" else read
        if not parts or size > budget:
            parts.append([])
            rows, read = answers[person], tokens[person]
        parts[-1].append(person)
    return [np.array(part) for part in parts]
