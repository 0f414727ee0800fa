"""Any method of rewards on a policy that is a table: its credit, ratio, mean, anchor and hold on
entropy as the trainer takes them, the gradient in closed reach and a step in a millisecond.

Legend: B rows (one a rollout), T tokens drawn, C cells of the table, V tokens that it may draw.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.lm.tokens import Tokens
from penchant.numerics.arrays import Array, constant, log_sum_exp
from penchant.policies.language.gathering import Gatherer
from penchant.policies.language.loss import divergence_loss, entropy_loss, policy_gradient_loss
from penchant.policies.language.methods.method import PolicyMethod, Seen
from penchant.policies.language.ratio import denominator, log_ratio
from penchant.policies.language.rollouts import Rollouts
from penchant.simulation.tasks.chain import Chain
from penchant.simulation.tasks.step_table import StepTable, Sums


@dataclass(frozen=True, kw_only=True, eq=False)
class TableDraws:
    """What a table wrote. at: the cell that each token was drawn from, -1 where none was. said:
    the token. group: which prompt a row answers. reward: of each row. responses: what a method
    reads of them. is_turn: whether every token is a turn of its own, as actions in a world."""

    at: Int[Array, "B T"]
    said: Int[Array, "B T"]
    group: Int[Array, " B"]
    reward: Float[Array, " B"]
    responses: tuple[str, ...] = ()
    is_turn: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class TablePolicy:
    """logits: of each token in each cell. memory: what the method keeps. start: the logits that an
    anchor holds to, its own where there are none."""

    logits: Float[Array, "C V"]
    memory: Mapping[str, np.ndarray] = field(default_factory=dict)
    start: Float[Array, "C V"] | None = None

    def log_prob(self, draws: TableDraws) -> Float[Array, "B T"]:
        """Of each drawn token, 0 elsewhere."""
        return _drawn(_log_chances(self.logits), draws)

    def seen(self, draws: TableDraws) -> Seen:
        """The batch as a method hears it; needs torch."""
        import torch

        drawn, log_chances = draws.at >= 0, _log_chances(self.logits)
        entropy = -(np.exp(log_chances) * log_chances).sum(axis=1)
        log_prob, num = self.log_prob(draws), len(drawn)
        begun = np.ones((num, 1), dtype=bool)
        turn_of = np.arange(drawn.shape[1])[None, :] if draws.is_turn else 0
        turn_reward = np.zeros((num, drawn.shape[1] if draws.is_turn else 1))
        turn_reward[np.arange(num), drawn.sum(axis=1) - 1 if draws.is_turn else 0] = draws.reward
        ids = np.column_stack([0 * draws.said[:, :1], np.where(drawn, draws.said, 0)])
        return Seen(
            rollouts=Rollouts(
                tokens=Tokens(ids=torch.tensor(ids),
                              is_text=torch.tensor(np.column_stack([begun, drawn]))),
                is_drawn=drawn, log_prob=torch.tensor(log_prob),
                entropy=torch.tensor(np.where(drawn, entropy[draws.at], 0.0)),
                start=np.ones(num, dtype=int), turn_of=np.where(drawn, turn_of, -1),
                prompt_of=draws.group, responses=draws.responses or ("",) * num,
                has_ended=np.ones(num, dtype=bool),
            ),
            problems=(), reward=draws.reward, components={}, turn_reward=turn_reward,
            log_ratio=None if self.start is None
            else log_prob - _drawn(_log_chances(self.start), draws),
            memory=self.memory,
        )  # fmt: skip

    def climbed(
        self,
        method: PolicyMethod,
        draws: TableDraws,
        rate: float,
        updates: int = 1,
        generator: np.random.Generator | None = None,
    ) -> "TablePolicy":
        """After plain gradient steps on shares of these prompts, one by one, in the order of
        `generator` (theirs without one); rows that are not heard are in no share.

        Raises `ConfigError` for methods that learn a value, imitate, or gather what they learn
        from: a table has neither, and is given its draws.
        """
        import torch

        if method.value_weight > 0.0 or isinstance(method, Gatherer):
            raise _more_than_credit(method)
        heard, old = method.heard(self.seen(draws)), torch.tensor(self.log_prob(draws))
        if heard.target is not None or heard.is_shown.any():
            raise _more_than_credit(method)
        logits = torch.tensor(self.logits, requires_grad=True)
        size = int(draws.group.max()) + 1
        place = np.arange(size) if generator is None else generator.permutation(size)
        rows = np.flatnonzero((heard.unit_of >= 0).any(axis=1))
        order = rows[np.argsort(place[draws.group[rows]], kind="stable")]
        for part in np.array_split(order, min(updates, max(len(order), 1))):
            if not len(part):
                continue
            drawn, at = draws.at[part] >= 0, np.maximum(draws.at[part], 0)
            mine = torch.log_softmax(logits, dim=1)[at, np.where(drawn, draws.said[part], 0)]
            unit_of = heard.unit_of[part]
            against = denominator(mine, constant(heard.kind[part], mine), old[part], old[part])
            scale = method.token_scale(unit_of, draws.group[part])
            loss = policy_gradient_loss(
                mine, against, heard.credit[part], constant(unit_of, mine), scale,
                method.surrogate,
            )  # fmt: skip
            if heard.steer is not None:
                whole = torch.log_softmax(logits, dim=1)[at]
                entropy = -(whole.exp() * whole).sum(dim=2)
                steer = heard.steer.take(part, entropy.shape[1])
                loss = loss + entropy_loss(entropy, scale, steer)
            anchor = method.anchor
            if anchor is not None and anchor.place == "loss" and self.start is not None:
                held = torch.tensor(_drawn(_log_chances(self.start), draws)[part])
                ratio = None
                if anchor.is_weighed:
                    level = method.surrogate.level
                    ratio = log_ratio(mine, against, constant(unit_of, mine), level).exp()
                apart = divergence_loss(mine, held, scale, anchor.estimator or "k3", ratio=ratio)
                loss = loss + anchor.strength * apart
            (gradient,) = torch.autograd.grad(loss, logits)
            logits = (logits - rate * gradient).detach().requires_grad_()
        return TablePolicy(logits=logits.detach().numpy(), memory=heard.memory, start=self.start)


def chain_tables(
    start: StepTable,
    method: PolicyMethod,
    task: Chain,
    rate: float,
    seed: int,
    *,
    num_problems: int = 16,
    group_size: int = 8,
    modulus: int = 10,
) -> Iterator[StepTable]:
    """The table after each step, without end: problems and draws are the seed's, so that methods
    from one start meet the same problems and draw as many digits. Right is a last digit that is the
    answer's modulo `modulus`: of 2 half of the digits are. An anchor holds to `start`."""
    generator = np.random.default_rng((seed, 1))
    policy = TablePolicy(logits=start.logits, start=start.logits)
    group = np.repeat(np.arange(num_problems), group_size)
    while True:
        sums = Sums.read(task.draw(num_problems, generator)).take(group)
        written = StepTable(logits=policy.logits).written(sums, generator)
        last = written.said[np.arange(len(sums)), sums.length - 1]
        policy = policy.climbed(method, TableDraws(
            at=written.at, said=written.said, group=group,
            reward=((last - sums.right) % modulus == 0).astype(float),
            responses=tuple(f"#{digit}" for digit in last),
        ), rate)  # fmt: skip
        yield StepTable(logits=policy.logits)


def _more_than_credit(method: PolicyMethod) -> ConfigError:
    return ConfigError(
        f"got {type(method).__name__}, which learns a value, imitates or gathers what it learns "
        "from; expected a method whose credit is all that a table climbs. Use `PolicyTrainer` for "
        "it."
    )


def _log_chances(logits: Float[Array, "C V"]) -> Float[Array, "C V"]:
    return logits - log_sum_exp(logits, axis=1)[:, None]


def _drawn(log_chances: Float[Array, "C V"], draws: TableDraws) -> Float[Array, "B T"]:
    drawn = draws.at >= 0
    found = log_chances[np.maximum(draws.at, 0), np.where(drawn, draws.said, 0)]
    return np.where(drawn, found, 0.0)
