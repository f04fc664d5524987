"""The error tree: everything the registry refuses or fails at, each with a stable code.

    RegistryError                     E4000
    ├── NotFound                      E4004
    │   ├── ModelNotFound             E4001
    │   ├── RevisionNotFound          E4041
    │   └── RevisionGone              E4042
    ├── Conflict                      E4090
    │   ├── AlreadyExists             E4002
    │   ├── AmbiguousName             E4091
    │   ├── InUse                     E4092
    │   ├── NodeFull                  E4093
    │   └── FleetFull                 E4094
    ├── Invalid                       E4005
    │   ├── InvalidModel              E4003
    │   ├── UnknownReference          E4006
    │   ├── InvalidConfiguration      E4007
    │   ├── InvalidEvent              E4008
    │   ├── SecretInText              E4012
    │   └── Incomplete                E4009
    ├── PreconditionFailed            E4120
    ├── NotAuthenticated              E4010
    ├── NotAllowed                    E4030
    ├── RequestTimeout                E4080
    ├── BodyTooLarge                  E4130
    ├── UrlTooLong                    E4140
    ├── TooManyRequests               E4290
    ├── HeadersTooLarge               E4310
    ├── DeadlineExceeded              E5032
    ├── StorageError                  E5000
    │   ├── StorageUnavailable        E5030
    │   └── StorageMisconfigured      E5001
    ├── NothingAccepted               E5031
    ├── GatewayUnavailable            E5002
    ├── RegistryUnreachable           E5003
    ├── ModelServerUnreachable        E5004
    ├── SourceUnreadable              E5005
    ├── NotConfined                   E5040
    └── StackError                    E5010

A class's docstring is the title the user reads; the message of an instance says what happened and what to do.
Nothing here knows of HTTP, PostgREST or exit codes: three tables elsewhere translate
(`store/errors.py`, `api/problems.py`, `cli/exit_codes.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

SHOWN_DATA = ("matches", "referrers", "allowed", "oldest", "newest")
"""Keys of an error's data that callers see: what they can choose from. The rest is for the log."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is wrong, and where."""

    where: str
    """The field or key, dotted: `tensorzero.timeouts.non_streaming`."""
    message: str

    def __str__(self) -> str:
        """Read as one line."""
        return f"{self.where}: {self.message}" if self.where else self.message


class RegistryError(Exception):
    """The registry could not do what was asked"""

    code: ClassVar[str] = "E4000"

    def __init__(self, message: str, *, reasons: Sequence[Reason] = (), **data: Any) -> None:  # noqa: ANN401 (data goes into the problem document as it is)
        super().__init__(message)
        self.message = message
        self.reasons = tuple(reasons)
        self.data = data

    @classmethod
    def title(cls) -> str:
        """The class's docstring: the same words for every instance."""
        return (cls.__doc__ or "").strip()


class NotFound(RegistryError):
    """Not found"""

    code = "E4004"


class ModelNotFound(NotFound):
    """Model not found"""

    code = "E4001"


class RevisionNotFound(NotFound):
    """There is no such revision"""

    code = "E4041"


class RevisionGone(NotFound):
    """The revision is no longer kept"""

    code = "E4042"


class Conflict(RegistryError):
    """In conflict with what the registry holds"""

    code = "E4090"


class AlreadyExists(Conflict):
    """Already exists"""

    code = "E4002"


class AmbiguousName(Conflict):
    """The name fits several rows"""

    code = "E4091"


class InUse(Conflict):
    """Still referred to by others"""

    code = "E4092"


class NodeFull(Conflict):
    """The node has too many deployments"""

    code = "E4093"


class FleetFull(Conflict):
    """The registry has too many nodes"""

    code = "E4094"


class Invalid(RegistryError):
    """Not valid"""

    code = "E4005"


class InvalidModel(Invalid):
    """Invalid model"""

    code = "E4003"


class UnknownReference(Invalid):
    """Refers to something that does not exist"""

    code = "E4006"


class InvalidConfiguration(Invalid):
    """The gateway would not accept this configuration"""

    code = "E4007"


class InvalidEvent(Invalid):
    """The event cannot be understood"""

    code = "E4008"


class SecretInText(Invalid):
    """There is a secret in the text"""

    code = "E4012"


class Incomplete(Invalid):
    """Something that is needed is missing"""

    code = "E4009"


class PreconditionFailed(RegistryError):
    """The row has changed since it was read"""

    code = "E4120"


class NotAuthenticated(RegistryError):
    """A valid API key is needed"""

    code = "E4010"


class NotAllowed(RegistryError):
    """The key does not allow this"""

    code = "E4030"


class RequestTimeout(RegistryError):
    """The request did not arrive in time"""

    code = "E4080"


class BodyTooLarge(RegistryError):
    """The body is too large"""

    code = "E4130"


class UrlTooLong(RegistryError):
    """The URL is too long"""

    code = "E4140"


class TooManyRequests(RegistryError):
    """Too many requests at once"""

    code = "E4290"


class HeadersTooLarge(RegistryError):
    """The headers are too large"""

    code = "E4310"


class DeadlineExceeded(RegistryError):
    """The work took longer than its deadline"""

    code = "E5032"


class StorageError(RegistryError):
    """The database could not do what was asked"""

    code = "E5000"


class StorageUnavailable(StorageError):
    """The database cannot be reached"""

    code = "E5030"


class StorageMisconfigured(StorageError):
    """The registry is not set up to use its database"""

    code = "E5001"


class NothingAccepted(RegistryError):
    """No configuration has been accepted yet"""

    code = "E5031"


class GatewayUnavailable(RegistryError):
    """The TensorZero gateway cannot be run here"""

    code = "E5002"


class RegistryUnreachable(RegistryError):
    """The registry service cannot be reached"""

    code = "E5003"


class ModelServerUnreachable(RegistryError):
    """A model server of this node does not answer"""

    code = "E5004"


class SourceUnreadable(RegistryError):
    """What was to be imported cannot be read"""

    code = "E5005"


class NotConfined(RegistryError):
    """A process that reads what callers send cannot be shut in"""

    code = "E5040"


class StackError(RegistryError):
    """A part of the embedded stack could not be started"""

    code = "E5010"
