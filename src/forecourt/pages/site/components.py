"""Lists and basic forms of a site, from their files.

Both hold JSON beside their columns, which exports fold into YAML with doubled blank lines; it is read leniently,
because what it decides here (labels of views, the page behind a row, the label of a button) has a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from forecourt.pages.site.attachments import read_attach
from forecourt.pages.site.definitions import (
    FormDefinition,
    FormMode,
    FormSource,
    ListDefinition,
    ListView,
)
from forecourt.pages.site.field_rules import FieldRules, read_field_rules
from forecourt.pages.site.kinds import FORM, FORM_METADATA, LIST
from forecourt.pages.site.list_actions import (
    ActionKind,
    RowAction,
    find,
    label_of,
    page_of,
    read_actions,
    unknown_actions,
)
from forecourt.pages.site.list_filters import FilterGroup, Orientation, read_filters
from forecourt.pages.site.note_settings import read_notes
from forecourt.pages.site.record import Folder, Record
from forecourt.pages.site.subgrid_actions import read_subgrids

#: The largest page of a list: more rows cost the reader more than they give.
MAX_PAGE_SIZE = 250


#: The switch by which the real product once left table permissions out.
_SWITCH = "adx_entitypermissionsenabled"


def _switched_off(record: Record, what: str, notices: list[str]) -> None:
    if _SWITCH in record.data and not record.flag(_SWITCH):
        name = record.text("adx_name")
        notices.append(f"{record.where(_SWITCH)}: table permissions hold for the {what} '{name}' all the same.")


#: Buttons of a form that have an effect here.
_BUTTONS = ("submit", "delete", "next", "previous")


def read_lists(folder: Folder, notices: list[str]) -> Mapping[UUID, ListDefinition]:
    """``lists/``: ``adx_view`` holds the ids of views, ``adx_views`` their labels."""
    found: dict[UUID, ListDefinition] = {}
    for record in folder.records(LIST):
        list_id = record.id("adx_entitylistid")
        if list_id in found:
            record.fault(f"the id {list_id} is taken by the list '{found[list_id].name}'.", "adx_entitylistid")
        _switched_off(record, "list", notices)
        table = record.need("adx_entityname")
        metadata = record.json("adx_views")
        labels = {}
        if isinstance(metadata, dict):
            for view in metadata.get("Views") or ():
                if isinstance(view, dict):
                    labels[str(view.get("ViewId", "")).lower()] = label_of(view.get("DisplayName"))
        wanted = [item.strip() for item in record.text("adx_view").split(",") if item.strip()]
        if not wanted:
            wanted = [view for view in labels if view]
        if not wanted:
            record.fault(
                f"the list '{record.text('adx_name')}' names no view.",
                "adx_view",
                "Write adx_view: and the ids of the table's views, separated by commas.",
            )
        settings = record.json("adx_settings")
        size = record.number("adx_pagesize", 10)
        if not 1 <= size <= MAX_PAGE_SIZE:
            record.fault(f"'adx_pagesize' is {size}.", "adx_pagesize", f"Write a number from 1 to {MAX_PAGE_SIZE}.")
        found[list_id] = ListDefinition(
            id=list_id,
            name=record.text("adx_name") or table,
            table=table,
            views=tuple(ListView(view, labels.get(view.lower(), "")) for view in wanted),
            page_size=size,
            search=record.flag("adx_searchenabled"),
            search_placeholder=record.text("adx_searchplaceholdertext"),
            empty_text=label_of(settings.get("EmptyMessage")) if isinstance(settings, dict) else "",
            id_parameter=record.text("adx_idquerystringparametername") or "id",
            details=record.uuid("adx_webpagefordetailsview") or page_of(find(settings, "ItemActions", "Details")),
            columns=record.columns,
            where=record.where(),
            download=_downloads(settings),
            create=record.uuid("adx_webpageforcreate") or page_of(find(settings, "ViewActions", "Create")),
            create_label=label_of(find(settings, "ViewActions", "Create").get("ButtonLabel")),
            filters=_filters(record, notices),
            actions=_actions(record, settings, notices),
            orientation=record.choice("adx_filter_orientation", Orientation, Orientation.HORIZONTAL)
            or Orientation.HORIZONTAL,
            apply_label=label_of(record.json("adx_filter_applybuttonlabel")),
            person_column=record.text("adx_filterportaluser"),
            account_column=record.text("adx_filteraccount"),
        )
    return found


def _filters(record: Record, notices: list[str]) -> tuple[FilterGroup, ...]:
    """The groups of the list's filter panel, where it is switched on."""
    if not record.flag("adx_filter_enabled"):
        return ()
    groups, odd = read_filters(record.text("adx_filter_definition"))
    where = record.where("adx_filter_definition")
    notices.extend(f"{where}: {text}" for text in odd)
    return groups


