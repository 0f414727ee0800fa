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
class Setting:
    """What a method may depend on beside the options; task and tokenizer None of data."""

    most_tokens: int = 1
    task: Any = None
    tokenizer: Any = None


@dataclass(frozen=True, kw_only=True)
class Offered:
    """way: what it learns from. told: one line for the list. made: the composition."""

    way: Way
    told: str
    made: Callable[[AlignOptions, Setting], Any]

    @property
    def sentence(self) -> str:
        """The line as a sentence, without what it says of options."""
        said = self.told.partition("; --")[0]
        return f"{said[0].upper()}{said[1:]}."


def _anchor(options: AlignOptions, place: Literal["reward", "loss"]) -> "Anchor | None":
    from penchant.policies.language.methods.anchor import Anchor

    return Anchor(strength=options.anchor, place=place) if options.anchor > 0.0 else None


def _ours(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.group_relative import GroupRelative

    return GroupRelative(anchor=_anchor(options, "reward"))


def _grpo(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.group_relative import grpo

    return grpo(_anchor(options, "loss"))


def _rloo(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.group_relative import rloo

    return rloo(setting.most_tokens, _anchor(options, "reward"))


def _dr_grpo(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.group_relative import dr_grpo

    return dr_grpo(setting.most_tokens, _anchor(options, "loss"))


def _ppo(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.proximal import Proximal

    return Proximal(anchor=_anchor(options, "reward"))


def _rank(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.ranked import RankRelative

    hits = getattr(setting.task, "hits", None)
    if hits is None:
        raise ConfigError(
            "--method rank-grpo compares lists rank by rank; expected the task RANK, whose answers "
            "are lists."
        )
    return RankRelative(
        hits=hits, separators=frozenset(setting.tokenizer.encode("\n")),
        anchor=_anchor(options, "loss"),
    )  # fmt: skip


def _turns(likeness: Literal["turn", "history"]) -> Any:
    def made(options: AlignOptions, setting: Setting) -> Any:
        from penchant.policies.language.methods.turnwise import TurnWise

        if likeness == "history" and not hasattr(setting.task, "draw_world"):
            raise ConfigError(
                "--method hgpo compares turns that saw the same; expected a task of several "
                "turns: DOOR, LOOK or TALK."
            )
        return TurnWise(likeness=likeness, anchor=_anchor(options, "reward"))

    return made


def _concise(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.concise import Concise
    from penchant.policies.language.methods.group_relative import grpo

    return Concise(base=grpo(_anchor(options, "loss")))


def _conflict(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.conflict import ConflictAware

    return ConflictAware(anchor=_anchor(options, "loss"))


def _direct(loss: Literal["logistic", "squared", "hinge"], anchor: float = 0.0) -> Any:
    def made(options: AlignOptions, setting: Setting) -> Any:
        from penchant.policies.language.direct import DirectConfig

        return DirectConfig(
            strength=_strength(options), loss=loss, anchor=anchor, kinds=options.kinds,
            low_rank=low_rank_of(options), seed=options.seed,
        )  # fmt: skip

    return made


def _kto(options: AlignOptions, setting: Setting) -> Any:
    from penchant.fitting.language_learner import LearnerConfig
    from penchant.policies.language.unpaired import UnpairedConfig

    return UnpairedConfig(
        strength=_strength(options), low_rank=low_rank_of(options), seed=options.seed,
        learner=LearnerConfig(at_once=max(options.batch, 64)),
    )  # fmt: skip


def _strength(options: AlignOptions) -> float:
    return 0.1 if options.strength is None else options.strength


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
    "turns": Offered(way="reward", made=_turns("turn"), told="what a turn earns from there on, "
                     "less the other episodes' at that turn"),
    "hgpo": Offered(way="reward", made=_turns("history"), told="the same among turns that saw the "
                    "same, in nested groups (HGPO 2026)"),
    "rank-grpo": Offered(way="reward", made=_rank, told="ranks of a list as credit units "
                         "(Rank-GRPO 2025)"),
    "hapo": Offered(way="reward", made=_concise, told="GRPO with a bonus for answers shorter than "
                    "the shortest right one so far (HAPO 2025)"),
    "gtpo": Offered(way="reward", made=_conflict, told="what good and bad answers share is not "
                    "unlearnt with the bad (GTPO 2025)"),
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
    "sft": Offered(way="shown", made=lambda options, setting: None, told="supervised fine-tuning "
                   "on demonstrations, or on what was chosen"),
}  # fmt: skip


def offered(name: str) -> Offered:
    """Raises `ConfigError` for a method that there is not."""
    if name not in METHODS:
        from penchant.encoders.formula import closest

        raise ConfigError(f"--method got {name!r}. {closest(name, METHODS)} `penchant align "
                          "--methods` tells what each does.")  # fmt: skip
    return METHODS[name]
