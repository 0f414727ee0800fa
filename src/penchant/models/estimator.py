"""What every estimator can do once it is fitted: predict, score, summarise, save.

Legend: N options over all menus of the records, B observations.
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from penchant.beliefs.belief import Belief, Encoder
from penchant.beliefs.foretold import Foretold, check_answers, foretell, mean_of
from penchant.data.batch import Batch
from penchant.data.batch_builder import is_answered
from penchant.data.records import Records
from penchant.encoders.items import ItemEncoder
from penchant.encoders.table import TableEncoder
from penchant.errors import ConfigError, DataError, NotFittedError
from penchant.feedback.channel_contract import Channel
from penchant.fitting.checkpoint import Checkpoint
from penchant.fitting.pooled import fit_pooled
from penchant.fitting.shrinkage import Shrinkage
from penchant.models.summary import Summary, summarise
from penchant.numerics.arrays import Array, log_sum_exp
from penchant.utilities.items import Items
from penchant.utilities.linear import Linear


class Estimator:
    """The habits of scikit-learn for a dataclass whose fields are its parameters.

    The constructor only stores. `fit`, which each estimator has of its own, returns the estimator
    and leaves one learned attribute, `belief_`; everything else reads that.
    """

    # Every subclass is a dataclass, and so has these.
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    belief_: Belief
    # Estimators that average their predictions over draws of our doubt have a field of this name.
    doubt_draws: int = 0
    random_state: int = 0

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments, by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def set_params(self, **params: Any) -> Any:
        """Change constructor arguments; the belief is kept until the next `fit`."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ConfigError(
                    f"{type(self).__name__} has no parameter {name!r}; expected one of "
                    f"{sorted(known)}."
                )
            setattr(self, name, value)
        return self

    def predict_proba(
        self, data: Records | Batch, history: Records | Batch | None = None
    ) -> Float[Array, " N"]:
        """Probability of each option shown, in the order of the records' options.

        `history`: earlier answers of the same people, which sharpen what is known of each.
        """
        belief = self._belief()
        batch = encoded(belief, data)
        known = None if history is None else encoded(belief, history)
        if self.doubt_draws:
            rng = np.random.default_rng(self.random_state)
            blocks = belief.forecast(batch, known, num_draws=self.doubt_draws, rng=rng)
        else:
            blocks = belief.predict_proba(batch, known)
        return batch.flat(blocks)

    def score(self, data: Records | Batch, history: Records | Batch | None = None) -> float:
        """Mean log-probability of what people answered, in nats per row; higher is better.

        Averaged over draws of our doubt, as predictions are, where there are `doubt_draws`.
        """
        batch = encoded(self._belief(), data)
        logs = np.concatenate(self.log_prob(batch, history))
        weights = np.concatenate([block.weight for block in batch.blocks])
        return float(np.average(logs, weights=weights))

    def encode(self, data: Records) -> Batch:
        """Records as the features that were learnt from."""
        return self._belief().encode(data)

    def log_prob(
        self, data: Records | Batch, history: Records | Batch | None = None
    ) -> tuple[Float[Array, " _"], ...]:
        """Log-probability of each answer in nats, block by block of the batch (`encode`).

        Averaged over draws of our doubt where there are `doubt_draws`. Raises `DataError` for an
        answer that was held impossible, such as a rating above all that were learnt from.
        """
        belief = self._belief()
        batch = encoded(belief, data)
        check_answers(belief, batch)
        known = None if history is None else encoded(belief, history)
        each = [one.log_prob(batch, known) for one in self._doubted(belief)]
        return tuple(log_sum_exp(np.stack(logs), axis=0) - np.log(len(each)) for logs in zip(*each))

    def foretell(
        self, data: Records | Batch, history: Records | Batch | None = None
    ) -> tuple[Foretold, ...]:
        """What is expected of answers of every kind, block by block of the batch (`encode`).

        `predict_proba` tells of choices alone; this also how likely each rating is and its mean,
        ties, grades, who is worst, what is approved. `history`: as there.
        """
        belief = self._belief()
        batch = encoded(belief, data)
        known = None if history is None else encoded(belief, history)
        return mean_of([foretell(one, batch, known) for one in self._doubted(belief)])

    def summary(self) -> Summary:
        """Estimates, errors and fit, ready to print as text, Markdown, LaTeX or HTML."""
        return summarise(self._belief(), title=type(self).__name__)

    def save(self, folder: str | Path) -> None:
        """Write the belief to a folder; `Belief.load` reads it."""
        self._belief().save(folder)

    def _doubted(self, belief: Belief) -> tuple[Belief, ...]:
        """The belief itself, or draws of it where predictions are averaged over our doubt."""
        if not self.doubt_draws:
            return (belief,)
        rng = np.random.default_rng(self.random_state)
        return belief.sample(self.doubt_draws, rng, antithetic=True)

    def _belief(self) -> Belief:
        try:
            return self.belief_
        except AttributeError:
            raise NotFittedError(
                f"this {type(self).__name__} has not been fitted; call fit(data) first."
            ) from None


def encoded(belief: Belief, data: Records | Batch) -> Batch:
    """Data as a batch with the belief's features, checked by name."""
    if isinstance(data, Records):
        return belief.encode(data)
    # Classes hold each taste several times, so the population names what the tastes become.
    tastes = belief.utility.taste_names(data)
    expected = belief.population.parameter_names(tastes, data.group_feature_names)
    known = belief.parameter_names[: len(expected)]
    if expected != known:
        raise DataError(
            f"the batch gives parameters {expected[:8]}; the belief was fitted with {known[:8]}. "
            "Give the same features in the same order; of records, `belief.encode(records)` does."
        )
    return data


