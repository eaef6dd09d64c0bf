"""Files become maps with legs: what travels, in which form, and what stands for nothing."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from forecourt.app import load_definitions
from forecourt.integration.dual_write.drift import drift
from forecourt.integration.dual_write.loader import Maps, version_number
from forecourt.integration.dual_write.maps import TableMap
from forecourt.kernel.predicate import TRUE, Compare, Const, Field
from forecourt.kernel.sync import Leg, LegColumn, Side
from forecourt.kernel.types import Kind
from forecourt.store.catalog import Table, TableColumn, read_catalog
from forecourt.store.sync.ends import Ends
from support.server import Installation
from support.small_maps import CUSTOMERS, LINES, ORDERS, PERSONS, WORKERS, loaded

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def column(leg: Leg, target: str) -> LegColumn:
    return next(item for item in leg.columns if item.target == target)


@pytest.fixture(scope="module")
def customers() -> TableMap:
    return loaded(CUSTOMERS, PERSONS).by_name["customers"]


@pytest.fixture(scope="module")
def there(customers: TableMap) -> Leg:
    return customers.legs[Side.OPERATIONS]


@pytest.fixture(scope="module")
def back(customers: TableMap) -> Leg:
    return customers.legs[Side.DATAVERSE]


def test_a_map_has_a_leg_for_each_direction(customers: TableMap) -> None:
    assert customers.both and set(customers.legs) == {Side.OPERATIONS, Side.DATAVERSE}
    one_way = loaded(WORKERS + "direction: to_dataverse\n").by_name["workers"]
    assert set(one_way.legs) == {Side.OPERATIONS} and one_way.master is Side.OPERATIONS


def test_the_key_comes_first_and_the_company_belongs_to_it(customers: TableMap, there: Leg, back: Leg) -> None:
    assert [item.source for item in there.key] == ["Account", "dataAreaId"]
    assert [item.target for item in back.key] == ["Account", "dataAreaId"]
    assert there.columns[:2] == there.key and customers.key == ("cts_number", "_cts_company_value")


def test_the_company_travels_as_its_code(there: Leg, back: Leg) -> None:
    sent = column(there, "_cts_company_value")
    assert sent.company and sent.source_reference is None and sent.target_reference is not None
    assert (sent.target_reference.entity.name, sent.target_reference.natural) == ("cdm_company", "cdm_companycode")
    returned = column(back, "dataAreaId")
    assert returned.company and returned.source_reference == sent.target_reference


def test_a_lookup_travels_as_its_natural_key_within_its_company(there: Leg, back: Leg) -> None:
    sent = column(there, "_cts_contact_value")
    reference = sent.target_reference
    assert reference is not None and sent.kind is Kind.STRING
    assert (reference.entity.name, reference.id_field) == ("cts_person", "cts_personid")
    assert (reference.natural, reference.company) == ("cts_number", "_cts_company_value")
    assert column(back, "Contact").source_reference == reference


def test_an_enum_and_a_choice_are_matched_by_label(there: Leg, back: Leg) -> None:
    assert column(there, "cts_hold").values == ((0, 10), (1, 11), (2, 12))
    assert column(back, "Hold").values == ((10, 0), (11, 1), (12, 2))
    assert column(there, "cts_onetime").values == ((0, False), (1, True))


def test_a_leg_and_its_way_back_turn_round(there: Leg, back: Leg) -> None:
    for sent in there.columns:
        returned = next((item for item in back.columns if item.target == sent.source), None)
        if returned is None:
            assert sent.source == "Name"
            continue
        assert (returned.source, returned.key, returned.company) == (sent.target, sent.key, sent.company)
        assert returned.values == tuple((theirs, ours) for ours, theirs in sent.values)
        assert (returned.source_reference, returned.target_reference) == (sent.target_reference, None)
        assert returned.null_out == sent.null_in


def test_what_stands_for_nothing_in_operations(there: Leg, back: Leg) -> None:
    assert column(there, "cts_since").null_in == dt.date(1900, 1, 1) == column(back, "Since").null_out
    assert column(there, "_cts_invoice_value").null_in == "" == column(back, "InvoiceAccount").null_out
    nullable = column(there, "cts_rating"), column(back, "Rating")
    assert [(item.null_in, item.null_out, item.default) for item in nullable] == [(None, None, None)] * 2


def test_nought_is_a_number_and_not_nothing(there: Leg, back: Leg) -> None:
    assert column(there, "cts_limit").null_in is None
    limit = column(back, "CreditMax")
    assert limit.null_out is None and limit.default == Decimal(0)


def test_a_default_goes_to_its_side(there: Leg, back: Leg) -> None:
    assert column(there, "cts_group").default is None
    assert column(back, "Group").default == "RETAIL"


def test_a_value_map_of_its_own() -> None:
    yaml = CUSTOMERS.replace(
        "Hold: cts_hold",
        "Hold: {dataverse: cts_hold, direction: to_dataverse, values: {No: null, Invoice: 11, All: All}}",
    )
    (leg,) = [loaded(yaml, PERSONS).by_name["customers"].legs[Side.OPERATIONS]]
    assert column(leg, "cts_hold").values == ((0, None), (1, 11), (2, 12))


def test_what_a_value_map_makes_null_comes_back() -> None:
    yaml = CUSTOMERS.replace("Hold: cts_hold", "Hold: {dataverse: cts_rating, values: {No: null, Invoice: i, All: a}}")
    yaml = yaml.replace("  Rating: cts_rating\n", "")
    back = loaded(yaml, PERSONS).by_name["customers"].legs[Side.DATAVERSE]
    hold = column(back, "Hold")
    assert hold.values == (("i", 1), ("a", 2)) and hold.default == 0


def test_a_constant_has_no_source() -> None:
    yaml = WORKERS + "direction: to_dataverse\nconstants:\n  dataverse: {cts_grade: B}\n"
    leg = loaded(yaml).by_name["workers"].legs[Side.OPERATIONS]
    grade = column(leg, "cts_grade")
    assert (grade.source, grade.default, grade.key) == ("", "B", False)


def test_a_constant_may_be_a_lookup() -> None:
    yaml = CUSTOMERS + "constants:\n  dataverse: {transactioncurrencyid.isocurrencycode: USD}\n"
    leg = loaded(yaml, PERSONS).by_name["customers"].legs[Side.OPERATIONS]
    currency = column(leg, "_transactioncurrencyid_value")
    assert currency.default == "USD" and currency.target_reference is not None
    assert currency.target_reference.natural == "isocurrencycode"


def test_filters_are_predicates_with_constants() -> None:
    yaml = CUSTOMERS + (
        "filter:\n  operations: Hold ne Microsoft.Dynamics.DataEntities.Blocked'All'\n  dataverse: cts_hold eq 10\n"
    )
    legs = loaded(yaml, PERSONS).by_name["customers"].legs
    hold, choice = Compare("ne", Field(("Hold",)), Const(2)), Compare("eq", Field(("cts_hold",)), Const(10))
    assert (legs[Side.OPERATIONS].filter, legs[Side.OPERATIONS].target_filter) == (hold, choice)
    assert (legs[Side.DATAVERSE].filter, legs[Side.DATAVERSE].target_filter) == (choice, hold)
    plain = loaded(WORKERS).by_name["workers"].legs[Side.OPERATIONS]
    assert plain.filter == plain.target_filter == TRUE


def test_rows_belong_to_the_team_of_their_company_where_the_table_is_owned(there: Leg, back: Leg) -> None:
    assert there.owner_field == "_ownerid_value" and back.owner_field == ""


def test_a_column_knows_its_line(there: Leg) -> None:
    assert str(column(there, "cts_group").where) == "maps/0.yaml:8"


def test_a_polymorphic_lookup_is_written_by_its_way() -> None:
    yaml = CUSTOMERS.replace("Contact: cts_contact.cts_number", "Contact: cts_anybody_cts_person.cts_number")
    leg = loaded(yaml, PERSONS).by_name["customers"].legs[Side.OPERATIONS]
    sent = column(leg, "_cts_anybody_value")
    assert sent.target_reference is not None and sent.target_reference.entity.name == "cts_person"


def test_a_row_id_may_be_the_natural_key() -> None:
    yaml = CUSTOMERS.replace("  Contact: cts_contact.cts_number\n", "").replace(
        "InvoiceAccount: cts_invoice.cts_number",
        "InvoiceAccount: cts_invoice.cts_number\n  Contact: cts_worker.cts_number",
    )
    sent = column(loaded(yaml).by_name["customers"].legs[Side.OPERATIONS], "_cts_worker_value")
    assert sent.target_reference is not None and sent.target_reference.company is None


def test_versions_stand_side_by_side_and_the_highest_counts() -> None:
    maps = loaded(WORKERS + "version: '1.9'\n", WORKERS + "version: '1.10.0.0'\n", WORKERS)
    assert maps.by_name["workers"].version == "1.10.0.0"
    assert [item.version for item in maps.versions["workers"]] == ["1.10.0.0", "1.9", "1.0.0.0"]
    chosen = maps.version("workers", "1.9")
    assert chosen is not None and chosen.version == "1.9" and maps.version("workers", "2.0") is None
    assert version_number("2.0") == version_number("2.0.0.0")


def test_maps_are_found_by_entity_and_by_table() -> None:
    maps = loaded(CUSTOMERS, PERSONS, ORDERS, LINES, WORKERS)
    assert [item.name for item in maps.of_entity("Order")] == ["orders"]
    assert [item.name for item in maps.of_table("cts_line")] == ["lines"]
    assert maps.of_table("account") == ()


# ------------------------------------------------------------------------------------------------------------ drift


def live(item: TableMap, side: Side) -> dict[object, Table]:
    """The tables of a map's side as a database without drift has them."""
    entities = [item.entity] if side is Side.OPERATIONS else [item.table]
    if side is Side.DATAVERSE:
        references = [column.target_reference for leg in item.legs.values() for column in leg.columns]
        entities += [reference.entity for reference in references if reference is not None]
    return {
        entity.root.table: Table(
            entity.root.table,
            {
                found.column: TableColumn(found.column, found.storage, found.nullable, found.length)
                for found in entity.fields.values()
            },
        )
        for entity in entities
    }


