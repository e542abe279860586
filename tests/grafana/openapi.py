"""Checks each request against Grafana's own OpenAPI description, where ../shared holds it (it may not be copied into this repository).

The description is loose: it is mended where the real server is known to take more than it says, and closed, so that a
misspelt key is found.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry
from referencing.jsonschema import DRAFT202012

DESCRIPTION = Path(__file__).parents[3] / "shared" / "grafana" / "openapi3-12.3.0.json"
RECORDINGS = DESCRIPTION.parent / "recordings"
HERE = "urn:grafana"
ABSENT = re.compile(r"/api/(frontend/settings|prometheus/.*|alertmanager/.*|health)")  # served, but not described
Json = dict[str, Any]


@functools.cache
def description() -> Json:
    """The whole description, mended and closed."""
    spec: Json = json.loads(DESCRIPTION.read_text("utf-8").replace('"#/components/', f'"{HERE}#/components/'))
    schemas = spec["components"]["schemas"]
    for name in ("ProvisionedAlertRule",):
        for key in ("for", "keep_firing_for"):
            schemas[name]["properties"][key].pop("format", None)  # 5m, not ISO 8601
        for key in ("noDataState", "execErrState"):
            schemas[name]["properties"][key]["enum"] = ["Alerting", "NoData", "OK", "Error", "KeepLast"]
    schemas["MuteTimeInterval"]["properties"]["time_intervals"]["items"] = {"$ref": f"{HERE}#/components/schemas/TimeIntervalItem"}
    schemas["EmbeddedContactPoint"]["properties"]["type"].pop("enum", None)  # an old list
    for schema in schemas.values():
        _close(schema)
    return spec


def _close(schema: Json) -> None:
    if schema.get("type") == "object" and schema.get("properties") and "additionalProperties" not in schema and "allOf" not in schema:
        schema["additionalProperties"] = False
    for child in (*schema.get("properties", {}).values(), *([schema["items"]] if isinstance(schema.get("items"), dict) else [])):
        _close(child)


def checker() -> Callable[[str, str, Any], str | None] | None:
    """(method, path, body) -> one line on what is wrong, or None. No checker where the description is absent."""
    return _violation if DESCRIPTION.is_file() else None


def _violation(method: str, path: str, body: Any) -> str | None:
    if ABSENT.fullmatch(path):
        return None
    operation = operation_of(method, path)
    if operation is None:
        return f"{method} {path} is not in the description"
    schema = body_of(operation)
    if schema is None:
        return None if body is None else f"{method} {path} has a body, and the description knows of none"
    if body is None:
        return f"{method} {path} has no body"
    validator = jsonschema.Draft202012Validator(schema, registry=_registry())
    errors = sorted(validator.iter_errors(body), key=lambda error: list(error.absolute_path))
    return f"{method} {path}: {errors[0].json_path} {errors[0].message[:200]}" if errors != [] else None


@functools.cache
def _registry() -> Registry[Any]:
    """The description under a name of its own: looked through once, not for each request."""
    registry: Registry[Any] = Registry().with_resource(HERE, DRAFT202012.create_resource({"components": description()["components"]}))
    return registry.crawl()


@functools.cache
def operation_of(method: str, path: str) -> Json | None:
    """The operation of a path; fixed segments go before parameters."""
    inside = path.removeprefix("/api").rstrip("/")
    found: list[tuple[int, Json]] = []
    for template, operations in description()["paths"].items():
        pattern = re.sub(r"\\{[^/]+\\}", "[^/]+", re.escape(template))
        if method.lower() in operations and re.fullmatch(pattern, inside):
            found.append((template.count("{"), operations[method.lower()]))
    return min(found, key=lambda pair: pair[0])[1] if found != [] else None


def body_of(operation: Json) -> Json | None:
    """The schema of its JSON body."""
    body = operation.get("requestBody")
    if body is None:
        return None
    if "$ref" in body:
        body = description()["components"]["requestBodies"][body["$ref"].rsplit("/", 1)[1]]
    schema: Json = body["content"]["application/json"]["schema"]
    return schema
