"""A fit that was interrupted, wherever, ends as it would have."""

import json
from dataclasses import replace

import numpy as np
import pytest

from fitting.answers_of_kinds import answered_by
from fitting.small_batches import small
from penchant.data.records import Records
from penchant.errors import DataError
from penchant.fitting import pooled
from penchant.fitting.checkpoint import NAME, Checkpoint
from penchant.models.best_worst import BestWorst
from penchant.models.bradley_terry import BradleyTerry
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.error_components import ErrorComponents
from penchant.models.hierarchical_logit import HierarchicalLogit
from penchant.models.latent_class_logit import LatentClassLogit
from penchant.models.mixed_logit import MixedLogit
from penchant.models.nested_logit import NestedLogit
from penchant.models.ordinal_ratings import OrdinalRatings
from penchant.models.personal_logit import PersonalLogit
from penchant.models.plackett_luce import PlackettLuce
from penchant.simulation.choices import SimulationConfig, simulate_choices


def choices(rng, num_people=40, num_tasks=5):
    shape = (num_people * num_tasks, 3)
    x, y = rng.normal(size=shape), rng.normal(size=shape)
    taste = np.repeat(rng.normal(1.0, 1.0, num_people), num_tasks)[:, None]
    return Records.from_arrays(
        options={"option": np.tile(["a", "b", "c"], (len(x), 1)), "x": x, "y": y},
        rows={
            "person": np.repeat([f"p{i:02}" for i in range(num_people)], num_tasks),
            "chosen": (taste * x + 0.5 * y + rng.gumbel(size=shape)).argmax(axis=1),
        },
    )


class Interrupted(Checkpoint):
    """A checkpoint whose machine is switched off while it works on a later step."""

    steps_left = 0

    def keep(self, name, result):
        if self.steps_left == 0:
            raise KeyboardInterrupt
        self.steps_left -= 1
        super().keep(name, result)


