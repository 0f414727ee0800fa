"""A language model tuned to judgements, before a reward model stands on its states.

Half of the answers tune it, the others are left for the reward model: states that have seen an
answer foretell it too well, and a head, its probabilities and its report would all be too sure. No
prompt stands on both sides where prompts allow it, else no text, else no set of texts (and the
remarks count what is shared).

Legend: B observations, T distinct texts.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from penchant.data.columns import to_floats
from penchant.data.records import Records
from penchant.encoders.embedding import Embedded
from penchant.encoders.language_states import LanguageStates
from penchant.encoders.reward_pairs import pair_margins, pair_rows
from penchant.fitting.language_reward import OFFSET, LanguageRewardConfig, fit_language_reward
from penchant.fitting.processes import number
from penchant.fitting.sgd import TrainConfig, hold_out
from penchant.lm.folder import load_language_model, save_language_model
from penchant.lm.states import text_rows
from penchant.models.reward_head import HeadSettings, Lessons, prompt_codes
from penchant.numerics.arrays import Array

# The folder, within that of a saved reward model, of a language model that was tuned for it.
OWN_MODEL = "language_model"
# Of the answers that tune, those by which it is seen when to stop.
_LOOKED_AT = 0.1
# Whole groups (prompts, connected texts) are shared out where there are so many and none holds more
# than this share of the answers: else a side could be left with hardly any.
_ENOUGH_GROUPS, _LARGEST = 20, 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """reward: what is trained, and how. share: of the groups of answers that tune.
    training: stops early where a tenth of them gains no more."""

    reward: LanguageRewardConfig = field(default_factory=LanguageRewardConfig)
    training: TrainConfig = field(
        default_factory=lambda: TrainConfig(
            batch_size=32,
            max_epochs=8,
            learning_rate=1e-3,
            schedule="cosine",
            warmup_share=0.1,
            evaluations=2,
            patience=4,
            min_gain=0.0,
        )
    )
    share: float = 0.5
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Tuned:
    """states: of the tuned model, in its folder. left: the observations that it has not seen.
    remarks: what a reader should know."""

    states: LanguageStates
    left: Records
    remarks: tuple[str, ...]


def tune_language_model(
    records: Records, states: LanguageStates, folder: Path, tuning: Tuning,
    *, group_by: str = "person", margin: str | None = None, checkpoint: Path | None = None,
) -> Tuned:  # fmt: skip
    """Tune the model that `states` names, with a head that is then thrown away, on a share of the
    answers, and write it into `folder`. margin: a column, as in `RewardModel`.

    Of several processes the first one writes. Raises as `fit_language_reward` and
    `load_language_model` do, and `ConfigError` for a share that leaves nothing on a side.
    """
    told = states.distinct(records)
    lessons = Lessons(
        records=records, is_pair=pair_rows(records), weight=to_floats(records.rows["weight"]),
        embedded=Embedded(
            texts=told.texts, of_option=told.of_option, prompts=told.prompts,
            vectors=np.zeros((len(told.texts), 0), dtype=np.float32),
        ),
        settings=HeadSettings(
            embedding=states, attributes=(), has_ties=False, has_position=False, group_by=group_by
        ),
        margin=None if margin is None else pair_margins(records, margin),
    )  # fmt: skip
    groups = _groups(lessons)
    left, mine = hold_out(groups, tuning.share, tuning.seed)
    looked_at = mine[hold_out(groups[mine], _LOOKED_AT, tuning.seed)[1]]
    tunes = np.isin(np.arange(len(groups)), mine)
    offset = np.zeros((len(told.of_option), 0))
    if margin is not None:
        offset = -lessons.handicaps()[:, None]
    batch = lessons.batch(offset, tunes, (OFFSET,) if margin is not None else None)
    row = np.concatenate([block.row for block in batch.blocks])
    model = load_language_model(states.model)
    rows, _ = text_rows(model, told.prompts, told.texts)
    fitted, done = fit_language_reward(
        model, rows, batch, tuning.training, config=tuning.reward,
        held_out=np.flatnonzero(np.isin(row, looked_at)), checkpoint=checkpoint,
    )  # fmt: skip
    if number() == 0:
        save_language_model(fitted.model, folder)
    first, best = done.looks[0].held_out, done.looks[done.best].held_out
    remarks = [
        f"{states.reader} was tuned ({tuning.reward.trained}) on {len(mine)} of {len(records)} "
        f"answers in {done.steps} steps: {-first:.3f} to {-best:.3f} nats an answer on "
        f"{len(looked_at)} that were only looked at. Everything else here is learnt and judged on "
        f"the other {len(left)}."
    ]
    met = int((lessons.touches(_shown(lessons, tunes)) & ~tunes).sum())
    if met:
        remarks.append(
            f"The texts hang together too much to be parted: {met} of the {len(left)} answers left "
            "show a text that the tuning has read in others. Of texts to come the report may be "
            "too favourable."
        )
    if done.best == 0:
        remarks.append(
            "The tuning gained nothing: the model is as it was. Try another learning rate, or more "
            "answers."
        )
    tuned = LanguageStates(
        model=str(folder.resolve()), text=states.text, prompt=states.prompt, cache=states.cache
    )
    return Tuned(states=tuned, left=records.take(left), remarks=tuple(remarks))


def _groups(lessons: Lessons) -> Int[Array, " B"]:
    """A number for each observation: those of one stay on one side of the tuning.

    States that have been tuned on a text are no longer those of a text to come. So prompts and
    texts that observations connect stay together; where they all hang together only the texts, and
    where these do too, those who judged the same set of texts.
    """
    everyone = np.ones(len(lessons.records), dtype=bool)
    first = lessons.embedded.of_option[lessons.records.offsets[:-1]]
    texts = lessons.connected(everyone)[first]
    prompt = prompt_codes(lessons.records, getattr(lessons.settings.embedding, "prompt", None))
    for groups in (_joined(texts, prompt), texts):
        held = np.bincount(groups)
        if (held > 0).sum() >= _ENOUGH_GROUPS and held.max() <= _LARGEST * len(groups):
            return groups
    return lessons.menus()


def _joined(one: Int[Array, " B"], other: Int[Array, " B"]) -> Int[Array, " B"]:
    """Groups of observations that either of two groupings holds together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = int(one.max(initial=0)) + 1
    whole = size + int(other.max(initial=0)) + 1
    edges = coo_array((np.ones(len(one)), (one, size + other)), shape=(whole, whole))
    return connected_components(edges, directed=False)[1].astype(np.int64)[one]


def _shown(lessons: Lessons, rows: Bool[Array, " B"]) -> Bool[Array, " T"]:
    """Which texts these observations show."""
    shown = np.zeros(len(lessons.embedded.texts), dtype=bool)
    shown[lessons.embedded.of_option[np.repeat(rows, lessons.records.menu_sizes)]] = True
    return shown
