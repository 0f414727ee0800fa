"""Records and a formula become a batch: the encoder of tables.

Legend: B observations, N options over all menus, D features, G groups, Q group features,
R lines of a sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch
from penchant.data.batch_builder import build_batch, groups_of, with_option_names
from penchant.data.columns import to_codes
from penchant.data.records import Records
from penchant.encoders.coding import Coding
from penchant.encoders.design import Design
from penchant.encoders.formula import Formula, closest, columns_of
from penchant.encoders.formula_parser import parse
from penchant.encoders.source import Source, all_levels
from penchant.errors import ConfigError, DataError, NotFittedError
from penchant.numerics.arrays import Array

# Feedback that speaks of one option by itself: there, what a menu's options share matters too.
_ABSOLUTE_KINDS = {"rating", "approval", "binary", "outcome"}
_SAMPLE_OF_MENUS = 2000
_MOST_COLUMNS_TO_CHECK = 500
_MOST_NAMED = 8


@dataclass(frozen=True)
class Levels:
    """The levels of a category, in order; `of` is a column, or C(column) for numbers."""

    of: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Scale:
    """What `scale(...)` learned of the expression inside: its mean and standard deviation."""

    of: str
    mean: float
    deviation: float


@dataclass(frozen=True)
class TableState:
    """What `fit` learned, in plain values."""

    feature_names: tuple[str, ...]
    group_feature_names: tuple[str, ...]
    levels: tuple[Levels, ...]
    scales: tuple[Scale, ...]
    absorbs_context: bool
    notes: tuple[str, ...]
    option_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableEncoder:
    """Features of the options from a formula (its language: `formula.py`, docs/encoders.md).

    `formula` describes each option of each menu, `group_formula` each group (people, unless
    `group_by` says otherwise: "row", or any column of the rows) from columns of the rows, averaged
    over the rows of the group. Words are categories, numbers are numbers, C(number) is a category;
    the reference is the first level in sorted order, so that it does not depend on which people
    are in the sample. `unseen` says what to do with a level that `fit` never saw: "error", or
    "reference" to treat it as the reference level and count it in the batch's notes.
    """

    formula: str
    group_formula: str = ""
    group_by: str = "person"
    unseen: str = "error"
    state: TableState | None = None

    def __post_init__(self) -> None:
        if self.unseen not in ("error", "reference"):
            raise ConfigError(
                f"unseen = {self.unseen!r}; expected 'error' or 'reference' (count unseen levels "
                "as the reference level)."
            )
        parse(self.formula), parse(self.group_formula)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name for each column; each name is itself a formula for that column."""
        return self._learned().feature_names

    @property
    def group_feature_names(self) -> tuple[str, ...]:
        """One name for each column of the group features."""
        return self._learned().group_feature_names

    def fit(self, records: Records) -> "TableEncoder":
        """The same encoder with levels, means and scales learned from these records.

        Raises ConfigError or DataError, pointing at the place in the formula, if a column is
        unknown, holds the wrong thing, or changes no choice.
        """
        is_strict = self.unseen == "error"
        absorbs_context = _ABSOLUTE_KINDS.isdisjoint(
            records.kinds[np.unique(records.kind_codes)].tolist()
        )
        designs = []
        for text, is_group in ((self.formula, False), (self.group_formula, True)):
            formula = parse(text)
            source = Source(records, formula)
            levels = all_levels(source, formula, is_strict)
            coding = Coding(source, formula, levels, absorbs_context and not is_group)
            design = Design(coding, {})
            _refuse_options(design, formula) if is_group else None
            design.learn_scales()
            designs.append(design)
        options, groups = designs
        state = TableState(
            feature_names=options.feature_names,
            group_feature_names=groups.feature_names,
            levels=tuple(Levels(of, names) for of, names in _joined(designs, "levels").items()),
            scales=tuple(Scale(of, *pair) for of, pair in _joined(designs, "scales").items()),
            absorbs_context=absorbs_context,
            notes=(),
            option_names=tuple(str(name) for name in to_codes(records.options["option"])[1]),
        )
        fitted = replace(self, state=state)
        return replace(fitted, state=replace(state, notes=_doubts(fitted, records)))

    def encode(self, records: Records) -> Batch:
        """These records as a batch.

        Raises DataError if a value that counts is missing, a level was never seen (unless
        `unseen` is "reference"), or a column is gone or changed its type since `fit`.
        """
        state = self._learned()
        options = self._design(records, is_group=False)
        features = options.columns()
        groups = groups_of(records, self.group_by)
        group_design = self._design(records, is_group=True)
        by_row = group_design.columns(of_rows=True)
        batch = build_batch(
            records,
            features,
            state.feature_names,
            _means(by_row, groups.of_row, len(groups.names)),
            state.group_feature_names,
            self.group_by,
        )
        batch = with_option_names(batch, state.option_names)
        unseen = {**group_design.unseen, **options.unseen}
        notes = tuple(
            f"column {column!r}: {count} lines have a level not seen when fitting and count as the "
            "reference level"
            for column, count in unseen.items()
        )
        return replace(batch, notes=(*batch.notes, *state.notes, *notes))

    def encode_features(self, records: Records) -> Float[Array, "N D"]:
        """The features alone, one line per option over all menus."""
        return self._design(records, is_group=False).columns()

    def _learned(self) -> TableState:
        if self.state is None:
            raise NotFittedError(
                "this encoder has not seen any data; expected a fitted one. Call "
                "`encoder.fit(records)` and use what it returns."
            )
        return self.state

    def _design(self, records: Records, is_group: bool) -> Design:
        state = self._learned()
        formula = parse(self.group_formula if is_group else self.formula)
        coding = Coding(
            Source(records, formula),
            formula,
            {levels.of: levels.names for levels in state.levels},
            state.absorbs_context and not is_group,
        )
        scales = {scale.of: (scale.mean, scale.deviation) for scale in state.scales}
        design = Design(coding, scales, self.unseen == "reference")
        expected = state.group_feature_names if is_group else state.feature_names
        if design.feature_names != expected:
            strange = next(n for n in (*design.feature_names, *expected)
                           if (n in design.feature_names) != (n in expected))  # fmt: skip
            raise DataError(
                f"the formula gives other columns than when it was fitted ({strange!r} is in one "
                "and not in the other); expected a column to stay in the table (rows or options) "
                "it was in. Read these data as those for the fit were read."
            )
        return design


