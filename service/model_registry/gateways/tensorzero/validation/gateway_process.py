"""The real gateway, run on a configuration in a process of its own, and its messages. Decides nothing by itself.

Callers elsewhere see a message only through `Quoter`: a word is kept when it occurs in the project, or is a plain word,
an identifier or a short number, so that nothing else that the gateway read leaks.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import tomli
import tomli_w

from model_registry.errors import GatewayUnavailable, NotConfined
from model_registry.file_paths import CONFIG_FILE
from model_registry.gateways.json_lines_child import JsonLinesChild, python_child
from model_registry.gateways.tensorzero.reading.file_references import strings
from model_registry.gateways.tensorzero.validation.database_parts import explained, own_warnings, without_databases
from model_registry.gateways.tensorzero.validation.dummy_credentials import QUIET, environment, lay_out
from model_registry.gateways.tensorzero.validation.gateway_child import MARK

_CHILD = "model_registry.gateways.tensorzero.validation.gateway_child"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_WARNING = re.compile(r"^\S+\s+WARN\s+\S+?:\s+(?!Disabling observability)(.*)$")
_MESSAGE = re.compile(r'message: ("(?:[^"\\]|\\.)*")', re.DOTALL)
_VARIANT = re.compile(r"TensorZeroInternalError\(Error\((.*?)\)\) }", re.DOTALL)

CRASHES = "the gateway crashes or hangs on this configuration"

TIMEOUT_S = 60.0
"""Loading 10,000 models takes a few seconds; nothing takes this long."""


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    """The gateway's answer to a configuration."""

    accepted: bool
    message: str | None = None
    """Why not, in the gateway's words."""
    warnings: tuple[str, ...] = ()
    """Its warnings while loading, and the parts that it was not given."""
    by_rules: tuple[str, ...] = ()
    """Keys of the parts that only the rules checked, because they need a database."""


class GatewayProcess:
    """A gateway process for one configuration after another. To be used in a `with` statement, by one thread.

    Every call has a timeout; a process that crashes or hangs is replaced, and what made it crash twice is refused. The
    process reads what is below `directory`, and reaches nothing else (`confinement/walls.py`).

    Args:
        timeout_s: for one load.
        readable: further files that it may read, and directories with what is below.
        child: the module whose `main` is run.

    Raises:
        NotConfined: on the first call, where a wall that the kernel has cannot be put up.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S, readable: Iterable[Path] = (), child: str = _CHILD) -> None:
        if find_spec("tensorzero") is None:
            raise GatewayUnavailable(
                "the package tensorzero, which contains the gateway, is not installed; "
                "install it with: pip install 'pmoves-model-registry[gateway]'"
            )
        self._timeout_s = timeout_s
        self._readable = [str(path) for path in readable]
        self._mark = f"{MARK}{secrets.token_hex(16)} "
        self._directory = tempfile.TemporaryDirectory(prefix="gateway-")
        self.directory = Path(self._directory.name)
        lay_out(self.directory)
        self.child = JsonLinesChild(
            lambda directory: python_child(child, directory, self._readable),
            directory=self.directory,
            environment=QUIET,
            stderr=subprocess.STDOUT,
            group=False,  # it ends with the group of the process that checks
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.close()
        self._directory.cleanup()

    def validate(self, configuration: str | Path) -> GatewayAnswer:
        """Load a configuration: TOML text, or the file of a project whose relative paths are to be followed."""
        text = configuration.read_text("utf-8") if isinstance(configuration, Path) else configuration
        try:
            tree = tomli.loads(text)
        except ValueError as error:
            return GatewayAnswer(accepted=False, message=f"not valid TOML: {error}")
        by_rules: tuple[str, ...] = ()
        if isinstance(configuration, Path):
            path = configuration.absolute()
            self._let_read(path.parent)
        else:
            by_rules = without_databases(tree)
            path = self.directory / CONFIG_FILE
            path.write_text(tomli_w.dumps(tree) if by_rules else text, "utf-8")
        answer = self.load(path, environment(strings(tree)))
        return replace(answer, warnings=own_warnings(answer.warnings) + explained(by_rules), by_rules=by_rules)

    def load(self, path: Path, variables: dict[str, str]) -> GatewayAnswer:
        """Load a file, or the files of a glob, as they are, with these variables and no others."""
        if path.is_relative_to(self.directory):
            path = path.relative_to(self.directory)  # the process may know its directory by no other name
        job = {"path": str(path), "environment": variables, "cpu_seconds": 2 * self._timeout_s, "mark": self._mark}
        warnings: list[str] = []
        answer = self.child.ask(job, self._timeout_s, lambda line: self._read(line, warnings), attempts=2)
        return answer or GatewayAnswer(accepted=False, message=CRASHES)

    def _let_read(self, directory: Path) -> None:
        if str(directory) not in self._readable:
            self._readable.append(str(directory))
            self.child.stop()

    def _read(self, line: str, warnings: list[str]) -> GatewayAnswer | None:
        """Return the answer when this line is it; note a warning."""
        if line.startswith(f'{MARK}{{"unconfined"'):
            problem = json.loads(line.removeprefix(MARK))["unconfined"]
            raise NotConfined(f"The gateway's process cannot be shut in: {problem}")
        if line.startswith(self._mark):
            refusal = json.loads(line.removeprefix(self._mark))["refusal"]
            return GatewayAnswer(refusal is None, refusal and distilled(refusal), tuple(dict.fromkeys(warnings)))
        if warning := _WARNING.match(_ANSI.sub("", line)):
            warnings.append(warning[1].strip())
        return None


def distilled(refusal: str) -> str:
    """The part of the gateway's error that is for people."""
    refusal = _ANSI.sub("", refusal)
    if message := _MESSAGE.search(refusal):
        try:
            return str(json.loads(message[1].replace("\\'", "'"), strict=False))
        except ValueError:
            return message[1][1:-1]
    variant = _VARIANT.search(refusal)
    return variant[1] if variant else refusal


