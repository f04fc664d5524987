"""Validates a whole project by the rules, the list of deprecated syntax, and the real gateway.

The rules are in `rules/`, the gateway in `gateway_process.py`; here their results are combined.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import tomli

from model_registry.errors import InvalidConfiguration, Reason
from model_registry.gateways.tensorzero.project import normalised, shown, undotted
from model_registry.gateways.tensorzero.reading.file_references import Survey, surveyed
from model_registry.gateways.tensorzero.reading.parse import unchecked_project
from model_registry.gateways.tensorzero.rules import check_configuration
from model_registry.gateways.tensorzero.rules.cached_rules import CachedRules
from model_registry.gateways.tensorzero.rules.deprecated import deprecated_syntax
from model_registry.gateways.tensorzero.rules.doubts import doubts
from model_registry.gateways.tensorzero.rules.files import leading_outside, missing_files
from model_registry.gateways.tensorzero.validation.database_parts import explained, own_warnings
from model_registry.gateways.tensorzero.validation.gateway_process import CRASHES, GatewayAnswer, GatewayProcess, Quoter
from model_registry.gateways.tensorzero.validation.staging import Staged, staged

CRASHED = Reason("", "the check crashes or hangs on this configuration")


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """Result of validating a project."""

    faults: tuple[Reason, ...] = ()
    """Faults: what the gateway refuses, or accepts and then cannot use."""
    deprecated: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    """What is accepted, and probably not meant."""
    gateway: GatewayAnswer | None = None
    """The gateway's result; None when it did not run."""
    unasked: str | None = None
    """Why the gateway did not run."""

    @property
    def accepted(self) -> bool:
        """Whether neither rules nor gateway refuse the project."""
        return not self.faults and (self.gateway is None or self.gateway.accepted)

    @property
    def crashed(self) -> bool:
        """Whether validation came to no end: the machine may be to blame, and not the project."""
        return CRASHED in self.faults or (self.gateway is not None and self.gateway.message == CRASHES)

    @property
    def by_loader(self) -> bool:
        """Whether the gateway was asked."""
        return self.gateway is not None

    @property
    def by_rules(self) -> tuple[str, ...]:
        """Keys of the parts that only the rules checked."""
        return self.gateway.by_rules if self.gateway else ()

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """All reasons for a refusal."""
        if self.gateway is None or self.gateway.accepted:
            return self.faults
        return (*self.faults, Reason("", f"the gateway says: {self.gateway.message}"))


def check_project(
    files: Mapping[str, bytes],
    gateway: GatewayProcess | None,
    *,
    configuration: Iterable[str] | None = None,
    trusted: bool = False,
    cached_rules: CachedRules | None = None,
) -> ValidationResult:
    """Check a project. The rules run while the gateway loads it.

    Args:
        files: all files, by path.
        gateway: None checks only the rules.
        configuration: the files that are the configuration; by default all TOML files.
        trusted: whether referenced files outside the project may be read on this machine, which is its owner's.
        cached_rules: results for earlier configurations rendered by the registry.
    """
    files, names, bad_names = _named(files, configuration)
    if bad_names:
        return ValidationResult(tuple(bad_names), unasked="there is no configuration to ask it about")
    try:
        surveys = _read(files, names, cached_rules)
        outside = () if trusted else tuple(_outside(surveys, files))
    except RecursionError:
        return ValidationResult((Reason("", "is nested too deeply"),), unasked="the configuration is nested too deeply")
    except ValueError as error:  # no TOML, no UTF-8, a number with thousands of digits
        word = GatewayAnswer(accepted=False, message=f"not valid TOML: {error}") if gateway else None
        by_rules = _rules(files, names, cached_rules)
        return replace(by_rules, gateway=word, unasked=None if gateway else "no gateway was asked")
    if gateway is None or outside:
        by_rules = _rules(files, names, cached_rules)
        why = "it would open what is not in the project" if outside else "no gateway was asked"
        return replace(by_rules, faults=_joined(by_rules.faults, outside), unasked=why)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(_ask, gateway, files, surveys, trusted=trusted, ours=cached_rules is not None)
        by_rules = _rules(files, names, cached_rules)
        answer = asking.result()
    unasked = None if answer else "the gateway's process does not run on this machine"
    return replace(by_rules, gateway=answer, unasked=unasked)


