"""The error tree: every refusal and failure of the registry, each with a stable code.

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
    ├── MethodNotAllowed              E4050
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

A class's docstring is the title shown to users; an instance's message explains what happened and what to do.
Nothing here depends on HTTP, PostgREST or exit codes: three tables elsewhere translate
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
        """The reason as one line."""
        return f"{self.where}: {self.message}" if self.where else self.message


class RegistryError(Exception):
    """The registry could not complete the request"""

    code: ClassVar[str] = "E4000"

    def __init__(self, message: str, *, reasons: Sequence[Reason] = (), **data: Any) -> None:  # noqa: ANN401 (copied into the problem document)
        super().__init__(message)
        self.message = message
        self.reasons = tuple(reasons)
        self.data = data

    @classmethod
    def title(cls) -> str:
        """The class's docstring, the same for every instance."""
        return (cls.__doc__ or "").strip()


class NotFound(RegistryError):
    """Not found"""

    code = "E4004"


class ModelNotFound(NotFound):
    """Model not found"""

    code = "E4001"


class RevisionNotFound(NotFound):
    """Revision not found"""

    code = "E4041"


class RevisionGone(NotFound):
    """Revision no longer available"""

    code = "E4042"


class Conflict(RegistryError):
    """Conflict with the current state of the registry"""

    code = "E4090"


class AlreadyExists(Conflict):
    """Already exists"""

    code = "E4002"


class AmbiguousName(Conflict):
    """Ambiguous name: several rows match"""

    code = "E4091"


class InUse(Conflict):
    """Still in use"""

    code = "E4092"


class NodeFull(Conflict):
    """The node has too many deployments"""

    code = "E4093"


class FleetFull(Conflict):
    """The registry has too many nodes"""

    code = "E4094"


class Invalid(RegistryError):
    """Validation failed"""

    code = "E4005"


class InvalidModel(Invalid):
    """Invalid model"""

    code = "E4003"


class UnknownReference(Invalid):
    """Reference to something that does not exist"""

    code = "E4006"


class InvalidConfiguration(Invalid):
    """The gateway would refuse this configuration"""

    code = "E4007"


class InvalidEvent(Invalid):
    """Invalid event"""

    code = "E4008"


class SecretInText(Invalid):
    """Secret found in the input"""

    code = "E4012"


class Incomplete(Invalid):
    """Required value missing"""

    code = "E4009"


class PreconditionFailed(RegistryError):
    """The row has changed since it was read"""

    code = "E4120"


class NotAuthenticated(RegistryError):
    """A valid API key is required"""

    code = "E4010"


class NotAllowed(RegistryError):
    """Not permitted with this API key"""

    code = "E4030"


class MethodNotAllowed(RegistryError):
    """The path does not know this method"""

    code = "E4050"


class RequestTimeout(RegistryError):
    """The request did not arrive in time"""

    code = "E4080"


class BodyTooLarge(RegistryError):
    """Request body too large"""

    code = "E4130"


class UrlTooLong(RegistryError):
    """URL too long"""

    code = "E4140"


class TooManyRequests(RegistryError):
    """Too many requests at once"""

    code = "E4290"


class HeadersTooLarge(RegistryError):
    """Request headers too large"""

    code = "E4310"


class DeadlineExceeded(RegistryError):
    """The operation exceeded its deadline"""

    code = "E5032"


class StorageError(RegistryError):
    """Database error"""

    code = "E5000"


class StorageUnavailable(StorageError):
    """Database unavailable"""

    code = "E5030"


class StorageMisconfigured(StorageError):
    """Database access is misconfigured"""

    code = "E5001"


class NothingAccepted(RegistryError):
    """No configuration has been accepted yet"""

    code = "E5031"


class GatewayUnavailable(RegistryError):
    """The TensorZero gateway cannot run here"""

    code = "E5002"


class RegistryUnreachable(RegistryError):
    """The registry service cannot be reached"""

    code = "E5003"


class ModelServerUnreachable(RegistryError):
    """A model server on this node does not respond"""

    code = "E5004"


class SourceUnreadable(RegistryError):
    """The import source cannot be read"""

    code = "E5005"


class NotConfined(RegistryError):
    """A process that handles untrusted input cannot be sandboxed"""

    code = "E5040"


class StackError(RegistryError):
    """A component of the embedded stack failed to start"""

    code = "E5010"
