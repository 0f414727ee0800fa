"""Conditional and mixed logit against the figures of xlogit and choice-learn.

The peers live in another environment; their figures on these very data are in tests/golden,
written by tests/golden/make_choice_figures.py.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from golden.made_choices import Choices, conditional_choices, mixed_choices
from penchant.data.batch import Batch, Block
from penchant.data.samples import swissmetro
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.mixed_logit import MixedLogit

pytestmark = pytest.mark.reference
GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def golden(name: str) -> dict:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def as_batch(data: Choices) -> Batch:
    rows, options, features = data.features.shape
    people = int(data.person.max()) + 1
    return Batch(
        blocks=(
            Block(
                kind="choice",
                features=data.features,
                offered=data.offered,
                option=np.where(data.offered, np.arange(options), -1),
                row=np.arange(rows),
                group=data.person,
                weight=np.ones(rows),
                answer={"chosen": data.chosen},
            ),
        ),
        feature_names=tuple(f"x{d}" for d in range(features)),
        option_names=tuple(f"option{k}" for k in range(options)),
        group_names=tuple(f"person{p}" for p in range(people)),
        group_features=np.zeros((people, 0)),
        num_rows=rows,
    )


@pytest.mark.parametrize("peer", ["xlogit", "choice_learn"])
def test_conditional_logit_equals_the_peer(peer):
    data, figures = conditional_choices(), golden("conditional_logit")
    assert data.fingerprint == figures["fingerprint"], "the data are not those of the figures"
    belief = ConditionalLogit().fit(as_batch(data)).belief_
    np.testing.assert_allclose(belief.theta, figures[peer]["coefficients"], rtol=1e-4)
    assert belief.report.log_likelihood == pytest.approx(figures[peer]["log_likelihood"], rel=1e-4)


def test_standard_errors_equal_those_of_xlogit():
    data, figures = conditional_choices(), golden("conditional_logit")
    belief = ConditionalLogit().fit(as_batch(data)).belief_
    errors = np.sqrt(np.diag(belief.covariance))
    np.testing.assert_allclose(errors, figures["xlogit"]["standard_errors"], rtol=1e-4)


@pytest.mark.parametrize("peer", ["xlogit", "choice_learn"])
def test_swissmetro_read_from_its_file_equals_the_peer_on_arrays(peer):
    figures = golden("swissmetro")[peer]
    records = swissmetro()
    purpose = np.array(records.rows["purpose"].to_pylist(), dtype=object)
    records = records.take(np.flatnonzero(np.isin(purpose, ["commuter", "business"])))
    model = ConditionalLogit(
        formula="option[train] + option[car] + I(time / 100) + I(cost / 100)"
    ).fit(records)
    np.testing.assert_allclose(model.belief_.theta, figures["coefficients"], rtol=1e-4)
    assert model.belief_.report.log_likelihood == pytest.approx(figures["log_likelihood"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["xlogit", "quadrature"])
def test_mixed_logit_equals_the_peer_where_both_draw_enough(peer):
    data, figures = mixed_choices(), golden("mixed_logit")
    assert data.fingerprint == figures["fingerprint"], "the data are not those of the figures"
    model = MixedLogit(random=("x0",), num_draws=2**15).fit(as_batch(data))
    theta = dict(zip(model.belief_.parameter_names, model.belief_.theta, strict=True))
    mean = np.array([theta[f"x{d}"] for d in range(3)])
    spread = next(abs(v) for name, v in theta.items() if name not in ("x0", "x1", "x2"))
    np.testing.assert_allclose(mean, figures[peer]["mean"], rtol=1e-4)
    np.testing.assert_allclose(spread, figures[peer]["sd"][0], rtol=1e-4)
    assert model.belief_.report.log_likelihood == pytest.approx(
        figures[peer]["log_likelihood"], rel=1e-4
    )
