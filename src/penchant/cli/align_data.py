"""`penchant align FILE`: a policy learns from pairs, judged answers or demonstrations.

On a task the data are the start's own answers, right beside wrong, or the task's demonstrations.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from penchant.cli import shell
from penchant.cli.align_folder import RunFolder
from penchant.cli.align_methods import METHODS, AlignOptions, Setting, learner_of, low_rank_of
from penchant.cli.align_reward import rate
from penchant.cli.align_start import started, taught_by, taught_rows
from penchant.cli.align_tasks import known_task, read_task
from penchant.errors import ConfigError

if TYPE_CHECKING:
    from penchant.evaluation.judged_texts import TextPairs
    from penchant.evaluation.policy_trial import Score
    from penchant.fitting.sgd import TrainConfig, Training
    from penchant.lm.language_model import LanguageModel
    from penchant.policies.language.direct import DirectFit
    from penchant.policies.language.lists import Lists
    from penchant.policies.language.pairs import Pairs
    from penchant.policies.language.unpaired import Judged

_OWN_PROMPTS = 300


@dataclass(frozen=True, kw_only=True, eq=False)
class Learnt:
    """policies: by the name of their folder. scores, whole: before and after, in `unit`, `is_new`
    on what was not trained on."""

    policies: "dict[str, LanguageModel]"
    training: "Training"
    scores: "tuple[Score, ...]"
    whole: "Score"
    unit: str
    facts: tuple[tuple[str, str], ...]
    people: dict[str, Any] | None = None
    is_new: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Parted:
    """kept: places to learn from; held: places to look at, no prompt on both sides; of_prompt: of
    the latter. Few are all learnt from and looked at."""

    kept: Any
    held: Any
    of_prompt: Any

    @property
    def is_new(self) -> bool:
        return not np.isin(self.held, self.kept).any()

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        return (("held out", f"{len(self.held):,}" if self.is_new else "none"),)


def align_to_data(
    what: str, method: str, options: AlignOptions, out: Path, *, on_bad_rows: str,
    description: Path | None, quiet: bool,
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
            file, description, on_bad_rows=on_bad_rows, aside=out, quiet=quiet
        ).records
        with shell.waiting(f"Learning from {len(records):,} observations", quiet):
            found = _from_file(method, records, training, options, folder)
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
    )  # fmt: skip
    return folder.finish(found.policies, page, dict(page.facts))


def _from_file(
    method: str, records: Any, training: "TrainConfig", options: AlignOptions, folder: RunFolder
) -> Learnt:
    from penchant.evaluation import judged_texts as texts

    way, is_listed = METHODS[method].way, texts.has_lists(records)
    if is_listed and way == "pairs":
        _check_listed(method, options)

    def everything(model: "LanguageModel") -> Any:
        # A fresh decoder first reads what there is to read, whoever liked it.
        if is_listed:
            return texts.every_text(model, records)
        judged = texts.judged_texts(model, records)
        return judged.rows, judged.place

    teach = None if way == "shown" else taught_rows(everything, options)
    start = started(folder, options, teach)
    if way == "pairs":
        read = texts.text_lists if is_listed else texts.text_pairs
        told = read(start, records, options.context)
        return _direct(method, told, start, training, options, folder)
    texts.check_unweighted(records, f"--method {method}")
    if way == "answers":
        return _unpaired(method, texts.judged_texts(start, records), start, training, options,
                         folder)  # fmt: skip
    rows, places = texts.good_texts(start, records)
    return _supervised(rows, places, start, training, options, folder)


def _check_listed(method: str, options: AlignOptions) -> None:
    """Raises `ConfigError` for what only pairs have, before anything is taught."""
    if METHODS[method].made(options, Setting()).loss != "logistic" or options.ties != "half":
        raise ConfigError(
            f"the file ranks more than two answers to a prompt, and --method {method} with --ties "
            f"{options.ties} is of pairs; expected --method dpo or dpo-nll without --ties: a "
            "ranking is then a choice of the best, again and again, and equal ranks say that the "
            "order is not known."
        )


def _direct(
    method: str, told: "TextPairs", start: "LanguageModel", training: "TrainConfig",
    options: AlignOptions, folder: RunFolder,
) -> Learnt:  # fmt: skip
    from penchant.evaluation.policy_trial import overall, scores
    from penchant.policies.language.direct import fit_direct
    from penchant.policies.language.lists import Lists
    from penchant.policies.language.pair_margins import answer_worths, judged_order

    config = METHODS[method].made(options, Setting())
    rows = told.pairs.rows
    parted = _parted([rows[b][0][: told.pairs.place[b]] for b in range(len(rows))], options)
    kept, held, prompt = parted.kept, parted.held, parted.of_prompt
    fit = fit_direct(
        start, _some(told.pairs, kept), training, config,
        person_features=_features(told, kept), checkpoint=folder.state,
    )  # fmt: skip
    judged = _some(told.pairs, held)
    worth = answer_worths(fit.policies, start, judged, strength=config.strength, mean=config.mean)
    mine = _all_people(fit.posterior, fit.log_shares, len(told.group))[judged.person]
    right = judged_order(worth, judged, mine)
    is_weighed = bool(np.ptp(judged.weights) > 0.0)
    coin, those = np.full(len(right), 0.5), {"cluster": prompt, "weight": judged.weights}
    named, unit = "pairs", "share of pairs in the judged order"
    if isinstance(judged, Lists):
        named, unit = "ranked lists", "share of a list's pairs in the judged order, mean over lists"
    by: tuple[Score, ...] = ()
    if told.has_people:
        names = [told.group[g] for g in judged.person]
        by += scores(coin, right, names, group="person", **those)
    if len(told.contexts) > 1:
        names = [told.contexts[told.context[g]] for g in judged.person]
        by += scores(coin, right, names, group=f"{options.context}", **those)
    if config.kinds > 1:
        kinds = [f"{1 + k}" for k in mine.argmax(axis=1)]
        by += scores(coin, right, kinds, group="kind", **those)
    names = ["policy"] if config.kinds == 1 else [f"policy-{s + 1}" for s in range(config.kinds)]
    return Learnt(
        policies=dict(zip(names, fit.policies, strict=True)), training=fit.training, scores=by,
        whole=overall(coin, right, **those), is_new=parted.is_new,
        unit=unit + (", by their weights" if is_weighed else ""),
        facts=((named, f"{len(kept):,}"), *parted.facts, *_tie_fact(config.ties, fit.ties),
               ("people", f"{len(told.group):,}" if told.has_people else "not known"),
               ("kinds", str(config.kinds))),
        people=None if config.kinds == 1 else _people(told, fit),
    )  # fmt: skip


def _some(pairs: "Pairs | Lists", rows: Any) -> "Pairs | Lists":
    from penchant.policies.language.lists import Lists, some_lists
    from penchant.policies.language.pairs import some_pairs

    return some_lists(pairs, rows) if isinstance(pairs, Lists) else some_pairs(pairs, rows)


def _tie_fact(law: str, ties: float | None) -> tuple[tuple[str, str], ...]:
    """How often two answers of equal worth tie."""
    if ties is None:
        return ()
    even = math.exp(ties) / (2.0 + math.exp(ties)) if law == "davidson" else (
        math.tanh(0.5 * math.exp(ties)))  # fmt: skip
    return (("ties of equal answers", f"{even:.0%}"),)


def _features(told: "TextPairs", kept: Any) -> Any:
    """What is known of the groups that train: their context."""
    last = int(told.pairs.person[kept].max()) + 1
    return told.context_features[:last] if len(told.contexts) > 1 else None


def _all_people(posterior: Any, log_shares: Any, num: int) -> Any:
    """Shares of the kinds for everybody: whoever has no training pair is as people are."""
    usual = np.exp(log_shares).mean(axis=0)
    return np.concatenate([posterior, np.tile(usual, (num - len(posterior), 1))])


def _people(told: "TextPairs", fit: "DirectFit") -> dict[str, Any]:
    return {
        told.group[g]: {f"policy-{s + 1}": round(float(p), 4) for s, p in enumerate(shares)}
        for g, shares in enumerate(fit.posterior)
    }


def _unpaired(
    method: str, judged: "Judged", start: "LanguageModel", training: "TrainConfig",
    options: AlignOptions, folder: RunFolder,
) -> Learnt:  # fmt: skip
    from penchant.evaluation.policy_trial import overall
    from penchant.policies.language.unpaired import answer_log_ratios, fit_unpaired, some_answers

    parted = _parted([row[:place] for row, place in zip(judged.rows, judged.place)], options)
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

    parted = _parted([row[:place] for row, place in zip(rows, places)], options)
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
        policy, done, facts = learn(method, start, task, most, training, options, folder)
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
    )  # fmt: skip


def _from_own(
    method: str, start: "LanguageModel", task: Any, most: int, training: "TrainConfig",
    options: AlignOptions, folder: RunFolder,
) -> "tuple[LanguageModel, Training, tuple[tuple[str, str], ...]]":  # fmt: skip
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
        return policy, done, (answers,)
    if config.kinds > 1:
        raise ConfigError(
            f"got --kinds {config.kinds} for a task, where nobody judges; expected a file of pairs "
            "with a column of people."
        )
    pairs = own_pairs(drawn.rollouts, drawn.grades.reward)
    fit = fit_direct(start, pairs, training, config, checkpoint=folder.state)
    return fit.policies[0], fit.training, (answers, ("pairs", f"{len(pairs):,}"))


def _from_steps(
    method: str, start: "LanguageModel", task: Any, most: int, training: "TrainConfig",
    options: AlignOptions, folder: RunFolder,
) -> "tuple[LanguageModel, Training, tuple[tuple[str, str], ...]]":  # fmt: skip
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
    return found.policy, found.training, facts


def _parted(prompts: Any, options: AlignOptions) -> Parted:
    from penchant.fitting.sgd import hold_out

    known: dict[tuple[int, ...], int] = {}
    group = np.array([known.setdefault(tuple(prompt), len(known)) for prompt in prompts])
    if options.held_out == 0.0 or len(known) < 10:
        everyone = np.arange(len(group))
        return Parted(kept=everyone, held=everyone, of_prompt=group)
    kept, held = hold_out(group, options.held_out, options.seed)
    return Parted(kept=kept, held=held, of_prompt=group[held])
