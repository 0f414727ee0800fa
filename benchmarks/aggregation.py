"""Five rules on real people's wishes, and who would lose by each: figures for docs/aggregation.md.

    python benchmarks/aggregation.py     # prints tables, writes docs/images/losses_*.svg
                                         # and results/aggregation.json

chatbot_ratings: 100 people rated how well each of five statements on chatbot personalisation says
what they think, 0 to 4 (statement_votes/). game_platforms: 75 students ranked six platforms; a
place counts as its Borda points from 0 to 1 (rankings/). ai-constitution-us: 1,002 people voted
agree, disagree or pass on rules for an AI, an eighth of them each; what they did not see is filled
from four classes of voters (a mixture of multinomials by EM), and draws of the classes' answers
give intervals. "No rule" has the worth 0 there: losing is against it.
"""

import json
import os
from pathlib import Path

import numpy as np

from measure import circumstances
from penchant.evaluation.loss_charts import losses_picture
from penchant.policies.oneshot.consequences import Verdict, compare_rules
from penchant.policies.oneshot.social_choice import Rule

DATA = Path(os.environ["PENCHANT_DATA"])
IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
RESULTS = Path(__file__).resolve().parent / "results" / "aggregation.json"


def table(name: str):
    import pyarrow.parquet as pq

    return pq.read_table(DATA / f"{name}.parquet").to_pandas()


def show(name: str, title: str, options: list[str], verdicts: dict[Rule, Verdict]) -> dict:
    """Print the tables, draw the picture, and return what a results file keeps of both."""
    heads = [f"{loss.group} ({loss.voters}) losing" for loss in verdicts["sum"].losses]
    print(f"\n## {title}\n\n| rule | first | {' | '.join(heads)} |")
    print("|---" * (2 + len(verdicts["sum"].losses)) + "|")
    for rule, verdict in verdicts.items():
        first = ", ".join(
            f"{options[k]} ({verdict.choice.lottery[k]:.0%})"
            for k in np.argsort(-verdict.choice.lottery) if verdict.choice.lottery[k] > 0
        )  # fmt: skip
        cells = [
            f"{loss.losing:.0%}" + ("" if np.isnan(loss.losing_low) else
            f" ({loss.losing_low:.0%} to {loss.losing_high:.0%})") + f", by {loss.mean_loss:.2f}"
            for loss in verdict.losses
        ]  # fmt: skip
        print(f"| {rule} | {first} | " + " | ".join(cells) + " |")
    for rule, verdict in verdicts.items():
        order = np.argsort(verdict.choice.rank, kind="stable")[:6]
        print(f"{rule}: " + ", ".join(
            f"{verdict.choice.rank[k]} {options[k][:50]} [{verdict.rank_low[k]:g}-"
            f"{verdict.rank_high[k]:g}]" for k in order))  # fmt: skip
    (IMAGES / f"losses_{name}.svg").write_text(losses_picture(verdicts, title) + "\n")
    return {
        rule: {
            "lottery": {options[k]: round(float(verdict.choice.lottery[k]), 4)
                        for k in np.flatnonzero(verdict.choice.lottery > 1e-9)},
            "losses": [
                {"group": loss.group, "voters": loss.voters, "losing": _number(loss.losing),
                 "losing_low": _number(loss.losing_low), "losing_high": _number(loss.losing_high),
                 "mean_loss": _number(loss.mean_loss)}
                for loss in verdict.losses
            ],
        }
        for rule, verdict in verdicts.items()
    }  # fmt: skip


def _number(value: float) -> float | None:
    """Rounded; nothing where there is none, as an interval without draws."""
    return None if np.isnan(value) else round(float(value), 4)


def chatbot() -> dict:
    ratings = table("statement_votes/chatbot_ratings")
    wide = ratings[ratings["sample"] == "validation"].pivot(
        index="participant", columns="statement", values="rating_numeric"
    )
    for index, statement in enumerate(wide.columns):
        print(f"S{index + 1}: {statement[:110]}")
    options = [f"S{index + 1}" for index in range(wide.shape[1])]
    verdicts = compare_rules(wide.to_numpy(float), disagreement=np.full(len(wide), -1.0))
    return show("chatbot", "Which statement speaks for 100 people?", options, verdicts)


