"""penchant's side of `choose.py`: the same contract as `peers.py`.

What is timed starts from the bare arrays (or the file) and ends with estimates and both kinds of
standard errors.
"""

from collections.abc import Callable

import numpy as np

from worlds import World

Fit = Callable[[], dict]


def conditional(world: World) -> Fit:
    """ConditionalLogit from arrays, with classical and person-clustered standard errors."""
    from penchant.models.conditional_logit import ConditionalLogit

    def fit() -> dict:
        belief = ConditionalLogit().fit(as_batch(world)).belief_
        return _plain(belief) | {"coefficients": belief.theta.tolist()}

    return fit


def conditional_file(_: World, *, path: str) -> Fit:
    """From the Parquet file to the table, as text."""
    from penchant.data.description import Description
    from penchant.data.readers.read import read
    from penchant.models.conditional_logit import ConditionalLogit

    names = tuple(f"x{place}" for place in range(10))
    description = Description(
        layout="long",
        person="person",
        situation=("situation",),
        option="option",
        features=names,
        kind="choice",
        answer="chosen",
    )

    def fit() -> dict:
        model = ConditionalLogit(formula=" + ".join(names)).fit(read(path, description).records)
        str(model.summary())
        return _plain(model.belief_) | {"coefficients": model.belief_.theta.tolist()}

    return fit


def as_batch(world: World, *, panel: bool = True):
    """The world as a batch; without `panel` every choice is a person of its own."""
    from penchant.data.batch import Batch, Block

    rows, options, attributes = world.features.shape
    group = world.person if panel else np.arange(rows)
    people = world.num_people if panel else rows
    offered = world.offered
    if offered is None:
        offered = np.ones((rows, options), dtype=bool)
    block = Block(
        kind="choice",
        features=world.features,
        offered=offered,
        option=np.where(offered, np.arange(options), -1),
        row=np.arange(rows),
        group=group,
        weight=np.ones(rows),
        answer={"chosen": world.chosen},
    )
    return Batch(
        blocks=(block,),
        feature_names=tuple(f"x{place}" for place in range(attributes)),
        option_names=tuple(f"option{place}" for place in range(options)),
        group_names=tuple(map(str, range(people))),
        group_features=np.zeros((people, 0)),
        num_rows=rows,
    )


def _plain(belief) -> dict:
    report = belief.report
    errors = None if belief.covariance is None else np.sqrt(np.diag(belief.covariance)).tolist()
    return {
        "log_likelihood": report.log_likelihood,
        "converged": report.converged,
        "iterations": report.iterations,
        "standard_errors": errors,
        "warnings": list(report.warnings),
    }
