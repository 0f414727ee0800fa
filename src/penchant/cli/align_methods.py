"""The methods that `penchant align` knows by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from penchant.errors import ConfigError

if TYPE_CHECKING:
    from penchant.fitting.language_learner import LearnerConfig
    from penchant.lm.precision import Precision
    from penchant.policies.language.layout import Layout
    from penchant.policies.language.methods.anchor import Anchor

# What a method learns from: rewards of its own answers; pairs; answers found good or bad;
# demonstrations; single steps of its own answers.
Way = Literal["reward", "pairs", "answers", "shown", "steps"]


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
    layout: "Layout | None" = None
    tokens_at_once: int | None = None
    precision: "Precision" = "full"
    divided: bool = False
    model: str = ""
    width: int = 96
    layers: int = 3
    window: int = 256
    demonstrations: int = 1_500
    passes: int = 4
    reward: str = ""
    server: str = ""
    served: str = ""
    weights: str = ""
    modes: tuple[str, ...] = ()
    frozen: str = ""
    ties: Literal["half", "davidson", "rao_kupper"] = "half"
    keep_answers: bool = False
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a method may depend on beside the options; task and tokenizer None of data."""

    most_tokens: int = 1
    task: Any = None
    tokenizer: Any = None


@dataclass(frozen=True, kw_only=True)
class Offered:
    """way: what it learns from. told: one line for the list. made: the composition. group_size,
    prompts, updates: where the command line says nothing."""

    way: Way
    told: str
    made: Callable[[AlignOptions, Setting], Any]
    group_size: int = 8
    prompts: int | None = None
    updates: int = 1

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


