"""What is said of a bandit: options of `penchant decide`, policies of `penchant simulate`."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from penchant.errors import ConfigError

if TYPE_CHECKING:
    from penchant.feedback.channel_contract import Channel
    from penchant.policies.bandits.menu import MenuBanditConfig
    from penchant.policies.bandits.rules import Rule
    from penchant.serving.catalogue_deciding import CatalogueConfig

RULES = (
    "thompson[:WIDTH], ucb[:WIDTH], greedy, epsilon[:E], softmax[:TEMPERATURE], gap[:GAMMA], "
    "kl[:GAMMA], cautious[:SHARE], elimination[:WIDTH], first[:TIMES]"
)
# Where arms stay the same or fill a continuum, in `penchant decide` alone.
CATALOGUE = (
    "exp3[:RATE] (the same options all along, whatever pays), exp4[:RATE] (those, by the `advice` "
    "of experts), zooming[:LIPSCHITZ] (a point of a continuum, such as a price)"
)
ANSWERS = "pick, ranking, pair, best_worst, rating:LEVELS, click, reward"
# What both commands call by one name, and what each is worth where nothing is said.
PRIOR_SCALE = "Standard deviation of a part-worth before any answer."
PERSON_SCALE = "Of what sets a person apart; 0: people do not differ."
HALF_LIFE = "After so much `time` (so many answers, if they have none) half is forgotten."
KINDS = "Kinds of people: a person is shrunk to their kind, which is shrunk to all."
KIND_SCALE = "Standard deviation of what sets a kind apart, with several."
NETWORK = (
    "WIDTH[:FIRST]: a small network of so many outputs, about which the belief is; trained after "
    "FIRST answers (100), and whenever there are twice as many. Needs torch."
)
# As `MenuBanditConfig` calls what stands behind a policy as NAME=NUMBER.
_FIELDS = {
    "prior-scale": "prior_scale", "person-scale": "person_scale", "half-life": "half_life",
    "kinds": "num_kinds", "kind-scale": "kind_scale",
}  # fmt: skip
_GRANTS = ("floor", "exposure", "budget")
SETTINGS = (*_GRANTS, *_FIELDS, "network")


def read_rule(said: str, *, beside: str = "") -> "Rule":
    """A rule by its name and first setting. Raises `ConfigError` for an unknown one, which tells
    what else could have been said (beside)."""
    from penchant.policies.bandits import rules

    name, _, setting = said.partition(":")
    known: dict[str, tuple[Any, str]] = {
        "thompson": (rules.Thompson, "width"),
        "ucb": (rules.UpperConfidence, "width"),
        "greedy": (rules.Greedy, ""),
        "epsilon": (rules.EpsilonGreedy, "epsilon"),
        "softmax": (rules.Softmax, "temperature"),
        "gap": (rules.InverseGap, "gamma"),
        "kl": (rules.InverseGapLoss, "gamma"),
        "cautious": (rules.Cautious, "share"),
        "elimination": (rules.Elimination, "width"),
        "first": (rules.ExploreFirst, "num_each"),
    }
    if name not in known or (setting and not known[name][1]):
        raise ConfigError(f"the rule is {said!r}; expected one of {RULES}{beside}.")
    make, argument = known[name]
    number: float = read_number(setting, "--rule") if setting else 0.0
    if argument == "num_each":
        # Turns are counted: a part of one would pass for another number of them.
        number = whole_number(number, f"the rule {said!r}", "times that each option has its turn")
    made: Rule = make(**({argument: number} if setting else {}))
    return made


def read_catalogue(
    said: str, *, horizon: int | None, coordinates: int, floor: float, seed: int
) -> "CatalogueConfig | None":
    """A rule of `CATALOGUE`; None for any other. Raises `ConfigError` for settings that it has
    not."""
    from penchant.policies.bandits.zooming import ZoomingConfig
    from penchant.serving.catalogue_deciding import CatalogueConfig

    kind, _, setting = said.partition(":")
    number = read_number(setting, "--rule") if setting else None
    if kind in ("exp3", "exp4"):
        return CatalogueConfig(kind=kind, rate=number, horizon=horizon, floor=floor, seed=seed)
    if kind != "zooming":
        return None
    if horizon is None:
        raise ConfigError(
            "zooming has no --horizon; expected how many decisions there will be, which says how "
            "far it looks, such as --horizon 5000."
        )
    zooming = ZoomingConfig(num_rounds=horizon, num_coordinates=coordinates,
                            lipschitz=1.0 if number is None else number)  # fmt: skip
    return CatalogueConfig(kind=kind, zooming=zooming, seed=seed)


def read_answers(said: str) -> "Iterator[Channel]":
    """Channels of kinds of answers by name. Raises `ConfigError` for an unknown one."""
    from penchant.feedback.channel_choice import Choice
    from penchant.feedback.channel_option import Binary, Outcome, Rating
    from penchant.feedback.channel_order import BestWorst, Ranking
    from penchant.feedback.channel_pair import Pair

    known: dict[str, Channel] = {
        "pick": Choice(),
        "ranking": Ranking(),
        "pair": Pair(ties="davidson"),
        "best_worst": BestWorst(),
        "click": Binary(),
        "reward": Outcome(has_intercept=True),
    }
    for text in listed(said):
        name, _, setting = text.partition(":")
        if name == "rating" and setting.isdigit():
            yield Rating(levels=int(setting))
        elif text in known:
            yield known[text]
        else:
            raise ConfigError(f"an answer is {text!r}; expected some of {ANSWERS}.")


def bandit_config(*, network: str = "", **settings: Any) -> "MenuBanditConfig":
    """settings: fields of `MenuBanditConfig`. network: as `NETWORK` says it; nothing: none."""
    from penchant.beliefs.neural_worths import NeuralConfig
    from penchant.policies.bandits.menu import MenuBanditConfig

    if not network:
        return MenuBanditConfig(**settings)
    numbers = network.split(":")
    if len(numbers) > 2 or not all(number.isdigit() for number in numbers):
        raise ConfigError(
            f"the network is {network!r}; expected WIDTH or WIDTH:FIRST, two whole numbers, such "
            "as 16:100."
        )
    found = NeuralConfig(**dict(zip(("width", "first"), map(int, numbers))))
    return MenuBanditConfig(**settings, network=found)


def read_settings(said: list[str]) -> "tuple[MenuBanditConfig, dict[str, float]]":
    """What stands behind a policy, as in person-scale=0.5: of the bandit, and what is granted to
    every option or may be spent. Raises `ConfigError` for unknown names and names said twice."""
    found: dict[str, str] = {}
    for text in said:
        name, _, value = text.partition("=")
        if name not in SETTINGS or name in found or not value:
            raise ConfigError(
                f"--policy has {text!r}; expected one of {', '.join(SETTINGS)}, each once and with "
                "its value behind what a policy is told, as in thompson/pick/exposure=0.1."
            )
        found[name] = value
    network = found.pop("network", "")
    numbers = {name: read_number(value, f"--policy (in {name}={value})")
               for name, value in found.items()}  # fmt: skip
    config = bandit_config(network=network, **_whole(
        {_FIELDS[name]: value for name, value in numbers.items() if name in _FIELDS}
    ))  # fmt: skip
    return config, {name: value for name, value in numbers.items() if name in _GRANTS}


def _whole(settings: Mapping[str, float]) -> dict[str, Any]:
    """Counts as whole numbers."""
    kinds = settings.get("num_kinds", 1.0)
    return {**settings, "num_kinds": whole_number(kinds, "kinds", "kinds, such as kinds=2")}


def whole_number(number: float, name: str, what: str) -> int:
    """Raises `ConfigError` for what is none; name: of what has it, what: it counts."""
    if not number.is_integer():
        raise ConfigError(f"{name} has {number}; expected a whole number of {what}.")
    return int(number)


def read_number(said: str, name: str) -> float:
    """Raises `ConfigError` for what is none; name: of the option that it stands in."""
    try:
        return float(said)
    except ValueError:
        raise ConfigError(f"{name} has {said!r}; expected a number.") from None


def listed(said: str) -> list[str]:
    """Texts with commas between them."""
    return [text.strip() for text in said.split(",") if text.strip()]
