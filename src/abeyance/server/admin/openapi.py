"""The API as an OpenAPI 3.1 document, made of the routes themselves."""

import re
from typing import Any, Final

import msgspec

from abeyance import __version__
from abeyance.oauth.metadata import Endpoints
from abeyance.server.admin.route import AdminRoute
from abeyance.server.admin.scopes import SCOPES

_REFERENCE: Final = "#/components/schemas/{name}"
_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable, for programs"},
        "detail": {"type": "string"},
        "member": {"type": "string", "description": "The part of the body that is wrong"},
    },
}
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "schema": {"type": "string"},
    "description": "The ETag of what you have seen",
}
_IDEMPOTENCY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 16, "maxLength": 200},
    "description": "Repeating a call with the same key gives the same answer, for a day",
}


def describe(endpoints: Endpoints, routes: tuple[AdminRoute, ...]) -> dict[str, Any]:
    """The document; a test holds it against what is served."""
    kinds = {kind for route in routes for kind in (route.body, route.told) if kind is not None}
    ordered = sorted(kinds, key=lambda kind: str(kind.__name__))
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Abeyance admin API",
            "version": __version__,
            "description": "Clients, people, consents, pending requests and decisions.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": endpoints.admin}],
        "security": [{"oauth": sorted(SCOPES)}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": _PROBLEM},
            "securitySchemes": {
                "oauth": {
                    "type": "oauth2",
                    "description": f"Tokens of this server for the resource {endpoints.admin}, "
                    "as Bearer or, if they are bound, with a DPoP proof.",
                    "flows": {
                        "clientCredentials": {
                            "tokenUrl": endpoints.token,
                            "scopes": dict(SCOPES),
                        },
                        "authorizationCode": {
                            "authorizationUrl": endpoints.authorization,
                            "tokenUrl": endpoints.token,
                            "scopes": dict(SCOPES),
                        },
                    },
                }
            },
        },
    }


def _operation(route: AdminRoute) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    for query in route.query:
        schema: dict[str, Any] = {"type": "string"}
        if query.values:
            schema["enum"] = list(query.values)
        parameters.append(
            {"name": query.name, "in": "query", "description": query.summary, "schema": schema}
        )
    if route.is_guarded:
        parameters.append(_IF_MATCH)
    if route.method == "POST":
        parameters.append(_IDEMPOTENCY)
    answer: dict[str, Any] = {"description": route.summary}
    if route.told is not None:
        answer["content"] = _json(route.told)
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{re.sub(r'[^A-Za-z]+', '_', route.path)}".rstrip(
            "_"
        ),
        "summary": route.summary,
        "security": [{"oauth": [route.scope]}],
        "parameters": parameters,
        "responses": {
            str(route.status): answer,
            "default": {
                "description": "It did not come to that",
                "content": {
                    "application/problem+json": {
                        "schema": {"$ref": _REFERENCE.format(name="Problem")}
                    }
                },
            },
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _json(route.body)}
    return operation


def _json(kind: Any) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(name=kind.__name__)}}}
