"""`penchant align FILE`: a policy learns from pairs, judged answers or demonstrations.

On a task the data are the start's own answers, right beside wrong, or the task's demonstrations.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from penchant.cli import shell
from penchant.cli.align_folder import RunFolder
from penchant.cli.align_learnt import Learnt, parted_by_prompt
from penchant.cli.align_methods import METHODS, AlignOptions, Setting, learner_of, low_rank_of
from penchant.cli.align_pairs import check_listed, learn_from_pairs
from penchant.cli.align_reward import rate
from penchant.cli.align_start import started, taught_by, taught_rows
from penchant.cli.align_tasks import known_task, read_task
from penchant.errors import ConfigError

if TYPE_CHECKING:
    from penchant.fitting.sgd import TrainConfig, Training
    from penchant.lm.language_model import LanguageModel
    from penchant.policies.language.unpaired import Judged

_OWN_PROMPTS = 300


def align_to_data(
    what: str, method: str, options: AlignOptions, out: Path, *, on_bad_rows: str,
    description: Path | None, roles: Sequence[str] | None, quiet: bool,
) -> dict[str, Any]:  # fmt: skip
    """Train, write and return what `--json` prints."""
    from penchant.evaluation.align_page import AlignPage, gain_words
    from penchant.fitting.sgd import TrainConfig

    way = METHODS[method].way
    training = TrainConfig(
        batch_size=options.batch, max_epochs=options.epochs or 3, patience=None,
        learning_rate=rate(options, 1e-3 if way == "shown" else 3e-4), seed=options.seed,
    )  # fmt: skip
    if way != "shown":
        # Which refuses what does not go together.
        task = None if known_task(what) is None else read_task(what)
        METHODS[method].made(options, Setting(task=task))
    folder = RunFolder(out)
    folder.claim(what, method, options)
    if known_task(what) is None:
        from penchant.cli.reading import read_file

        file = Path(what)
        records = read_file(
            file, description, on_bad_rows=on_bad_rows, aside=out, quiet=quiet, roles=roles
        ).records
        with shell.waiting(f"Learning from {len(records):,} observations", quiet):
            found = _from_file(
                method, records, training, options, folder, on_bad_rows == "quarantine"
            )
        title = f"A policy of {file.stem}"
    else:
        with shell.waiting(f"Learning {what}", quiet):
            found = _from_task(what, method, training, options, folder)
        title = f"A policy for {what.partition(':')[0]}"
    if found.people is not None:
        folder.keep_people(found.people)
    looks = found.training.looks[1:]
    page = AlignPage(
        title=title,
        subtitle=METHODS[method].sentence,
        lead=(gain_words(found.whole, found.unit, found.is_new),), is_new=found.is_new,
        unit=found.unit, over="optimiser steps",
        steps={"train": [look.train for look in looks]}, at=[float(look.step) for look in looks],
        scores=found.scores, whole=found.whole,
        facts=(
            ("data", what), ("method", method), ("optimiser steps", f"{found.training.steps:,}"),
            *found.facts, ("adapters of rank", str(options.rank or "none: the whole model")),
            ("seed", str(options.seed)),
        ),
        warnings=found.warnings,
    )  # fmt: skip
    return folder.finish(found.policies, page, dict(page.facts))


def _from_file(
    method: str, records: Any, training: "TrainConfig", options: AlignOptions, folder: RunFolder,
    sets_aside: bool,
) -> Learnt:  # fmt: skip
    """sets_aside: what the model's window does not hold, which is refused otherwise."""
    from penchant.evaluation import judged_texts as texts
    from penchant.evaluation import text_verdicts as says

    way, is_listed = METHODS[method].way, says.has_lists(records)
    # What a method cannot learn from is refused before a model is made for it.
    if way == "pairs":
        says.check_compared(records)
        if is_listed:
            check_listed(method, options)
    else:
        says.check_unweighted(records, f"--method {method}")
        if way == "answers":
            says.verdicts(records)
        else:
            says.imitable(records)

    def everything(model: "LanguageModel") -> Any:
        # A fresh decoder first reads what there is to read, whoever liked it.
        mine = records.take(np.flatnonzero(texts.fits(model, records))) if sets_aside else records
        if is_listed:
            return texts.every_text(model, mine)
        judged = texts.judged_texts(model, mine)
        return judged.rows, judged.place

    teach = None if way == "shown" else taught_rows(everything, options)
    start = started(folder, options, teach)
    if sets_aside:
        records = _that_fit(start, records, folder)
    if way == "pairs":
        read = texts.text_lists if is_listed else texts.text_pairs
        told = read(start, records, options.context)
        return learn_from_pairs(method, told, start, training, options, folder)
    if way == "answers":
        return _unpaired(method, texts.judged_texts(start, records), start, training, options,
                         folder)  # fmt: skip
    rows, places = texts.good_texts(start, records)
    return _supervised(rows, places, start, training, options, folder)


