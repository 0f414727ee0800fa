"""Files counted block by block: the same counts as read whole, the same lines refused."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from penchant.data.description import Description
from penchant.data.guess import guess
from penchant.data.readers import vote_stream
from penchant.data.readers.votes import read_votes
from penchant.errors import DataError
from penchant.models.leaderboard import Leaderboard

SAID = Description(layout="pairs", option_columns=("left", "right"), answer="winner")


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(vote_stream, "_BLOCK_BYTES", 2_000)
    monkeypatch.setattr(vote_stream, "_BLOCK_LINES", 100)
    monkeypatch.setattr(vote_stream, "_MOST_APART", 50)


def made(num_lines=1000):
    rng = np.random.default_rng(0)
    left = rng.integers(0, 30, num_lines)
    right = (left + rng.integers(1, 30, num_lines)) % 30
    return pa.table({
        "left": [f"item {i}" for i in left], "note": ["a, b"] * num_lines,
        "right": [f"item {i}" for i in right],
        "winner": rng.choice(["left", "right", "tie"], num_lines), "w": rng.random(num_lines),
    })  # fmt: skip


def by_name(counts):
    found = {}
    rows = zip(counts.first, counts.second, counts.first_wins, counts.second_wins, counts.ties)
    for a, b, x, y, z in rows:
        names = (counts.items[a], counts.items[b])
        found[tuple(sorted(names))] = (x, y, z) if names[0] < names[1] else (y, x, z)
    return found


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("weight", [None, "w"])
def test_blocks_add_up_to_the_whole(tmp_path, small_blocks, ending, weight):
    table, path = made(), tmp_path / f"votes{ending}"
    if ending == ".parquet":
        pyarrow.parquet.write_table(table, path)
    elif ending == ".csv.gz":
        with pa.CompressedOutputStream(str(path), "gzip") as file:
            pyarrow.csv.write_csv(table, file)
    else:
        pyarrow.csv.write_csv(table, path)
    said = Description(layout="pairs", option_columns=("left", "right"), answer="winner",
                       weight=weight)  # fmt: skip
    seen = []
    found = vote_stream.count_file(path, said, on_block=lambda lines, part: seen.append(part))
    whole = by_name(read_votes(path, said).votes.counts())
    streamed = by_name(found.data)
    assert streamed.keys() == whole.keys()
    for pair, amounts in whole.items():
        assert streamed[pair] == pytest.approx(amounts)
    assert found.num_lines == 1000
    assert len(seen) > 3
    assert seen == sorted(seen)
    if ending != ".csv.gz":  # how far a packed file will unpack is not known before
        assert seen[-1] == pytest.approx(1.0, abs=0.05)


def test_a_bad_line_far_down_has_its_own_number(tmp_path, small_blocks):
    table = made()
    winner = table["winner"].to_pylist()
    winner[876] = "nobody"
    path = tmp_path / "votes.csv"
    pyarrow.csv.write_csv(table.set_column(3, "winner", pa.array(winner)), path)
    with pytest.raises(DataError, match=r"row 877 \(line 878 of the file\): winner is 'nobody'"):
        vote_stream.count_file(path, SAID)
    found = vote_stream.count_file(path, SAID, on_bad_rows="quarantine")
    assert found.num_bad == 1
    assert found.quarantined["row_number"].to_pylist() == [877]
    assert found.data.votes == 999


def test_arena_files_are_known_by_their_columns(tmp_path, small_blocks):
    table = made().rename_columns(["model_a", "note", "model_b", "winner", "seconds"])
    path = tmp_path / "arena.csv"
    pyarrow.csv.write_csv(table, path)
    said = guess(vote_stream.head_of(path)).description
    assert said.layout == "arena"
    assert vote_stream.count_file(path, said).data.votes == 1000


def test_a_broken_line_is_said(tmp_path, small_blocks):
    path = tmp_path / "votes.csv"
    pyarrow.csv.write_csv(made(), path)
    with path.open("a", encoding="utf-8") as file:
        file.write("one,cell,too,many,here,indeed\n")
    with pytest.raises(DataError, match="as many cells as the header"):
        vote_stream.count_file(path, SAID)


@pytest.mark.parametrize(
    ("columns", "options", "answer", "codes"),
    [
        ({"winner": ["a", "b"], "loser": ["b", "a"]}, ("winner", "loser"), "winner", {}),
        ({"left": ["a", "b"], "right": ["b", "a"], "label": ["a", "a"], "worker": ["w", "v"]},
         ("left", "right"), "label", {}),
        ({"text_1": ["a", "b", "a"], "text_2": ["b", "a", "c"], "vote": ["t1", "t2", "equal"]},
         ("text_1", "text_2"), "vote", {"t1": "first", "t2": "second"}),
    ],
)  # fmt: skip
def test_tables_of_pairs_are_recognised(columns, options, answer, codes):
    said = guess(pa.table(columns)).description
    assert said.layout == "pairs"
    assert said.option_columns == options
    assert said.answer == answer
    assert said.codes == codes


@pytest.mark.parametrize("names", [("007", "7", "8"), ("1.0", "1.00", "1")])
@pytest.mark.parametrize("answer", ["side", "name", "share"])
def test_names_that_look_like_numbers_stay_names(tmp_path, names, answer):
    """007 and 7 are two items, and so are 1.0 and 1.00, whatever the size of the file."""
    a, b, c = names
    pairs = [(a, b), (a, c), (b, c), (b, a)] * 5
    told = {"side": ("left", "right"), "share": ("0.75", "0.5")}.get(answer)
    winners = [(pair if told is None else told)[i % 2] for i, pair in enumerate(pairs)]
    path = tmp_path / "votes.csv"
    lines = [f"{x},{y},{w},0{i % 3}" for i, ((x, y), w) in enumerate(zip(pairs, winners))]
    path.write_text("left,right,winner,voter\n" + "\n".join(lines) + "\n")
    said = Description(layout="pairs", option_columns=("left", "right"), answer="winner",
                       person="voter")  # fmt: skip
    votes = read_votes(path, said).votes
    assert set(votes.items) == set(names)
    assert set(votes.voters) == {"00", "01", "02"}
    expected = {"share": [0.75, 0.5]}.get(answer, [1.0, 0.0])
    assert votes.share.tolist() == [expected[i % 2] for i in range(20)]
    streamed = vote_stream.count_file(path, said).data
    assert by_name(streamed) == by_name(votes.counts())


def test_bad_lines_of_several_blocks_have_the_numbers_of_the_file(tmp_path, small_blocks):
    table = made()
    winner = table["winner"].to_pylist()
    for place in (0, 411, 876):
        winner[place] = "nobody"
    path = tmp_path / "votes.csv"
    pyarrow.csv.write_csv(table.set_column(3, "winner", pa.array(winner)), path)
    aside = vote_stream.count_file(path, SAID, on_bad_rows="quarantine").quarantined
    whole = read_votes(path, SAID, on_bad_rows="quarantine").quarantined
    assert aside["row_number"].to_pylist() == [1, 412, 877]
    assert aside["reason"].to_pylist() == whole["reason"].to_pylist()
    assert aside["winner"].to_pylist() == ["nobody"] * 3


def test_a_graded_file_read_in_blocks_is_the_file_read_whole(tmp_path, monkeypatch):
    """Grades are added up pair by pair; a small limit makes the parts meet several times."""
    monkeypatch.setattr(vote_stream, "_BLOCK_BYTES", 2_000)
    monkeypatch.setattr(vote_stream, "_MOST_APART", 50)
    rng = np.random.default_rng(0)
    grades = ("B>>A", "B>A", "A=B", "A>B", "A>>B")
    lines = ["left,right,verdict,n"]
    for _ in range(2000):
        a, b = rng.choice(8, 2, replace=False)
        grade = int(np.searchsorted([-2.0, -0.5, 0.5, 2.0], 0.4 * (b - a) + rng.logistic()))
        lines.append(f"i{a},i{b},{grades[grade]},{rng.integers(1, 4)}")
    path = tmp_path / "graded.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    said = Description(
        layout="pairs", kind="graded", option_columns=("left", "right"), answer="verdict",
        levels=grades, weight="n",
    )  # fmt: skip
    found = vote_stream.count_file(path, said)
    whole = read_votes(path, said).votes
    assert found.num_lines == 2000
    assert len(found.data) < 300
    assert found.data.weight.sum() == whole.weight.sum()
    one, two = (Leaderboard().fit(votes) for votes in (found.data, whole))
    for a, b in zip(one.standings_, two.standings_, strict=True):
        assert a.name == b.name
        np.testing.assert_allclose([a.strength, a.low], [b.strength, b.low], atol=1e-7)
    np.testing.assert_allclose(one.grades_.thresholds, two.grades_.thresholds, atol=1e-7)
    assert not vote_stream.knows_grades(replace(said, levels=()))


def test_a_grade_outside_the_scale_is_named_with_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr(vote_stream, "_BLOCK_BYTES", 200)
    path = tmp_path / "graded.csv"
    lines = ["left,right,verdict", *["a,b,good", "b,a,bad"] * 20, "a,b,goood"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    said = Description(
        layout="pairs", kind="graded", option_columns=("left", "right"), answer="verdict",
        levels=("bad", "good"),
    )  # fmt: skip
    with pytest.raises(DataError, match=r"row 41 \(line 42 of the file\): verdict is 'goood'"):
        vote_stream.count_file(path, said)