def games() -> dict:
    ranks = table("rankings/game_platforms")
    wide = ranks.pivot(index="respondent_id", columns="platform", values="rank")
    hours = ranks.groupby("respondent_id").hours_per_week.first().loc[wide.index].to_numpy()
    group = np.digitize(hours, [0.01, 3.0])
    verdicts = compare_rules(
        (6.0 - wide.to_numpy(float)) / 5.0, group=group,
        group_names=("never plays", "up to 3 hours a week", "more"),
    )  # fmt: skip
    return show("games", "One platform for 75 students", list(wide.columns), verdicts)


def constitution(num_classes: int = 4, num_options: int = 20, num_draws: int = 100) -> dict:
    rng = np.random.default_rng(0)
    votes = table("statement_votes/votes").query("conversation == 'ai-constitution-us'")
    texts = table("statement_votes/statements").query(
        "conversation == 'ai-constitution-us' and moderated == 1"
    ).set_index("statement").text  # fmt: skip
    votes = votes[votes.statement.isin(texts.index)]
    answers = votes.pivot_table(index="participant", columns="statement", values="vote")
    kinds = np.stack([(answers == v).to_numpy() for v in (-1, 0, 1)], axis=2).astype(float)
    counts, share = classes(kinds, num_classes, rng)
    # Rules on which people differ: of those that at least 80 judged, the most divided ones.
    seen_by, agree, against = kinds.sum(axis=(0, 2)), kinds[:, :, 2].sum(0), kinds[:, :, 0].sum(0)
    mean = (agree - against) / seen_by
    spread = np.where(seen_by >= 80, (agree + against) / seen_by - mean**2, 0.0)
    asked = np.argsort(-spread)[:num_options]

    def worths(chances: np.ndarray) -> np.ndarray:
        """Agree 1, pass 0, disagree -1, in expectation; what was voted stays what it was."""
        expected = share @ (chances[..., 2] - chances[..., 0])[:, asked]
        seen = kinds[:, asked].sum(axis=2) > 0
        known = np.where(seen, kinds[:, asked, 2] - kinds[:, asked, 0], expected)
        return np.concatenate([known, np.zeros((len(known), 1))], axis=1)

    draws = np.stack([
        worths(_dirichlet(counts, rng)) for _ in range(num_draws)
    ])  # fmt: skip
    utilities = worths(counts / counts.sum(axis=2, keepdims=True))
    names = [str(texts[s]) for s in answers.columns[asked]] + ["no rule"]
    nothing = np.eye(num_options + 1)[-1]
    verdicts = compare_rules(
        utilities, reference=nothing, disagreement=np.zeros(len(utilities)), draws=draws,
        group=share.argmax(axis=1), group_names=[f"class {k + 1}" for k in range(num_classes)],
        margin=0.05,
    )  # fmt: skip
    return show(
        "constitution",
        "A rule for an AI, from the 20 most divided, for 1,002 people",
        names,
        verdicts,
    )


def _dirichlet(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.standard_gamma(counts)
    return drawn / drawn.sum(axis=2, keepdims=True)


def classes(
    kinds: np.ndarray, num_classes: int, rng: np.random.Generator, strength: float = 6.0
) -> tuple[np.ndarray, np.ndarray]:
    """Posterior counts of answers by class and statement, and each person's class shares: EM for a
    mixture of multinomials, shrunk to the statement's own shares by `strength` answers."""
    overall = kinds.sum(axis=0) + 0.5
    prior = strength * overall / overall.sum(axis=1, keepdims=True)
    share = rng.dirichlet(np.full(num_classes, 0.3), len(kinds))
    for _ in range(200):
        counts = np.einsum("vs,vnk->snk", share, kinds) + prior
        logs = np.log(counts / counts.sum(axis=2, keepdims=True))
        joint = np.einsum("vnk,snk->vs", kinds, logs) + np.log(share.mean(axis=0))
        share = np.exp(joint - joint.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
    order = np.argsort(-share.sum(axis=0))
    return counts[order], share[:, order]


if __name__ == "__main__":
    found = {"chatbot": chatbot(), "games": games(), "constitution": constitution()}
    RESULTS.write_text(json.dumps({**circumstances(None), **found}, indent=1) + "\n")
