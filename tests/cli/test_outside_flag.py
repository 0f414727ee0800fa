"""`--outside-option`, from the shell to the shares."""

import json
from pathlib import Path

import numpy as np

from cli.test_commands import penchant

SAID = """layout = "wide"
[rows]
person = "who"
[options]
alternatives = ["bus", "car"]
[answer]
column = "choice"
[features.cost]
bus = "bus_cost"
car = "car_cost"
"""


def test_none_of_these_is_named_from_the_flag_to_the_shares(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cost = rng.uniform(0.5, 4, (600, 2))
    worth = np.c_[np.array([1.0, 2.0]) - 0.8 * cost, np.zeros(600)] + rng.gumbel(size=(600, 3))
    words = np.array(["bus", "car", ""])[worth.argmax(axis=1)]
    lines = [f"p{i // 6},{c[0]},{c[1]},{w}" for i, (c, w) in enumerate(zip(cost, words))]
    file = tmp_path / "trips.csv"
    file.write_text("\n".join(["who,bus_cost,car_cost,choice", *lines]) + "\n")
    file.with_suffix(".toml").write_text(SAID)
    out = tmp_path / "belief"
    made = penchant("fit", file, "--outside-option", "none", "--out", out, "--json")
    document = json.loads(made.stdout)
    assert [line["name"] for line in document["coefficients"]] == [
        "option[bus]", "option[car]", "cost",
    ]  # fmt: skip
    assert document["fit"]["rows"] == 600
    # The belief remembers it: no flag is needed to ask.
    asked = penchant("what-if", file, "--belief", out, "--set", "cost*=1.5", "--json")
    shares = {share["option"]: share for share in json.loads(asked.stdout)["shares"]}
    assert shares["none"]["change"] > 0.02
    refused = penchant("what-if", file, "--belief", out, "--set", "none.cost*=2")
    assert refused.returncode != 0
    assert "outside option" in refused.stderr
