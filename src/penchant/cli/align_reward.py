"""`penchant align TASK`: a policy learns from rewards of its own answers."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from penchant.cli import shell
from penchant.cli.align_folder import RunFolder
from penchant.cli.align_methods import METHODS, AlignOptions, Setting, learner_of, low_rank_of
from penchant.cli.align_start import started, taught_by
from penchant.cli.align_tasks import known_task, read_task
from penchant.errors import ConfigError, DataError
from penchant.fitting.processes import most

if TYPE_CHECKING:
    from penchant.agents.sandbox import Sandbox
    from penchant.policies.language.grading import Episode, Grader
    from penchant.policies.language.trainer import PolicyTrainer

# Of the time between two, what keeping the state may take.
_SHARE_FOR_KEEPING = 0.05
_SAMPLES = 8
# Tokens of a hint: a few letters and its end.
_OF_A_HINT = 4
# Problems that are looked at beforehand, whether the frozen model has room for them.
_LOOKED_AT = 256


def align_to_reward(
    what: str, method: str, options: AlignOptions, out: Path, *, quiet: bool
) -> dict[str, Any]:
    """Train, write and return what `--json` prints."""
    from penchant.lm.byte_tokenizer import ByteTokenizer
    from penchant.policies.language.grading import correct
    from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig, check_group

    known, task = known_task(what), read_task(what)
    assert known is not None, "the command asked before"
    most = options.most_tokens or known.most_tokens
    if method == "dsp":
        task, most = hinted(task, known.most_tokens, options), options.most_tokens or _OF_A_HINT
    config = TrainerConfig(
        prompts=options.prompts or 16, group_size=options.group_size, most_tokens=most,
        temperature=options.temperature, updates=options.updates, layout=options.layout or "shared",
        tokens_at_once=options.tokens_at_once, learner=learner_of(options),
        learning_rate=rate(options, 3e-4), low_rank=low_rank_of(options), seed=options.seed,
    )  # fmt: skip
    # What does not go together is refused before a decoder is taught for it.
    tried_on = Setting(most_tokens=most, task=task, tokenizer=ByteTokenizer())
    check_group(config, METHODS[method].made(options, tried_on))
    folder = RunFolder(out)
    steps = shell.Steps(quiet, total=options.steps, plain=True, every=5.0)
    with grader(options.reward, task) as own, steps.shown():
        folder.claim(what, method, options)
        steps.say("Teaching a decoder by demonstrations" if not options.model else "Reading", 0)
        start = started(folder, options, taught_by(task, options))
        setting = Setting(most_tokens=most, task=task, tokenizer=start.tokenizer)
        made = METHODS[method].made(options, setting)
        trainer = PolicyTrainer(
            _drawing(start, options), task, made, config, grade=_asked_by(own, task),
            reward=correct if own is None else own.reward,
        )  # fmt: skip
        done = _go_on(trainer, folder, quiet)
        _train(trainer, folder, done, options.steps, steps, own, options.keep_answers)
        steps.say("Comparing policy and start", options.steps)
        page = _page(what, method, options, trainer, start, done, own)
    return folder.finish({"policy": trainer.model}, page, dict(page.facts))


def hinted(task: Any, most_tokens: int, options: AlignOptions) -> Any:
    """The task of writing hints for the model of --frozen, whose answers have so many tokens, and
    more where references do; a pseudo-hint is how the reference answer begins. Raises `ConfigError`
    without that model, of worlds, for a reward of one's own, which would be asked about hints, and
    for hints of no letter; `DataError` for a frozen model without room for prompts and answers."""
    if not options.frozen or hasattr(task, "draw_world") or options.reward:
        raise ConfigError(
            "--method dsp writes hints for another model; expected --frozen FOLDER with that "
            "model, a task of single answers (CHAIN, RANK, FIND, TOOL or GRID), and no --reward: "
            "the task grades what the model answers."
        )
    num = (options.most_tokens or _OF_A_HINT) - 1  # beside its end
    if num < 1:
        raise ConfigError(
            f"--most-tokens got {options.most_tokens}, which a hint's end alone takes; expected 2 "
            "or more for dsp."
        )
    from penchant.lm.folder import load_language_model
    from penchant.policies.language.hints import Beginning, FrozenAnswers, Hinted

    model, hint = load_language_model(options.frozen), Beginning(num)
    problems = task.draw(_LOOKED_AT, np.random.default_rng(0))
    longest = max(len(model.tokenizer.encode(each.demonstration)) for each in problems) + 1
    answerer = FrozenAnswers(model=model, most_tokens=max(most_tokens, longest))
    # Before a policy is taught for it.
    answerer.check([each.prompt + hint(each) for each in problems])
    return Hinted(task=task, answerer=answerer, pseudo_hint=hint)


def _unhinted(task: Any, problems: Any, frozen: str) -> tuple[tuple[str, str], ...]:
    """The frozen model of a task of hints, and what it earns alone."""
    from penchant.policies.language.grading import correct, graded
    from penchant.policies.language.hints import Hinted

    if not isinstance(task, Hinted):
        return ()
    alone = graded(task.grade, correct, problems, [""] * len(problems)).reward
    return ("frozen model", frozen), ("reward without a hint", f"{alone.mean():.3f}")


def _asked_by(own: "OwnReward | None", task: Any) -> "Grader | None":
    """A program is asked for answers, or for whole episodes where a task has several turns."""
    from penchant.policies.language.grading import OfEpisodes

    is_world = own is not None and hasattr(task, "draw_world")
    return OfEpisodes(own.of_episode) if own is not None and is_world else own


def _drawing(start: Any, options: AlignOptions) -> Any:
    """The start, whose answers a server draws where one is named."""
    if not options.server:
        return start
    from penchant.lm.remote import Endpoint
    from penchant.lm.remote_sampling import ServerSampler

    endpoint = Endpoint(url=options.server, model=options.served or "policy")
    weights = Path(options.weights) if options.weights else None
    return replace(start, sampler=ServerSampler(endpoint=endpoint, weights=weights))


@contextmanager
def _quiet(log: logging.Logger) -> Iterator[None]:
    """Nothing below an error is logged within."""
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


@dataclass
class OwnReward:
    """A program in a sandbox, beside the task's components. trouble: what went wrong last."""

    sandbox: "Sandbox"
    own: "Grader"
    trouble: str = ""

    def __call__(self, problem: Any, response: str) -> dict[str, Any]:
        number = self._asked(problem.prompt, response, problem.demonstration)
        return {**self.own(problem, response), "reward": number}

    def of_episode(self, episode: "Episode") -> dict[str, Any]:
        """Of all that happened in a world, as JSON has it."""
        return {"reward": self._asked({
            "prompt": episode.problem.prompt, "demonstration": episode.problem.demonstration,
            "observed": episode.observed, "said": episode.said, "earned": episode.earned,
            "ended": episode.has_ended,
        })}  # fmt: skip

    def _asked(self, *arguments: Any) -> float | None:
        try:
            said = self.sandbox.call(*arguments)
            if isinstance(said, float) and not math.isfinite(said):
                raise DataError(
                    f"{self.sandbox.function} of {self.sandbox.file.name} gave {said}; expected a "
                    "finite number, or None for no reward."
                )
            return None if said is None else float(said)
        except (DataError, TypeError, ValueError) as error:
            self.trouble = str(error)
            raise

    @staticmethod
    def reward(components: Any) -> float:
        return float(components["reward"])


