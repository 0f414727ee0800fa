"""Models of transformers by the same functions, and our folders as transformers reads them."""

import json

import pytest

from penchant.data.description import Description
from penchant.data.readers.read import read
from penchant.errors import ConfigError, MissingExtraError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip(
    "transformers", reason="transformers is not installed; it is in the extra [lm]"
)

from lm.tiny_models import TEXTS, rows_of, tiny  # noqa: E402  # they need torch
from penchant.evaluation.judged_texts import text_pairs  # noqa: E402
from penchant.lm import pretrained  # noqa: E402
from penchant.lm.byte_tokenizer import ByteTokenizer  # noqa: E402
from penchant.lm.decoder import Decoder  # noqa: E402
from penchant.lm.folder import (  # noqa: E402
    ScoreLayer,
    load_language_model,
    save_language_model,
)
from penchant.lm.language_model import moved_to  # noqa: E402
from penchant.lm.log_probs import log_probs  # noqa: E402
from penchant.lm.pretrained import from_module, load_pretrained  # noqa: E402
from penchant.lm.sample import SampleConfig, sample  # noqa: E402
from penchant.lm.templates import answer_ids, conversation_ids  # noqa: E402
from penchant.lm.tokens import last_states, padded  # noqa: E402

SMALL = {"vocab_size": 259, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def single(seed=0):
    return moved_to(tiny(seed), dtype=torch.float32)


def theirs(kind):
    """A model of another family, random; double precision, so that differences are not rounding."""
    torch.manual_seed(0)
    if kind == "gpt2":
        config = transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=64, **SMALL)
        module = transformers.GPT2LMHeadModel(config)
    elif kind == "qwen2":
        config = transformers.Qwen2Config(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            intermediate_size=24, max_position_embeddings=64, tie_word_embeddings=False, **SMALL,
        )  # fmt: skip
        module = transformers.Qwen2ForCausalLM(config)
    else:
        config = transformers.BertConfig(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
            max_position_embeddings=64, **SMALL,
        )  # fmt: skip
        module = transformers.BertModel(config)
    return from_module(module.double().eval(), ByteTokenizer(), kind)


def states(model, rows, side):
    tokens = padded(rows, 0, side)
    return last_states(model.network.read(model.parameters, tokens).states, tokens.is_text)


@pytest.mark.parametrize("kind", ["gpt2", "qwen2"])
def test_padding_side_and_batch_mates_do_not_change_the_states_of_their_causal_models(kind):
    model, rows = theirs(kind), rows_of()
    assert model.network.is_causal
    right, left = (states(model, rows, side) for side in ("right", "left"))
    alone = torch.cat([states(model, [row], "right") for row in rows])
    torch.testing.assert_close(right, alone, atol=1e-10, rtol=0)
    torch.testing.assert_close(left, alone, atol=1e-10, rtol=0)


def test_an_encoder_reads_both_ways_and_refuses_padding_that_it_would_misplace():
    model, rows = theirs("bert"), rows_of()
    assert not model.network.is_causal
    alone = torch.cat([states(model, [row], "right") for row in rows])
    torch.testing.assert_close(states(model, rows, "right"), alone, atol=1e-10, rtol=0)
    with pytest.raises(ConfigError, match="padded on the left"):
        states(model, rows, "left")
    with pytest.raises(ConfigError, match="no layer that foretells tokens"):
        log_probs(model, padded(rows, 0))


@pytest.mark.parametrize("kind", ["gpt2", "qwen2"])
def test_parameters_are_an_argument_of_their_models_too(kind):
    """Other numbers in, other states out, and the gradient reaches every one that counts."""
    model, tokens = theirs(kind), padded(rows_of(), 0)
    before = log_probs(model, tokens).log_prob
    name = next(n for n in model.parameters if "mlp" in n and n.endswith("weight"))
    changed = model.with_parameters({name: 2.0 * model.parameters[name]})
    assert (log_probs(changed, tokens).log_prob - before).abs().max() > 1e-4
    torch.testing.assert_close(log_probs(model, tokens).log_prob, before)
    leaves = {n: v.clone().requires_grad_() for n, v in model.parameters.items()}
    log_probs(model.with_parameters(leaves), tokens).log_prob.sum().backward()
    assert all(leaf.grad is not None and leaf.grad.abs().sum() > 0 for n, leaf in leaves.items()
               if "k_proj.bias" not in n)  # fmt: skip


