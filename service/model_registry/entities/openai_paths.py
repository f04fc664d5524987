"""The paths of OpenAI's protocol that dispatch sends on: what each asks of a model. Pure.

Only what is complete in one request: answers, files and batches that a vendor keeps are known to that vendor alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_TEXT = frozenset({"chat", "vl"})
_AUDIO = frozenset({"audio", "tts"})


@dataclass(frozen=True, slots=True)
class OpenAIPath:
    """One path of the protocol."""

    below: str
    """The path below a base URL."""
    capability: str
    """What breakers and metrics call it."""
    model_types: frozenset[str]
    """The types of models that answer it. Where a name means several models, these are asked."""


OPENAI_PATHS: Mapping[str, OpenAIPath] = MappingProxyType({
    f"/v1{path.below}": path
    for path in (
        OpenAIPath("/chat/completions", "chat", _TEXT),
        OpenAIPath("/completions", "completion", _TEXT),
        OpenAIPath("/responses", "responses", _TEXT),
        OpenAIPath("/embeddings", "embedding", frozenset({"embedding"})),
        OpenAIPath("/rerank", "reranking", frozenset({"reranker"})),
        OpenAIPath("/audio/speech", "speech", _AUDIO),
        OpenAIPath("/audio/transcriptions", "transcription", _AUDIO),
        OpenAIPath("/audio/translations", "translation", _AUDIO),
    )
})  # fmt: skip
"""The path at the registry -> what it asks."""

LANGUAGE_CAPABILITIES = frozenset(path.capability for path in OPENAI_PATHS.values())
"""What every server of the protocol may be asked: it says itself what it does not have."""
