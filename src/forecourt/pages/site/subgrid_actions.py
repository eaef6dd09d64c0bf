"""What subgrids of a form offer: metadata of basic forms and of steps, by the subgrid's name (A4.4).

``adx_subgrid_name`` names a subgrid of the table's form, ``adx_subgrid_settings`` is JSON as of a list: ``ViewActions``
(CreateAction, AssociateAction) and ``ItemActions`` (DetailsAction, EditAction, DeleteAction, ActivateAction,
DeactivateAction, DisassociateAction). An action that is not known is not offered, and a notice says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from forecourt.kernel.model import NOWHERE, Where
from forecourt.pages.site.kinds import Kind
from forecourt.pages.site.list_actions import OF_GRIDS, ActionKind, RowAction, label_of, read_actions
from forecourt.pages.site.record import Folder, Record

#: ``adx_type`` of metadata of a subgrid.
SUBGRID: Final = "100000003"


@dataclass(frozen=True, slots=True)
class SubgridActions:
    """``rows``: what each row offers; ``create``, ``associate``: what the subgrid offers; ``empty_text``: what it says
    without rows, '' for the usual words; ``where``: the name that it is said of."""

    rows: tuple[RowAction, ...] = ()
    create: RowAction | None = None
    associate: RowAction | None = None
    empty_text: str = ""
    where: Where = field(default=NOWHERE, compare=False)


#: By the subgrid's name, in lower case.
Subgrids = Mapping[str, SubgridActions]


def is_subgrid(record: Record) -> bool:
    """Whether a row of metadata is about a subgrid."""
    return record.text("adx_type") == SUBGRID


def read_subgrids(folder: Folder, kind: Kind, notices: list[str]) -> Mapping[UUID, Subgrids]:
    """Actions of subgrids by the form or step that they belong to."""
    found: dict[UUID, dict[str, SubgridActions]] = {}
    for record in folder.records(kind):
        owner = record.uuid(kind.owned_by)
        if owner is None or not record.active or not is_subgrid(record):
            continue
        name = record.need("adx_subgrid_name").strip().lower()
        settings = record.json("adx_subgrid_settings")
        rows, odd = read_actions(settings)
        own, strange = read_actions(settings, "ViewActions", OF_GRIDS)
        where = record.where("adx_subgrid_settings")
        notices.extend(
            f"{where}: the action '{item}' is not supported; the subgrid does not offer it."
            for item in (*odd, *strange)
        )
        by_kind = {action.kind: action for action in reversed(own)}
        found.setdefault(owner, {})[name] = SubgridActions(
            rows,
            by_kind.get(ActionKind.CREATE),
            by_kind.get(ActionKind.ASSOCIATE),
            label_of(settings.get("EmptyMessage")) if isinstance(settings, dict) else "",
            record.where("adx_subgrid_name"),
        )
    return found
