"""The entries of real training services: ten models of three frameworks, with all their irregular fields."""

from __future__ import annotations

import json
from typing import Any

from support.paths import ROOT

DIRECTORY = ROOT / "service/model_registry/training_service/definitions"
"""The answers of `/models/list`, one file a framework. `model-registry training-service` begins with them."""
DOCUMENTS: dict[str, dict[str, Any]] = {f.stem: json.loads(f.read_text()) for f in sorted(DIRECTORY.iterdir())}
"""Framework -> the answer."""
ENTRIES: dict[tuple[str, str], dict[str, Any]] = {
    (entry["framework"], entry["model_name"]): entry for document in DOCUMENTS.values() for entry in document["models"]
}
"""Framework and name -> the entry."""
