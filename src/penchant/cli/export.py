"""`penchant export`: judged texts or a task as the files and functions that TRL and verl take."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options, shell
from penchant.cli.align_tasks import TASKS, known_task, read_task
from penchant.errors import ConfigError, DataError

if TYPE_CHECKING:
    from penchant.data.records import Records

_TRAINERS = ("trl", "verl")


@shell.guarded
def export(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE|TASK",
            help=f"Judged texts, or a task of one response: {', '.join(TASKS)}, with settings as "
            "in CHAIN:most=2.",
            show_default=False,
        ),
    ],
    to: Annotated[str, typer.Option("--to", help="trl or verl.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder.", show_default=False)],
    belief: Annotated[
        Path | None,
        typer.Option(
            "--belief",
            "-b",
            help="FILE: folder of `penchant fit --model reward`, whose reward goes with it.",
            show_default=False,
        ),
    ] = None,
    num: Annotated[int, typer.Option(min=1, help="TASK: problems to train on.")] = 1_000,
    held_out: Annotated[
        float,
        typer.Option(min=0.0, max=0.9, help="Share of the prompts for the test files."),
    ] = 0.1,
    on_bad_rows: options.OnBadRows = "error",
    description: options.DescriptionFile = None,
    role: options.Role = None,
    seed: options.Seed = 0,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Write FILE or TASK in a trainer's own formats, with the reward function that goes with it.

    trl: preference, unpaired and prompts as Parquet (whichever there are). verl: train and test
    with its five columns. reward.py: `reward` for TRL's reward_funcs, `compute_score` for verl's
    custom_reward_function.
    """
    if to not in _TRAINERS:
        raise ConfigError(f"--to got {to!r}; expected one of {', '.join(_TRAINERS)}.")
    is_task = known_task(what) is not None
    if not is_task and not Path(what).is_file():
        raise ConfigError(
            f"there is no file {what!r}, and no task of that name; expected a file of judged "
            f"texts, or one of {', '.join(TASKS)}."
        )
    if is_task and belief is not None:
        raise ConfigError("--belief is of FILE; a task grades its answers itself. Leave it out.")
    if is_task:
        tables, program = _of_task(what, num, seed), _task_program(what)
    else:
        from penchant.cli.reading import read_file

        out.mkdir(parents=True, exist_ok=True)
        records = read_file(
            Path(what), description, on_bad_rows=on_bad_rows, aside=out, quiet=json, roles=role
        ).records
        tables, program = _of_file(records), _belief_program(belief)
    source = f"penchant/{what if is_task else Path(what).stem}" if to == "verl" else None
    files = _written(tables, out, held_out, seed, source)
    if program:
        (out / "reward.py").write_text(program, encoding="utf-8")
        files["reward.py"] = 0
    if json:
        shell.print_json({"folder": str(out), "files": files})
        return
    for name, rows in files.items():
        shell.output().print(f"{out / name}" + (f": {rows:,} rows" if rows else ""))


def _of_task(what: str, num: int, seed: int) -> dict[str, Any]:
    import numpy as np

    from penchant.serving.trainer_data import task_table
    from penchant.simulation.tasks.task import TextTask

    task = read_task(what)
    if not isinstance(task, TextTask):
        raise ConfigError(
            f"{what} is a world of several turns, which these trainers play by environments of "
            "their own; expected a task of one response, such as CHAIN, RANK, FIND, TOOL or GRID."
        )
    return {"prompts": task_table(task.draw(num, np.random.default_rng(seed)))}


def _of_file(records: "Records") -> dict[str, Any]:
    from penchant.serving.trainer_data import preference_table, prompt_table, unpaired_table

    found, trouble = {}, []
    for name, made in (("preference", preference_table), ("unpaired", unpaired_table),
                       ("prompts", prompt_table)):  # fmt: skip
        try:
            found[name] = made(records)
        except DataError as error:
            trouble.append(str(error))
    if "unpaired" not in found:
        raise DataError(trouble[0])
    return found


def _task_program(what: str) -> str:
    task = read_task(what)
    kind = type(task)
    return (
        f'"""What an answer to {what.partition(":")[0]} earns, for TRL (`reward`) and verl '
        '(`compute_score`)."""\n\n'
        "from penchant.serving.trainer_grades import trl_grade, verl_grade\n"
        f"from {kind.__module__} import {kind.__name__}\n\n"
        f"task = {task!r}\nreward = trl_grade(task.grade)\n"
        "compute_score = verl_grade(task.grade)\n"
    )


def _belief_program(belief: Path | None) -> str:
    """Empty where nothing says what answers are worth."""
    if belief is None:
        return ""
    from penchant.models.reward_scorer import RewardScorer

    RewardScorer.load(belief)
    return (
        '"""What an answer is worth to people, for TRL (`reward`) and verl (`compute_score`)."""'
        "\n\nfrom penchant.models.reward_scorer import RewardScorer\n"
        "from penchant.serving.trainers import trl_reward, verl_score\n\n"
        f"scorer = RewardScorer.load({str(belief.resolve())!r})\nreward = trl_reward(scorer)\n"
        "compute_score = verl_score(scorer)\n"
    )


def _written(
    tables: dict[str, Any], out: Path, held_out: float, seed: int, source: str | None
) -> dict[str, int]:
    """Each table as NAME-train and NAME-test, or (with a source) prompts as verl's train and test;
    no prompt stands in both."""
    import numpy as np
    import pyarrow as pa

    from penchant.data.readers.table import write_table
    from penchant.fitting.sgd import hold_out
    from penchant.serving.trainer_data import verl_table

    if source is not None and "prompts" not in tables:
        raise DataError(
            "no answer has a prompt, from which verl would go on; expected a column `prompt`."
        )
    if source is not None:
        tables = {"": tables["prompts"]}

    out.mkdir(parents=True, exist_ok=True)
    known: dict[str, int] = {}
    for table in tables.values():
        for prompt in table["prompt"].to_pylist():
            known.setdefault(repr(prompt), len(known))
    split = np.zeros(len(known), dtype=bool)
    if held_out > 0.0 and len(known) >= 10:
        split[hold_out(np.arange(len(known)), held_out, seed)[1]] = True
    files = {}
    for name, table in tables.items():
        of_row = np.array([split[known[repr(prompt)]] for prompt in table["prompt"].to_pylist()])
        for part, mine in (("train", ~of_row), ("test", of_row)):
            if mine.any():
                file = f"{name}-{part}.parquet".lstrip("-")
                rows = table.filter(pa.array(mine))
                told = rows if source is None else verl_table(rows, source, part)
                write_table(told, out / file)
                files[file] = int(mine.sum())
    return files