def _that_fit(model: "LanguageModel", records: Any, folder: RunFolder) -> Any:
    """The observations that the model's window holds; the others are in too_long.parquet, which
    can be read again."""
    from penchant.data.readers.native import save
    from penchant.evaluation.judged_texts import fits

    is_held = fits(model, records)
    if not is_held.all() and folder.is_writer:
        file = folder.path / "too_long.parquet"
        save(records.take(np.flatnonzero(~is_held)), file)
        shell.note(
            f"{int((~is_held).sum())} of {len(records)} observations are longer than the model's "
            f"window of {model.network.window} tokens: set aside in {file}."
        )
    return records.take(np.flatnonzero(is_held))


def _unpaired(
    method: str, judged: "Judged", start: "LanguageModel", training: "TrainConfig",
    options: AlignOptions, folder: RunFolder,
) -> Learnt:  # fmt: skip
    from penchant.evaluation.policy_trial import overall
    from penchant.policies.language.unpaired import answer_log_ratios, fit_unpaired, some_answers

    parted = parted_by_prompt(
        [row[:place] for row, place in zip(judged.rows, judged.place)], options
    )
    kept, held = parted.kept, parted.held
    config = METHODS[method].made(options, Setting())
    policy, done = fit_unpaired(
        start, some_answers(judged, kept), training, config, checkpoint=folder.state
    )
    worth = answer_log_ratios(policy, start, judged, held)
    right = (worth > np.median(worth)) == judged.is_desired[held]
    return Learnt(
        policies={"policy": policy}, training=done, scores=(),
        whole=overall(np.full(len(held), 0.5), right.astype(float), parted.of_prompt),
        is_new=parted.is_new,
        unit="share of answers on the side of the median they were judged to be on",
        facts=(("answers", f"{len(kept):,}"), *parted.facts),
    )  # fmt: skip


def _supervised(
    rows: Any, places: Any, start: "LanguageModel", training: "TrainConfig",
    options: AlignOptions, folder: RunFolder,
) -> Learnt:  # fmt: skip
    from penchant.evaluation.policy_trial import overall

    parted = parted_by_prompt([row[:place] for row, place in zip(rows, places)], options)
    kept, held = parted.kept, parted.held
    policy, done = _imitated(start, [rows[b] for b in kept], places[kept], training, options,
                             folder)  # fmt: skip
    before, after = (_nats(model, [rows[b] for b in held], places[held])
                     for model in (start, policy))  # fmt: skip
    return Learnt(
        policies={"policy": policy}, training=done, scores=(), unit="nats a token",
        whole=overall(before, after, parted.of_prompt), is_new=parted.is_new,
        facts=(("answers", f"{len(kept):,}"), *parted.facts),
    )  # fmt: skip


def _imitated(
    start: "LanguageModel", rows: Any, places: Any, training: "TrainConfig",
    options: AlignOptions, folder: RunFolder,
) -> "tuple[LanguageModel, Training]":  # fmt: skip
    from penchant.fitting.next_token import fit_next_token

    return fit_next_token(start, rows, training, from_place=places, checkpoint=folder.state,
                          low_rank=low_rank_of(options), config=learner_of(options))  # fmt: skip


def _nats(model: "LanguageModel", rows: Any, places: Any) -> Any:
    """Log-probability a token of each answer."""
    import torch

    from penchant.fitting.next_token import NextToken

    objective = NextToken(model=model, rows=rows, from_place=places)
    with torch.no_grad():
        told = [float(objective.log_prob({}, np.array([b]))) for b in range(len(rows))]
    return np.array(told) / np.array([objective.weight(np.array([b])) for b in range(len(rows))])


