"""What a service counts of itself, in the text that Prometheus reads."""

import os
import resource
from collections import Counter

# Upper ends of the classes of waiting times, in seconds.
_ENDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Counters:
    """Requests by path and status, and how long they took, since the process began."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._times: dict[str, list[int]] = {}
        self._total: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}

    def count(self, path: str, status: int, seconds: float) -> None:
        """One answered request."""
        self._requests[path, status] += 1
        self._total[path] += 1
        self._seconds[path] = self._seconds.get(path, 0.0) + seconds
        classes = self._times.setdefault(path, [0] * len(_ENDS))
        for at, end in enumerate(_ENDS):
            if seconds <= end:
                classes[at] += 1
                break

    def text(self, further: dict[str, float]) -> str:
        """All of it. further: other counts by name, as they are now."""
        # Whoever asks meets one of several workers: each has series of its own, that only grow.
        worker = f'worker="{os.getpid()}"'
        lines = ["# TYPE penchant_requests_total counter"]
        lines += [
            f'penchant_requests_total{{{worker},path="{path}",status="{status}"}} {num}'
            for (path, status), num in sorted(self._requests.items())
        ]
        lines.append("# TYPE penchant_request_seconds histogram")
        for path, classes in sorted(self._times.items()):
            below, told = 0, f'{{{worker},path="{path}"'
            for end, num in zip(_ENDS, classes):
                below += num
                lines.append(f'penchant_request_seconds_bucket{told},le="{end}"}} {below}')
            lines.append(f'penchant_request_seconds_bucket{told},le="+Inf"}} {self._total[path]}')
            lines.append(f"penchant_request_seconds_sum{told}}} {self._seconds[path]:.6f}")
            lines.append(f"penchant_request_seconds_count{told}}} {self._total[path]}")
        used = resource.getrusage(resource.RUSAGE_SELF)
        further = {
            **further, "cpu_seconds": used.ru_utime + used.ru_stime,
            "peak_memory_bytes": used.ru_maxrss * 1024.0,
        }  # fmt: skip
        for name, value in further.items():
            lines += [f"# TYPE penchant_{name} gauge", f"penchant_{name}{{{worker}}} {value:.10g}"]
        return "\n".join(lines) + "\n"
