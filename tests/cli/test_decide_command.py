"""`penchant decide`: lines in, decisions out, a folder that goes on where it stopped."""

import hashlib
import json

import pytest
from typer.testing import CliRunner

from penchant.beliefs.neural_worths import NeuralConfig
from penchant.cli.main import app
from penchant.encoders.hashed import HashedMenu
from penchant.feedback.channel_option import Outcome, Rating
from penchant.policies.bandits.menu import MenuBanditConfig
from penchant.policies.bandits.rules import Cautious
from penchant.policies.bandits.zooming import ZoomingConfig
from penchant.serving.catalogue_deciding import CatalogueConfig, taken_up
from penchant.serving.deciding import DeciderConfig, load

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


def test_a_folder_of_before_budgets_and_exposure_goes_on_as_it_did(tmp_path):
    run(tmp_path / "new", "-", "--seed", "3", lines=LINES[:2])
    run(tmp_path / "old", "-", "--seed", "3", lines=LINES[:2])
    file = tmp_path / "old" / "belief.json"
    document = json.loads(file.read_text())
    state = document["belief"]["fields"]
    del state["pacing"]
    for name in ("exposure", "budget", "horizon"):
        del state["config"]["fields"][name]
    plain = json.dumps(document["belief"], sort_keys=True).encode()
    document["belief_sha256"] = hashlib.sha256(plain).hexdigest()
    file.write_text(json.dumps(document))
    assert said(run(tmp_path / "old", lines=LINES[1:])) == said(
        run(tmp_path / "new", lines=LINES[1:])
    )
    assert load(tmp_path / "old").config == load(tmp_path / "new").config


def test_a_log_that_cannot_be_written_is_found_before_anything_is_learnt(tmp_path):
    done = run(tmp_path / "kept", "-", "--log", tmp_path / "no" / "log.dsjson", lines=LINES)
    assert done.exit_code == 3
    assert "log.dsjson" in done.output.replace("\n", "").replace("│", "").replace(" ", "")
    assert not done.stdout
    assert not (tmp_path / "kept").exists()


def test_a_line_of_objects_without_end_is_a_bad_line_like_others(tmp_path):
    text = "".join(json.dumps(line) + "\n" for line in LINES[:2]) + "[" * 100_000 + "\n"
    done = CliRunner().invoke(app, ["decide", str(tmp_path / "kept")], input=text)
    assert done.exit_code == 3
    assert "line 3" in done.output
    assert said(run(tmp_path / "kept", lines=LINES[1:2]))[0]["duplicate"]


