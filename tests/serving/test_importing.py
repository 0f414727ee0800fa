"""Logs of other systems in a service's own: all that they say, once, learnt from and judged by."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("msgspec")

from penchant.cli.main import app
from penchant.errors import DataError
from penchant.serving.decision_model import ModelConfig
from penchant.serving.decision_report import report_of
from penchant.serving.event_store import EventStore
from penchant.serving.importing import import_log
from penchant.serving.learner import refit
from penchant.serving.lessons import taught
from penchant.serving.models import models_of
from penchant.serving.wire import kept_answer, kept_rank


def decision(number, taken, reward, p=0.8, **further):
    """A line as the retired personaliser exported it."""
    rest = round((1 - p) / 2, 6)
    order = [taken, *(k for k in range(3) if k != taken)]
    return {
        "_label_cost": -reward, "_label_probability": p, "_label_Action": taken + 1,
        "_labelIndex": taken, "o": [{"EventId": f"e{number}", "v": reward}],
        "Timestamp": "2025-04-24T00:00:00.2190000Z", "Version": "1", "EventId": f"e{number}",
        "a": [k + 1 for k in order], "p": [p, rest, 1 - p - rest],
        "c": {"FromUrl": [{"timeofday": "evening", "weekend": True}],
              "_multi": [{"_tag": f"cmplx${number}{k}", "i": {"constant": 1, "id": name},
                          "j": [{"price": price, "topic": {"kind": name}}]}
                         for k, (name, price) in enumerate([("news", 0.1), ("sport", 0.5),
                                                            ("music", -0.3)])]},
        "VWState": {"m": "abc/def"},
    } | further  # fmt: skip


def saved(path, lines):
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def store(database):
    made = EventStore(database)
    yield made
    made.close()


def test_a_log_of_the_retired_personaliser_keeps_all_that_it_says(store, tmp_path):
    path = saved(tmp_path / "x.dsjson", [decision(1, 1, 1.0), decision(2, 0, 0.0, person="ann")])
    found = import_log(store, "default", path)
    assert (found.decisions, found.rewards, found.known, found.bad) == (2, 2, 0, ())
    first, second = [taught(each) for each in store.joined("default")]
    assert first.menu.ids == ("news", "sport", "music")
    assert first.menu.context == {"FromUrl.timeofday": "evening", "FromUrl.weekend": 1.0}
    assert first.menu.features[1]["j.price"] == 0.5
    assert first.menu.features[1]["j.topic.kind"] == "sport"
    assert first.answer.ranking == ["sport"]
    assert first.answer.probabilities == pytest.approx({"sport": 0.8, "news": 0.1, "music": 0.1})
    assert [(each.place, each.reward) for each in first.lessons] == [(1, 1.0)]
    assert (second.person, second.answer.event_id) == ("ann", "e2")
    ((body,),) = store.fetch("SELECT body FROM entries WHERE event_id = 'e1' AND kind = 'reward'")
    assert json.loads(body)["time"].startswith("2025-04-24")


def test_what_is_imported_twice_or_half_counts_once(store, tmp_path):
    lines = [decision(n, n % 3, 1.0) for n in range(7)]
    nameless = [{key: value for key, value in line.items() if key != "EventId"} for line in lines]
    # The same decision without a name may come twice and be two.
    path = saved(tmp_path / "x.dsjson", [*lines[:3], *nameless, *nameless])
    half = saved(tmp_path / "half.dsjson", [*lines[:3], *nameless[:4]])
    assert import_log(store, "default", half).decisions == 7
    assert import_log(store, "default", path).decisions == 17 - 7
    again = import_log(store, "default", path)
    assert (again.decisions, again.rewards, again.known) == (0, 0, 34)
    assert store.fetch("SELECT count(*) FROM entries") == [(34,)]


@pytest.mark.long
def test_a_service_learns_from_it_and_reports_on_it(store, tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for n in range(400):
        taken = int(rng.integers(3))
        lines.append(decision(n, taken, float(rng.random() < (0.7 if taken == 1 else 0.2)), 1 / 3))
    import_log(store, "default", saved(tmp_path / "x.dsjson", lines))
    student = refit(store, "default", ModelConfig(), store.position("default").seq)
    assert (student.learnt.rounds, student.unusable) == (400, 0)
    menu = taught(next(store.joined("default"))).menu
    mean, _ = student.learnt.belief().moments(menu)
    assert int(np.argmax(mean)) == 1
    rounds = (taught(each) for each in store.joined("default"))
    told = report_of(rounds, models_of(store, "default"))
    assert told["rounds"] == 400
    values = {each["policy"]: each["value"] for each in told["policies"]}
    assert values["default"] > values["uniform"] + 0.1
    assert (
        abs(told["logged"]["estimate"] - np.mean([-line["_label_cost"] for line in lines])) < 1e-9
    )


ADF = """shared |User old:1
0:-1:0.75 'one |Article politics length:3
'two |Article music