ESTIMATORS = [
    MixedLogit("x + y", num_draws=50),
    MixedLogit("x", shrunk="x:y + y", random="x", num_draws=50),
    PersonalLogit("x + y", num_draws=50),
    LatentClassLogit("x + y", num_classes=2, num_starts=4),
    LatentClassLogit("x + y", most_classes=3, num_starts=4),
    ConditionalLogit("x", shrunk="x:y + y"),
    ErrorComponents("x + y", components={"ab": ("a", "b")}, num_draws=50),
    HierarchicalLogit("x + y", num_chains=3, num_warmup=10, num_draws=20),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_wherever_a_fit_is_interrupted_it_ends_bit_for_bit_as_it_would_have(estimator, tmp_path):
    records = choices(np.random.default_rng(0))
    whole = Checkpoint(tmp_path / "whole", key="k")
    unbroken = estimator.fit(records, checkpoint=whole).belief_
    plain = estimator.fit(records).belief_
    np.testing.assert_array_equal(plain.theta, unbroken.theta)
    assert len(whole.made) >= 3
    for steps in range(len(whole.made)):
        check_a_break(estimator, records, unbroken, whole.made, steps, tmp_path / f"after {steps}")


def check_a_break(estimator, data, unbroken, made, steps, folder):
    """Broken off after so many steps and taken up, a fit ends as the unbroken one."""
    broken = Interrupted(folder, key="k")
    broken.steps_left = steps
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(data, checkpoint=broken)
    again = Checkpoint(folder, key="k")
    resumed = estimator.fit(data, checkpoint=again).belief_
    assert again.taken_up == made[:steps]
    assert again.made == made[steps:]
    np.testing.assert_array_equal(resumed.theta, unbroken.theta)
    np.testing.assert_array_equal(resumed.covariance, unbroken.covariance)
    assert resumed.report.log_likelihood == unbroken.report.log_likelihood
    assert resumed.report.iterations == unbroken.report.iterations


CLIMBERS = [
    (ConditionalLogit(max_steps=3, tolerance=0.0), "choice"),
    (ConditionalLogit(solver="lbfgs"), "choice"),
    (ConditionalLogit(), "ranking"),
    (NestedLogit(nests={"two": ("option0", "option1")}), "choice"),
    (BradleyTerry(ties="davidson"), "pair"),
    (PlackettLuce(), "ranking"),
    (BestWorst(), "best_worst"),
    (OrdinalRatings(levels=4, by_person=True), "rating"),
]


@pytest.mark.parametrize(
    ("estimator", "kind"),
    CLIMBERS,
    ids=lambda said: said if isinstance(said, str) else type(said).__name__,
)
def test_a_climb_goes_on_from_the_last_point_it_kept(estimator, kind, tmp_path, monkeypatch):
    monkeypatch.setattr(pooled, "LBFGS", replace(pooled.LBFGS, leg=2))
    config = SimulationConfig(
        part_worths=((1.0, -0.5, 0.3),), num_people=12, num_tasks=4,
        menu_sizes=(2 if kind == "pair" else 4,),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    people = simulate_choices(config, rng) if kind == "choice" else answered_by(kind, config, rng)
    batch = people.batch
    whole = Checkpoint(tmp_path / "whole", key="k")
    unbroken = estimator.fit(batch, checkpoint=whole).belief_
    np.testing.assert_array_equal(estimator.fit(batch).belief_.theta, unbroken.theta)
    points = len(whole.made)
    assert points >= 2
    # Wherever it is: at the first, at one between, after the last but one.
    for steps in sorted({0, 1, points // 2, points - 1}):
        check_a_break(estimator, batch, unbroken, whole.made, steps, tmp_path / f"after {steps}")


def test_a_climb_that_is_broken_off_twice_knows_all_its_steps(tmp_path):
    estimator, batch = ConditionalLogit(max_steps=4, tolerance=0.0), small(0)
    unbroken = estimator.fit(batch).belief_
    for _ in range(2):
        broken = Interrupted(tmp_path / "kept", key="k")
        broken.steps_left = 1
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(batch, checkpoint=broken)
    again = Checkpoint(tmp_path / "kept", key="k")
    resumed = estimator.fit(batch, checkpoint=again).belief_
    assert len(again.taken_up) == 2
    np.testing.assert_array_equal(resumed.theta, unbroken.theta)
    assert resumed.report.iterations == unbroken.report.iterations


def test_a_bounded_climb_after_separation_is_kept_beside_the_first(tmp_path):
    batch = small(0)
    (block,) = batch.blocks
    sure = block.features.copy()
    sure[:, :, 0] = np.arange(block.features.shape[1]) == block.answer["chosen"][:, None]
    batch = replace(batch, blocks=(replace(block, features=sure),))
    whole = Checkpoint(tmp_path / "whole", key="k")
    unbroken = ConditionalLogit().fit(batch, checkpoint=whole).belief_
    assert unbroken.report.warnings
    assert {name.split(",")[0] for name in whole.made} == {"climb", "bounded climb"}
    for steps in (1, len(whole.made) - 1):
        check_a_break(
            ConditionalLogit(), batch, unbroken, whole.made, steps, tmp_path / f"after {steps}"
        )


def test_steps_of_another_fit_are_thrown_away(tmp_path):
    first = Checkpoint(tmp_path, key="one")
    first.once("a", lambda: {"x": np.ones(2)})
    other = Checkpoint(tmp_path, key="two")
    np.testing.assert_array_equal(other.once("a", lambda: {"x": np.zeros(2)})["x"], 0.0)
    assert (other.taken_up, other.made) == ([], ["a"])


def test_a_step_that_fails_leaves_nothing_behind(tmp_path):
    def fails():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Checkpoint(tmp_path, key="k").once("a", fails)
    again = Checkpoint(tmp_path, key="k")
    again.once("a", lambda: {"x": np.ones(1)})
    assert again.made == ["a"]


def test_a_finished_fit_leaves_nothing_of_its_own_and_touches_nothing_else(tmp_path):
    done = Checkpoint(tmp_path / "fit", key="k")
    done.once("a", lambda: {"x": np.ones(1)})
    (tmp_path / "fit" / "notes.txt").write_text("mine")
    done.finish()
    assert [path.name for path in (tmp_path / "fit").iterdir()] == ["notes.txt"]
    (tmp_path / "fit" / "notes.txt").unlink()
    done.finish()
    assert not (tmp_path / "fit").exists()
    Checkpoint().finish()


def test_a_spoilt_step_is_told_with_the_mend(tmp_path):
    kept = Checkpoint(tmp_path, key="k")
    kept.once("a", lambda: {"x": np.ones(100)})
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match="Remove the folder"):
        Checkpoint(tmp_path, key="k").once("a", lambda: {"x": np.ones(100)})


@pytest.mark.parametrize("name", ["precious.npz", "a.half", "b.npz"])
def test_files_that_no_fit_wrote_outlive_every_fit(tmp_path, name):
    (tmp_path / name).write_bytes(b"mine")
    for key in ("one", "two"):
        kept = Checkpoint(tmp_path, key=key)
        kept.once("c", lambda: {"x": np.ones(1)})
    kept.finish()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["a.npz", "a.half"])
def test_a_file_in_the_way_of_a_step_is_refused_and_left_alone(tmp_path, name):
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(DataError, match=f"{name} is in the way"):
        Checkpoint(tmp_path, key="k").once("a", lambda: {"x": np.ones(1)})
    assert (tmp_path / name).read_bytes() == b"mine"


def test_a_list_that_no_fit_wrote_is_refused_and_one_changed_by_hand_leads_nowhere(tmp_path):
    said = tmp_path / "fit" / NAME
    said.parent.mkdir()
    said.write_text("notes")
    with pytest.raises(DataError, match="no list of a fit's steps"):
        Checkpoint(said.parent, key="k")
    outside = tmp_path / "outside.npz"
    outside.write_bytes(b"mine")
    said.write_text(json.dumps({"key": "other", "files": ["../outside.npz"]}))
    Checkpoint(said.parent, key="k").finish()
    assert outside.read_bytes() == b"mine"
