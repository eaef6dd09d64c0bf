"""Virtual tables: what a data entity is called in Dataverse, and what becomes of its enums, dates and relations."""

from __future__ import annotations

import dataclasses

import pytest

from forecourt.app import load_definitions
from forecourt.dataverse.definitions import TableFile
from forecourt.integration.virtual.catalog import (
    FIRST_CHOICE,
    choices,
    column_name,
    set_name,
    table_name,
    virtual_entity,
    virtual_tables,
)
from forecourt.kernel.model import Enum, EnumMember, Relation
from forecourt.kernel.types import Kind
from support import contoso as sample

ENTITY = "PurchPurchaseOrderHeaderV2Entity"


@pytest.fixture(scope="module")
def definitions():  # type: ignore[no-untyped-def]
    return load_definitions(sample.ROOT)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("mserp_currencyentity", "mserp_currencyentities"),
        ("mserp_day", "mserp_days"),
        ("mserp_box", "mserp_boxes"),
        ("mserp_bus", "mserp_buses"),
        ("mserp_quiz", "mserp_quizes"),
        ("mserp_church", "mserp_churches"),
        ("mserp_wish", "mserp_wishes"),
        ("mserp_vendor", "mserp_vendors"),
    ],
)
def test_a_set_is_the_plural_of_its_table(table: str, expected: str) -> None:
    assert set_name(table) == expected


def test_names_are_lower_case_behind_the_prefix() -> None:
    assert table_name(ENTITY) == "mserp_purchpurchaseorderheaderv2entity"
    assert column_name("dataAreaId") == "mserp_dataareaid"


def test_choices_are_numbered_by_position_and_keep_their_symbols() -> None:
    enum = Enum("E", (EnumMember("No", 0, "No"), EnumMember("Yes", 7, "Yes"), EnumMember("Odd", "x", "")))
    found = choices(enum)
    assert [member.choice for member in found.members] == [FIRST_CHOICE, FIRST_CHOICE + 1, FIRST_CHOICE + 2]
    assert [member.value for member in found.members] == [0, 7, "x"]
    assert [member.symbol for member in found.members] == ["No", "Yes", "Odd"]
    assert found.by_choice[FIRST_CHOICE + 1].symbol == "Yes"


def test_a_virtual_table_reads_the_same_tables_under_other_names(definitions) -> None:  # type: ignore[no-untyped-def]
    source = definitions.operations.model.entities[ENTITY]
    found = definitions.tables.by_name[table_name(ENTITY)].entity
    assert found.sources == source.sources
    assert found.virtual_of == ENTITY
    assert found.company == "mserp_dataareaid"
    assert set(found.fields) == {column_name(name) for name in source.fields} | {f"{found.name}id"}
    for name, item in source.fields.items():
        shown = found.fields[column_name(name)]
        assert (shown.source, shown.column, shown.kind, shown.base) == (item.source, item.column, item.kind, name)


def test_a_row_is_identified_by_its_record_and_nothing_of_the_key_can_be_edited(definitions) -> None:  # type: ignore[no-untyped-def]
    found = definitions.tables.by_name[table_name(ENTITY)].entity
    (key,) = found.key
    assert found.fields[key].kind is Kind.GUID
    assert found.fields[key].record_of == 11001
    assert not found.fields[key].editable
    assert not found.fields["mserp_purchaseordernumber"].editable
    assert not found.fields["mserp_dataareaid"].editable


def test_dates_that_are_never_null_show_the_empty_day_as_null(definitions) -> None:  # type: ignore[no-untyped-def]
    source = definitions.operations.model.entities[ENTITY]
    never_null = {
        **source.fields,
        "ConfirmedDeliveryDate": dataclasses.replace(source.fields["ConfirmedDeliveryDate"], nullable=False),
    }
    entity = dataclasses.replace(source, fields=never_null)
    found = virtual_entity(entity, {}, TableFile(table="mserp_x", virtual=ENTITY))
    assert found is not None
    assert found.fields["mserp_confirmeddeliverydate"].empty_date
    assert found.fields["mserp_confirmeddeliverydate"].nullable
    assert not found.fields["mserp_purchaseordernumber"].empty_date


def test_enums_are_choices_and_text_is_not(definitions) -> None:  # type: ignore[no-untyped-def]
    found = definitions.tables.by_name[table_name(ENTITY)].entity
    assert found.fields["mserp_purchaseorderstatus"].choice
    assert not found.fields["mserp_purchaseordernumber"].choice


def test_relations_lead_to_generated_tables_only_and_none_has_too_long_a_name(definitions) -> None:  # type: ignore[no-untyped-def]
    source = definitions.operations.model.entities[ENTITY]
    long = Relation("R" * 90, ENTITY, False, (("dataAreaId", "dataAreaId"),))
    entity = dataclasses.replace(source, relations={**source.relations, long.name: long})
    generated = {ENTITY: "mserp_x"}
    found = virtual_entity(entity, generated, TableFile(table="mserp_x", virtual=ENTITY))
    assert found is not None
    assert found.relations == {}
    full = definitions.tables.by_name[table_name(ENTITY)].entity
    assert set(full.relations) == {
        *("mserp_purchaseorderlinesv2", "mserp_purchaseorderresponseheaders", "mserp_vendorv2"),
    }
    lines = full.relations["mserp_purchaseorderlinesv2"]
    assert lines.target == table_name("PurchPurchaseOrderLineV2Entity")
    assert dict(lines.on)["mserp_dataareaid"] == "mserp_dataareaid"


def test_an_entity_without_a_record_id_or_without_a_file_has_no_virtual_table(definitions) -> None:  # type: ignore[no-untyped-def]
    model = definitions.operations.model
    source = model.entities[ENTITY]
    assert virtual_entity(dataclasses.replace(source, record_id=None), {}, TableFile(table="x", virtual=ENTITY)) is None
    tables, enums = virtual_tables(model, [TableFile(table="contact"), TableFile(table="x", virtual="NoSuchEntity")])
    assert tables == {}
    assert set(enums) == set(model.enums)


def test_a_file_may_name_the_set_the_label_and_the_column_of_the_name(definitions) -> None:  # type: ignore[no-untyped-def]
    file = TableFile(table="mserp_x", virtual=ENTITY, set="orders", label="Order", primary_name="mserp_email")
    tables, _ = virtual_tables(definitions.operations.model, [file])
    table = tables["mserp_x"]
    assert (table.entity.collection, table.label, table.primary_name) == ("orders", "Order", "mserp_email")
    assert table.virtual
