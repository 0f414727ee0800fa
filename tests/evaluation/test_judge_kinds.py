"""The kinds of judges on the page of a reward model: how many of each, and where they part."""

import re

import numpy as np
import pytest

from models.opposed_judges import TASTES, VECTORS, first_answers, judged_by
from penchant.evaluation.judge_kinds import judge_kinds
from penchant.evaluation.reward_page import reward_page, write_reward_page
from penchant.evaluation.reward_trial import judge_parts, parts_by_person
from penchant.models.reward_model import HABITS, RewardModel


@pytest.fixture(scope="module")
def world():
    records, _, kind = judged_by(TASTES)
    return first_answers(records), kind


@pytest.fixture(scope="module")
def classes(world):
    return RewardModel(kinds=2, people="classes", attributes=()).fit(world[0])


def told(texts):
    return np.array([int(text.split()[1]) for text in texts])


def truth_apart(records):
    """Of each pair, what each kind's truth says, and whether they part."""
    shown = told(records.options["text"].to_pylist()).reshape(-1, 2)
    gap = (VECTORS[shown[:, 0]] - VECTORS[shown[:, 1]]) @ TASTES.T
    return ((gap[:, 0] > 0) != (gap[:, 1] > 0)).mean()


@pytest.mark.parametrize("people", ["classes", "prototypes", "normal"])
def test_kinds_part_as_often_as_their_tastes_do_and_most_where_these_are_opposed(
    world, classes, people
):
    records, kind = world
    model = classes
    if people != "classes":
        model = RewardModel(kinds=2, people=people, attributes=()).fit(records)
    found = judge_kinds(model, records)
    assert found.people == {"normal": "latent"}.get(people, people)
    assert found.features == model.belief_.encoder.feature_names
    assert found.apart == pytest.approx(truth_apart(records), abs=0.12)
    if people == "classes":
        shares = np.sort([each.share for each in found.kinds])
        assert shares.sum() == pytest.approx(1.0)
        np.testing.assert_allclose(shares, np.sort(np.bincount(kind) / len(kind)), atol=0.05)
    for pair in found.pairs:
        first, second = told([pair.first, pair.second])
        gap = TASTES @ (VECTORS[first] - VECTORS[second])
        # One kind prefers each, in truth as it is said.
        assert gap.min() < -1 < 1 < gap.max()
        assert min(pair.said) < 0.1 < 0.9 < max(pair.said)
    assert len({frozenset((pair.first, pair.second)) for pair in found.pairs}) == 4


def test_what_a_kind_is_said_to_prefer_is_what_its_weights_say(world, classes):
    records, _ = world
    found = judge_kinds(classes, records)
    seen = classes.belief_.encoder.look(classes.embedding.embed(records))
    place = {text: at for at, text in enumerate(seen.embedded.texts)}
    for pair in found.pairs:
        one, other = place[pair.first], place[pair.second]
        for kind, said in zip(found.kinds, pair.said):
            gap = kind.weights[0] * (seen.rewards[one] - seen.rewards[other])
            gap += kind.weights[1] * (seen.form[one, 0] - seen.form[other, 0])
            assert said == pytest.approx(1 / (1 + np.exp(-gap)), abs=1e-6)


def test_the_page_shows_them_and_a_page_of_one_kind_has_no_such_part(world, classes, tmp_path):
    records, _ = world
    build = {
        "kinds": lambda: RewardModel(kinds=2, people="classes", attributes=()),
        "habits": lambda: RewardModel(personal=HABITS, num_draws=30, attributes=()),
    }
    pages = {}
    for name, make in build.items():
        model = classes if name == "kinds" else make().fit(records)
        (trial,) = judge_parts(make, records, parts_by_person(records, 2, 0))
        page = reward_page(model, records, trial)
        pages[name] = write_reward_page(page, tmp_path / f"{name}.html").read_text()
        assert (page.kinds is None) == (name == "habits")
    assert "Kinds of judges" not in pages["habits"]
    shown = pages["kinds"].split("<h2>Kinds of judges</h2>")[1].split("</section>")[0]
    assert "Every judge is of one of 2 kinds. Two of them would prefer" in shown
    assert re.search(r"class 1</td><td>\d+", shown)
    assert shown.count("<tr>") == 2 + 2 + 4
