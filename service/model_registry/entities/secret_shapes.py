"""Patterns of keys that are recognisable by their prefix or PEM header.

One table. For a new provider add its pattern here, and an example to `tests/support/secret_examples.py`. Keys without
a pattern (32 hexadecimal digits, a password) are recognised by their names: `secret_names.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of key."""

    kind: str
    """The kind, for people."""
    hints: tuple[str, ...]
    """Substrings, one of which is in every such key. Searching for them first makes all other texts cheap."""
    pattern: re.Pattern[str]
    """Matches the key, or has it as its group `key`."""
    random: bool = True
    """Whether the rest must look random, so that `sk-learn-text-model` is no key."""


_PEM = (
    r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?=[\s\S]{0,300}?[A-Za-z0-9+/]{40})"
    r"(?:[\s\S]*?-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|[\s\S]*)"
)
_START = r"(?<![A-Za-z0-9_])"


def _shape(kind: str, *hints: str, rest: str, random: bool = True, start: str = _START) -> Shape:
    """Make the shape of a key that begins with one of the hints."""
    first = "|".join(re.escape(hint) for hint in hints)
    return Shape(kind, hints, re.compile(f"{start}(?:{first})(?:{rest})"), random)


SHAPES: tuple[Shape, ...] = (
    _shape("Anthropic API key", "sk-ant-", rest=r"[A-Za-z0-9_-]{16,}"),
    _shape("OpenRouter API key", "sk-or-", rest=r"[A-Za-z0-9_-]{16,}"),
    _shape("OpenAI API key", "sk-proj-", "sk-svcacct-", "sk-admin-", rest=r"[A-Za-z0-9_-]{16,}"),
    _shape("API key (sk-...)", "sk-", rest=r"[A-Za-z0-9_-]{16,}"),
    _shape("Stripe key", "sk_live_", "sk_test_", "rk_live_", "rk_test_", rest=r"[A-Za-z0-9]{16,}"),
    _shape("ElevenLabs API key", "sk_", rest=r"[0-9a-f]{40,}"),
    _shape("Google API key", "AIza", rest=r"[A-Za-z0-9_-]{28,}"),
    _shape("Google API key", "AQ.Ab8", rest=r"[A-Za-z0-9_-]{30,}"),
    _shape("Google OAuth token", "ya29.", rest=r"[A-Za-z0-9_-]{20,}"),
    _shape("Google client secret", "GOCSPX-", rest=r"[A-Za-z0-9_-]{20,}"),
    _shape(
        "AWS access key", "AKIA", "ASIA", "ABIA", "ACCA", rest=r"(?![A-Z0-9]{9}EXAMPLE)[A-Z0-9]{16}(?![A-Za-z0-9])",
        random=False,
    ),
    _shape("Amazon Bedrock API key", "ABSK", rest=r"[A-Za-z0-9+/]{60,}={0,2}"),
    _shape("Amazon Bedrock API key", "bedrock-api-key-", rest=r"[A-Za-z0-9+/]{20,}={0,2}"),
    Shape("Azure API key", ("JQQJ99",), re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{40,60}JQQJ99[A-Za-z0-9]{20,40}")),
    Shape("Azure client secret", ("Q~",), re.compile(r"(?<![\w.~-])[\w.~]{3}\dQ~[\w.~-]{31,34}(?![\w~-])", re.ASCII)),
    _shape("Hugging Face token", "hf_", rest=r"[A-Za-z0-9]{24,}(?![A-Za-z0-9_])", random=False),
    _shape("Hugging Face token", "api_org_", rest=r"[A-Za-z0-9]{30,}(?![A-Za-z0-9_])", random=False),
    _shape("Groq API key", "gsk_", rest=r"[A-Za-z0-9]{20,}"),
    _shape("xAI API key", "xai-", rest=r"[A-Za-z0-9]{24,}"),
    _shape("Together API key", "tgp_v1_", rest=r"[A-Za-z0-9_-]{20,}"),
    _shape("Fireworks API key", "fw_", rest=r"[A-Za-z0-9]{16,}"),
    _shape("Replicate token", "r8_", rest=r"[A-Za-z0-9]{30,}"),
    _shape("NVIDIA API key", "nvapi-", rest=r"[A-Za-z0-9_-]{24,}"),
    _shape("Perplexity API key", "pplx-", rest=r"[A-Za-z0-9]{30,}"),
    _shape("Cerebras API key", "csk-", rest=r"[A-Za-z0-9]{30,}"),
    _shape("Voyage API key", "pa-", rest=r"[A-Za-z0-9_-]{40,}"),
    _shape("Jina API key", "jina_", rest=r"[A-Za-z0-9_-]{40,}"),
    _shape("RunPod API key", "rpa_", rest=r"[A-Za-z0-9]{30,}"),
    _shape("Databricks token", "dapi", rest=r"[0-9a-f]{32}"),
    _shape("LangSmith key", "lsv2_", rest=r"(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    _shape("GitHub token", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", rest=r"[A-Za-z0-9]{30,}"),
    _shape("GitHub token", "github_pat_", rest=r"[A-Za-z0-9_]{22,}"),
    _shape("GitLab token", "glpat-", rest=r"[A-Za-z0-9_-]{20,}"),
    _shape("Slack token", "xoxb-", "xoxp-", "xoxa-", "xoxe-", "xoxr-", "xoxs-", "xapp-", rest=r"[A-Za-z0-9-]{16,}"),
    _shape("Slack webhook", "hooks.slack.com/services/", rest=r"T\w+/B\w+/\w{16,}", start=""),
    _shape("npm token", "npm_", rest=r"[A-Za-z0-9]{36}"),
    _shape("PyPI token", "pypi-AgE", rest=r"[A-Za-z0-9_-]{40,}"),
    _shape("SendGrid key", "SG.", rest=r"[\w-]{20,24}\.[\w-]{39,50}"),
    _shape("Vault token", "hvs.", "hvb.", rest=r"[A-Za-z0-9_-]{20,}"),
    _shape("age key", "AGE-SECRET-KEY-1", rest=r"[A-Z0-9]{50,}", random=False),
    _shape("Supabase key", "sb_secret_", "sbp_", rest=r"[A-Za-z0-9_-]{16,}"),
    _shape("key of a model registry", "mreg_", rest=r"[A-Za-z0-9_-]{32,}"),
    Shape(
        "JWT",
        ("eyJ",),
        re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
        random=False,
    ),
    Shape("private key", ("PRIVATE KEY",), re.compile(_PEM), random=False),
)  # fmt: skip

NKEY_SEED = re.compile(r"(?<![A-Za-z0-9])S[ANCOUX][A-Z2-7]{56}(?![A-Za-z0-9])")
"""An nkey's seed (NATS). Its prefix is too common for a hint: searched for in every text that is long enough."""
NKEY_LENGTH = 58

HINTS: tuple[str, ...] = tuple(dict.fromkeys(hint for shape in SHAPES for hint in shape.hints))
