"""What runs beside others' programs and talks to a registry over HTTP. Works with the base install; knows no server.

Each name is imported when it is first used: a command or an agent needs few of them, and together they take a second.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model_registry.client.asynchronous import AsyncClient
    from model_registry.client.blocking import Client, Subscription
    from model_registry.client.catalogue import Catalogue
    from model_registry.client.compat import garden
    from model_registry.client.compat.model_config import (
        ModelCapabilities,
        ModelCapability,
        ModelConfig,
        ModelStatus,
        ProvisionedThroughput,
        QualityScores,
    )
    from model_registry.client.compat.model_registry import ConfigurationError, ModelRegistry
    from model_registry.client.retries import RetryPolicy

__all__ = [
    "AsyncClient",
    "Catalogue",
    "Client",
    "ConfigurationError",
    "ModelCapabilities",
    "ModelCapability",
    "ModelConfig",
    "ModelRegistry",
    "ModelStatus",
    "ProvisionedThroughput",
    "QualityScores",
    "RetryPolicy",
    "Subscription",
    "garden",
]

_MODULES = {
    "AsyncClient": "asynchronous",
    "Catalogue": "catalogue",
    "Client": "blocking",
    "ConfigurationError": "compat.model_registry",
    "ModelRegistry": "compat.model_registry",
    "RetryPolicy": "retries",
    "Subscription": "blocking",
    "garden": "compat",
}
"""Those that are not in `compat/model_config.py`."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 (each as it is declared above)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_MODULES.get(name, 'compat.model_config')}")
    value = import_module(f"{module.__name__}.garden") if name == "garden" else getattr(module, name)
    globals()[name] = value
    return value
