"""Models behind an address: servers that speak OpenAI's form, hosted or one's own.

Legend: N texts, E dimensions.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError, EndpointError
from penchant.numerics.arrays import Array

# Busy or briefly gone; anything else would be answered the same again.
_PASSING = (408, 409, 425, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 60.0
_OURSELVES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """url: up to and with the version, such as http://localhost:8000/v1. model: its name there.
    key_variable: the environment variable that holds the key; None sends none, unless
    OPENAI_BASE_URL is this very address (then OPENAI_API_KEY). It is not saved with a model, so
    that a folder from elsewhere cannot name a key and where to send it. batch_size: texts in one
    request; parallel: requests at a time. timeout: seconds for each; retries: further tries where
    the server is busy or gone, the waits doubling from `wait` seconds, or as long as it says."""

    url: str
    model: str
    key_variable: str | None = field(default=None, metadata={"travels": False})
    batch_size: int = 64
    parallel: int = 4
    timeout: float = 60.0
    retries: int = 5
    wait: float = 1.0

    def __post_init__(self) -> None:
        parts = _address(self.url)
        if parts.username is not None or parts.password is not None:
            # Not repeated: the address is saved with a model, and shown.
            raise ConfigError(
                f"got an address of {parts.hostname} with a name or password in it; expected one "
                "without. Put the key into the environment (OPENAI_API_KEY)."
            )
        if min(self.batch_size, self.parallel, self.retries + 1) < 1 or not self.timeout > 0:
            raise ConfigError(
                f"got batch_size={self.batch_size}, parallel={self.parallel}, "
                f"retries={self.retries}, timeout={self.timeout:g}; expected one or more, one or "
                "more, zero or more, and seconds above 0."
            )

    def headers(self) -> dict[str, str]:
        """With the key, where there is one. Raises `ConfigError` for a key that others would read
        on the way."""
        said = {"Content-Type": "application/json"}
        name = self.key_variable
        if name is None and os.environ.get("OPENAI_BASE_URL", "").rstrip("/") == self.url.rstrip(
            "/"
        ):
            name = "OPENAI_API_KEY"
        # Keys read from files end with a line.
        key = os.environ.get(name, "").strip() if name else ""
        if not key:
            return said
        if not (key.isascii() and key.isprintable()):
            raise ConfigError(
                f"{name} holds characters that no key has (line ends, letters beyond ASCII); "
                "expected one line of plain characters. Set it again."
            )
        parts = urlsplit(self.url)
        if parts.scheme == "http" and parts.hostname not in _OURSELVES:
            raise ConfigError(
                f"{name} would be sent to {self.url} for all to read; expected "
                "https, or a server on this machine. Unset the variable where no key is needed."
            )
        return {**said, "Authorization": f"Bearer {key}"}


def embeddings(
    endpoint: Endpoint, texts: Sequence[str], sleep: Callable[[float], None] = time.sleep
) -> Float[Array, "N E"]:
    """The server's numbers for each text, float32, in their order.

    An empty text goes as one space: servers refuse nothing at all. Raises `EndpointError` where
    the server cannot be reached, refuses, or answers something else.
    """
    size = endpoint.batch_size
    parts = [texts[start : start + size] for start in range(0, len(texts), size)]
    with ThreadPoolExecutor(endpoint.parallel) as workers:
        found = list(workers.map(lambda part: _embedded(endpoint, part, sleep), parts))
    widths = {part.shape[1] for part in found}
    if len(widths) > 1:
        raise EndpointError(
            f"{endpoint.url} gave embeddings of {sorted(widths)} numbers; expected one length. Did "
            "the model behind the name change?"
        )
    return np.concatenate(found) if found else np.zeros((0, 0), dtype=np.float32)


def asked(
    endpoint: Endpoint, path: str, document: dict[str, Any], sleep: Callable[[float], None]
) -> Any:
    """The answer to a POST as JSON, tried again where the trouble may pass.

    No redirection is followed, and no proxy asked for this machine's own servers: the key is for
    this server. Raises `EndpointError`.
    """
    is_ours = urlsplit(endpoint.url).hostname in _OURSELVES
    opener = build_opener(_NoRedirect, *([ProxyHandler({})] if is_ours else []))
    request = Request(
        f"{endpoint.url.rstrip('/')}/{path}", data=json.dumps(document).encode(),
        headers=endpoint.headers(),
    )  # fmt: skip
    trouble = ""
    for trial in range(endpoint.retries + 1):
        hint = None
        try:
            with opener.open(request, timeout=endpoint.timeout) as answer:
                return json.loads(answer.read())
        except HTTPError as error:
            trouble, hint = _said(error), error.headers.get("Retry-After")
            if error.code not in _PASSING:
                raise EndpointError(
                    f"{endpoint.url} refused {path} for model {endpoint.model!r}: {trouble}. "
                    "Expected an answer; look at the address, the model's name and the key (in the "
                    "environment as OPENAI_API_KEY, OPENAI_BASE_URL being this address)."
                ) from error
        except (URLError, TimeoutError, ConnectionError, HTTPException, ValueError) as error:
            # An answer that breaks off or is no HTTP may be whole the next time.
            trouble = str(error) or type(error).__name__
        if trial < endpoint.retries:
            sleep(_pause(endpoint.wait, trial, hint))
    raise EndpointError(
        f"{endpoint.url} gave no answer to {path} in {endpoint.retries + 1} tries of "
        f"{endpoint.timeout:g} s: {trouble}. Is the server up? What was answered before is kept "
        "where there is a cache; run again to go on."
    )


def _embedded(
    endpoint: Endpoint, texts: Sequence[str], sleep: Callable[[float], None]
) -> Float[Array, "N E"]:
    document = {
        "model": endpoint.model, "input": [text or " " for text in texts],
        "encoding_format": "float",
    }  # fmt: skip
    said = asked(endpoint, "embeddings", document, sleep)
    try:
        numbered = {int(each["index"]): each["embedding"] for each in said["data"]}
        widths = {len(each) for each in numbered.values()}
        if set(numbered) != set(range(len(texts))) or len(widths) != 1 or 0 in widths:
            raise EndpointError(
                f"{endpoint.url} answered {len(numbered)} embeddings of {sorted(widths)} numbers "
                f"for {len(texts)} texts; expected one for each text, all of one length."
            )
        found = np.array([numbered[place] for place in range(len(texts))], dtype=np.float32)
        is_whole = found.ndim == 2 and np.isfinite(found).all()
    except (KeyError, TypeError, ValueError) as error:
        raise EndpointError(
            f"{endpoint.url} answered {str(said)[:200]!r}; expected `data`, a list with an index "
            "and an embedding for each text. Is it a server of embeddings?"
        ) from error
    if not is_whole:
        raise EndpointError(
            f"{endpoint.url} answered numbers that are not finite, or lists of lists; expected a "
            "line of numbers for each text."
        )
    return found


def _address(url: str) -> SplitResult:
    """The parts of a server's address. Raises `ConfigError` where it is none."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half a bracket
        is_one = False
    if not is_one or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise ConfigError(
            f"got the address {url!r}; expected one of a server, up to and with the version, such "
            "as http://localhost:8000/v1."
        )
    return parts


def _pause(wait: float, trial: int, hint: str | None) -> float:
    try:
        told = float(hint) if hint else 0.0
    except ValueError:  # a date
        told = 0.0
    return float(min(max(wait * 2.0**trial, told), _LONGEST_WAIT))


def _said(error: HTTPError) -> str:
    body = error.read(500).decode(errors="replace").strip()
    return f"{error.code} {error.reason}" + (f" ({body})" if body else "")


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None
