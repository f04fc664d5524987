"""`/v1/chat/completions` and the other paths of OpenAI's protocol: requests for language models, passed on."""

from __future__ import annotations

from functools import partial

from model_registry.api.dispatch.door import Door
from model_registry.api.dispatch.model_field import ModelField, model_field
from model_registry.api.dispatch.request import DispatchRequest
from model_registry.api.guarded_route import too_many_values
from model_registry.api.openai_problems import openai_problem
from model_registry.entities.openai_paths import OPENAI_PATHS, OpenAIPath
from model_registry.errors import BodyTooLarge, Invalid, NotAllowed, Reason, UpstreamFailed
from model_registry.services.dispatch.answer import Answer
from model_registry.services.dispatch.dispatcher import Dispatcher
from model_registry.services.dispatch.header_rules import Header
from model_registry.services.dispatch.language_models import LanguageModels
from model_registry.services.dispatch.language_routes import Route
from model_registry.services.dispatch.plan import Plan
from model_registry.services.dispatch.targets import Target
from model_registry.settings import Settings
from model_registry.store.registry import Registry

MOST_BYTES = 32 * 2**20
"""Of a body: `model` may stand at its end. OpenAI takes audio of 25 MB."""
IDLE_SECONDS = 600.0
"""The longest silence of an upstream. Clients of OpenAI wait as long; a model that is being loaded says nothing."""
_LARGE_BYTES = 2**20
_KEYS = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
"""Headers of a caller that no upstream gets: what is a key for the registry is none for a provider."""
_KEY_REFUSED = 401
_ERRORS = 400


class LanguageModelDoors:
    """Passes requests on to language models."""

    def __init__(self, settings: Settings, registry: Registry, dispatcher: Dispatcher, models: LanguageModels) -> None:
        self._registry = registry
        self._dispatcher = dispatcher
        self._models = models
        self._most_tries = settings.most_retries + 1
        self._keys = models.keys

    def doors(self) -> dict[str, Door]:
        """The paths, and what takes them."""
        return {
            path: Door(partial(self.ask, asked), frozenset({"POST"}), path, problem=openai_problem)
            for path, asked in OPENAI_PATHS.items()
        }

    async def ask(self, path: OpenAIPath, request: DispatchRequest) -> None:
        """Pass a request on to what serves its `model`.

        Errors: BodyTooLarge, Incomplete, Invalid, ModelNotFound, NotAllowed, ProtocolUnsupported, those of
        `Dispatcher.dispatch`.
        """
        request.capability = path.capability
        if request.asked.get(b"content-encoding", b"identity") != b"identity":
            raise _invalid("Content-Encoding", "send the body as it is: its `model` must be read")
        body, whole = await request.read(MOST_BYTES)
        if not whole:
            raise BodyTooLarge(f"The body is larger than {MOST_BYTES // 2**20} MiB.")
        if len(body) > _LARGE_BYTES and too_many_values(body):
            raise BodyTooLarge("The body contains too many values. Split it into several requests.")
        field = model_field(body, request.asked.get(b"content-type", b"").decode("latin-1"))
        route = self._models.route(self._registry.snapshot, field.name, path)
        if not request.caller.may_use(*route.names):
            raise NotAllowed(f"API key {request.caller.name!r} may not ask {field.name!r}.")
        request.name = route.names[0]
        if not route.targets:
            raise route.refusal()
        answer = await self._dispatcher.dispatch(self._plan(request, path, route, field, body), _headers(request))
        if answer.status == _KEY_REFUSED:
            with answer:
                raise _key_refused(answer)
        variable = answer.target.authorisation_variable
        key = self._keys.value(variable) if variable is not None and answer.status >= _ERRORS else None
        await (request.respond(answer) if key is None else respond_masked(request, answer, key.encode()))

    def _plan(self, request: DispatchRequest, path: OpenAIPath, route: Route, field: ModelField, body: bytes) -> Plan:
        query = request.scope["query_string"]
        return Plan(
            name=request.name,
            capability=path.capability,
            targets=route.targets,
            strategy=route.strategy,
            repeatable=True,
            total_seconds=None,
            method=b"POST",
            path=path.below.encode() + (b"?" + query if query else b""),
            body=body,
            streams=True,
            idle_seconds=IDLE_SECONDS,
            most_tries=min(self._most_tries, len(route.targets)),  # the same one again is for the client to decide
            rewrite=partial(_with_name_of, field),
        )


async def respond_masked(request: DispatchRequest, answer: Answer, secret: bytes) -> None:
    """Send an upstream's error as it comes, with every copy of a secret made unreadable, at the same length.

    Errors: those of `Answer.read`.
    """
    stars = b"*" * len(secret)
    with answer:
        answer.headers = [(name, value.replace(secret, stars)) for name, value in answer.headers]
        await request.begin(answer)
        held, more = b"", True
        while more:
            data = held + (b"" if answer.complete else await answer.read())
            more = not answer.complete
            data = data.replace(secret, stars)
            sure = max(0, len(data) - len(secret) + 1) if more else len(data)
            held = data[sure:]
            await request.send({"type": "http.response.body", "body": data[:sure], "more_body": more})


def _with_name_of(field: ModelField, target: Target, body: bytes) -> bytes:
    """The body with the model's name at a target."""
    return body if target.model in {None, field.name} else field.replaced(body, target.model or "")


def _headers(request: DispatchRequest) -> list[Header]:
    return [header for header in request.upstream_headers() if header[0] not in _KEYS]


def _key_refused(answer: Answer) -> UpstreamFailed:
    """What the caller gets for an upstream's 401, which is about the registry's key and not about theirs."""
    variable = answer.target.authorisation_variable
    what = f"the key in {variable}" if variable else "a request without a key: its provider names no api_key_env_var"
    message = f"{answer.service} refused {what} (401). That is the registry's to mend, not yours."
    return UpstreamFailed(message, attempts=answer.attempts, service=answer.service)


def _invalid(where: str, message: str) -> Invalid:
    return Invalid(f"{where}: {message}", reasons=[Reason(where, message)])
