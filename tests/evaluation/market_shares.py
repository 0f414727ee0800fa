"""Small estimators whose every answer is known: what evaluation is tested on."""

from collections import Counter

import numpy as np

from penchant.data.records import Records

OPTIONS = np.array(["train", "bus", "car"])


def make_records(num_people=30, per_person=5, seed=0, kind="choice"):
    """People with a habit of their own; menus lack an option now and then."""
    generator = np.random.default_rng(seed)
    num = num_people * per_person
    person = np.repeat(np.arange(num_people), per_person)
    habit = generator.integers(0, 3, num_people)
    chosen = np.where(generator.random(num) < 0.7, habit[person], generator.integers(0, 3, num))
    offered = generator.random((num, 3)) < 0.85
    offered[np.arange(num), chosen] = True
    # Rows of different people lie mixed; each person's own stay in order.
    order = np.argsort(generator.permutation(num) % 7, kind="stable")
    return Records.from_arrays(
        options={"option": np.broadcast_to(OPTIONS, (num, 3))},
        rows={
            "person": [f"p{p}" for p in person[order]],
            "serial": np.arange(num),
            "age": (person % 4)[order],
            "region": np.array(["north", "south"])[person % 2][order],
            "chosen": chosen[order],
            "weight": generator.choice([1.0, 2.0], num),
        },
        offered=offered[order],
        kind=kind,
    )


def names_chosen(records):
    """(person, name of the chosen option, serial number) of each observation."""
    rows, options = records.rows.to_pylist(), records.options["option"].to_pylist()
    return [
        (row["person"], options[records.offsets[b] + row["chosen"]], row["serial"])
        for b, row in enumerate(rows)
    ]


class MarketShares:
    """Shares of those who could choose; with a history, a person's own count `strength` times."""

    def __init__(self, strength=0.0):
        self.strength = strength
        self.seen = {"fit": [], "history": [], "judged": [], "answers": []}

    def fit(self, records):
        self.seen["fit"] += names_chosen(records)
        self.counts = Counter(name for _, name, _ in names_chosen(records))
        return self

    def predict_proba(self, records, history=None):
        known = [] if history is None else names_chosen(history)
        self.seen["history"].append(known)
        self.seen["judged"] += records.rows["serial"].to_pylist()
        self.seen["answers"] += records.rows["chosen"].to_pylist()
        own = Counter((person, name) for person, name, _ in known)
        options = records.options["option"].to_pylist()
        said = []
        for b, person in enumerate(records.rows["person"].to_pylist()):
            menu = options[records.offsets[b] : records.offsets[b + 1]]
            shares = np.array(
                [self.counts[n] / 100 + 0.1 + self.strength * own[person, n] for n in menu]
            )
            said.append(shares / shares.sum())
        return np.concatenate(said)
