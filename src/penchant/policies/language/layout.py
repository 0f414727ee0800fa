"""How rows are laid out to be read: each for itself, or what they begin with once for all.

Rollouts of one prompt begin alike. "shared" reads a prompt once and lets each response go on from
what was remembered: P + G R tokens in place of G (P + R), with the same numbers and gradients
(Prefix Grouper, 2025). Logits are made where the policy wrote a token, nowhere else.

Legend: B rows, T1 tokens after those before them, H numbers of a state, N tokens that were drawn.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.lm.language_model import LanguageModel
from penchant.lm.log_probs import selected
from penchant.lm.tokens import Tokens
from penchant.numerics.arrays import Array
from penchant.policies.language.rollouts import Rollouts

Layout = Literal["padded", "shared"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """What a model says of the tokens that were drawn, in the order of their rows. states: from
    which each was foretold, in the last layer; log_prob, entropy: of it there."""

    states: Float[Array, "N H"]
    log_prob: Float[Array, " N"]
    entropy: Float[Array, " N"]

    def placed(self, values: Float[Array, " N"], rollouts: Rollouts) -> Float[Array, "B T1"]:
        """Where the tokens stand, 0 elsewhere; autograd goes through."""
        where = _told(rollouts.is_drawn, values)
        return values.new_zeros(where.shape).masked_scatter(where, values)


def read_drawn(
    model: LanguageModel,
    rollouts: Rollouts,
    *,
    temperature: float = 1.0,
    layout: Layout = "shared",
    has_entropy: bool = False,
) -> Drawn:
    """States and log-probabilities of the drawn tokens; autograd goes through."""
    read = _shared_states if layout == "shared" else _padded_states
    states = read(model, rollouts)
    where = _told(rollouts.is_drawn, states)
    log_prob, entropy = selected(
        model.network, model.parameters, states, rollouts.tokens.ids[:, 1:][where],
        temperature=temperature, has_entropy=has_entropy,
    )  # fmt: skip
    return Drawn(states=states, log_prob=log_prob, entropy=entropy)


def check_shared(model: LanguageModel, rollouts: Rollouts, tolerance: float = 1e-4) -> None:
    """Whether this model gives the same loss and gradient in both layouts, tried on some rows.

    Raises `ConfigError` where they are apart by more than `tolerance` of their size: a model that
    counts places or masks in a way of its own.
    """
    import torch

    # Any weights do, as long as they differ from token to token.
    weight = torch.linspace(0.5, 1.5, int(rollouts.is_drawn.sum()))
    found = []
    for layout in ("padded", "shared"):
        leaves = {n: v.detach().clone().requires_grad_() for n, v in model.parameters.items()}
        said = read_drawn(model.with_parameters(leaves), rollouts, layout=layout).log_prob
        loss = (said * weight.to(said)).mean()
        gradient = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        found.append((said.detach(), [g for g in gradient if g is not None]))
    (dense, dense_gradient), (shared, shared_gradient) = found
    most = max(float(g.abs().max()) for g in dense_gradient)
    off = max(float((a - b).abs().max()) for a, b in zip(dense_gradient, shared_gradient))
    of_loss = float((dense - shared).abs().max()) / max(float(dense.abs().max()), 1.0)
    if not (of_loss <= tolerance and off <= tolerance * most):
        raise ConfigError(
            f"{model.name!r} reads a prompt otherwise when it is shared: log-probabilities are off "
            f"by up to {of_loss:.2g}, gradients by {off / most:.2g} of their size; expected "
            f'{tolerance:g} or less. Give layout="padded", which reads every row for itself.'
        )


def groups_within(
    prompt_of: Int[Array, " C"],
    start: Int[Array, " C"],
    length: Int[Array, " C"],
    budget: int,
) -> list[Int[Array, " _"]]:
    """Places of rows in parts of about so many tokens: whole groups, long beside long.

    A part costs its prompts once and its rows' widest response for each; a group that alone
    exceeds the budget is cut into rows that do not, one at the least.
    """
    order = np.lexsort((prompt_of, -length))
    first = {int(p): at for at, p in reversed(list(enumerate(prompt_of[order])))}
    order = order[np.argsort([first[int(p)] for p in prompt_of[order]], kind="stable")]
    parts: list[list[int]] = []
    width = prompts = longest = 0
    known: set[int] = set()
    for row in order.tolist():
        is_new = int(prompt_of[row]) not in known
        prompts_then = max(prompts, int(start[row]))
        width_then = max(width, int(length[row]))
        size = (len(known) + is_new) * prompts_then + (longest + 1) * width_then
        if not parts or size > budget:
            parts.append([])
            known, longest = set(), 0
            prompts_then, width_then = int(start[row]), int(length[row])
        parts[-1].append(row)
        known.add(int(prompt_of[row]))
        prompts, width, longest = prompts_then, width_then, longest + 1
    return [np.array(part) for part in parts]


def _padded_states(model: LanguageModel, rollouts: Rollouts) -> Float[Array, "N H"]:
    # The last token of a row foretells nothing.
    tokens = rollouts.tokens
    seen = Tokens(ids=tokens.ids[:, :-1], is_text=tokens.is_text[:, :-1])
    states = model.network.read(model.parameters, seen).states
    return states[_told(rollouts.is_drawn, states)]


def _shared_states(model: LanguageModel, rollouts: Rollouts) -> Float[Array, "N H"]:
    import torch

    ids, is_text = rollouts.tokens.ids, rollouts.tokens.is_text
    _, heads, group = np.unique(rollouts.prompt_of, return_index=True, return_inverse=True)
    starts = rollouts.start[heads]
    size = int(starts.max())
    length = torch.from_numpy(starts).to(ids.device)
    there = torch.arange(size, device=ids.device)[None, :] < length[:, None]
    begun = model.network.read(
        model.parameters, Tokens(ids=torch.where(there, ids[heads, :size], 0), is_text=there),
        remembers=True,
    )  # fmt: skip
    of_row = torch.from_numpy(group).to(ids.device)
    last = begun.states[torch.arange(len(heads), device=ids.device), length - 1][of_row]
    # What comes after the prompt, each row from its own start on; its last token is not read.
    own = int((is_text.sum(dim=1).cpu().numpy() - rollouts.start).max())
    states = last[:, None]
    if own > 1:
        place = torch.arange(own - 1, device=ids.device)[None, :] + length[of_row][:, None]
        inside = place < ids.shape[1]
        place = place.clamp(max=ids.shape[1] - 1)
        real = is_text.gather(1, place) & inside
        after = model.network.read(
            model.parameters,
            Tokens(ids=ids.gather(1, place), is_text=torch.cat([there[of_row], real], dim=1)),
            model.network.memory_of(begun.memory, of_row),
        )  # fmt: skip
        states = torch.cat([states, after.states], dim=1)
    at = np.arange(own)[None, :] + rollouts.start[:, None] - 1
    width = rollouts.is_drawn.shape[1]
    drawn = np.take_along_axis(rollouts.is_drawn, np.minimum(at, width - 1), axis=1) & (at < width)
    return states[torch.from_numpy(drawn).to(ids.device)]


def _told(is_drawn: Bool[Array, "B T1"], like: Array) -> Any:
    import torch

    return torch.from_numpy(is_drawn).to(like.device)
