"""What goes out to gateways, as files: the one place that says which, and keeps the last of it on disk.

Makes nothing, checks nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson
import structlog

from model_registry.entities.gateway import DEFAULT_GATEWAY, Gateway
from model_registry.errors import Reason
from model_registry.gateways.kind import Files, Variable
from model_registry.gateways.publishing.exclusions import Exclusion, Settings
from model_registry.store.json_bytes import json_bytes
from model_registry.store.snapshot_file import KeptFile

log = structlog.get_logger(__name__)

_FORMAT = 1
"""Of the file on disk."""


@dataclass(frozen=True, slots=True)
class PublishedBody:
    """One form of what goes out, ready to be sent."""

    content: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Served:
    """The configuration served to gateways."""

    revision: int
    """The newest revision that has this configuration."""
    files: Files
    validated_by: str
    """What accepted it: the gateway with its version, or the rules."""
    at: float
    """Epoch seconds of the result."""
    by_rules: tuple[str, ...] = ()
    """Keys of the parts that need a database: only the rules checked these."""
    excluded: tuple[Exclusion, ...] = ()
    """The rows that it was published without."""
    settings: Settings | None = field(default=None, repr=False)
    """The settings of the gateway itself, in use when later ones are refused. None: saved by an older version."""
    warnings: tuple[Reason, ...] = ()
    """What is accepted, and probably not meant."""
    variables: tuple[Variable, ...] = ()
    """The environment variables that it names."""
    bodies: dict[str, PublishedBody] = field(default_factory=dict, compare=False, repr=False)

    def body(self, form: str, make: Callable[[Files], PublishedBody]) -> PublishedBody:
        """The files in one form: made once, however many ask."""
        if form not in self.bodies:
            self.bodies[form] = make(self.files)
        return self.bodies[form]


@dataclass(frozen=True, slots=True)
class Refused:
    """The newest configuration, refused by validation."""

    revision: int
    files: Files
    validated_by: str
    at: float
    reasons: tuple[Reason, ...]
    by_rules: tuple[str, ...] = ()
    """As above."""
    crashed: bool = False
    """Whether validation came to no end: the machine may be to blame, so that it is tried again."""
    held: tuple[Reason, ...] = ()
    """Those of the reasons that are no validation's: variables that are missing."""


@dataclass(frozen=True, slots=True)
class Published:
    """What goes out, and what does not. Replaced, never changed."""

    served: Served | None = None
    refused: Refused | None = None
    provisional: bool = False
    """Served on the word of the rules alone, because there was nothing else and the gateway has not spoken yet."""
    missing: tuple[Variable, ...] = ()
    """The variables without which something of the newest configuration is left out, or all of it held back."""

    @property
    def excluded(self) -> tuple[Exclusion, ...]:
        """The rows left out of what is served."""
        return self.served.excluded if self.served else ()

    @property
    def refused_revision(self) -> int | None:
        """The newest revision, if validation refuses its configuration, or rows of it."""
        if self.refused is not None:
            return self.refused.revision
        return self.served.revision if self.served and self.served.excluded else None

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why the newest configuration, or rows of it, are refused."""
        if self.refused is not None:
            return self.refused.reasons
        return tuple(dict.fromkeys(reason for row in self.excluded for reason in row.reasons))

    def at_revision(self, revision: int) -> Published:
        """The same after changes that concern no gateway: whichever of the two was newest is so at this revision."""
        if self.refused is not None:
            return replace(self, refused=replace(self.refused, revision=revision))
        return replace(self, served=self.served and replace(self.served, revision=revision))


class AcceptedFile:
    """One file, replaced atomically, readable by its owner only."""

    def __init__(self, directory: Path, gateway: Gateway) -> None:
        # By id: a name may have any characters.
        name = "accepted.json" if gateway.name == DEFAULT_GATEWAY else f"accepted-{gateway.id}.json"
        self._file = KeptFile(directory / name, f"the accepted configuration of {gateway.name}")

    def delete(self) -> None:
        """Delete it: the gateway is no more."""
        self._file.delete()

    def load(self, registry_id: str) -> Served | None:
        """Return the last accepted configuration of this registry; None without a file, or with a damaged one."""
        try:
            content = orjson.loads(self._file.read())
            if content["format"] != _FORMAT or content["registry_id"] != registry_id:
                return None
            files = {path: text.encode() for path, text in content["files"].items()}
            by_rules = tuple(map(str, content.get("by_rules", ())))
            excluded = tuple(map(Exclusion.read, content.get("excluded", ())))
            warnings = tuple(Reason(str(w["where"]), str(w["message"])) for w in content.get("warnings", ()))
            revision, at = int(content["revision"]), float(content["at"])
            validated_by, settings = str(content["judge"]), content.get("settings")
            variables = tuple(Variable(v["name"], tuple(v["needed_by"])) for v in content.get("variables", ()))
            return Served(revision, files, validated_by, at, by_rules, excluded, settings, warnings, variables)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("the accepted configuration cannot be read", path=str(self._file.path), error=str(error))
            return None

    def save(self, served: Served, registry_id: str) -> None:
        """Replace the file. After a crash or an error (a full disk, which is logged) the old one is there."""
        document = {
            "format": _FORMAT,
            "registry_id": registry_id,
            "revision": served.revision,
            "judge": served.validated_by,
            "at": served.at,
            "by_rules": list(served.by_rules),
            "warnings": [asdict(warning) for warning in served.warnings],
            "files": {path: content.decode() for path, content in served.files.items()},
            "excluded": [exclusion.view() for exclusion in served.excluded],
            "settings": served.settings,
            "variables": [asdict(variable) for variable in served.variables],
        }
        self._file.replace(json_bytes(document))
