"""What runs beside others' programs and talks to a registry over HTTP. Works with the base install; knows no server."""

from model_registry.client.asynchronous import AsyncClient
from model_registry.client.blocking import Client, Subscription
from model_registry.client.catalogue import Catalogue
from model_registry.client.compat.model_config import ModelCapabilities, ModelConfig, ModelStatus, QualityScores
from model_registry.client.compat.model_registry import ConfigurationError, ModelRegistry
from model_registry.client.retries import RetryPolicy

__all__ = [
    "AsyncClient",
    "Catalogue",
    "Client",
    "ConfigurationError",
    "ModelCapabilities",
    "ModelConfig",
    "ModelRegistry",
    "ModelStatus",
    "QualityScores",
    "RetryPolicy",
    "Subscription",
]