def _from_task(
    what: str, method: str, training: "TrainConfig", options: AlignOptions, folder: RunFolder
) -> Learnt:
    from penchant.evaluation.policy_trial import overall, scores, tried
    from penchant.lm.sample import SampleConfig
    from penchant.policies.language.gathering import grader_of
    from penchant.policies.language.grading import correct
    from penchant.policies.language.teaching import lessons_of

    known, task = known_task(what), read_task(what)
    assert known is not None, "the command asked before"
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...] = ()
    way, most = METHODS[method].way, options.most_tokens or known.most_tokens
    if way == "shown":
        start = started(folder, options, None)
        lessons = lessons_of(task, options.demonstrations, np.random.default_rng(
            (options.seed, 1)), start.tokenizer)  # fmt: skip
        policy, done = _imitated(start, lessons.rows, lessons.from_place, training, options,
                                 folder)  # fmt: skip
        facts = (("demonstrations", f"{len(lessons.rows):,}"),)
    else:
        start = started(folder, options, taught_by(task, options))
        learn = _from_steps if way == "steps" else _from_own
        policy, done, facts, warnings = learn(method, start, task, most, training, options, folder)
    before, after = (
        tried(model, task, options.trial, SampleConfig(most_tokens=most), grader_of(task), correct,
              options.seed)
        for model in (start, policy)
    )  # fmt: skip
    pair = before.grades.reward, after.grades.reward
    difficulty = [str(problem.difficulty) for problem in before.problems]
    return Learnt(
        policies={"policy": policy}, training=done, unit="reward", facts=facts,
        scores=scores(*pair, difficulty, group="difficulty"), whole=overall(*pair),
        warnings=warnings,
    )  # fmt: skip


def _from_own(
    method: str, start: "LanguageModel", task: Any, most: int, training: "TrainConfig",
    options: AlignOptions, folder: RunFolder,
) -> "tuple[LanguageModel, Training, tuple[tuple[str, str], ...], tuple[str, ...]]":  # fmt: skip
    """From answers of the start itself, right beside wrong."""
    import torch

    from penchant.lm.sample import SampleConfig
    from penchant.policies.language.direct import fit_direct
    from penchant.policies.language.gathering import gathered, grader_of
    from penchant.policies.language.grading import correct
    from penchant.policies.language.own_pairs import judged_answers, own_pairs
    from penchant.policies.language.unpaired import fit_unpaired

    device = next(iter(start.parameters.values())).device
    drawn = gathered(
        start, task, options.prompts or _OWN_PROMPTS, options.group_size,
        SampleConfig(most_tokens=most), np.random.default_rng((options.seed, 2)),
        torch.Generator(device=device).manual_seed(options.seed),
        grader_of(task), correct,
    )  # fmt: skip
    config = METHODS[method].made(options, Setting())
    answers = ("own answers", f"{len(drawn.rollouts):,}")
    if METHODS[method].way == "answers":
        judged = judged_answers(drawn.rollouts, drawn.grades.reward)
        policy, done = fit_unpaired(start, judged, training, config, checkpoint=folder.state)
        return policy, done, (answers,), ()
    if config.kinds > 1:
        raise ConfigError(
            f"got --kinds {config.kinds} for a task, where nobody judges; expected a file of pairs "
            "with a column of people."
        )
    pairs = own_pairs(drawn.rollouts, drawn.grades.reward)
    fit = fit_direct(start, pairs, training, config, checkpoint=folder.state)
    return fit.policies[0], fit.training, (answers, ("pairs", f"{len(pairs):,}")), ()


def _from_steps(
    method: str, start: "LanguageModel", task: Any, most: int, training: "TrainConfig",
    options: AlignOptions, folder: RunFolder,
) -> "tuple[LanguageModel, Training, tuple[tuple[str, str], ...], tuple[str, ...]]":  # fmt: skip
    """From steps of the start's own answers and what a critic says of them: one round, on which
    another goes on with --model."""
    import torch

    from penchant.lm.sample import SampleConfig
    from penchant.policies.language.grading import correct
    from penchant.policies.language.methods.direct_advantage import direct_advantage

    device = next(iter(start.parameters.values())).device
    problems = task.draw(options.prompts or _OWN_PROMPTS, np.random.default_rng((options.seed, 2)))
    found = direct_advantage(
        start, problems, METHODS[method].made(options, Setting(task=task)), training,
        SampleConfig(most_tokens=most), torch.Generator(device=device).manual_seed(options.seed),
        task.grade, correct, checkpoint=folder.state,
    )  # fmt: skip
    facts = ("steps tried", f"{len(found.steps):,}"), ("tokens drawn", f"{found.drawn:,}")
    earned = np.unique(found.reward[np.isfinite(found.reward)])
    warnings = () if len(earned) > 1 else (
        f"All {len(found.reward):,} endings earned {earned[0]:g}: the critic had nothing to tell "
        "apart, and what it taught is chance. Teach the start more or less, or take problems that "
        "it neither always nor never solves.",
    )  # fmt: skip
    return found.policy, found.training, facts, warnings
