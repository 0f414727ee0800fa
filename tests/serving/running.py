"""A decision service as a process of its own."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path


class Service:
    """`penchant serve` on a port of its own; started again on the same one after a kill."""

    def __init__(self, database, *options):
        self.database, self.options, self.port = Path(database), options, 0
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        arguments = [sys.executable, "-m", "penchant.cli.main", "serve"]
        arguments += ["--database", f"sqlite:///{self.database}", "--port", str(self.port)]
        arguments += self.options
        self.process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        found = re.search(r":(\d+)/v1/rank", line)
        assert found, line + self.process.stderr.read()
        self.port = int(found[1])
        for _ in range(300):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/health") as said:
                assert json.load(said) == {"status": "ok"}
                return
            time.sleep(0.1)
        raise AssertionError("the service did not start")

    def kill(self):
        """Like a power cut for the process: no handler runs."""
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        said = self.process.stderr.read()
        self.process.stderr.close()
        return said


def children(pid):
    """Processes that one started."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    tasks = Path(f"/proc/{pid}/task")
    if not found.exists():
        return []
    return [
        int(each) for task in tasks.iterdir() for each in (task / "children").read_text().split()
    ]
