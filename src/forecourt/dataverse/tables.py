"""Dataverse tables as the portal and the Web API see them: an entity with names, views and forms.

A native table's entity reads schema ``dataverse``; a virtual table's entity is generated from a data entity and
reads the operations database. Everything that answers requests treats both alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from forecourt.dataverse.definitions import Chart, Form, View
from forecourt.kernel.model import Entity, EntityField, Enum, Model


@dataclass(frozen=True)
class Table:
    """A table. ``entity.name`` is its logical name, ``entity.collection`` its entity set name.

    ``primary_id``: column with the row's GUID. ``primary_name``: column shown as the row's name.
    """

    entity: Entity
    primary_id: str
    primary_name: str
    virtual: bool
    views: tuple[View, ...] = ()
    forms: tuple[Form, ...] = ()
    charts: tuple[Chart, ...] = ()

    @property
    def name(self) -> str:
        return self.entity.name

    @property
    def label(self) -> str:
        return self.entity.label or self.entity.name

    def view(self, wanted: str) -> View | None:
        """The view with this id or name."""
        return next((view for view in self.views if wanted in (view.id, view.name)), None)

    def form(self, name: str) -> Form | None:
        return next((form for form in self.forms if form.name == name), None)

    def column(self, name: str) -> EntityField | None:
        """The column of this name; a lookup goes by its logical name too (``_x_value``, ``x``)."""
        return self.entity.fields.get(name) or self.entity.fields.get(f"_{name}_value")


@dataclass(frozen=True)
class Tables:
    """All tables of the Dataverse plane."""

    by_name: Mapping[str, Table]
    enums: Mapping[str, Enum] = field(default_factory=dict)

    @cached_property
    def model(self) -> Model:
        return Model(
            {name: table.entity for name, table in self.by_name.items()},
            self.enums,
            namespace="Microsoft.Dynamics.CRM",
        )

    @cached_property
    def by_set(self) -> Mapping[str, Table]:
        return {table.entity.collection: table for table in self.by_name.values()}