def findings_view(findings: ValidationResult) -> dict[str, Any]:
    """Convert a result to JSON values, for HTTP and the command line."""
    answer = findings.gateway
    return {
        "accepted": findings.accepted,
        "faults": [asdict(reason) for reason in findings.faults],
        "deprecated": [asdict(reason) for reason in findings.deprecated],
        "warnings": [asdict(reason) for reason in findings.warnings],
        "gateway": {
            "asked": answer is not None,
            "accepted": answer.accepted if answer else None,
            "message": answer.message if answer else findings.unasked,
            "warnings": list(answer.warnings) if answer else [],
            "by_rules": list(answer.by_rules) if answer else [],
        },
    }


def _rules(files: Mapping[str, bytes], names: tuple[str, ...], cached_rules: CachedRules | None) -> ValidationResult:
    known = frozenset(posixpath.normpath(path) for path in files)
    try:
        texts = {name: files[name].decode("utf-8") for name in names}
        if cached_rules is not None and len(names) == 1:
            cached = cached_rules.check(texts[names[0]], known, _beside(names[0], known))
            if cached is not None:
                return ValidationResult(tuple(cached.faults), tuple(cached.deprecated), tuple(cached.warnings))
        project = unchecked_project(texts)
    except InvalidConfiguration as error:
        return ValidationResult(error.reasons)
    except UnicodeDecodeError as error:
        return ValidationResult((Reason("", f"is not UTF-8 (byte {error.start})"),))
    faults = check_configuration(project.tree)
    for name, tree in project.trees.items():
        faults += missing_files(tree, _beside(name, known))
    has_model = project.table("models").__contains__
    found = [faults, deprecated_syntax(project.tree), doubts(project.tree, has_model)]
    if len(names) > 1:
        found = [[Reason(project.locate(undotted(r.where)), r.message) for r in reasons] for reasons in found]
    faults, deprecated, warnings = found
    return ValidationResult(tuple(faults), tuple(deprecated), tuple(warnings))


def _beside(name: str, known: frozenset[str]) -> Callable[[str], bool]:
    return lambda path: posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) in known


def _named(
    files: Mapping[str, bytes], configuration: Iterable[str] | None
) -> tuple[dict[str, bytes], tuple[str, ...], list[Reason]]:
    """Return the files by normalised names, the names of the configuration, and the faults of names."""
    kept, faults = normalised(files)
    names = tuple(map(posixpath.normpath, configuration or (path for path in sorted(kept) if path.endswith(".toml"))))
    absent = "is named as the configuration, and is not among the files"
    return kept, names, faults or [Reason(shown(name), absent) for name in names if name not in kept]


def _read(files: Mapping[str, bytes], names: tuple[str, ...], cached_rules: CachedRules | None) -> dict[str, Survey]:
    surveys: dict[str, Survey] = {}
    for name in names:
        text = files[name].decode("utf-8").removeprefix("\ufeff")
        known = cached_rules.survey(text) if cached_rules and len(names) == 1 else None
        surveys[name] = known or surveyed(tomli.loads(text))
    return surveys


def _outside(surveys: Mapping[str, Survey], files: Mapping[str, bytes]) -> Iterator[Reason]:
    """Yield references that would make the gateway open something outside the project."""
    for name, survey in surveys.items():
        for reason in leading_outside(survey.references, name, files):
            yield reason if len(surveys) == 1 else Reason(f"{name}: {reason.where}", reason.message)


def _joined(faults: tuple[Reason, ...], more: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """Join both, without a second reason for a key that the rules refuse already."""
    known = {fault.where for fault in faults}
    return (*faults, *(reason for reason in more if reason.where not in known))


def _ask(
    gateway: GatewayProcess, files: Mapping[str, bytes], surveys: Mapping[str, Survey], *, trusted: bool, ours: bool
) -> GatewayAnswer | None:
    """Return the gateway's answer, or None when it cannot even load an empty configuration."""
    with staged(files, surveys, gateway.directory, trusted=trusted, ours=ours) as project:
        answer = gateway.load(project.path, project.variables)
        if answer.message == CRASHES:
            return answer if _runs(gateway, project) else None
        directory = project.path.relative_to(gateway.directory).parts[0]
    quoter = Quoter(files, directory)
    message = answer.message and quoter.message(answer.message)
    warnings = quoter.warnings(own_warnings(answer.warnings)) + explained(project.by_rules) + project.unasked
    return GatewayAnswer(answer.accepted, message, warnings, project.by_rules)


def _runs(gateway: GatewayProcess, project: Staged) -> bool:
    empty = project.path.parent / "empty.toml"
    empty.write_text("")
    return gateway.load(empty, project.variables).message != CRASHES
