"""A GRPO step and a DPO step of ours beside TRL's, on the same model, data and machine, in one run.

    python benchmarks/align.py --peer PYTHON [--only grpo dpo] [--cells 512x8 64x8 ...] [--steps 2]
        [--pairs 64] [--bfloat16] [--threads 1]

A decoder of Llama's form, 4 layers of 256 and 32,000 tokens, randomly initialised; AdamW, one
thread, a process of its own for each contender, process CPU seconds after a warm-up, the kernel's
peak of memory. PYTHON is an environment with trl.

`--threads 2` asks what a second core gains: each contender with one thread and with two, by turns,
seconds by the clock (CPU seconds, kept too, count what threads spend on waiting), in rows of their
own. It says something on idle cores only; the load at the start is kept.

GRPO: prompts of random tokens, completions of exactly 64, one group and one optimiser step a step,
no reference. `--cells` are prompt lengths and group sizes. Drawing is a part of the step and told
apart. The share of the theoretical saving: a prompt of P tokens and G completions of R need P + G R
tokens in place of G (P + R); reached is the ratio of forward and backward of our own two layouts
over that of the tokens.

DPO: pairs of log-normal lengths, eight a step, the reference's log-probabilities counted in.

Each row is replaced in results/align.json as soon as it is measured; `--table` prints what is kept.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from align_worlds import COMPLETION, Cell, model_folder
from measure import HERE, ONE_THREAD, circumstances

RESULTS = HERE / "results" / "align.json"
CELLS = ("512x8", "64x8", "2048x8", "512x4", "512x16", "512x32")


def one(
    side: str, kind: str, folder: Path, cell: Cell, python: str, threads: int = 1
) -> dict[str, Any]:
    """What a process of its own found."""
    limits = dict.fromkeys(ONE_THREAD, str(threads))
    done = subprocess.run(
        [python, str(HERE / f"align_{side}.py"), kind, str(folder), json.dumps(asdict(cell))],
        capture_output=True, text=True, check=False,
        env=os.environ | limits | {"HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{side} failed at {cell}:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    how = f"{cell.precision} {cell.layout}" + (f" {threads} threads" if threads > 1 else "")
    print(f"  {side} {kind} {how}: {found}", file=sys.stderr, flush=True)
    return found


def contenders(
    kind: str, folder: Path, cell: Cell, said: argparse.Namespace, threads: int = 1
) -> dict[str, Any]:
    """Both sides by turns, in the precisions asked for."""
    found = {}
    for precision in ("full", "bfloat16") if said.bfloat16 else ("full",):
        mine = replace(cell, precision=precision)
        found[f"ours {precision}"] = one("ours", kind, folder, mine, sys.executable, threads)
        if said.peer:
            found[f"TRL {precision}"] = one("peers", kind, folder, mine, said.peer, threads)
    return found


def by_threads(
    kind: str, folder: Path, cell: Cell, said: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Both sides with one thread and with all asked for, and what the others gain by the clock:
    of a step and, where drawing is told apart, of drawing and of the rest."""
    single = contenders(kind, folder, cell, said)
    several = contenders(kind, folder, cell, said, said.threads)
    found: dict[str, dict[str, Any]] = {}
    for name in single:
        took, now = parts(single[name]), parts(several[name])
        found[name] = {
            "1": single[name], str(said.threads): several[name],
            "gain": {part: took[part] / now[part] for part in took},
        }  # fmt: skip
    return found


def parts(each: dict[str, Any]) -> dict[str, float]:
    """Seconds by the clock of a step and of what it is made of."""
    if "drawing wall" not in each:
        return {"step": each["wall"]}
    drawing = each["drawing wall"]
    return {"step": each["wall"], "drawing": drawing, "learning": each["wall"] - drawing}


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """TRL's seconds over ours: at the same precision, and (of both) each at its better one."""

    def least(side: str) -> float:
        return min(each["seconds"] for name, each in found.items() if name.startswith(side))

    if not any(name.startswith("TRL") for name in found):
        return {}
    told = {"full": found["TRL full"]["seconds"] / found["ours full"]["seconds"]}
    if "TRL bfloat16" not in found:
        return told
    return told | {"best": least("TRL") / least("ours")}


def grpo_row(folder: Path, name: str, said: argparse.Namespace) -> dict[str, Any]:
    """A step, what of it is drawing, and what sharing saves of forward and backward."""
    prompt, group = (int(part) for part in name.split("x"))
    cell = Cell(prompt=prompt, group=group, steps=said.steps)
    model_folder(folder, cell.vocabulary, prompt + COMPLETION)
    if said.threads > 1:
        return {"prompt": prompt, "group": group, **by_threads("grpo", folder, cell, said)}
    found = contenders("grpo", folder, cell, said)
    each = one("ours", "layouts", folder, cell, sys.executable)
    by_tokens = group * (prompt + COMPLETION) / (prompt + group * COMPLETION)
    reached = each["padded"] / min(each["shared"], each["packed"])
    return {
        "prompt": prompt, "group": group, **found, "ratio": ratios(found), "layouts": each,
        "saving": {"by tokens": by_tokens, "reached": reached, "share": reached / by_tokens},
    }  # fmt: skip


