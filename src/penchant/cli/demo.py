"""`penchant demo`: real people's travel choices, from the file to a judged model and a decision."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options, shell
from penchant.errors import MissingExtraError
from penchant.serving.plain_json import finite

if TYPE_CHECKING:
    from penchant.cli.demo_models import Settings, Study
    from penchant.data.records import Records
    from penchant.evaluation.predictions import Estimator, Predictions
    from penchant.evaluation.report import FewShotPoint, LadderRow

FEW_ANSWERS = "few_answers"
STORY = "the story"
LADDER_FILES = {"swissmetro": "ladder.json", "london": "ladder_london.json"}
# What the trees reach with seed 0, on the folds of seed 0: shown where scikit-learn is missing.
RECORDED_SEED = 0
RECORDED_TREES = (
    ("new_people", 0.6573, 0.6286, 0.6860, 0.7084, 0.0252, 976, 8784),
    ("known_people", 0.4996, 0.4701, 0.5291, 0.7869, 0.0081, 976, 2928),
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

    Writes report.html (open it in a browser), ladder.json, ladder_london.json, the belief, and the
    Swissmetro choices themselves, to try the other commands on.
    """
    start = time.perf_counter()
    from penchant.cli.demo_models import LONDON, SWISSMETRO, Settings
    from penchant.cli.demo_story import tell
    from penchant.data.samples import write_sample

    out.mkdir(parents=True, exist_ok=True)
    settings = Settings(seed=seed, quick=quick)
    judged, story = work((SWISSMETRO, LONDON), settings, out)
    lines = tell(judged, story, settings, out, time.perf_counter() - start)
    console = shell.output()
    for line in lines:
        console.print(line, markup=False)
    trips = write_sample("swissmetro", out)
    console.print(f"\nOpen {out / 'report.html'} in a browser.", markup=False)
    console.print(
        f"Try the other commands on the same choices: penchant evaluate {trips} --known 6",
        markup=False,
    )


@dataclass(frozen=True, kw_only=True)
class Task:
    """One model to be judged on all splits of one study, or STORY: what the study tells."""

    study: "Study"
    model: str
    settings: "Settings"
    out: Path


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedStudy:
    """The ladder of one study and the predictions behind it, by (model, split)."""

    study: "Study"
    rows: "tuple[LadderRow, ...]"
    predictions: "dict[tuple[str, str], Predictions]"
    few_shot: "tuple[FewShotPoint, ...]" = ()
    notes: tuple[str, ...] = ()


def work(
    studies: "Sequence[Study]", settings: "Settings", out: Path
) -> tuple[dict[str, JudgedStudy], Any]:
    """Judge every model and work out the story, a task a core; ladders are written as they grow.

    The order in which results come in changes nothing: each task draws from its own seed.
    """
    tasks = [
        Task(study=study, model=model, settings=settings, out=out)
        for study in reversed(studies)
        for model in (*study.models, *((STORY,) if study.story else ()))
    ]
    found: dict[tuple[str, str, str], Any] = {}
    missing: set[str] = set()
    story = None
    steps = shell.Steps(quiet=False, total=len(tasks), plain=True)
    with steps.shown():
        steps.say("judging models on people they have not met", done=0)
        for done, (task, result) in enumerate(_run(tasks), start=1):
            steps.say(f"{task.model} ({task.study.name}): done", done=done)
            if result is None:
                missing.add(task.model)
            elif task.model == STORY:
                story = result
                continue
            else:
                found |= {(task.study.name, task.model, split): x for split, x in result.items()}
            so_far = _collect(task.study, found, missing, settings)
            _write_ladder(out / LADDER_FILES[task.study.name], so_far.rows)
    return {study.name: _collect(study, found, missing, settings) for study in studies}, story


def records_of(study: "Study", settings: "Settings") -> "Records":
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
            pool.submit(_do, _Ticket.of(task)): task for task in reversed(tasks)
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


@dataclass(frozen=True, kw_only=True)
class _Ticket:
    """A task by names, as it travels to another process: models themselves cannot."""

    study: str
    model: str
    settings: "Settings"
    out: Path

    @classmethod
    def of(cls, task: Task) -> "_Ticket":
        return cls(study=task.study.name, model=task.model, settings=task.settings, out=task.out)