def _retroformer(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.proximal import retroformer

    if not hasattr(setting.task, "draw_world"):
        raise ConfigError(
            "--method retroformer gives each turn what the next one gained; expected a task of "
            "several turns: RETRY, where turns are reflections."
        )
    return retroformer(_anchor(options, "reward"))


def _stimulus(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.adaptive import AdaptiveAnchor
    from penchant.policies.language.methods.anchor import Anchor
    from penchant.policies.language.methods.proximal import Proximal

    _single("dsp", setting)
    anchor = Anchor(strength=options.anchor or 0.05, place="reward")
    return AdaptiveAnchor(base=Proximal(anchor=anchor))


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


def _banded(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.banded import Banded
    from penchant.policies.language.methods.proximal import Proximal

    if not hasattr(setting.task, "draw_world"):
        raise ConfigError(
            "--method epo holds entropy near what it was at the same turn; expected a task of "
            "several turns: DOOR, LOOK or TALK."
        )
    return Banded(base=Proximal(anchor=_anchor(options, "reward")))


def _concise(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.concise import Concise
    from penchant.policies.language.methods.group_relative import grpo

    return Concise(base=grpo(_anchor(options, "loss")))


def _mirrored(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.mirrored import Mirrored

    _single("k1.5", setting)
    if options.updates == 1:
        raise ConfigError(
            "--method k1.5 with --updates 1 holds nothing: its square pulls back from the second "
            "step on a batch; expected --updates 2 or more (4 where nothing is said), or a method "
            "of one step: `ours`, `rloo`."
        )
    # Brevity within a group ends in empty answers where few are right (recipes/brevity.py).
    return Mirrored(anchor=_anchor(options, "loss"))


def _conflict(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.conflict import ConflictAware

    return ConflictAware(anchor=_anchor(options, "loss"))


def _selected(name: Literal["contrastive", "d3s", "clip-b", "copo", "flow-grpo"]) -> Any:
    def made(options: AlignOptions, setting: Setting) -> Any:
        from penchant.policies.language.methods.consistent import Consistent
        from penchant.policies.language.methods.contrastive import Contrastive
        from penchant.policies.language.methods.down_sampled import DownSampled
        from penchant.policies.language.methods.group_relative import grpo
        from penchant.policies.language.methods.pooled import flow_grpo
        from penchant.policies.language.methods.steady import Steady

        anchor = _anchor(options, "loss")
        if name == "flow-grpo":
            return flow_grpo(anchor)
        base = grpo(anchor)
        if name == "d3s":
            return DownSampled(steps=options.steps, base=base)
        page: Any = {
            "contrastive": Contrastive,
            "clip-b": Steady,
            "copo": Consistent,
        }[name]
        return page(base=base)

    return made


def _single(name: str, setting: Setting) -> None:
    """Raises `ConfigError` for worlds."""
    if hasattr(setting.task, "draw_world"):
        raise ConfigError(
            f"--method {name} learns from single answers; expected a task without turns: CHAIN, "
            "RANK, FIND, TOOL or GRID."
        )


def _stream(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.single_stream import SingleStream

    _single("single-stream", setting)
    return SingleStream(anchor=_anchor(options, "loss"))


def _guided(name: Literal["pcl", "v0", "v0.5"]) -> Any:
    def made(options: AlignOptions, setting: Setting) -> Any:
        from penchant.policies.language.methods import value_guided

        _single(name, setting)
        page = {"pcl": value_guided.prompt_curriculum, "v0": value_guided.useful_budget,
                "v0.5": value_guided.shrunk_prior}  # fmt: skip
        return page[name](_anchor(options, "loss"))

    return made


def _segments(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.segments import SegmentRelative

    _single("segments", setting)
    # Answers of a few tokens: the paper's cuts at every fifth choice would leave nothing to cut.
    return SegmentRelative(completions=4, stride=2, anchor=_anchor(options, "loss"))


def _trees(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.trees import TreeRelative

    _single("trees", setting)
    # Answers of a few tokens: the paper's pieces of 30 would never branch.
    return TreeRelative(
        branches=(2, 2), segment=2, length=setting.most_tokens, anchor=_anchor(options, "loss")
    )


def _modes(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.modes import apo

    _single("modes", setting)
    if not options.modes:
        raise ConfigError(
            "--method modes forces a share of the answers to begin as it is told; expected --mode "
            "TEXT, once or more: in CHAIN, say, --mode '#' answers without scratch work."
        )
    return apo(options.modes, _anchor(options, "loss"))


def _truth(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.inserted import temp_samp

    _single("truth", setting)
    return temp_samp(_anchor(options, "loss"))


def _targeted(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.group_relative import grpo
    from penchant.policies.language.methods.targeted import Targeted

    _single("xrpo", setting)
    return Targeted(base=grpo(_anchor(options, "loss")))


def _windowed(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.proximal import Proximal
    from penchant.policies.language.methods.windowed import Windowed

    _single("t-ppo", setting)
    window = -(-setting.most_tokens // 3)
    return Windowed(window=window, base=Proximal(anchor=_anchor(options, "reward")))


def _informed(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.informed import InformationGain

    if not hasattr(setting.task, "facts") or not hasattr(setting.task, "draw_world"):
        raise ConfigError(
            "--method igpo asks how much each turn told of the true answer; expected a task of "
            "several turns that knows one: LOOK."
        )
    return InformationGain(anchor=_anchor(options, "loss"))


def _gated(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.demonstrated import hpt

    _single("hpt", setting)
    return hpt(setting.most_tokens, _anchor(options, "loss"))


def _replayed(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.group_relative import grpo
    from penchant.policies.language.methods.replayed import Replayed

    _single("arpo", setting)
    return Replayed(base=grpo(_anchor(options, "loss")))


def _levels(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.anchor import Anchor
    from penchant.policies.language.methods.level_pairs import LevelPairs

    return LevelPairs(anchor=Anchor(strength=options.anchor, place="loss"))


def _direct(loss: Literal["logistic", "squared", "hinge"], anchor: float = 0.0) -> Any:
    def made(options: AlignOptions, setting: Setting) -> Any:
        from penchant.policies.language.direct import DirectConfig

        return DirectConfig(
            strength=_strength(options), loss=loss, anchor=anchor, kinds=options.kinds,
            ties=options.ties,
            low_rank=low_rank_of(options), layout=options.layout or "packed",
            tokens_at_once=options.tokens_at_once, learner=learner_of(options), seed=options.seed,
        )  # fmt: skip

    return made


def _kto(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.unpaired import UnpairedConfig

    return UnpairedConfig(
        strength=_strength(options), low_rank=low_rank_of(options), seed=options.seed,
        layout=options.layout or "packed", learner=learner_of(options, max(options.batch, 64)),
    )  # fmt: skip


def _steps(options: AlignOptions, setting: Setting) -> Any:
    from penchant.policies.language.methods.direct_advantage import DirectAdvantage
    from penchant.policies.language.valued_steps import StepsConfig

    _single("direct-advantage", setting)
    steps = StepsConfig(
        strength=_strength(options, 0.2), low_rank=low_rank_of(options), seed=options.seed,
        layout=options.layout or "packed", learner=learner_of(options),
    )  # fmt: skip
    return DirectAdvantage(endings=options.group_size, steps=steps)


def _strength(options: AlignOptions, usual: float = 0.1) -> float:
    return usual if options.strength is None else options.strength


def learner_of(options: AlignOptions, at_once: int = 32) -> "LearnerConfig":
    """How a gradient is made."""
    from penchant.fitting.language_learner import LearnerConfig

    return LearnerConfig(at_once=at_once, precision=options.precision, is_divided=options.divided)


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
    "retroformer": Offered(way="reward", made=_retroformer, told="PPO in which a turn earns what "
                           "the next trial gained, reflections on RETRY (Retroformer 2024)"),
    "dsp": Offered(way="reward", made=_stimulus, told="hints for a frozen model, PPO with an "
                   "anchor that looks for its strength (DSP 2023); --frozen names the model"),
    "epo": Offered(way="reward", made=_banded, told="PPO that seeks entropy and holds late turns' "
                   "below twice what it was there (EPO 2025)"),
    "rank-grpo": Offered(way="reward", made=_rank, told="ranks of a list as credit units "
                         "(Rank-GRPO 2025)"),
    "hapo": Offered(way="reward", made=_concise, told="GRPO with a bonus for answers shorter than "
                    "the shortest right one so far (HAPO 2025)"),
    "k1.5": Offered(way="reward", made=_mirrored, updates=4, told="a square that holds each batch "
                    "near its start in place of a ratio, prompts seldom solved (Kimi k1.5, 2025)"),
    "gtpo": Offered(way="reward", made=_conflict, told="what good and bad answers share is not "
                    "unlearnt with the bad (GTPO 2025)"),
    "single-stream": Offered(way="reward", made=_stream, group_size=1, prompts=128, told="one "
                             "response a prompt against what the prompt earned before (SPO 2025)"),
    "pcl": Offered(way="reward", made=_guided("pcl"), told="prompts that a learnt value foretells "
                   "to succeed half the time (PCL 2025)"),
    "v0": Offered(way="reward", made=_guided("v0"), told="more responses where failures will stand "
                  "beside a success (V0 2026)"),
    "v0.5": Offered(way="reward", made=_guided("v0.5"), told="a foretold value as the prior of the "
                    "group's mean, responses until both agree (V0.5 2026)"),
    "segments": Offered(way="reward", made=_segments, told="what each segment changed in the "
                        "chance to be right, by fresh endings (SPO-chain 2025)"),
    "trees": Offered(way="reward", made=_trees, told="what each piece changed in the chance to be "
                     "right, by a tree of ways on (SPO-tree 2025)"),
    "igpo": Offered(way="reward", made=_informed, told="turns earn what they tell of the true "
                    "answer (IGPO 2025)"),
    "hpt": Offered(way="reward", made=_gated, told="demonstrations where no response is right, "
                   "rewards elsewhere (HPT 2025)"),
    "arpo": Offered(way="reward", made=_replayed, told="GRPO with an earlier success in groups "
                    "that fail whole (ARPO 2025)"),
    "truth": Offered(way="reward", made=_truth, told="GRPO with the known right answer in every "
                     "group (TempSamp-R1 2025)"),
    "modes": Offered(way="reward", made=_modes, told="GRPO with a share of each group made to "
                     "begin as --mode says, and less where the first of these would do (A2FM "
                     "2025)"),
    "xrpo": Offered(way="reward", made=_targeted, told="GRPO with rollouts where they shrink "
                    "doubt, solved problems before hopeless ones, more for rare right answers "
                    "(XRPO 2025)"),
    "t-ppo": Offered(way="reward", made=_windowed, told="PPO by windows: what has not ended goes "
                     "on in the next step (T-PPO 2025)"),
    "trpa": Offered(way="reward", made=_levels, told="every better answer of a group preferred to "
                    "every worse one, whatever the scale of rewards (TRPA 2025)"),
    "contrastive": Offered(way="reward", made=_selected("contrastive"), group_size=16, told="GRPO "
                           "on the best and the worst of each group (ChatShopBuddy 2026)"),
    "d3s": Offered(way="reward", made=_selected("d3s"), told="GRPO on the rows that vary most and "
                   "their least sure tokens, more of them step by step (D3S 2025)"),
    "clip-b": Offered(way="reward", made=_selected("clip-b"), told="GRPO without the tokens that "
                      "would tear entropy down (entropy dynamics 2026)"),
    "copo": Offered(way="reward", made=_selected("copo"), told="GRPO, and the batch's level for "
                    "groups that agree (COPO 2025)"),
    "flow-grpo": Offered(way="reward", made=_selected("flow-grpo"), told="GRPO whose samples are "
                         "turns: a game's outcome to each of them (AgentFlow 2025)"),
    "dpo": Offered(way="pairs", made=_direct("logistic"), told="pairs and ranked lists by the "
                   "policy's own log-ratios (Rafailov et al. 2023); --kinds and --context for "
                   "people who differ"),
    "ipo": Offered(way="pairs", made=_direct("squared"), told="a gap of log-ratios to reach, not "
                   "to exceed (Azar et al. 2024)"),
    "hinge": Offered(way="pairs", made=_direct("hinge"), told="pairs by a hinge (SLiC, Zhao et al. "
                     "2023)"),
    "dpo-nll": Offered(way="pairs", made=_direct("logistic", 1.0), told="DPO, and the better "
                       "answer's likelihood (IRPO, Pang et al. 2024)"),
    "kto": Offered(way="answers", made=_kto, told="answers found good or bad one by one "
                   "(Ethayarajh et al. 2024)"),
    "direct-advantage": Offered(way="steps", made=_steps, group_size=4, told="log-ratios of steps "
                                "regressed on what a frozen critic says of them (Direct Advantage "
                                "2024)"),
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