def _actions(record: Record, settings: object, notices: list[str]) -> tuple[RowAction, ...]:
    """The actions that the list's rows offer."""
    actions, unknown = read_actions(settings)
    where = record.where("adx_settings")
    notices.extend(f"{where}: the action '{name}' is not supported; rows do not offer it." for name in unknown)
    _, others = read_actions(settings, "ViewActions", (ActionKind.CREATE,))
    notices.extend(
        f"{where}: the action '{name}' is not supported; the list does not offer it."
        for name in others
        if not name.endswith("DownloadAction")
    )
    if isinstance(settings, dict) and settings.get("ColumnOverrides"):
        notices.append(f"{where}: 'ColumnOverrides' has no effect; columns are called as the view calls them.")
    return actions


def _downloads(settings: object) -> str:
    """What the list's Download action is called, '' where it has none."""
    action = find(settings, "ViewActions", "Download")
    return (label_of(action.get("ButtonLabel")) or "Download") if action else ""


def read_forms(folder: Folder, notices: list[str]) -> Mapping[UUID, FormDefinition]:
    """``basic-forms/``."""
    rules, noted = read_field_rules(folder, FORM_METADATA), read_notes(folder, FORM_METADATA)
    grids = read_subgrids(folder, FORM_METADATA, notices)
    found: dict[UUID, FormDefinition] = {}
    for record in folder.records(FORM):
        form_id = record.id("adx_entityformid")
        if form_id in found:
            record.fault(f"the id {form_id} is taken by the form '{found[form_id].name}'.", "adx_entityformid")
        _switched_off(record, "form", notices)
        mode = record.choice("adx_mode", FormMode)
        source = record.choice("adx_entitysourcetype", FormSource, FormSource.QUERY_STRING)
        record.need("adx_entityname")
        record.need("adx_formname")
        if mode is None or source is None:
            continue
        if source is FormSource.RELATED_TO_USER and not record.text("adx_recordsourcerelationshipname"):
            place, name = record.where("adx_entitysourcetype"), record.text("adx_name")
            notices.append(f"{place}: the form '{name}' names no relationship to the person: it shows no row.")
        tell_actions(record, notices)
        form = basic_form(
            record,
            form_id,
            mode,
            source,
            record.text("adx_recordidquerystringparametername") or "id",
            rules.get(form_id, {}),
        )
        found[form_id] = replace(
            form,
            attach=read_attach(record, text_of, notices),
            notes=noted.get(form_id),
            subgrids=grids.get(form_id, {}),
        )
    return found


def tell_actions(record: Record, notices: list[str]) -> None:
    """Says which buttons of a form are not offered."""
    where = record.where("adx_settings")
    for name in unknown_actions(record.json("adx_settings"), "Actions", _BUTTONS):
        notices.append(f"{where}: the action '{name}' is not supported; the form does not offer it.")


def basic_form(
    record: Record, form_id: UUID, mode: FormMode, source: FormSource, id_parameter: str, rules: FieldRules
) -> FormDefinition:
    """The form that a row describes: a basic form, or a step of a multistep form, which have most columns in common."""
    settings = record.json("adx_settings")
    deletes = find(settings, "Actions", "Delete")
    table = record.text("adx_entityname") or record.text("adx_targetentitylogicalname")
    form = record.text("adx_formname")
    person = record.flag("adx_associatecurrentportaluser")
    reference = record.flag("adx_setentityreference")
    return FormDefinition(
        id=form_id,
        name=record.text("adx_name") or form,
        table=table,
        form=form,
        mode=mode,
        source=source,
        id_parameter=id_parameter,
        submit_label=text_of(record, "adx_submitbuttontext") or _submit_label(settings),
        success=text_of(record, "adx_successmessage"),
        columns=record.columns,
        where=record.where(),
        redirect=record.uuid("adx_redirectwebpage"),
        redirect_url=record.text("adx_redirecturl"),
        append_id=record.flag("adx_redirecturlappendentityidquerystring"),
        person_column=record.text("adx_targetentityportaluserlookupattribute") if person else "",
        parent_column=record.text("adx_referencetargetlookupattributelogicalname") if reference else "",
        parent_relation=record.text("adx_referenceentityrelationshipname") if reference else "",
        parent_parameter=record.text("adx_referencequerystringname") or "refid",
        all_required=record.flag("adx_forceallfieldsrequired"),
        delete_label=(label_of(deletes.get("ButtonLabel")) or "Delete") if deletes else "",
        delete_question=label_of(deletes.get("Confirmation")),
        tab=record.text("adx_tabname"),
        source_relation=record.text("adx_recordsourcerelationshipname"),
        fields=rules,
    )


def text_of(record: Record, key: str) -> str:
    """A text for people: as it stands, or the first of those that are localized."""
    value = record.json(key)
    return label_of(value) if isinstance(value, list) else record.text(key)


def _submit_label(settings: object) -> str:
    if not isinstance(settings, dict):
        return ""
    for action in settings.get("Actions") or ():
        if isinstance(action, dict) and action.get("Type") == "SubmitAction":
            return label_of(action.get("ButtonLabel"))
    return ""
