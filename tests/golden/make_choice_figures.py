"""Writes the golden figures of xlogit and choice-learn for the reference tests.

    PEERS_PYTHON tests/golden/make_choice_figures.py

Run where the packages of requirements-bench.txt are installed; penchant itself is not needed.
Mixed logit: xlogit draws Halton sequences for each person, penchant other ones, so that the
comparison needs both at their limit. With one random coefficient and 200,000 draws xlogit
is there: its estimates must lie within 3e-5 of those that maximise the exact integral (the
trapezium rule, whose error vanishes for smooth functions; the `quadrature` figures), or nothing
is written.
"""

import contextlib
import io
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyarrow.parquet as pq
from choice_learn.data import ChoiceDataset
from choice_learn.models import SimpleMNL
from made_choices import Choices, conditional_choices, mixed_choices
from scipy.optimize import minimize
from xlogit import MixedLogit, MultinomialLogit

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parents[1] / "src" / "penchant" / "data" / "samples" / "swissmetro.parquet"


def main() -> None:
    _write("conditional_logit", conditional(conditional_choices()))
    _write("swissmetro", conditional(bundled_swissmetro()))
    _write("mixed_logit", mixed(mixed_choices()))


def conditional(data: Choices) -> dict:
    """Both peers on the same choices; xlogit in float64, choice-learn in float32."""
    model = MultinomialLogit()
    model.fit(**_long(data), verbose=0, tol_opts={"ftol": 1e-12})
    with contextlib.redirect_stdout(io.StringIO()):
        other = SimpleMNL(intercept=None)
    dataset = ChoiceDataset(
        choices=data.chosen,
        items_features_by_choice=data.features.astype(np.float32),
        available_items_by_choice=data.offered.astype(np.float32),
    )
    other.fit(dataset)
    return {
        "fingerprint": data.fingerprint,
        "xlogit": {
            "coefficients": model.coeff_.tolist(),
            "standard_errors": model.stderr.tolist(),
            "log_likelihood": float(model.loglikelihood),
        },
        "choice_learn": {
            "coefficients": other.trainable_weights[0].numpy().astype(float).tolist(),
            "log_likelihood": -float(other.evaluate(dataset)) * len(dataset),
        },
    }


def mixed(data: Choices) -> dict:
    """xlogit's panel mixed logit: x0 normal over people, x1 and x2 the same for all."""
    model = MixedLogit()
    model.fit(
        **_long(data),
        panels=np.repeat(data.person, data.features.shape[1]),
        randvars={"x0": "n"},
        n_draws=200_000,
        batch_size=10_000,
        random_state=0,
        verbose=0,
        tol_opts={"ftol": 1e-9, "gtol": 1e-7},
    )
    figures = dict(zip(model.coeff_names.tolist(), model.coeff_.tolist(), strict=True))
    estimates = np.abs([figures["sd.x0"]]), [figures[name] for name in ("x0", "x1", "x2")]
    theta = np.concatenate(estimates[::-1])
    exact, log_likelihood = quadrature(data, theta)
    distance = float(np.abs(theta / exact - 1).max())
    if distance > 3e-5:
        raise SystemExit(f"xlogit is {distance:.1e} from the exact estimates: {theta} {exact}")
    return {
        "fingerprint": data.fingerprint,
        "draws": 200_000,
        "xlogit": {
            "mean": theta[:3].tolist(),
            "sd": theta[3:].tolist(),
            "log_likelihood": float(model.loglikelihood),
            "standard_errors": model.stderr.tolist(),
        },
        "quadrature": {
            "mean": exact[:3].tolist(),
            "sd": exact[3:].tolist(),
            "log_likelihood": log_likelihood,
        },
    }


def quadrature(data: Choices, start: np.ndarray) -> tuple[np.ndarray, float]:
    """The estimates of the panel likelihood whose integral is exact up to rounding."""
    points = np.linspace(-9.0, 9.0, 1_201)
    weights = np.exp(-(points**2) / 2)
    weights /= weights.sum()
    gaps = data.features - np.take_along_axis(data.features, data.chosen[:, None, None], axis=1)
    starts = np.flatnonzero(np.diff(data.person, prepend=-1))

    def minus_log_likelihood(theta: np.ndarray) -> float:
        gap_BKS = (gaps @ theta[:3])[..., None] + (gaps[..., :1] * theta[3]) * points
        log_prob_BS = -np.log(np.exp(gap_BKS).sum(axis=1))
        return -float(np.log(np.exp(np.add.reduceat(log_prob_BS, starts)) @ weights).sum())

    # A polished end: Nelder-Mead needs no gradient and stops where the figure no longer moves.
    found = minimize(
        minus_log_likelihood,
        start,
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 5000},
    )
    return found.x, -float(found.fun)


def bundled_swissmetro() -> Choices:
    """Commuters and business travellers of the bundled sample, Biogeme's first specification."""
    file = pq.read_table(SAMPLE)
    table = {name: file[name].to_numpy() for name in file.column_names}
    keep = np.isin(table["purpose"], [1, 3]) & (table["choice"] != 0)
    table = {name: values[keep] for name, values in table.items()}
    features = np.zeros((int(keep.sum()), 3, 4))
    features[:, 0, 0] = features[:, 2, 1] = 1.0
    for place, option in enumerate(("train", "sm", "car")):
        features[:, place, 2] = table[f"{option}_tt"] / 100
        paid = 1 if option == "car" else table["ga"] == 0
        features[:, place, 3] = table[f"{option}_co"] / 100 * paid
    offered = np.stack([table[f"{option}_av"] == 1 for option in ("train", "sm", "car")], axis=1)
    person = np.unique(table["respondent_id"].astype(str), return_inverse=True)[1]
    return Choices(features, offered, table["choice"].astype(np.int64) - 1, person)


def _long(data: Choices) -> dict:
    rows, options, attributes = data.features.shape
    return {
        "X": data.features.reshape(rows * options, attributes),
        "y": (np.arange(options) == data.chosen[:, None]).astype(np.int64).ravel(),
        "varnames": [f"x{place}" for place in range(attributes)],
        "alts": np.tile(np.arange(options), rows),
        "ids": np.repeat(np.arange(rows), options),
        "avail": data.offered.astype(np.int64).ravel(),
    }


def _write(name: str, figures: dict) -> None:
    versions = {peer: version(peer) for peer in ("xlogit", "choice-learn", "numpy")}
    path = HERE / f"{name}.json"
    path.write_text(json.dumps({**figures, "versions": versions}, indent=1) + "\n")
    print(path.name, json.dumps(figures), file=sys.stderr)


if __name__ == "__main__":
    main()
