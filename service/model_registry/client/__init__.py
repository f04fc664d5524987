"""What runs beside others' programs and talks to a registry over HTTP. Works with the base install; knows no server."""

from model_registry.client.catalogue import Catalogue
from model_registry.client.clients import AsyncClient, Client, Subscription
from model_registry.client.core import Patience
from model_registry.client.model_config import ModelCapabilities, ModelConfig, ModelStatus, QualityScores
from model_registry.client.model_registry import ConfigurationError, ModelRegistry

__all__ = [
    "AsyncClient",
    "Catalogue",
    "Client",
    "ConfigurationError",
    "ModelCapabilities",
    "ModelConfig",
    "ModelRegistry",
    "ModelStatus",
    "Patience",
    "QualityScores",
    "Subscription",
]