def changed(item: TableMap, side: Side, name: str, column: TableColumn | None) -> list[str]:
    """What is reported when a column of the side's own table is dropped, or is as given."""
    sides = {each: live(item, each) for each in Side}
    entity = item.entity if side is Side.OPERATIONS else item.table
    table = sides[side][entity.root.table]
    columns = {key: value for key, value in table.columns.items() if key != name}
    if column is not None:
        columns[name] = column
    sides[side][entity.root.table] = Table(table.name, columns)
    return [str(change) for change in drift(item, sides)]  # type: ignore[arg-type]


def test_a_database_as_the_map_has_it_does_not_drift(customers: TableMap) -> None:
    assert drift(customers, {side: live(customers, side) for side in Side}) == ()  # type: ignore[arg-type]


def test_a_column_that_is_dropped_is_reported(customers: TableMap) -> None:
    assert changed(customers, Side.OPERATIONS, "creditmax", None) == [
        "customers: operations erp.customer.creditmax (field CreditMax) column dropped."
    ]
    assert changed(customers, Side.DATAVERSE, "cts_limit", None) == [
        "customers: dataverse dataverse.cts_customer.cts_limit column dropped."
    ]


def test_a_column_that_no_map_reads_may_go(customers: TableMap) -> None:
    assert changed(customers, Side.OPERATIONS, "currency", None) == []


