"""The error tree: every class has its own stable code, a title, a status and an exit code."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from model_registry import errors
from model_registry.api.problems import STATUSES, problem_response, status_of
from model_registry.errors import Reason, RegistryError
from model_registry.store.errors import STATES


def tree(kind: type[RegistryError] = RegistryError) -> Iterator[type[RegistryError]]:
    """A class and all below it."""
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


TREE = list(tree())

# What programs may depend on. A new error is added here; one that is here never changes.
CODES = {
    "RegistryError": ("E4000", 500),
    "NotFound": ("E4004", 404),
    "ModelNotFound": ("E4001", 404),
    "RevisionNotFound": ("E4041", 404),
    "RevisionGone": ("E4042", 410),
    "NothingAccepted": ("E5031", 503),
    "NotServed": ("E5033", 500),
    "Conflict": ("E4090", 409),
    "AlreadyExists": ("E4002", 409),
    "AmbiguousName": ("E4091", 409),
    "InUse": ("E4092", 409),
    "NodeFull": ("E4093", 409),
    "FleetFull": ("E4094", 409),
    "ProviderElsewhere": ("E4095", 409),
    "Invalid": ("E4005", 422),
    "InvalidModel": ("E4003", 422),
    "UnknownReference": ("E4006", 422),
    "SecretInText": ("E4012", 422),
    "InvalidConfiguration": ("E4007", 422),
    "InvalidEvent": ("E4008", 422),
    "Incomplete": ("E4009", 400),
    "PreconditionFailed": ("E4120", 412),
    "NotAuthenticated": ("E4010", 401),
    "NotAllowed": ("E4030", 403),
    "MethodNotAllowed": ("E4050", 405),
    "RequestTimeout": ("E4080", 408),
    "BodyTooLarge": ("E4130", 413),
    "UrlTooLong": ("E4140", 414),
    "TooManyRequests": ("E4290", 429),
    "HeadersTooLarge": ("E4310", 431),
    "DeadlineExceeded": ("E5032", 503),
    "StorageError": ("E5000", 500),
    "StorageUnavailable": ("E5030", 503),
    "StatementTimeout": ("E5041", 500),
    "StorageMisconfigured": ("E5001", 500),
    "OriginalRegistry": ("E5042", 500),
    "RepeatedRequest": ("E4096", 409),
    "ImportConflict": ("E4097", 409),
    "UnsafeAddress": ("E4013", 422),
    "DispatchError": ("E5020", 502),
    "NoInstance": ("E5034", 503),
    "QueueFull": ("E5035", 503),
    "UpstreamFailed": ("E5021", 502),
    "UpstreamTimeout": ("E5022", 504),
    "OutcomeUnknown": ("E5023", 502),
    "ProtocolUnsupported": ("E5011", 501),
    "DispatchLoop": ("E5080", 508),
    "GatewayUnavailable": ("E5002", 500),
    "RegistryUnreachable": ("E5003", 500),
    "SourceUnreadable": ("E5005", 502),
    "ModelServerUnreachable": ("E5004", 500),
    "StackError": ("E5010", 500),
    "NotConfined": ("E5040", 503),
}


def test_codes_and_statuses_stay_as_they_are() -> None:
    assert {kind.__name__: (kind.code, status_of(kind("m"))) for kind in TREE} == CODES


def test_every_class_has_a_code_of_its_own() -> None:
    assert len({kind.code for kind in TREE}) == len(TREE)
    assert all("code" in vars(kind) and re.fullmatch(r"E[45]\d{3}", kind.code) for kind in TREE)


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_every_class_has_a_title_of_its_own(kind: type[RegistryError]) -> None:
    assert kind.title()
    assert not kind.title().endswith(".")
    assert [other for other in TREE if other.title() == kind.title()] == [kind]


def test_the_tree_is_drawn_as_it_is() -> None:
    drawn = re.findall(r"^( {4}[│├└─ ]*)(\w+) +(E\d{4})$", errors.__doc__ or "", re.MULTILINE)

    depths = [(name, code, len(indent) // 4 - 1) for indent, name, code in drawn]

    assert depths == [(kind.__name__, kind.code, len(kind.__mro__) - 4) for kind in TREE]


def test_every_error_lives_in_the_one_module() -> None:
    assert {kind.__module__ for kind in TREE[1:]} == {"model_registry.errors"}


def test_the_table_of_statuses_names_nothing_twice() -> None:
    for kind, status in STATUSES.items():
        ancestors = [STATUSES[parent] for parent in kind.__mro__[1:] if parent in STATUSES]
        assert not ancestors or ancestors[0] != status, f"{kind.__name__} has the status of its ancestor anyway"


def test_what_the_storage_says_becomes_an_error_that_a_caller_can_understand() -> None:
    assert {kind for kind, _ in STATES.values()} <= set(TREE)
    for kind, message in STATES.values():
        assert message.endswith(".")
        # Whose fault it is shows in the status: the caller's with a way out, or ours.
        assert status_of(kind(message)) in (404, 409, 412, 422, 500)


def test_a_reason_reads_as_one_line() -> None:
    assert str(Reason("api_base", "is missing")) == "api_base: is missing"
    assert str(Reason("", "is missing")) == "is missing"


def test_an_error_carries_message_reasons_and_data_but_shows_only_some() -> None:
    error = errors.InUse("in use", reasons=[Reason("a", "b")], referrers=["the alias x"], storage={"message": "secret"})

    body = problem_response(error).body

    assert str(error) == "in use"
    assert error.reasons == (Reason("a", "b"),)
    assert b"the alias x" in body
    assert b"secret" not in body
