"""How rows are laid out to be read: each for itself, or what they begin with once for all.

Rollouts of one prompt begin alike. "shared" reads a prompt once and lets each response go on from
what was remembered: P + G R tokens in place of G (P + R), with the same numbers and gradients
(Prefix Grouper, 2025). "packed" does so too and puts all of a part side by side, so that rows of
different lengths cost their own tokens and no padding. Logits are made where the policy wrote a
token, nowhere else.

Legend: B rows, T1 tokens after those before them, H numbers of a state, N tokens that were drawn.
"""

import logging
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.lm.language_model import LanguageModel
from penchant.lm.log_probs import selected
from penchant.lm.packing import Packed, Packs
from penchant.lm.tokens import Tokens
from penchant.numerics.arrays import Array

Layout = Literal["padded", "shared", "packed"]

_LOG = logging.getLogger(__name__)


@runtime_checkable
class Begun(Protocol):
    """Rows of tokens, padded on the right, in which a policy wrote some: `Rollouts` and `Answers`.
    is_drawn: whether token t + 1 is the policy's; start: tokens of the prompt, one at the least;
    prompt_of: rows of one begin with the same tokens."""

    @property
    def tokens(self) -> Tokens: ...
    @property
    def is_drawn(self) -> Bool[Array, "B T1"]: ...
    @property
    def start(self) -> Int[Array, " B"]: ...
    @property
    def prompt_of(self) -> Int[Array, " B"]: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """What a model says of the tokens that were drawn, in the order of their rows. states: from
    which each was foretold, in the last layer; log_prob, entropy: of it there."""

    states: Float[Array, "N H"]
    log_prob: Float[Array, " N"]
    entropy: Float[Array, " N"]

    def placed(self, values: Float[Array, " N"], rows: Begun) -> Float[Array, "B T1"]:
        """Where the tokens stand, 0 elsewhere; autograd goes through."""
        where = _told(rows.is_drawn, values)
        return values.new_zeros(where.shape).masked_scatter(where, values)


def check_reading(layout: str, tokens_at_once: int | None = None) -> None:
    """Raises `ConfigError` for a layout that there is not, or no token at once."""
    if layout not in get_args(Layout):
        raise ConfigError(f"got layout={layout!r}; expected one of {', '.join(get_args(Layout))}.")
    if tokens_at_once is not None and tokens_at_once < 1:
        raise ConfigError(f"got tokens_at_once={tokens_at_once}; expected 1 or more, or None.")


def read_drawn(
    model: LanguageModel,
    rows: Begun,
    *,
    temperature: float = 1.0,
    layout: Layout = "shared",
    has_entropy: bool = False,
) -> Drawn:
    """States and log-probabilities of the drawn tokens; autograd goes through."""
    read = {"padded": _padded_states, "shared": _shared_states, "packed": _packed_states}[layout]
    states = read(model, rows)
    where = _told(rows.is_drawn, states)
    log_prob, entropy = selected(
        model.network, model.parameters, states, rows.tokens.ids[:, 1:][where],
        temperature=temperature, has_entropy=has_entropy,
    )  # fmt: skip
    return Drawn(states=states, log_prob=log_prob, entropy=entropy)


