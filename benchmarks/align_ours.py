"""Our side of `align.py`, one process a line: python align_ours.py grpo|dpo|layouts FOLDER CELL."""

import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file

import align_worlds as worlds
from penchant.fitting.language_learner import LearnerConfig
from penchant.fitting.sgd import TrainConfig
from penchant.lm.decoder import Decoder, DecoderConfig
from penchant.lm.language_model import LanguageModel
from penchant.policies.language.direct import DirectConfig, fit_direct
from penchant.policies.language.layout import read_drawn
from penchant.policies.language.methods.group_relative import grpo
from penchant.policies.language.pairs import Pairs
from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig
from penchant.simulation.tasks.task import Problem


@dataclass(frozen=True)
class Words:
    """One word a token, as the folder's tokenizer reads; nothing ends an answer early."""

    pad: int = 0
    begin: None = None
    end: None = None

    def encode(self, text: str) -> list[int]:
        return [int(word[1:]) for word in text.split()]

    def decode(self, ids: Any) -> str:
        return worlds.as_text(list(ids))


@dataclass(frozen=True)
class Given:
    """The prompts as a task."""

    texts: tuple[str, ...]

    def draw(self, num: int, generator: np.random.Generator) -> tuple[Problem, ...]:
        chosen = generator.choice(len(self.texts), num, replace=False)
        return tuple(Problem(prompt=self.texts[n], demonstration="", difficulty=1) for n in chosen)

    def grade(self, problem: Problem, response: str) -> dict[str, float]:
        return {"correct": worlds.even_share([int(word[1:]) for word in response.split()])}


def model_of(folder: Path) -> LanguageModel:
    """Our decoder with the numbers of the folder."""
    said = json.loads((folder / "config.json").read_text())
    found = {
        n.removeprefix("model."): v for n, v in load_file(folder / "model.safetensors").items()
    }
    shape = DecoderConfig(
        num_tokens=said["vocab_size"], width=worlds.WIDTH, layers=worlds.LAYERS,
        heads=worlds.HEADS, inner=worlds.INNER, window=said["max_position_embeddings"],
    )  # fmt: skip
    found = {name: value for name, value in found.items() if name != "lm_head.weight"}
    return LanguageModel(network=Decoder(config=shape), parameters=found, tokenizer=Words())


def trainer_of(folder: Path, cell: worlds.Cell) -> PolicyTrainer:
    """GRPO on one group a step."""
    texts = tuple(worlds.as_text(ids) for ids in worlds.prompts_of(cell))
    return PolicyTrainer(
        model_of(folder), Given(texts), grpo(),
        TrainerConfig(
            prompts=1, group_size=cell.group, most_tokens=worlds.COMPLETION, learning_rate=1e-6,
            layout=cell.layout,
            learner=LearnerConfig(at_once=cell.group, precision=cell.precision),
        ),
    )  # fmt: skip


def steps(folder: Path, cell: worlds.Cell) -> dict[str, Any]:
    """What each step of `PolicyTrainer` after the first took, and drawing within it."""
    trainer = trainer_of(folder, cell)
    draw, drawing = trainer._gathered, []

    def clocked() -> Any:
        kept = []
        drawing.append(worlds.spent(lambda: kept.append(draw())))
        return kept[0]

    trainer._gathered = clocked
    trainer.step()
    spans = [worlds.spent(trainer.step) for _ in range(cell.steps)]
    drawn = worlds.medians(drawing[1:])
    return {**worlds.medians(spans), "drawing": drawn["seconds"], "drawing wall": drawn["wall"]}


def layouts(folder: Path, cell: worlds.Cell) -> dict[str, Any]:
    """CPU seconds of forward and backward of one group in each layout."""
    trainer = trainer_of(folder, cell)
    model, rollouts = trainer.model, trainer._gathered().rollouts
    found: dict[str, Any] = {}
    for layout in ("padded", "shared", "packed"):

        def once(layout: Any = layout) -> None:
            leaves = {n: v.detach().clone().requires_grad_() for n, v in model.parameters.items()}
            read = read_drawn(model.with_parameters(leaves), rollouts, layout=layout)
            read.log_prob.sum().backward()

        found[layout] = statistics.median([worlds.spent(once)[0] for _ in range(3)])
    return found


def preferences(folder: Path, cell: worlds.Cell) -> dict[str, Any]:
    """Seconds of a step of `fit_direct`: a whole pass over the pairs, its reference and its trial
    of the layout counted in, by the number of its steps."""
    model, given = model_of(folder), worlds.pairs_of(cell)

    def pass_over(num: int) -> None:
        some = given[:num]
        pairs = Pairs(
            first=[[*p, *a, worlds.END] for p, a, _ in some],
            second=[[*p, *b, worlds.END] for p, _, b in some],
            place=np.array([len(p) for p, *_ in some]), first_wins=np.ones(num),
            person=np.arange(num),
        )  # fmt: skip
        fit_direct(
            model, pairs,
            TrainConfig(batch_size=cell.batch, max_epochs=1, learning_rate=1e-6, patience=None),
            DirectConfig(
                layout=cell.layout,
                learner=LearnerConfig(at_once=cell.batch, precision=cell.precision),
            ),
        )  # fmt: skip

    pass_over(cell.batch)
    spans = [worlds.spent(lambda: pass_over(cell.pairs)) for _ in range(cell.steps)]
    return worlds.medians(spans, cell.pairs // cell.batch)


if __name__ == "__main__":
    kind, folder, cell = sys.argv[1], Path(sys.argv[2]), worlds.told(sys.argv[3])
    run = {"grpo": steps, "dpo": preferences, "layouts": layouts}[kind]
    print(json.dumps({**run(folder, cell), "peak MB": round(worlds.peak_mb())}))
