"""How commands speak and how they end: exit codes, error panels, progress, JSON."""

import contextlib
import functools
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import typer

from penchant.errors import (
    BeliefError,
    ConfigError,
    DataError,
    FitError,
    MissingExtraError,
    PenchantError,
)
from penchant.serving.plain_json import finite

if TYPE_CHECKING:
    from rich.console import Console

    from penchant.models.table import Table

_IMPORTED = time.perf_counter()
_MOST_SET = 5_000  # entries of a list that JSON shows on lines of their own

OK = 0
OUR_BUG = 1
USAGE = 2
BAD_DATA = 3
NOT_CONVERGED = 4
INTERRUPTED = 130

_TITLES = {
    USAGE: "This cannot be done as asked",
    BAD_DATA: "The data cannot be used",
    NOT_CONVERGED: "The fit came to no result",
}

EXIT_CODES = (
    "Exit codes: 0 all well, 1 a bug of ours, 2 a wrong option, 3 bad data, 4 the fit did not "
    "converge (results are written all the same), 130 interrupted."
)


def errors() -> "Console":
    """Where notes, progress and errors go: standard error, so that output stays clean."""
    from rich.console import Console

    class Notes(Console):
        """Goes on in silence where nobody reads any more (`2>&1 | head`); Rich would end the
        command with the code of a bug, its files not yet written."""

        def on_broken_pipe(self) -> None:
            self.quiet = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())

    return Notes(stderr=True, highlight=False)


