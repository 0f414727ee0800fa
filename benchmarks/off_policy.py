"""Five off-policy estimates with intervals on a million rounds, beside Open Bandit Pipeline's.

python benchmarks/off_policy.py [--rounds 1000000] [--peers-python PATH] [--out FILE]

Both sides get the same arrays (actions, rewards, propensities, the target's probabilities, a reward
model's predictions) and tell the direct method, inverse propensities, self-normalised, doubly
robust and switch (threshold 5), each with a 95 % interval: ours by influence terms, theirs by their
bootstrap with its default of 100 resamples. Each side runs in a process of its own; CPU seconds
are the process's, after the arrays were loaded; the peak is the kernel's for the whole process.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results" / "off_policy.json"
OPTIONS, THRESHOLD, REPEATS = 10, 5.0, {"ours": 5, "obp": 1}
NAMES = ("direct", "ips", "snips", "doubly robust", "switch")


def write_world(folder: Path, rounds: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=rounds)
    slope, level = rng.normal(size=OPTIONS) * 0.5, rng.normal(size=OPTIONS) - 2.0
    worth = level + slope * x[:, None]
    reward_model = 1.0 / (1.0 + np.exp(-worth))
    logged = np.exp(0.5 * rng.normal(size=OPTIONS) * x[:, None])
    logged /= logged.sum(axis=1, keepdims=True)
    target = np.exp(worth)
    target /= target.sum(axis=1, keepdims=True)
    action = (logged.cumsum(axis=1) < rng.random(rounds)[:, None]).sum(axis=1)
    rows = np.arange(rounds)
    reward = (rng.random(rounds) < reward_model[rows, action]).astype(np.int64)
    arrays = {
        "action": action, "reward": reward, "pscore": logged[rows, action],
        "target": target, "model": np.clip(reward_model * 1.05, 0.0, 1.0),
    }  # fmt: skip
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)


def ours(world: dict) -> dict:
    from penchant.metrics import off_policy
    from penchant.metrics.intervals import Z95
    from penchant.metrics.policy_choice import joint_mean

    rows, action = np.arange(len(world["action"])), world["action"]
    reward = world["reward"].astype(np.float64)
    weight = off_policy.importance_weights(world["target"][rows, action], world["pscore"])
    predicted = world["model"][rows, action]
    value = np.einsum("bk,bk->b", world["target"], world["model"])
    inputs = (weight, reward, predicted, value)
    terms = np.stack([
        off_policy.direct(value), off_policy.ips(weight, reward), off_policy.snips(weight, reward),
        off_policy.doubly_robust(*inputs), off_policy.switch_doubly_robust(*inputs, THRESHOLD),
    ])  # fmt: skip
    mean, covariance = joint_mean(terms, rows)
    reach = Z95 * np.sqrt(np.diag(covariance))
    return {n: [m, m - r, m + r] for n, m, r in zip(NAMES, mean.tolist(), reach.tolist())}


def obp(world: dict) -> dict:
    from obp import ope

    estimators = [
        ope.DirectMethod(estimator_name="direct"),
        ope.InverseProbabilityWeighting(estimator_name="ips"),
        ope.SelfNormalizedInverseProbabilityWeighting(estimator_name="snips"),
        ope.DoublyRobust(estimator_name="doubly robust"),
        ope.SwitchDoublyRobust(lambda_=THRESHOLD, estimator_name="switch"),
    ]
    judge = ope.OffPolicyEvaluation(
        bandit_feedback={
            "context": np.zeros((len(world["action"]), 1)), "n_rounds": len(world["action"]),
            "n_actions": OPTIONS, "action": world["action"],
            "reward": world["reward"], "position": None, "pscore": world["pscore"],
        },
        ope_estimators=estimators,
    )  # fmt: skip
    inputs = {
        "action_dist": world["target"][:, :, None],
        "estimated_rewards_by_reg_model": world["model"][:, :, None],
    }
    value = judge.estimate_policy_values(**inputs)
    ends = judge.estimate_intervals(alpha=0.05, n_bootstrap_samples=100, random_state=0, **inputs)
    return {
        name: [value[name], ends[name]["95.0% CI (lower)"], ends[name]["95.0% CI (upper)"]]
        for name in NAMES
    }


def side(name: str, folder: Path) -> None:
    world = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    small = {key: values[:1000] for key, values in world.items()}
    run = {"ours": ours, "obp": obp}[name]
    run(small)
    seconds = []
    for _ in range(REPEATS[name]):
        began = time.process_time()
        found = run(world)
        seconds.append(time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {key: [float(v) for v in values] for key, values in found.items()}
    print(json.dumps({"cpu_seconds": seconds, "peak_mb": peak, "found": figures}))


def main() -> None:
    from measure import ONE_THREAD, circumstances

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1_000_000)
    parser.add_argument("--peers-python", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS)
    said = parser.parse_args()
    results: dict = {}
    with tempfile.TemporaryDirectory() as folder:
        write_world(Path(folder), said.rounds)
        for name, python in (("ours", sys.executable), ("obp", said.peers_python)):
            if python is None:
                continue
            done = subprocess.run(
                [python, __file__, "--side", name, folder], capture_output=True, text=True,
                check=True, env=os.environ | ONE_THREAD,
            )  # fmt: skip
            one = json.loads(done.stdout.splitlines()[-1])
            results[name] = {**one, "cpu_median": statistics.median(one["cpu_seconds"])}
            print(name, f"{results[name]['cpu_median']:.3f} CPU s, {one['peak_mb']:.0f} MB")
            for key, (value, low, high) in one["found"].items():
                print(f"  {key:14s} {value:.5f} ({low:.5f} to {high:.5f})")
    if len(results) == 2:
        results["times_faster"] = results["obp"]["cpu_median"] / results["ours"]["cpu_median"]
        print(f"{results['times_faster']:.1f} times faster")
    document = {**circumstances(said.peers_python), "rounds": said.rounds, **results}
    said.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        side(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
