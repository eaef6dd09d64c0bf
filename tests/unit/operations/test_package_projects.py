"""``operations/projects.yaml``: what is wrong in it is said with its line."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from forecourt.kernel.model import DataSource, Entity, EntityField, LegalEntity, Model
from forecourt.kernel.relation import TableName
from forecourt.kernel.types import Kind
from forecourt.operations.packages.definitions import ProjectsFile
from forecourt.operations.packages.formats import Format
from forecourt.operations.packages.projects import Projects, load_projects
from forecourt.store.folder import Faults, read_files

FIELDS = {name: EntityField(name, "t", name.lower(), Kind.STRING) for name in ("Id", "Name")}
THING = Entity("ThingEntity", "Thing", "Things", (DataSource("t", TableName("erp", "thing")),), FIELDS, ("Id",))
MODEL = Model({"ThingEntity": THING}, {}, {"usmf": LegalEntity("usmf", "US", "USD")})
ACTIVITY = "2b7f6c1e-4f0a-4f3e-9c55-0d8c6b5a1a01"


def loaded(folder: Path, text: str) -> tuple[Projects, list[tuple[int, str]]]:
    """The projects, and the faults as (line, message with hint)."""
    (folder / "operations").mkdir()
    (folder / "operations" / "projects.yaml").write_text(dedent(text), "utf-8")
    faults = Faults()
    found = load_projects(list(read_files(folder, "operations/projects.yaml", ProjectsFile, faults)), MODEL, faults)
    return found, [(error.line, f"{error.message} {error.hint}") for error in faults.errors]


def test_a_project_has_a_file_for_each_entity(tmp_path: Path) -> None:
    found, faults = loaded(
        tmp_path,
        f"""
        projects:
          things:
            entities: [{{entity: ThingEntity, format: Parquet, columns: [Id]}}]
        recurring:
          out: {{activity: {ACTIVITY}, project: things, owner: me, direction: export}}
        """,
    )
    assert faults == []
    (entity,) = found.projects["things"].entities
    assert (entity.file, entity.format, entity.columns) == ("Thing.parquet", Format.PARQUET, ("Id",))
    (job,) = found.recurring.values()
    assert (job.name, job.every, job.enabled) == ("out", 15, True)


def test_what_is_wrong_is_said_with_its_line(tmp_path: Path) -> None:
    _, faults = loaded(
        tmp_path,
        f"""
        projects:
          things:
            entities:
              - {{entity: ThingsEntity}}
              - {{entity: ThingEntity, columns: [Nam]}}
              - {{entity: ThingEntity, file: ../x.csv}}
              - {{entity: ThingEntity}}
          none: {{entities: []}}
        recurring:
          a: {{activity: {ACTIVITY}, project: thing, owner: me, direction: import}}
          b: {{activity: {ACTIVITY}, project: things, owner: me, direction: import, every_minutes: 0}}
          c: {{activity: c, project: things, owner: me, direction: import}}
          d: {{activity: {ACTIVITY[:-1]}2, project: things, owner: me, direction: export, legal_entity: usmff}}
        """,
    )
    assert [line for line, _ in faults] == [5, 6, 7, 8, 9, 11, 12, 12, 13, 14]
    said = "\n".join(text for _, text in faults)
    for expected in (
        "Did you mean 'ThingEntity'?",
        "Did you mean 'Name'?",
        "a file has a name, not a path",
        "belongs to two entities",
        "has no entity",
        "Did you mean 'things'?",
        "belongs to two jobs",
        "takes 1 to",
        "is not a GUID",
        "Did you mean 'usmf'?",
    ):
        assert expected in said