@contextmanager
def grader(program: str, task: Any) -> Iterator[OwnReward | None]:
    """What the trainer grades by in place of the task's own. Its failures are counted, and told at
    the end of a run."""
    if not program:
        yield None
        return
    from penchant.agents.sandbox import Sandbox
    from penchant.policies.language.gathering import grader_of

    log = logging.getLogger("penchant.policies.language.grading")
    with Sandbox(Path(program)) as sandbox, _quiet(log):
        sandbox.check()  # before anything is taught for it
        yield OwnReward(sandbox, grader_of(task))


def rate(options: AlignOptions, whole: float) -> float:
    """The learning rate asked for, else one that suits what is trained."""
    if options.learning_rate is None:
        return 3e-3 if options.rank is not None else whole
    if not options.learning_rate > 0.0:
        raise ConfigError(f"--learning-rate got {options.learning_rate:g}; expected above 0.")
    return options.learning_rate


def _go_on(trainer: "PolicyTrainer", folder: RunFolder, quiet: bool) -> list[dict[str, Any]]:
    """Steps that an earlier run of the same command left, the trainer as it was then."""
    from penchant.fitting.processes import wait_for_all

    is_there = trainer.restore(folder.state)
    done = folder.steps(trainer.steps) if is_there else []
    # None of several processes keeps a step before each has read what was kept.
    wait_for_all()
    if is_there:
        shell.note(f"Taken up after {trainer.steps} steps.", quiet)
    return done


def _train(
    trainer: "PolicyTrainer",
    folder: RunFolder,
    done: list[dict[str, Any]],
    num_steps: int,
    steps: shell.Steps,
    own: OwnReward | None,
    keeps_answers: bool,
) -> None:
    from penchant.policies.language.row_record import told_groups

    answers: list[dict[str, Any]] = []

    def keep() -> float:
        began = time.perf_counter()
        if keeps_answers:
            folder.add_answers(answers)
            answers.clear()
        folder.keep_steps(done)
        trainer.save(folder.state)
        return time.perf_counter() - began

    kept_at, cost = time.perf_counter(), 0.0
    if keeps_answers:
        folder.begin_answers(trainer.steps)
    try:
        while trainer.steps < num_steps:
            report = trainer.step()
            if keeps_answers and trainer.learnt is not None:
                answers += told_groups(trainer.learnt)
            # Where answers go on in the next step, there may be none yet that has ended.
            is_open = _goes_on(trainer) and not report.failed and report.ended == 0.0
            if math.isnan(report.reward) and not is_open:
                mend, last = "Mend the reward function", ""
                if own is None:  # what was logged stands above
                    mend = "Mend what the lines above tell"
                elif own.trouble:
                    last = f" The last: {own.trouble}"
                raise DataError(
                    f"in step {report.step} no response has a reward: {report.failed} gradings "
                    "raised, took too long or gave NaN or infinity, the others gave None. Expected "
                    f"a number for some at the least. {mend} and give a new --out.{last}"
                )
            done.append(_plain(asdict(report)))
            steps.say(f"Step {report.step}: reward {report.reward:.3f}", report.step)
            now = time.perf_counter()
            # All of several processes or none: they bring together what each has a piece of.
            if most(cost <= _SHARE_FOR_KEEPING * (now - kept_at)):
                cost, kept_at = keep(), now
        keep()
    except (KeyboardInterrupt, SystemError) as error:
        if not shell.is_interruption(error):
            raise
        # What stands half done in memory is no state to go on from; the last one kept is.
        shell.note(
            f"\nInterrupted. Kept in {folder.path}: what was done up to a moment ago. The same "
            "command goes on from there."
        )
        raise typer.Exit(shell.INTERRUPTED) from None


