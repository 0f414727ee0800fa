"""What answers to one objective teach of another: hh_rlhf, helpful and harmless.

    PENCHANT_DATA=FOLDER python benchmarks/reward_objectives.py [--out FILE]

People chose between two answers for being helpful, or for being harmless. Heads learn from 640
pairs of one objective and foretell other pairs of it, and pairs of the other. The numbers of a text
are words, so that no sentence model is needed: the first 96 directions of scikit-learn's TF-IDF.
Beside `RewardModel` stands scikit-learn's logistic regression on the differences (C of 1). Means
over draws of the pairs, 95 % intervals by Student's t.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from penchant.data.records import Records
from penchant.evaluation.recipes import circumstances, over_seeds, shared_file
from penchant.models.reward_model import RewardModel

OBJECTIVES = ("helpful", "harmless")
NUM_LEARNT, NUM_JUDGED, NUM_DRAWS, DIMENSIONS = 640, 400, 4, 96


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "reward_objectives.json"
    )
    out, began = words.parse_args().out, time.process_time()
    table = pd.read_parquet(shared_file("hh_rlhf/pairs.parquet")).reset_index(drop=True)
    vectors = embedded(table)
    found: dict[str, list[float]] = {}
    for draw in range(NUM_DRAWS):
        for name, accuracy in one_draw(table, vectors, np.random.default_rng(draw)).items():
            found.setdefault(name, []).append(accuracy)
    rows = {name: over_seeds(np.array(values)) for name, values in found.items()}
    for name, (mean, reach) in rows.items():
        print(f"{name:60} {mean:.3f} ({mean - reach:.3f} to {mean + reach:.3f})")
    document = {
        **circumstances(out.parent), "cpu_seconds": round(time.process_time() - began, 1),
        "draws": NUM_DRAWS, "learnt": NUM_LEARNT, "judged": NUM_JUDGED, "accuracy": rows,
    }  # fmt: skip
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def embedded(table: pd.DataFrame) -> np.ndarray:
    """[pairs, 2, dimensions]: each answer's words."""
    texts = [*table.response_0, *table.response_1]
    counted = TfidfVectorizer(min_df=5, sublinear_tf=True, max_features=6000).fit_transform(texts)
    numbers = TruncatedSVD(DIMENSIONS, random_state=0).fit_transform(counted).astype(np.float32)
    return np.stack(np.split(numbers, 2), axis=1)


def one_draw(
    table: pd.DataFrame, vectors: np.ndarray, rng: np.random.Generator
) -> dict[str, float]:
    rows = {
        name: rng.permutation(np.flatnonzero((table.subset == name).to_numpy()))
        for name in OBJECTIVES
    }
    first_won, apart = (table.human_choice == 0).to_numpy(), vectors[:, 0] - vectors[:, 1]
    both = np.concatenate([rows[name][: NUM_LEARNT // 2] for name in OBJECTIVES])
    lessons = {**{name: rows[name][:NUM_LEARNT] for name in OBJECTIVES}, "both": both}
    said = {}
    for learnt, mine in lessons.items():
        ours = RewardModel(personal=False, ties=None).fit(records(table, vectors, mine))
        theirs = LogisticRegression(C=1.0, fit_intercept=False).fit(apart[mine], first_won[mine])
        for judged in OBJECTIVES:
            asked = rows[judged][-NUM_JUDGED:]
            share = ours.judge(records(table, vectors, asked)).probabilities[:, 0]
            told = f"learnt from {learnt}, judged on {judged}"
            said[f"{told}: RewardModel"] = float(np.mean((share > 0.5) == first_won[asked]))
            said[f"{told}: scikit-learn"] = float(theirs.score(apart[asked], first_won[asked]))
    return said


def records(table: pd.DataFrame, vectors: np.ndarray, rows: np.ndarray) -> Records:
    """The pairs at these lines; nobody is named, and a text is known by its line."""
    texts = [
        f"{text} #{row}"
        for row in rows
        for text in (table.response_0[row], table.response_1[row])
    ]  # fmt: skip
    numbers = pa.array(vectors[rows].ravel())
    return Records.from_arrays(
        options={"text": texts,
                 "embedding": pa.FixedSizeListArray.from_arrays(numbers, DIMENSIONS)},
        menu_sizes=np.full(len(rows), 2), kind="pair",
        rows={"outcome": table.human_choice.to_numpy()[rows]}, extras=("embedding",),
    )  # fmt: skip


if __name__ == "__main__":
    main()
