"""A fit from the shell that Ctrl-C may end: what was finished is kept, said, and taken up again."""

import hashlib
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from penchant.cli import shell

# Inside OUT, while a fit goes on: its finished steps.
UNFINISHED = "unfinished"


@dataclass
class _Training:
    """Where trainings by mini-batches stand: a folder of its own for each model and data, since a
    training of others is refused rather than thrown away."""

    folder: Path
    taken_up: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self._standing():
            self.taken_up.append("training of networks")

    @property
    def made(self) -> list[str]:
        standing = self._standing()
        return [f"training of {standing} network{'s' * (standing > 1)}"] if standing else []

    def _standing(self) -> int:
        return len(list(self.folder.glob("*/training.safetensors")))

    def finish(self) -> None:
        """The fit is done: nothing needs to be kept any more."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.parent.is_dir() and not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()


def fit_resumably(estimator: Any, records: Any, out: Path | None, quiet: bool) -> Any:
    """Fit, taking up what an interrupted run of the same command left in OUT; returns what is kept
    meanwhile, whose `finish` throws it away once the belief is saved."""
    import inspect

    from penchant.fitting.checkpoint import Checkpoint

    takes = "checkpoint" in inspect.signature(estimator.fit).parameters
    is_trained = "checkpoint" in estimator.get_params()
    kept: Any = Checkpoint()
    if out is not None and takes:
        kept = Checkpoint(out / UNFINISHED, key=_key(estimator, records))
    elif out is not None and is_trained:
        name = hashlib.blake2b(_key(estimator, records).encode(), digest_size=8).hexdigest()
        kept = _Training(out / UNFINISHED / f"training-{name}")
        estimator.set_params(checkpoint=str(kept.folder))
    try:
        estimator.fit(records, **({"checkpoint": kept} if takes else {}))
    except (KeyboardInterrupt, SystemError) as error:
        if not shell.is_interruption(error):
            raise
        shell.note(f"\nInterrupted. {_what_is_kept(kept, takes or is_trained)}")
        raise typer.Exit(shell.INTERRUPTED) from None
    if kept.taken_up:
        shell.note(f"Taken up from an interrupted run: {', '.join(kept.taken_up)}.", quiet)
    return kept


def _what_is_kept(kept: Any, keeps: bool) -> str:
    if not keeps:
        return "Nothing is kept of such a fit: run the command again."
    if kept.folder is None:
        return "Nothing is kept without --out."
    steps = list(dict.fromkeys([*kept.taken_up, *kept.made]))
    if not steps:
        return "Nothing was finished yet."
    return f"Kept in {kept.folder}: {', '.join(steps)}. The same command goes on from there."


def _key(estimator: Any, records: Any) -> str:
    """What must be equal for a fit to be taken up: model, settings, data, version."""
    from importlib.metadata import version

    settings = sorted((name, repr(value)) for name, value in estimator.get_params().items())
    return f"{type(estimator).__name__} {settings} {records.fingerprint} {version('penchant')}"
