"""The OpenAPI document of a decision service, made from the types that decode its requests."""

import functools
from typing import Any

import msgspec

from penchant.serving.asking import QuestionRequest
from penchant.serving.decision_model import ModelConfig
from penchant.serving.studies import Study
from penchant.serving.wire import (
    Correction,
    FeedbackAnswer,
    FeedbackRequest,
    Limits,
    RankAnswer,
    RankRequest,
)

_TYPES = (
    RankRequest, RankAnswer, FeedbackRequest, FeedbackAnswer, Correction, ModelConfig, Study,
    QuestionRequest,
)  # fmt: skip
_REFUSALS = {
    "400": "The body cannot be used; `error` says why.", "401": "No key.", "403": "Not this key.",
    "405": "Not this method.",
    "413": "Too large.", "415": "No JSON.",
    "429": "Too many requests.", "503": "It could not be kept; send it again.",
}  # fmt: skip


@functools.cache
def described(limits: Limits) -> dict[str, Any]:
    """OpenAPI 3.1. limits: told where a schema can tell them."""
    _, schemas = msgspec.json.schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    schemas["RankRequest"]["properties"]["options"]["maxItems"] = limits.options
    schemas["FeedbackRequest"]["properties"]["value"] = {
        "description": "reward, rating: a number; pick: an option's id or null; ranking: ids, best "
        "first; edit: {after, before}, which teaches by the share of words that it left, or the "
        "edited text alone, which teaches nothing; text: a string, which is kept and teaches "
        "nothing."
    }
    person = _parameter("person")
    return {
        "openapi": "3.1.0",
        "info": {"title": "penchant decision service", "version": "1"},
        "security": [{"key": []}],
        "paths": {
            "/v1/rank": {"post": _told("What to show", "RankRequest", "RankAnswer", "409")},
            "/v1/feedback": {
                "post": _told("What came of it", "FeedbackRequest", "FeedbackAnswer", "409")
            },
            "/v1/people/{person}": {
                "parameters": [person],
                "get": _told("What is known and believed of a person", None, None, "404"),
                "delete": _told("Erase a person, and their influence", None, None, "404"),
            },
            "/v1/people/{person}/corrections": {
                "parameters": [person],
                "post": _told("Correct a feedback", "Correction", None, "404"),
            },
            "/v1/models": {"get": _told("The models, live and shadows")},
            "/v1/models/{model}": {
                "parameters": [_parameter("model")],
                "put": _told("A model that learns beside the live one", "ModelConfig"),
            },
            "/v1/models/{model}/promote": {
                "parameters": [_parameter("model")],
                "post": _told("This model decides from now on", None, None, "404"),
            },
            "/v1/models/rollback": {"post": _told("What decided before decides again")},
            "/v1/studies": {"get": _told("What people can be asked about")},
            "/v1/studies/{study}": {
                "parameters": [_parameter("study")],
                "get": _told("A study, and what its answers made believed", None, None, "404"),
                "put": _told("A study that people can be asked about", "Study"),
            },
            "/v1/studies/{study}/questions": {
                "parameters": [_parameter("study")],
                "post": _told("The next question, durable", "QuestionRequest", None, "404"),
            },
            "/v1/studies/{study}/answers": {
                "parameters": [_parameter("study")],
                "post": _told(
                    "An answer to a question of the study",
                    "FeedbackRequest",
                    "FeedbackAnswer",
                    "404",
                ),
            },
            "/v1/console": {"get": _told("What /console draws: traffic, rewards, alerts")},
            "/ask": {"get": {**_told("The page that asks", kind="text/html"), "security": []}},
            "/console": {"get": {**_told("The page to watch", kind="text/html"), "security": []}},
            "/v1/report": {"get": _told("What each model would have earned on the log")},
            "/health": {"get": {**_told("Whether it serves"), "security": []}},
            "/metrics": {"get": _told("Counts, as Prometheus reads them", kind="text/plain")},
            "/openapi.json": {"get": {**_told("This document"), "security": []}},
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _told(
    summary: str, asks: str | None = None, answers: str | None = None, *further: str,
    kind: str = "application/json",
) -> dict[str, Any]:  # fmt: skip
    schema = {"$ref": f"#/components/schemas/{answers}"} if answers else {}
    reasons = {"404": "There is no such thing.", "409": "That name says something else already."}
    told: dict[str, Any] = {
        "summary": summary,
        "responses": {
            "200": {"description": "Done.", "content": {kind: {"schema": schema}}},
            **{
                status: {"description": why}
                for status, why in (*_REFUSALS.items(), *((s, reasons[s]) for s in further))
            },
        },
    }
    if asks:
        told["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{asks}"}}},
        }
    return told


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