def output() -> "Console":
    """Where results go: standard output."""
    from rich.console import Console

    # In a file or a pipe no line is folded: tables stay tables.
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, soft_wrap=True, width=200)


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """End a command with a meaning: one clear panel on standard error and the right exit code.

    `--debug` of the command shows the traceback too.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        _listen()
        try:
            command(*args, **kwargs)
        except (typer.Exit, typer.Abort):
            raise
        except BrokenPipeError:
            # The reader of a pipe (`| head`) has seen enough; Python would complain at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(OK) from None
        except KeyboardInterrupt:
            raise _interrupted() from None
        except Exception as error:
            if is_interruption(error):
                raise _interrupted() from None
            if kwargs.get("debug"):
                errors().print_exception()
            _panel(error)
            raise typer.Exit(exit_code(error)) from None

    return run


class _Pressed:
    """Whether Ctrl-C was pressed in this command."""

    ever = False


def _listen() -> None:
    """Remember Ctrl-C: Arrow imports pandas when first asked for an array and drops what is raised
    meanwhile, half a second in which the key would do nothing. `Steps` raises it anew."""
    _Pressed.ever = False
    is_main = threading.current_thread() is threading.main_thread()
    # Whoever ignores the signal, or handles it on their own, goes on doing so.
    if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _press)


def _press(number: int, frame: Any) -> None:
    _Pressed.ever = True
    signal.default_int_handler(number, frame)


def _interrupted() -> typer.Exit:
    errors().print("\nInterrupted. Files that were finished before are kept.", style="yellow")
    return typer.Exit(INTERRUPTED)


def is_interruption(error: BaseException) -> bool:
    """Whether somebody pressed Ctrl-C.

    Where that met compiled loops, each of their callers reports a SystemError because of the one
    before: the key that was pressed stands at the end of the chain.
    """
    if not isinstance(error, SystemError):
        return isinstance(error, KeyboardInterrupt)
    seen: list[BaseException] = []
    ahead: list[BaseException | None] = [error]
    while ahead:
        here = ahead.pop()
        if isinstance(here, KeyboardInterrupt):
            return True
        if here is not None and here not in seen:
            seen.append(here)
            ahead += [here.__cause__, here.__context__]
    return False


def exit_code(error: Exception) -> int:
    """What an error means to the shell."""
    if isinstance(error, ConfigError | MissingExtraError):
        return USAGE
    if isinstance(error, DataError | BeliefError | OSError):
        return BAD_DATA
    if isinstance(error, FitError):
        return NOT_CONVERGED
    return OUR_BUG


def _panel(error: Exception) -> None:
    from rich.panel import Panel
    from rich.text import Text

    code = exit_code(error)
    if code == OUR_BUG:
        title = "penchant failed: this is a bug of ours"
        message = f"{type(error).__name__}: {error}\n\nPlease report it with what `--debug` prints."
    else:
        title = _TITLES[code]
        # What is an argument in Python is an option here.
        message = str(error).replace('on_bad_rows="quarantine"', "--on-bad-rows quarantine")
        if isinstance(error, OSError) and not isinstance(error, PenchantError):
            message = f"{error.strerror or error}."
            if error.filename is not None:
                message = f"{error.strerror or error} ({error.filename}). Check the path."
    console = errors()
    console.print(Panel(Text(message), title=title, border_style="red", title_align="left"))


def print_json(document: Any) -> None:
    """One JSON document on standard output; what is not a number is null, as JSON demands."""
    sys.stdout.write(json_text(document) + "\n")


def json_text(document: Any) -> str:
    """The document as JSON: set for eyes, but for one too long for these, which takes a tenth of
    the time on a single line."""
    parts = document.values() if isinstance(document, Mapping) else [document]
    is_long = any(isinstance(part, list) and len(part) > _MOST_SET for part in parts)
    return json.dumps(finite(document), indent=None if is_long else 2, ensure_ascii=False)


def span(low: float, high: float, form: str) -> str:
    """An interval in words; of one without bound at an end, the other."""
    if math.isinf(low) and math.isinf(high):
        return "no bound"
    if math.isinf(high):
        return f"{low:{form}} or more"
    return f"up to {high:{form}}" if math.isinf(low) else f"{low:{form}} to {high:{form}}"


def check_form(form: str, json: bool) -> None:
    """Raise ConfigError for a form of table that there is not, or one that --json would ignore."""
    from penchant.models.table import FORMATS

    if form not in FORMATS:
        raise ConfigError(f"--format got {form!r}; expected one of {', '.join(FORMATS)}.")
    if json and form != "text":
        raise ConfigError(
            f"--json prints numbers, so that --format {form} would change nothing. Leave one of "
            "the two out."
        )


def print_table(table: "Table", form: str) -> None:
    """A table on standard output in the form asked for, an empty line after it."""
    sys.stdout.write(table.rendered(form) + "\n\n")


def note(text: str, quiet: bool = False) -> None:
    """A remark beside the result."""
    if not quiet:
        from rich.text import Text

        errors().print(Text(text, style="dim"))


def seconds_so_far() -> float:
    """Wall seconds since the process began; where the system does not tell, since our import."""
    try:
        with open("/proc/self/stat", encoding="ascii") as file:
            # Field 22, counted behind the name, which may hold blanks: clock ticks since boot.
            began = int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - began
    except (OSError, AttributeError, ValueError, IndexError):
        return time.perf_counter() - _IMPORTED


class Steps:
    """Long work, told step by step: a live line on a terminal, silence or plain lines elsewhere,
    of which at least `every` seconds lie between two."""

    def __init__(
        self, quiet: bool, total: int | None = None, plain: bool = False, every: float = 0.0
    ) -> None:
        self._quiet = quiet
        self._total = total
        self._plain = plain and not quiet
        self._start = time.perf_counter()
        self._every, self._said = every, -math.inf
        self._progress: Any = None
        self._task: Any = None

    @contextlib.contextmanager
    def shown(self) -> Iterator["Steps"]:
        """Show progress until the block ends. Silent if asked to be quiet."""
        console = errors()
        if self._quiet or not console.is_terminal:
            yield self
            return
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = [SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()]
        if self._total:
            columns.insert(2, BarColumn(bar_width=24))
        # Four times a second: the drawing thread shares the interpreter with the fit.
        with Progress(*columns, console=console, transient=True, refresh_per_second=4) as progress:
            self._progress = progress
            self._task = progress.add_task("", total=self._total)
            yield self

    def say(self, text: str, done: int | None = None) -> None:
        """What is being done now, and how many of the steps lie behind.

        Raises KeyboardInterrupt where one was raised before and nobody heard it.
        """
        if _Pressed.ever:
            raise KeyboardInterrupt
        if self._progress is not None:
            self._progress.update(self._task, description=text, completed=done)
        elif self._plain:
            elapsed = time.perf_counter() - self._start
            if elapsed - self._said >= self._every:
                self._said = elapsed
                print(f"[{elapsed:5.1f} s] {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def waiting(text: str, quiet: bool) -> Iterator[None]:
    """A spinner with the time gone by, on a terminal only."""
    steps = Steps(quiet)
    with steps.shown():
        steps.say(text)
        yield
