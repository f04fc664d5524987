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
    │   ├── FleetFull                 E4094
    │   ├── ProviderElsewhere         E4095
    │   ├── RepeatedRequest           E4096
    │   └── ImportConflict            E4097
    ├── Invalid                       E4005
    │   ├── InvalidModel              E4003
    │   ├── UnknownReference          E4006
    │   ├── InvalidConfiguration      E4007
    │   ├── InvalidEvent              E4008
    │   ├── SecretInText              E4012
    │   ├── UnsafeAddress             E4013
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
    │   ├── StatementTimeout          E5041
    │   └── StorageMisconfigured      E5001
    │       └── OriginalRegistry      E5042
    ├── DispatchError                 E5020
    │   ├── NoInstance                E5034
    │   ├── QueueFull                 E5035
    │   ├── UpstreamFailed            E5021
    │   ├── UpstreamTimeout           E5022
    │   ├── OutcomeUnknown            E5023
    │   ├── ProtocolUnsupported       E5011
    │   └── DispatchLoop              E5080
    ├── NothingAccepted               E5031
    ├── NotServed                     E5033
    ├── GatewayUnavailable            E5002
    ├── RegistryUnreachable           E5003
    ├── ModelServerUnreachable        E5004
    ├── SourceUnreadable              E5005
    ├── NotConfined                   E5040
    └── StackError                    E5010

A class's docstring is the title shown to users; an instance's message explains what happened and what to do.
Nothing here depends on HTTP, PostgREST or exit codes: three tables elsewhere translate
(`store/errors.py`, `api/problems.py`, `cli/errors.py`).
"""

from __future__ import annotations

from model_registry.error_base import SHOWN_DATA as SHOWN_DATA
from model_registry.error_base import ConflictReason as ConflictReason
from model_registry.error_base import Reason as Reason
from model_registry.error_base import RegistryError as RegistryError


class NotFound(RegistryError, code="E4004"):
    """Not found"""


class ModelNotFound(NotFound, code="E4001"):
    """Model not found"""


class RevisionNotFound(NotFound, code="E4041"):
    """Revision not found"""


class RevisionGone(NotFound, code="E4042"):
    """Revision no longer available"""


class Conflict(RegistryError, code="E4090"):
    """Conflict with the current state of the registry"""


class AlreadyExists(Conflict, code="E4002"):
    """Already exists"""


class AmbiguousName(Conflict, code="E4091"):
    """Ambiguous name: several rows match"""


class InUse(Conflict, code="E4092"):
    """Still in use"""


class NodeFull(Conflict, code="E4093"):
    """The node has too many deployments"""


class FleetFull(Conflict, code="E4094"):
    """The registry has too many nodes"""


class ProviderElsewhere(Conflict, code="E4095"):
    """The provider of this name has another address"""


class RepeatedRequest(Conflict, code="E4096"):
    """The Idempotency-Key was used for another request, or its request is still running"""


class ImportConflict(Conflict, code="E4097"):
    """Rows of another project say something else"""


class Invalid(RegistryError, code="E4005"):
    """Validation failed"""


class InvalidModel(Invalid, code="E4003"):
    """Invalid model"""


class UnknownReference(Invalid, code="E4006"):
    """Reference to something that does not exist"""


class InvalidConfiguration(Invalid, code="E4007"):
    """The gateway would refuse this configuration"""


class InvalidEvent(Invalid, code="E4008"):
    """Invalid event"""


class SecretInText(Invalid, code="E4012"):
    """Secret found in the input"""


class UnsafeAddress(Invalid, code="E4013"):
    """Requests are not sent to this address"""


class Incomplete(Invalid, code="E4009"):
    """Required value missing"""


class PreconditionFailed(RegistryError, code="E4120"):
    """The row has changed since it was read"""


class NotAuthenticated(RegistryError, code="E4010"):
    """A valid API key is required"""


class NotAllowed(RegistryError, code="E4030"):
    """Not permitted with this API key"""


class MethodNotAllowed(RegistryError, code="E4050"):
    """Method not allowed for this path"""


class RequestTimeout(RegistryError, code="E4080"):
    """The request did not arrive in time"""

    retryable = True


class BodyTooLarge(RegistryError, code="E4130"):
    """Request body too large"""


class UrlTooLong(RegistryError, code="E4140"):
    """URL too long"""


class TooManyRequests(RegistryError, code="E4290"):
    """Too many requests at once"""

    retryable = True


class HeadersTooLarge(RegistryError, code="E4310"):
    """Request headers too large"""


class DeadlineExceeded(RegistryError, code="E5032"):
    """The operation exceeded its deadline"""


class StorageError(RegistryError, code="E5000"):
    """Database error"""


class StorageUnavailable(StorageError, code="E5030"):
    """Database unavailable"""

    retryable = True


class StatementTimeout(StorageError, code="E5041"):
    """The database cancelled a statement that took too long"""


class StorageMisconfigured(StorageError, code="E5001"):
    """Database access is misconfigured"""


class OriginalRegistry(StorageMisconfigured, code="E5042"):
    """The schema holds tables of the original registry"""


class DispatchError(RegistryError, code="E5020"):
    """The request could not be dispatched"""


class NoInstance(DispatchError, code="E5034"):
    """No instance can take the request"""

    retryable = True


class QueueFull(DispatchError, code="E5035"):
    """All instances are busy, and the queue is full"""

    retryable = True


class UpstreamFailed(DispatchError, code="E5021"):
    """The model service failed"""


class UpstreamTimeout(DispatchError, code="E5022"):
    """The model service did not answer in time"""


class OutcomeUnknown(DispatchError, code="E5023"):
    """The request was sent, and whether it was carried out is unknown"""


class ProtocolUnsupported(DispatchError, code="E5011"):
    """The provider speaks another protocol"""


class DispatchLoop(DispatchError, code="E5080"):
    """The request came back to the registry that sent it"""


class NothingAccepted(RegistryError, code="E5031"):
    """No configuration has been accepted yet"""

    retryable = True


class NotServed(RegistryError, code="E5033"):
    """Written, but not served to gateways"""


class GatewayUnavailable(RegistryError, code="E5002"):
    """The TensorZero gateway cannot run here"""


class RegistryUnreachable(RegistryError, code="E5003"):
    """The registry service cannot be reached"""

    retryable = True


class ModelServerUnreachable(RegistryError, code="E5004"):
    """A model server on this node does not respond"""

    retryable = True


class SourceUnreadable(RegistryError, code="E5005"):
    """The import source cannot be read"""


class NotConfined(RegistryError, code="E5040"):
    """A process that handles untrusted input cannot be sandboxed"""


class StackError(RegistryError, code="E5010"):
    """A component of the embedded stack failed to start"""