def _goes_on(trainer: "PolicyTrainer") -> bool:
    """Whether answers that have not ended in a step go on in the next."""
    from penchant.policies.language.methods.windowed import Windowed

    return isinstance(trainer.method, Windowed)


def _plain(report: dict[str, Any]) -> dict[str, Any]:
    components = report.pop("components")
    return {**report, **{f"component {name}": value for name, value in components.items()}}


def _page(
    what: str, method: str, options: AlignOptions, trainer: "PolicyTrainer", start: Any,
    done: list[dict[str, Any]], own: OwnReward | None,
) -> Any:  # fmt: skip
    from penchant.evaluation.align_page import AlignPage, gain_words
    from penchant.evaluation.policy_trial import overall, scores, tried
    from penchant.lm.language_model import num_parameters
    from penchant.lm.sample import SampleConfig

    sampling = SampleConfig(most_tokens=trainer.config.most_tokens, temperature=options.temperature)
    before, after = (
        tried(model, trainer.task, options.trial, sampling, trainer.grade, trainer.reward,
              options.seed)
        for model in (start, replace(trainer.model, sampler=None))
    )  # fmt: skip
    pairs = before.grades.reward, after.grades.reward
    whole = overall(*pairs)
    difficulty = [str(problem.difficulty) for problem in before.problems]
    steps = {name: [_number(step.get(name)) for step in done] for name in done[-1]} if done else {}
    tokens = int(done[-1]["tokens"]) if done else 0
    rollouts = before.rollouts, after.rollouts
    return AlignPage(
        title=f"A policy for {what.partition(':')[0]}",
        subtitle=METHODS[method].sentence,
        lead=(gain_words(whole, "reward"),),
        unit="reward", over="steps", steps=steps, at=[float(step["step"]) for step in done],
        scores=scores(*pairs, difficulty, group="difficulty"), whole=whole,
        facts=(
            ("task", what), ("method", method), ("steps", f"{trainer.steps:,}"),
            ("tokens drawn", f"{tokens:,}"),
            *_unhinted(trainer.task, before.problems, options.frozen),
            ("parameters", f"{num_parameters(start.parameters):,}"),
            ("adapters of rank", str(options.rank or "none: the whole model")),
            ("seed", str(options.seed)),
        ),
        warnings=warnings(done, "" if own is None else own.trouble, goes_on=_goes_on(trainer)),
        samples=tuple(
            (problem.prompt, first, second)
            for problem, first, second in zip(
                before.problems[:_SAMPLES], rollouts[0].responses, rollouts[1].responses
            )
        ),
    )  # fmt: skip


def warnings(
    done: list[dict[str, Any]], trouble: str = "", *, goes_on: bool = False
) -> tuple[str, ...]:
    """What a reader of the page should not overlook, of the last fifth of the steps. trouble: what
    the reward function last met with. goes_on: what has not ended does in a later step."""
    late = done[-max(1, len(done) // 5) :]
    if not late:
        return ()

    def mean(name: str) -> float:
        return sum(_number(step.get(name)) for step in late) / len(late)

    found = []
    if mean("degenerate") > 0.5:
        found.append(
            f"In {mean('degenerate'):.0%} of groups all responses earned the same at the end: most "
            "of what was drawn taught nothing. Teach the start more or less, take problems that "
            "are neither solved nor hopeless, or draw larger groups."
        )
    if mean("entropy") < 0.02:
        found.append(
            f"Entropy is {mean('entropy'):.3f} nats a token at the end: the policy says one thing "
            "to each prompt. A lower --learning-rate or an --anchor keeps it varied."
        )
    failed = sum(int(step.get("failed") or 0) for step in done)
    if failed:
        last = f" The last: {trouble}" if trouble else ""
        found.append(
            f"Gradings that failed: {failed}. Their responses have no reward, take no part.{last}"
        )
    if mean("ended") < 0.5 and not goes_on:
        found.append(
            f"{1 - mean('ended'):.0%} of responses ran out of room at the end; --most-tokens "
            "gives more."
        )
    return tuple(found)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
