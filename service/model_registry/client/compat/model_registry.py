"""`ModelRegistry`: the methods of the old in-memory registry, in memory or over HTTP, with the same behaviour."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from typing import Any, Protocol, Self

from model_registry.client.blocking import Client
from model_registry.client.compat.config_rows import IN_METADATA, checked, config_of, fields_of
from model_registry.client.compat.model_config import ModelCapabilities, ModelConfig, ModelStatus, QualityScores
from model_registry.client.rows import CatalogModel
from model_registry.entities.model import canonical
from model_registry.errors import InvalidModel, ModelNotFound, Reason, RegistryError

ConfigurationError = RegistryError
"""The exception of the old registry. The codes are the same: E4001 for a missing model, E4003 for an invalid one."""

_SERVERS: dict[str, dict[str, str]] = {"ollama": {"type": "ollama", "api_base": "http://localhost:11434/v1"}}
"""The draft of a provider of this name, where the registry has none. Any other name is no server: `custom`."""


class Models(list[ModelConfig]):
    """A list that can be awaited too: programs do both."""

    def __await__(self) -> Generator[None, None, Self]:
        """Return the list itself."""
        yield from ()
        return self


class _Store(Protocol):
    """A place for models."""

    def all(self) -> dict[str, ModelConfig]:
        """Return the models by id; the caller may keep and change them."""

    def put(self, config: ModelConfig) -> None:
        """Add a model, or replace the one with its id."""

    def set_status(self, model_id: str, status: ModelStatus) -> None:
        """Change the status of an existing model."""


class ModelRegistry:
    """Models and what they can do. Without a URL and a client it lives in this object; with one, in a registry.

    Lists are in the order of ids. Over HTTP every method asks the registry, whose errors it raises.
    """

    def __init__(self, url: str | None = None, api_key: str | None = None, *, client: Client | None = None) -> None:
        self._remote = client or (Client(url, api_key) if url else None)
        self._store: _Store = _InMemory() if self._remote is None else _OverHttp(self._remote)

    def close(self) -> None:
        """Close the connections to the registry, if there are any."""
        if self._remote is not None:
            self._remote.close()

    def register_model(self, model: ModelConfig | None = None, **fields: Any) -> None:  # noqa: ANN401 (ModelConfig's)
        """Add a model, or replace the one with its id. Errors: InvalidModel."""
        if model is None:
            try:
                model = ModelConfig(**fields)
            except (TypeError, ValueError) as error:
                raise InvalidModel(str(error), reasons=[Reason("", str(error))]) from error
        self._store.put(checked(model))

    def get_model(self, model_id: str) -> ModelConfig | None:
        """Return the model with this id; None without one."""
        return self._store.all().get(model_id)

    def get_model_or_raise(self, model_id: str) -> ModelConfig:
        """Return the model with this id. Errors: ModelNotFound."""
        found = self.get_model(model_id)
        if found is None:
            raise ModelNotFound(f"There is no model {model_id!r}.")
        return found

    def list_models(self, provider: str | None = None, status: ModelStatus | str | None = None) -> Models:
        """List all models, or those of a provider or a status. The result can be awaited."""
        return self._where(lambda m: provider in (None, m.provider) and status in (None, m.status))

    def get_models_by_capability(self, capability: str) -> Models:
        """List the models with a capability."""
        return self.get_models_by_capabilities([capability])

    def get_models_by_capabilities(self, capabilities: Iterable[str]) -> Models:
        """List the models with all these capabilities; without any, all active ones."""
        wanted = set(map(canonical, capabilities))
        if not wanted:
            return self.list_models(status=ModelStatus.ACTIVE)
        return self._where(lambda m: wanted <= set(m.capabilities.capabilities_list))

    def get_models_by_provider(self, provider: str) -> Models:
        """List the models of a provider."""
        return self.list_models(provider=provider)

    def get_available_models(self) -> Models:
        """List the models that are offered."""
        return self._where(ModelConfig.is_available)

    def get_providers(self) -> list[str]:
        """List the providers of all models, by name."""
        return sorted({model.provider for model in self.list_models()})

    def get_capabilities(self) -> list[str]:
        """List the capabilities of all models, by name."""
        return sorted({canonical(name) for model in self.list_models() for name in model.capabilities_list})

    def update_model_status(self, model_id: str, status: ModelStatus | str) -> None:
        """Change a model's status. Errors: ModelNotFound; InvalidModel, for an unknown status."""
        try:
            wanted = ModelStatus(status)
        except ValueError as error:
            raise InvalidModel(str(error), reasons=[Reason("status", str(error))]) from error
        self.get_model_or_raise(model_id)
        self._store.set_status(model_id, wanted)

    def load_default_models(self) -> None:
        """Register three models that an Ollama on this machine often has."""
        for model in default_models():
            self.register_model(model)

    def is_initialized(self) -> bool:
        """Whether it holds any models."""
        return bool(self._store.all())

    def get_stats(self) -> dict[str, Any]:
        """Count the models in several ways."""
        providers, capabilities = self.get_providers(), self.get_capabilities()
        return {
            "total_models": len(self.list_models()),
            "active_models": len(self.list_models(status=ModelStatus.ACTIVE)),
            "total_providers": len(providers),
            "total_capabilities": len(capabilities),
            "providers": providers,
            "capabilities": capabilities,
        }

    def _where(self, fits: Any) -> Models:  # noqa: ANN401 (a predicate)
        models = self._store.all()
        return Models(models[model_id] for model_id in sorted(models) if fits(models[model_id]))


