"""The file with instances to register at start (MODEL_REGISTRY_SERVICES_FILE): read, and brought into the registry.

`{"services": {NAME: {"service_url", "model_type", "capabilities", ...}}}`: NAME is the `service_id`, and the fields are
those of `POST /services/register`. The file decides about its instances: what it leaves out has its default, and an
instance that it no longer has is deleted at the next start.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import structlog
from pydantic import ValidationError

from model_registry.entities.field_errors import reasons_of
from model_registry.entities.unknown_fields import unknown_field_reasons, unknown_fields
from model_registry.errors import Invalid, Reason, RegistryError, SourceUnreadable, StorageError
from model_registry.services.author import Author
from model_registry.services.register import MOST_INSTANCES, Registrar
from model_registry.services.registration import InstanceFields, Registration

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 2.0
_SERVICES = "services"


def read_services_file(path: Path) -> list[Registration]:
    """The instances of a file. Errors: SourceUnreadable; Invalid, with the place of each fault."""
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise SourceUnreadable(f"The services file {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SourceUnreadable(f"The services file {path} is not JSON: {error}.") from error
    services = content.get(_SERVICES) if isinstance(content, dict) else None
    if not isinstance(services, dict):
        raise _refused(path, [Reason(_SERVICES, 'is missing: {"services": {NAME: {"service_url": ...}}}')])
    if len(services) > MOST_INSTANCES:
        raise _refused(path, [Reason(_SERVICES, f"has {len(services):,} entries; at most {MOST_INSTANCES:,} are kept")])
    faults = [Reason(name, "is not a known field") for name in content if name != _SERVICES]
    found = []
    for name, fields in services.items():
        try:
            found.append(_read(name, fields))
        except Invalid as error:
            faults += error.reasons
    if faults:
        raise _refused(path, faults)
    return found


def _read(name: str, fields: Any) -> Registration:  # noqa: ANN401 (any JSON)
    def where(location: tuple[int | str, ...]) -> str:
        return ".".join(map(str, (_SERVICES, name, *(part for part in location if part != "service_id"))))

    if not isinstance(fields, dict):
        raise Invalid("", reasons=[Reason(where(()), "must be an object")])
    unknown = unknown_field_reasons(unknown_fields(fields, InstanceFields, at=(_SERVICES, name)))
    defaults = dict.fromkeys(InstanceFields.model_fields)
    required = {key for key, field in InstanceFields.model_fields.items() if field.is_required()}
    given = {key: value for key, value in (defaults | fields).items() if key not in required or key in fields}
    try:
        registration = Registration.model_validate(given | {"service_id": name})
    except ValidationError as error:
        raise Invalid("", reasons=[*unknown, *reasons_of(error, where)]) from error
    if unknown:
        raise Invalid("", reasons=unknown)
    return registration


def _refused(path: Path, reasons: list[Reason]) -> Invalid:
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return Invalid(f"The services file {path} is invalid: {reasons[0]}{more}.", reasons=reasons)


class ServicesFile:
    """A worker that ends: registers what the file has once the database answers, and deletes what it had before."""

    def __init__(self, path: Path, registrations: list[Registration], registrar: Registrar) -> None:
        self._path = path
        self._registrations = registrations
        self._registrar = registrar
        self._author = Author(str(path), "file")

    async def run(self) -> None:
        """Try until the database has taken everything."""
        while True:
            try:
                await self.apply()
            except StorageError as error:
                log.debug("the services file waits for the database", error=error.message)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def apply(self) -> None:
        """Register each instance, and delete those that are gone. One that is refused is logged, and the rest goes on.

        Errors: StorageError.
        """
        new = 0
        for registration in self._registrations:
            try:
                _, is_new = await self._registrar.register(registration, self._author)
                new += is_new
            except StorageError:
                raise
            except RegistryError as error:
                place = f"{_SERVICES}.{registration.service_id}"
                log.error("not registered", file=str(self._path), place=place, error=error.message)  # noqa: TRY400
        gone = await self._registrar.keep_only({one.service_id for one in self._registrations}, self._author)
        log.info("services file", file=str(self._path), instances=len(self._registrations), new=new, gone=gone)
