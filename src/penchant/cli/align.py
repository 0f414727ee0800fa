"""`penchant align`: a language model, a method, and preferences or a task; a policy comes out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from penchant.cli import options, shell
from penchant.cli.align_methods import METHODS, AlignOptions, offered
from penchant.cli.align_tasks import TASKS, known_task
from penchant.errors import ConfigError

if TYPE_CHECKING:
    from penchant.lm.precision import Precision
    from penchant.policies.language.layout import Layout

_NAMES = ", ".join(METHODS)
_OF_REWARD = ("prompts", "group_size", "updates", "temperature", "anchor", "steps", "reward",
              "server", "served", "weights", "keep_answers")  # fmt: skip
_OF_DATA = ("epochs", "batch", "strength", "kinds", "context", "ties", "held_out")
_OF_SCRATCH = ("width", "layers", "window", "demonstrations", "passes")


@shell.guarded
def align(
    call: options.Invocation,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|TASK",
            help="Preferences in TRL's formats (prompt, chosen, rejected; or prompt, completion, "
            "label), ranked lists (prompt, completions, ranks or scores), or a task: "
            f"{', '.join(TASKS)}, with settings as in CHAIN:most=2.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", "-m", help=f"One of {_NAMES}. `--methods` tells of each.")
    ] = "ours",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            show_default=False,
            help="Folder for the policy, report.html, report.json and what a broken-off run goes "
            "on from.",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="Folder of a causal model in transformers' form, or of a policy made here; "
            "without it a small decoder is taught from scratch.",
            show_default=False,
        ),
    ] = "",
    steps: Annotated[
        int, typer.Option(min=1, help="Rewards: rounds of drawing and updating.")
    ] = 100,
    prompts: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Problems of a step; of a task's pairs, in all.",
            show_default="16, 128 for single-stream; 300 in all",
        ),
    ] = None,
    group_size: Annotated[
        int | None,
        typer.Option(
            min=1, help="Responses to each problem.", show_default="8; 1 for single-stream"
        ),
    ] = None,
    most_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Of a response; in a world of several turns, of a turn.",
            show_default="what the task needs",
        ),
    ] = None,
    updates: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Rewards: optimiser steps on each batch of responses.",
            show_default="1; 4 for k1.5",
        ),
    ] = None,
    temperature: Annotated[float, typer.Option(help="Rewards: of what is drawn.")] = 1.0,
    anchor: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="Rewards: units of reward a nat of divergence from the start; of dsp those "
            "that it begins with (0.05).",
        ),
    ] = 0.0,
    reward: Annotated[
        str,
        typer.Option(
            help="Rewards: FILE.py with a function reward(prompt, response, demonstration) in "
            "place of the task's own; of a world with several turns reward(episode), a dictionary "
            "of prompt, demonstration, observed, said, earned (a list each, of the turns) and "
            "ended. It runs in a process of its own without network and files, two seconds a call.",
            show_default=False,
        ),
    ] = "",
    keep_answers: Annotated[
        bool,
        typer.Option(
            "--keep-answers",
            help="Rewards: answers.jsonl in --out, a line for each step and prompt: its answers "
            "with their rewards and credit, who drew them, and under what they were trained. It "
            "is a file of ranked lists for dpo (of worlds of several turns to look at only).",
        ),
    ] = False,
    mode: Annotated[
        list[str] | None,
        typer.Option(
            "--mode",
            help="modes: what an answer of a mode begins with; once for each mode. Each is forced "
            "on an equal share of a group, and one share is free; the first is the cheap one.",
            show_default=False,
        ),
    ] = None,
    frozen: Annotated[
        str,
        typer.Option(
            help="dsp: folder of the model that answers with the hints and is not trained, in "
            "transformers' form or a policy made here. --most-tokens are then of a hint.",
            show_default=False,
        ),
    ] = "",
    layout: Annotated[
        str | None,
        typer.Option(
            help="How rows are read: shared (a prompt once for its answers), packed (so too, and "
            "nothing is padded) or padded.",
            show_default="shared; packed for data",
        ),
    ] = None,
    tokens_at_once: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Rewards and pairs: about how many tokens are read together for a gradient.",
            show_default="32 rows or people",
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(help="In which products are taken: full, or bfloat16 where hardware has it."),
    ] = "full",
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Cores that each product is shared over.",
            show_default="OMP_NUM_THREADS, or all of them",
        ),
    ] = None,
    divided: Annotated[
        bool,
        typer.Option(
            "--divided",
            help="Under torchrun: parameters, gradients and Adam's memory in pieces over the "
            "processes, for a model that is too large for one.",
        ),
    ] = False,
    server: Annotated[
        str,
        typer.Option(
            help="Rewards: address of an OpenAI-compatible server that draws the answers, up to "
            "and with the version, as in http://localhost:8000/v1; it must give token ids and "
            "log-probabilities.",
            show_default=False,
        ),
    ] = "",
    served: Annotated[
        str, typer.Option(help="With --server: the model's name there.", show_default="policy")
    ] = "",
    weights: Annotated[
        str,
        typer.Option(
            help="With --server: a folder that it sees too, from which it loads the policy as it "
            "learns; without it the server keeps its weights.",
            show_default=False,
        ),
    ] = "",
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Data: passes over them.", show_default="3"),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Data: people or answers of a step.")] = 32,
    strength: Annotated[
        float | None,
        typer.Option(help="Data: beta, utility a nat of log-ratio.", show_default="0.1"),
    ] = None,
    kinds: Annotated[
        int,
        typer.Option(min=1, help="dpo: kinds of people, each an adapter on one base (--rank)."),
    ] = 1,
    ties: Annotated[
        str,
        typer.Option(
            help="dpo: what a tie is: half a win to each side, or an answer of its own whose "
            "likelihood is learnt: davidson or rao-kupper.",
        ),
    ] = "half",
    context: Annotated[
        str | None,
        typer.Option(
            help="dpo with --kinds: a column; who is of which kind may depend on it, and change "
            "with it.",
            show_default=False,
        ),
    ] = None,
    held_out: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.9,
            help="Data: share that is only looked at; fewer than ten "
            "prompts are all learnt from and looked at.",
        ),
    ] = 0.1,
    rank: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Low-rank adapters of this rank in place of the whole model.",
            show_default=False,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Of Adam.", show_default="0.0003; 0.003 for adapters, 0.001 for sft"),
    ] = None,
    width: Annotated[int, typer.Option(min=8, help="From scratch: numbers of a state.")] = 96,
    layers: Annotated[int, typer.Option(min=1, help="From scratch: layers.")] = 3,
    window: Annotated[int, typer.Option(min=8, help="From scratch: tokens read at most.")] = 256,
    demonstrations: Annotated[
        int, typer.Option(min=0, help="From scratch: of the task, taught first.")
    ] = 1_500,
    passes: Annotated[int, typer.Option(min=1, help="From scratch: over what is taught.")] = 4,
    trial: Annotated[
        int, typer.Option(min=2, help="Problems on which policy and start are compared.")
    ] = 300,
    methods: Annotated[
        bool, typer.Option("--methods", help="List the methods and tasks, and stop.")
    ] = False,
    on_bad_rows: options.OnBadRows = "error",
    description: options.DescriptionFile = None,
    role: options.Role = None,
    seed: options.Seed = 0,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Train a language model on preferences or a task, and tell what it gained.

    Broken off, the same command goes on where it stood. Under torchrun the processes share the
    work of each step.
    """
    if methods:
        _list(json)
        return
    if what is None or out is None:
        missing = "FILE or TASK" if what is None else "--out"
        raise ConfigError(
            f"{missing} is missing; expected, say, `penchant align CHAIN --method grpo --out "
            "policy`. `penchant align --methods` lists methods and tasks."
        )
    chosen, is_task = offered(method), known_task(what) is not None
    _check(call, what, method, is_task, bool(model))
    wanted = AlignOptions(
        steps=steps, prompts=prompts or chosen.prompts,
        group_size=group_size or chosen.group_size, most_tokens=most_tokens,
        updates=updates or chosen.updates, temperature=temperature,
        learning_rate=learning_rate, anchor=anchor,
        rank=rank, strength=strength, epochs=epochs, batch=batch, kinds=kinds, context=context,
        held_out=held_out, trial=trial, layout=_layout(layout), tokens_at_once=tokens_at_once,
        precision=_precision(precision), divided=divided,
        model=model, width=width, layers=layers, window=window, demonstrations=demonstrations,
        passes=passes,
        reward=reward, server=server, served=served, weights=weights,
        modes=tuple(mode or ()), frozen=frozen, ties=_ties(ties), keep_answers=keep_answers,
        seed=seed,
    )  # fmt: skip
    _check_server(server, served, weights, model)
    from penchant.policies.language.trainer import need_torch

    need_torch()
    from penchant.fitting.processes import joined, num_processes
    from penchant.numerics.threads import torch_threads

    with torch_threads(threads), joined() as process:
        if divided and num_processes() == 1:
            raise ConfigError(
                "--divided lays a model in pieces over processes, and there is one; expected "
                "several: torchrun --nproc-per-node 2 $(which penchant) align ... --divided."
            )
        quiet = json or process > 0
        if chosen.way == "reward":
            from penchant.cli.align_reward import align_to_reward

            document = align_to_reward(what, method, wanted, out, quiet=quiet)
        else:
            from penchant.cli.align_data import align_to_data

            document = align_to_data(
                what, method, wanted, out, on_bad_rows=on_bad_rows, description=description,
                roles=role, quiet=quiet,
            )  # fmt: skip
    if process > 0:
        return
    if json:
        shell.print_json(document)
        return
    for sentence in document["lead"]:
        shell.output().print(sentence)
    for sentence in document["warnings"]:
        shell.note(f"Beware: {sentence}")
    shell.note(f"Written to {out}: policy, report.html, report.json.")


