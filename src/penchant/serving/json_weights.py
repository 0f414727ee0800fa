"""A reward model as one JSON document: what any language needs to score an embedded text.

Legend: E dimensions, C attributes.
"""

from typing import Any

from penchant.encoders.text_embedding import ReadTexts
from penchant.models.reward_scorer import RewardScorer

_FORMULA = (
    "reward = bias + sum(weights * embedding) + sum(coefficient * attribute) over the attributes"
)


def json_weights(scorer: RewardScorer) -> dict[str, Any]:
    """reward = bias + w' f + sum_c b_c a_c for anybody, ready for `json.dump`.

    Attributes are those of `penchant.encoders.text_attributes`: length is log(1 + words), and so
    on. Texts count as ones that the model has not met (`new_text_share`). Our doubt is not in it:
    the E x E numbers that it needs are in the model's folder.
    """
    encoder, counts = scorer.encoder, scorer.average[0]
    embedding = encoder.embedding
    own = scorer.average[1 : 1 + len(encoder.attributes)]
    weights, num = scorer.linear_weights, len(own)
    told = (counts * encoder.coefficients[:num] + own) / encoder.spread[:num]
    return {
        "format": "penchant linear reward 1",
        "formula": _FORMULA,
        "unit": "logits: a text better by 1 is preferred e times as often; only differences count",
        "embedding": {
            "model": embedding.reader if isinstance(embedding, ReadTexts) else None,
            "reads": "prompt, an empty line, text"
            if isinstance(embedding, ReadTexts) and embedding.prompt
            else "text",
            "dimensions": len(weights),
        },
        "bias": -float(encoder.mean @ weights),
        "weights": [float(weight) for weight in weights],
        "attributes": [
            {"name": name, "coefficient": float(value)}
            for name, value in zip(encoder.attributes, told)
        ],
    }