def test_a_log_of_options_with_unlike_features_can_be_judged_and_says_who_learnt_from_it(tmp_path):
    """As the docs have it: what an option has not is left out of its line."""
    folder, log = tmp_path / "kept", tmp_path / "log.dsjson"
    lines = []
    for k in range(60):
        options = [
            {"id": "tea", "features": {"price": 1 + k % 3}},
            {"id": "coffee", "features": {"price": 2, "sort": "dark" if k % 2 else "light"}},
            {"id": "water"},
        ]
        asked = {"event_id": f"e{k}", "person": f"p{k % 7}", "options": options, "slots": 3}
        if k % 2:
            asked["context"] = {"day": ("mon", "sun", "sat")[k % 3]}
        lines += [asked, {"event_id": f"e{k}", "kind": "pick", "value": ("tea", "coffee")[k % 2]}]
    assert run(folder, "-", "--log", log, "--features", "32", lines=lines).exit_code == 0
    judged = CliRunner().invoke(app, ["ope", str(log), "-p", f"kept=bandit:{folder}", "--json"])
    assert judged.exit_code == 0, judged.output
    found = json.loads(judged.stdout)
    assert "fill(option.sort[dark], 0)" in found["reward_formula"]
    assert "fill(context.day[mon], 0)" in found["reward_formula"]
    learning = next(f for f in found["policies"][0]["findings"] if f["name"] == "learning")
    assert learning["verdict"] == "wrong"
    assert "60 of the 60" in learning["text"]
    # Half of it seen, half of it not.
    half = tmp_path / "half"
    run(half, "-", "--features", "32", lines=lines[:60])
    judged = CliRunner().invoke(app, ["ope", str(log), "-p", f"half=bandit:{half}", "--json"])
    assert "30 of the 60" in judged.stdout
    late = tmp_path / "late.dsjson"
    late.write_text("".join(log.read_text().splitlines(keepends=True)[30:]))
    judged = CliRunner().invoke(app, ["ope", str(late), "-p", f"half=bandit:{half}", "--json"])
    assert "None of the latest 30" in judged.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--rule", "luck"], "thompson"),
        (["--rule", "gap:many"], "a number"),
        (["--rule", "greedy:1"], "expected one of"),
        (["--answers", "pick,thumb"], "rating:LEVELS"),
        (["--parts", "everything"], "name*context"),
        (["--answers", "pick", "--silence", "0"], "leave silence"),
        (["--budget", "3"], "both numbers"),
        (["--horizon", "3"], "both numbers"),
        (["--budget", "3", "--horizon", "9", "--slots", "2"], "one slot"),
        (["--exposure", "2"], "exposure is 2"),
        (["--rule", "cautious:0"], "above 0"),
        (["--rule", "kl", "--answers", "reward"], "numbers without ends"),
        (["--network", "8:9:10"], "WIDTH or WIDTH:FIRST"),
        (["--kinds", "2", "--network", "8"], "Leave one out"),
        (["--kind-scale", "2"], "people are of one kind"),
        (["--noise", "2"], "add reward to --answers"),
        (["--patience", "9"], "say with --silence"),
        (["--rule", "first:1.5"], "a whole number of times"),
        (["--coordinates", "2"], "or take --rule zooming"),
        (["--rule", "zooming"], "such as --horizon 5000"),
        (["--rule", "zooming:2", "--horizon", "50", "--floor", "0.1"], "with certainty"),
        (["--rule", "exp3", "--coordinates", "2"], "the same options all along"),
        (["--rule", "exp4", "--kinds", "2", "--parts", "name"], "--kinds, --parts would"),
        (["--rule", "exp3:0.1", "--horizon", "9"], "expected one of the two"),
    ],
)
def test_settings_that_cannot_be_say_what_was_expected(tmp_path, arguments, expected):
    result = run(tmp_path / "kept", *arguments, lines=LINES)
    assert result.exit_code == 2
    assert expected in " ".join(result.output.replace("│", " ").split())


def test_every_rule_and_answer_of_the_help_can_be_said(tmp_path):
    answers = "pick,ranking,pair,best_worst,rating:4,click,reward"
    for rule in ("thompson:0.5", "ucb:2", "greedy", "epsilon:0.2", "softmax:0.3", "gap:10",
                 "kl:50", "cautious:0.2", "elimination:1.5", "first:3"):  # fmt: skip
        said = answers.removesuffix(",reward") if rule == "kl:50" else answers
        result = run(tmp_path / rule[:4], "--rule", rule, "--answers", said, lines=LINES)
        assert result.exit_code == 0, result.output


CATALOGUE = [
    (["--rule", "exp3:0.2", "--floor", "0.1", "--seed", "4"],
     CatalogueConfig(kind="exp3", rate=0.2, floor=0.1, seed=4)),
    (["--rule", "exp4", "--horizon", "90"], CatalogueConfig(kind="exp4", horizon=90)),
    (["--rule", "zooming:1.5", "--horizon", "90", "--coordinates", "2"],
     CatalogueConfig(kind="zooming", zooming=ZoomingConfig(
         num_rounds=90, num_coordinates=2, lipschitz=1.5))),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "config"), CATALOGUE, ids=lambda x: str(x)[:24])