def _do(ticket: _Ticket) -> Any:
    """The story, or predictions by split (and the points of the curve of few answers)."""
    from penchant.cli.demo_models import LONDON, SWISSMETRO
    from penchant.cli.demo_story import work_out
    from penchant.evaluation.few_shot import few_shot_points, predict_after_answers
    from penchant.evaluation.ladder import judge

    study = {study.name: study for study in (SWISSMETRO, LONDON)}[ticket.study]
    settings = ticket.settings
    records = records_of(study, settings)
    if ticket.model == STORY:
        return work_out(study, records, settings, ticket.out)
    make = study.models[ticket.model]
    shared = SharedFits(lambda: make(settings))
    num_folds, num_known = 2 if settings.quick else 5, study.num_known or 1
    judged = judge(
        {ticket.model: shared}, records, study.splits(), num_folds, num_known, settings.seed
    )
    found: dict[str, Any] = {split: predictions for (_, split), predictions in judged.items()}
    if ticket.model == study.story:
        found[FEW_ANSWERS] = few_shot_points(
            predict_after_answers(shared, records, num_known, num_folds, settings.seed)
        )
    return found


class SharedFits:
    """Makes estimators that fit the same data once: a fold's strangers serve two pictures."""

    def __init__(self, make: "Callable[[], Estimator]") -> None:
        self._make = make
        self._fits: dict[str, Estimator] = {}

    def __call__(self) -> "SharedFit":
        return SharedFit(self)

    def fitted(self, data: "Records") -> "Estimator":
        """The estimator fitted on these data, now or earlier."""
        if data.fingerprint not in self._fits:
            self._fits[data.fingerprint] = self._make().fit(data)
        return self._fits[data.fingerprint]


class SharedFit:
    """One estimator of `SharedFits`."""

    def __init__(self, shared: SharedFits) -> None:
        self._shared = shared

    def fit(self, data: "Records") -> "Estimator":
        """Looked up where it was fitted before."""
        return self._shared.fitted(data)

    def predict_proba(self, data: "Records", history: "Records | None" = None) -> Any:
        raise AssertionError("fit returns the estimator that predicts")


def _collect(
    study: "Study",
    found: dict[tuple[str, str, str], Any],
    missing: set[str],
    settings: "Settings",
) -> JudgedStudy:
    from penchant.cli.demo_models import REFERENCE
    from penchant.evaluation.ladder import ladder_of

    ordered = {
        (model, split): found[study.name, model, split]
        for model in study.models
        for split in study.splits()
        if (study.name, model, split) in found
    }
    rows, notes = ladder_of(ordered), []
    if study.name == "swissmetro" and REFERENCE in missing:
        # Other folds, or fewer people, would be another question than the one recorded.
        is_same_question = settings.seed == RECORDED_SEED and not settings.quick
        rows = (*rows, *_recorded(REFERENCE)) if is_same_question else rows
        notes.append(
            f"scikit-learn is not installed here: {REFERENCE} are shown as recorded earlier on the "
            "same folds, and not compared choice by choice."
            if is_same_question
            else f"scikit-learn is not installed here, so {REFERENCE} are left out. "
            "pip install 'penchant[demo]' brings it."
        )
    few_shot = found.get((study.name, study.story, FEW_ANSWERS), ())
    return JudgedStudy(
        study=study, rows=rows, predictions=ordered, few_shot=few_shot, notes=tuple(notes)
    )


def _recorded(model: str) -> "Iterator[LadderRow]":
    from penchant.evaluation.report import LadderRow

    for split, nll, low, high, accuracy, ece, people, choices in RECORDED_TREES:
        yield LadderRow(
            model=model, split=split, nll=nll, nll_low=low, nll_high=high,
            accuracy=accuracy, ece=ece, people=people, choices=choices,
        )  # fmt: skip


def _write_ladder(path: Path, rows: "Sequence[LadderRow]") -> None:
    text = json.dumps(finite([asdict(row) for row in rows]), indent=1, ensure_ascii=False)
    # Written beside and moved into place: an interruption leaves the last whole file.
    partial = path.with_suffix(".part")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)
