"""A conversation as one text: by the model's own template where it has one, else plainly."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penchant.lm.tokens import Tokenizer


def plain_chat(messages: Sequence[Mapping[str, Any]]) -> str:
    """One text of a list of messages: roles are named where there are several."""
    parts = [(str(m.get("role") or ""), str(m.get("content") or "")) for m in messages]
    if len(parts) == 1:
        return parts[0][1]
    return "\n\n".join(f"{role}: {content}" if role else content for role, content in parts)


def prompted(prompt: str, text: str) -> str:
    """A text after its prompt, or alone where there is none."""
    return f"{prompt}\n\n{text}" if prompt else text


def answer_ids(tokenizer: Tokenizer, prompt: str, text: str) -> list[int]:
    """The tokens of a text as the answer to a prompt, up to the end of the answer.

    A tokenizer with a chat template of its own (`chat_ids`) writes both as turns of user and
    assistant; others write begin, the plain text and end, so that the last state has seen it all.
    Where end and padding are one token (GPT-2's, say), no text ends with it: whoever looks for the
    last token that is not padding would miss it.
    """
    chat = getattr(tokenizer, "chat_ids", None)
    if chat is not None:
        told = [{"role": "user", "content": prompt}] if prompt else []
        ids = list(chat([*told, {"role": "assistant", "content": text}]))
    else:
        begin = [] if tokenizer.begin is None else [tokenizer.begin]
        end = [] if tokenizer.end is None else [tokenizer.end]
        ids = [*begin, *tokenizer.encode(prompted(prompt, text)), *end]
    while len(ids) > 1 and ids[-1] == tokenizer.pad:
        ids.pop()
    return ids


def conversation_ids(
    chat: Callable[..., Sequence[int]],
    prompt: Sequence[Mapping[str, Any]],
    answer: Sequence[Mapping[str, Any]],
) -> tuple[list[int], int]:
    """A conversation with its answer by a tokenizer's `chat_ids`, and where the answer begins.

    It begins after what the template writes to open an answer; where the whole conversation goes
    another way before (a template that leaves earlier thoughts out, say), where the two part.
    """
    whole = list(chat([*prompt, *answer]))
    begun = list(chat(list(prompt), opens_answer=True)) if prompt else []
    same = (at for at, (one, other) in enumerate(zip(whole, begun)) if one != other)
    return whole, next(same, min(len(whole), len(begun)))
