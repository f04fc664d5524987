"""Names of secrets, and values under them that are none: references, placeholders, names of types."""

from __future__ import annotations

import re

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
