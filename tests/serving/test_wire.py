"""What strangers send to a decision service is decoded or refused, never anything else."""

import contextlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

pytest.importorskip("msgspec")

from penchant.errors import DataError
from penchant.serving.wire import (
    Limits,
    _whole_asked,
    feedback_request,
    menu_of,
    rank_asked,
    rank_request,
)

LIMITS = Limits()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def asked(**changes):
    plain = {"event_id": "e", "options": [{"id": "a"}, {"id": "b", "features": {"p": 1}}]}
    return json.dumps(plain | changes).encode()


KEYS = st.sampled_from(["options", "context", "person", "slots", "event_id", "x"])
BODIES = (
    st.binary()
    | JSON.map(lambda plain: json.dumps(plain).encode())
    | st.builds(lambda plain, key: asked(**{key: plain}), JSON, KEYS)
)


@given(BODIES)
@example(b"[" * 100_000)
@example(b'{"options":' * 50_000)
@example(asked(context={"p": float("nan")}))
@example(b'{"options":[{"id":"\\ud800"}]}')
@example(b'{"options":[{"id":"a"}],"context":{"p":1' + b"0" * 5000 + b"}}")
def test_any_body_is_a_request_or_refused_with_a_reason(body):
    for decode in (rank_request, feedback_request):
        with contextlib.suppress(DataError):
            decode(body, LIMITS)


def refusal(decode, body, limits):
    try:
        decode(body, limits)
    except DataError as error:
        return str(error)
    return None


PARTS = st.sampled_from([
    {}, {"features": {"p": 1, "q": 2.5}}, {"features": {"q": 1, "p": -2e-3}}, {"features": None},
    {"features": {"p": 1e7, "q": 1}}, {"features": {"p": "1", "q": 1}}, {"x": 1},
    {"features": {"p": True, "q": 1}}, {"features": {"": 1, "q": 1}}, {"features": {"p": 3}},
])  # fmt: skip
OPTIONS = st.lists(
    st.builds(lambda name, part: {"id": name, **part}, st.sampled_from("abcd"), PARTS), max_size=4
)
CONTEXTS = st.sampled_from([{}, {"hour": 1}, {"": 1}, {"d": "mon", "s": True}, {"p": 1e9}, None])
FURTHER = st.sampled_from([
    {}, {"slots": 2}, {"slots": 0}, {"slots": 9}, {"person": "ann"}, {"person": ""}, {"x": 1},
])  # fmt: skip
RANKS = st.builds(
    lambda options, context, further: asked(options=options, context=context, **further),
    OPTIONS, CONTEXTS, FURTHER,
)  # fmt: skip
PLAIN = {"features": {"p": 1, "q": 2.5}}


