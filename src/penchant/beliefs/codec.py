"""Frozen dataclasses to JSON and back, arrays beside them; no pickle, nothing but penchant's own.

A dataclass is written as {"class": "penchant.module:Name", "fields": {..}}, a tuple as
{"tuple": [..]}, a mapping as {"map": [[key, value], ..]}, an array as {"array": "key"} with the
array itself in a dict that goes to safetensors. A field with `metadata={"travels": False}`, such as
a folder of one machine, is neither written nor read: it has its default again.
"""

import dataclasses
import importlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from penchant.errors import BeliefError

# JSON values and the dataclasses they stand for have no common static type.
Plain = Any


def to_plain(value: Plain, arrays: dict[str, np.ndarray], key: str = "") -> Plain:
    """A JSON-ready copy of `value`; arrays met on the way go to `arrays` under their path."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        return {
            "class": f"{kind.__module__}:{kind.__qualname__}",
            "fields": {
                field.name: to_plain(getattr(value, field.name), arrays, f"{key}.{field.name}")
                for field in dataclasses.fields(value)
                if field.init and _travels(field)
            },
        }
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiub":
            return {"tuple": [to_plain(item, arrays) for item in value.tolist()]}
        arrays[key.lstrip(".")] = np.ascontiguousarray(value)
        return {"array": key.lstrip(".")}
    if isinstance(value, np.generic):
        return to_plain(value.item(), arrays)
    if isinstance(value, Mapping):
        pairs = [[to_plain(k, arrays), to_plain(v, arrays, f"{key}.{k}")] for k, v in value.items()]
        return {"map": pairs}
    if isinstance(value, tuple | list):
        return {"tuple": [to_plain(v, arrays, f"{key}.{i}") for i, v in enumerate(value)]}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{key or 'the value'} is a {type(value).__name__}, which JSON cannot hold")


def from_plain(plain: Plain, arrays: Mapping[str, np.ndarray]) -> Plain:
    """What `to_plain` wrote. Only frozen dataclasses of penchant are ever built.

    Raises `BeliefError` where the JSON names anything else, or fields that the class lacks.
    """
    if not isinstance(plain, dict):
        return plain
    if "class" in plain:
        kind = _own_dataclass(plain["class"])
        known = {field.name for field in dataclasses.fields(kind) if field.init}
        # Older versions wrote them: they spoke of the machine that fitted.
        stays = {field.name for field in dataclasses.fields(kind) if not _travels(field)}
        fields = plain.get("fields")
        if not isinstance(fields, dict) or set(fields) - known:
            raise BeliefError(
                f"the belief stores {plain['class']} with fields "
                f"{sorted(set(fields or ()) - known)} that this version does not have. It was "
                "written by another version of penchant: fit again, or install that version."
            )
        try:
            kept = {name: item for name, item in fields.items() if name not in stays}
            return kind(**{name: from_plain(item, arrays) for name, item in kept.items()})
        except (TypeError, ValueError) as error:
            raise BeliefError(
                f"the belief's {plain['class']} cannot be rebuilt ({error}). The folder is damaged "
                "or from another version of penchant: fit again."
            ) from error
    if "array" in plain:
        if plain["array"] not in arrays:
            raise BeliefError(
                f"belief.json speaks of an array {plain['array']!r} that belief.safetensors does "
                "not hold. The folder mixes two beliefs or is damaged: save it again."
            )
        return arrays[plain["array"]]
    if "tuple" in plain:
        return tuple(from_plain(item, arrays) for item in plain["tuple"])
    if "map" in plain:
        return {from_plain(k, arrays): from_plain(v, arrays) for k, v in plain["map"]}
    if "float" in plain:
        return float(plain["float"])
    raise BeliefError(
        f"belief.json holds an object with keys {sorted(plain)}; expected one of class, array, "
        "tuple, map, float. The file was edited or is damaged."
    )


def _travels(field: dataclasses.Field[Any]) -> bool:
    return bool(field.metadata.get("travels", True))


def _own_dataclass(path: str) -> type:
    module_name, _, name = path.partition(":")
    # Checked before the import: a belief must never be able to run foreign code.
    if module_name.split(".")[0] != "penchant" or not name.isidentifier():
        raise BeliefError(
            f"belief.json names {path!r}; only dataclasses of penchant itself are loaded. "
            "Do not load beliefs from sources you do not trust."
        )
    try:
        kind = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise BeliefError(
            f"belief.json names {path!r}, which this version of penchant does not have. "
            "Install the version that wrote it (see `version` in belief.json) or fit again."
        ) from error
    is_class = isinstance(kind, type) and dataclasses.is_dataclass(kind)
    if not is_class or not vars(kind)["__dataclass_params__"].frozen:
        raise BeliefError(f"belief.json names {path!r}, which is not a frozen dataclass.")
    return kind
