"""Actions of a list or a subgrid, from its settings: JSON with ``ViewActions`` and ``ItemActions``, and with more of
either as ``ExtendedViewActions`` and ``ExtendedItemActions``.

::

    {"Type": "CrmEntityFormView-DeleteAction", "Enabled": true, "ActionIndex": 1, "RedirectWebpageId": id,
     "EntityForm": {"Id": id}, "ButtonLabel": texts, "ButtonTooltip": texts, "Confirmation": texts,
     "SuccessMessage": texts}
    texts    a text, or [{"LCID": 1033, "Value": "…"}]

Read leniently; an action that is not known is not offered, and a notice says so. Source: pages-and-dataverse A4.3.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from forecourt.kernel.label import Label, code_of, stem


class ActionKind(StrEnum):
    """What is done with a row, or with the rows beneath one."""

    CREATE = "create"
    ASSOCIATE = "associate"
    DETAILS = "details"
    EDIT = "edit"
    DELETE = "delete"
    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    DISASSOCIATE = "disassociate"


@dataclass(frozen=True, slots=True)
class RowAction:
    """An action that each row offers to who may. ``label`` '' for its usual name; ``page``: that it leads to; ``form``:
    basic form that it opens where it stands; ``question``: what is asked before it is done; ``success``: what is said
    afterwards."""

    kind: ActionKind
    label: str = ""
    tooltip: str = ""
    question: str = ""
    success: str = ""
    page: UUID | None = None
    form: UUID | None = None


#: Actions of the rows of a list or a subgrid, and those of a subgrid itself.
OF_ROWS: Final = frozenset(ActionKind) - {ActionKind.CREATE, ActionKind.ASSOCIATE}
OF_GRIDS: Final = frozenset({ActionKind.CREATE, ActionKind.ASSOCIATE})


def label_of(texts: object) -> str:
    """A text, or localized ones: a label, of which the first is the base language's."""
    if isinstance(texts, str):
        return texts.strip()
    if not isinstance(texts, list):
        return ""
    found = [(str(item["Value"]), item.get("LCID")) for item in texts if isinstance(item, dict) and item.get("Value")]
    if not found:
        return ""
    codes = [(code_of(number) if isinstance(number, int) else "", text) for text, number in found]
    exact = {code.lower(): text for code, text in reversed(codes) if code}
    stems = {stem(code): text for code, text in reversed(codes) if code}
    return Label(found[0][0], stems | exact, codes[0][0])


def page_of(action: Mapping[str, Any]) -> UUID | None:
    """The page that an action leads to."""
    return _id(action, "RedirectWebpageId", "WebPageId", "WebPage")


def form_of(action: Mapping[str, Any]) -> UUID | None:
    """The basic form that an action opens."""
    return _id(action, "EntityForm", "EntityFormId")


def _id(action: Mapping[str, Any], *keys: str) -> UUID | None:
    """The first id under one of the keys: as it stands, or of a reference."""
    for key in keys:
        value = action.get(key)
        try:
            return UUID(str(value.get("Id") if isinstance(value, dict) else value))
        except ValueError:
            continue
    return None


def find(settings: object, kind: str, name: str) -> Mapping[str, Any]:
    """The first action of a name among the actions ``kind`` of settings; empty where they have none."""
    return next((action for action in _actions(settings, kind) if _name(action) == name.lower()), {})


def read_actions(
    settings: object, kind: str = "ItemActions", known: Collection[ActionKind] = OF_ROWS
) -> tuple[tuple[RowAction, ...], tuple[str, ...]]:
    """The actions ``kind`` of settings in their order, and the names of those that are not ``known``."""
    found: list[tuple[int, RowAction]] = []
    unknown = []
    for action in _actions(settings, kind):
        name = _name(action)
        if action.get("Enabled") is False:
            continue
        if name not in known:
            unknown.append(str(action.get("Type"))[:80])
            continue
        item = RowAction(
            ActionKind(name),
            label_of(action.get("ButtonLabel")),
            label_of(action.get("ButtonTooltip")),
            label_of(action.get("Confirmation")),
            label_of(action.get("SuccessMessage")),
            page_of(action),
            form_of(action),
        )
        found.append((_index(action), item))
    return tuple(item for _, item in sorted(found, key=lambda pair: pair[0])), tuple(unknown)


def unknown_actions(settings: object, kind: str, known: Collection[str]) -> tuple[str, ...]:
    """Names of actions ``kind`` that are switched on and not ``known``, by their short names in lower case."""
    return tuple(
        str(action.get("Type"))[:80]
        for action in _actions(settings, kind)
        if action.get("Enabled") is not False and _name(action) not in known
    )


def _actions(settings: object, kind: str) -> list[Mapping[str, Any]]:
    if not isinstance(settings, dict):
        return []
    lists = (settings.get(key) for key in (kind, f"Extended{kind}"))
    return [item for items in lists if isinstance(items, list) for item in items if isinstance(item, dict)]


def _name(action: Mapping[str, Any]) -> str:
    return str(action.get("Type")).removeprefix("CrmEntityFormView-").removesuffix("Action").lower()


def _index(action: Mapping[str, Any]) -> int:
    value = action.get("ActionIndex")
    return value if isinstance(value, int) else 0
