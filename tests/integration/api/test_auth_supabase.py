"""With SUPABASE_URL set, the registry connects through `supabase`, and accepts the project's tokens as keys."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from support.catalogue import add_provider, names, problem
from support.replica import Replica
from support.supabase import SupabaseProject, supabase_project

StartReplica = Callable[..., Awaitable[Replica]]

PROVIDER = {"name": "p", "type": "openai"}
REPORT = {"node_id": "n", "provider_type": "ollama", "model_id": "m"}


@pytest.fixture
def project(stack: Any) -> Iterator[SupabaseProject]:
    with supabase_project(stack.environment()["POSTGREST_URL"]) as running:
        yield running


@pytest.fixture
def variables(stack: Any, project: SupabaseProject) -> dict[str, Any]:
    """Settings of a service that uses the project, without any other connection."""
    key = stack.environment()["POSTGREST_KEY"]
    return {
        "SUPABASE_URL": project.url,
        "SUPABASE_SERVICE_ROLE_KEY": key,
        "POSTGREST_URL": None,
        "POSTGREST_KEY": None,
        "MODEL_REGISTRY_AUTH_READS": True,
    }


@pytest.fixture
async def replica(start_replica: StartReplica, variables: dict[str, Any]) -> Replica:
    return await start_replica(**variables)


@pytest.fixture
async def client(replica: Replica) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with replica.anonymous() as anonymous:
        yield anonymous


async def may(client: httpx.AsyncClient, token: str) -> dict[str, int]:
    """The permissions of a token: the statuses of reading, reporting and writing."""
    headers = {"Authorization": f"Bearer {token}"}
    return {
        "read": (await client.get("/api/providers", headers=headers)).status_code,
        "report": (
            await client.post("/api/deployments", json={**REPORT, "status": "bad"}, headers=headers)
        ).status_code,
        "write": (await client.post("/api/providers", json={}, headers=headers)).status_code,
    }


REFUSED = {"read": 401, "report": 401, "write": 401}
READS = {"read": 200, "report": 403, "write": 403}
# 422: the body was read, so the key was accepted.
REPORTS = {"read": 200, "report": 422, "write": 403}
EVERYTHING = {"read": 200, "report": 422, "write": 422}


async def test_the_registry_reads_and_writes_through_the_project(replica: Replica, project: SupabaseProject) -> None:
    await add_provider(replica.client)

    assert await names(replica.client, "/api/providers") == ["ollama_local"]
    assert "/rest/v1/rpc/registry_snapshot" in project.requests
    assert "/rest/v1/rpc/registry_write" in project.requests
    assert (await replica.client.get("/readyz")).json()["dependencies"]["database"]["status"] == "ok"


async def test_a_project_that_does_not_answer_is_a_database_that_is_away(
    start_replica: StartReplica, variables: dict[str, Any]
) -> None:
    replica = await start_replica(**{**variables, "SUPABASE_URL": "http://127.0.0.1:9"})

    problem(await replica.client.get("/api/providers"), 503, "E5030")
    assert (await replica.client.get("/healthz")).status_code == 200


GATEWAY = {
    401: (b'{"message":"Invalid API key","hint":"Double check your API key."}', "service-role key"),
    402: (b'{"message":"exceed_egress_quota"}', "restricted"),
    404: (b'{"message":"no Route matched with those values"}', "SUPABASE_URL"),
    429: (b'{"message":"API rate limit exceeded"}', "limits the number"),
    502: (b'{"message":"An invalid response was received from the upstream server"}', "retry the write"),
    503: (b'{"code":"error","message":"name resolution failed"}', "retry the write"),
    522: (b"<html>522: Connection timed out</html>", "retry the write"),
    540: (b'{"message":"Project paused"}', "paused"),
    544: (b"", "retry the write"),
}


async def test_whatever_the_projects_gateway_answers_by_itself_says_what_to_do(
    replica: Replica, project: SupabaseProject
) -> None:
    await add_provider(replica.client)
    for status, (body, words) in GATEWAY.items():
        project.answer = status, body
        answer = await replica.client.post("/api/providers", json=PROVIDER)
        assert words in problem(answer, 503, "E5030")["detail"], status
        assert int(answer.headers["retry-after"]) > 0
        assert (await replica.client.get("/api/providers")).json()["count"] == 1
    project.answer = None
    assert (await replica.client.post("/api/providers", json=PROVIDER)).status_code == 201


async def test_a_signed_in_user_may_read(client: httpx.AsyncClient, project: SupabaseProject) -> None:
    assert await may(client, project.token()) == READS


async def test_the_service_role_may_do_everything(client: httpx.AsyncClient, project: SupabaseProject) -> None:
    assert await may(client, project.token(role="service_role")) == EVERYTHING


GRANTS: tuple[tuple[Any, dict[str, int]], ...] = (
    (["admin"], EVERYTHING),
    (["node"], REPORTS),
    (["read"], READS),
    (["everything"], READS),
    ([["admin"]], READS),
    ("admin", READS),
    ({"admin": False}, READS),
    (7, READS),
    (None, READS),
)


async def test_a_user_may_do_what_the_projects_administrators_granted(
    client: httpx.AsyncClient, project: SupabaseProject, subtests: pytest.Subtests
) -> None:
    for scopes, allowed in GRANTS:
        with subtests.test(scopes=scopes):
            assert await may(client, project.token(app_metadata={"registry_scopes": scopes})) == allowed


async def test_history_is_for_who_was_granted_a_scope_and_not_for_whoever_signed_up(
    client: httpx.AsyncClient, project: SupabaseProject, subtests: pytest.Subtests
) -> None:
    granted: tuple[tuple[Any, int], ...] = ((None, 403), (["everything"], 403), (["read"], 200), (["node"], 200))
    for scopes, status in granted:
        with subtests.test(scopes=scopes):
            token = project.token(app_metadata={"registry_scopes": scopes})
            for path in ("/api/changes", "/api/history", "/api/events/rejected"):
                answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})
                assert answer.status_code == status, path
                if status == 403:
                    assert "app_metadata.registry_scopes" in problem(answer, 403, "E4030")["detail"]
    service = {"Authorization": f"Bearer {project.token(role='service_role')}"}
    assert (await client.get("/api/changes", headers=service)).status_code == 200


async def test_what_users_can_write_themselves_grants_nothing(
    client: httpx.AsyncClient, project: SupabaseProject
) -> None:
    claims: dict[str, Any] = {
        "user_metadata": {"registry_scopes": ["admin"]},
        "registry_scopes": ["admin"],
        "app_metadata": "admin",
    }

    assert await may(client, project.token(**claims)) == READS


async def test_a_token_that_does_not_hold_is_refused(
    client: httpx.AsyncClient, project: SupabaseProject, subtests: pytest.Subtests
) -> None:
    good = project.token(role="service_role")
    head, body, signature = good.split(".")
    other = project.token(role="service_role", sub="someone else").split(".")[1]
    for name, token in {
        "expired": project.token(role="service_role", exp=int(time.time()) - 5),
        "without an end": project.token(role="service_role", exp=None),
        "signed with another key": project.token(role="service_role", key=generate_private_key(SECP256R1())),
        "of an unknown key": project.token(role="service_role", kid="nobody's"),
        "another body": f"{head}.{other}.{signature}",
        "no signature": f"{head}.{body}.",
        "half a signature": f"{head}.{body}.{signature[:20]}",
        "not a token": "a.b.c",
        "legacy, expired": project.legacy_token(exp=int(time.time()) - 5),
        "legacy, another secret": project.legacy_token("x" * 40, role="service_role"),
        **{f"alg {alg!r}": _forged(body, alg) for alg in ("none", "None", "HS384", "HS512", "RS256", "XX", "", 7)},
        "no alg": _forged(body, None),
        "a body that is a list": f"{head}.{_encoded([1])}.{signature}",
        "an end that is no number": f"{head}.{_encoded({'exp': 'never', 'role': 'service_role'})}.{signature}",
    }.items():
        with subtests.test(token=name):
            assert await may(client, token) == REFUSED
    assert await may(client, good) == EVERYTHING


async def test_both_kinds_of_tokens_must_be_of_this_project_and_for_us(
    client: httpx.AsyncClient, project: SupabaseProject, subtests: pytest.Subtests
) -> None:
    """Their signatures are valid, but they were issued for another service of the project or issuer."""
    now, own = int(time.time()), f"{project.url}/auth/v1"
    holds: dict[str, dict[str, Any]] = {
        "of the project": {"iss": own},
        "of the older kind": {"iss": "supabase", "aud": None},
        "one audience of several": {"iss": own, "aud": ["x", "authenticated"]},
        "good since a moment": {"nbf": now - 5},
    }
    refused: dict[str, dict[str, Any]] = {
        "of another issuer": {"iss": "https://elsewhere.example/auth/v1"},
        "for somebody else": {"iss": own, "aud": "billing"},
        "not good yet": {"nbf": now + 600},
        "a beginning that is no time": {"nbf": "now"},
        "an audience of another type": {"aud": {"authenticated": 1}},
        "too long": {"padding": "x" * 20_000},
    }
    for kind in (project.token, project.legacy_token):
        for name, claims in holds.items():
            with subtests.test(token=name, kind=kind.__name__):
                assert await may(client, kind(**claims)) == READS
        for name, claims in refused.items():
            with subtests.test(token=name, kind=kind.__name__):
                asked = len(project.requests)
                assert await may(client, kind(**claims)) == REFUSED
                assert project.requests[asked:] == []


async def test_issuers_and_audiences_are_allowed_by_settings(
    start_replica: StartReplica, variables: dict[str, Any], project: SupabaseProject
) -> None:
    own = {"MODEL_REGISTRY_JWT_ISSUERS": "https://id.example.org/,x", "MODEL_REGISTRY_JWT_AUDIENCES": "billing"}
    replica = await start_replica(**variables, **own)
    async with replica.anonymous() as client:
        assert await may(client, project.token(iss="https://id.example.org/", aud="billing")) == READS
        assert await may(client, project.token(iss="https://id.example.org", aud="billing")) == REFUSED


async def test_a_name_that_is_none_is_not_kept(replica: Replica, project: SupabaseProject) -> None:
    scopes = {"registry_scopes": ["admin"]}
    for email, sub in (({"a": 1}, "user 1"), ("a\0b", "user 1"), ("x" * 5000, "user 1")):
        token = project.token(email=email, sub=sub, app_metadata=scopes)
        made = await replica.client.post(
            "/api/providers", json={**PROVIDER, "name": str(uuid.uuid4())}, headers={"Authorization": f"Bearer {token}"}
        )
        assert made.status_code == 201
        actor = (await replica.client.get("/api/changes")).json()["items"][-1]["actor"]
        assert actor == ("x" * 200 if email == "x" * 5000 else "user 1")


async def test_legacy_tokens_are_shown_to_the_project_once_a_request(
    client: httpx.AsyncClient, project: SupabaseProject
) -> None:
    assert await may(client, project.legacy_token()) == READS
    assert await may(client, project.legacy_token(app_metadata={"registry_scopes": ["node"]})) == REPORTS
    requests = 2 * len(READS)
    assert project.requests.count("/auth/v1/user") == requests


async def test_the_key_that_the_registry_itself_has_is_the_service_role(
    client: httpx.AsyncClient, variables: dict[str, Any]
) -> None:
    assert await may(client, variables["SUPABASE_SERVICE_ROLE_KEY"]) == EVERYTHING


SECRET_KEY = "sb_secret_" + "N7UND0UgjKTVK-Uodkm0Hg_" + "x" * 8  # in the form of a real one
PUBLISHABLE_KEY = "sb_publishable_" + "ACJWlzQHlZjBrEguHvfOxg_" + "x" * 8


async def test_the_projects_newer_secret_key_is_the_service_role(
    start_replica: StartReplica, variables: dict[str, Any], project: SupabaseProject
) -> None:
    project.secret_key, project.service_role_token = SECRET_KEY, variables["SUPABASE_SERVICE_ROLE_KEY"]
    replica = await start_replica(**{**variables, "SUPABASE_SERVICE_ROLE_KEY": SECRET_KEY})
    async with replica.anonymous() as client:
        assert await may(client, SECRET_KEY) == EVERYTHING
        x_api_key = await client.post("/api/providers", json=PROVIDER, headers={"X-API-Key": SECRET_KEY})
        assert x_api_key.status_code == 201
        asked = len(project.requests)
        for other in (SECRET_KEY[:-1], f"{SECRET_KEY}x", "sb_secret_", "sb_secret_a.b.c", PUBLISHABLE_KEY):
            assert await may(client, other) == REFUSED, other
        assert not [path for path in project.requests[asked:] if path.startswith("/auth")]


async def test_a_publishable_key_that_stands_in_the_secret_ones_place_makes_nobody_an_administrator(
    start_replica: StartReplica, variables: dict[str, Any], project: SupabaseProject
) -> None:
    anon = project.legacy_token(role="anon", sub=None)
    for key in (PUBLISHABLE_KEY, anon):
        replica = await start_replica(**{**variables, "SUPABASE_SERVICE_ROLE_KEY": key})
        async with replica.anonymous() as client:
            headers = {"Authorization": f"Bearer {key}"}
            assert (await client.post("/api/providers", json=PROVIDER, headers=headers)).status_code in (401, 403)


async def test_the_projects_keys_are_asked_for_once(client: httpx.AsyncClient, project: SupabaseProject) -> None:
    for _ in range(3):
        assert await may(client, project.token()) == READS

    assert project.requests.count("/auth/v1/.well-known/jwks.json") == 1


async def test_while_the_token_service_is_away_no_token_holds_and_other_keys_do(
    replica: Replica, client: httpx.AsyncClient, project: SupabaseProject
) -> None:
    project.away = True

    assert await may(client, project.token()) == REFUSED
    assert await may(client, project.legacy_token()) == REFUSED
    assert (await replica.client.get("/api/providers")).status_code == 200
    project.away = False
    assert await may(client, project.token()) == READS


async def test_what_a_user_writes_carries_their_name(
    replica: Replica, client: httpx.AsyncClient, project: SupabaseProject
) -> None:
    token = project.token(email="ada@example.org", app_metadata={"registry_scopes": ["admin"]})

    made = await client.post("/api/providers", json=PROVIDER, headers={"Authorization": f"Bearer {token}"})

    assert made.status_code == 201
    assert (await replica.client.get("/api/changes")).json()["items"][-1]["actor"] == "ada@example.org"


async def test_where_there_is_no_project_no_token_holds(start_replica: StartReplica, project: SupabaseProject) -> None:
    replica = await start_replica(MODEL_REGISTRY_AUTH_READS=True)
    async with replica.anonymous() as client:
        assert await may(client, project.token(role="service_role")) == REFUSED
    assert project.requests == []


def _encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _forged(body: str, alg: Any) -> str:
    header = {"typ": "JWT", "kid": "the project's key"} | ({} if alg is None else {"alg": alg})
    return f"{_encoded(header)}.{body}.{_encoded('signature')}"