LONGEST = 2000
"""Characters of a message, at most."""
MOST_WARNINGS, LONGEST_WARNING = 50, 500

_QUOTED = re.compile(r"\"(?:[^\"\\\n]|\\.){3,}\"|'(?:[^'\\\n]|\\.){3,}'|`[^`\n]{3,}`")
_WORD = re.compile(r"[^\s\"'`,;()\[\]{}<>|]+")
_PLAIN = re.compile(r"[A-Za-z]{1,24}(?:['-][A-Za-z]{1,24}){0,3}")
_IDENTIFIER = re.compile(r"(?:[a-z]+[0-9]{0,3}(?:_|::|\.)?){1,8}|[A-Z][A-Z_]{1,40}")
_NUMBER = re.compile(r"-?[0-9]{1,6}(?:[.:][0-9]{1,6}){0,2}%?")
MARKS = ".:!?-=/*+&^…#"
_JSON_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
"""Text in double quotes is a user's value, or one of these."""
_LONGEST_IDENTIFIER = 48
_CUT = "…"


class Quoter:
    """Reduces messages about one project."""

    def __init__(self, files: Mapping[str, bytes], directory: str) -> None:
        self._texts = ["\n".join(files), *(content.decode("utf-8", "replace") for content in files.values())]
        self._directory = re.compile(rf"(?:[^\s\"'`,;(){{}}]*/)?{re.escape(directory)}(?:/project)?/?")

    def message(self, text: str, longest: int = LONGEST) -> str:
        """Replace all words that are neither known nor the reader's."""
        text = self._directory.sub("", text[: 8 * longest])
        text = _QUOTED.sub(lambda quoted: self._quoted(quoted[0]), text)
        text = _WORD.sub(lambda word: self._word(word[0]), text)
        return text if len(text) <= longest else f"{text[:longest]}{_CUT}"

    def warnings(self, texts: Iterable[str]) -> tuple[str, ...]:
        """Reduce the warnings, up to a maximum number."""
        return tuple(self.message(text, LONGEST_WARNING) for text in list(texts)[:MOST_WARNINGS])

    def _quoted(self, quoted: str) -> str:
        """Keep a quotation if the reader wrote it, or it is a name of the gateway."""
        inside = quoted[1:-1]
        known = inside in _JSON_TYPES if quoted[0] == '"' else _is_known(inside) or quoted[0] == "`"
        return quoted if known or self._is_theirs(inside) else f"{quoted[0]}{_CUT}{quoted[0]}"

    def _word(self, word: str) -> str:
        bare = word.strip(MARKS)
        if not bare or _is_known(bare) or self._is_theirs(bare) or self._is_theirs(word):
            return word
        parts = re.split(r"([:=/.]+)", bare)
        if (
            len(parts) > 1
            and not word.startswith("/")
            and all(not p or _is_known(p) or self._is_theirs(p) for p in parts[::2])
        ):
            return word
        return _CUT

    def _is_theirs(self, text: str) -> bool:
        escaped = text.replace('\\"', '"').replace("\\\\", "\\")
        return any(text in theirs or escaped in theirs for theirs in self._texts)


def _is_known(word: str) -> bool:
    if len(word) > _LONGEST_IDENTIFIER:
        return False
    return any(pattern.fullmatch(word) for pattern in (_PLAIN, _IDENTIFIER, _NUMBER))
