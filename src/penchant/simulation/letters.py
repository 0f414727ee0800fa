"""Texts of letters whose worth depends on their prompt: truth for rewards on language models.

Legend: C prompts, L letters, N texts, T letters of a text, B pairs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array, sigmoid

_LETTERS, _PROMPTS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, kw_only=True, eq=False)
class LetterWorld:
    """Markov chains of letters, one a prompt, and what each letter is worth there (logits): one
    prompt's good letters are another's bad ones, so that only who reads both knows."""

    transition: Float[Array, "C L L"]
    worth: Float[Array, "C L"]

    @classmethod
    def draw(
        cls, rng: np.random.Generator, prompts: int = 3, letters: int = 8, size: float = 1.0
    ) -> "LetterWorld":
        """Chains that prefer a few successors (Dirichlet 1/2), normal worths of mean zero."""
        worth = size * rng.normal(size=(prompts, letters))
        return cls(
            transition=rng.dirichlet(np.full(letters, 0.5), size=(prompts, letters)),
            worth=worth - worth.mean(axis=1, keepdims=True),
        )

    def texts(
        self, prompt: Int[Array, " N"], length: int, rng: np.random.Generator
    ) -> Int[Array, "N T"]:
        """A text for each prompt, as numbers of letters."""
        drawn = np.empty((len(prompt), length), dtype=np.int64)
        drawn[:, 0] = rng.integers(self.worth.shape[1], size=len(prompt))
        reach = self.transition.cumsum(axis=2)
        for place in range(1, length):
            uniform = rng.random((len(prompt), 1))
            last = (uniform > reach[prompt, drawn[:, place - 1]]).sum(axis=1)
            drawn[:, place] = np.minimum(last, self.worth.shape[1] - 1)
        return drawn

    def worths(self, prompt: Int[Array, " N"], text: Int[Array, "N T"]) -> Float[Array, " N"]:
        """The sum of the letters' worths at the prompt."""
        return self.worth[prompt[:, None], text].sum(axis=1)

    def judged(self, num_pairs: int, length: int, rng: np.random.Generator) -> "JudgedTexts":
        """Pairs of texts at one prompt each, judged by Bradley and Terry's (1952) model."""
        prompt = rng.integers(len(self.worth), size=num_pairs)
        first, second = (self.texts(prompt, length, rng) for _ in range(2))
        gap = self.worths(prompt, first) - self.worths(prompt, second)
        return JudgedTexts(
            prompt=[_PROMPTS[each] for each in prompt],
            first=[written(text) for text in first],
            second=[written(text) for text in second],
            outcome=(rng.random(num_pairs) > sigmoid(gap)).astype(np.int64),
            gap=gap,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedTexts:
    """outcome: 0 where the first was preferred, 1 the second. gap: the truth, the first's worth
    less the second's, in logits."""

    prompt: list[str]
    first: list[str]
    second: list[str]
    outcome: Int[Array, " B"]
    gap: Float[Array, " B"]


def written(text: Int[Array, " T"]) -> str:
    """Numbers of letters as letters."""
    return "".join(_LETTERS[letter] for letter in text)


def prompt_letter(prompt: int) -> str:
    """How a prompt is written."""
    return _PROMPTS[prompt]
