"""Where the gateway lets each provider type's credentials and addresses be. Measured; the rules read it.

Written by scripts/write_credential_schemes.py, which asked TensorZero 2026.6.0; a test compares both.
"""

from __future__ import annotations

from collections.abc import Mapping

CREDENTIAL_SCHEMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "anthropic": {"api_key_location": ("env::", "dynamic::")},
    "aws_bedrock": {
        "access_key_id": ("env::", "dynamic::", "sdk"),
        "api_key": ("env::", "dynamic::"),
        "endpoint_url": ("env::", "path::", "path_from_env::", "dynamic::", "none"),
        "secret_access_key": ("env::", "dynamic::", "sdk"),
        "session_token": ("env::", "dynamic::", "sdk"),
    },
    "aws_sagemaker": {
        "access_key_id": ("env::", "dynamic::", "sdk"),
        "endpoint_url": ("env::", "path::", "path_from_env::", "dynamic::", "none"),
        "secret_access_key": ("env::", "dynamic::", "sdk"),
        "session_token": ("env::", "dynamic::", "sdk"),
    },
    "azure": {"api_key_location": ("env::", "dynamic::"), "endpoint": ("env::", "path::", "dynamic::")},
    "deepseek": {"api_key_location": ("env::", "dynamic::")},
    "fireworks": {"api_key_location": ("env::", "dynamic::")},
    "gateway.relay": {"api_key_location": ("env::", "dynamic::", "none")},
    "gcp_vertex_anthropic": {"credential_location": ("path::", "path_from_env::", "dynamic::", "sdk")},
    "gcp_vertex_gemini": {"credential_location": ("path::", "path_from_env::", "dynamic::", "sdk")},
    "google_ai_studio_gemini": {"api_key_location": ("env::", "dynamic::")},
    "groq": {"api_key_location": ("env::", "dynamic::", "none")},
    "hyperbolic": {"api_key_location": ("env::", "dynamic::")},
    "mistral": {"api_key_location": ("env::", "dynamic::")},
    "openai": {"api_key_location": ("env::", "dynamic::", "none")},
    "openrouter": {"api_key_location": ("env::", "dynamic::", "none")},
    "sglang": {"api_key_location": ("env::", "dynamic::", "none")},
    "tgi": {"api_key_location": ("env::", "dynamic::", "none")},
    "together": {"api_key_location": ("env::", "dynamic::")},
    "vllm": {"api_key_location": ("env::", "dynamic::", "none")},
    "xai": {"api_key_location": ("env::", "dynamic::", "none")},
}
"""Provider type, or `gateway.relay` -> key -> schemes and words that it takes."""
