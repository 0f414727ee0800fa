"""A language model tuned to judgements, before a reward model stands on its states.

Half of the menus (sets of texts) tune it, the others are left for the reward model: states that
have seen an answer foretell it too well, and a head, its probabilities and its report would all be
too sure.

Legend: B observations.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from penchant.data.columns import to_floats
from penchant.data.records import Records
from penchant.encoders.embedding import Embedded
from penchant.encoders.language_states import LanguageStates
from penchant.encoders.reward import pair_rows
from penchant.fitting.language_reward import LanguageRewardConfig, fit_language_reward
from penchant.fitting.processes import number
from penchant.fitting.sgd import TrainConfig, hold_out
from penchant.lm.folder import load_language_model, save_language_model
from penchant.lm.states import text_rows
from penchant.models.reward_head import HeadSettings, Lessons

# Of the answers that tune, those by which it is seen when to stop.
_LOOKED_AT = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuning:
    """reward: what is trained, and how. share: of the menus that tune.
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
    *, group_by: str = "person", checkpoint: Path | None = None,
) -> Tuned:  # fmt: skip
    """Tune the model that `states` names, with a head that is then thrown away, on a share of the
    menus, and write it into `folder`.

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
    )  # fmt: skip
    menus = lessons.menus()
    left, mine = hold_out(menus, tuning.share, tuning.seed)
    looked_at = mine[hold_out(menus[mine], _LOOKED_AT, tuning.seed)[1]]
    batch = lessons.batch(np.zeros((len(told.of_option), 0)), np.isin(np.arange(len(menus)), mine))
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
        f"{states.model} was tuned ({tuning.reward.trained}) on {len(mine)} of {len(records)} "
        f"answers in {done.steps} steps: {-first:.3f} to {-best:.3f} nats an answer on "
        f"{len(looked_at)} that were only looked at. Everything else here is learnt and judged on "
        f"the other {len(left)}."
    ]
    if done.best == 0:
        remarks.append(
            "The tuning gained nothing: the model is as it was. Try another learning rate, or more "
            "answers."
        )
    tuned = LanguageStates(
        model=str(folder.resolve()), text=states.text, prompt=states.prompt, cache=states.cache
    )
    return Tuned(states=tuned, left=records.take(left), remarks=tuple(remarks))
