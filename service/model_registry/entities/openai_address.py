"""Where a server speaks OpenAI's protocol: the base URL of a deployment or of a provider, or why there is none.

Pure. The paths below it are in `openai_paths.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from model_registry.entities.deployment import Deployment
from model_registry.entities.node import Node
from model_registry.entities.provider import Provider, http_url_problem
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.entities.server_address import is_unspecified, ollama_base, with_host_of
from model_registry.loopback import is_loopback

_LONGEST = 2000
"""The limit of `api_base`."""
_ADDED = ("/chat/completions", "/messages")
"""Paths that gateways add to a base URL: a URL with such an ending is an endpoint, not a base."""
_AZURES = "/openai/v1"
"""Where Azure speaks it below a resource's endpoint: deployments are named by `model`, the key is a bearer token."""


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL, or why there is none."""

    base: str | None = None
    fault: str | None = None


def deployment_address(deployment: Deployment, node: Node | None) -> Address:
    """Return the address of a deployment's server: its own endpoint, a loopback at its node; else its node's."""
    there = node.endpoint if node else None
    endpoint = deployment.endpoint or there
    if deployment.endpoint and there and is_loopback(deployment.endpoint) and not is_loopback(there):
        # A gateway would ask itself.
        endpoint = with_host_of(deployment.endpoint, there)
    of_ollama = deployment.provider_type.lower() == "ollama"
    return _address(ollama_base(endpoint) if endpoint and of_ollama else endpoint)


@lru_cache(maxsize=4096)
def _address(endpoint: str | None) -> Address:
    """Make a base URL of an endpoint, with `/v1` when it has no path.

    Ollama announces `http://host:11434`; all servers we route to have the OpenAI protocol under `/v1`.
    """
    if not endpoint:
        return Address(fault="it has no endpoint, and neither has its node")
    if len(endpoint) > _LONGEST:
        return Address(fault=f"its endpoint is longer than {_LONGEST} characters")
    if problem := http_url_problem(endpoint):
        return Address(fault=f"its endpoint {problem}")
    if is_unspecified(endpoint):
        return Address(fault=f"its endpoint {endpoint} is every address of its own machine: announce the node's name")
    if added := next((added for added in _ADDED if endpoint.rstrip("/").endswith(added)), None):
        return Address(fault=f"its endpoint ends in {added}, which the gateway adds itself")
    parts = urlsplit(endpoint)
    bare = parts.path in {"", "/"} and not parts.query and not parts.fragment
    return Address(parts._replace(path="/v1").geturl() if bare else endpoint)


def provider_address(provider: Provider) -> Address:
    """Return the base URL at which a provider of a type that speaks OpenAI's protocol does so.

    A base URL is taken as it is, as gateways take it: some vendors have their API at the root. Azure's endpoint is the
    resource's.
    """
    kind = PROVIDER_TYPES[provider.type]
    given = provider.api_base or provider.tensorzero.get(kind.base_key or "") or kind.home
    if not given or not isinstance(given, str):
        return Address(fault=f"provider {provider.name} has no api_base")
    if problem := http_url_problem(given):
        return Address(fault=f"the base URL of provider {provider.name} {problem}")
    parts = urlsplit(given)
    if parts.query or parts.fragment:
        return Address(fault=f"the base URL of provider {provider.name} has a query, which no path can be added to")
    if provider.type == "ollama":
        given = ollama_base(given)
    if provider.type == "azure" and parts.path.rstrip("/") in {"", "/openai"}:
        given = parts._replace(path=_AZURES).geturl()
    return Address(given.rstrip("/"))