def settled(
    model: LanguageModel, rows: Begun, layout: Layout, tolerance: float | None = None
) -> Layout:
    """The layout, once this model is seen to give the same loss and gradient in it as where every
    row is read for itself, tried on these rows; "padded", with a warning, where it cannot pack.

    Raises `ConfigError` where they are apart by more than `tolerance` of their size (1e-4; of
    parameters in half precision what these resolve): a model that counts places or masks in a way
    of its own.
    """
    import torch

    if layout == "packed" and (why := _why_unpacked(model)) is not None:
        _LOG.warning("%r is read row by row, padded, and not packed: %s.", model.name, why)
        return "padded"
    if layout == "padded":
        return layout
    kind = next(iter(model.parameters.values())).dtype
    tolerance = max(1e-4, 16.0 * torch.finfo(kind).eps) if tolerance is None else tolerance
    # Any weights do, as long as they differ from token to token.
    weight = torch.linspace(0.5, 1.5, int(rows.is_drawn.sum()))
    found = []
    tried: tuple[Layout, ...] = (layout, "padded")
    for each in tried:
        leaves = {n: v.detach().clone().requires_grad_() for n, v in model.parameters.items()}
        said = read_drawn(model.with_parameters(leaves), rows, layout=each).log_prob
        loss = (said * weight.to(said)).mean()
        gradient = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
        found.append((said.detach(), [g for g in gradient if g is not None]))
    (other, other_gradient), (dense, dense_gradient) = found
    most = max(float(g.abs().max()) for g in dense_gradient)
    off = max(float((a - b).abs().max()) for a, b in zip(dense_gradient, other_gradient))
    of_loss = float((dense - other).abs().max()) / max(float(dense.abs().max()), 1.0)
    if not (of_loss <= tolerance and off <= tolerance * most):
        raise ConfigError(
            f"{model.name!r} reads otherwise where the layout is {layout}: log-probabilities are "
            f"off by up to {of_loss:.2g}, gradients by {off / most:.2g} of their size; expected "
            f'{tolerance:g} or less. Give layout="padded", which reads every row for itself.'
        )
    return layout


def groups_within(
    prompt_of: Int[Array, " C"],
    start: Int[Array, " C"],
    length: Int[Array, " C"],
    budget: int,
    layout: Layout = "shared",
) -> list[Int[Array, " _"]]:
    """Places of rows in parts of about so many tokens: whole groups, long beside long.

    A part costs its prompts once and its rows' widest response for each (packed: its tokens, what
    responses share counted for each; padded: its widest row for each); a group that alone exceeds
    the budget is cut into rows that do not, one at the least.
    """
    order = np.lexsort((prompt_of, -length))
    first = {int(p): at for at, p in reversed(list(enumerate(prompt_of[order])))}
    order = order[np.argsort([first[int(p)] for p in prompt_of[order]], kind="stable")]
    parts: list[list[int]] = []
    cost = _Cost(layout)
    for row in order.tolist():
        then = cost.with_row(int(prompt_of[row]), int(start[row]), int(length[row]))
        if not parts or then.tokens > budget:
            parts.append([])
            then = _Cost(layout).with_row(int(prompt_of[row]), int(start[row]), int(length[row]))
        parts[-1].append(row)
        cost = then
    return [np.array(part) for part in parts]


@dataclass(frozen=True)
class _Cost:
    """Of a part that grows by rows, those of a prompt side by side. real: tokens, prompts once;
    prompt, response, whole: the widest."""

    layout: Layout
    rows: int = 0
    prompts: int = 0
    last: int = -1
    real: int = 0
    prompt: int = 0
    response: int = 0
    whole: int = 0

    @property
    def tokens(self) -> int:
        if self.layout == "packed":
            return self.real
        if self.layout == "padded":
            return self.rows * self.whole
        return self.prompts * self.prompt + self.rows * self.response

    def with_row(self, of: int, start: int, length: int) -> "_Cost":
        is_new = of != self.last
        return _Cost(
            layout=self.layout, rows=self.rows + 1, prompts=self.prompts + is_new, last=of,
            real=self.real + length + is_new * start, prompt=max(self.prompt, start),
            response=max(self.response, length), whole=max(self.whole, start + length),
        )  # fmt: skip


def _padded_states(model: LanguageModel, rows: Begun) -> Float[Array, "N H"]:
    # The last token of a row foretells nothing.
    tokens = rows.tokens
    seen = Tokens(ids=tokens.ids[:, :-1], is_text=tokens.is_text[:, :-1])
    states = model.network.read(model.parameters, seen).states
    return states[_told(rows.is_drawn, states)]


