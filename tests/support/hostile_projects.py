"""Projects that try to make the check read or reach something: listed, and drawn."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import tomli_w
from hypothesis import strategies as st

from model_registry.entities.provider_types import GATEWAY_TYPES
from model_registry.gateways.tensorzero.reading.file_references import FILE_KEYS
from model_registry.gateways.tensorzero.validation.dummy_credentials import ACCOUNT, environment
from model_registry.gateways.tensorzero.validation.gateway_process import GatewayAnswer, GatewayProcess
from support.canaries import VARIABLE, Canaries

MAIN = "tensorzero.toml"
Tree = dict[str, Any]


@dataclass
class Project:
    """A project as sent."""

    tree: Tree
    files: dict[str, Any]
    configuration: list[str] | None = None
    comments: list[str] = field(default_factory=list)

    def sent(self) -> dict[str, bytes]:
        """The files by name."""
        text = "".join(f"# {comment}\n" for comment in self.comments) + tomli_w.dumps(self.tree)
        others = {name: c if isinstance(c, bytes) else json.dumps(c).encode() for name, c in self.files.items()}
        return {MAIN: text.encode(), **others}


def harmless() -> Project:
    """A valid project: a function with a schema, and one with a tool."""
    variant = {"type": "chat_completion", "model": "openai::x"}
    return Project(
        {
            "functions": {
                "f": {"type": "json", "output_schema": "s.json", "variants": {"v": variant | {"json_mode": "strict"}}},
                "g": {"type": "chat", "tools": ["t"], "variants": {"v": dict(variant)}},
            },
            "tools": {"t": {"description": "d", "parameters": "p.json"}},
        },
        {"s.json": {"type": "object"}, "p.json": {"type": "object", "properties": {}}},
    )


def known_attacks(canaries: Canaries) -> Mapping[str, Project]:
    """Attacks that worked before there was a sandbox."""
    made: dict[str, Project] = {}

    def attack(name: str, change: Callable[[Project], object]) -> None:
        made[name] = harmless()
        change(made[name])

    here = f"file://{canaries.file}"
    attack("schema", lambda p: p.files.update({"s.json": {"$ref": f"{here}#/api_key"}}))
    attack("tool", lambda p: p.files.update({"p.json": {"properties": {"x": {"$ref": f"{here}#/api_key"}}}}))
    rebased = {"$id": f"file://{canaries.file.parent}/", "$ref": f"{canaries.file.name}#/api_key"}
    attack("rebased", lambda p: p.files.update({"s.json": rebased}))
    draft4 = {"$schema": "http://json-schema.org/draft-04/schema#", "id": rebased["$id"]}
    attack("draft 4", lambda p: p.files.update({"s.json": draft4 | {"properties": {"x": {"$ref": rebased["$ref"]}}}}))
    attack("template", lambda p: p.tree["functions"]["g"]["variants"]["v"].update(system_template=str(canaries.file)))
    attack("network", lambda p: p.files.update({"s.json": {"$ref": f"http://127.0.0.1:{canaries.port}/x"}}))
    made["network"].comments.append("path_from_env::HTTP_PROXY")
    attack("credential", lambda p: p.tree.update(provider("openai", "api_key_location", f"path::{canaries.file}")))
    attack("file as configuration", lambda p: named(p, str(canaries.file)))
    attack("glob as configuration", lambda p: named(p, f"{canaries.file.parent}/*.json"))
    return made


def named(project: Project, path: str) -> None:
    """Name a file of the machine as the configuration."""
    project.files[path] = b""
    project.configuration = [path]


def provider(kind: str, key: str, value: str) -> Tree:
    """A model at a provider with this credential."""
    table = {"type": kind, "model_name": "x", key: value}
    if kind == "azure":
        table = {"type": kind, "deployment_id": "x", "endpoint": "https://x.example", key: value}
    return {"models": {"m": {"routing": ["p"], "providers": {"p": table}}}}


def drawn(canaries: Canaries) -> st.SearchStrategy[Project]:
    """Any number of tricks at once."""
    up = "../" * 12
    file = str(canaries.file)
    paths = st.sampled_from([
        file, f"{up}{file[1:]}",
        f"./x/../{up}{file[1:]}", f"file://{file}", f"{canaries.file.parent}/*", "s.json/x", "",
        "/proc/self/environ", "/proc/1/environ", "/dev/stdin", "a\0b", "~/x", "x" * 600,
        f"{up}proc/self/fd/0", ".", "..",
    ])  # fmt: skip
    urls = st.sampled_from([
        f"file://{file}#/api_key", f"FILE://{file}#/api_key", f" file://{file}", f"{file}#/api_key", canaries.file.name,
        f"http://127.0.0.1:{canaries.port}/x", f"HTTP://localhost:{canaries.port}", f"//127.0.0.1:{canaries.port}/x",
        "#/$defs/a", "#", "", "https://json-schema.org/draft/2020-12/schema", "urn:x", "s.json", f"file:{file}",
    ])  # fmt: skip
    variables = st.sampled_from([
        "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "PATH", "LD_PRELOAD", "HOME", "RUST_LOG",
        "SSL_CERT_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "TENSORZERO_CLICKHOUSE_URL", "AWS_CONFIG_FILE", VARIABLE,
        "MY_KEY", "", "A=B", "a b", "x" * 600, "ü",
    ])  # fmt: skip
    schemes = st.sampled_from(["path::", "path_from_env::", "env::", "file::", "dynamic::", "sdk", "none", ""])
    names = st.sampled_from([
        file, f"../{canaries.file.name}", "a/../../b", "", ".", "/", "a\0b", "s.json/below", "S.JSON",
        "./s.json", "a//b",
        "*.toml", "{a,b}.toml", "[a].toml", "x" * 300, "d/" * 50 + "x", "\ud800", "a\\b", "a/", "..",
    ])  # fmt: skip
    return st.builds(
        _with,
        st.lists(st.tuples(st.sampled_from(FILE_KEYS), paths), max_size=2),
        st.lists(st.tuples(_positions(), _KEYWORDS, urls), max_size=2),
        st.lists(st.tuples(_PLACES, schemes, st.one_of(paths, variables)), max_size=2),
        st.lists(st.tuples(st.sampled_from(["env::", "path_from_env::"]), variables), max_size=2),
        st.lists(st.tuples(names, st.booleans()), max_size=1),
    )


_KEYWORDS = st.sampled_from(["$ref", "$dynamicRef", "$recursiveRef", "$schema", "$id", "id"])
_PLACES = st.sampled_from([
    *((kind, "api_key_location") for kind in sorted(GATEWAY_TYPES)),
    *((kind, "credential_location") for kind in sorted(GATEWAY_TYPES)),
    ("azure", "endpoint"), ("aws_bedrock", "access_key_id"), ("aws_bedrock", "region"), ("openai", "api_base"),
])  # fmt: skip


def _positions() -> st.SearchStrategy[list[str | int]]:
    keys = ["properties", "$defs", "items", "allOf", "not", "enum", "default", "unknown", "patternProperties", "if"]
    return st.lists(st.sampled_from(keys), max_size=3)


def _with(keys: Any, references: Any, credentials: Any, comments: Any, names: Any) -> Project:
    project = harmless()
    for pattern, value in keys:
        _set(project.tree, pattern, value)
    for position, keyword, url in references:
        for name in ("s.json", "p.json"):
            _nest(project.files[name], position)[keyword] = url
    for (kind, key), scheme, value in credentials:
        project.tree |= provider(kind, key, f"{scheme}{value}".replace("\0", ""))
    project.comments = [f"{scheme}{name}" for scheme, name in comments]
    for name, said in names:
        project.files[name] = {}
        project.configuration = [name] if said else None
    return project


def _set(tree: Tree, pattern: tuple[str, ...], value: str) -> None:
    stars = chain(("g", "v"), repeat("x"))
    for key in pattern[:-1]:
        tree = tree.setdefault(next(stars) if key == "*" else key, {})
    tree[pattern[-1]] = value


def _nest(schema: Tree, position: list[str]) -> Tree:
    for key in position:
        if key in {"allOf", "enum"}:
            inner: Tree = {}
            schema.setdefault(key, []).append(inner)
        else:
            inner = schema.setdefault(key, {})
            if key in {"properties", "$defs", "patternProperties"}:
                inner = inner.setdefault("a", {})
        schema = inner
    return schema


_IN_FILE = re.compile(r"path_from_env::([^\"'\\\n]*)")
_IN_VARIABLE = re.compile(r"env::([^\"'\\\n]*)")


def load_naively(
    gateway_process: GatewayProcess, files: Mapping[str, bytes], configuration: list[str] | None
) -> GatewayAnswer:
    """Ask the gateway about a project laid out as it was sent, as the registry did before it took names from nobody.

    To try the walls of the gateway's process alone, and to show that without them the canaries do sing.
    """
    project = gateway_process.directory / "project"
    project.mkdir(exist_ok=True)
    variables = environment()
    del variables["ALL_PROXY"]  # as it was then
    for name, content in files.items():
        _write(project, name, content)
        text = content.decode("utf-8", "replace")
        for pattern, value in ((_IN_VARIABLE, "not-a-key"), (_IN_FILE, str(gateway_process.directory / ACCOUNT))):
            found = (variable for variable in pattern.findall(text) if variable and not set("=\0") & set(variable))
            variables |= dict.fromkeys((variable for variable in found if variable.isascii()), value)
    name = (configuration or ["tensorzero.toml"])[0]
    return gateway_process.load(project / name, variables)


def _write(project: Path, name: str, content: bytes) -> None:
    """Only below the project: the canary itself is not to be written to."""
    if name.startswith("/") or ".." in name:
        return
    try:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(content)
    except (OSError, ValueError):
        return
