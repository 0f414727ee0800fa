"""Real choices that come with the package; whose they are stands in NOTICE.md beside them."""

from pathlib import Path

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


def _load(name: str) -> Records:
    return read(_FOLDER / f"{name}.parquet", _FOLDER / f"{name}.toml").records