@pytest.mark.parametrize("kind", ["gpt2", "qwen2"])
def test_samples_of_their_models_are_as_likely_as_they_say(kind):
    model, prompts = theirs(kind), rows_of(("ab", "hello", ""))
    drawn = sample(model, prompts, SampleConfig(most_tokens=5), torch.Generator().manual_seed(0))
    for row, prompt in enumerate(prompts):
        new = drawn.ids[row][drawn.is_text[row]].tolist()
        told = log_probs(model, padded([[*prompt, *new]], 0)).log_prob[0, len(prompt) - 1 :]
        torch.testing.assert_close(told, drawn.log_prob[row][drawn.is_text[row]])


def test_our_decoder_is_transformers_llama(tmp_path):
    ours = single()
    save_language_model(ours, tmp_path)
    other, rows = load_pretrained(str(tmp_path)), rows_of()
    for side in ("left", "right"):
        tokens = padded(rows, 0, side)
        torch.testing.assert_close(
            log_probs(ours, tokens).log_prob, log_probs(other, tokens).log_prob,
            atol=1e-5, rtol=1e-5,
        )  # fmt: skip
    assert other.network.window == ours.network.window
    again = load_language_model(tmp_path)
    assert again.network == Decoder(config=ours.network.config)
    assert set(again.parameters) == set(ours.parameters)
    for name, value in again.parameters.items():
        torch.testing.assert_close(value, ours.parameters[name], atol=0, rtol=0)


def test_the_byte_tokenizer_is_the_one_in_its_folder(tmp_path):
    save_language_model(single(), tmp_path)
    found, ours = load_pretrained(str(tmp_path)).tokenizer, ByteTokenizer()
    assert (found.pad, found.begin, found.end) == (ours.pad, ours.begin, ours.end)
    for text in (*TEXTS, "".join(map(chr, range(1, 400))), "  two  spaces "):
        assert found.encode(text) == ours.encode(text)
        assert found.decode(ours.encode(text)) == text
        assert answer_ids(found, "p", text) == answer_ids(ours, "p", text)


@pytest.mark.parametrize("is_theirs", [False, True])
def test_a_folder_of_sequence_classification_gives_the_rewards_of_the_head(tmp_path, is_theirs):
    ours, rows = single(), rows_of()
    weights = torch.randn(ours.network.width, generator=torch.Generator().manual_seed(1))
    wanted = states(ours, rows, "right") @ weights
    model = ours
    if is_theirs:
        save_language_model(ours, tmp_path / "whole")
        model = load_pretrained(str(tmp_path / "whole"))
    out = tmp_path / "classifier"
    save_language_model(model, out, score=ScoreLayer(weights=weights.numpy()), card="# Card\n")
    found = transformers.AutoModelForSequenceClassification.from_pretrained(out)
    tokens = padded(rows, 0)
    with torch.no_grad():
        said = found(input_ids=tokens.ids, attention_mask=tokens.is_text.long()).logits
    assert said.shape == (len(rows), 1)
    torch.testing.assert_close(said[:, 0], wanted, atol=1e-5, rtol=1e-5)
    assert (out / "README.md").read_text() == "# Card\n"
    # Its body is read again as a language model's.
    torch.testing.assert_close(states(load_language_model(out), rows, "right"),
                               states(ours, rows, "right"), atol=1e-5, rtol=1e-5)  # fmt: skip


def test_an_encoder_has_no_folder_that_would_give_the_same_rewards(tmp_path):
    model = theirs("bert")
    with pytest.raises(ConfigError, match="does not read the last state by one linear"):
        save_language_model(model, tmp_path, score=ScoreLayer(weights=torch.zeros(16).numpy()))


def test_what_is_written_of_a_model_of_transformers_is_read_again(tmp_path):
    save_language_model(single(), tmp_path / "one")
    model = load_pretrained(str(tmp_path / "one"))
    changed = model.with_parameters({n: 1.1 * v for n, v in model.parameters.items()})
    save_language_model(changed, tmp_path / "two")
    tokens = padded(rows_of(), 0)
    torch.testing.assert_close(
        log_probs(load_pretrained(str(tmp_path / "two")), tokens).log_prob,
        log_probs(changed, tokens).log_prob,
    )


