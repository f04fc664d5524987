"""Invalid keys in the shapes of real ones, assembled here so that no secret scanner reports them."""

from __future__ import annotations

import base64
import hashlib
import json
import string


def drawn(seed: str, length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """Characters that look random but are always the same, with both letters and digits."""
    digest = b"".join(hashlib.sha256(f"{seed}{n}".encode()).digest() for n in range(length // 32 + 1))
    text = "".join(alphabet[byte % len(alphabet)] for byte in digest[:length])
    letter = next(c for c in alphabet if c.isalpha())
    return f"{text[:-2]}7{letter}" if "7" in alphabet else text


HEX = "0123456789abcdef"
BASE32 = string.ascii_uppercase + "234567"
_JWT_PARTS = ({"alg": "HS256", "typ": "JWT"}, {"role": "service_role", "iss": "supabase", "exp": 1983812996})


def _jwt() -> str:
    head, claims = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in _JWT_PARTS)
    return f"{head}.{claims}.{drawn('jwt', 43)}"


def _pem() -> str:
    body = "\n".join(drawn(f"pem{n}", 64) for n in range(6))
    return f"-----BEGIN {'RSA '}PRIVATE KEY-----\n{body}\n-----END {'RSA '}PRIVATE KEY-----"


SHAPED: dict[str, str] = {
    "openai": "sk-" + drawn("a", 48),
    "openai project": "sk-" + "proj-" + drawn("b", 40) + "_" + drawn("c", 30) + "-" + drawn("d", 30),
    "openai service account": "sk-" + "svcacct-" + drawn("e", 60),
    "anthropic": "sk-" + "ant-api03-" + drawn("f", 60) + "-" + drawn("g", 30) + "AA",
    "openrouter": "sk-" + "or-v1-" + drawn("h", 64, HEX),
    "deepseek": "sk-" + drawn("i", 32, HEX),
    "litellm": "sk-" + drawn("j", 22),
    "stripe": "sk_" + "live_" + drawn("k", 24),
    "google": "AI" + "za" + drawn("l", 35),
    "google oauth": "ya" + "29." + drawn("m", 60),
    "google client": "GOC" + "SPX-" + drawn("n", 28),
    "aws": "AK" + "IA" + drawn("o", 16, BASE32),
    "bedrock": "AB" + "SK" + drawn("p", 120),
    "azure openai": drawn("q", 52) + "JQ" + "QJ99" + drawn("r", 26),
    "azure ad": "aB3" + "8Q~" + drawn("s", 34),
    "hugging face": "h" + "f_" + drawn("t", 34, string.ascii_letters),
    "groq": "gs" + "k_" + drawn("u", 52),
    "xai": "xa" + "i-" + drawn("v", 80),
    "together": "tg" + "p_v1_" + drawn("w", 40),
    "fireworks": "f" + "w_" + drawn("x", 24),
    "replicate": "r" + "8_" + drawn("y", 37),
    "nvidia": "nv" + "api-" + drawn("z", 64),
    "perplexity": "pp" + "lx-" + drawn("A", 48),
    "cerebras": "cs" + "k-" + drawn("B", 48, string.ascii_lowercase + string.digits),
    "voyage": "p" + "a-" + drawn("C", 43),
    "jina": "ji" + "na_" + drawn("D", 60),
    "runpod": "rp" + "a_" + drawn("E", 46, string.ascii_uppercase + string.digits),
    "databricks": "da" + "pi" + drawn("F", 32, HEX),
    "langsmith": "ls" + "v2_pt_" + drawn("G", 32, HEX) + "_" + drawn("H", 10, HEX),
    "github": "gh" + "p_" + drawn("I", 36),
    "github fine-grained": "github" + "_pat_" + drawn("J", 22) + "_" + drawn("K", 59),
    "gitlab": "gl" + "pat-" + drawn("L", 20),
    "slack": "xo" + "xb-" + "123456789012-" + "1234567890123-" + drawn("M", 24),
    "slack webhook": "hooks.slack" + ".com/services/T0ABCDEFG/B0ABCDEFG/" + drawn("N", 24),
    "sendgrid": "S" + "G." + drawn("O", 22) + "." + drawn("P", 43),
    "npm": "np" + "m_" + drawn("Q", 36),
    "vault": "hv" + "s." + drawn("R", 90),
    "supabase secret": "sb_" + "secret_" + drawn("S", 31),
    "supabase personal": "sb" + "p_" + drawn("T", 40, HEX),
    "registry": "mr" + "eg_" + drawn("U", 43),
    "jwt": _jwt(),
    "nats seed": "S" + "UA" + drawn("V", 55, BASE32),
    "private key": _pem(),
    "age": "AGE-" + "SECRET-KEY-1" + drawn("W", 58, string.ascii_uppercase + string.digits),
}
"""Secrets that are recognised anywhere by their shape."""

HEX_KEY = drawn("azure", 32, HEX)
AWS_SECRET = drawn("aws", 38) + "/q"
PASSWORD = "hunter2" + "-but-longer"

NAMED: dict[str, dict[str, object]] = {
    "azure": {"api-key": HEX_KEY},
    "mistral": {"api_key": drawn("mistral", 32)},
    "a list": {"apiKeys": [HEX_KEY, "none"]},
    "deep": {"litellm_params": {"azure": [{"Ocp-Apim-Subscription-Key": HEX_KEY}]}},
    "aws": {"aws_secret_access_key": AWS_SECRET},
    "password": {"password": PASSWORD},
    "short password": {"db_password": "s3cr3t"},
    "plain password": {"Password": "correcthorse"},
    "header": {"headers": {"Authorization": "Bearer " + drawn("bearer", 30)}},
    "basic": {"headers": {"authorization": "Basic " + base64.b64encode(b"user:a password 7").decode()}},
    "extra_headers": {"extra_headers": [{"name": "X-API-Key", "value": drawn("header", 20)}]},
    "extra_body": {"extra_body": [{"pointer": "/auth/api_key", "value": HEX_KEY}]},
    "a pair": {"headers": [["Accept", "text/plain"], ["X-API-Key", HEX_KEY]]},
    "of a provider": {"azure-openai-key": HEX_KEY},
    "cookie": {"headers": {"Cookie": f"session={HEX_KEY}"}},
    "variable": {"api_key_location": "env::" + HEX_KEY},
    "litellm variable": {"api_key": "os.environ/" + drawn("os", 40)},
    "token": {"token": drawn("token", 40)},
    "query": {"url": f"https://host.example/v1?api-version=2024-10-21&api-key={HEX_KEY}"},
    "google query": {"url": f"https://host.example/v1/models?key={drawn('query', 30)}"},
    "sas": {"url": f"https://store.example/blob?sv=2022&sig={drawn('sas', 43)}%3D"},
    "user": {"url": f"https://admin:{PASSWORD}@host.example/v1"},
    "user token": {"url": f"https://{drawn('token user', 30)}@host.example/v1"},
    "database": {"dsn": f"postgresql://registry:{PASSWORD}@db:5432/registry"},
    "nats": {"nats": f"nats://user:{PASSWORD}@nats:4222"},
    "in a sentence": {"note": f"connect with Authorization: Bearer {drawn('sentence', 40)} please"},
    "a header in text": {"note": f"curl -H 'x-api-key: {drawn('curl', 40)}' https://host.example"},
}
"""Secrets that are recognised by a name or their context."""