def _check(
    call: options.Invocation, what: str, method: str, is_task: bool, has_model: bool
) -> None:
    """Raise ConfigError for what does not go together, or would change nothing."""
    way = METHODS[method].way
    if not is_task and not Path(what).is_file():
        raise ConfigError(
            f"there is no file {what!r}, and no task of that name; expected a file of preferences, "
            f"or one of {', '.join(TASKS)} (with settings: CHAIN:most=2)."
        )
    if way == "reward" and not is_task:
        raise ConfigError(
            f"--method {method} learns from rewards of its own answers, which {what} does not "
            f"give; expected a task ({', '.join(TASKS)}), or a method for data: "
            f"{', '.join(n for n, o in METHODS.items() if o.way not in ('reward', 'steps'))}."
        )
    if way == "steps" and not is_task:
        raise ConfigError(
            f"--method {method} tries steps of its own answers, which a file cannot grade; "
            f"expected a task of single answers, such as CHAIN."
        )
    if method == "dsp" and call.params["anchor"] == 0.0 and options.given(call, among=("anchor",)):
        raise ConfigError(
            "--anchor got 0; expected above 0 for dsp, whose anchor looks for its strength from "
            "there: leave it out for 0.05."
        )
    ignored = options.given(call, among=_ignored(way, is_task, has_model))
    if method not in ("dpo", "dpo-nll"):
        ignored += options.given(call, among=("kinds", "context", "ties"))
    ignored += options.given(call, among=("mode",)) if method != "modes" else []
    ignored += options.given(call, among=("frozen",)) if method != "dsp" else []
    ignored += options.given(call, among=("strength", "layout")) if way == "shown" else []
    if way in ("answers", "shown", "steps"):
        ignored += options.given(call, among=("tokens_at_once",))
    if way == "answers":  # of one process
        ignored += options.given(call, among=("divided",))
    if ignored:
        raise ConfigError(
            f"{', '.join(dict.fromkeys(ignored))} would change nothing for --method {method} on "
            f"{what}{' with --model' if has_model else ''}. Leave that out."
        )


