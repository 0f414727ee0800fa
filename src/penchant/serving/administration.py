"""What a decision service does besides deciding: people, models, the report."""

import queue
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from penchant.serving.asking import (
    answers_of,
    ask,
    belief_of,
    check_study,
    keep_answer,
    told_belief,
)
from penchant.serving.console import console_document
from penchant.serving.database import Database
from penchant.serving.decision_model import model_config
from penchant.serving.event_store import EventStore
from penchant.serving.learner import Student
from penchant.serving.models import models_of, promote, put_model, roll_back
from penchant.serving.people import person_document
from penchant.serving.publication import published
from penchant.serving.studies import (
    checked_answer,
    kept_question,
    put_study,
    studies_of,
    study_named,
    study_of,
)
from penchant.serving.wire import (
    Limits,
    checked_value,
    correction,
    feedback_body,
    kept_feedback,
    named,
)

# Seconds.
_LONGEST_REPORT = 120.0
# Tenants that are served at once, each on a connection of its own.
_NUM_LANES = 4


@dataclass(frozen=True, slots=True)
class Said:
    """A status of HTTP and a document."""

    status: int
    document: Any


class _Lane:
    """A connection, opened at its first use, and chance, for one request at a time."""

    def __init__(self, database: Database, generator: np.random.Generator) -> None:
        self._database, self.generator = database, generator

    @cached_property
    def store(self) -> EventStore:
        return EventStore(self._database, for_reading=True)

    def close(self) -> None:
        if "store" in self.__dict__:
            self.store.close()


_Act = Callable[[_Lane, str, Sequence[str], bytes], Said]


@dataclass(frozen=True, slots=True)
class Route:
    """act: takes the tenant, the names and the body, and time. right: what a key must be allowed.
    names: what the path named. is_alone: whether no other such is to be acted on meanwhile, not of
    another tenant either."""

    act: Callable[[str, Sequence[str], bytes], Said]
    right: str
    names: tuple[str, ...]
    has_body: bool = False
    is_alone: bool = False


