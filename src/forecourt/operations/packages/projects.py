"""Data projects (definition groups) and recurring jobs of a solution, checked against its entities.

A project says which entities a package holds, in which order, with which columns and in which format. A job that
names no project of the solution brings its own list (from the command line, or from a package's manifest).
Source: operations-and-integration 5.8, 5.9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from forecourt.kernel.document import suggest
from forecourt.kernel.model import Entity, Model
from forecourt.operations.packages.definitions import ProjectEntityDefinition, ProjectsFile, RecurringDefinition
from forecourt.operations.packages.formats import Format
from forecourt.store.folder import Faults, Loaded

Direction = Literal["import", "export"]

#: Minutes between two runs of a recurring job, at most: a month.
LONGEST = 44_640


@dataclass(frozen=True, slots=True)
class ProjectEntity:
    """``columns``: fields, () for all that the owner may read. ``file``: its name in packages."""

    entity: str
    format: Format
    file: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Project:
    """``cross_company``: exports hold every legal entity of the owner, not the run's alone."""

    name: str
    entities: tuple[ProjectEntity, ...]
    label: str = ""
    cross_company: bool = False


@dataclass(frozen=True, slots=True)
class Recurring:
    """``every``: minutes. ``company``: legal entity of its runs, '' for the owner's own."""

    name: str
    activity: UUID
    project: str
    owner: str
    direction: Direction
    every: int
    company: str = ""
    enabled: bool = True


@dataclass(frozen=True)
class Projects:
    """What a solution has."""

    projects: Mapping[str, Project] = field(default_factory=dict)
    recurring: Mapping[UUID, Recurring] = field(default_factory=dict)


def project_entity(entity: Entity, kind: Format, columns: Sequence[str] = (), file: str = "") -> ProjectEntity:
    """An entity of a project; its file is named after it."""
    return ProjectEntity(entity.name, kind, file or f"{entity.public_name}.{kind.suffix}", tuple(columns))


def load_projects(files: Sequence[Loaded[ProjectsFile]], model: Model, faults: Faults) -> Projects:
    """``operations/projects.yaml``. Faults: names that are not known, files or activities that are there twice."""
    if not files:
        return Projects()
    loaded = files[0]
    found = {name: _project(name, loaded, model, faults) for name in loaded.record.projects}
    recurring: dict[UUID, Recurring] = {}
    for name, item in loaded.record.recurring.items():
        path = ("recurring", name)
        try:
            activity = UUID(item.activity)
        except ValueError:
            hint = "Write a GUID: the addresses of the job's queue hold it."
            faults.add(loaded.document.error(f"'{item.activity}' is not a GUID.", *path, "activity", hint=hint))
            continue
        if activity in recurring:
            faults.add(loaded.document.error("the activity belongs to two jobs.", *path, "activity", code="FC6003"))
        if item.project not in found:
            said = f"project '{item.project}' is not known."
            faults.add(loaded.document.error(said, *path, "project", hint=suggest(item.project, found), code="FC6002"))
        if not 1 <= item.every_minutes <= LONGEST:
            faults.add(loaded.document.error(f"takes 1 to {LONGEST} minutes.", *path, "every_minutes"))
        if item.legal_entity and model.legal_entities and item.legal_entity not in model.legal_entities:
            said = f"legal entity '{item.legal_entity}' is not known."
            hint = suggest(item.legal_entity, model.legal_entities)
            faults.add(loaded.document.error(said, *path, "legal_entity", hint=hint, code="FC6002"))
        recurring[activity] = _recurring(name, activity, item)
    return Projects(found, recurring)


def _recurring(name: str, activity: UUID, item: RecurringDefinition) -> Recurring:
    return Recurring(
        name, activity, item.project, item.owner, item.direction, item.every_minutes, item.legal_entity, item.enabled
    )


def _project(name: str, loaded: Loaded[ProjectsFile], model: Model, faults: Faults) -> Project:
    definition = loaded.record.projects[name]
    entities: list[ProjectEntity] = []
    for place, item in enumerate(definition.entities):
        path = ("projects", name, "entities", place)
        entity = model.entities.get(item.entity)
        if entity is None:
            said = f"entity '{item.entity}' is not known."
            hint = suggest(item.entity, model.entities)
            faults.add(loaded.document.error(said, *path, "entity", hint=hint, code="FC6002"))
            continue
        for column in item.columns:
            if column not in entity.fields:
                said = f"field '{column}' is not known."
                hint = suggest(column, entity.fields)
                faults.add(loaded.document.error(said, *path, "columns", hint=hint, code="FC6002"))
        entities.append(_entity(entity, item))
        if entities[-1].file.casefold() in {other.file.casefold() for other in entities[:-1]}:
            said = f"the file {entities[-1].file} belongs to two entities."
            faults.add(loaded.document.error(said, *path, hint="Give one of them a file.", code="FC6003"))
        if set(entities[-1].file) & set("/\\:"):
            faults.add(loaded.document.error("a file has a name, not a path.", *path, "file"))
    if not definition.entities:
        faults.add(loaded.document.error("the project has no entity.", "projects", name))
    return Project(name, tuple(entities), definition.label, definition.cross_company)


def _entity(entity: Entity, item: ProjectEntityDefinition) -> ProjectEntity:
    return project_entity(entity, Format(item.format), item.columns, item.file)
