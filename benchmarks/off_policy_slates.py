"""Relative errors of estimates on slates beside Open Bandit Pipeline's, on logs of known truth.

python benchmarks/off_policy_slates.py [--logs 20] [--rounds 2000] [--peers-python PATH] [--out F]

Logs are simulated (`SlateWorld`: three places of five items drawn one by one, by how people read)
and judged as `penchant ope` judges them. The peer gets the same rewards and the probabilities of
what was shown, and for its doubly robust estimate the rewards that our cross-fitted model expects
of each item at each place. The truth is a sum over all orders. The peer has no pseudo-inverse.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results" / "off_policy_slates.json"
WORLDS = ("alone", "cascade", "whole")
PLACES, ITEMS = 3, 5


def write_logs(folder: Path, logs: int, rounds: int) -> dict:
    """The arrays that the peer needs, the truths, and what we estimate."""
    from penchant.data.slates import slates_of
    from penchant.evaluation.off_policy_slates import evaluate_slates
    from penchant.evaluation.slates_reward_model import cross_fit_places
    from penchant.metrics.off_policy_slates import in_turn, of_place
    from penchant.policies.policy import Column
    from penchant.simulation.slates import LOGGED, TARGET, SlateWorld

    found: dict = {}
    for reading in WORLDS:
        world = SlateWorld(reading=reading, num_places=PLACES)
        truth = world.true_value()
        ours = []
        for log in range(logs):
            slates = slates_of(world.draw(rounds, np.random.default_rng((log, 11))))
            report = evaluate_slates(slates, {"target": Column("target")}).policies[0]
            ours.append({e.estimator: e.value for e in report.estimates})
            item = slates.line - slates.records.offsets[:-1][:, None]
            arrays = {"item": item, "reward": slates.reward}
            for name, law in (("logged", LOGGED), ("target", TARGET)):
                rows = np.tile(law, (rounds, 1))
                arrays[f"{name}_turn"] = in_turn(rows, item)
                arrays[f"{name}_alone"] = np.take_along_axis(
                    of_place(rows, PLACES), item[:, :, None], axis=2
                )[:, :, 0]
            model = cross_fit_places(slates, "option").reshape(rounds, ITEMS, PLACES)
            arrays["model"] = model.transpose(0, 2, 1)
            arrays["next"] = next_items(np.tile(TARGET, (rounds, 1)), item)
            np.savez(folder / f"{reading}-{log}.npz", **arrays)
        found[reading] = {"truth": truth, "ours": ours}
    return found


def next_items(law: np.ndarray, item: np.ndarray) -> np.ndarray:
    """What the target would show at each place, given what stands above it in the log."""
    found, left = np.empty((len(law), PLACES, law.shape[1])), law.copy()
    for place in range(PLACES):
        found[:, place] = left / left.sum(axis=1, keepdims=True)
        left[np.arange(len(law)), item[:, place]] = 0.0
    return found


def peer(folder: Path) -> dict:
    from obp.ope import (
        SlateCascadeDoublyRobust,
        SlateIndependentIPS,
        SlateRewardInteractionIPS,
        SlateStandardIPS,
    )

    found: dict = {}
    for path in sorted(folder.glob("*.npz")):
        log = dict(np.load(path))
        rounds = len(log["item"])
        shared = {
            "slate_id": np.repeat(np.arange(rounds), PLACES),
            "position": np.tile(np.arange(PLACES), rounds), "reward": log["reward"].ravel(),
        }  # fmt: skip
        down = {n: np.cumprod(log[f"{n}_turn"], axis=1) for n in ("logged", "target")}
        whole = {n: np.repeat(down[n][:, -1], PLACES) for n in down}
        cascade = {
            "pscore_cascade": down["logged"].ravel(),
            "evaluation_policy_pscore_cascade": down["target"].ravel(),
        }
        found[path.stem] = {
            "slate ips": SlateStandardIPS(len_list=PLACES).estimate_policy_value(
                **shared, pscore=whole["logged"], evaluation_policy_pscore=whole["target"]
            ),
            "independent ips": SlateIndependentIPS(len_list=PLACES).estimate_policy_value(
                **shared, pscore_item_position=log["logged_alone"].ravel(),
                evaluation_policy_pscore_item_position=log["target_alone"].ravel(),
            ),
            "cascade ips": SlateRewardInteractionIPS(len_list=PLACES).estimate_policy_value(
                **shared, **cascade
            ),
            "cascade doubly robust": SlateCascadeDoublyRobust(
                len_list=PLACES, n_unique_action=ITEMS
            ).estimate_policy_value(
                **shared, **cascade, action=log["item"].ravel(), q_hat=log["model"].ravel(),
                evaluation_policy_action_dist=log["next"].ravel(),
            ),
        }  # fmt: skip
    return found


def main() -> None:
    from measure import circumstances

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--peers-python", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = write_logs(Path(folder), said.logs, said.rounds)
        theirs: dict = {}
        if said.peers_python:
            done = subprocess.run([said.peers_python, __file__, "--side", folder],
                                  capture_output=True, text=True, check=True)  # fmt: skip
            theirs = json.loads(done.stdout.splitlines()[-1])
    worlds = {}
    for reading, one in found.items():
        beside = [theirs[f"{reading}-{log}"] for log in range(said.logs) if theirs]
        sides = {"ours": one["ours"], "obp": beside}
        worlds[reading] = {"truth": one["truth"]} | {
            side: {name: relative(values, name, one["truth"]) for name in values[0]}
            for side, values in sides.items() if values
        }  # fmt: skip
        for name, error in worlds[reading]["ours"].items():
            peers = worlds[reading].get("obp", {}).get(name)
            print(f"{reading:8s} {name:24s} {error:.4f}" + (f"  {peers:.4f}" if peers else ""))
    document = {**circumstances(said.peers_python), "logs": said.logs, "rounds": said.rounds,
                "mean_relative_error": worlds}  # fmt: skip
    said.out.write_text(json.dumps(document, indent=1) + "\n")


def relative(values: list[dict], name: str, truth: float) -> float:
    return float(np.mean([abs(one[name] - truth) / truth for one in values]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        print(json.dumps({k: {n: float(v) for n, v in one.items()}
                          for k, one in peer(Path(sys.argv[2])).items()}))  # fmt: skip
    else:
        main()
