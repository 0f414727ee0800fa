"""What a model makes of texts: one state each, read in order of length and put back in theirs.

Legend: N texts, H numbers of a state.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from penchant.lm.language_model import LanguageModel, Parameters
from penchant.lm.templates import answer_ids
from penchant.lm.tokens import cut, last_states, mean_states, padded
from penchant.numerics.arrays import Array


def text_rows(
    model: LanguageModel, prompts: Sequence[str], texts: Sequence[str]
) -> tuple[list[list[int]], Bool[Array, " N"]]:
    """The tokens of each text after its prompt, and whether the window was too short: the beginning
    is then left out, since the answer stands at the end."""
    whole = [answer_ids(model.tokenizer, p, t) for p, t in zip(prompts, texts, strict=True)]
    kept = [cut(ids, model.network.window) for ids in whole]
    return [ids for ids, _ in kept], np.array([is_cut for _, is_cut in kept], dtype=bool)


def read_states(
    model: LanguageModel, rows: Sequence[Sequence[int]], at_once: int = 64
) -> Float[Array, "N H"]:
    """The state of each row of tokens, in torch, with nothing kept for a way back."""
    import torch

    order = np.argsort([len(row) for row in rows], kind="stable")
    found = []
    with torch.no_grad():
        for start in range(0, len(order), at_once):
            mine = [rows[place] for place in order[start : start + at_once]]
            found.append(text_states(model, model.parameters, mine))
    back = torch.from_numpy(np.argsort(order))
    return torch.cat(found)[back] if found else torch.zeros((0, model.network.width))


def text_states(
    model: LanguageModel, parameters: Parameters, rows: Sequence[Sequence[int]]
) -> Float[Array, "N H"]:
    """At each row's last token, which has seen all; of a model that reads both ways the mean. With
    these parameters; autograd goes through."""
    device = next(iter(parameters.values())).device
    tokens = padded(rows, model.tokenizer.pad).to(device)
    states = model.network.read(parameters, tokens).states
    pool = last_states if model.network.is_causal else mean_states
    return pool(states, tokens.is_text)
