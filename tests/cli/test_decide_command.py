"""`penchant decide`: lines in, decisions out, a folder that goes on where it stopped."""

import json

import pytest
from typer.testing import CliRunner

from penchant.cli.main import app

LINES = [
    {"event_id": "e1", "options": [{"id": "a", "features": {"x": 1}}, {"id": "b"}], "slots": 2},
    {"event_id": "e1", "kind": "pick", "value": "a"},
    {"event_id": "e2", "options": [{"id": "a", "features": {"x": 1}}, {"id": "b"}]},
]


def run(*arguments, lines=()):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return CliRunner().invoke(app, ["decide", *map(str, arguments)], input=text)


def said(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_what_was_learnt_is_there_in_the_next_call(tmp_path):
    folder, log = tmp_path / "kept", tmp_path / "log.dsjson"
    first = run(folder, "-", "--log", log, "--rule", "greedy", "--floor", "0.1", lines=LINES[:2])
    assert first.exit_code == 0, first.output
    assert said(first)[1]["learnt"]
    assert json.loads(log.read_text())["_label_probability"] == pytest.approx(0.5)
    second = run(folder, lines=LINES[1:])
    duplicate, decision = said(second)
    assert duplicate["duplicate"]
    assert decision["probabilities"]["a"] == pytest.approx(0.95)
    judged = CliRunner().invoke(
        app, ["ope", str(log), "-p", f"kept=bandit:{folder}", "--formula", "none", "--json"]
    )
    assert judged.exit_code in (0, 3), judged.output


def test_settings_of_a_folder_stay_and_a_bad_line_keeps_those_before_it(tmp_path):
    folder = tmp_path / "kept"
    bad = run(folder, lines=[*LINES[:2], {"event_id": "e1", "kind": "pick", "value": "z"}])
    assert bad.exit_code == 3
    assert "line 3" in bad.output
    assert said(run(folder, lines=LINES[1:2]))[0]["duplicate"]
    changed = run(folder, "--rule", "ucb:2", lines=[])
    assert changed.exit_code == 2
    assert "--rule cannot change" in changed.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--rule", "luck"], "thompson"),
        (["--rule", "gap:many"], "a number"),
        (["--rule", "greedy:1"], "expected one of"),
        (["--answers", "pick,thumb"], "rating:LEVELS"),
        (["--parts", "everything"], "name*context"),
        (["--answers", "pick", "--silence", "0"], "leave silence"),
    ],
)
def test_settings_that_cannot_be_say_what_was_expected(tmp_path, arguments, expected):
    result = run(tmp_path / "kept", *arguments, lines=LINES)
    assert result.exit_code == 2
    assert expected in " ".join(result.output.replace("│", " ").split())


def test_every_rule_and_answer_of_the_help_can_be_said(tmp_path):
    answers = "pick,ranking,pair,best_worst,rating:4,click,reward"
    for rule in ("thompson:0.5", "ucb:2", "greedy", "epsilon:0.2", "softmax:0.3", "gap:10"):
        result = run(tmp_path / rule[:3], "--rule", rule, "--answers", answers, lines=LINES)
        assert result.exit_code == 0, result.output
