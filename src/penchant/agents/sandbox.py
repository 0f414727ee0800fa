"""A program that somebody else wrote, called in a process of its own that can do little harm.

The process has no network, opens no file but Python's own and the program, starts no other, has a
bound on memory, and is killed with all that it began when an answer takes too long. The guards
within it (audit hooks, limits) keep accidents and simple malice in; against an attacker who knows
the interpreter use a machine of its own.
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
    """seconds: of wall time for a call, and `start` for the program to be loaded. memory: megabytes
    of address space. most_bytes: of an answer. patience: calls in a row that may take too long
    before the program is not called any more."""

    seconds: float = 2.0
    start: float = 20.0
    memory: int = 2_048
    most_bytes: int = 1_000_000
    patience: int = 5

    def __post_init__(self) -> None:
        if min(self.seconds, self.start, self.memory, self.most_bytes, self.patience) <= 0:
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
        self._hung = 0
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
            self.close()
            raise DataError(f"{self.file.name} ended before it was asked.") from None
        said = self._answer(process, self.config.seconds)
        self._hung = 0
        if "error" in said:
            raise DataError(f"{self.function} of {self.file.name} raised {said['error']}")
        return said.get("value")

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
        self._process = None

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
        self._folder.cleanup()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        # -I: neither the user's packages nor the environment; a session of its own can be killed
        # whole.
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_WORKER), str(self.file), self.function,
             str(self.config.memory)],
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
            if not part or len(read) > self.config.most_bytes:
                self.close()
                found = f"an answer of more than {self.config.most_bytes} bytes" if part else "died"
                raise DataError(f"{self.function} of {self.file.name}: {found}.")
        try:
            said = json.loads(read.splitlines()[-1])
        except ValueError:
            said = None
        if not isinstance(said, dict):
            self.close()
            raise DataError(f"{self.function} of {self.file.name} answered out of turn.")
        return said
