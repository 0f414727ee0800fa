"""Label Studio's and Potato's exports: read as they come, refused with the place, round-tripped."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from penchant.cli.main import app
from penchant.data.description import Description
from penchant.data.guess import guess
from penchant.data.readers.judgements import Judgement, from_records, to_records
from penchant.data.readers.read import read
from penchant.data.readers.write import write
from penchant.errors import DataError

STUDIO, POTATO = Description(layout="label_studio"), Description(layout="potato")


def annotation(*results, by=7, **further):
    return {"completed_by": by, "result": list(results), "created_at": "2026-01-02T03:04:05Z",
            "was_cancelled": False, "lead_time": 4.2} | further  # fmt: skip


def result(kind, value, name="control", to_name="text"):
    return {"id": "x1", "type": kind, "from_name": name, "to_name": to_name, "value": value}


# As the tool exports it: numbers of users, ids of results, lead times, predictions.
TASKS = [
    {"id": 11, "project": 3, "predictions": [{"result": []}],
     "data": {"text1": "the first", "text2": "the second"},
     "annotations": [
         annotation(result("pairwise", {"selected": "left"}, "pw", "text1,text2"),
                    result("textarea", {"text": ["because it is"]}, "why", "text1")),
         annotation(result("pairwise", {"selected": "right"}, "pw", "text1,text2"), by=8),
         annotation(result("pairwise", {"selected": "left"}, "pw"), was_cancelled=True),
     ]},
    {"id": 12, "data": {"items": [{"id": "blog", "title": "A blog", "body": "of tips"},
                                  {"id": "mdn", "title": "Pages"}, {"id": "wiki"}]},
     "annotations": [
         annotation(result("ranker", {"ranker": {"rank": ["wiki", "blog", "mdn"]}}, "rank", "l"),
                    by={"id": 9, "email": "ann@x.org"}),
     ]},
    {"id": 13, "data": {"text": "some text"},
     "annotations": [annotation(result("rating", {"rating": 4}, "stars")),
                     annotation(result("rating", {"rating": 2}, "stars"), by=8)]},
    {"id": 14, "data": {"text": "a proposal"},
     "annotations": [annotation(result("textarea", {"text": ["what it should be"]}, "edited"))]},
]  # fmt: skip


def saved(path, tasks):
    path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


def test_an_export_of_label_studio_is_read_without_a_description(tmp_path):
    path = saved(tmp_path / "project.json", TASKS)
    assert guess(path).description.layout == "label_studio"
    pair, other, ranked, four, two, edit = from_records(read(path).records, "a tool")
    assert (pair.kind, pair.value, pair.person, pair.situation) == ("pair", 0, "7", "11")
    assert pair.options == ("the first", "the second")
    assert (pair.question, pair.time) == ("pw", "2026-01-02T03:04:05Z")
    assert dict(pair.extras) == {"why": "because it is"}
    assert (other.value, other.person, dict(other.extras)) == (1, "8", {})
    assert ranked.options == ("blog", "mdn", "wiki")
    assert (ranked.rank, ranked.person) == ((2, 3, 1), "ann@x.org")
    assert ranked.texts == ("A blog\nof tips", "Pages", None)
    assert (four.value, two.value) == (4, 2)
    assert (edit.kind, edit.texts) == ("edit", ("what it should be", "a proposal"))


@pytest.mark.parametrize(
    ("place", "bad", "told"),
    [(0, result("pairwise", {"selected": "up"}), "left, right or tie"),
     (0, result("ranker", {"ranker": {"rank": ["a"]}}), "list of items"),
     (1, result("ranker", {"ranker": {"rank": ["blog", "blog"]}}), "one list"),
     (1, result("ranker", {"ranker": {"good": ["blog"], "bad": ["wiki"]}}), "one list"),
     (1, result("pairwise", {"selected": "left"}), "two texts"),
     (0, result("pairwise", {"selected": ["left"]}), "left, right or tie"),
     (1, result("ranker", {"ranker": {"rank": 5}}), "one list"),
     (1, result("ranker", {"ranker": "blog"}), "one list"),
     (2, result("rating", {"rating": 10**12}), "from 1 to 1000"),
     (2, result("rating", {"rating": 0}), "from 1"), (2, result("rating", {}), "missing")],
)  # fmt: skip
def test_a_task_that_cannot_be_used_is_told_by_its_number_and_set_aside(tmp_path, place, bad, told):
    tasks = json.loads(json.dumps(TASKS))
    tasks[place]["annotations"] = [annotation(bad)]
    path = saved(tmp_path / "project.json", tasks)
    with pytest.raises(DataError, match=told) as refused:
        read(path)
    assert str(place + 1) in str(refused.value)
    rest = read(path, on_bad_rows="quarantine")
    assert rest.quarantined.num_rows == 1
    assert str(11 + place) not in rest.records.rows["situation"].to_pylist()


def test_what_is_no_export_is_refused_in_words(tmp_path):
    for content in ("{", "[]", '{"a": 1}'):
        path = tmp_path / "x.json"
        path.write_text(content)
        with pytest.raises(DataError, match="Label Studio"):
            read(path, STUDIO)
    with pytest.raises(DataError, match="path"):
        read([1], STUDIO)


def test_a_project_of_potato_is_read_with_its_items(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "items.json").write_text(json.dumps([
        {"id": "pair_1", "text": ["one", "other"]}, {"id": "t", "text": "a text"},
    ]))  # fmt: skip
    lines = {
        "ann@x.org": [
            {"id": "pair_1", "displayed_text": "<b>one</b>", "span_annotations": {},
             "label_annotations": {"preference": {"selection": "B"}, "why": {"text_box": "so"}},
             "behavioral_data": {"time_string": "Time spent: 0d 0h 0m 5s "}},
            {"id": "t", "displayed_text": "a text",
             "label_annotations": {"quality": {"scale_4": "4"}, "mood": {"calm": "true"}}},
        ],
        "bob": [{"id": "pair_1", "displayed_text": "", "label_annotations": {
            "preference": {"selection": "tie"}}}, {"id": "t", "label_annotations": {}}],
    }  # fmt: skip
    for person, said in lines.items():
        file = tmp_path / "annotation_output" / person / "annotated_instances.jsonl"
        file.parent.mkdir(parents=True)
        file.write_text("\n".join(map(json.dumps, said)))
    for path in (tmp_path, tmp_path / "annotation_output"):
        assert guess(path).description.layout == "potato"
        pair, rating, tie = from_records(read(path).records, "a tool")
        assert (pair.value, pair.person, pair.question) == (1, "ann@x.org", "preference")
        assert (pair.options, dict(pair.extras)) == (("one", "other"), {"why": "so"})
        assert (rating.kind, rating.value, dict(rating.extras)) == ("rating", 4, {"mood": "calm"})
        assert (tie.value, tie.person) == (2, "bob")
    alone = from_records(read(file).records, "a tool")
    assert [each.person for each in alone] == ["bob"]
    # Without its items nobody knows what A and B were.
    (tmp_path / "data" / "items.json").unlink()
    with pytest.raises(DataError, match="items"):
        read(tmp_path)


names = st.text("abcü<&\"'/1", min_size=1, max_size=6)
texts = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
people = st.one_of(st.none(), st.sampled_from(["7", "007", "²", "0", "ann", "bob@x.org"]))


@st.composite
def judgements(draw, kinds):
    found = []
    for at in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(kinds))
        size = {"pair": 2, "edit": 2, "rating": 1}.get(kind) or draw(st.integers(2, 4))
        options = draw(st.lists(names, min_size=size, max_size=size, unique=True))
        rank = draw(st.permutations(range(1, size + 1))) if kind == "ranking" else ()
        found.append(Judgement(
            kind=kind, options=tuple(options),
            texts=tuple(draw(st.lists(texts, min_size=size, max_size=size))),
            value={"pair": draw(st.integers(0, 2)), "rating": draw(st.integers(1, 5))}.get(kind),
            rank=tuple(rank), person=draw(people), situation=f"s{at}",
            question=draw(st.sampled_from(["q", "edited"])) if kind != "edit" else "edited",
            extras=draw(st.sampled_from([{}, {"why": "so"}])) if kind != "ranking" else {},
        ))  # fmt: skip
    return found


def same(found, expected):
    def key(each):
        return (each.situation, each.person or "", each.kind)

    assert sorted(found, key=key) == sorted(expected, key=key)


@settings(max_examples=40)
@given(judgements(["pair", "rating", "ranking", "edit"]))
def test_label_studio_gives_back_what_was_written(tmp_path_factory, said):
    path = tmp_path_factory.mktemp("studio") / "tasks.json"
    write(to_records(said), path, STUDIO)
    same(from_records(read(path).records, "a tool"), said)


@pytest.mark.parametrize("column", ["person", "kind", "outcome", "source", "text", "rank"])
def test_a_control_called_like_a_column_writes_over_none(tmp_path, column):
    tasks = json.loads(json.dumps(TASKS[:1]))
    plain = read(saved(tmp_path / "plain.json", tasks)).records
    tasks[0]["annotations"][0]["result"].append(
        {**result("textarea", {"text": ["said"]}), "from_name": column}
    )
    found = read(saved(tmp_path / "project.json", tasks)).records
    assert found.rows.select(plain.rows.column_names) == plain.rows
    assert found.options == plain.options
    assert found.rows[f"said_{column}"].to_pylist()[0] == "said"
    assert found.roles[f"said_{column}"] == "extra"


@pytest.mark.parametrize("wrong", [{"annotations": 5}, {"annotations": [{"result": 5}]}])
def test_what_should_be_a_list_and_is_none_is_told(tmp_path, wrong):
    with pytest.raises(DataError, match="a list"):
        read(saved(tmp_path / "project.json", [*TASKS, TASKS[0] | wrong]))


def test_pairs_of_the_same_names_keep_their_own_texts(tmp_path):
    said = [
        Judgement(kind="pair", options=("one", "two"), texts=(f"text {at}", "no"), value=0)
        for at in range(3)
    ]
    write(to_records(said), tmp_path / "tasks.json", STUDIO)
    found = from_records(read(tmp_path / "tasks.json").records, "a tool")
    assert sorted(each.texts for each in found) == sorted(each.texts for each in said)


@settings(max_examples=40)
@given(judgements(["pair", "rating"]))
def test_potato_gives_back_what_was_written(tmp_path_factory, said):
    folder = tmp_path_factory.mktemp("potato")
    write(to_records(said), folder, POTATO)
    same(from_records(read(folder).records, "a tool"), said)
    assert json.loads((folder / "config.yaml").read_text())["data_files"] == ["data/items.jsonl"]


def test_menus_that_nobody_answered_become_tasks(tmp_path):
    waiting = [Judgement(kind="pair", options=("a", "b"), texts=("A", "B"), situation="s")]
    path = tmp_path / "tasks.json"
    write(to_records(waiting), path, STUDIO)
    (task,) = json.loads(path.read_text())
    assert (task["annotations"], task["data"]["text1"]) == ([], "A")
    same(from_records(read(path).records, "a tool"), waiting)
    write(to_records(waiting), tmp_path / "p", POTATO)
    assert "a" in (tmp_path / "p" / "data" / "items.jsonl").read_text()
    assert not (tmp_path / "p" / "annotation_output").exists()


def test_what_a_tool_has_no_form_for_is_refused(tmp_path):
    ranked = [Judgement(kind="ranking", options=("a", "b"), texts=(None, None), rank=(1, 1))]
    with pytest.raises(DataError, match="ties"):
        write(to_records(ranked), tmp_path / "x.json", STUDIO)
    with pytest.raises(DataError, match="ranking"):
        write(to_records(ranked), tmp_path / "p", POTATO)
    away = [Judgement(kind="rating", options=("a",), texts=("A",), value=1, person="../x")]
    with pytest.raises(DataError, match="folder"):
        write(to_records(away), tmp_path / "p", POTATO)
    assert not (tmp_path / "x").exists()


def test_the_shell_ranks_both_alike(tmp_path):
    said = [
        Judgement(kind="pair", options=pair, texts=pair, value=value, person=f"p{at % 4}",
                  situation=f"s{at}-{value}-{pair[0]}", question="q")
        for at in range(6)
        for pair, value in ((("a", "b"), 0), (("b", "c"), 0), (("c", "a"), 1), (("b", "a"), 0))
    ]  # fmt: skip
    found = []
    for name, description in (("tasks.json", STUDIO), ("project", POTATO)):
        write(to_records(said), tmp_path / name, description)
        told = CliRunner().invoke(app, ["rank", str(tmp_path / name), "--json",
                                        "--out", str(tmp_path / f"board {name}")])  # fmt: skip
        assert told.exit_code == 0, told.output
        found.append(json.loads(told.stdout)["items"])
    assert found[0] == found[1]
    assert {each["name"] for each in found[0]} == {"a", "b", "c"}