def test_a_column_that_is_retyped_is_reported(customers: TableMap) -> None:
    assert changed(customers, Side.OPERATIONS, "creditmax", TableColumn("creditmax", "float8", False)) == [
        "customers: operations erp.customer.creditmax (field CreditMax) retyped: numeric before, float8 now."
    ]


def test_a_column_that_is_shortened_is_reported(customers: TableMap) -> None:
    assert changed(customers, Side.DATAVERSE, "cts_group", TableColumn("cts_group", "varchar", True, 10)) == [
        "customers: dataverse dataverse.cts_customer.cts_group shortened: 100 before, 10 now."
    ]


def test_a_table_that_is_dropped_is_reported(customers: TableMap) -> None:
    sides = {side: live(customers, side) for side in Side}
    del sides[Side.OPERATIONS][customers.entity.root.table]
    found = [str(change) for change in drift(customers, sides)]  # type: ignore[arg-type]
    assert found == ["customers: operations erp.customer table dropped."]


# ----------------------------------------------------------------------------------------------------- the examples


def test_the_sample_company_maps_what_it_copies() -> None:
    maps = load_definitions(EXAMPLES / "contoso").maps
    assert {(item.entity.collection, item.table.name) for item in maps.by_name.values()} == {
        ("LegalEntities", "cdm_company"),
        ("CustomersV3", "account"),
        ("CDSContactsV2", "contact"),
        ("VendorContactPersons", "contact"),
        ("VendorsV2", "msdyn_vendor"),
        ("ReleasedProductsV2", "product"),
        ("SalesOrderHeadersV2", "salesorder"),
        ("SalesOrderLines", "salesorderdetail"),
        ("PurchaseOrderHeadersV2", "msdyn_purchaseorder"),
        ("PurchaseOrderLinesV2", "msdyn_purchaseorderproduct"),
        ("Workers", "cdm_worker"),
    }
    assert all(item.both for name, item in maps.by_name.items() if "order" in name)


async def test_the_maps_of_the_sample_company_fit_its_database(contoso: Installation) -> None:
    await _fits(EXAMPLES / "contoso", contoso)


async def test_the_maps_of_adventureworks_fit_its_database(adventureworks: Installation) -> None:
    await _fits(EXAMPLES / "adventureworks", adventureworks)


async def _fits(root: Path, site: Installation) -> None:
    """Every map is checked against the catalogs, and every leg can be read, written and captured."""
    databases = site.forecourt.databases
    catalogs = {
        Side.OPERATIONS: await read_catalog(databases.operations),
        Side.DATAVERSE: await read_catalog(databases.dataverse),
    }
    maps: Maps = load_definitions(root, catalogs[Side.OPERATIONS]).maps
    ends = Ends(catalogs[Side.OPERATIONS], catalogs[Side.DATAVERSE])
    for item in maps.by_name.values():
        assert drift(item, {side: catalog.tables for side, catalog in catalogs.items()}) == (), item.name
        for leg in item.legs.values():
            assert ends.capture([leg], leg.source_side), (item.name, leg.source_side)
            assert ends.merging(leg) is not None