shared |User old:2
|Article sport
0:0:0.25 |Article music
"""


def test_vowpal_wabbits_text_tells_what_it_guesses(store, tmp_path):
    path = tmp_path / "x.vw"
    path.write_text(ADF)
    found = import_log(store, "default", path)
    assert (found.decisions, found.rewards, found.guessed) == (2, 2, 2)
    first, second = [taught(each) for each in store.joined("default")]
    assert first.menu.ids == ("one", "two")
    assert first.menu.context == {"User.old": 1.0}
    assert first.menu.features[0] == {"Article.politics": 1.0, "Article.length": 3.0}
    assert first.answer.probabilities == pytest.approx({"one": 0.75, "two": 0.25})
    assert second.menu.ids == ("action 1", "action 2")
    assert [each.reward for each in second.lessons] == [0.0]


@pytest.mark.parametrize(
    ("change", "told"),
    [({"_label_probability": 2.0}, "_label_probability"), ({"c": {}}, "_multi"),
     ({"_label_cost": None, "a": None, "p": None}, "probability"),
     ({"c": {"x": 1e300, "_multi": [{"id": "a"}]}, "a": [1], "p": [1.0], "_labelIndex": 0,
       "_label_probability": 1.0}, "1000000")],
)  # fmt: skip
def test_a_line_that_cannot_be_used_is_told_and_left_out(store, tmp_path, change, told):
    path = saved(tmp_path / "x.dsjson", [decision(1, 1, 1.0), decision(2, 0, 0.0) | change])
    with pytest.raises(DataError, match="2") as refused:
        import_log(store, "default", path)
    assert told in str(refused.value)
    found = import_log(store, "default", path, raises=False)
    assert [line for line, _ in found.bad] == [2]
    assert store.fetch("SELECT count(*) FROM entries WHERE event_id = 'e2'") == [(0,)]


def test_the_command_imports_and_says_what_it_did(database, tmp_path):
    path = saved(tmp_path / "x.dsjson", [decision(n, n % 3, 1.0) for n in range(5)])
    run = CliRunner().invoke
    said = run(app, ["import", str(path), "--database", database.address])
    assert said.exit_code == 0, said.output
    assert "5 decisions and 5 rewards are new" in said.output
    said = run(app, ["import", str(path), "--database", database.address, "--json"])
    assert json.loads(said.stdout)["known"] == 10
    store = EventStore(database)
    assert kept_answer(store.fetch("SELECT answer FROM entries")[0][0]).model == "import:log"
    assert kept_rank(store.fetch("SELECT body FROM entries")[0][0]).ids[0] == "news"
    store.close()
    said = run(app, ["import", str(tmp_path / "no.csv"), "--database", database.address])
    assert said.exit_code != 0
    (tmp_path / "no.csv").write_text("a,b\n1,2\n")
    said = run(app, ["import", str(tmp_path / "no.csv"), "--database", database.address])
    assert said.exit_code != 0
