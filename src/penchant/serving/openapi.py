"""The OpenAPI document of a decision service, made from the types that decode its requests."""

import functools
from typing import Any

import msgspec

from penchant.serving.decision_model import ModelConfig
from penchant.serving.wire import (
    Correction,
    FeedbackAnswer,
    FeedbackRequest,
    Limits,
    RankAnswer,
    RankRequest,
)

_TYPES = (RankRequest, RankAnswer, FeedbackRequest, FeedbackAnswer, Correction, ModelConfig)
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
        "first; text: a string; edit: {after, before} or the edited text."
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
