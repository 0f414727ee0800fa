"""The inside of `sandbox.py`: run as a script with file, function, megabytes and CPU seconds;
imports nothing of penchant. One line of JSON in, one line of JSON out."""

import json
import os
import sys
import time
from types import ModuleType
from typing import Any

_READ_ONLY = os.O_RDONLY | os.O_CLOEXEC
# What a program that scores texts never needs.
_REFUSED = (
    "socket.", "subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.system", "os.kill",
    "os.spawn", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink",
    "os.truncate", "os.chmod", "os.chown", "os.listdir", "os.scandir", "os.putenv", "shutil.",
    "ctypes.", "pty.", "signal.pthread_kill", "sys.addaudithook", "mmap.", "webbrowser.",
    "urllib.", "ftplib.", "smtplib.", "http.client.", "sqlite3.",
)  # fmt: skip


def limit(megabytes: int, seconds: int) -> None:
    """Bounds that the system keeps: memory, CPU seconds of the process in all, size of files,
    processes (unless the user is root)."""
    import resource

    size = megabytes * 2**20
    bounds = {"RLIMIT_AS": size, "RLIMIT_CPU": seconds, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0,
              "RLIMIT_NPROC": 0}  # fmt: skip
    for name, most in bounds.items():
        resource.setrlimit(getattr(resource, name), (most, most))


def guard(file: str) -> None:
    """Refuse, whoever asks: network, processes, and files but Python's own and the program."""
    # Under -I the path holds Python's own library and packages, no folder of the user's.
    own = tuple(os.path.join(os.path.realpath(path), "") for path in sys.path if path)
    listing = ("os.listdir", "os.scandir")

    def inside(path: Any) -> bool:
        if not isinstance(path, str):
            return False
        whole = os.path.realpath(path)
        return whole == file or os.path.join(whole, "").startswith(own)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in listing and arguments and inside(arguments[0]):
            return  # imports look for modules there
        if event == "open":
            path, _, flags = (*arguments, None, None)[:3]
            is_read = flags is None or not (flags & ~_READ_ONLY)
            if not (is_read and inside(path)):
                raise PermissionError(f"opening {path!r} is not allowed here")
        elif event.startswith(_REFUSED):
            raise PermissionError(f"{event} is not allowed here")

    sys.addaudithook(hook)


def loaded(file: str) -> ModuleType:
    """The program, run as a module."""
    with open(file, encoding="utf-8") as opened:
        text = opened.read()
    module = ModuleType("program")
    exec(compile(text, file, "exec"), module.__dict__)  # what this process is for
    return module


def answered(work: Any) -> dict[str, Any]:
    """What a function returned or raised, as JSON has it."""
    try:
        said = {"value": work()}
        json.dumps(said)
    except BaseException as error:  # a program may raise SystemExit too
        return {"error": f"{type(error).__name__}: {error}"[:500]}
    return said


def main() -> None:
    file, name, megabytes, seconds = sys.argv[1:5]
    # What is printed goes nowhere; answers leave by a number of their own.
    asked, out = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)

    def tell(said: dict[str, Any]) -> None:
        os.write(out, json.dumps(said).encode() + b"\n")

    limit(int(megabytes), int(seconds))
    guard(file)
    program: dict[str, Any] = {}

    def load() -> str:
        program["module"] = loaded(file)
        if not callable(getattr(program["module"], name, None)):
            raise AttributeError(f"there is no function {name}")
        return "ready"

    tell(answered(load))
    clock, spent = time.process_time, 0.0
    for line in asked:
        arguments, began = json.loads(line), clock()
        said = answered(lambda given=arguments: getattr(program["module"], name)(*given))
        # Of the calls alone: what works between them uses its seconds up and is not replaced.
        spent += clock() - began
        tell({**said, "cpu": spent})


if __name__ == "__main__":
    main()
