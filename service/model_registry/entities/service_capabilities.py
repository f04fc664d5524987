"""What model services can do: the path of each capability, how long it may take, and whether it may be repeated.

Source: the documents of the model manager (port 8008) and of its services. A service may declare other capabilities:
they are reached by the general form of dispatch, and are not repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

PREDICTION = "prediction"
MULTISTEP_PREDICTION = "multistep_prediction"
FORECASTING = "forecasting"
TRAINING = "training"


@dataclass(frozen=True, slots=True)
class Capability:
    """How requests for a capability are sent."""

    path: str
    """Below the instance's address."""
    repeatable: bool
    """Whether a request may be sent to another instance after it was sent to one that failed."""
    least_seconds: float = 0.0
    """Shortest limit of a whole request, whatever the registry's SERVICE_TIMEOUT says."""


CAPABILITIES: dict[str, Capability] = {
    PREDICTION: Capability("/predict", repeatable=True),
    MULTISTEP_PREDICTION: Capability("/predict-multistep", repeatable=True),
    FORECASTING: Capability("/forecast", repeatable=True),
    TRAINING: Capability("/train", repeatable=False, least_seconds=600.0),
}
"""The capabilities that have a meaning to the registry."""
