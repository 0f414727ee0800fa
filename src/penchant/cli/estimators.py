"""From `--model` to an estimator: the one place where the shell's names meet the library's."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from penchant.errors import ConfigError, DataError

if TYPE_CHECKING:
    from penchant.data.records import Records

MODELS = {
    "pooled": "one taste for all",
    "context": "one taste for all, in any situation: each feature's worth depends on the context",
    "classes": "a few kinds of people, latent classes",
    "mixed": "random coefficients, a panel mixed logit",
    "personal": "a taste for each person, shrunk towards everybody's",
    "hierarchical": "the same by hierarchical Bayes: draws instead of errors, chains judged",
    "neural": "small networks on the features and the context; needs the extra torch",
}
# `fit` alone has this one: its data are judged texts.
OF_TEXTS = {"reward": "what texts are worth to their judges; of `penchant fit` only"}
ONE_SIGNED = ("lognormal", "triangular", "truncated", "censored")
DISTRIBUTIONS = ("normal", "uniform", *ONE_SIGNED, *(f"-{name}" for name in ONE_SIGNED))

# Which models have a use for an option that not all of them have.
HOMES = {
    "random": ("mixed", "personal", "hierarchical"),
    "draws": ("mixed", "personal", "hierarchical"),
    "chains": ("hierarchical",),
    "correlated": ("mixed",),
    "shrunk": ("pooled", "context", "mixed", "personal"),
    "classes": ("classes",),
    "group_formula": ("classes",),
    "context": ("neural",),
}


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """What the command line says about a model. Where `formula` is empty, a default is made."""

    model: str
    formula: str = ""
    shrunk: str = ""
    group_formula: str = ""
    context: str = ""
    random: str = ""
    correlated: bool = False
    classes: int | None = None
    draws: int | None = None
    chains: int | None = None
    seed: int = 0

    def completed(self, records: "Records") -> tuple["ModelOptions", tuple[str, ...]]:
        """With a formula for these records if there was none, and what to say about it."""
        if self.formula:
            return self, ()
        from penchant.cli.default_formula import default_formula

        default = default_formula(records, with_context=self.model == "context")
        if not default.text:
            raise DataError(
                "there is nothing to explain the answers by: the options have no feature, and "
                "fewer than two names (or too many for a constant each); expected features under "
                "[options] of the description, or `--formula`. Look at what was read with "
                f"`penchant describe FILE`.{''.join(f' Note: {note}' for note in default.notes)}"
            )
        said = f"Formula: {default.text}"
        notes = default.notes
        if default.shrunk:
            said += f", shrunk: {default.shrunk}"
        elif self.model == "context":
            notes += (
                "No column of people or situations could serve as context, so that this is one "
                "taste for all. Name some under [rows] of the description, as `person_features` "
                "or `context`.",
            )
        shrunk = self.shrunk or default.shrunk
        complete = replace(self, formula=default.text, shrunk=shrunk)
        if self.model == "neural" and not self.context:
            beside = default_formula(records, with_context=True)
            said += f", context: {beside.context}" if beside.context else ""
            return replace(complete, context=beside.context), (said, *beside.notes)
        return complete, (said, *notes)


_WITHOUT: dict[str, Any] = {field.name: field.default for field in fields(ModelOptions)}


def build_estimator(options: ModelOptions) -> Any:
    """The estimator asked for. Raises ConfigError for an option it has no use for."""
    check_options(options)
    if options.model in ("pooled", "context"):
        from penchant.models.conditional_logit import ConditionalLogit

        return ConditionalLogit(
            formula=options.formula, shrunk=options.shrunk, random_state=options.seed
        )
    if options.model == "classes":
        from penchant.models.latent_class_logit import LatentClassLogit

        kinds = LatentClassLogit(
            formula=options.formula,
            group_formula=options.group_formula,
            random_state=options.seed,
        )
        return kinds if options.classes is None else kinds.set_params(num_classes=options.classes)
    if options.model == "neural":
        from penchant.models.neural_logit import NeuralLogit

        return NeuralLogit(
            formula=options.formula, context=options.context, random_state=options.seed
        )
    estimator: Any
    if options.model == "mixed":
        from penchant.models.mixed_logit import MixedLogit

        estimator = MixedLogit(correlated=options.correlated)
    elif options.model == "hierarchical":
        return _hierarchical(options)
    else:
        from penchant.models.personal_logit import PersonalLogit

        estimator = PersonalLogit()
    estimator.set_params(
        formula=options.formula,
        shrunk=options.shrunk,
        random=parse_random(options.random) or None,
        random_state=options.seed,
    )
    return estimator if options.draws is None else estimator.set_params(num_draws=options.draws)


def _hierarchical(options: ModelOptions) -> Any:
    from penchant.models.hierarchical_logit import HierarchicalLogit

    estimator = HierarchicalLogit(
        formula=options.formula,
        random=tuple(parse_random(options.random)) or None,
        random_state=options.seed,
    )
    if options.draws is not None:
        # As long a warm-up, beside the draws, as the estimator has by itself; never a shorter one.
        warmup = max(1, options.draws // estimator.num_draws) * estimator.num_warmup
        estimator.set_params(num_draws=options.draws, num_warmup=warmup)
    return estimator if options.chains is None else estimator.set_params(num_chains=options.chains)


def check_options(options: ModelOptions) -> None:
    """Raise ConfigError for an unknown model, or an option that this model would ignore."""
    if options.model not in MODELS:
        known = "; ".join(f"{name} ({meaning})" for name, meaning in (MODELS | OF_TEXTS).items())
        raise ConfigError(f"there is no model {options.model!r}; expected one of: {known}.")
    random = parse_random(options.random)
    if options.model == "hierarchical" and set(random.values()) - {"normal"}:
        raise ConfigError(
            f"--random gives {options.random!r}, and hierarchical Bayes draws normal tastes only. "
            "Name the features alone, as in --random time,cost, or fit --model mixed."
        )
    for option, home in HOMES.items():
        if getattr(options, option) and options.model not in home:
            flag = _flag(option)
            raise ConfigError(
                f"{flag} belongs to --model {' or '.join(home)}; with --model {options.model} it "
                f"would change nothing. Leave it out, or fit --model {home[0]}."
            )


def each_model(options: ModelOptions, models: Sequence[str]) -> tuple[ModelOptions, ...]:
    """The options of several models at once: each model takes those that it has a use for.

    Raises ConfigError for an unknown model, or an option that none of them has a use for.
    """
    names = tuple(dict.fromkeys(models))
    if len(names) > 1:
        for option, home in HOMES.items():
            if getattr(options, option) and not set(names) & set(home):
                raise ConfigError(
                    f"{_flag(option)} belongs to --model {' or '.join(home)}; none of "
                    f"{', '.join(names)} has a use for it. Leave it out, or add --model {home[0]}."
                )
    found = []
    for name in names:
        # A single model keeps them all, so that it can complain of those that it would ignore.
        idle = {o: _WITHOUT[o] for o, home in HOMES.items() if len(names) > 1 and name not in home}
        mine = replace(options, model=name, **idle)
        check_options(mine)
        found.append(mine)
    return tuple(found)


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def parse_random(text: str) -> dict[str, str]:
    """`time=normal,cost=lognormal` as a mapping; a bare name is normal."""
    random = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        # Split from the right: a feature's own name may hold an equals sign.
        name, found, distribution = part.rpartition("=")
        if not found:
            name, distribution = part, "normal"
        if distribution not in DISTRIBUTIONS:
            raise ConfigError(
                f"--random gives {name!r} the distribution {distribution!r}; expected one of "
                f"{', '.join(DISTRIBUTIONS)}, as in --random time=normal,cost=lognormal."
            )
        random[name.strip()] = distribution
    return random