def test_a_chat_template_of_the_tokenizer_is_used(tmp_path):
    save_language_model(single(), tmp_path)
    path = tmp_path / "tokenizer_config.json"
    template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": template}))
    tokenizer = load_pretrained(str(tmp_path)).tokenizer
    assert tokenizer.decode(answer_ids(tokenizer, "hi", "yes")) == "[user]hi[assistant]yes"
    assert tokenizer.decode(answer_ids(tokenizer, "", "yes")) == "[assistant]yes"


OPENING = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }};{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


def test_a_conversation_is_scored_from_where_its_template_opens_the_answer(tmp_path):
    save_language_model(single(), tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": OPENING}))
    model = load_pretrained(str(tmp_path))
    asked = [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]
    said = [{"role": "assistant", "content": "yes"}]
    row, place = conversation_ids(model.tokenizer.chat_ids, asked, said)
    assert model.tokenizer.decode(row[:place]) == "[system]s;[user]hi;[assistant]"
    assert model.tokenizer.decode(row[place:]) == "yes;"
    worse = [{"role": "assistant", "content": "no"}]
    records = records_of([{"prompt": asked, "chosen": said, "rejected": worse}], tmp_path)
    pairs = text_pairs(model, records).pairs
    assert (pairs.first[0], int(pairs.place[0])) == (row, place)
    assert model.tokenizer.decode(pairs.second[0][place:]) == "no;"
    # Texts that are no conversation are read as they are, and so is what has no template.
    plain = records_of([{"prompt": "hi", "chosen": "yes", "rejected": "no"}], tmp_path)
    assert model.tokenizer.decode(text_pairs(model, plain).pairs.first[0]) == "hiyes"
    bare = text_pairs(single(), records).pairs
    assert single().tokenizer.decode(bare.first[0]) == "system: s\n\nuser: hiyes"


def records_of(lines, folder):
    file = folder / "lines.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read(file, Description(layout="trl")).records


def test_a_template_that_goes_another_way_before_the_answer_begins_where_they_part():
    def chat(messages, opens_answer=False):
        text = "".join(m["content"] for m in messages)
        return list((text + "<think>").encode() if opens_answer else text.encode())

    row, place = conversation_ids(chat, [{"content": "hi"}], [{"content": "<yes"}])
    assert (bytes(row), place) == (b"hi<yes", 3)
    assert conversation_ids(chat, [], [{"content": "yes"}])[1] == 0


def test_weights_of_transformers_that_were_cut_are_refused(tmp_path):
    save_language_model(theirs("llama"), tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ConfigError, match="write the folder again"):
        load_language_model(tmp_path)


def test_a_model_that_caps_its_logits_is_refused():
    config = transformers.Gemma2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
        head_dim=8, intermediate_size=24, final_logit_softcapping=0.01, **SMALL,
    )  # fmt: skip
    with pytest.raises(ConfigError, match="not its output layer's alone"):
        from_module(transformers.Gemma2ForCausalLM(config).eval(), ByteTokenizer(), "capped")


def test_what_is_not_there_is_said_with_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="no language model 'nobody/such' on this machine"):
        load_language_model("nobody/such")
    save_language_model(single(), tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"half")
    with pytest.raises(ConfigError, match="cannot be read as a decoder"):
        load_language_model(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config\.json cannot be read"):
        load_language_model(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"penchant\[lm\]"):
        pretrained.load_pretrained("any")


def test_where_end_and_padding_are_one_token_texts_do_not_end_with_it(tmp_path):
    """GPT-2's files: a classifier looks for the last token that is no padding."""
    save_language_model(single(), tmp_path / "one")
    path = tmp_path / "one" / "tokenizer_config.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "pad_token": "<end>"}))
    model = load_pretrained(str(tmp_path / "one"))
    assert model.tokenizer.pad == model.tokenizer.end == 2
    texts = [answer_ids(model.tokenizer, "p", text) for text in ("a longer one", "short")]
    assert [ids[-1] == 2 for ids in texts] == [False, False]
    weights = torch.randn(16, generator=torch.Generator().manual_seed(1))
    save_language_model(model, tmp_path / "two", score=ScoreLayer(weights=weights.numpy()))
    found = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "two")
    tokens = padded(texts, model.tokenizer.pad)
    with torch.no_grad():
        said = found(input_ids=tokens.ids, attention_mask=tokens.is_text.long()).logits[:, 0]
    torch.testing.assert_close(said, states(model, texts, "right") @ weights, atol=1e-5, rtol=1e-5)
