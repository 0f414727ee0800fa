"""Open Bandit Data: each of two policies evaluates the other, truth being what the other earned.

PENCHANT_DATA=FOLDER python benchmarks/open_bandit.py [--peers-python PATH] [--out FILE]

Relative error |estimate - earned| / earned, where `earned` is the other log's click rate and itself
in doubt (its standard error is printed beside it). Open Bandit Pipeline gets the same propensities,
target probabilities and reward model. Thompson sampling's probability of an item at a place is how
often its own log shows it there (the mean of the logged propensities would count only the rounds in
which the item was drawn, most often those in which it was likely); items that it never showed there
count as impossible.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

RESULTS = Path(__file__).parent / "results" / "open_bandit.json"
USER = ("user_feature_0", "user_feature_1", "user_feature_2", "user_feature_3")
FORMULA = "option + C(place) + " + " + ".join(USER)
SHARED = ("direct", "ips", "snips", "doubly robust")


def directions(table, campaign):
    """Name, log, and the target's probability of every option of its menus, for both directions."""
    from penchant.data.decisions import decisions_of, with_whole_menus
    from penchant.data.records import Records

    logs = {}
    for policy in ("bts", "random"):
        rows = table.filter(
            (pc.field("campaign") == campaign) & (pc.field("behavior_policy") == policy)
        )
        item = rows["item_id"].cast("string").combine_chunks()
        records = Records.from_arrays(
            options={
                "option": item,
                "propensity": rows["action_prob"].to_numpy(),
                "success": rows["click"].to_numpy(),
            },
            menu_sizes=np.ones(len(rows), dtype=np.int64),
            rows={
                "place": rows["position"].to_numpy(),
                **{name: rows[name].combine_chunks() for name in USER},
            },
            kind="binary",
        )
        logs[policy] = decisions_of(with_whole_menus(records))
    return logs


def cells(log):
    """Of each line of the menus: which item at which place."""
    item = np.array([int(x) for x in log.records.options["option"].to_pylist()])
    place = np.repeat(log.records.rows["place"].to_numpy(), log.records.menu_sizes)
    return item * 10 + place


def thompson(bts, log):
    """How often the Thompson log shows an item at a place, on another log's menus."""
    found = np.bincount(cells(bts)[bts.taken], minlength=10_000)[cells(log)].astype(float)
    return found / np.repeat(log.total(found), log.records.menu_sizes)


def theirs(folder):
    """Open Bandit Pipeline on arrays: its names for the estimators that both sides have."""
    from obp import ope

    world = {path.stem: np.load(path) for path in Path(folder).glob("*.npy")}
    judge = ope.OffPolicyEvaluation(
        bandit_feedback={
            "context": np.zeros((len(world["action"]), 1)), "n_rounds": len(world["action"]),
            "n_actions": world["target"].shape[1], "action": world["action"],
            "reward": world["reward"], "position": None, "pscore": world["pscore"],
        },
        ope_estimators=[
            ope.DirectMethod(estimator_name="direct"),
            ope.InverseProbabilityWeighting(estimator_name="ips"),
            ope.SelfNormalizedInverseProbabilityWeighting(estimator_name="snips"),
            ope.DoublyRobust(estimator_name="doubly robust"),
        ],
    )  # fmt: skip
    found = judge.estimate_policy_values(
        action_dist=world["target"][:, :, None],
        estimated_rewards_by_reg_model=world["model"][:, :, None],
    )
    print(json.dumps({name: float(found[name]) for name in SHARED}))


def beside(log, target, predicted, python):
    """What Open Bandit Pipeline says of the same log."""
    size = int(log.records.menu_sizes[0])
    arrays = {
        "action": log.taken - log.records.offsets[:-1], "reward": log.reward.astype(np.int64),
        "pscore": log.propensity, "target": target.reshape(-1, size),
        "model": predicted.reshape(-1, size),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for name, values in arrays.items():
            np.save(Path(folder) / f"{name}.npy", values)
        done = subprocess.run(
            [python, __file__, "--theirs", folder], capture_output=True, text=True, check=True
        )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    from measure import circumstances
    from penchant.evaluation.cross_fitting import cross_fit_reward
    from penchant.evaluation.off_policy import OffPolicyConfig, evaluate_policies
    from penchant.policies.policy import Uniform

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers-python", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS)
    said = parser.parse_args()
    table = pq.read_table(Path(os.environ["PENCHANT_DATA"]) / "open_bandit" / "rounds.parquet")
    document = {**circumstances(said.peers_python), "directions": []}
    for campaign in ("men", "women"):
        logs = directions(table, campaign)
        for source, other in (("bts", "random"), ("random", "bts")):
            log, earned = logs[source], logs[other].reward
            if other == "random":
                target = Uniform()(log.records)
            else:
                target = thompson(logs["bts"], log)
            report = evaluate_policies(
                log, {other: lambda _, t=target: t}, OffPolicyConfig(formula=FORMULA)
            )
            one, truth = report.policies[0], float(earned.mean())
            theirs_say = {}
            if said.peers_python:
                model = cross_fit_reward(log, [target], FORMULA)
                theirs_say = beside(log, target, model.predicted, said.peers_python)
            entry = {
                "campaign": campaign, "log": source, "target": other, "earned": truth,
                "earned_error": float(earned.std() / np.sqrt(len(earned))),
                "effective_rounds": one.overlap.effective,
                "findings": [f"{f.verdict}: {f.text}" for f in one.findings],
                "estimates": {
                    e.estimator: {
                        "value": e.value, "low": e.low, "high": e.high,
                        "relative_error": abs(e.value - truth) / truth,
                        "open_bandit_pipeline": abs(theirs_say[e.estimator] - truth) / truth
                        if e.estimator in theirs_say else None,
                    }
                    for e in one.estimates
                },
            }  # fmt: skip
            document["directions"].append(entry)
            print(
                f"{campaign}: {source} tells {other}, which earned {truth:.5f} "
                f"(+- {entry['earned_error']:.5f}); {one.overlap.effective:.0f} effective rounds"
            )
            for name, e in entry["estimates"].items():
                peer = e["open_bandit_pipeline"]
                print(f"  {name:32s} {e['value']:.5f} ({e['low']:.5f} to {e['high']:.5f}) "
                      f"relative error {e['relative_error']:.3f}"
                      + ("" if peer is None else f", Open Bandit Pipeline {peer:.3f}"))  # fmt: skip
    said.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--theirs"]:
        theirs(sys.argv[2])
    else:
        main()