def _joined(designs: list[Design], attribute: str) -> dict[str, Array]:
    return {key: value for design in designs for key, value in getattr(design, attribute).items()}


def _refuse_options(design: Design, formula: Formula) -> None:
    for term in formula.terms:
        for factor in term.factors:
            if not design.coding.is_of_rows(factor):
                rows = design.source.records.rows.column_names
                raise ConfigError(
                    f"the group formula has {factor}, which differs between the options of a menu; "
                    f"expected columns of the rows. {closest(str(factor), rows)}"
                )


def _means(values: Float[Array, "B Q"], group: Int[Array, " B"], num: int) -> Float[Array, "G Q"]:
    counts = np.bincount(group, minlength=num)
    sums = [np.bincount(group, column, minlength=num) for column in values.T]
    return np.stack(sums, axis=1) / counts[:, None] if sums else np.zeros((num, 0))


def _doubts(encoder: TableEncoder, records: Records) -> tuple[str, ...]:
    """Sentences about columns that no choice can tell apart."""
    names = encoder.feature_names
    if names and records.outside_option is not None and "option" not in _read(encoder.formula):
        return (
            f"the formula has no constant: the outside option {records.outside_option!r} is worth "
            "as much as an option whose features are all zero (or at their reference level). Write "
            f"`option[{records.outside_option}]` for a constant of its own",
            *_collinear(encoder, records),
        )
    return _collinear(encoder, records)


def _read(formula: str) -> set[str]:
    """The names of the columns that a formula reads."""
    factors = (factor for term in parse(formula).terms for factor in term.factors)
    return {column.name for factor in factors for column in columns_of(factor)}


def _collinear(encoder: TableEncoder, records: Records) -> tuple[str, ...]:
    names = encoder.feature_names
    if not 0 < len(names) <= _MOST_COLUMNS_TO_CHECK or not len(records):
        return ()
    # A sample acquits at little cost; only what it accuses is tried on all data.
    step = max(1, len(records) // _SAMPLE_OF_MENUS)
    trial = records.take(np.arange(0, len(records), step)) if step > 1 else records
    if step > 1 and not len(_guilty(encoder, trial)):
        return ()
    columns = _differences(encoder, records)
    flat = np.flatnonzero(np.abs(columns).max(axis=0) <= 1e-12)
    guilty = np.setdiff1d(dependent_columns(columns), flat)
    within = "within a menu" if encoder._learned().absorbs_context else "at all"
    notes = []
    if len(flat) == 1:
        notes.append(
            f"feature {names[flat[0]]!r} does not vary {within}: no choice can say its worth"
        )
    elif len(flat):
        notes.append(
            f"{len(flat)} features do not vary {within}, so that no choice can say their worths: "
            f"{_some(names, flat)}"
        )
    if len(guilty) == 1:
        notes.append(
            f"feature {names[guilty[0]]!r} is a combination of features before it (collinear): "
            "their worths cannot be told apart"
        )
    elif len(guilty):
        notes.append(
            f"{len(guilty)} features are combinations of features before them (collinear), so that "
            f"their worths cannot be told apart: {_some(names, guilty)}"
        )
    return tuple(notes)


def _some(names: Sequence[str], which: Int[Array, " C"]) -> str:
    """The first few of them by name, and how many more there are."""
    named = ", ".join(repr(names[d]) for d in which[:_MOST_NAMED])
    rest = len(which) - _MOST_NAMED
    return named if rest <= 0 else f"{named} and {rest} more"


def _guilty(encoder: TableEncoder, records: Records) -> Int[Array, " C"]:
    return dependent_columns(_differences(encoder, records))


def _differences(encoder: TableEncoder, records: Records) -> Float[Array, "R D"]:
    """The features, minus their menu's mean where only differences within a menu matter."""
    features = encoder.encode_features(records)
    if not encoder._learned().absorbs_context:
        return features
    sizes = records.menu_sizes
    means = np.add.reduceat(features, records.offsets[:-1], axis=0) / sizes[:, None]
    return features - np.repeat(means, sizes, axis=0)


def dependent_columns(columns: Float[Array, "R D"], tolerance: float = 1e-9) -> Int[Array, " C"]:
    """The columns that are combinations of columns before them (a constant zero column is one).

    Gram-Schmidt on the Gram matrix of the columns at unit length: column d depends on the earlier
    ones if the part of it that they leave unexplained is below `tolerance` of its square.
    """
    gram = columns.T @ columns
    length = np.sqrt(np.diag(gram))
    gram = gram / np.where(length > 0, length, 1.0)[:, None] / np.where(length > 0, length, 1.0)
    dependent = []
    for d in range(len(gram)):
        if gram[d, d] <= tolerance:
            dependent.append(d)
            continue
        gram = gram - np.outer(gram[:, d], gram[d]) / gram[d, d]
    return np.array(dependent, dtype=np.int64)
