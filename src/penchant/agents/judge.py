"""A language model as a judge of answers, behind an address: pairs in both orders, so that a liking
for a place cancels out."""

import math
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from penchant.errors import DataError
from penchant.lm.remote import Endpoint, asked
from penchant.simulation.tasks.task import Problem

_ASK = (
    "Which of two answers to the request is better?\n\n[Request]\n{prompt}\n\n[Answer A]\n{first}"
    "\n\n[Answer B]\n{second}\n\nReply with one letter, A or B, and nothing else."
)
_LETTER = re.compile(r"\s*[\[\(\"'*]*([ABab])\b")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """first: the probability that the first answer is the better one, over both orders. by_place:
    how much more likely either is called better for standing first (0 for a judge who does not
    mind, 1 for one who always names the first)."""

    first: float
    by_place: float


@dataclass(frozen=True, kw_only=True)
class Judge:
    """A chat model of an OpenAI-compatible server, asked for one letter. `ask` holds {prompt},
    {first} and {second}. Where the server gives log-probabilities of the letters their shares
    count, else the letter that it wrote."""

    endpoint: Endpoint
    ask: str = _ASK
    sleep: Callable[[float], None] = time.sleep

    def compare(self, prompt: str, first: str, second: str) -> Verdict:
        """Zheng et al. (2023): asked in both orders, p = (p(A | 1, 2) + 1 - p(A | 2, 1)) / 2.

        Raises `EndpointError` where the server cannot be asked, `DataError` where it does not
        answer with A or B: no verdict is not one half.
        """
        one, other = (
            self._first_is_better(prompt, *pair) for pair in ((first, second), (second, first))
        )
        return Verdict(first=0.5 * (one + 1.0 - other), by_place=one + other - 1.0)

    def compare_all(self, rows: Sequence[tuple[str, str, str]]) -> list[Verdict | Exception]:
        """Of each prompt with two answers; the error, where one could not be judged."""

        def one(row: tuple[str, str, str]) -> Verdict | Exception:
            try:
                return self.compare(*row)
            except (DataError, OSError) as error:
                return error

        with ThreadPoolExecutor(self.endpoint.parallel) as workers:
            return list(workers.map(one, rows))

    def grade(self, problem: Problem, response: str) -> float:
        """The probability that a response is better than the problem's demonstration: a component
        of a reward."""
        return self.compare(problem.prompt, response, problem.demonstration).first

    def _first_is_better(self, prompt: str, first: str, second: str) -> float:
        # Not `format`: what people wrote may hold braces.
        text = self.ask
        parts = {"{prompt}": prompt, "{first}": first, "{second}": second}
        text = re.sub(r"\{(?:prompt|first|second)\}", lambda found: parts[found[0]], text)
        said = asked(
            self.endpoint, "chat/completions",
            {"model": self.endpoint.model, "messages": [{"role": "user", "content": text}],
             "max_tokens": 4, "temperature": 0.0, "logprobs": True, "top_logprobs": 5},
            self.sleep,
        )  # fmt: skip
        try:
            choice = said["choices"][0]
            content = str(choice["message"]["content"])
        except (KeyError, IndexError, TypeError) as error:
            raise DataError(
                f"{self.endpoint.url} answered {str(said)[:200]!r}; expected a choice with a "
                "message. Is it a server of chat?"
            ) from error
        share = _share_of_a(choice)
        if share is not None:
            return share
        letter = _LETTER.match(content)
        if letter is None:
            raise DataError(
                f"the judge answered {content[:80]!r}; expected A or B. Ask for one letter and "
                "nothing else (`ask`), or take another model."
            )
        return float(letter[1].upper() == "A")


def _share_of_a(choice: Any) -> float | None:
    """p(A) / (p(A) + p(B)) of the first token, None where the server does not say both."""
    try:
        told = choice["logprobs"]["content"][0]["top_logprobs"]
        mass = {"A": 0.0, "B": 0.0}
        for one in told:
            letter = str(one["token"]).strip().upper()
            if letter in mass:
                mass[letter] += math.exp(float(one["logprob"]))
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    total = mass["A"] + mass["B"]
    # A tenth of what might have been said at the least, lest two rare letters be a verdict.
    return mass["A"] / total if total > 0.1 and min(mass.values()) > 0.0 else None
