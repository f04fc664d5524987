"""The registry's own errors in the shape of OpenAI's, which clients of its protocol read."""

from __future__ import annotations

import orjson
from starlette.responses import Response

from model_registry.api.problems import problem_response, summary
from model_registry.entities.json_types import Json
from model_registry.entities.secret_text import mask_secrets
from model_registry.errors import (
    DispatchError,
    Incomplete,
    Invalid,
    ModelNotFound,
    NotAllowed,
    NotAuthenticated,
    RegistryError,
    TooManyRequests,
)

_MEDIA_TYPE = "application/json"
_SERVER_ERROR = 500
_CODES: dict[type[RegistryError], str] = {
    ModelNotFound: "model_not_found",
    NotAuthenticated: "invalid_api_key",
    NotAllowed: "insufficient_permissions",
    TooManyRequests: "rate_limit_exceeded",
}
"""What OpenAI calls it, where it has the same error; otherwise the registry's own code stands there."""
_OF_MODEL = (ModelNotFound, Incomplete)


def openai_error(message: str, kind: str, code: str, param: str | None) -> dict[str, Json]:
    """An error as OpenAI writes it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def openai_problem(error: RegistryError) -> Response:
    """The response to an error: status and headers as everywhere, and the body as OpenAI writes it."""
    problem = problem_response(error)
    detail = orjson.loads(problem.body)
    kind = "server_error" if problem.status_code >= _SERVER_ERROR else "invalid_request_error"
    param = "model" if isinstance(error, _OF_MODEL) or (isinstance(error, Invalid) and _is_of_model(error)) else None
    code = _CODES.get(type(error), detail["code"])
    message = f"{error.title()}: {detail['detail']}"
    if isinstance(error, DispatchError) and error.reasons:  # these have no other place
        message = f"{message.removesuffix('.')} ({summary(error.reasons)})."
    body = openai_error(mask_secrets(message), kind, code, param)
    response = Response(orjson.dumps(body), problem.status_code, media_type=_MEDIA_TYPE)
    for name in ("retry-after", "www-authenticate"):
        if (value := problem.headers.get(name)) is not None:
            response.headers[name] = value
    return response


def _is_of_model(error: RegistryError) -> bool:
    return any(reason.where == "model" for reason in error.reasons)
