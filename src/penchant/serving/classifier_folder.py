"""A reward model on a language model's states as a folder that transformers loads by itself.

Legend: E numbers of a state.
"""

from pathlib import Path

from penchant.encoders.language_states import LanguageStates
from penchant.errors import ConfigError
from penchant.lm.folder import ScoreLayer, load_language_model, save_language_model
from penchant.models.reward_scorer import RewardScorer

_CARD = """---
library_name: transformers
pipeline_tag: text-classification
tags: [reward-model, penchant]
---
# A reward model

The logit of this sequence classification is what a text is worth to the average judge, in logits:
a text better by 1 is preferred e times as often. Only differences mean something.

- States: `{base}`, at the last token of {reads}.
- Head: linear, by the evidence of all feedback; texts count as ones that the fit has not met
  (content times {share:.3f}; `penchant score` gives those it has met their full weight).
- `penchant score` says this logit {constant:+.6f}. All texts share that constant: in half
  precision a large one drowns what sets them apart; read the model in float32.
- Prior scale of each weight: {scale:.4g}.

```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained("this/folder")
```

What it does not say: how sure it is of a text, who is asking, whether the text is of a kind that
it knows. `penchant score` and `penchant serve` do. A policy trained against it will find texts that
it overrates.
"""


def write_classifier(scorer: RewardScorer, folder: Path) -> None:
    """Write the average judge's reward as a sequence classification of one label, with its card.

    Raises `ConfigError` where the reward is no linear function of a causal model's last state: for
    other embeddings, and where attributes such as length count beside it.
    """
    encoder = scorer.encoder
    embedding = encoder.embedding
    if not isinstance(embedding, LanguageStates):
        raise ConfigError(
            f"the reward model stands on {type(embedding).__name__}, not on a language model's "
            "states; expected --language-model. weights.json holds this head for any language."
        )
    if encoder.attributes:
        raise ConfigError(
            f"the reward counts {', '.join(encoder.attributes)} beside the state, which a sequence "
            "classification has no place for; expected --attributes none."
        )
    weights = scorer.linear_weights
    constant = -float(encoder.mean @ weights)
    reads = "prompt, an empty line, text" if embedding.prompt else "the text"
    model = load_language_model(embedding.model)
    if getattr(model.tokenizer, "chat_ids", None) is not None:
        reads = "the tokenizer's chat template of prompt (user) and text (assistant)"
    elif model.tokenizer.begin is not None:
        reads = f"begin token, {reads}, end token"
    card = _CARD.format(
        base=Path(embedding.model).name, reads=reads, share=encoder.new_text_share,
        constant=constant, scale=encoder.prior_scale,
    )  # fmt: skip
    save_language_model(
        model, folder, score=ScoreLayer(weights=weights, constant=constant), card=card
    )
