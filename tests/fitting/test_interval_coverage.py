"""A quick look at benchmarks/rank_coverage.py: "auto" holds where simpler kinds do not."""

import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def coverage(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import rank_coverage

    return rank_coverage.coverage


def test_auto_holds_where_one_voter_casts_half_of_the_votes_and_wald_does_not(coverage):
    found = coverage("uneven_voters", 16, 0)
    assert found["auto_picked"] == {"voter": 16}
    assert found["scores"]["auto"]["pooled"] > 0.88
    assert found["scores"]["wald"]["pooled"] < 0.6
    assert found["ranks"]["auto"]["at_once"] > 0.9
    assert found["ranks"]["wald"]["at_once"] < 0.6


def test_auto_holds_for_items_that_never_lose(coverage):
    found = coverage("unbeaten", 16, 1, num_resamples=20)
    assert found["share_separated"] > 0.5
    auto = found["scores"]["auto"]
    assert auto["pooled"] > 0.88
    assert auto["infinite"] > 0.2
    assert set(found["scores"]) == {"wald", "sandwich", "profile", "auto", "bootstrap"}


def test_the_table_of_the_page_is_the_kept_one(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import rank_coverage

    page = (BENCHMARKS.parent / "docs" / "leaderboards.md").read_text(encoding="utf-8")
    shown = page.split("<!-- coverage -->\n")[1].split("\n<!-- /coverage -->")[0]
    kept = json.loads(rank_coverage.RESULTS.read_text(encoding="utf-8"))
    assert shown == rank_coverage.markdown(kept)


def test_auto_is_as_narrow_as_half_wins_allow(coverage):
    found = coverage("half_wins", 16, 0)
    assert found["scores"]["auto"]["pooled"] > 0.88
    assert found["scores"]["auto"]["width_over_wald"] < 0.9
