"""Complete the OpenAPI document: problem responses, authentication, and links to new rows."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from model_registry.api.dispatch.openai_document import openai_paths
from model_registry.api.dispatch.openapi import dispatch_paths
from model_registry.api.problems import Problem, responses

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a Supabase JWT."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_TOO_LARGE = 413
_BOUNDS = frozenset({408, _TOO_LARGE, 414, 422, 429, 431})


def describe(app: FastAPI) -> None:
    """Extend the app's generated OpenAPI document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            components = document.setdefault("components", {})
            schemas = components.setdefault("schemas", {})
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= problem.pop("$defs", {})
            schemas["Problem"] = problem
            document["paths"] |= dispatch_paths() | openai_paths()
            components["securitySchemes"] = _SCHEMES
            _say_what_any_request_may_get(document)
            _say_who_may(document)
            _say_what_next(document)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


def _say_what_any_request_may_get(document: dict[str, Any]) -> None:
    """Document what `http_protocol.py` and `guarded_route.py` enforce for every route: limits, and known names only."""
    for operations in document["paths"].values():
        for operation in operations.values():
            bounds = _BOUNDS if "requestBody" in operation else _BOUNDS - {_TOO_LARGE}
            for status, response in responses(*bounds).items():
                operation["responses"].setdefault(str(status), response)


def _say_who_may(document: dict[str, Any]) -> None:
    """Document that writes require a key, and replace FastAPI's own 422 response by a problem document."""
    for operations in document["paths"].values():
        for method, operation in operations.items():
            if method in ("post", "put", "patch", "delete"):
                operation.setdefault("security", [{"bearer": []}, {"apiKey": []}])
            for status, response in operation["responses"].items():
                if status == "422" and "HTTPValidationError" in str(response.get("content")):
                    response["content"] = {
                        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                    }


def _say_what_next(document: dict[str, Any]) -> None:
    """Link a new row's id to the paths that take it, for tools that explore the API."""
    paths = document["paths"]
    for path, operations in paths.items():
        made = operations.get("post", {}).get("responses", {}).get("201")
        if made is None:
            continue
        plural = path.removesuffix("/register")
        below = [paths[found] for found in paths if found.startswith(f"{plural}/{{reference}}")]
        made["links"] = {
            operation["operationId"]: {
                "operationId": operation["operationId"],
                "parameters": {"reference": "$response.body#/id"},
            }
            for operations_below in below
            for operation in operations_below.values()
        }