class Administration:
    """Slow requests. Those of one tenant are to come one after the other; reports, which take
    seconds, one after the other among themselves."""

    def __init__(self, database: Database, limits: Limits, generator: np.random.Generator) -> None:
        self._database = database
        self._limits = limits
        self._free: queue.LifoQueue[_Lane] = queue.LifoQueue()
        self._lanes = [_Lane(database, each) for each in generator.spawn(_NUM_LANES)]
        for lane in self._lanes:
            self._free.put(lane)
        self._routes: dict[tuple[str, str], tuple[_Act, str, bool]] = {
            ("GET", "people/*"): (self._person, "read", False),
            ("DELETE", "people/*"): (self._erase, "change", False),
            ("POST", "people/*/corrections"): (self._correct, "change", True),
            ("GET", "models"): (self._models, "read", False),
            ("PUT", "models/*"): (self._put, "change", True),
            ("POST", "models/*/promote"): (self._promote, "change", False),
            ("POST", "models/rollback"): (self._roll_back, "change", False),
            ("GET", "report"): (self._report, "read", False),
            ("GET", "console"): (self._console, "read", False),
            ("GET", "studies"): (self._studies, "ask", False),
            ("PUT", "studies/*"): (self._put_study, "change", True),
            ("GET", "studies/*"): (self._study, "ask", False),
            ("POST", "studies/*/questions"): (self._ask, "ask", True),
            ("POST", "studies/*/answers"): (self._answer, "ask", True),
        }

    def route(self, method: str, parts: Sequence[str]) -> Route | None:
        """What is to be done for a path, its parts unquoted; None where there is nothing."""
        for of, route in self._of(parts):
            if of == method:
                return route
        return None

    def methods(self, parts: Sequence[str]) -> list[str]:
        """What a path takes; nothing where it is none."""
        return [of for of, _ in self._of(parts)]

    def _of(self, parts: Sequence[str]) -> Iterator[tuple[str, Route]]:
        for (of, pattern), (act, right, has_body) in self._routes.items():
            form = ["v1", *pattern.split("/")]
            pairs = list(zip(form, parts))
            if len(form) == len(parts) and all(own in ("*", part) for own, part in pairs):
                names = tuple(part for own, part in pairs if own == "*")
                yield of, Route(self._in_lane(act), right, names, has_body,
                                is_alone=act == self._report)  # fmt: skip

    def _in_lane(self, act: _Act) -> Callable[[str, Sequence[str], bytes], Said]:
        def acted(tenant: str, names: Sequence[str], body: bytes) -> Said:
            lane = self._free.get()
            try:
                return act(lane, tenant, names, body)
            finally:
                self._free.put(lane)

        return acted

    def close(self) -> None:
        """Nothing is asked any more."""
        for lane in self._lanes:
            lane.close()

    def _person(self, lane: _Lane, tenant: str, names: Sequence[str], body: bytes) -> Said:
        models = models_of(lane.store, tenant)
        found = published(lane.store, tenant, models.live)
        learnt = found.learnt if found else Student.beginner(models.configs[models.live]).learnt
        config = models.configs[models.live]
        document = person_document(lane.store, tenant, names[0], learnt.belief(), config)
        if document is None:
            return _nobody(names[0])
        return Said(200, {**document, "model": models.live})

    def _erase(self, lane: _Lane, tenant: str, names: Sequence[str], body: bytes) -> Said:
        gone = lane.store.erase_person(tenant, names[0])
        return Said(200, {"erased": gone}) if gone else _nobody(names[0])

    def _correct(self, lane: _Lane, tenant: str, names: Sequence[str], body: bytes) -> Said:
        asked = correction(body)
        kept = lane.store.fetch(
            "SELECT f.entry_id, f.kind, f.body, e.answer FROM entries f JOIN entries e "
            "ON e.tenant = f.tenant AND e.event_id = f.event_id AND e.entry_id = '' "
            "WHERE f.tenant = ? AND f.event_id = ? AND f.entry_id IN (?, ?) AND e.person = ? "
            "AND f.entry_id <> '' "
            "ORDER BY f.entry_id = ? DESC",
            tenant, asked.event_id, asked.feedback_id, named(asked.feedback_id), names[0],
            asked.feedback_id,
        )  # fmt: skip
        if not kept:
            return Said(404, {"error": "this person has no such feedback; GET /v1/people/{id} "
                              "tells event_id and feedback_id of each."})  # fmt: skip
        entry_id, kind, before, answer = kept[0]
        value = checked_value(kind, asked.value, self._limits)
        changed = feedback_body(kind, value, kept_feedback(before).time)
        said = kept_question(answer)
        if said.question is not None:
            kept_value = kept_feedback(changed).value
            checked_answer(said.question, said.ranking, kind, kept_value)
        lane.store.correct(tenant, asked.event_id, entry_id, changed)
        return Said(200, {"corrected": True})

    def _models(self, lane: _Lane, tenant: str, names: Sequence[str], body: bytes) -> Said:
        return Said(200, _told_models(lane.store, tenant))

    def _console(self, lane: _Lane, tenant: str, names: Sequence[str], body: bytes) -> Said:
        with lane.store.reading():
            return Said(200, console_document(lane.store, tenant, _told_models(lane.store, tenant)))

    def _studies(self, lane: _Lane, tenant: str, names: Sequence[str], body: bytes) -> Said:
        return Said(200, {"studies": [
            {"name": name, "question": study.question, "kinds": study.kinds,
             "options": len(study.options)}
            for name, study in studies_of(lane.store, tenant).items()
        ]})  # fmt: skip

    def _put_study(self, lane: _Lane, tenant: str, names: Sequence[str], body: bytes) -> Said:
        study = study_of(body)
        check_study(study, self._limits)
        put_study(lane.store, tenant, names[0], study)
        return Said(200, {"name": names[0]})

    def _study(self, lane: _Lane, tenant: str, names: Sequence[str], body: bytes) -> Said:
        study = study_named(lane.store, tenant, names[0])
        if study is None:
            return _no_study(names[0])
        document = {"name": names[0], "study": study}
        if study.shows_belief:
            answers = answers_of(lane.store, tenant, names[0], study)
            document["belief"] = told_belief(study, answers, belief_of(study, answers))
        return Said(200, document)

    def _ask(self, lane: _Lane, tenant: str, names: Sequence[str], body: bytes) -> Said:
        study = study_named(lane.store, tenant, names[0])
        if study is None:
            return _no_study(names[0])
        return Said(200, ask(lane.store, tenant, names[0], study, body, lane.generator))

    def _answer(self, lane: _Lane, tenant: str, names: Sequence[str], body: bytes) -> Said:
        kept = keep_answer(lane.store, tenant, names[0], body, self._limits)
        if kept is None:
            told = f"the study {names[0]!r:.100} asked no such question; ask for one first."
            return Said(404, {"error": told})
        return Said(200, kept)

    def _put(self, lane: _Lane, tenant: str, names: Sequence[str], body: bytes) -> Said:
        put_model(lane.store, tenant, names[0], model_config(body))
        return Said(200, {"name": names[0]})

    def _promote(self, lane: _Lane, tenant: str, names: Sequence[str], body: bytes) -> Said:
        models = models_of(lane.store, tenant).configs
        if names[0] not in models:
            told = f"there is no model {names[0]!r:.100}; expected one of {', '.join(models)}."
            return Said(404, {"error": told})
        promote(lane.store, tenant, names[0])
        return Said(200, {"live": names[0]})

    def _roll_back(self, lane: _Lane, tenant: str, names: Sequence[str], body: bytes) -> Said:
        return Said(200, {"live": roll_back(lane.store, tenant)})

    def _report(self, lane: _Lane, tenant: str, names: Sequence[str], body: bytes) -> Said:
        # Seconds of work: beside this process, not in a thread that shares its interpreter.
        command = [sys.executable, "-m", "penchant.serving.decision_report"]
        try:
            done = subprocess.run(
                [*command, tenant], input=self._database.address.encode(), capture_output=True,
                check=True, timeout=_LONGEST_REPORT,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            told = f"the report took more than {_LONGEST_REPORT:.0f} seconds and was given up."
            return Said(503, {"error": told})
        return Said(200, msgspec.json.decode(done.stdout))


def _told_models(store: EventStore, tenant: str) -> dict[str, Any]:
    models, told = models_of(store, tenant), []
    for name, config in models.configs.items():
        found = published(store, tenant, name)
        mode = "shadow" if name != models.live else "live"
        told.append({
            "name": name, "is_apprentice": config.is_apprentice, "mode": mode,
            "config": msgspec.json.decode(config.as_json()),
            "belief": found.position.seq if found else 0,
            "rewards": found.learnt.rounds if found else 0,
            "columns": len(found.learnt.coder) if found else 0,
            "columns_left_out": found.learnt.left_out if found else 0,
            "unusable_feedback": found.unusable if found else 0,
            "rating_cut_points": found.learnt.cut_points.tolist() if found else [],
        })  # fmt: skip
    return {"live": models.live, "before": models.before, "models": told}


def _no_study(name: str) -> Said:
    return Said(404, {"error": f"there is no study {name!r:.100}; GET /v1/studies tells which."})


def _nobody(name: str) -> Said:
    return Said(404, {"error": f"nothing is known of a person {name!r:.100}."})
