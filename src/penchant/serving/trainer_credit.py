"""Our credit in trainers of language models: advantages for TRL's GRPO trainer and for verl.

Legend: B rows (one a completion), T tokens of a completion, T1 tokens after those before them.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError, MissingExtraError
from penchant.lm.tokens import padded
from penchant.numerics.arrays import Array
from penchant.policies.language.credit import Credit
from penchant.policies.language.gathering import Gatherer
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.group_relative import GroupRelative
from penchant.policies.language.methods.method import PolicyMethod, Seen
from penchant.policies.language.rollouts import Rollouts
from penchant.serving.trainer_grades import problem_of

_VERLS_ANCHOR = "verl's algorithm.use_kl_in_reward or actor.use_kl_loss"
# verl cuts log-ratios off at 20: no ratio comes near.
_ANY_RATIO = 1e9


@runtime_checkable
class RolloutCredit(Protocol):
    """A method whose credit is of rewards alone, such as `GroupRelative`."""

    @property
    def anchor(self) -> Anchor | None: ...

    def credit(
        self, reward: Float[Array, " B"], group: Int[Array, " B"], is_scored: Bool[Array, " B"]
    ) -> Credit: ...


def verl_advantage(method: RolloutCredit) -> Callable[..., tuple[Any, Any]]:
    """An advantage estimator of verl: estimator(token_level_rewards, response_mask, index, config)
    -> advantages, returns, both of every token.

    A response whose rewards sum to no finite number has none: it stays out of its group's
    statistics and gets 0. Raises `ConfigError` for a method with an anchor, which in verl is the
    trainer's (`algorithm.use_kl_in_reward`, `actor.use_kl_loss`).
    """
    _check_anchor(method.anchor, _VERLS_ANCHOR)

    def estimator(
        token_level_rewards: Any, response_mask: Any, index: Any = None, **others: Any
    ) -> tuple[Any, Any]:
        import torch

        if index is None:
            raise ConfigError(
                "verl handed over no `index`; expected the uid of each row's prompt, by which "
                "responses are compared. Keep `uid` in the batch."
            )
        reward = token_level_rewards.sum(dim=-1).double().cpu().numpy()
        _, group = np.unique(np.asarray(index).astype(str), return_inverse=True)
        is_scored = np.isfinite(reward)
        found = method.credit(reward, group, is_scored).advantage
        told = torch.from_numpy(np.stack([found, np.where(is_scored, reward, 0.0)]))
        mask = response_mask.to(token_level_rewards.dtype)
        advantage, total = told.to(mask)[:, :, None] * mask
        return advantage, total

    return estimator


def register_verl(name: str, method: RolloutCredit) -> Callable[..., tuple[Any, Any]]:
    """Make `algorithm.adv_estimator=NAME` known to verl; where verl starts processes of its own,
    call it in a module that they import. Raises `MissingExtraError` where verl is not installed."""
    try:
        from verl.trainer.ppo.core_algos import register_adv_est
    except ImportError as error:
        raise MissingExtraError(
            "verl is not installed, so no advantage can be registered with it; expected it to be "
            "there. `verl_advantage` gives the function itself."
        ) from error
    made: Callable[..., tuple[Any, Any]] = register_adv_est(name)(verl_advantage(method))
    return made


def verl_settings(name: str, method: GroupRelative) -> dict[str, Any]:
    """The overrides of verl's command line under which its loss is the method's.

    verl hears a response of negative credit up to a ratio of 3 unless told otherwise
    (`Surrogate.worst`), and divides by the longest response it allows where no length is named:
    both are said. Raises `ConfigError` for a method with an anchor, as `verl_advantage` does.
    """
    _check_anchor(method.anchor, _VERLS_ANCHOR)
    actor = "actor_rollout_ref.actor"
    means = {"token": "token-mean", "row": "seq-mean-token-mean",
             "constant": "seq-mean-token-sum-norm"}  # fmt: skip
    _check_loss(method, means)
    found: dict[str, Any] = {
        "algorithm.adv_estimator": name,
        f"{actor}.clip_ratio_low": method.surrogate.low,
        f"{actor}.clip_ratio_high": method.surrogate.high,
        f"{actor}.clip_ratio_c": method.surrogate.worst or _ANY_RATIO,
        f"{actor}.loss_agg_mode": means[method.mean],
    }
    return (
        found if method.length is None else {**found, f"{actor}.loss_scale_factor": method.length}
    )


def trl_settings(method: GroupRelative) -> dict[str, Any]:
    """Arguments of TRL's GRPOConfig under which its loss is the method's; a constant length is
    TRL's `max_completion_length`. An anchor in the loss is its `beta` (k3), times the ratio, as TRL
    has it by default, only where the anchor is weighed."""
    means = {"token": "dapo", "row": "grpo", "constant": "dr_grpo"}
    _check_loss(method, means)
    held: dict[str, Any] = {"beta": 0.0}
    if method.anchor is not None:
        if method.anchor.place != "loss" or method.anchor.estimator not in (None, "k3"):
            _check_anchor(method.anchor, "an anchor in the loss by k3, TRL's `beta`,")
        held = {"beta": method.anchor.strength,
                "use_bias_correction_kl": method.anchor.is_weighed}  # fmt: skip
    found = {"loss_type": means[method.mean], "epsilon": method.surrogate.low,
             "epsilon_high": method.surrogate.high, **held}  # fmt: skip
    if method.surrogate.worst is not None:
        found["delta"] = method.surrogate.worst
    return found if method.length is None else {**found, "max_completion_length": method.length}


def trl_trainer(trainer: type, method: PolicyMethod, *, answer: str = "answer") -> type:
    """TRL's `GRPOTrainer` (or a class of its kind) with this method's credit for its advantages.

    Rewards, sampling, ratios and means stay TRL's (`trl_settings` says which); advantages are of
    every token, so that methods of ranks and with a memory work too; the column named by `answer`
    is the demonstration that they see. Rewards are the weighted sum of TRL's functions; a
    completion for which none gave a number has none.

    Raises `ConfigError` for a method with a value, with an anchor in the reward, or that says
    itself which problems are tried; in training for a
    process that holds parts of groups, and for a method that asks for entropies, which TRL does not
    hand over. Of several processes each has its own groups (a scale of the batch is of these), and
    a memory of the prompts that it met.
    """
    if isinstance(method, Gatherer):
        raise ConfigError(
            f"{type(method).__name__} says itself which problems are tried and how often, which "
            "TRL does here; expected a method that learns from what it is given, such as grpo()."
        )
    if method.value_weight > 0.0:
        raise ConfigError(
            "got a method with a learnt value, which TRL's GRPO trainer has no place for; expected "
            "one of groups, such as grpo() or GroupRelative()."
        )
    if method.anchor is not None and method.anchor.place == "reward":
        _check_anchor(method.anchor, "an anchor in the loss, TRL's `beta`,")

    class PenchantTrainer(trainer):
        _memory: Any = None

        def _calculate_rewards(self, inputs: Any, prompts: Any, *others: Any) -> Any:
            told = super()._calculate_rewards(inputs, prompts, *others)
            mine = slice(self.accelerator.process_index * len(prompts), None)
            self._told = told[mine][: len(prompts)]
            return told

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            output = super()._generate_and_score_completions(inputs)
            size = self.num_generations if self.model.training else self.num_generations_eval
            seen = self._seen(inputs, output, size)
            heard = method.heard(seen)
            if not np.isfinite(heard.advantage).all():
                raise ConfigError(
                    f"{type(method).__name__} asks for entropies of what was drawn, which TRL does "
                    "not hand over; expected a method of rewards and tokens alone."
                )
            self._memory = heard.memory
            start, shape = seen.rollouts.start, output["completion_ids"].shape
            found = np.zeros(shape)
            for row, place in enumerate(start):
                told = heard.advantage[row, place - 1 :][: shape[1]]
                found[row, : len(told)] = told
            found *= output["completion_mask"].cpu().numpy()
            output["advantages"] = output["advantages"].new_tensor(found)
            return output

        def _seen(self, inputs: Any, output: Any, size: int) -> Seen:
            if len(self._told) % size:
                raise ConfigError(
                    f"a process has {len(self._told)} completions in groups of {size}; expected "
                    "whole groups. Let per_device_train_batch_size (times the steps of "
                    "accumulation) be a multiple of num_generations."
                )
            weights = self.reward_weights.to(self._told)
            reward = (self._told * weights).nansum(dim=1)
            reward[self._told.isnan().all(dim=1)] = np.nan
            reward = reward.double().cpu().numpy()
            names = dict(zip(self.reward_func_names, self._told.double().cpu().numpy().T))
            tokenizer = getattr(self.processing_class, "tokenizer", self.processing_class)
            return Seen(
                rollouts=_rollouts(output, size, tokenizer),
                problems=[
                    problem_of(one["prompt"], one.get(answer), one.get("difficulty"))
                    for one in inputs
                ],
                reward=reward,
                components=names, turn_reward=np.nan_to_num(reward)[:, None],
                memory=self._memory or {},
            )  # fmt: skip

    return PenchantTrainer


def _rollouts(output: Any, size: int, tokenizer: Any) -> Rollouts:
    """TRL's batch as rollouts: rows of prompt and completion, groups side by side."""
    asked, said = (
        _real(output[f"{part}_ids"], output[f"{part}_mask"]) for part in ("prompt", "completion")
    )
    own = output.get("tool_mask")
    tokens = padded([a + b for a, b in zip(asked, said, strict=True)], tokenizer.pad_token_id or 0)
    start = np.array([len(row) for row in asked])
    is_drawn = np.zeros((len(said), tokens.ids.shape[1] - 1), dtype=bool)
    for row, ids in enumerate(said):
        mine = slice(start[row] - 1, start[row] - 1 + len(ids))
        is_drawn[row, mine] = True if own is None else own[row, : len(ids)].bool().cpu().numpy()
    # Not handed over: a method that asks for them is found out.
    unknown = tokens.ids.new_full(is_drawn.shape, np.nan, dtype=output["advantages"].dtype)
    end = tokenizer.eos_token_id
    return Rollouts(
        tokens=tokens, is_drawn=is_drawn, log_prob=unknown, entropy=unknown, start=start,
        turn_of=np.where(is_drawn, 0, -1), prompt_of=np.arange(len(said)) // size,
        responses=tuple(tokenizer.batch_decode(said, skip_special_tokens=True)),
        has_ended=np.array([bool(ids) and ids[-1] == end for ids in said]),
    )  # fmt: skip


def _real(ids: Any, mask: Any) -> Sequence[list[int]]:
    return [row[real].tolist() for row, real in zip(ids, mask.bool())]


def _check_anchor(anchor: Anchor | None, instead: str) -> None:
    if anchor is not None:
        raise ConfigError(
            f"got a method with an anchor in the {anchor.place} ({anchor.strength:g}), which this "
            f"trainer would not heed; expected {instead} in its place."
        )


def _check_loss(method: GroupRelative, means: dict[str, str]) -> None:
    if method.surrogate.form != "clipped" or method.surrogate.level != "token":
        raise ConfigError(
            f"got ratios of form {method.surrogate.form!r} at the level of a "
            f"{method.surrogate.level}; expected clipped ratios of tokens, all that these settings "
            "name. The advantages alone can be used."
        )
    if method.mean not in means:
        raise ConfigError(
            f"got mean={method.mean!r}; expected one of {', '.join(means)}, which the trainer has."
        )