def _packed_states(model: LanguageModel, rows: Begun) -> Float[Array, "N H"]:
    import torch

    if not isinstance(model.network, Packs):
        raise ConfigError(
            f'got layout="packed" for {model.name!r}, but {_why_unpacked(model)}. Give '
            'layout="padded", which reads every row for itself.'
        )
    packed, at = packed_rows(rows)
    states = model.network.read_packed(model.parameters, packed)
    return states[torch.from_numpy(at).to(states.device)]


def packed_rows(rows: Begun) -> tuple[Packed, Int[Array, " N"]]:
    """The rows as segments, up to what their last drawn token is foretold from: of rows that begin
    alike the prompt once, pieces that several go on from once too (the ways of a tree), then each
    one's own part. And where each drawn token's state stands."""
    import torch

    width = rows.is_drawn.shape[1]
    end = width - np.argmax(rows.is_drawn[:, ::-1], axis=1)
    end = np.where(rows.is_drawn.any(axis=1), end, rows.start)
    laid = _Laid(ids=rows.tokens.ids.cpu().numpy(), end=end)
    order = np.argsort(rows.prompt_of, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(rows.prompt_of[order])) + 1):
        # One alone is one segment.
        start = int(rows.start[group[0]]) if len(group) > 1 else int(end[group[0]])
        laid.lay(group, 0, start, -1)
    row_of, first, sizes, after = np.array(laid.segments).T
    column = np.arange(laid.total) - np.repeat(np.cumsum(sizes) - sizes - first, sizes)
    ids = rows.tokens.ids
    place = torch.from_numpy(np.repeat(row_of, sizes) * ids.shape[1] + column).to(ids.device)
    return Packed(ids=ids.reshape(-1)[place], sizes=sizes, after=after), laid.at[
        np.nonzero(rows.is_drawn)
    ]


# Tokens that rows must have in common beyond their prompt to be laid once, or all that they have
# left. Of pieces of 8 that six rows share a quarter of reading and its gradient is saved, of 16 a
# third (a decoder of 4 layers of 128); shorter ones are met by chance, by two rows, and each is an
# attention of its own.
_LEAST_SHARED = 8


class _Laid:
    """Segments while they are laid: of each its row, the place where it begins there, its tokens
    and the segment that it goes on from. at: where the token of a row stands among all."""

    def __init__(self, ids: Int[Array, "B T"], end: Int[Array, " B"]) -> None:
        self.ids, self.end = ids, end
        self.at = np.full(ids.shape, -1)
        self.segments: list[tuple[int, int, int, int]] = []
        self.total = 0

    def lay(self, rows: Int[Array, " C"], first: int, size: int, after: int) -> None:
        """So many tokens that these rows have in common, and what comes after in each."""
        if size:
            self.at[rows, first : first + size] = self.total + np.arange(size)
            self.segments.append((int(rows[0]), first, size, after))
            self.total, after = self.total + size, len(self.segments) - 1
        here = first + size
        alike: dict[bytes, list[int]] = {}
        for row in rows[self.end[rows] > here].tolist():
            begun = self.ids[row, here : min(here + _LEAST_SHARED, self.end[row])]
            alike.setdefault(begun.tobytes(), []).append(row)
        for same in map(np.array, alike.values()):
            rest = self.ids[same, here : self.end[same].min()]
            differs = (rest != rest[0]).any(axis=0)
            num = int(differs.argmax()) if differs.any() else len(differs)
            self.lay(same, here, num, after)


def _shared_states(model: LanguageModel, rollouts: Begun) -> Float[Array, "N H"]:
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


def _why_unpacked(model: LanguageModel) -> str | None:
    if isinstance(model.network, Packs):
        return model.network.why_unpacked()
    return f"{type(model.network).__name__} has no `read_packed`"


def _told(is_drawn: Bool[Array, "B T1"], like: Array) -> Any:
    import torch

    return torch.from_numpy(is_drawn).to(like.device)