def training_batch(
    data: Records | Batch,
    encoder: TableEncoder | ItemEncoder | None,
    sample_weight: Float[Array, " B"] | None = None,
) -> tuple[Batch, Encoder | None]:
    """The batch to fit on and the fitted encoder (None where a batch came in).

    `sample_weight` multiplies the rows' own weights; one entry per row of the records.
    """
    fitted: TableEncoder | ItemEncoder | None = None
    if isinstance(data, Batch):
        batch = data
    elif isinstance(data, Records):
        if encoder is None:
            raise ConfigError(
                "records need a formula that says which features matter, for instance "
                "'option + time + cost'; got none."
            )
        fitted = encoder.fit(data)
        if isinstance(fitted, TableEncoder):
            # New people bring levels that nobody had: they are foretold as the reference level.
            fitted = dataclasses.replace(fitted, unseen="reference")
        batch = fitted.encode(data)
    else:
        raise DataError(
            f"fit got a {type(data).__name__}; expected Records (read a file with "
            "`penchant.read`, or `Records.from_pandas`) or a Batch."
        )
    batch = answered(batch)
    _refuse_certain(batch)
    if sample_weight is None:
        return batch, fitted
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (batch.num_rows,) or not np.all(weight >= 0):
        raise DataError(
            f"sample_weight has shape {weight.shape} and minimum {weight.min(initial=0)}; expected "
            f"one number, zero or more, for each of the {batch.num_rows} rows."
        )
    blocks = tuple(
        dataclasses.replace(block, weight=block.weight * weight[block.row])
        for block in batch.blocks
    )
    fingerprint = batch.fingerprint
    if np.any(weight != 1.0):
        # Log-likelihoods of other weights are those of other data, and compare as little.
        fingerprint += f", weighted {hashlib.sha256(weight.tobytes()).hexdigest()[:12]}"
    return dataclasses.replace(batch, blocks=blocks, fingerprint=fingerprint), fitted


def _refuse_certain(batch: Batch) -> None:
    """Raise DataError where every answer is a choice of the only option there was."""
    if batch.blocks and all(
        block.kind in ("choice", "ranking") and bool((block.offered.sum(axis=1) < 2).all())
        for block in batch.blocks
    ):
        raise DataError(
            f"each of the {batch.num_rows} menus has one option only, so that the answers say "
            "nothing of taste; expected menus of two options or more. If every line of the file "
            "holds only what was chosen, add the options that were not; if the lines of a menu "
            "have come apart, name under `rows.situation` the columns that tell menus apart."
        )


def answered(batch: Batch) -> Batch:
    """The batch without observations that nobody has answered: they can only be predicted."""
    keep = [np.flatnonzero(is_answered(block)) for block in batch.blocks]
    if all(len(rows) == len(block) for rows, block in zip(keep, batch.blocks)):
        return batch
    blocks = (block.take(rows) for rows, block in zip(keep, batch.blocks))
    return dataclasses.replace(batch, blocks=tuple(block for block in blocks if len(block)))


def with_shrunk(formula: str, shrunk: str) -> str:
    """The terms of both formulas, the shrunk ones last."""
    return f"{formula} + {shrunk}" if shrunk else formula


def shrinkage_of(
    data: Records | Batch, encoder: Encoder | None, formula: str, shrunk: str
) -> Shrinkage | None:
    """Families of the shrunk features: those whose names begin with the same factor.

    Raises `ConfigError` where there is no formula to tell which terms are not shrunk.
    """
    if not shrunk:
        return None
    if not formula or not isinstance(data, Records) or not isinstance(encoder, TableEncoder):
        raise ConfigError(
            "shrunk terms were given without a formula, or for a ready batch; expected records and "
            "a formula with the terms that are not shrunk, for instance 'option + time + cost'."
        )
    free = set(TableEncoder(formula, group_by=encoder.group_by).fit(data).feature_names)
    family_of = [None if n in free else first_factor(n) for n in encoder.feature_names]
    names = tuple(dict.fromkeys(family for family in family_of if family is not None))
    families = tuple(-1 if f is None else names.index(f) for f in family_of)
    return Shrinkage(families=families, names=names)


def first_factor(name: str) -> str:
    """`time/100` of the feature `time/100:purpose[other]`; colons inside brackets do not count."""
    depth = 0
    for place, mark in enumerate(name):
        depth += (mark in "([") - (mark in ")]")
        if mark == ":" and depth == 0:
            return name[:place]
    return name


def fit_scores(
    data: Records | Batch,
    channels: tuple[Channel, ...],
    *,
    formula: str,
    group_by: str,
    prior_scale: float | None,
    sample_weight: Float[Array, " B"] | None,
    checkpoint: Checkpoint | None,
) -> Belief:
    """One score an item, or, with a formula, part-worths of what the items are made of."""
    encoder = TableEncoder(formula, group_by=group_by) if formula else ItemEncoder(group_by)
    batch, fitted = training_batch(data, encoder, sample_weight)
    return fit_pooled(
        batch,
        utility=Linear() if formula or batch.num_features else Items(),
        channels=channels,
        prior_scale=prior_scale,
        encoder=fitted,
        checkpoint=checkpoint,
    )
