"""How fast decisions are made and learnt from, beside Vowpal Wabbit's Python binding and MABWiser.

    python benchmarks/decide.py --peers-python PYTHON [--quick] [--skip-peers]

Ten and a hundred arms, 20 features, rewards linear in the context: each round one context is
decided on, one reward learnt from. Each contender runs in a process of its own on the same arrays,
one thread, a warm-up first, then the median CPU seconds of several runs; slower peers play fewer
rounds, and regret is compared over the rounds that all have played. PYTHON is an environment with
vowpalwabbit and mabwiser.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import decide_worlds as worlds
from measure import ContenderFailed, circumstances, run_contender

RESULTS = Path(__file__).resolve().parent / "results" / "decide.json"
OURS = {
    "UpperConfidence": {"rule": "UpperConfidence"},
    "EpsilonGreedy": {"rule": "EpsilonGreedy", "settings": {"epsilon": 0.05}},
    "InverseGap": {"rule": "InverseGap", "settings": {"gamma": 100.0}},
    "Thompson": {"rule": "Thompson"},
}
VOWPAL = {
    "epsilon 0.05": "--epsilon 0.05",
    "squarecb": "--squarecb",
    "regcb (optimistic)": "--regcbopt",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers-python")
    parser.add_argument("--skip-peers", action="store_true")
    parser.add_argument("--quick", action="store_true")
    said = parser.parse_args()
    python = None if said.skip_peers else (said.peers_python or sys.executable)
    document: dict = {"circumstances": circumstances(None), "seed": 1, "features": 20}
    with tempfile.TemporaryDirectory() as folder:
        for num_arms in (10, 100):
            document[f"{num_arms} arms"] = section(Path(folder), num_arms, python, said.quick)
    if python:
        document["circumstances"]["peers_versions"] = peer_versions(python)
    if not said.quick:
        RESULTS.write_text(json.dumps(document, indent=1) + "\n")
        print(f"\nwritten to {RESULTS.name}")


def section(folder: Path, num_arms: int, python: str | None, quick: bool) -> list[dict]:
    """All contenders at one number of arms, their speed beside the fastest of each peer's."""
    full = 2_000 if quick else 20_000
    short = {10: 1_000, 100: 200}[num_arms]
    world = worlds.linear(num_arms, 20, full, seed=1)
    whole = world.save(folder / f"{num_arms}")
    part = world.head(short).save(folder / f"{num_arms}-short")
    rows: list[dict] = []

    def add(label: str, contender: str, place: Path, settings: dict, python: str | None) -> None:
        how = {"settings": settings, "repeats": 1 if quick else 5, "warm": 50}
        try:
            found = run_contender(contender, place, **how, **({"python": python} if python else {}))
        except ContenderFailed as failure:
            print(f"  {label}: {failure}", file=sys.stderr)
            return
        found["contender"] = label
        found["per_second"] = found["rounds"] / found["cpu_median"]
        rows.append(found)
        print(
            f"  {num_arms:4d} arms  {label:34s} {found['per_second']:10,.0f} rounds a second, "
            f"regret {found['regret']:8.2f} of {found['rounds']:,}",
            flush=True,
        )

    for label, settings in OURS.items():
        add(f"ours: {label}", "decide_ours:linear", whole, settings, None)
    add("ours: UpperConfidence", "decide_ours:linear", part, OURS["UpperConfidence"], None)
    if python:
        for label, explore in VOWPAL.items():
            add(f"vowpal wabbit: {label}", "decide_peers:vowpal_wabbit", whole,
                {"explore": explore}, python)  # fmt: skip
        add("mabwiser: LinUCB", "decide_peers:mabwiser", part, {"width": 1.0}, python)
    return rows


def peer_versions(python: str) -> dict:
    """Versions of the peers of this benchmark."""
    import subprocess

    script = (
        "import json; from importlib.metadata import version\n"
        "print(json.dumps({n: version(n) for n in ('vowpalwabbit', 'mabwiser', 'numpy')}))"
    )
    return json.loads(subprocess.check_output([python, "-c", script], text=True))


if __name__ == "__main__":
    main()
