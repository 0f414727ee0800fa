"""New tokens drawn by a server that speaks OpenAI's form: tokens in, tokens and their
log-probabilities out, nothing made into text on the way.

Legend: B rows, N new tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import sleep as wait
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np

from penchant.errors import ConfigError, EndpointError
from penchant.lm.folder import save_language_model
from penchant.lm.language_model import LanguageModel
from penchant.lm.remote import Endpoint, asked
from penchant.lm.sample import SampleConfig, Sampled
from penchant.lm.tokens import fingerprint


@dataclass(kw_only=True, eq=False)
class ServerSampler:
    """Draws for a model whose tokens the server has too. Implements `sample.Sampler`.

    weights: a folder that the server sees as well: whenever the model's numbers have changed they
    are written there and the server is asked to load them (POST /update_weights_from_disk, as
    SGLang takes it). Without it the server keeps what it has, and its answers are those of another
    policy. version: of its weights, counted up as they are loaded; where the server says its own
    `weight_version`, that is taken. heeds_sampling: whether its log-probabilities are of what
    was drawn from; where they are of the bare logits (vLLM, unless told otherwise) only temperature
    1 with nothing cut off can be used.
    """

    endpoint: Endpoint
    weights: Path | None = None
    version: int = 0
    heeds_sampling: bool = False
    sleep: Callable[[float], None] = wait
    _loaded: str = field(default="", init=False)

    @property
    def follows(self) -> bool:
        """Whether it draws from the model as it is now."""
        return self.weights is not None

    def __call__(
        self,
        model: LanguageModel,
        prompts: Sequence[Sequence[int]],
        config: SampleConfig,
        generator: Any,
        copies: int | Sequence[int],
    ) -> Sampled:
        """`copies` continuations of each row, side by side; seeds are drawn from torch's
        `generator`.

        Raises `ConfigError` for sampling that the server's numbers may not heed,
        `EndpointError` where an answer lacks token ids, log-probabilities or its end token.
        """
        import torch

        is_bare = config.temperature == 1.0 and config.top_k is None and config.top_p == 1.0
        if not (is_bare or self.heeds_sampling):
            raise ConfigError(
                f"got temperature={config.temperature:g}, top_k={config.top_k}, "
                f"top_p={config.top_p:g} with a server whose log-probabilities may be of the bare "
                "logits; expected temperature 1 and nothing cut off. Start it so that they are of "
                "what it draws from (vLLM: --logprobs-mode processed_logprobs) and say "
                "heeds_sampling=True."
            )
        self._bring(model)
        often = np.broadcast_to(copies, len(prompts)).tolist()
        device = next(iter(model.parameters.values())).device
        seeds = torch.randint(2**31 - 1, (len(prompts),), generator=generator, device=device)
        documents = [
            self._document(ids, config, num, seed)
            for ids, num, seed in zip(prompts, often, seeds.tolist(), strict=True)
        ]
        with ThreadPoolExecutor(self.endpoint.parallel) as workers:
            answers = list(workers.map(self._ask, documents))
        drawn = [
            _drawn(said, document, model.tokenizer.end, self.endpoint.url)
            for said, document in zip(answers, documents)
        ]
        versions = [_version(said, self.version) for said in answers]
        like = next(iter(model.parameters.values()))
        return _together(
            [one for rows in drawn for one in rows], np.repeat(versions, often),
            model.tokenizer.pad, model.tokenizer.end, like,
        )  # fmt: skip

    def _bring(self, model: LanguageModel) -> None:
        """Let the server load the model's numbers, where they are others than it has."""
        if self.weights is None:
            return
        mark = fingerprint([], model.parameters)
        if mark == self._loaded:
            return
        version = self.version + 1 if self._loaded else self.version
        folder = self.weights / str(version)
        save_language_model(model, folder)
        parts = urlsplit(self.endpoint.url)
        root = replace(self.endpoint, url=urlunsplit((parts.scheme, parts.netloc, "", "", "")))
        said = asked(
            root, "update_weights_from_disk",
            {"model_path": str(folder.resolve()), "weight_version": str(version)}, self.sleep,
        )  # fmt: skip
        if not (isinstance(said, dict) and said.get("success", False)):
            raise EndpointError(
                f"{root.url} did not load the weights in {folder}: {str(said)[:200]}. Expected "
                "success; does the server see that folder?"
            )
        self._loaded, self.version = mark, version

    def _document(
        self, ids: Sequence[int], config: SampleConfig, num: int, seed: int
    ) -> dict[str, Any]:
        return {
            "model": self.endpoint.model, "prompt": list(ids), "n": num, "seed": seed,
            "max_tokens": config.most_tokens, "temperature": config.temperature,
            "top_p": config.top_p, "logprobs": 1, "return_token_ids": True,
        } | ({} if config.top_k is None else {"top_k": config.top_k})  # fmt: skip

    def _ask(self, document: dict[str, Any]) -> Any:
        return asked(self.endpoint, "completions", document, self.sleep)


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    ids: list[int]
    log_prob: list[float]


