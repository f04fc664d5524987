"""What LiteLLM calls provider types, as 1.106.12 reads it. The types themselves are in `provider_types.py`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiteLLM:
    """LiteLLM's names of a provider type, as 1.106.12 reads them."""

    prefix: str
    """The prefix of a model's name in its configuration."""
    providers: tuple[str, ...] = ()
    """Values of `litellm_provider` in its price map that mean this type."""
    embedding: str = ""
    """The prefix of models that embed, where it is another one."""
    audio: str = ""
    """The prefix of models that speak or transcribe, where it is another one."""
    reranker: str = ""
    """The prefix of models that rerank; empty: LiteLLM asks no such provider for it."""
    variable: str = ""
    """The environment variable that it reads for the key, where the gateway's `Credential` has another one."""
    base_key: str = "api_base"
    """Its key for the base URL."""


BEDROCK = LiteLLM(
    "bedrock", ("bedrock", "bedrock_converse"), reranker="bedrock", base_key="aws_bedrock_runtime_endpoint"
)
FIREWORKS = LiteLLM("fireworks_ai", ("fireworks_ai", "fireworks_ai-embedding-models"), reranker="fireworks_ai")
GEMINI = LiteLLM("gemini", ("gemini",), variable="GEMINI_API_KEY")
OLLAMA = LiteLLM("ollama_chat", ("ollama",), embedding="ollama", audio="openai")
OPENAI = LiteLLM("openai", ("openai", "text-completion-openai"))
OPENAI_SERVER = LiteLLM("openai", reranker="hosted_vllm")
TOGETHER = LiteLLM("together_ai", ("together_ai",), reranker="together_ai")
VLLM = LiteLLM("hosted_vllm", audio="openai", reranker="hosted_vllm")
"""Its prefix adds a second `/v1` to the path of transcriptions."""


def vertex(families: tuple[str, ...]) -> LiteLLM:
    """Return the names of one of Google's clouds."""
    providers = tuple(f"vertex_ai-{family}" for family in families)
    return LiteLLM("vertex_ai", providers, variable="GOOGLE_APPLICATION_CREDENTIALS")
