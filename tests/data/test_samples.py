"""The bundled data are what their description says."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from penchant.data import samples
from penchant.data.columns import to_codes, to_floats

FOLDER = Path(samples.__file__).parent


def test_swissmetro_drops_nine_choices_and_frees_holders_of_the_pass():
    records = samples.swissmetro()
    raw = pq.read_table(FOLDER / "swissmetro.parquet")
    assert raw.num_rows == 8793
    assert len(records) == 8784
    # One of the 977 left all nine tasks unanswered.
    assert records.num_people == 976
    assert records.notes[0] == "9 of 8793 lines dropped (choice in [0]: choice unknown)"
    assert "train_co, sm_co set to 0 on 1215 of 8784 lines" in records.notes[1]
    long = records.to_long_pandas()
    passes = long[(long["ga"] == 1) & (long["option"] != "car")]
    assert (passes["cost"] == 0).all()
    assert (long[(long["ga"] == 0) & (long["option"] == "train")]["cost"] > 0).all()
    assert long.groupby("option", observed=True)["headway"].max()["car"] == 0
    first = long[long["observation"] == 0].set_index("option")
    assert first["time"].to_dict() == {"train": 133, "swissmetro": 57}
    assert first["purpose"].unique().tolist() == ["shopping"]


def test_swissmetro_keeps_every_choice_and_every_column():
    records = samples.swissmetro()
    raw = pq.read_table(FOLDER / "swissmetro.parquet").to_pandas().query("choice != 0")
    codes, names = to_codes(records.options["option"])
    chosen = np.asarray(names)[codes[records.offsets[:-1] + np.asarray(records.rows["chosen"])]]
    meaning = {1: "train", 2: "swissmetro", 3: "car"}
    assert chosen.tolist() == [meaning[c] for c in raw["choice"]]
    assert records.menu_sizes.tolist() == (raw.train_av + raw.sm_av + raw.car_av).tolist()
    columns = {*records.rows.column_names, *records.options.column_names}
    assert {"group", "survey", "first", "ticket", "who", "luggage", "age", "male", "income", "ga",
            "origin", "dest", "purpose", "time", "cost", "headway", "seats"} <= columns  # fmt: skip


def test_london_has_whole_households_and_durations_that_add_up():
    records = samples.london()
    assert 6000 <= len(records) <= 8000
    assert records.num_people == 1650
    assert (records.menu_sizes == 4).all()
    long = records.to_long_pandas()
    transit = long[long["option"] == "public_transport"]
    parts = transit[["access", "rail", "bus", "interchange_waiting", "interchange_walking"]]
    np.testing.assert_allclose(parts.sum(axis=1), transit["duration"], atol=1e-3)
    assert (long[long["option"] == "walk"]["cost"] == 0).all()
    assert (FOLDER / "london.parquet").stat().st_size < 400_000


def test_conjoint_is_the_whole_study():
    records = samples.conjoint()
    assert (len(records), records.num_people) == (5725, 1145)
    assert len(records.columns("feature")) == 9
    assert np.isnan(to_floats(records.rows["ethnocentrism"])).sum() == 1020
    assert (FOLDER / "conjoint.parquet").stat().st_size < 200_000
    # "None" is a level of experience, not a gap.
    assert "None" in pa.compute.unique(records.options["job_experience"]).to_pylist()
