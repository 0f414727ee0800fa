"""What several processes leave behind when they have met."""

from pathlib import Path


def check_none_is_left():
    """A thread of an exchange that outlives it aborts Python, now and then, at its end."""
    threads = Path("/proc/self/task")
    if threads.is_dir():
        names = [(thread / "comm").read_text() for thread in threads.iterdir()]
        assert not [name for name in names if "gloo" in name]
