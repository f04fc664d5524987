"""Patterns of secrets: keys that are recognisable by their shape, and names whose values are secrets.

For a new provider add its pattern to `SHAPES`, and an example to `tests/support/secret_examples.py`. Keys without a
pattern (32 hexadecimal digits, a password) are recognised by their names. Values that are none (references,
placeholders, names of types) are here too.
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


# A table: its rows are alike.
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


PASSWORDS = frozenset({"password", "passwd", "pwd", "passphrase", "pgpassword"})
"""Any value under these names is a secret."""

_KEYS = frozenset({
    *("apikey", "xapikey", "xgoogapikey", "xgoogleapikey", "ocpapimsubscriptionkey", "subscriptionkey", "authkey"),
    *("accesskey", "accountkey", "secretkey", "secretaccesskey", "privatekey", "masterkey", "virtualkey"),
    *("encryptionkey", "signingkey", "servicekey", "servicerolekey", "secret", "apisecret", "clientsecret"),
    *("jwtsecret", "webhooksecret", "apitoken", "xapitoken", "authtoken", "xauthtoken", "accesstoken", "bearertoken"),
    *("refreshtoken", "sessiontoken", "idtoken", "servicetoken", "token", "credential", "credentials"),
    *("authorization", "proxyauthorization", "cookie", "setcookie"),
})  # fmt: skip
_PASSWORD_ENDINGS = ("password", "passwd", "passphrase")
_KEY_ENDINGS = ("apikey", "secretkey", "accesskey", "clientsecret", "accesstoken", "authtoken", "apitoken")
_OF_PROVIDER = re.compile(
    r"(?:openai|anthropic|azure|bedrock|aws|gemini|google|mistral|groq|cohere|together|fireworks|deepseek|xai|openrouter|"
    r"huggingface|hf|perplexity|replicate|nvidia|cerebras|github|gitlab|slack|nats|supabase)\w*(?:key|token)"
)
"""`openai_key`; not `provider_key`, which names a provider."""
_LOOSE = frozenset({"token", "credential", "credentials"})
"""Ambiguous names: a tokenizer's token is short."""
_MANY = frozenset({"tokens"})
"""Names of counts."""
_QUERY = frozenset({"key", "sig", "signature", "code", "auth", "pass", "xamzsignature", "xgoogsignature"})
"""Further names of secrets in a URL's query."""

_SEPARATORS = re.compile(r"[^a-z0-9]")
_LOOSE_LENGTH = 16
_KEY_LENGTH = 8
_PASSWORD_LENGTH = 4
_LONG = 24

_REFERENCE = re.compile(
    r"(?:env|dynamic|path|path_from_env)::(?!.*::)|os\.environ[/.\[]|[$%@<{\[(*]|(?:vault|op|secret|secrets|awssm|gcpsm|"
    r"azurekv|keyring|sops|file|env|ref|arn)[:/]|projects/[^/]+/secrets/|[/~]|\.{1,2}/|https?://|sha\d+[:-]",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_PLACEHOLDER = re.compile(
    r"(?:[a-z]{0,6}[-_]?(?:proj|ant|or)?[-_]?[x*.•]{3,}.*|[x*.•_0-]+|n/?a|(?:your|my|the|some|dummy|fake|test|sample|example|placeholder|insert|replace|change|put|todo)"
    r"(?:[-_ ].*|me)?|none|null|nil|empty|dummy|fake|test|not[-_ ]?(?:needed|used|required|set|applicable)|no[-_ ]?key|"
    r"sdk|default|anonymous|optional|required|true|false|yes|no|string|str|text|number|integer|boolean|object|array|"
    r"secret|secretstr|pass|pass(?:word|wd|phrase)?|pwd|user|username|token|key|api[-_]?key|hidden|masked|redacted|"
    r"removed|unknown|(?:bearer|basic|header|query|cookie|oauth2?|jwt|apikey)(?:[-_ ]?auth)?|changeit|undefined)",
    re.IGNORECASE,
)
_KEY_CHARACTERS = re.compile(r"[A-Za-z0-9_\-.~+/=|:%]+")
_SCHEME = re.compile(r"(?:bearer|basic|token|apikey|api-key|key|digest)\s+", re.IGNORECASE)
_MASKED = "…"


def plain_name(name: str) -> str:
    """Normalise a name for comparison: `X-API-Key`, `x_api_key` and `xApiKey` are equal."""
    return _SEPARATORS.sub("", name.lower())


def announces(name: str, *, in_query: bool = False) -> bool:
    """Whether values under this name are secrets."""
    plain = plain_name(name)
    if plain not in _KEYS and plain not in _MANY:
        plain = plain.removesuffix("s")
    return (
        plain in PASSWORDS
        or plain in _KEYS
        or plain.endswith(_PASSWORD_ENDINGS)
        or plain.endswith(_KEY_ENDINGS)
        or bool(_OF_PROVIDER.fullmatch(plain))
        or (in_query and plain in _QUERY)
    )


def is_literal(value: str, name: str) -> bool:
    """Whether a value under a secret's name is a secret itself: no reference, no placeholder, no sentence."""
    value = _SCHEME.sub("", value.strip(), count=1)
    if not value or _MASKED in value or any(c.isspace() for c in value) or is_placeholder(value):
        return False
    plain = plain_name(name).removesuffix("s")
    if plain in PASSWORDS or plain.endswith(_PASSWORD_ENDINGS):
        return len(value) >= _PASSWORD_LENGTH
    least = _LOOSE_LENGTH if plain in _LOOSE else _KEY_LENGTH
    if len(value) < least or not _KEY_CHARACTERS.fullmatch(value):
        return False
    return (_has_digit(value) and any(c.isalpha() for c in value)) or (
        len(value) >= _LONG and not re.search(r"[a-z]{3,}[-_./: ][a-z]{3,}", value)
    )


def is_placeholder(value: str) -> bool:
    """Whether a value only stands for a secret: a reference, the name of a variable, `your-key`, `xxxx`."""
    return bool(_REFERENCE.match(value) or _VARIABLE.fullmatch(value) or _PLACEHOLDER.fullmatch(value))


def is_key_for_a_name(value: str) -> bool:
    """Whether a supposed name of an environment variable is a key: people paste keys there."""
    mixed = any(c.islower() for c in value) and any(c.isupper() for c in value) and _has_digit(value)
    return bool(re.fullmatch(r"[0-9a-f_-]{24,}", value)) or (mixed and len(value) >= _VARIABLE_LENGTH)


_VARIABLE_LENGTH = 20


def _has_digit(value: str) -> bool:
    return any(c.isdigit() for c in value)
