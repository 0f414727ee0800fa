"""Reasons as heads hear them: the themes that they name, and what each contributed to a judgement.

Reasons of a few words at most (a rubric) are a theme each, and one that is called like an attribute
of the model is that attribute; of free texts like ones are one theme. A theme is a direction in
which texts are read too: a reason says that along it the better text differed most.

Legend: N options over all menus, R distinct reasons, T distinct texts, E dimensions of the
embedding, C attributes, J themes, W reasons, P parameters of the head.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.encoders.embedding import Embedded
from penchant.fitting.em import k_means
from penchant.fitting.reasoned_head import NamedThemes, Reading
from penchant.numerics.arrays import Array

# Distinct reasons up to which each is a theme of its own, and themes of free texts at most.
MOST_THEMES = 64
# Free reasons for each theme at least: of fewer the direction would be one writer's.
_REASONS_A_THEME = 3
# Reasons that themes are found by; the others take the nearest.
_MOST_CLUSTERED = 4096
_LONGEST_LABEL = 80


@dataclass(frozen=True, kw_only=True, eq=False)
class ReasonThemes:
    """labels: a reason of each theme. directions: of length one, in the head's units of the
    embedding; zero for a theme that is an attribute, whose place is `attribute`, else -1."""

    labels: tuple[str, ...]
    directions: Float[Array, "J E"]
    attribute: Int[Array, " J"]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReasonLessons:
    """row: the observation that each reason is of; named: its theme. side: as `winning_sides`
    tells; row_of_option: whose menu each text is on. usual: the share of reasons that name each
    theme. reading: how they are read."""

    row: Int[Array, " W"]
    named: Int[Array, " W"]
    side: Float[Array, " N"]
    row_of_option: Int[Array, " N"]
    themes: ReasonThemes
    usual: Float[Array, " J"]
    reading: Reading

    def heard(
        self,
        texts: tuple[Float[Array, "T E"], Float[Array, "T C"]],
        embedded: Embedded,
        kept: Bool[Array, " B"],
        weight: Float[Array, " B"],
        num_parameters: int,
    ) -> NamedThemes:
        """The reasons of these observations. texts: the numbers of each text about their mean and
        its attributes, both in the head's units."""
        vectors, form = texts[0], texts[1] - texts[1].mean(axis=0)
        themes, dimensions = self.themes, vectors.shape[1]
        of_text = vectors @ themes.directions.T
        named_form = np.flatnonzero(themes.attribute >= 0)
        of_text[:, named_form] = form[:, themes.attribute[named_form]]
        mine = np.flatnonzero(kept[self.row])
        rows, at = np.unique(self.row[mine], return_inverse=True)
        lines = np.flatnonzero(np.isin(self.row_of_option, rows))
        apart = self.side[lines, None] * of_text[embedded.of_option[lines]]
        start = np.searchsorted(self.row_of_option[lines], rows)
        along = np.add.reduceat(apart, start) if len(rows) else apart[:0]
        directions = np.zeros((len(themes), num_parameters))
        directions[:, :dimensions] = themes.directions
        directions[named_form, dimensions + themes.attribute[named_form]] = 1.0
        return NamedThemes(
            along=along[at.reshape(-1)], named=self.named[mine],
            weight=weight[self.row[mine]], directions=directions, usual=self.usual,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class NamedReasons:
    """The themes of some reasons, and which one each distinct reason names."""

    themes: ReasonThemes
    of_text: Int[Array, " R"]


def find_themes(
    texts: Sequence[str],
    vectors: Float[Array, "R E"],
    attributes: Sequence[str],
    seed: int,
) -> NamedReasons:
    """The themes of these distinct reasons; vectors: in the head's units, about what they are to be
    held against."""
    attribute = np.array([_attribute(text, attributes) for text in texts])
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(length > 0, length, 1.0)
    unit[attribute >= 0] = 0.0
    if len(texts) <= MOST_THEMES:
        labels = tuple(text[:_LONGEST_LABEL] for text in texts)
        themes = ReasonThemes(labels=labels, directions=unit, attribute=attribute)
        return NamedReasons(themes=themes, of_text=np.arange(len(texts)))
    free = np.flatnonzero(attribute < 0)
    # What all free reasons share is how one begins a sentence on why.
    apart = vectors[free] - vectors[free].mean(axis=0)
    apart = apart / np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-12)
    directions, cluster = _clusters(apart, seed)
    near = np.argmax(apart @ directions.T, axis=0)
    words = sorted({int(place) for place in attribute if place >= 0})
    of_text = np.empty(len(texts), dtype=np.int64)
    of_text[free] = cluster
    for number, place in enumerate(words):
        of_text[attribute == place] = len(directions) + number
    return NamedReasons(
        themes=ReasonThemes(
            labels=(*(texts[free[n]][:_LONGEST_LABEL] for n in near),
                    *(attributes[place] for place in words)),
            directions=np.concatenate([directions, np.zeros((len(words), vectors.shape[1]))]),
            attribute=np.array([-1] * len(directions) + words),
        ),
        of_text=of_text,
    )  # fmt: skip


def _attribute(text: str, attributes: Sequence[str]) -> int:
    word = text.casefold().replace(" ", "_").replace("-", "_")
    return attributes.index(word) if word in attributes else -1


def _clusters(unit: Float[Array, "R E"], seed: int) -> tuple[Float[Array, "J E"], Int[Array, " R"]]:
    """Directions that like reasons share, none empty, and the nearest one of each reason."""
    rng = np.random.default_rng(seed)
    some = unit[np.sort(rng.permutation(len(unit))[:_MOST_CLUSTERED])]
    num = int(np.clip(len(some) // _REASONS_A_THEME, 2, MOST_THEMES))
    label = k_means(some, num, rng)
    mean = np.stack([some[label == each].mean(axis=0) for each in np.unique(label)])
    directions = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    nearest = np.argmax(unit @ directions.T, axis=1)
    used, of_text = np.unique(nearest, return_inverse=True)
    return directions[used], of_text.reshape(-1)
