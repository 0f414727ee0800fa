"""A decision service from Python, with the standard library alone."""

import http.client
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from penchant.errors import ConfigError, DataError

Features = Mapping[str, float | str | bool]
# Seconds before the second attempt, doubled for each further one up to the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class Ranked:
    """ranking: what to show, in order. probabilities: of each option to be shown first. model,
    belief: by what the service decided."""

    event_id: str
    ranking: tuple[str, ...]
    probabilities: Mapping[str, float]
    model: str
    belief: int

    @property
    def first(self) -> str:
        """The option to show."""
        return self.ranking[0]


class DecisionClient:
    """One connection to a service, kept open; one thread at a time.

    Every event and feedback has a name of its own before it is sent, so that a request which got
    no answer is sent again without being counted twice: `attempts` times in all. timeout: seconds
    for each. Raises `DataError` for what the service refuses, `ConfigError` for a key that it does
    not take, `ConnectionError` where it is not there.
    """

    def __init__(
        self, url: str, key: str | None = None, *, timeout: float = 5.0, attempts: int = 4
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"the service is at {url!r}; expected http://HOST:PORT.")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else (
            http.client.HTTPConnection
        )  # fmt: skip
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._base = parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._url, self._attempts = url, attempts

    def rank(
        self,
        options: Sequence[str] | Mapping[str, Features],
        *,
        context: Features | None = None,
        person: str | None = None,
        slots: int = 1,
        event_id: str | None = None,
    ) -> Ranked:
        """What to show of some options: ids, or ids with features."""
        named = options if isinstance(options, Mapping) else {name: {} for name in options}
        asked = {
            "event_id": event_id or str(uuid.uuid4()), "person": person, "context": context or {},
            "options": [{"id": name, "features": dict(told)} for name, told in named.items()],
            "slots": slots,
        }  # fmt: skip
        said = self.ask("POST", "/v1/rank", asked)
        return Ranked(said["event_id"], tuple(said["ranking"]), said["probabilities"],
                      said["model"], said["belief"])  # fmt: skip

    def feedback(
        self,
        event_id: str,
        kind: str,
        value: Any,
        *,
        feedback_id: str | None = None,
        time: float | str | None = None,
    ) -> bool:
        """What came of an event: a reward, pick, ranking, rating, edit or text. Whether it was new:
        not where the same feedback_id was accepted before."""
        said = self.ask("POST", "/v1/feedback", {
            "event_id": event_id, "kind": kind, "value": value, "time": time,
            "feedback_id": feedback_id or str(uuid.uuid4()),
        })  # fmt: skip
        return not said["duplicate"]

    def reward(self, event_id: str, value: float) -> bool:
        """What the option shown first earned."""
        return self.feedback(event_id, "reward", value)

    def person(self, person: str) -> dict[str, Any]:
        """What is known and believed of a person."""
        return self.ask("GET", f"/v1/people/{quote(person, safe='')}")

    def erase(self, person: str) -> int:
        """Forget a person; how many entries of the log are gone."""
        return self.ask("DELETE", f"/v1/people/{quote(person, safe='')}")["erased"]

    def report(self) -> dict[str, Any]:
        """What each model would have earned on the log."""
        return self.ask("GET", "/v1/report")

    def put_study(self, name: str, study: Mapping[str, Any]) -> None:
        """A study that people are asked about on `/ask#NAME`: its `question`, its `options`
        [{"id", "text", "features"}] and what else `/openapi.json` tells of a Study."""
        self.ask("PUT", f"/v1/studies/{quote(name, safe='')}", dict(study))

    def study(self, name: str) -> dict[str, Any]:
        """A study and what its answers made believed."""
        return self.ask("GET", f"/v1/studies/{quote(name, safe='')}")

    def models(self) -> dict[str, Any]:
        """The models, live and shadows."""
        return self.ask("GET", "/v1/models")

    def ask(self, method: str, path: str, document: Any = None) -> Any:
        """The document that is answered to a request."""
        body = None if document is None else json.dumps(document).encode()
        pause, trouble = _FIRST_PAUSE, ""
        for attempt in range(self._attempts):
            if attempt:
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                self._connection.request(method, self._base + path, body, self._headers)
                answer = self._connection.getresponse()
                status, content = answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                trouble = f"{type(error).__name__}: {error}"
                continue
            if status < 400:
                return json.loads(content)
            trouble = _told(content)
            if status in (401, 403):
                raise ConfigError(f"the service takes no such request of this key: {trouble}")
            if status not in (429, 503):
                raise DataError(f"the service refused {method} {path} ({status}): {trouble}")
        raise ConnectionError(
            f"{self._url} gave no answer in {self._attempts} attempts ({trouble}); expected a "
            "service there. Send the same event_id again once there is one: nothing counts twice."
        )

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


def _told(content: bytes) -> str:
    try:
        return str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        return content[:200].decode("latin-1")