def test_rules_of_the_catalogue_are_kept_and_go_on(tmp_path, arguments, config):
    folder, log = tmp_path / "kept", tmp_path / "log.dsjson"
    zooms = config.kind == "zooming"
    ask = {} if zooms else {"options": [{"id": "a"}, {"id": "b"}]}
    if config.kind == "exp4":
        ask["advice"] = {"ann": {"a": 1.0}, "bob": {"b": 1.0}}
    reward = {"kind": "reward", "value": 1.0}
    lines = [{"event_id": "e1", **ask}, {"event_id": "e1", **reward}, {"event_id": "e2", **ask}]
    whole = run(tmp_path / "whole", *arguments, lines=lines)
    logs = [] if zooms else ["--log", log]
    first = run(folder, "-", *arguments, *logs, lines=lines[:2])
    assert first.exit_code == 0, first.output
    assert taken_up(folder).state.config == config
    rest = run(folder, "-", *logs, lines=lines[2:])
    assert said(first) + said(rest) == said(whole)
    if zooms:
        told = run(folder, "-", "--log", log, lines=[])
        assert told.exit_code == 2
        assert "certainty" in told.output
        return
    assert json.loads(log.read_text())["_label_cost"] == -1.0
    judged = CliRunner().invoke(app, ["ope", str(log), "-p", f"kept=bandit:{folder}"])
    assert judged.exit_code == 3
    assert "by `logged`" in " ".join(judged.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "lines", "code", "expected"),
    [(["--rule", "exp5"], [], 2, "exp3[:RATE]"), (["--seed", "-1"], [], 2, "--seed"),
     ([], ["no menu"], 3, "line 1: it is no JSON"),
     (["--budget", "9", "--horizon", "9"],
      [{"options": [{"id": "a", "cost": 10**400}, {"id": "b"}]}], 3, "option 'a' costs 1000"),
     (["--rule", "exp3"], [{"event_id": "e", "kind": "reward", "value": 10**400}], 3,
      "a number from 0 to 1")],
)  # fmt: skip
def test_what_cannot_be_is_told_with_what_can(tmp_path, arguments, lines, code, expected):
    file = tmp_path / "lines"
    file.write_text("\n".join(e if isinstance(e, str) else json.dumps(e) for e in lines))
    result = run(tmp_path / "kept", file, *arguments)
    assert result.exit_code == code
    assert expected in " ".join(result.output.replace("│", " ").split())


SAID = [
    (["--rule", "cautious:0.3"], "rule", Cautious(share=0.3)),
    (["--answers", "rating:4,reward"], "channels", (Rating(levels=4), Outcome(has_intercept=True))),
    (["--floor", "0.3"], "floor", 0.3),
    (["--exposure", "0.2"], "exposure", 0.2),
    (["--slots", "2"], "slots", 2),
    (["--silence", "0", "--patience", "7"], "silence", 0.0),
    (["--patience", "7", "--silence", "0"], "patience", 7),
    (["--seed", "9"], "seed", 9),
    (["--budget", "4", "--horizon", "9"], "budget", 4.0),
    (["--budget", "4", "--horizon", "9"], "horizon", 9),
    (["--parts", "option,name"], "encoder", HashedMenu(num_features=128, parts=("option", "name"))),
    (["--features", "64"], "encoder", HashedMenu(num_features=64)),
    (["--sparse"], "bandit", MenuBanditConfig(is_sparse=True)),
    (["--prior-scale", "3"], "bandit", MenuBanditConfig(prior_scale=3.0)),
    (["--person-scale", "0.4"], "bandit", MenuBanditConfig(person_scale=0.4)),
    (["--half-life", "30"], "bandit", MenuBanditConfig(half_life=30.0)),
    (["--kinds", "2"], "bandit", MenuBanditConfig(num_kinds=2)),
    (
        ["--kinds", "2", "--kind-scale", "2"],
        "bandit",
        MenuBanditConfig(num_kinds=2, kind_scale=2.0),
    ),
    (
        ["--network", "8:30"],
        "bandit",
        MenuBanditConfig(network=NeuralConfig(width=8, first=30)),
    ),
    (["--noise", "0.2", "--answers", "reward"], "bandit", MenuBanditConfig(noise=0.2)),
]


