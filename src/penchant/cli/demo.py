"""`penchant demo`: real people's travel choices, from the file to a judged model and a decision."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options, shell
from penchant.cli.demo_models import LONDON, REFERENCE, SWISSMETRO, Settings, Study
from penchant.errors import MissingExtraError

if TYPE_CHECKING:
    from penchant.data.records import Records
    from penchant.evaluation.predictions import Predictions
    from penchant.evaluation.report import FewShotPoint, LadderRow

STUDIES = {study.name: study for study in (SWISSMETRO, LONDON)}
FEW_ANSWERS = "few_answers"
LADDER_FILES = {"swissmetro": "ladder.json", "london": "ladder_london.json"}
# What the trees reached with seed 0: shown where scikit-learn is not installed.
RECORDED_TREES = (
    ("new_people", 0.6541, 0.6256, 0.6826, 0.7091, 0.0243, 976, 8784),
    ("known_people", 0.5044, 0.4745, 0.5344, 0.7766, 0.0095, 976, 2928),
)


@shell.guarded
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")] = Path(
        "demo-out"
    ),
    seed: options.Seed = 0,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="A few people and small models: shows the way, not the truth."
        ),
    ] = False,
    debug: options.Debug = False,
) -> None:
    """Show all of penchant on real choices: between train, Swissmetro and car, and in London.

    Writes report.html (open it in a browser), ladder.json, ladder_london.json and the belief.
    """
    out.mkdir(parents=True, exist_ok=True)
    settings = Settings(seed=seed, quick=quick)
    start = time.perf_counter()
    judged = judge_studies(tuple(STUDIES.values()), settings, out)
    from penchant.cli.demo_story import tell

    story = tell(judged, settings, out, seconds=lambda: time.perf_counter() - start)
    console = shell.output()
    for line in story:
        console.print(line, markup=False)
    console.print(f"\nOpen {out / 'report.html'} in a browser.", markup=False)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One model to be judged on one split of one study; FEW_ANSWERS asks for the curve instead."""

    study: str
    model: str
    split: str
    settings: Settings

    @property
    def title(self) -> str:
        return f"{self.model}: {self.split.replace('_', ' ')} ({self.study})"


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedStudy:
    """The ladder of one study and the predictions behind it, by (model, split)."""

    study: Study
    rows: "tuple[LadderRow, ...]"
    predictions: "dict[tuple[str, str], Predictions]"
    few_shot: "tuple[FewShotPoint, ...]" = ()
    notes: tuple[str, ...] = ()


def judge_studies(
    studies: Sequence[Study], settings: Settings, out: Path
) -> dict[str, JudgedStudy]:
    """Every model on every split, two at a time; each ladder is written after every result.

    The order in which results come in changes nothing: each task draws from its own seed.
    """
    tasks = [
        Task(study=study.name, model=model, split=split, settings=settings)
        for study in studies
        for model in study.models
        for split in (*study.splits(), *((FEW_ANSWERS,) if model == study.story else ()))
    ]
    found: dict[Task, Any] = {}
    missing: set[str] = set()
    steps = shell.Steps(quiet=False, total=len(tasks), plain=True)
    with steps.shown():
        steps.say("judging models on people they have not met", done=0)
        for task, predictions in _run(tasks):
            if predictions is None:
                missing.add(task.model)
                continue
            found[task] = predictions
            steps.say(task.title, done=len(found))
            study = STUDIES[task.study]
            result = _collect(study, found, missing)
            _write_ladder(out / LADDER_FILES[study.name], result.rows)
    return {study.name: _collect(study, found, missing) for study in studies}


def records_of(study: Study, settings: Settings) -> "Records":
    """The study's records; a tenth of the people if quick."""
    import numpy as np

    records = study.records()
    if not settings.quick:
        return records
    from penchant.data.batch_builder import groups_of

    return records.take(np.flatnonzero(groups_of(records, "person").of_row % 10 == 0))


def _run(tasks: Sequence[Task]) -> Iterator[tuple[Task, Any]]:
    """Results as they come; None for a model whose extra is not installed."""
    # One process a core; each holds its hot loops in cache, more would only take turns.
    workers = min(len(os.sched_getaffinity(0)), 4) if hasattr(os, "sched_getaffinity") else 2
    with ProcessPoolExecutor(max_workers=workers) as pool:
        # The last models of a ladder take longest: they go first, so that no core waits at the end.
        futures: dict[Future[Any], Task] = {
            pool.submit(_judge, task): task for task in reversed(tasks)
        }
        try:
            for future in as_completed(futures):
                try:
                    yield futures[future], future.result()
                except MissingExtraError:
                    yield futures[future], None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _judge(task: Task) -> Any:
    """Predictions, or the points of the curve."""
    from penchant.evaluation.few_shot import few_shot_points, predict_after_answers
    from penchant.evaluation.ladder import judge

    study = STUDIES[task.study]
    settings = task.settings
    records = records_of(study, settings)
    make = study.models[task.model]
    num_folds, num_known = 2 if settings.quick else 5, study.num_known or 1
    if task.split == FEW_ANSWERS:
        return few_shot_points(
            predict_after_answers(
                lambda: make(settings), records, num_known, num_folds, settings.seed
            )
        )
    return judge(
        {task.model: lambda: make(settings)},
        records,
        splits=(task.split,),
        num_folds=num_folds,
        num_known=num_known,
        seed=settings.seed,
    )[task.model, task.split]


def _collect(study: Study, found: dict[Task, Any], missing: set[str]) -> JudgedStudy:
    from penchant.evaluation.ladder import ladder_of

    ours = {(t.model, t.split): p for t, p in found.items() if t.study == study.name}
    ordered = {
        (model, split): ours[model, split]
        for model in study.models
        for split in study.splits()
        if (model, split) in ours
    }
    rows, notes = ladder_of(ordered), []
    if study is SWISSMETRO and REFERENCE in missing:
        rows = (*rows, *_recorded())
        notes.append(f"“{REFERENCE}” as recorded: scikit-learn is not installed here.")
    few_shot = ours.get((study.story, FEW_ANSWERS), ())
    return JudgedStudy(
        study=study, few_shot=few_shot, rows=rows, predictions=ordered, notes=tuple(notes)
    )


def _recorded() -> "Iterator[LadderRow]":
    from penchant.evaluation.report import LadderRow

    for split, nll, low, high, accuracy, ece, people, choices in RECORDED_TREES:
        yield LadderRow(
            model=REFERENCE, split=split, nll=nll, nll_low=low, nll_high=high,
            accuracy=accuracy, ece=ece, people=people, choices=choices,
        )  # fmt: skip


def _write_ladder(path: Path, rows: "Sequence[LadderRow]") -> None:
    text = json.dumps(shell.finite([asdict(row) for row in rows]), indent=1, ensure_ascii=False)
    # Written beside and moved into place: an interruption leaves the last whole file.
    partial = path.with_suffix(".part")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)
