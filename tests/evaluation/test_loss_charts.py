"""The picture of who loses shows every rule and group, at the place of its share."""

from xml.etree import ElementTree

import numpy as np
import pytest

from penchant.errors import DataError
from penchant.evaluation.loss_charts import losses_picture
from penchant.policies.oneshot.consequences import compare_rules


def verdicts(draws=False):
    rng = np.random.default_rng(0)
    utilities = rng.normal(size=(30, 4))
    return compare_rules(
        utilities, group=np.arange(30) % 2, group_names=("old & wise", "young"),
        draws=utilities + rng.normal(size=(50, 30, 4)) if draws else None,
    )  # fmt: skip


def circles(picture):
    tree = ElementTree.fromstring(picture)
    return [node for node in tree.iter() if node.tag.endswith("circle") and len(node)]


def test_every_rule_and_group_has_its_dot_in_order_of_its_share():
    found = verdicts()
    dots = circles(losses_picture(found, "who <loses>"))
    assert len(dots) == 5 * 3
    shares = [loss.losing for verdict in found.values() for loss in verdict.losses]
    places = [float(dot.get("cx")) for dot in dots]
    np.testing.assert_allclose(np.corrcoef(shares, places)[0, 1], 1.0, atol=1e-3)
    assert "old & wise: " in dots[1][0].text


def test_intervals_are_drawn_where_there_is_doubt():
    sure, unsure = (losses_picture(verdicts(draws), "x").count("<line") for draws in (False, True))
    assert unsure - sure >= 15 - 3  # the axis may have other ticks


def test_no_rule_no_picture():
    with pytest.raises(DataError, match="no rule to show"):
        losses_picture({}, "nothing")