def _drawn(said: Any, document: Mapping[str, Any], end: int | None, url: str) -> list[_Drawn]:
    """The continuations of one row, whole or refused."""
    choices = said.get("choices") if isinstance(said, dict) else None
    if not isinstance(choices, list) or len(choices) != document["n"]:
        raise EndpointError(
            f"{url} answered {str(said)[:200]!r}; expected {document['n']} choices. Is it a server "
            "of completions (not of chat)?"
        )
    found = [_choice(each, document, end, url) for each in choices]
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def _choice(
    said: Mapping[str, Any], document: Mapping[str, Any], end: int | None, url: str
) -> tuple[int, _Drawn]:
    # As JSON gave them: anything at all.
    ids: Any = said.get("token_ids")
    log_prob: Any = (said.get("logprobs") or {}).get("token_logprobs")
    missing = [name for name, values in (("token_ids", ids), ("logprobs.token_logprobs", log_prob))
               if not isinstance(values, list)]  # fmt: skip
    if missing:
        raise EndpointError(
            f"{url} answered without {' and '.join(missing)}; expected the tokens that were drawn "
            "and the log-probability of each: a text made into tokens again need not be the same "
            'ones. Use a server that knows "return_token_ids" and "logprobs", such as vLLM.'
        )
    read = said.get("prompt_token_ids", document["prompt"])
    if read is not None and list(read) != document["prompt"]:
        raise EndpointError(
            f"{url} read {len(read)} tokens of a prompt of {len(document['prompt'])}, or other "
            "ones; expected those that were sent. Does it add a begin token, or cut?"
        )
    if len(ids) != len(log_prob) or not 0 < len(ids) <= document["max_tokens"]:
        raise EndpointError(
            f"{url} answered {len(ids)} token_ids with {len(log_prob)} log-probabilities; expected "
            f"as many of each, from 1 to {document['max_tokens']}."
        )
    numbers = np.array([np.nan if each is None else each for each in log_prob], np.float64)
    if not (np.isfinite(numbers) & (numbers <= 1e-6)).all():
        raise EndpointError(
            f"{url} answered log-probabilities that are missing, no numbers or above 0; expected "
            "one of every token that was drawn, up to 0."
        )
    if said.get("finish_reason") == "stop" and end is not None and ids[-1] != end:
        raise EndpointError(
            f"{url} stopped an answer at token {ids[-1]}, not at the model's end token {end}; "
            "expected token_ids with the end token that was drawn, which is learnt too. Has the "
            "server another model, or stop words of its own?"
        )
    return int(said.get("index", 0)), _Drawn(
        ids=[int(each) for each in ids], log_prob=numbers.tolist()
    )


def _version(said: Mapping[str, Any], known: int) -> int:
    """What the server says of its weights, else what is known of them."""
    told = said.get("weight_version", (said.get("metadata") or {}).get("weight_version"))
    try:
        return known if told is None else int(told)
    except ValueError:  # a name that nobody gave
        return known


def _together(
    drawn: Sequence[_Drawn], version: Any, pad: int, end: int | None, like: Any
) -> Sampled:
    import torch

    width = max(len(one.ids) for one in drawn)
    ids = np.full((len(drawn), width), pad)
    log_prob, is_text = np.zeros(ids.shape), np.zeros(ids.shape, dtype=bool)
    for row, one in enumerate(drawn):
        size = len(one.ids)
        ids[row, :size], log_prob[row, :size], is_text[row, :size] = one.ids, one.log_prob, True
    has_ended = np.array([one.ids[-1] == end for one in drawn])
    told = like.new_tensor(log_prob)
    return Sampled(
        ids=torch.from_numpy(ids).to(like.device), log_prob=told,
        # A server does not say how sure it was.
        entropy=torch.full_like(told, torch.nan),
        is_text=torch.from_numpy(is_text).to(like.device),
        has_ended=torch.from_numpy(has_ended).to(like.device), version=version,
    )  # fmt: skip
