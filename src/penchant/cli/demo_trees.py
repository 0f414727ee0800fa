"""The black box to beat: gradient-boosted trees on the same columns, tuned a little.

Legend: B observations, C options by name, D features, Q columns of rows, N options over all menus.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from penchant.data.batch_builder import groups_of
from penchant.data.columns import is_number, to_codes, to_dictionary, to_floats, to_ints
from penchant.data.records import Records
from penchant.errors import DataError, MissingExtraError
from penchant.numerics.arrays import Array


@dataclass(eq=False)
class BoostedTrees:
    """Histogram gradient boosting (Friedman 2001) on one line per observation.

    Every column of the row, every feature of every option, and, where a history is given, the
    shares of the options among the person's other answers, smoothed by one answer of the market.
    Which option was chosen is the class; options that were not offered get probability 0.
    """

    max_iter: int = 250
    learning_rate: float = 0.05
    max_leaf_nodes: int = 12
    min_samples_leaf: int = 40
    l2_regularization: float = 10.0
    max_features: float = 0.3
    random_state: int = 0
    train_: Records | None = field(default=None, repr=False)

    def fit(self, data: Records) -> "BoostedTrees":
        """Keep the data; trees are grown when it is known whether histories will be given."""
        _sklearn()
        self.train_ = data
        self._coding = Coding.of(data)
        self._grown: dict[bool, Any] = {}
        return self

    def predict_proba(self, data: Records, history: Records | None = None) -> Float[Array, " N"]:
        """The probability of each option shown, in the order of `data.options`."""
        coding, with_history = self._coding, history is not None
        columns = coding.columns(data)
        if history is not None:
            columns = np.concatenate([columns, self._shares(data, history)], axis=1)
        probability = self._model(with_history).predict_proba(columns)
        option = coding.option_codes(data)
        flat = probability[data.row_of_option, option]
        total = np.add.reduceat(flat, data.offsets[:-1])
        return flat / np.repeat(total, data.menu_sizes)

    def _model(self, with_history: bool) -> Any:
        if with_history not in self._grown:
            assert self.train_ is not None
            data, coding = self.train_, self._coding
            columns = coding.columns(data)
            if with_history:
                columns = np.concatenate([columns, self._shares(data, None)], axis=1)
            chosen = coding.chosen(data)
            if len(np.unique(chosen)) < len(coding.options):
                raise DataError(
                    "trees need every option to be chosen at least once in the data they learn "
                    "from; expected more data or fewer options."
                )
            self._grown[with_history] = _sklearn()(
                max_iter=self.max_iter,
                learning_rate=self.learning_rate,
                max_leaf_nodes=self.max_leaf_nodes,
                min_samples_leaf=self.min_samples_leaf,
                l2_regularization=self.l2_regularization,
                max_features=self.max_features,
                early_stopping=False,
                random_state=self.random_state,
            ).fit(columns, chosen)
        return self._grown[with_history]

    def _shares(self, data: Records, history: Records | None) -> Float[Array, "B C"]:
        """Shares of the options among a person's answers in `history`; None: their others here."""
        coding = self._coding
        assert self.train_ is not None
        market = np.bincount(coding.chosen(self.train_), minlength=len(coding.options))
        known = data if history is None else history
        person = {name: place for place, name in enumerate(groups_of(known, "person").names)}
        counts = np.zeros((len(person) + 1, len(coding.options)))
        np.add.at(counts, (groups_of(known, "person").of_row, coding.chosen(known)), 1.0)
        asked = groups_of(data, "person")
        # A person without history stands at the last line, which is empty.
        place = np.array([person.get(name, -1) for name in asked.names])
        own = counts[place[asked.of_row]]
        if history is None:
            own[np.arange(len(data)), coding.chosen(data)] -= 1.0
        return (own + market / market.sum()) / (own.sum(axis=1, keepdims=True) + 1.0)


@dataclass(frozen=True, kw_only=True)
class Coding:
    """How columns become numbers: levels of categories, names of options and features."""

    options: tuple[str, ...]
    features: tuple[str, ...]
    row_columns: tuple[str, ...]
    levels: dict[str, dict[str, int]]

    @classmethod
    def of(cls, data: Records) -> "Coding":
        """The coding that the records' own levels give."""
        row_columns = (*data.columns("person_feature"), *data.columns("context"))
        features = tuple(
            name for name in data.columns("feature") if is_number(data.options[name].type)
        )
        levels = {}
        for name in row_columns:
            if not is_number(data.rows[name].type):
                words = to_codes(to_dictionary(data.rows[name]))[1]
                levels[name] = {word: place for place, word in enumerate(sorted(words))}
        options = tuple(sorted(to_codes(to_dictionary(data.options["option"]))[1]))
        return cls(options=options, features=features, row_columns=row_columns, levels=levels)

    def columns(self, data: Records) -> Float[Array, "B Q"]:
        """One line per observation; features of options that were not offered are missing."""
        parts = [self._row_column(data, name)[:, None] for name in self.row_columns]
        option, row = self.option_codes(data), data.row_of_option
        for name in self.features:
            wide = np.full((len(data), len(self.options)), np.nan)
            wide[row, option] = to_floats(data.options[name])
            parts.append(wide)
        return np.concatenate(parts, axis=1)

    def option_codes(self, data: Records) -> Int[Array, " N"]:
        """Which option each line of the options is."""
        codes, words = to_codes(to_dictionary(data.options["option"]))
        place = {name: index for index, name in enumerate(self.options)}
        return np.array([place.get(word, -1) for word in words], dtype=np.int64)[codes]

    def chosen(self, data: Records) -> Int[Array, " B"]:
        """Which option was chosen."""
        return self.option_codes(data)[data.offsets[:-1] + to_ints(data.rows["chosen"])]

    def _row_column(self, data: Records, name: str) -> Float[Array, " B"]:
        column = data.rows[name]
        if name not in self.levels:
            return to_floats(column)
        codes, words = to_codes(to_dictionary(pa.chunked_array(column)))
        place = np.array([self.levels[name].get(word, np.nan) for word in words] + [np.nan])
        return place[codes]


def _sklearn() -> Any:
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError:
        raise MissingExtraError(
            "gradient-boosted trees need scikit-learn, which is not installed; expected the extra "
            "[demo]. Install it with: pip install 'penchant[demo]'."
        ) from None
    return HistGradientBoostingClassifier
