"""Real choices that come with the package; whose they are stands in NOTICE.md beside them."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from penchant.data.readers.read import read
from penchant.data.records import Records

_FOLDER = Path(__file__).parent


def swissmetro() -> Records:
    """977 people, 9 stated choices each of train, Swissmetro or car, in Switzerland in 1998.

    Option features: time (minutes), cost (CHF; 0 for holders of the annual pass in train and
    Swissmetro), headway (minutes between departures; 0 for the car), seats (1 = airline seats).
    People: group, survey, first, ticket, who (pays), age, male, income (thousand CHF a year), ga
    (annual pass). Context: purpose, luggage, origin, dest (cantons). Nine choices that the survey
    left unknown are dropped; the notes of the records say so. Bierlaire, Axhausen & Abay 2001.
    """
    return _load("swissmetro")


def london() -> Records:
    """Trips that Londoners really made in 2014-15: on foot, by bicycle, public transport or car.

    A sample of whole households (1,650 of 5,891), who stand as the person: the survey's year has no
    code for the people within a household. Option features: duration (hours, door to door), cost
    (pounds), and of public transport also access, rail, bus, interchange_waiting and
    interchange_walking (hours, parts of its duration) and interchanges (how many). Household:
    car_ownership. Context: purpose, day_of_week (1-7), start_hour, age (years), female,
    driving_license, fuel (of the car), distance_m (straight line, metres). Hillel, Elshafie & Jin
    2018.
    """
    return _load("london")


def conjoint() -> Records:
    """1,145 Americans choose which of two applicants to admit, 5 times each.

    Nine attributes of the applicants are the option features, all words; they were randomised, so
    their effects are causal. Some combinations were left out by design: high-skill jobs go with
    education, escape from persecution with some countries. People: ethnocentrism (-99 to 100, null
    if not measured) and where two attributes stood in the list they saw. Hainmueller, Hopkins &
    Yamamoto 2014.
    """
    return _load("conjoint")


def convincing_arguments() -> Records:
    """68,081 judgements by 3,128 crowd workers: which of two arguments on the same side of a debate
    is more convincing, or are they equal?

    1,052 arguments on 32 sides of 16 debates; the options carry `text` and `embedding` (384
    numbers of the sentence model all-MiniLM-L6-v2, in half precision), so that nothing needs to be
    read by a model. Context: debate, worker_stance (same, opposite, none; null for half of the
    rows, who were not asked), day. Habernal & Gurevych 2016.
    """
    arguments = pq.read_table(_FOLDER / "arguments.parquet").combine_chunks()
    votes = pq.read_table(_FOLDER / "judgments.parquet").combine_chunks()
    shown = np.column_stack([votes["first"], votes["second"]]).ravel()
    outcome = pc.index_in(votes["choice"], pa.array(["a1", "a2", "equal"]))
    columns = {"option": "argument", "text": "text", "embedding": "embedding"}
    return Records.from_arrays(
        options={
            name: pa.DictionaryArray.from_arrays(shown.astype(np.int32), arguments[column].chunk(0))
            for name, column in columns.items()
        },
        menu_sizes=np.full(len(votes), 2),
        kind="pair",
        rows={
            "person": votes["worker"],
            "outcome": outcome,
            "debate": arguments["debate"].take(votes["first"]),
            "worker_stance": votes["worker_stance"],
            "day": votes["day"],
        },
        extras=("embedding",),
    )


def write_sample(name: str, folder: Path) -> Path:
    """Put a sample's Parquet file and the description beside it into a folder; the file's path."""
    for suffix in (".toml", ".parquet"):
        shutil.copyfile(_FOLDER / f"{name}{suffix}", folder / f"{name}{suffix}")
    return folder / f"{name}.parquet"


def _load(name: str) -> Records:
    return read(_FOLDER / f"{name}.parquet", _FOLDER / f"{name}.toml").records
