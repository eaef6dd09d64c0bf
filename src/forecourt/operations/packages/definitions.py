"""Shape of ``operations/projects.yaml``: data projects (definition groups) and recurring jobs."""

from __future__ import annotations

from typing import Literal

from forecourt.kernel.solution import Record

FormatName = Literal["CSV", "XLSX", "XML", "Parquet"]


class ProjectEntityDefinition(Record, frozen=True):
    """A data entity of a project, and its file in packages."""

    entity: str
    format: FormatName = "CSV"
    columns: tuple[str, ...] = ()
    file: str = ""


class ProjectDefinition(Record, frozen=True):
    """A data project (definition group). Packages hold its entities in this order."""

    entities: tuple[ProjectEntityDefinition, ...]
    label: str = ""
    cross_company: bool = False


class RecurringDefinition(Record, frozen=True):
    """A recurring job. ``activity``: the id in the addresses of its queue."""

    activity: str
    project: str
    owner: str
    direction: Literal["import", "export"]
    every_minutes: int = 15
    legal_entity: str = ""
    enabled: bool = True


class ProjectsFile(Record, frozen=True):
    """``projects.yaml``: projects and recurring jobs by name."""

    projects: dict[str, ProjectDefinition] = {}
    recurring: dict[str, RecurringDefinition] = {}
