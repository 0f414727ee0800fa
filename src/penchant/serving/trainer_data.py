"""Data as trainers of language models read it: TRL's preference, unpaired and prompt-only tables,
and verl's.

Legend: B observations, P prompts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penchant.data.columns import is_text, one_chunk, to_ints
from penchant.data.records import Records
from penchant.encoders.reward_pairs import pair_outcomes
from penchant.errors import DataError
from penchant.simulation.tasks.task import Problem


def preference_table(records: Records) -> pa.Table:
    """TRL's preference format: prompt, chosen, rejected, and who judged as `person`.

    Strings or lists of messages, as the records hold them; ties and other observations are left
    out. Raises `DataError` where there is no pair with a winner.
    """
    outcome = pair_outcomes(records)
    row = np.flatnonzero((outcome == 0) | (outcome == 1))
    if not len(row):
        raise DataError(
            f"of {len(records)} observations none is a pair of texts with a winner; expected "
            "prompt, chosen and rejected."
        )
    texts, at = _texts(records), records.offsets[:-1][row]
    return pa.table({
        **_of_rows(records, row), "chosen": texts.take(pa.array(at + outcome[row])),
        "rejected": texts.take(pa.array(at + 1 - outcome[row])),
    })  # fmt: skip


def unpaired_table(records: Records) -> pa.Table:
    """TRL's unpaired format: prompt, completion, label. Of a pair the winner is good and the loser
    is not. Raises `DataError` where nothing was judged."""
    outcome = pair_outcomes(records)
    pairs = np.flatnonzero((outcome == 0) | (outcome == 1))
    single = np.zeros(0, dtype=np.int64)
    success = np.zeros(0, dtype=np.int64)
    if "success" in records.options.column_names:
        single = np.flatnonzero(records.menu_sizes == 1)
        success = to_ints(records.options["success"], missing=-1)[records.offsets[:-1][single]]
        single, success = single[success >= 0], success[success >= 0]
    if not len(pairs) and not len(single):
        raise DataError(
            f"of {len(records)} observations none is a judged text; expected pairs, or answers "
            "with a label."
        )
    row = np.concatenate([np.repeat(pairs, 2), single])
    at = records.offsets[:-1][row]
    at[: 2 * len(pairs)] += np.tile([0, 1], len(pairs))
    won = np.stack([outcome[pairs] == 0, outcome[pairs] == 1], axis=1).reshape(-1)
    return pa.table({
        **_of_rows(records, row), "completion": _texts(records).take(pa.array(at)),
        "label": pa.array(np.concatenate([won, success > 0])),
    })  # fmt: skip


def prompt_table(records: Records) -> pa.Table:
    """TRL's prompt-only format: each prompt once, or once for each person who judged there. Raises
    `DataError` where there is none but the empty one."""
    told = pa.table(_of_rows(records, np.arange(len(records))))
    seen: dict[str, int] = {}
    for at, row in enumerate(told.to_pylist()):
        if row["prompt"]:
            seen.setdefault(repr(row), at)
    if not seen:
        raise DataError(
            f"none of {len(records)} observations has a prompt; expected one to go on from."
        )
    return told.take(pa.array(list(seen.values())))


def task_table(problems: Sequence[Problem]) -> pa.Table:
    """TRL's prompt-only format of a task's problems: prompt, and the columns `answer` and
    `difficulty`, which `trainer_grades.trl_grade` reads."""
    return pa.table({
        "prompt": [problem.prompt for problem in problems],
        "answer": [problem.demonstration for problem in problems],
        "difficulty": [problem.difficulty for problem in problems],
    })  # fmt: skip


def verl_table(prompts: pa.Table, source: str, split: str = "train") -> pa.Table:
    """verl's rows: data_source, prompt (messages), ability, reward_model (style and ground_truth),
    extra_info (split, index, and the columns of `prompts`, its prompt as one text among them).

    prompts: as `prompt_table` or `task_table` give them; `answer`, where there is one, is the
    ground truth. source: what the rewards are told apart by.
    """
    rows = prompts.to_pylist()
    return pa.table({
        "data_source": [source] * len(rows),
        "prompt": [_messages(row["prompt"]) for row in rows],
        "ability": [source] * len(rows),
        "reward_model": [
            {"style": "rule", "ground_truth": str(row.get("answer") or "")} for row in rows
        ],
        "extra_info": [
            {**_plain(row), "split": split, "index": index} for index, row in enumerate(rows)
        ],
    })  # fmt: skip


def _of_rows(records: Records, row: Any) -> dict[str, Any]:
    """Prompt, and the person where one is known."""
    names = records.rows.column_names
    told = {"prompt": pa.nulls(len(records), pa.string())}
    told |= {name: one_chunk(records.rows[name]) for name in ("prompt", "person") if name in names}
    if "person" in told and told["person"].null_count == len(records):
        del told["person"]
    found = {name: _decoded(values).take(pa.array(row)) for name, values in told.items()}
    if is_text(found["prompt"].type):
        # TRL wants a text; none before an answer is the empty one.
        found["prompt"] = pc.fill_null(found["prompt"], "")
    return found


def _texts(records: Records) -> Any:
    if "text" not in records.options.column_names:
        raise DataError(
            "the options have no texts; expected a column `text` of strings or messages. Say which "
            "in a description: options.text = ..."
        )
    return _decoded(one_chunk(records.options["text"]))


def _decoded(column: Any) -> Any:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _messages(prompt: Any) -> list[Mapping[str, Any]]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    from penchant.lm.templates import plain_chat

    said = row["prompt"]
    return {**row, "prompt": said if isinstance(said, str) else plain_chat(said)}
