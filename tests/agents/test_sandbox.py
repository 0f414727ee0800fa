"""Programs of others: what they may return, and hostile ones that harm nobody."""

import os
import time

import pytest

from penchant.agents.sandbox import Sandbox, SandboxConfig
from penchant.errors import ConfigError, DataError

QUICK = SandboxConfig(seconds=1.0)


def program(folder, body):
    file = folder / "program.py"
    file.write_text(body)
    return file


def test_what_a_function_returns_is_given_back_and_what_it_prints_is_not(tmp_path):
    file = program(
        tmp_path, "print('hello')\ndef reward(a, b):\n    print(a)\n    return len(a) + b"
    )
    with Sandbox(file, config=QUICK) as sandbox:
        assert sandbox.call("abc", 2) == 5
        assert sandbox.call("ä\n", 0.5) == 2.5


HOSTILE = {
    "raises": ("raise ValueError('no idea')", "no idea"),
    "leaves": ("raise SystemExit(0)", "SystemExit"),
    "writes a file": ("open('{mark}', 'w').write('x')", "not allowed"),
    "writes by number": ("import os; os.open('{mark}', os.O_WRONLY | os.O_CREAT)", "not allowed"),
    "reads a file": ("return open('/etc/passwd').read()", "not allowed"),
    "lists a folder": ("import os; return os.listdir('/')", "not allowed"),
    "forks": ("import os; os.fork()", "not allowed"),
    "starts a program": ("import subprocess; subprocess.run(['touch', '{mark}'])", "not allowed"),
    "asks a shell": ("import os; os.system('touch {mark}')", "not allowed"),
    "calls home": ("import socket; socket.create_connection(('127.0.0.1', 9))", "not allowed"),
    "takes all memory": ("return len(bytearray(10**11))", "MemoryError"),
    "answers with what is no JSON": ("return object()", "TypeError"),
    "dies": ("import os; os._exit(3)", "died"),
    "hangs up": ("import os, time; os.closerange(3, 64); time.sleep(60)", "died"),
    "aborts": ("import os; os.abort()", "died"),
    "answers for the guard": (
        'import os, time; os.write(4, b\'{"cpu": [], "value": 1}\\n\'); time.sleep(60)',
        "out of turn",
    ),
    "answers endlessly": ("return 'x' * 5_000_000", "more than"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_is_refused_and_the_next_call_is_answered(name, tmp_path):
    body, said = HOSTILE[name]
    mark = tmp_path / "mark"
    text = (
        f"def reward(is_bad):\n    if is_bad:\n        {body.replace('{mark}', str(mark))}\n"
        "    return 1.0\n"
    )
    with Sandbox(program(tmp_path, text), config=QUICK) as sandbox:
        with pytest.raises(DataError, match=said):
            sandbox.call(True)
        assert sandbox.call(False) == 1.0
    assert not mark.exists()


def test_one_that_hangs_is_stopped_and_after_a_few_times_not_called_any_more(tmp_path):
    file = program(tmp_path, "def reward(n):\n    while n: pass\n    return 0.0")
    with Sandbox(file, config=SandboxConfig(seconds=0.3, patience=2)) as sandbox:
        for _ in range(2):
            with pytest.raises(DataError, match=r"no answer in 0\.3 s"):
                sandbox.call(1)
        began = time.monotonic()
        with pytest.raises(DataError, match="not called any more"):
            sandbox.call(1)
        assert time.monotonic() - began < 0.1


def test_one_that_computes_without_end_is_killed_by_its_cpu_seconds(tmp_path):
    body = (
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
        "def reward(n):\n    while n: pass\n    return 0.0"
    )
    config = SandboxConfig(seconds=60.0, cpu=1, patience=1)
    with Sandbox(program(tmp_path, body), config=config) as sandbox:
        assert sandbox.call(0) == 0.0
        with pytest.raises(DataError, match="killed by the system, as after 1 CPU seconds"):
            sandbox.call(1)
        with pytest.raises(DataError, match="not called any more"):
            sandbox.call(0)


def test_one_that_works_between_calls_is_killed_and_not_called_any_more(tmp_path):
    body = (
        "import signal\n"
        "def work(*_):\n    while True: pass\n"
        "def reward(n):\n"
        "    signal.signal(signal.SIGALRM, work)\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.05)\n"
        "    return 1.0"
    )
    config = SandboxConfig(seconds=60.0, cpu=1, patience=2)
    with Sandbox(program(tmp_path, body), config=config) as sandbox:
        for _ in range(2):
            assert sandbox.call(0) == 1.0
            sandbox._process.wait(timeout=60.0)
        with pytest.raises(DataError, match=r"2 processes .* none between calls"):
            sandbox.call(0)


def test_an_honest_program_may_compute_for_longer_than_one_process_has(tmp_path):
    body = (
        "import time\n"
        "def reward(n):\n    until = time.process_time() + 0.3\n"
        "    while time.process_time() < until: pass\n    return n"
    )
    config = SandboxConfig(seconds=60.0, cpu=1)
    with Sandbox(program(tmp_path, body), config=config) as sandbox:
        processes = set()
        for n in range(5):
            assert sandbox.call(n) == n
            processes.add(sandbox._process.pid)
    assert len(processes) == 3


def test_nothing_is_left_running(tmp_path):
    file = program(tmp_path, "import time\ndef reward(n):\n    time.sleep(60)")
    with Sandbox(file, config=SandboxConfig(seconds=0.2)) as sandbox:
        sandbox._running()
        number = sandbox._process.pid
        with pytest.raises(DataError):
            sandbox.call(1)
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_a_program_that_cannot_be_used_is_said_to_be_so(tmp_path):
    with pytest.raises(ConfigError, match="no program"):
        Sandbox(tmp_path / "absent.py")
    for body, said in (("def other(): pass", "no function reward"), ("1 +", "SyntaxError")):
        with pytest.raises(DataError, match=said), Sandbox(program(tmp_path, body)) as sandbox:
            sandbox.call()
