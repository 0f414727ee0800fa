"""What a prompt will earn, foretold from the policy's own state after reading it.

Legend: P prompts, D numbers of a state and a constant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.lm.language_model import LanguageModel
from penchant.lm.tokens import last_states, padded
from penchant.numerics.arrays import Array
from penchant.policies.language.rollouts import prompt_ids


@dataclass(frozen=True, kw_only=True, eq=False)
class PromptValue:
    """V(x) = 1/2 + w' x, w the ridge regression of mean rewards on states, cut to 0..1.

    gram, moment: sum of n x x' and of n x (mean reward - 1/2), n rollouts a prompt, fading by
    `memory` a batch, since the policy and its states move. Before the first batch all are worth
    1/2. A value model "trained alongside" (PCL, 2025) in closed form.
    """

    gram: Float[Array, "D D"]
    moment: Float[Array, " D"]
    # In rollouts: what the prior weighs against them.
    ridge: float = 4.0
    memory: float = 0.9

    @classmethod
    def recalled(cls, memory: Mapping[str, np.ndarray], size: int) -> "PromptValue":
        """What `kept` gave; for states of so many numbers of an empty memory."""
        if "value_gram" not in memory:
            return cls(gram=np.zeros((size, size)), moment=np.zeros(size))
        return cls(gram=memory["value_gram"], moment=memory["value_moment"])

    def kept(self) -> dict[str, np.ndarray]:
        """To be kept with a run."""
        return {"value_gram": self.gram, "value_moment": self.moment}

    def value(self, states: Float[Array, "P D"]) -> Float[Array, " P"]:
        """Expected reward of each prompt, 0 to 1."""
        weight = np.linalg.solve(self.gram + self.ridge * np.eye(len(self.moment)), self.moment)
        return np.clip(0.5 + states @ weight, 0.0, 1.0)

    def updated(
        self,
        states: Float[Array, "P D"],
        reward: Float[Array, " P"],
        num_rollouts: Float[Array, " P"],
    ) -> "PromptValue":
        """After so many rollouts of each prompt, which earned `reward` on average."""
        heavy = states * num_rollouts[:, None]
        return PromptValue(
            gram=self.memory * self.gram + heavy.T @ states,
            moment=self.memory * self.moment + heavy.T @ (reward - 0.5),
            ridge=self.ridge,
            memory=self.memory,
        )


def prompt_states(model: LanguageModel, prompts: Sequence[str]) -> Float[Array, "P D"]:
    """The policy's state after each prompt, of length about 1, and a constant 1."""
    import torch

    rows = [prompt_ids(model.tokenizer, prompt) for prompt in prompts]
    device = next(iter(model.parameters.values())).device
    tokens = padded(rows, model.tokenizer.pad).to(device)
    with torch.no_grad():
        states = model.network.read(model.parameters, tokens).states
        last = last_states(states, tokens.is_text).double().cpu().numpy()
    return np.column_stack([last / np.sqrt(last.shape[1]), np.ones(len(last))])
