"""What copies of a prompt remember: its keys and values once for all, each copy's own beside.

Each new token reads what stands before it. With the prompt's keys once for G copies that is
P + G R numbers in place of G (P + R), and none is copied as answers grow (Juravsky et al. 2024).

Legend: P prompts, B = P G rows (copies side by side), A heads, C numbers a head, L tokens of a
prompt, R own tokens so far, T tokens of this call.
"""

from dataclasses import dataclass, replace

from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class CopiedMemory:
    """Of one layer. own_keys, own_values: what each row read after its prompt."""

    keys: Float[Array, "P A L C"]
    values: Float[Array, "P A L C"]
    own_keys: Float[Array, "B A R C"]
    own_values: Float[Array, "B A R C"]

    def after(self, k: Float[Array, "B A T C"], v: Float[Array, "B A T C"]) -> "CopiedMemory":
        """With what the rows read now."""
        import torch

        return replace(
            self, own_keys=torch.cat([self.own_keys, k], dim=2),
            own_values=torch.cat([self.own_values, v], dim=2),
        )  # fmt: skip

    def attended(
        self, q: Float[Array, "B A T C"], sees: Bool[Array, "B 1 T U"]
    ) -> Float[Array, "B A T C"]:
        """Scaled dot products with all that is remembered, the prompt's for all copies at once."""
        import torch

        num, size = self.keys.shape[0], self.keys.shape[2]
        prompts = _copies_together(q, num) @ self.keys.transpose(-1, -2)
        scores = torch.cat(
            [_copies_apart(prompts, q.shape[2]), q @ self.own_keys.transpose(-1, -2)], dim=-1
        )
        share = (scores / q.shape[-1] ** 0.5).masked_fill(~sees, -torch.inf).softmax(dim=-1)
        of_prompt = _copies_together(share[..., :size], num) @ self.values
        return _copies_apart(of_prompt, q.shape[2]) + share[..., size:] @ self.own_values

    def expanded(self) -> tuple[Float[Array, "B A U C"], Float[Array, "B A U C"]]:
        """Keys and values of every row for itself."""
        import torch

        often = self.own_keys.shape[0] // self.keys.shape[0]
        pairs = ((self.keys, self.own_keys), (self.values, self.own_values))
        first, second = (
            torch.cat([prompt.repeat_interleave(often, dim=0), own], dim=2) for prompt, own in pairs
        )
        return first, second


def copied(
    k: Float[Array, "P A L C"], v: Float[Array, "P A L C"], rows: Int[Array, " B"]
) -> CopiedMemory | None:
    """Of rows that are as many copies of each prompt, side by side; None of others."""
    import torch

    often, rest = divmod(len(rows), len(k))
    if rest or often < 2:
        return None
    if not torch.equal(rows, torch.arange(len(k), device=rows.device).repeat_interleave(often)):
        return None
    blank = k.new_zeros(len(rows), k.shape[1], 0, k.shape[3])
    return CopiedMemory(keys=k, values=v, own_keys=blank, own_values=blank)


def _copies_together(x: Float[Array, "B A T *C"], num: int) -> Float[Array, "P A _ *C"]:
    """The tokens of all copies of a prompt as if they were one row's."""
    return x.unflatten(0, (num, -1)).transpose(1, 2).flatten(2, 3)


def _copies_apart(x: Float[Array, "P A _ *C"], size: int) -> Float[Array, "B A T *C"]:
    return x.unflatten(2, (-1, size)).transpose(1, 2).flatten(0, 1)
