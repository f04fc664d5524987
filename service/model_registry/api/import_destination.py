"""Where an import goes, from its request: the gateway, the project, and what is done about conflicts."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Header, Query

from model_registry.entities.base import ShortName
from model_registry.entities.gateway import DEFAULT_GATEWAY
from model_registry.imports.projects import DEFAULT_PROJECT, Destination, OnConflict, ProjectName, project_named


def _destination(
    gateway: Annotated[
        ShortName,
        Query(
            description="The gateway that the project goes into; made, with content of its own, where there is none."
        ),
    ] = DEFAULT_GATEWAY,
    project: Annotated[
        ProjectName | None,
        Query(
            description="The project's name. Only an import of the same name changes what it has. By default the name "
            f"of X-Registry-Directory, or `{DEFAULT_PROJECT}`.",
        ),
    ] = None,
    on_conflict: Annotated[
        OnConflict | None,
        Query(
            description="What becomes of entries that another project has otherwise: the project's own goes beside "
            "them under another name, takes their place, or is left out and theirs are used. By default 409, with "
            "both sides."
        ),
    ] = None,
    directory: Annotated[
        str | None,
        Header(
            alias="X-Registry-Directory",
            description="Name of the directory that the project is in, percent-encoded: names it without `project`.",
        ),
    ] = None,
) -> Destination:
    named = project_named(unquote(directory)) if directory else DEFAULT_PROJECT
    return Destination(gateway, project or named, on_conflict)


ImportDestination = Annotated[Destination, Depends(_destination)]