@pytest.mark.parametrize(("arguments", "field", "value"), SAID, ids=lambda x: str(x)[:24])
def test_every_option_reaches_what_is_kept(tmp_path, arguments, field, value):
    assert run(tmp_path / "kept", *arguments, lines=[]).exit_code == 0
    config = load(tmp_path / "kept").config
    assert getattr(config, field) == value
    assert getattr(DeciderConfig(), field) != value


def test_no_option_of_the_command_is_left_out_of_that_test():
    from penchant.cli import decide

    settings = {f"--{name.replace('_', '-')}" for name in decide.decide.__annotations__}
    rest = {"--call", "--folder", "--file", "--log", "--debug", "--return"}
    tried = {word for said, *_ in [*SAID, *CATALOGUE] for word in said if word[:2] == "--"}
    assert settings - rest == tried


def test_a_budget_lasts_its_horizon_and_goes_on_where_it_stopped(tmp_path):
    """The free option stands in where the other is not worth its price or cannot be paid."""
    menu = [{"id": "free"}, {"id": "offer", "features": {"x": 1}, "cost": 2}]
    lines = [{"event_id": f"e{k}", "options": menu} for k in range(40)]
    setting = ["--budget", "11", "--horizon", "40", "--rule", "greedy", "--floor", "0.5"]
    first = run(tmp_path / "kept", *setting, lines=lines[:20])
    second = run(tmp_path / "kept", lines=lines[20:])
    shown = [line["ranking"][0] for line in said(first) + said(second)]
    assert shown.count("offer") == 5
    pacing = load(tmp_path / "kept").pacing
    assert (pacing.spent, pacing.num_decided) == (10.0, 40)
    whole = run(tmp_path / "whole", *setting, lines=lines)
    assert [line["ranking"][0] for line in said(whole)] == shown
    judged = CliRunner().invoke(app, ["ope", "none.dsjson", "-p", f"bandit:{tmp_path / 'kept'}"])
    assert judged.exit_code == 2
    assert "without a budget" in " ".join(judged.output.replace("│", " ").split())
    bad = run(tmp_path / "kept", lines=[{"options": [{"id": "a", "cost": "much"}]}])
    assert bad.exit_code == 3
    assert "costs 'much'" in bad.output


@pytest.mark.parametrize("setting", [("--kinds", "2"), ("--network", "4:12")])
def test_kinds_of_people_and_networks_are_learnt_kept_and_judged(tmp_path, setting):
    """Two kinds of people want opposite things; what is broken off goes on as if it were not."""
    pytest.importorskip("torch")
    menu = [{"id": "a", "features": {"x": 1}}, {"id": "b", "features": {"x": -1}}]
    lines = []
    for k in range(30):
        asked = {"event_id": f"e{k}", "person": f"p{k % 10}", "options": menu, "slots": 2}
        lines += [asked, {"event_id": f"e{k}", "kind": "pick", "value": "ab"[k % 2]}]
    more = [*setting, "--features", "8", "--parts", "option", "--rule", "greedy", "--floor", "0.1"]
    log = tmp_path / "log.dsjson"
    first = run(tmp_path / "kept", "-", *more, "--log", log, lines=lines[:30])
    assert first.exit_code == 0, first.output
    second = run(tmp_path / "kept", lines=lines[30:])
    whole = run(tmp_path / "whole", "-", *more, lines=lines)
    assert said(first) + said(second) == said(whole)
    if setting[0] == "--kinds":
        ask = [{"options": menu, "person": f"p{p}"} for p in (0, 1)]
        known = [line["ranking"][0] for line in said(run(tmp_path / "kept", lines=ask))]
        assert known == ["a", "b"]
    judged = CliRunner().invoke(
        app, ["ope", str(log), "-p", f"kept=bandit:{tmp_path / 'kept'}", "--formula", "none"]
    )
    assert judged.exit_code in (0, 3), judged.output
