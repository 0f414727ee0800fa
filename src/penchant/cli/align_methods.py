"""The methods that `penchant align` knows by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from penchant.errors import ConfigError

if TYPE_CHECKING:
    from penchant.policies.language.methods.anchor import Anchor

# What a method learns from: rewards of its own answers; pairs; answers found good or bad;
# demonstrations.
Way = Literal["reward", "pairs", "answers", "shown"]


@dataclass(frozen=True, kw_only=True)
class AlignOptions:
    """What the command line says; None where it says nothing."""

    steps: int = 100
    prompts: int | None = None
    group_size: int = 8
    most_tokens: int | None = None
    updates: int = 1
    temperature: float = 1.0
    learning_rate: float | None = None
    anchor: float = 0.0
    rank: int | None = None
    strength: float | None = None
    epochs: int | None = None
    batch: int = 32
    kinds: int = 1
    context: str | None = None
    held_out: float = 0.1
    trial: int = 300
    layout: Literal["shared", "padded"] = "shared"
    model: str = ""
    width: int = 96
    layers: int = 3
    window: int = 256
    demonstrations: int = 1_500
    passes: int = 4
    reward: str = ""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Offered:
    """way: what it learns from. told: one line for the list. made: the composition, by options and
    the most tokens of a response."""

    way: Way
    told: str
    made: Callable[[AlignOptions, int], Any]


def _anchor(options: AlignOptions, place: Literal["reward", "loss"]) -> "Anchor | None":
    from penchant.policies.language.methods.anchor import Anchor

    return Anchor(strength=options.anchor, place=place) if options.anchor > 0.0 else None


def _ours(options: AlignOptions, most: int) -> Any:
    from penchant.policies.language.methods.group_relative import GroupRelative

    return GroupRelative(anchor=_anchor(options, "reward"))


def _grpo(options: AlignOptions, most: int) -> Any:
    from penchant.policies.language.methods.group_relative import grpo

    return grpo(_anchor(options, "loss"))


def _rloo(options: AlignOptions, most: int) -> Any:
    from penchant.policies.language.methods.group_relative import rloo

    return rloo(most, _anchor(options, "reward"))


def _dr_grpo(options: AlignOptions, most: int) -> Any:
    from penchant.policies.language.methods.group_relative import dr_grpo

    return dr_grpo(most, _anchor(options, "loss"))


def _ppo(options: AlignOptions, most: int) -> Any:
    from penchant.policies.language.methods.proximal import Proximal

    return Proximal(anchor=_anchor(options, "reward"))


def _direct(loss: Literal["logistic", "squared", "hinge"], anchor: float = 0.0) -> Any:
    def made(options: AlignOptions, most: int) -> Any:
        from penchant.policies.language.direct import DirectConfig

        return DirectConfig(
            strength=options.strength or 0.1, loss=loss, anchor=anchor, kinds=options.kinds,
            low_rank=low_rank_of(options), seed=options.seed,
        )  # fmt: skip

    return made


def _kto(options: AlignOptions, most: int) -> Any:
    from penchant.policies.language.unpaired import UnpairedConfig

    return UnpairedConfig(
        strength=options.strength or 0.1, low_rank=low_rank_of(options), seed=options.seed
    )


def low_rank_of(options: AlignOptions) -> Any:
    """Adapters of the rank asked for; None trains the whole model."""
    from penchant.lm.low_rank import LowRankConfig

    return None if options.rank is None else LowRankConfig(rank=options.rank)


METHODS: Mapping[str, Offered] = {
    "ours": Offered(way="reward", made=_ours, told="group mean of the others, no scale, clipped at "
                    "0.2 and 0.28, one mean over all tokens"),
    "grpo": Offered(way="reward", made=_grpo, told="z-scores within a prompt's group (Shao et al. "
                    "2024)"),
    "rloo": Offered(way="reward", made=_rloo, told="reward less the mean of the others, unbiased "
                    "(Ahmadian et al. 2024)"),
    "dr-grpo": Offered(way="reward", made=_dr_grpo, told="GRPO without its two divisions (Liu et "
                       "al. 2025)"),
    "ppo": Offered(way="reward", made=_ppo, told="a learnt value of every token, generalised "
                   "advantages (Schulman et al. 2017)"),
    "dpo": Offered(way="pairs", made=_direct("logistic"), told="pairs by the policy's own log-"
                   "ratios (Rafailov et al. 2023); --kinds and --context for people who differ"),
    "ipo": Offered(way="pairs", made=_direct("squared"), told="a gap of log-ratios to reach, not "
                   "to exceed (Azar et al. 2024)"),
    "hinge": Offered(way="pairs", made=_direct("hinge"), told="pairs by a hinge (SLiC, Zhao et al. "
                     "2023)"),
    "dpo-nll": Offered(way="pairs", made=_direct("logistic", 1.0), told="DPO, and the better "
                       "answer's likelihood (IRPO, Pang et al. 2024)"),
    "kto": Offered(way="answers", made=_kto, told="answers found good or bad one by one "
                   "(Ethayarajh et al. 2024)"),
    "sft": Offered(way="shown", made=lambda options, most: None, told="supervised fine-tuning on "
                   "demonstrations, or on what was chosen"),
}  # fmt: skip


def offered(name: str) -> Offered:
    """Raises `ConfigError` for a method that there is not."""
    if name not in METHODS:
        from penchant.encoders.formula import closest

        raise ConfigError(f"--method got {name!r}. {closest(name, METHODS)} `penchant align "
                          "--methods` tells what each does.")  # fmt: skip
    return METHODS[name]
