"""Multistep forms of a site, from their files: the form, its steps, and where each leads (A4.4).

A step that leads to one that does not exist, a condition that cannot be read and a form that begins with a condition
are faults. What a step has that no page does is said as a notice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from uuid import UUID

from forecourt.pages.site.attachments import read_attach
from forecourt.pages.site.components import basic_form, tell_actions, text_of
from forecourt.pages.site.conditions import Condition, Unreadable, read
from forecourt.pages.site.definitions import (
    FormMode,
    FormSource,
)
from forecourt.pages.site.field_rules import FieldRules, read_field_rules
from forecourt.pages.site.kinds import MULTISTEP, STEP, STEP_METADATA
from forecourt.pages.site.note_settings import read_notes
from forecourt.pages.site.record import Folder, Record
from forecourt.pages.site.step_definitions import (
    FormStep,
    MultistepForm,
    Progress,
    ProgressKind,
    ProgressPlace,
    Redirection,
    ReferenceSource,
    StepKind,
    StepSource,
)
from forecourt.pages.site.subgrid_actions import read_subgrids

#: How a form on a page would find the row of a step; one of an earlier step is found by the session.
_SOURCES: Mapping[StepSource, FormSource] = {
    StepSource.QUERY_STRING: FormSource.QUERY_STRING,
    StepSource.CURRENT_USER: FormSource.CURRENT_USER,
    StepSource.EARLIER_STEP: FormSource.QUERY_STRING,
    StepSource.RELATED_TO_USER: FormSource.RELATED_TO_USER,
}

#: Switches of steps that have no effect here, and what they are about.
_WITHOUT = {
    "adx_autogeneratesteps": "steps made of a form's tabs",
    "adx_captcharequired": "a captcha",
    "adx_createautonumber": "numbers made by the form; give the column the type autonumber",
    "adx_geolocation_enabled": "maps",
}


#: Kinds of steps that show a form, where they are finished.
_SHOWING = (StepKind.LOAD_FORM, StepKind.LOAD_TAB)


def read_multistep(folder: Folder, notices: list[str]) -> Mapping[UUID, MultistepForm]:
    """``advanced-forms/`` with their steps."""
    forms = list(folder.records(MULTISTEP))
    known = {record.id(MULTISTEP.id) for record in forms}
    records = list(folder.records(STEP))
    every = {record.id(STEP.id) for record in records}
    rules = read_field_rules(folder, STEP_METADATA)
    grids = read_subgrids(folder, STEP_METADATA, notices)
    steps: dict[UUID, dict[UUID, FormStep]] = {}
    noted = read_notes(folder, STEP_METADATA)
    for record in records:
        owner = record.refer("adx_webform", known, "multistep form")
        step = _step(record, every, rules, notices)
        if step is not None and step.basic is not None:
            tell_actions(record, notices)
            attach = read_attach(record, text_of, notices)
            step = replace(
                step,
                basic=replace(step.basic, subgrids=grids.get(step.id, {}), attach=attach, notes=noted.get(step.id)),
            )
        if owner is not None and step is not None:
            steps.setdefault(owner, {})[step.id] = step
    found = {}
    for record in forms:
        form_id = record.id(MULTISTEP.id)
        own = steps.get(form_id, {})
        start = record.refer("adx_startstep", own, "step")
        if start is not None and own[start].kind in _SHOWING and own[start].basic is None:
            start = None
        elif start is not None and own[start].basic is None:
            record.fault(f"the multistep form '{record.label}' begins with a step that shows no form.", "adx_startstep")
        found[form_id] = _form(record, form_id, start, own)
    return found


def _form(record: Record, form_id: UUID, start: UUID | None, steps: Mapping[UUID, FormStep]) -> MultistepForm:
    progress = None
    if record.flag("adx_progressindicatorenabled"):
        progress = Progress(
            record.choice("adx_progressindicatortype", ProgressKind, ProgressKind.TITLE) or ProgressKind.TITLE,
            record.choice("adx_progressindicatorposition", ProgressPlace, ProgressPlace.TOP) or ProgressPlace.TOP,
            record.flag("adx_progressindicatorprependstepnum"),
            record.flag("adx_progressindicatorignorelaststep"),
        )
    return MultistepForm(
        id=form_id,
        name=record.need("adx_name"),
        start=start,
        steps=steps,
        columns=record.columns,
        where=record.where(),
        sign_in=record.flag("adx_authenticationrequired"),
        fresh=record.flag("adx_startnewsessiononload"),
        several=record.flag("adx_multiplerecordsperuserpermitted", True),
        edit=record.flag("adx_editexistingrecordpermitted"),
        expired=(_code(record, "adx_editexpiredstatecode"), _code(record, "adx_editexpiredstatusreason")),
        expired_text=text_of(record, "adx_editexpiredmessage"),
        closed_text=text_of(record, "adx_editnotpermittedmessage"),
        progress=progress,
    )


def _code(record: Record, key: str) -> int | None:
    return record.number(key) if record.text(key) else None


def _step(
    record: Record, every: Collection[UUID], rules: Mapping[UUID, FieldRules], notices: list[str]
) -> FormStep | None:
    kind = record.choice("adx_type", StepKind)
    leads = [record.refer(key, every, "step") for key in ("adx_nextstep", "adx_conditiondefaultnextstep")]
    shows = kind in _SHOWING
    mode = record.choice("adx_mode", FormMode) if shows or record.chosen("adx_mode") else None
    source = record.choice("adx_entitysourcetype", StepSource, StepSource.QUERY_STRING)
    source_step = record.refer("adx_entitysourcestep", every, "step")
    reference = record.choice("adx_referenceentitysourcetype", ReferenceSource, ReferenceSource.QUERY_STRING)
    reference_step = record.refer("adx_referenceentitystep", every, "step")
    name = record.need("adx_name")
    if kind is None or source is None:
        return None
    if kind is StepKind.LOAD_USER_CONTROL:
        notices.append(f"{record.where('adx_type')}: the step '{name}' loads a user control, which no page shows.")
    for key, what in _WITHOUT.items():
        if shows and record.flag(key):
            notices.append(f"{record.where(key)}: the step '{name}' wants {what}, which is not supported.")
    if shows and source is StepSource.RELATED_TO_USER and not record.text("adx_recordsourcerelationshipname"):
        place = record.where("adx_entitysourcetype")
        notices.append(f"{place}: the step '{name}' names no relationship to the person: it shows no row.")
    basic = None
    missing = [key for key in ("adx_targetentitylogicalname", "adx_formname") if shows and not record.text(key)]
    if missing:
        notices.append(f"{record.where()}: the step '{name}' is not finished ({', '.join(missing)}): it shows no form.")
    elif shows:
        parameter = record.text("adx_primarykeyquerystringparametername") or "id"
        basic = basic_form(
            record,
            record.id(STEP.id),
            mode or FormMode.READ_ONLY,
            _SOURCES[source],
            parameter,
            rules.get(record.id(STEP.id), {}),
        )
    return FormStep(
        id=record.id(STEP.id),
        name=name,
        kind=kind,
        next=leads[0],
        otherwise=leads[1],
        table=record.text("adx_targetentitylogicalname"),
        form=record.text("adx_formname"),
        mode=None if missing else mode,
        columns=record.columns,
        where=record.where(),
        basic=basic,
        source=source,
        source_step=source_step,
        reference_step=reference_step if reference is ReferenceSource.EARLIER_STEP else None,
        condition=_condition(record) if kind is StepKind.CONDITION else None,
        redirection=_redirection(record) if kind is StepKind.REDIRECT else None,
        title=text_of(record, "adx_title") or name,
        instructions=text_of(record, "adx_instructions"),
        back=record.flag("adx_movepreviouspermitted", True),
        previous_label=text_of(record, "adx_previousbuttontext"),
        next_label=text_of(record, "adx_nextbuttontext"),
    )


def _condition(record: Record) -> Condition | None:
    text = record.need("adx_condition")
    try:
        return read(text) if text else None
    except Unreadable as error:
        record.fault(
            f"the condition of '{record.label}' cannot be read: {error}.",
            "adx_condition",
            "Write it as: column = value, with & for and, | for or, and parentheses.",
        )
        return None


def _redirection(record: Record) -> Redirection:
    appended = record.flag("adx_redirecturlappendentityidquerystring")
    found = Redirection(
        page=record.uuid("adx_redirectwebpage"),
        url=record.text("adx_redirecturl"),
        keep_query=record.flag("adx_appendquerystring"),
        id_parameter=(record.text("adx_primarykeyquerystringparametername") or "id") if appended else "",
        query=record.text("adx_redirecturlcustomquerystring"),
        column=record.text("adx_redirecturlquerystringattribute"),
        parameter=record.text("adx_redirecturlquerystringattributeparamname"),
    )
    if found.page is None and not found.url.startswith(("/", "https://", "http://")):
        record.fault(
            f"the step '{record.label}' redirects to nothing.",
            "adx_redirecturl",
            "Name a page in adx_redirectwebpage, or an address that begins with / or https:// in adx_redirecturl.",
        )
    return found
