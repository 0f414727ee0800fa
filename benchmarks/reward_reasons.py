"""What real written reasons add to a reward model: crowd workers' own words on arguments.

    PENCHANT_DATA=FOLDER python benchmarks/reward_reasons.py [--cache FOLDER] [--out FILE]

Of 4,000 judgements of convincing_arguments the reasons are read by the sentence model (the extra
`text`; 24 CPU seconds, kept in --cache) beside the bundled embeddings of the arguments, and
`RewardModel(reasons=...)` is fitted on 300, 1,000 and 3,000 of them, three draws each. Told is what
the fit says: by how much heads that had not seen a judgement foretell its reason's theme, and,
where that is beyond chance, the nats that hearing reasons would save on such judgements.
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from penchant.data.records import Records
from penchant.encoders.text_embedding import TextEmbedding
from penchant.evaluation.recipes import circumstances, packaged_file, shared_file
from penchant.models.reward_model import RewardModel

NUM_READ, SIZES, NUM_DRAWS = 4000, (300, 1000, 3000), 3
OUTCOMES = {"a1": 0, "a2": 1, "equal": 2}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--cache", help="folder in which embeddings are kept")
    words.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "reward_reasons.json"
    )
    given, began = words.parse_args(), time.process_time()
    records, found = judged(given.cache), []
    for size in SIZES:
        for draw in range(NUM_DRAWS):
            rows = np.random.default_rng((size, draw)).choice(len(records), size, replace=False)
            model = RewardModel(
                personal=False, has_own_worth=False, reasons="why", random_state=draw
            ).fit(records.take(np.sort(rows)))
            told = model.belief_.encoder.reasons
            print(f"{size:>5} {draw}  {told.sentence()}", flush=True)
            kept = {k: v for k, v in asdict(told).items() if k != "themes"}
            found.append({"judged": size, "draw": draw, "num_themes": len(told.themes), **kept})
    document = {
        **circumstances(given.out.parent), "cpu_seconds": round(time.process_time() - began, 1),
        "read": NUM_READ, "fits": found,
    }  # fmt: skip
    given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def judged(cache: str | None) -> Records:
    """Judgements with their reasons and the embeddings of both."""
    said = pq.read_table(shared_file("convincing_arguments/judgments.parquet"))
    rows = np.sort(np.random.default_rng(0).choice(len(said), NUM_READ, replace=False))
    said = said.take(pa.array(rows))
    texts = pq.read_table(packaged_file("penchant.data.samples", "arguments.parquet"))
    place = {name: at for at, name in enumerate(texts["argument"].to_pylist())}
    shown = np.array(
        [[place[name] for name in said[f"argument_{k}"].to_pylist()] for k in (1, 2)]
    ).T.ravel().astype(np.int32)  # fmt: skip
    why = [" ".join(each.split()) for each in said["reason"].to_pylist()]
    read = TextEmbedding(cache=cache).read([""] * len(why), why).vectors.astype(np.float32)
    return Records.from_arrays(
        options={
            "text": pa.DictionaryArray.from_arrays(shown, texts["text"].combine_chunks()),
            "embedding": pa.DictionaryArray.from_arrays(
                shown, texts["embedding"].combine_chunks()
            ),
        },
        menu_sizes=np.full(NUM_READ, 2), kind="pair",
        extras=("embedding", "why", "why_embedding"),
        rows={"outcome": [OUTCOMES[each] for each in said["choice"].to_pylist()], "why": why,
              "why_embedding": pa.array(read.tolist(), pa.list_(pa.float32())),
              "person": said["worker_id"].to_pylist()},
    )  # fmt: skip


if __name__ == "__main__":
    main()
