"""The folder of `penchant align`: what the run is, where it began, what came out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penchant.cli import shell
from penchant.errors import BeliefError, ConfigError
from penchant.fitting.processes import number

if TYPE_CHECKING:
    from penchant.cli.align_methods import AlignOptions
    from penchant.evaluation.align_page import AlignPage
    from penchant.lm.language_model import LanguageModel

# What may change between a run and its continuation.
_FREE = ("steps", "trial")
_RUN, _START, _STEPS, _STATE = "run.json", "start", "steps.jsonl", "state"
_ANSWERS = "answers.jsonl"


@dataclass(frozen=True)
class RunFolder:
    """run.json says what the run is; start/ holds the model it began as; state/ and steps.jsonl
    are what a broken-off run goes on from. Of several processes the first writes, all read."""

    path: Path

    @property
    def is_writer(self) -> bool:
        return number() == 0

    @property
    def state(self) -> Path:
        return self.path / _STATE

    @property
    def start(self) -> Path:
        return self.path / _START

    def claim(self, what: str, method: str, options: "AlignOptions") -> None:
        """Make the folder this run's. Raises `ConfigError` where it holds what another run made."""
        if self.path.is_file():
            raise ConfigError(f"--out is {self.path}, which is a file; expected a folder.")
        settings = {name: value for name, value in asdict(options).items() if name not in _FREE}
        said = {"what": what, "method": method, **settings}
        if options.reward:
            said["reward"] = _digest(Path(options.reward))
        said = json.loads(json.dumps(said))  # as it will be read again
        file = self.path / _RUN
        # A run that was refused before it began has left nothing to mix up with this one.
        if file.is_file() and (self.start.is_dir() or self.state.is_dir()):
            _check_same(self.path, _read(file), said)
            return
        if not self.is_writer:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        _write(file, json.dumps(said, indent=1) + "\n")

    def keep_start(self, model: "LanguageModel") -> None:
        """The model as it began, whole or not at all."""
        if not self.is_writer:
            return
        from shutil import rmtree

        from penchant.lm.folder import save_language_model

        partial = self.path / f"{_START}.part"
        rmtree(partial, ignore_errors=True)
        save_language_model(model, partial)
        rmtree(self.start, ignore_errors=True)
        partial.rename(self.start)

    def keep_steps(self, steps: Sequence[Mapping[str, Any]]) -> None:
        """All steps so far."""
        if not self.is_writer:
            return
        from penchant.serving.plain_json import finite

        lines = "".join(json.dumps(finite(dict(step))) + "\n" for step in steps)
        _write(self.path / _STEPS, lines)

    def steps(self, num: int) -> list[dict[str, Any]]:
        """The first `num` steps that were kept. Raises `BeliefError` where they are not there."""
        file = self.path / _STEPS
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        try:
            found = [json.loads(line) for line in lines[:num]]
        except ValueError as error:
            raise _damaged(file, str(error)) from error
        if len(found) < num:
            raise _damaged(file, f"{len(found)} steps of {num}")
        return found

    def begin_answers(self, since: int) -> None:
        """answers.jsonl of the first `since` steps: of later ones, half a line among them, only
        what was never finished can stand there.

        Raises `BeliefError` for a file that cannot be read.
        """
        if not self.is_writer:
            return
        file = self.path / _ANSWERS
        # Answers may hold marks at which `splitlines` parts lines, and JSON does not.
        lines = file.read_text(encoding="utf-8").split("\n") if file.is_file() else []
        lines = lines[:-1] if lines and not lines[-1] else lines
        kept = []
        for number_of_line, line in enumerate(lines, start=1):
            try:
                if json.loads(line)["step"] <= since:
                    kept.append(f"{line}\n")
            except (ValueError, KeyError, TypeError) as error:
                if number_of_line < len(lines):
                    raise _damaged(file, f"line {number_of_line}: {error}") from error
        _write(file, "".join(kept))

    def add_answers(self, groups: Sequence[Mapping[str, Any]]) -> None:
        """Further lines of answers.jsonl."""
        if not self.is_writer:
            return
        with (self.path / _ANSWERS).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(group, ensure_ascii=False) + "\n" for group in groups)

    def keep_people(self, people: Mapping[str, Any]) -> None:
        """people.json: who is of which kind."""
        if not self.is_writer:
            return
        _write(self.path / "people.json", shell.json_text(people) + "\n")

    def finish(
        self, policies: Mapping[str, "LanguageModel"], page: "AlignPage", facts: Mapping[str, str]
    ) -> dict[str, Any]:
        """Policies with their cards, the page and its numbers; returns the numbers."""
        from penchant.evaluation.align_page import render_align
        from penchant.lm.folder import save_language_model

        document = {"policies": [str(self.path / name) for name in policies], **page.plain()}
        if not self.is_writer:
            return document
        for name, policy in policies.items():
            save_language_model(policy, self.path / name, card=card(page, facts))
        _write(self.path / "report.html", render_align(page))
        _write(self.path / "report.json", shell.json_text(document) + "\n")
        return document


def card(page: "AlignPage", facts: Mapping[str, str]) -> str:
    """The README.md of a policy's folder, as a model card."""
    told = "".join(f"- {name}: {value}\n" for name, value in facts.items())
    gained = "".join(f"{sentence}\n" for sentence in page.lead)
    warned = "".join(f"- {sentence}\n" for sentence in page.warnings)
    kept = f"\n## What to keep in mind\n\n{warned}" if warned else ""
    return (
        "---\nlibrary_name: transformers\ntags:\n- penchant\n- preference-optimisation\n---\n\n"
        f"# {page.title}\n\n{page.subtitle}\n\n## What it gained\n\n{gained}\n"
        f"## How it was made\n\n{told}{kept}\n"
        "Load it with `AutoModelForCausalLM.from_pretrained` or `penchant align --model`.\n"
    )


def _check_same(folder: Path, found: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """Raises `ConfigError` unless both are the settings of one run."""
    # What a version does not know it may do otherwise too: the same seed may draw other tokens.
    unlike = sorted(found.keys() ^ said.keys())
    if unlike:
        raise ConfigError(
            f"{folder} holds a run that another version of penchant began (of the two only one "
            f"knows {unlike[0]}), and from here on it would be another run. Finish it with that "
            "version, name another folder, or delete this one."
        )
    other = [name for name in said if found[name] != said[name]]
    if other:
        raise ConfigError(
            f"{folder} holds a run with {other[0]} {found[other[0]]!r}; this one has "
            f"{said[other[0]]!r}. Name another folder, or delete this one."
        )


def _digest(program: Path) -> str:
    """Of a program's text: another one under the same name is another run."""
    from hashlib import blake2b

    return f"{program} {blake2b(program.read_bytes(), digest_size=8).hexdigest()}"


def _damaged(file: Path, found: str) -> BeliefError:
    return BeliefError(
        f"{file} cannot be read as what `penchant align` kept ({found}); delete its folder to "
        "start again."
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(file, str(error)) from error
    if not isinstance(said, dict):
        raise _damaged(file, "no settings")
    return said


def _write(file: Path, text: str) -> None:
    """Whole or not at all."""
    partial = file.with_name(f"{file.name}.part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
