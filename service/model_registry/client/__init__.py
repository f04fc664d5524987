"""What runs beside others' programs and talks to a registry over HTTP. Works with the base install; knows no server."""

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