def dpo_row(folder: Path, said: argparse.Namespace) -> dict[str, Any]:
    """A step on pairs of unequal lengths: packed, and padded as a comparison."""
    cell = Cell(steps=said.steps, pairs=said.pairs, layout="packed")
    model_folder(folder, cell.vocabulary, 1024)
    if said.threads > 1:
        found = by_threads("dpo", folder, cell, said)
        return {"pairs": cell.pairs, "batch": cell.batch, **found}
    found = contenders("dpo", folder, cell, said)
    padded = one("ours", "dpo", folder, replace(cell, layout="padded"), sys.executable)
    return {"pairs": cell.pairs, "batch": cell.batch, **found, "ours padded": padded,
            "ratio": ratios(found)}  # fmt: skip


def keep(name: str, row: dict[str, Any], said: argparse.Namespace) -> None:
    """Replace one row of the file."""
    peer, out = said.peer, said.out
    kept = json.loads(out.read_text()) if out.exists() else {}
    if said.threads > 1:
        name = f"{name}, {said.threads} threads"
    kept[name] = {"circumstances": circumstances(peer) | {"threads": said.threads}, **row}
    kept[name]["circumstances"]["command"] = kept[name]["circumstances"]["command"].replace(
        str(peer), "PYTHON"
    )
    out.write_text(json.dumps(kept, indent=1) + "\n")


def table(kept: dict[str, Any]) -> str:
    """The rows as Markdown."""

    def seconds(row: dict[str, Any], side: str) -> str:
        each = row.get(side)
        return f"{each['seconds']:.2f} s, {each['peak MB'] / 1000:.1f} GB" if each else ""

    lines = ["| step | ours | TRL | ratio | drawing | saving of sharing, of that by tokens |",
             "|---|--:|--:|--:|--:|--:|"]  # fmt: skip
    alone = {name: row for name, row in kept.items() if row["circumstances"]["threads"] == 1}
    for name, row in alone.items():
        for precision in ("full", "bfloat16"):
            if f"ours {precision}" not in row:
                continue
            ours, theirs = row[f"ours {precision}"], row.get(f"TRL {precision}")
            ratio = f"{theirs['seconds'] / ours['seconds']:.1f}" if theirs else ""
            drawing = f"{ours['drawing'] / ours['seconds']:.0%}" if "drawing" in ours else ""
            saving = row.get("saving") if precision == "full" else None
            told = f"{saving['reached']:.1f} of {saving['by tokens']:.1f}" if saving else ""
            label = name if precision == "full" else f"{name}, bfloat16"
            lines.append(
                f"| {label} | {seconds(row, f'ours {precision}')} | "
                f"{seconds(row, f'TRL {precision}')} | {ratio} | {drawing} | {told} |"
            )
    return "\n".join([*lines, *threads_table(kept)])


def threads_table(kept: dict[str, Any]) -> list[str]:
    """What further threads gain, as Markdown; nothing where it was not measured."""
    lines = ["", "| step | one thread | several | gain | of drawing | of the rest |",
             "|---|--:|--:|--:|--:|--:|"]  # fmt: skip
    for name, row in kept.items():
        several = str(row["circumstances"]["threads"])
        for side, each in row.items() if several != "1" else ():
            if side.startswith(("ours", "TRL")):
                told = {p: f"{gain:.2f}" for p, gain in each["gain"].items()}
                lines.append(
                    f"| {name}, {side} | {each['1']['wall']:.2f} s | "
                    f"{each[several]['wall']:.2f} s | {told['step']} | "
                    f"{told.get('drawing', '')} | {told.get('learning', '')} |"
                )
    return lines if len(lines) > 3 else []


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--peer", help="a Python with trl")
    words.add_argument("--only", nargs="+", choices=("grpo", "dpo"), default=["grpo", "dpo"])
    words.add_argument("--cells", nargs="+", default=list(CELLS))
    words.add_argument("--steps", type=int, default=2)
    words.add_argument("--pairs", type=int, default=64, help="of the DPO, eight a step")
    words.add_argument("--bfloat16", action="store_true", help="measure it beside float32")
    words.add_argument("--threads", type=int, default=1, help="beside one, by the clock")
    words.add_argument("--out", type=Path, default=RESULTS)
    words.add_argument("--table", action="store_true", help="print what is kept, and stop")
    said = words.parse_args()
    if said.threads < 1:
        words.error(f"--threads got {said.threads}; expected 1 or more")
    if said.table:
        print(table(json.loads(said.out.read_text())))
        return
    with tempfile.TemporaryDirectory() as place:
        for name in said.cells if "grpo" in said.only else ():
            keep(f"GRPO {name}", grpo_row(Path(place), name, said), said)
        if "dpo" in said.only:
            keep("DPO", dpo_row(Path(place), said), said)
    print(table(json.loads(said.out.read_text())))


if __name__ == "__main__":
    main()