def _check_server(server: str, served: str, weights: str, model: str) -> None:
    if not server and (served or weights):
        raise ConfigError(
            "--served and --weights say how --server draws; expected it too, or none of them."
        )
    if server and not (model or weights):
        raise ConfigError(
            "--server draws from a model that this run would only make; expected --model (the "
            "folder that it serves), or --weights, a folder from which it can load the policy."
        )


def _ignored(way: str, is_task: bool, has_model: bool) -> tuple[str, ...]:
    found: tuple[str, ...] = _OF_SCRATCH if has_model else ()
    if way == "reward":
        return (*found, *_OF_DATA, "on_bad_rows", "description", "role")
    drawn = ("group_size", "prompts") if is_task and way in ("pairs", "answers", "steps") else ()
    found += tuple(name for name in _OF_REWARD if name not in (*drawn, "temperature"))
    if not is_task:
        return (*found, "trial", "most_tokens", "temperature")
    # Of a task's own answers right ones stand beside wrong ones: no ties.
    return (*found, "context", "ties", "held_out", "on_bad_rows", "description", "role",
            "temperature")  # fmt: skip


def _layout(text: str | None) -> "Layout | None":
    if text is None or text in ("shared", "packed", "padded"):
        return cast("Layout | None", text)
    raise ConfigError(f"--layout got {text!r}; expected shared, packed or padded.")


def _ties(text: str) -> Literal["half", "davidson", "rao_kupper"]:
    laws = {"half": "half", "davidson": "davidson", "rao-kupper": "rao_kupper"}
    if text in laws:
        return cast('Literal["half", "davidson", "rao_kupper"]', laws[text])
    raise ConfigError(f"--ties got {text!r}; expected half, davidson or rao-kupper.")


def _precision(text: str) -> "Precision":
    if text in ("full", "bfloat16"):
        return cast("Precision", text)
    raise ConfigError(f"--precision got {text!r}; expected full or bfloat16.")


def _list(json: bool) -> None:
    told = {name: {"learns from": o.way, "what": o.told} for name, o in METHODS.items()}
    tasks = {name: known.told for name, known in TASKS.items()}
    if json:
        shell.print_json({"methods": told, "tasks": tasks})
        return
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in ("method", "learns from", "what it is"):
        table.add_column(head)
    for name, one in told.items():
        table.add_row(name, one["learns from"], one["what"])
    shell.output().print(table)
    shell.output().print("\nTasks: " + "; ".join(f"{n}: {t}" for n, t in tasks.items()) + ".")