class _InMemory:
    """Models in memory."""

    def __init__(self) -> None:
        self._models: dict[str, ModelConfig] = {}

    def all(self) -> dict[str, ModelConfig]:
        """Return copies: a model changes by the registry's methods alone, as over HTTP."""
        return copy.deepcopy(self._models)

    def put(self, config: ModelConfig) -> None:
        """Store a copy."""
        self._models[config.model_id] = copy.deepcopy(config)

    def set_status(self, model_id: str, status: ModelStatus) -> None:
        """Change its status."""
        self._models[model_id].status = status


class _OverHttp:
    """Models in a registry. Lists are asked for with their ETag, so that nothing is sent twice."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def all(self) -> dict[str, ModelConfig]:
        """Return the registry's current models."""
        return {model_id: config_of(row, model_id) for model_id, row in self._rows().items()}

    def put(self, config: ModelConfig) -> None:
        """Create a row, or change the fields that differ. Metadata of others stays."""
        row = self._rows().get(config.model_id)
        wanted = fields_of(config)
        if row is not None:
            held = fields_of(config_of(row, config.model_id))
            kept = {name: value for name, value in row.metadata.items() if name not in IN_METADATA}
            wanted["metadata"] = kept | wanted["metadata"]
            wanted = {name: value for name, value in wanted.items() if value != held[name]}
            if not wanted:
                return
        if "provider" in wanted and config.provider not in [p.name for p in self._client.list_providers()]:
            self._client.create_provider(_SERVERS.get(config.provider, {"type": "custom"}), name=config.provider)
        if row is None:
            self._client.create_model(wanted)
        else:
            self._client.change_model(row.id, **wanted)

    def set_status(self, model_id: str, status: ModelStatus) -> None:
        """Change one field of its row."""
        self._client.change_model(self._rows()[model_id].id, status=str(status))

    def _rows(self) -> dict[str, CatalogModel]:
        """Return rows by the provider's name for a model; where several share one, by name; else by both."""
        rows = self._client.list_models()
        words, names = Counter(row.model_id for row in rows), Counter(row.name for row in rows)
        found = {}
        for row in rows:
            unique = [row.model_id] * (words[row.model_id] == 1) + [row.name] * (names[row.name] == 1)
            found[unique[0] if unique else f"{row.provider_name}/{row.name}"] = row
        return found


def default_models() -> Sequence[ModelConfig]:
    """The models of `load_default_models`. They run on this machine, so they cost nothing."""
    return (
        _local("llama3.1:8b", "Llama 3.1 8B", (0.75, 0.70, 0.80, 0.78), latency=(500, 2000)),
        _local("llama3.2:3b", "Llama 3.2 3B", (0.65, 0.60, 0.70, 0.68), latency=(300, 1000)),
        _local(
            "llava-llama3:latest",
            "LLaVA Llama 3",
            (0.60, 0.50, 0.65, 0.62),
            latency=(800, 3000),
            capabilities=ModelCapabilities(supports_streaming=True, supports_vision=True),
            context_window=8192,
            max_output_tokens=4096,
            rate_limit_tpm=50_000,
        ),
    )


def _local(
    model_id: str,
    name: str,
    quality: tuple[float, float, float, float],
    latency: tuple[int, int],
    **other: Any,  # noqa: ANN401
) -> ModelConfig:
    usual: dict[str, Any] = {
        "capabilities": ModelCapabilities(supports_streaming=True, supports_json_mode=True),
        "context_window": 128_000,
        "max_output_tokens": 8192,
        "rate_limit_tpm": 100_000,
    }
    return ModelConfig(
        model_id,
        "ollama",
        name,
        cost_per_1m_input_tokens=0.0,
        cost_per_1m_output_tokens=0.0,
        rate_limit_rpm=1000,
        latency_p50_ms=latency[0],
        latency_p99_ms=latency[1],
        quality_scores=QualityScores(*quality),
        **{**usual, **other},
    )
