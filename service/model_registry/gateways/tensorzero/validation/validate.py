"""A whole project put before every judge there is: the rules, the list of old syntax, and the real gateway.

The rules are in `check/`, the gateway in `gateway.py`; here they are asked, and their words collected.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from os import path as os_path
from pathlib import Path
from typing import Any

import tomli

from model_registry.errors import InvalidConfiguration, Reason
from model_registry.gateways.tensorzero.project import undotted
from model_registry.gateways.tensorzero.reading.file_keys import file_references
from model_registry.gateways.tensorzero.reading.file_names import normalised, shown
from model_registry.gateways.tensorzero.reading.outside_references import Survey, surveyed
from model_registry.gateways.tensorzero.reading.parse import unchecked_project
from model_registry.gateways.tensorzero.reading.project_files import files_below, find_files, is_file
from model_registry.gateways.tensorzero.rules import check_configuration
from model_registry.gateways.tensorzero.rules.cached_rules import CachedRules
from model_registry.gateways.tensorzero.rules.deprecated import deprecated_syntax
from model_registry.gateways.tensorzero.rules.files import missing_files
from model_registry.gateways.tensorzero.rules.schema_references import leading_outside
from model_registry.gateways.tensorzero.validation.gateway_process import CRASHES, GatewayAnswer, GatewayProcess
from model_registry.gateways.tensorzero.validation.quoting import Quoter
from model_registry.gateways.tensorzero.validation.staging import Staged, staged


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """What there is to say about a project."""

    faults: tuple[Reason, ...] = ()
    """What the gateway refuses, or takes and then cannot use."""
    deprecated: tuple[Reason, ...] = ()
    gateway: GatewayAnswer | None = None
    """The gateway's own word; None when it was not asked."""
    unasked: str | None = None
    """Why the gateway was not asked."""

    @property
    def accepted(self) -> bool:
        """Whether nobody objects."""
        return not self.faults and (self.gateway is None or self.gateway.accepted)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Everything that speaks against it."""
        if self.gateway is None or self.gateway.accepted:
            return self.faults
        return (*self.faults, Reason("", f"the gateway says: {self.gateway.message}"))


def check_project(
    files: Mapping[str, bytes],
    judge: GatewayProcess | None,
    *,
    configuration: Iterable[str] | None = None,
    trusted: bool = False,
    rechecker: CachedRules | None = None,
) -> ValidationResult:
    """Check a project. The rules are gone through while the gateway loads it.

    Args:
        files: everything in it, by path.
        judge: a gateway; None asks only the rules.
        configuration: which of the files are the configuration; by default all TOML files.
        trusted: whether files outside the project that it names may be read on this machine: it is its owner's.
        rechecker: remembers what was checked before of what the registry itself renders.
    """
    files, names, faults = _named(files, configuration)
    if faults:
        return ValidationResult(tuple(faults), unasked="there is no configuration to ask it about")
    try:
        surveys = _read(files, names, rechecker)
        outside = () if trusted else tuple(_outside(surveys, files))
    except RecursionError:
        return ValidationResult((Reason("", "is nested too deeply"),), unasked="the configuration is nested too deeply")
    except ValueError as error:  # no TOML, no UTF-8, a number with thousands of digits
        found, deprecated = _rules(files, names, rechecker)
        word = GatewayAnswer(accepted=False, message=f"not valid TOML: {error}") if judge else None
        return ValidationResult(found, deprecated, word, unasked=None if judge else "no gateway was asked")
    if judge is None or outside:
        found, deprecated = _rules(files, names, rechecker)
        why = "it would open what is not in the project" if outside else "no gateway was asked"
        return ValidationResult(_joined(found, outside), deprecated, unasked=why)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(_ask, judge, files, surveys, trusted=trusted, ours=rechecker is not None)
        found, deprecated = _rules(files, names, rechecker)
        verdict = asking.result()
    unasked = None if verdict else "the gateway's process does not run on this machine"
    return ValidationResult(found, deprecated, verdict, unasked)


def read_whole_project(paths: Iterable[str | Path]) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """A project from disk with the files that it names: path -> content, and which of them are the configuration.

    Raises:
        InvalidConfiguration: a path leads nowhere.
    """
    tomls = find_files(paths)
    found = {Path(os_path.normpath(file)) for file in tomls}
    for file in tomls:
        try:
            tree = tomli.loads(file.read_text("utf-8-sig"))
        except (ValueError, RecursionError):
            continue  # the rules say so
        for _, value in file_references(tree):
            if isinstance(value, str) and value and not posixpath.isabs(value):
                named = Path(os_path.normpath(file.parent / value))
                found |= set(files_below(named)) or {named}
    root = Path(os_path.commonpath([file.parent for file in found]))
    contents = {file.relative_to(root).as_posix(): file.read_bytes() for file in sorted(found) if is_file(file)}
    return contents, tuple(Path(os_path.normpath(file)).relative_to(root).as_posix() for file in tomls)


def findings_view(findings: ValidationResult) -> dict[str, Any]:
    """Findings as JSON values: the same over HTTP and on the command line."""
    word = findings.gateway
    return {
        "accepted": findings.accepted,
        "faults": [asdict(reason) for reason in findings.faults],
        "deprecated": [asdict(reason) for reason in findings.deprecated],
        "gateway": {
            "asked": word is not None,
            "accepted": word.accepted if word else None,
            "message": word.message if word else findings.unasked,
            "warnings": list(word.warnings) if word else [],
        },
    }


def _rules(
    files: Mapping[str, bytes], names: tuple[str, ...], rechecker: CachedRules | None
) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
    known = frozenset(posixpath.normpath(path) for path in files)
    try:
        texts = {name: files[name].decode("utf-8") for name in names}
        if rechecker is not None and len(names) == 1:
            said = rechecker.check(texts[names[0]], known, _beside(names[0], known))
            if said is not None:
                return tuple(said.faults), tuple(said.deprecated)
        project = unchecked_project(texts)
    except InvalidConfiguration as error:
        return error.reasons, ()
    except UnicodeDecodeError as error:
        return (Reason("", f"is not UTF-8 (byte {error.start})"),), ()
    faults = check_configuration(project.tree)
    for name, tree in project.trees.items():
        faults += missing_files(tree, _beside(name, known))
    place = project.place if len(names) > 1 else None
    deprecated = deprecated_syntax(project.tree)
    if place is None:
        return tuple(faults), tuple(deprecated)
    placed = [[Reason(place(undotted(r.where)), r.message) for r in reasons] for reasons in (faults, deprecated)]
    return tuple(placed[0]), tuple(placed[1])


def _beside(name: str, known: frozenset[str]) -> Callable[[str], bool]:
    return lambda path: posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) in known


def _named(
    files: Mapping[str, bytes], configuration: Iterable[str] | None
) -> tuple[dict[str, bytes], tuple[str, ...], list[Reason]]:
    """The files by their simplest names, which of them are the configuration, and what is wrong with the names."""
    kept, faults = normalised(files)
    names = tuple(map(posixpath.normpath, configuration or (path for path in sorted(kept) if path.endswith(".toml"))))
    absent = "is said to be the configuration, and is not among the files"
    return kept, names, faults or [Reason(shown(name), absent) for name in names if name not in kept]


def _read(files: Mapping[str, bytes], names: tuple[str, ...], rechecker: CachedRules | None) -> dict[str, Survey]:
    surveys: dict[str, Survey] = {}
    for name in names:
        text = files[name].decode("utf-8").removeprefix("\ufeff")
        known = rechecker.survey(text) if rechecker and len(names) == 1 else None
        surveys[name] = known or surveyed(tomli.loads(text))
    return surveys


def _outside(surveys: Mapping[str, Survey], files: Mapping[str, bytes]) -> Iterator[Reason]:
    """What would make the gateway open something that is not in the project."""
    for name, survey in surveys.items():
        for reason in leading_outside(survey.references, name, files):
            yield reason if len(surveys) == 1 else Reason(f"{name}: {reason.where}", reason.message)


def _joined(faults: tuple[Reason, ...], more: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """Both, without a second word on a key that the rules refuse already."""
    known = {fault.where for fault in faults}
    return (*faults, *(reason for reason in more if reason.where not in known))


def _ask(
    judge: GatewayProcess, files: Mapping[str, bytes], surveys: Mapping[str, Survey], *, trusted: bool, ours: bool
) -> GatewayAnswer | None:
    """The gateway's word, or None when it cannot even load an empty configuration."""
    with staged(files, surveys, judge.directory, trusted=trusted, ours=ours) as project:
        verdict = judge.load(project.path, project.variables)
        if verdict.message == CRASHES:
            return verdict if _runs(judge, project) else None
        directory = project.path.relative_to(judge.directory).parts[0]
    quoter = Quoter(files, directory)
    message = verdict.message and quoter.message(verdict.message)
    return GatewayAnswer(verdict.accepted, message, quoter.warnings(verdict.warnings) + project.unasked)


def _runs(judge: GatewayProcess, project: Staged) -> bool:
    empty = project.path.parent / "empty.toml"
    empty.write_text("")
    return judge.load(empty, project.variables).message != CRASHES
