"""Ask the real gateway how each provider type may be told where a credential or an address is; write what it takes.

python scripts/write_credential_schemes.py          write service/model_registry/entities/credential_schemes.py
python scripts/write_credential_schemes.py --check  exit with 1 if the file differs from the gateway

Needs the extra `gateway`. Takes a few seconds: one question for each type, key and scheme.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from model_registry.entities.provider_types import GATEWAY_TYPES, ProviderType
from model_registry.gateways.tensorzero.project import MODEL_TABLES
from model_registry.gateways.tensorzero.validation.dummy_credentials import ACCOUNT, ADDRESS, environment
from model_registry.gateways.tensorzero.validation.gateway_process import GatewayProcess

FILE = Path(__file__).resolve().parent.parent / "service" / "model_registry" / "entities" / "credential_schemes.py"
RELAY = "gateway.relay"
WORDS = ("none", "sdk")
SCHEMES = ("env::", "path::", "path_from_env::", "dynamic::", *WORDS)
_URL = "https://base.example"
_REQUIRED = {
    "aws_bedrock": {"region": "us-east-1"},
    "aws_sagemaker": {"region": "us-east-1", "hosted_provider": "tgi"},
    "gcp_vertex_anthropic": {"location": "europe-west4", "project_id": "p"},
    "gcp_vertex_gemini": {"location": "europe-west4", "project_id": "p"},
}
_HEAD = '''"""Where the gateway lets each provider type's credentials and addresses be. Measured; the rules read it.

Written by scripts/write_credential_schemes.py, which asked TensorZero 2026.6.0; a test compares both.
"""

from __future__ import annotations

from collections.abc import Mapping

CREDENTIAL_SCHEMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
'''

Table = dict[str, dict[str, tuple[str, ...]]]


def measured() -> Table:
    """Ask the gateway."""
    with GatewayProcess() as gateway:
        table: Table = {}
        for kind in GATEWAY_TYPES.values():
            sections = MODEL_TABLES if kind.embeddings else MODEL_TABLES[:1]
            for key in sorted(_keys(kind)):
                taken = {_taken(gateway, kind, key, section) for section in sections}
                (table.setdefault(kind.name, {})[key],) = taken  # chat and embeddings are alike
        relay = f'[{RELAY}]\ngateway_url = "{_URL}"\napi_key_location = '
        table[RELAY] = {"api_key_location": tuple(s for s in SCHEMES if _loads(gateway, relay + _value(s, "")))}
    return table


def source(table: Table) -> str:
    """The text of the file."""
    lines = [f'    "{name}": {_shown(table[name])},\n' for name in sorted(table)]
    text = f'{_HEAD}{"".join(lines)}}}\n"""Provider type, or `{RELAY}` -> key -> schemes and words that it takes."""\n'
    ruff = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(FILE), "-"]
    return subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout


def main() -> int:
    """Write the file, or compare it."""
    text = source(measured())
    if "--check" in sys.argv:
        return int(FILE.read_text() != text)
    FILE.write_text(text)
    return 0


def _shown(keys: dict[str, tuple[str, ...]]) -> str:
    return "{" + ", ".join(f'"{key}": {taken!r}' for key, taken in keys.items()) + "}"


def _keys(kind: ProviderType) -> Iterator[str]:
    """Yield the keys of a type that name a place, instead of holding the thing itself."""
    if kind.credential:
        yield kind.credential.key
    if kind.base_key and kind.base_key != "api_base":
        yield kind.base_key
    yield from kind.own_keys & {"access_key_id", "secret_access_key", "session_token"}


def _taken(gateway: GatewayProcess, kind: ProviderType, key: str, section: str) -> tuple[str, ...]:
    return tuple(scheme for scheme in SCHEMES if _loads(gateway, _model(kind, key, scheme, section)))


def _model(kind: ProviderType, key: str, scheme: str, section: str) -> str:
    lines = [f'{name} = "{value}"' for name, value in _REQUIRED.get(kind.name, {}).items()]
    lines += [f'{name} = "x"' for name in (kind.model_key, *kind.more_model_keys) if name]
    if kind.base_required and kind.base_key != key:
        lines.append(f'{kind.base_key} = "{_URL}"')
    value = _value(scheme, key)
    lines.append(f"{key} = {value}")
    if key in {"access_key_id", "secret_access_key", "session_token"}:  # they come together, of one kind
        lines += [f"{name} = {value}" for name in ("access_key_id", "secret_access_key") if name != key]
    table = "\n".join(lines)
    return f'[{section}.m]\nrouting = ["p"]\n[{section}.m.providers.p]\ntype = "{kind.name}"\n{table}\n'


def _value(scheme: str, key: str) -> str:
    if scheme in WORDS:
        return f'"{scheme}"'
    is_url = key.startswith("endpoint")
    variable = {"env::": "A_URL", "path_from_env::": "AADDRESS"} if is_url else {"path_from_env::": "AN_ACCOUNT"}
    file = ADDRESS if is_url else ACCOUNT
    return f'"{scheme}{file if scheme == "path::" else variable.get(scheme, "A")}"'


def _loads(gateway: GatewayProcess, text: str) -> bool:
    path = gateway.directory / "tensorzero.toml"
    path.write_text(text)
    ours = {"A": "not-a-key", "A_URL": _URL, "AADDRESS": ADDRESS, "AN_ACCOUNT": ACCOUNT}
    return gateway.load(path, environment() | ours).accepted


if __name__ == "__main__":
    raise SystemExit(main())