@given(BODIES | RANKS)
@example(asked(options=[{"id": "a", **PLAIN}, {"id": "b", **PLAIN}], context={"hour": 1}))
@example(asked(options=[{"id": "a", **PLAIN}, {"id": "a", **PLAIN}]))
@example(asked(options=[{"id": "a", **PLAIN}], slots=2))
@example(asked(options=[{"id": "a", **PLAIN}], context={"": 1}))
@example(asked(options=[{"id": "a", **PLAIN}], context={f"c{k}": k for k in range(9)}))
@example(asked(options=[{"id": "abcde"[k], **PLAIN} for k in range(5)]))
@example(asked(options=[{"id": "a", "features": {"p": 1, "q": 2, "r": 3, "s": 4}}]))
@example(asked(options=[{"id": "a", "features": {"p": 1, "q": 2, "r": 3}}], context={"hour": 1}))
@example(asked(options=[{"id": "a", "features": {"p": 1}}], context={f"c{k}": k for k in range(9)}))
@example(b'{"options":[{"id":"a","features":{"p":null},"features":{"p":1}}]}')
@example(
    b'{"options":[{"id":"a","features":{"p":null}}],"options":[{"id":"a","features":{"p":1}}]}'
)
@example(b'{"options":[{"id":"a","features":[],"\\u0066eatures":{"p":1}}]}')
@example(b'{"options":[{"id":"a","\\u0066eatures":[],"features":{"p":1}}]}')
def test_features_read_in_a_loop_ask_the_same_and_are_refused_alike(body):
    limits = Limits(options=4, pairs=7)
    why = refusal(_whole_asked, body, limits)
    assert refusal(rank_asked, body, limits) == why
    if why is not None:
        return
    whole = _whole_asked(body, limits)
    found = rank_asked(body, limits)
    assert (found.person, found.slots) == (whole.person, whole.slots)
    assert (found.menu.context, found.menu.ids) == (whole.menu.context, whole.menu.ids)
    assert [*found.menu.features] == [*whole.menu.features]
    if b'"event_id"' in body:
        assert found.event_id == whole.event_id or len(found.event_id) == 36


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"options": []}, "length >= 1"),
        ({"options": [{"id": "a"}, {"id": "a"}]}, "same id"),
        ({"options": [{"id": str(k)} for k in range(1001)]}, "1,001 options"),
        ({"slots": 3}, "no more slots"),
        ({"slots": 0}, "slots"),
        ({"event_id": ""}, "event_id"),
        ({"event_id": "x" * 257}, "event_id"),
        ({"context": {"p": 1e308}}, "1000000"),
        ({"context": {"p": -1e308, "q": "word"}}, "1000000"),
        ({"options": [{"id": "a", "features": {"p": 1e7}}]}, "1000000"),
        ({"context": {"p": {"q": 1}}}, "context"),
        ({"context": {"p": None}}, "context"),
        ({"context": {"": 1}}, "empty name"),
        ({"options": [{"id": "a", "features": {"": 1}}]}, "empty name"),
        ({"optins": []}, "optins"),
        ({"context": {f"c{k}": 1 for k in range(100)},
          "options": [{"id": "a", "features": {f"f{k}": 1 for k in range(100)}}]}, "pairs"),
    ],
)  # fmt: skip
def test_what_is_beyond_a_limit_is_refused(changes, reason):
    with pytest.raises(DataError, match=reason):
        rank_request(asked(**changes), LIMITS)


def test_words_switches_and_numbers_are_features():
    menu = menu_of(rank_request(asked(context={"d": "mon", "n": 2, "s": True}), LIMITS))
    assert menu.context == {"d": "mon", "n": 2.0, "s": True}
    assert menu.ids == ("a", "b")


def test_an_event_without_a_name_gets_one_of_its_own():
    bodies = [rank_request(b'{"options":[{"id":"a"}]}', LIMITS) for _ in range(2)]
    assert bodies[0].event_id != bodies[1].event_id


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("reward", "much", "reward"), ("reward", None, "reward"), ("rating", 1e300, "1000000"),
        ("pick", 3, "pick"), ("ranking", [], "ranking"), ("ranking", ["a", "a"], "twice"),
        ("edit", {"before": "x"}, "after"), ("text", "x" * 100_001, "too long"),
        ("edit", {"after": "x" * 60_000, "before": "x" * 60_000}, "too long"),
        ("shrug", 1, "kind"),
    ],
)  # fmt: skip
def test_values_of_another_kind_are_refused(kind, value, reason):
    body = json.dumps({"event_id": "e", "kind": kind, "value": value}).encode()
    with pytest.raises(DataError, match=reason):
        feedback_request(body, LIMITS)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("reward", 1), ("rating", 4.5), ("pick", "a"), ("pick", None), ("ranking", ["b", "a"]),
     ("edit", {"after": "new", "before": "old"}), ("edit", {"after": ""}), ("edit", "new"),
     ("text", "why"), ("text", "")],
)  # fmt: skip
def test_the_content_of_a_feedback_without_a_name_is_its_name(kind, value):
    plain = {"event_id": "e", "kind": kind, "value": value}
    same = json.dumps(dict(reversed(plain.items())), indent=2).encode()
    first = feedback_request(json.dumps(plain).encode(), LIMITS)
    assert first == feedback_request(same, LIMITS)
    later = feedback_request(json.dumps(plain | {"time": 5}).encode(), LIMITS)
    assert later.entry_id != first.entry_id
    named = feedback_request(json.dumps(plain | {"feedback_id": "f"}).encode(), LIMITS)
    assert named.entry_id == "id:f"
