"""A program that somebody else wrote, called in a process of its own that can do little harm.

The process has no network, opens no file but Python's own and the program, starts no other, has
bounds on memory and CPU seconds that the system keeps, and is killed with all that it began when an
answer takes too long. The guards within it (audit hooks, limits) keep accidents and simple malice
in; against an attacker who knows the interpreter use a machine of its own.
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penchant.errors import ConfigError, DataError

_WORKER = Path(__file__).with_name("sandbox_worker.py")
_READY = "ready"


@dataclass(frozen=True, kw_only=True, slots=True)
class SandboxConfig:
    """seconds: of wall time for a call, and `start` for the program to be loaded. cpu: whole
    seconds of CPU time that a process has in all, after which the system kills it; one whose calls
    took half of them is replaced before the next. memory: megabytes of address space. most_bytes:
    of an answer. patience: calls in a row that may take too long, or processes that may use up
    their CPU seconds, before the program is not called any more."""

    seconds: float = 2.0
    start: float = 20.0
    cpu: int = 60
    memory: int = 2_048
    most_bytes: int = 1_000_000
    patience: int = 5

    def __post_init__(self) -> None:
        least = min(self.seconds, self.start, self.cpu, self.memory, self.most_bytes, self.patience)
        if least <= 0:
            raise ConfigError(f"got {self}; expected all of them above 0.")


class Sandbox:
    """A function of a Python file. `call(...)` gives what it returns, as JSON has it.

    Raises `ConfigError` where there is no such file, `DataError` for a program that cannot be
    loaded or lacks the function, and from `call` for one that raised, died, answered with what JSON
    has not, or took too long; the next call begins anew.
    """

    def __init__(
        self, file: Path, function: str = "reward", config: SandboxConfig | None = None
    ) -> None:
        if not file.is_file():
            raise ConfigError(f"there is no program {file}; expected a Python file.")
        self.file, self.function = file.resolve(), function
        self.config = config or SandboxConfig()
        self._process: subprocess.Popen[bytes] | None = None
        self._hung, self._exhausted, self._spent = 0, 0, 0.0
        self._folder = tempfile.TemporaryDirectory()

    def call(self, *arguments: Any) -> Any:
        """What the function returns for these arguments."""
        if self._hung >= self.config.patience:
            raise DataError(
                f"{self.function} of {self.file.name} took more than {self.config.seconds:g} s "
                f"{self._hung} times in a row and is not called any more; expected an answer each "
                "time. Mend it."
            )
        process = self._running()
        assert process.stdin is not None, "it was opened with a pipe"
        try:
            process.stdin.write(json.dumps(arguments).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise DataError(f"{self.file.name} {self._end()} before it was asked.") from None
        said = self._answer(process, self.config.seconds)
        self._hung, self._spent = 0, float(said.get("cpu", 0.0))
        if "error" in said:
            raise DataError(f"{self.function} of {self.file.name} raised {said['error']}")
        return said.get("value")

    def check(self) -> None:
        """Load the program. Raises `DataError` where it cannot be, or lacks the function."""
        self._running()

    def close(self) -> None:
        """Kill the process and all that it began."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()
        self._process, self._spent = None, 0.0

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
        self._folder.cleanup()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is None:
            if self._spent <= self.config.cpu / 2:
                return self._process
            self.close()
        elif self._process is not None:
            self._end()
        if self._exhausted >= self.config.patience:
            raise DataError(
                f"{self._exhausted} processes of {self.file.name} used up their {self.config.cpu} "
                "CPU seconds, and it is not called any more; expected less work than that, and "
                "none between calls. Mend it."
            )
        # -I: neither the user's packages nor the environment; a session of its own can be killed
        # whole.
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_WORKER), str(self.file), self.function,
             str(self.config.memory), str(self.config.cpu)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            cwd=self._folder.name, env={}, start_new_session=True,
        )  # fmt: skip
        said = self._answer(self._process, self.config.start)
        if said.get("value") != _READY:
            self.close()
            raise DataError(
                f"{self.file} cannot be used: {said.get('error', 'it said something else')}; "
                f"expected a Python file with a function {self.function}. It has no network, no "
                "files and no packages but Python's own."
            )
        return self._process

    def _end(self) -> str:
        """Clear away a process that is no more, and say what became of it."""
        assert self._process is not None, "it was there"
        how = None
        with suppress(subprocess.TimeoutExpired):  # one that hung up may live on
            how = self._process.wait(timeout=1.0)
        self.close()
        # Nobody but the system kills it so: `close` forgets those that it kills.
        if how != -signal.SIGKILL:
            return "died"
        self._exhausted += 1
        return f"was killed by the system, as after {self.config.cpu} CPU seconds"

    def _answer(self, process: "subprocess.Popen[bytes]", seconds: float) -> dict[str, Any]:
        assert process.stdout is not None, "it was opened with a pipe"
        read, until = b"", time.monotonic() + seconds
        while not read.endswith(b"\n"):
            left = until - time.monotonic()
            ready = select.select([process.stdout], [], [], max(left, 0.0))[0] if left > 0 else []
            if not ready:
                self.close()
                self._hung += 1
                raise DataError(
                    f"{self.function} of {self.file.name} gave no answer in {seconds:g} s and was "
                    "stopped."
                )
            part = os.read(process.stdout.fileno(), 65_536)
            read += part
            if not part:
                raise DataError(f"{self.function} of {self.file.name}: {self._end()}.")
            if len(read) > self.config.most_bytes:
                self.close()
                raise DataError(
                    f"{self.function} of {self.file.name}: an answer of more than "
                    f"{self.config.most_bytes} bytes."
                )
        try:
            said = json.loads(read.splitlines()[-1])
        except ValueError:
            said = None
        if not isinstance(said, dict) or not isinstance(said.get("cpu", 0.0), int | float):
            self.close()
            raise DataError(f"{self.function} of {self.file.name} answered out of turn.")
        return said
