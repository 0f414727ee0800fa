"""The pages that people look at: `/ask` and `/console`, whole documents that load nothing else.

A page holds no data. What it shows it asks the service for, with a key that whoever looks at it
has pasted and that stays in the memory of that tab.
"""

import base64
import functools
import hashlib
import re
from dataclasses import dataclass

PAGES = {"/ask": "ask.html", "/console": "console.html"}
_PARTS = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Page:
    """A document and the headers it is sent with."""

    body: bytes
    headers: dict[str, str]


@functools.cache
def rendered(path: str) -> Page:
    """The page at a path of `PAGES`.

    Its policy lets a browser run and draw nothing but the very scripts and styles of the page,
    known by their digests, and talk to nobody but the service (Content Security Policy 3): an
    option's name that holds markup stays a name.
    """
    from penchant.evaluation.report import environment

    text = environment().get_template(PAGES[path]).render()
    digests: dict[str, list[str]] = {"style": [], "script": []}
    for kind, content in _PARTS.findall(text):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        digests[kind].append(f"'sha256-{digest}'")
    policy = (
        f"default-src 'none'; style-src {' '.join(digests['style'])}; "
        f"script-src {' '.join(digests['script'])}; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "content-security-policy": policy, "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer", "cache-control": "no-store",
        "cross-origin-opener-policy": "same-origin",
    }  # fmt: skip
    return Page(text.encode(), headers)
