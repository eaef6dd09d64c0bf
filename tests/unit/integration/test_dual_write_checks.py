"""Every rule finds its fault, on its line, under its code, and says what to write instead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forecourt.integration.dual_write.loader import load_maps
from forecourt.kernel.model import EntityField
from forecourt.kernel.types import Kind
from support.small_maps import CUSTOMERS, DATAVERSE, LINES, OPERATIONS, ORDERS, PERSONS, WORKERS, load, loaded, source

CUSTOMER = "name: customers\nentity: Customer\ntable: cts_customer\ndirection: to_dataverse\n"
WORKER = "name: workers\nentity: Worker\ntable: cts_worker\ndirection: to_dataverse\n"
BOTH = "name: customers\nentity: Customer\ntable: cts_customer\n"
KEY = "columns:\n  Account: cts_number\n"
GROUP = "  Group: {dataverse: cts_group, operations_default: RETAIL}\n"


def faults(yaml: str) -> list[tuple[int, str]]:
    """(line, text) of each fault, in order of lines."""
    _, found = load(yaml)
    return sorted((fault.line, f"{fault.message} {fault.hint}".strip()) for fault in found)


#: What is wrong, the file with '#!' on the line at fault, what the message says.
BAD: dict[str, tuple[str, str]] = {
    "an entity that is not known": (
        "name: a\nentity: Custommer  #!\ntable: cts_customer\ncolumns: {Account: cts_number}\n",
        "DIPV1018 data entity 'Custommer' is not known. Did you mean 'Customer'?",
    ),
    "an entity by its collection": (
        "name: a\nentity: Customers  #!\ntable: cts_customer\ncolumns: {Account: cts_number}\n",
        "DIPV1018 data entity 'Customers' is not known. Write its physical name: Customer.",
    ),
    "a table that is not known": (
        "name: a\nentity: Customer\ntable: cts_custommer  #!\ncolumns: {Account: cts_number}\n",
        "DIPV1020 Dataverse table 'cts_custommer' is not known. Did you mean 'cts_customer'",
    ),
    "a version that is none": (
        "name: a\nversion: v2  #!\nentity: Customer\ntable: cts_customer\ncolumns: {Account: cts_number}\n",
        "'v2' is not a version. Write two to four numbers",
    ),
    "a name with blanks": (
        "name: a b  #!\nentity: Customer\ntable: cts_customer\ncolumns: {Account: cts_number}\n",
        "'a b' is not a name of a map.",
    ),
    "a field that is not known": (
        f"{CUSTOMER}{KEY}  Nname: cts_name  #!\n",
        "DIPV1021 Customer has no field 'Nname'. Did you mean 'Name'?",
    ),
    "a target field that is not known": (
        f"{BOTH}{KEY}{GROUP}  Nname: {{dataverse: cts_name, direction: to_operations}}  #!\n",
        "DIPV1025 Customer has no field 'Nname'.",
    ),
    "a column that is not known": (
        f"{CUSTOMER}{KEY}  Name: cts_nname  #!\n",
        "DIPV1024 cts_customer has no column 'cts_nname'. Did you mean 'cts_name'",
    ),
    "a source column that is not known": (
        f"{BOTH}{KEY}{GROUP}  Rating: {{dataverse: cts_ratting, direction: to_operations}}  #!\n",
        "DIPV1022 cts_customer has no column 'cts_ratting'.",
    ),
    "a dot behind what is no lookup": (
        f"{CUSTOMER}{KEY}  Name: cts_name.cts_number  #!\n",
        "DIPV1024 cts_name is no lookup, so '.cts_number' leads nowhere. Write cts_name.",
    ),
    "a lookup without a natural key": (
        f"{CUSTOMER}{KEY}  InvoiceAccount: cts_invoice  #!\n",
        "DIPV1028 cts_invoice is a lookup to cts_customer; its row is named by a natural key. "
        "Write cts_invoice.cts_number.",
    ),
    "a lookup with a column that is not known": (
        f"{CUSTOMER}{KEY}  InvoiceAccount: cts_invoice.cts_nummer  #!\n",
        "DIPV1028 cts_invoice is a lookup to cts_customer; 'cts_nummer' is no column of cts_customer.",
    ),
    "a lookup to several tables": (
        f"{CUSTOMER}{KEY}  InvoiceAccount: cts_anybody.cts_number  #!\n",
        "DIPV1028 cts_anybody leads to several tables: cts_person, cts_customer. "
        "Name the way to one of them: cts_anybody_cts_person.cts_number.",
    ),
    "a lookup by what is no key": (
        f"{CUSTOMER}{KEY}  InvoiceAccount: cts_invoice.cts_name  #!\n",
        "DIPV1028 cts_name does not name one row of cts_customer: it is no alternate key of it.",
    ),
    "a key lookup without a natural key": (
        "name: lines\nentity: Line\ntable: cts_line\ncolumns:\n  Order: cts_order  #!\n  LineNumber: cts_line\n",
        "DIPV1027 cts_order is a lookup to cts_order; its row is named by a natural key. Write cts_order.cts_number.",
    ),
    "a key lookup that is not mapped": (
        "name: lines\nentity: Line\ntable: cts_line\ndirection: to_dataverse\ncolumns:  #!\n  LineNumber: cts_line\n",
        "DIPV1027 cts_order is part of the integration key and not mapped. Add '<Field>: cts_order.<natural key>'.",
    ),
    "a company-specific entity and a shared table": (
        "name: a\nentity: Person\ntable: cts_worker  #!\ndirection: to_dataverse\ncolumns: {Number: cts_number}\n",
        "DIPV1002 Person belongs to legal entities, cts_worker to no company. Add a lookup to cdm_company",
    ),
    "a shared entity and a company-specific table": (
        "name: a\nentity: Worker  #!\ntable: cts_person\ndirection: to_dataverse\ncolumns: {Number: cts_number}\n",
        "DIPV1002 Worker has no company, rows of cts_person are told apart by cts_company.",
    ),
    "several companies": (
        "name: a\nentity: Person\ntable: cts_double  #!\ndirection: to_dataverse\ncolumns: {Number: cts_number}\n",
        "DIPV1002 cts_double has several lookups to cdm_company. "
        "Say which one with 'company:': cts_company, cts_owner.",
    ),
    "a company that is no lookup of the table": (
        f"{CUSTOMER}company: cts_compani  #!\n{KEY}",
        "DIPV1002 cts_customer has no lookup 'cts_compani' to cdm_company. Did you mean 'cts_company'?",
    ),
    "a company for a shared entity": (
        f"{WORKER}company: cts_company  #!\ncolumns: {{Number: cts_number}}\n",
        "DIPV1002 Worker is shared by all legal entities, so rows have no company. Leave 'company:' out.",
    ),
    "the company as a mapped column": (
        f"{CUSTOMER}{KEY}  dataAreaId: cts_company.cdm_companycode  #!\n",
        "DIPV1002 the company of a row is mapped by itself. Leave this column out.",
    ),
    "no integration key": (
        "name: a\nentity: Worker\ntable: cts_loose  #!\ndirection: to_dataverse\n"
        "constants: {dataverse: {cts_badge: x}}\ncolumns: {Number: cts_number}\n",
        "DIPV1003 cts_loose has no alternate key, and the map names no integration key. Add 'keys:'",
    ),
    "an integration key that is no key": (
        f"{CUSTOMER}key: [cts_name]  #!\n{KEY}  Name: cts_name\n",
        "DIPV1003 no alternate key of cts_customer has the columns cts_name, cts_company",
    ),
    "an integration key of columns that are not known": (
        f"{CUSTOMER}key: [cts_numbr]  #!\n{KEY}",
        "DIPV1003 cts_customer has no column 'cts_numbr'. Did you mean 'cts_number'",
    ),
    "a key column that is not mapped": (
        f"{CUSTOMER}columns:  #!\n  Name: cts_name\n",
        "DIPV1014 cts_number is part of the integration key and not mapped. Add '<Field>: cts_number'.",
    ),
    "a key field of the entity outside of the key": (
        "name: lines\nentity: Line\ntable: cts_order\ncolumns:\n  Order: cts_number\n"
        "  LineNumber: {dataverse: cts_customer.cts_number, direction: to_operations}  #!\n",
        "DIPV1015 LineNumber is a key field of Line and not in the integration key.",
    ),
    "a key that goes one way": (
        f"{BOTH}columns:\n  Account: {{dataverse: cts_number, direction: to_dataverse}}  #!\n{GROUP}",
        "DIPV1004 Account is part of the integration key and goes to_dataverse only, while rows go both ways.",
    ),
    "a required column without a source": (
        "name: a\nentity: Order\ntable: cts_order\ndirection: to_dataverse\ncolumns:  #!\n  Number: cts_number\n",
        "DIPV1010 cts_customer of cts_order is required and not mapped.",
    ),
    "a required field without a source": (
        f"{BOTH}columns:  #!\n  Account: cts_number\n",
        "DIPV1010 Group of Customer is required and not mapped.",
    ),
    "a column of the system as a target": (
        f"{CUSTOMER}{KEY}  Since: createdon  #!\n",
        "DIPV1011 createdon of cts_customer is kept by the system and can't be written.",
    ),
    "a field that can't be written": (
        f"{BOTH}{KEY}{GROUP}  Name: cts_name  #!\n",
        "DIPV1011 Name can't be written. Write 'direction: to_dataverse'",
    ),
    "a field of a read-only entity": (
        "name: a\nentity: Closed\ntable: cts_worker\ncolumns:\n"
        "  Number: {dataverse: cts_number, direction: to_dataverse}\n"
        "  Name: {dataverse: cts_name, direction: to_operations}  #!\n",
        "DIPV1011 Closed is read-only.",
    ),
    "a filter that is no condition": (
        f"{CUSTOMER}filter:\n  dataverse: cts_name eq  #!\n{KEY}",
        "DIPV1012 the filter on dataverse can't be read:",
    ),
    "a filter over a field that is not known": (
        f"{CUSTOMER}filter:\n  operations: Nam eq 'x'  #!\n{KEY}",
        "DIPV1012 the filter on operations can't be read: Could not find a property named 'Nam'",
    ),
    "a filter over another row": (
        f"{CUSTOMER}filter:\n  dataverse: cts_invoice/cts_name eq 'x'  #!\n{KEY}",
        "DIPV1012 the filter on dataverse can't be read: 'cts_invoice' leads to other rows.",
    ),
    "a field with two ways back": (
        f"{BOTH}{KEY}{GROUP}  Rating:\n    - {{dataverse: cts_rating}}\n"
        "    - {dataverse: cts_name, direction: to_dataverse}  #!\n",
        "DIPV1023 Rating is mapped 2 times and goes both ways.",
    ),
    "a column with two sources": (
        f"{CUSTOMER}{KEY}  Name: cts_name\n  Rating: cts_name  #!\n",
        "DIPV1026 cts_name gets a value twice.",
    ),
    "a column and a constant": (
        f"{CUSTOMER}constants:\n  dataverse:\n    cts_name: x  #!\n{KEY}  Name: cts_name\n",
        "DIPV1026 cts_name gets a value twice.",
    ),
    "a pair that stands twice": (
        f"{CUSTOMER}{KEY}  Name:\n    - {{dataverse: cts_name}}\n    - {{dataverse: cts_name}}  #!\n",
        "DIPV1029 Name and cts_name are paired twice.",
    ),
    "a text and a number": (
        f"{CUSTOMER}{KEY}  Name: cts_visits  #!\n",
        "DIPV1030 Name is string, cts_visits is int32: values would not fit dataverse.",
    ),
    "a number that is too large": (
        f"{CUSTOMER}{KEY}  Visits: cts_visits  #!\n",
        "DIPV1030 Visits is int64, cts_visits is int32: values would not fit dataverse.",
    ),
    "an enum without counterparts": (
        f"{CUSTOMER}{KEY}  Hold: cts_onetime  #!\n",
        "DIPV1030 Hold and cts_onetime: 'Invoice' has no counterpart in cts_onetime. Write 'values:",
    ),
    "a value map with a symbol that is not known": (
        f"{CUSTOMER}{KEY}  Hold:\n    dataverse: cts_hold\n"
        "    values:\n      No: 10\n      Invoyce: 11  #!\n      All: 12\n",
        "DIPV1030 'Invoyce' is no value of Hold: 'Invoyce' is no symbol of Blocked. Did you mean 'Invoice'?",
    ),
    "a value map with a choice that is not known": (
        f"{CUSTOMER}{KEY}  Hold:\n    dataverse: cts_hold\n"
        "    values:\n      No: 10\n      Invoice: 19  #!\n      All: 12\n",
        "DIPV1030 '19' is no value of cts_hold: '19' is no option of cts_hold. "
        "Known are: 10 (No), 11 (Invoice), 12 (All).",
    ),
    "a value map that lacks a value": (
        f"{CUSTOMER}{KEY}  Hold: {{dataverse: cts_hold, values: {{No: 10, Invoice: 11}}}}  #!\n",
        "DIPV1030 the value map of Hold lacks All of operations. Give each a counterpart.",
    ),
    "a value map that lacks a value on the way back": (
        f"{BOTH}{KEY}{GROUP}  Hold: {{dataverse: cts_hold, values: {{No: 10, Invoice: 11, All: 11}}}}  #!\n",
        "DIPV1030 the value map of Hold lacks 12 (All) of dataverse. Give each a counterpart or go one way.",
    ),
    "a value map that does not turn round": (
        f"{BOTH}{KEY}{GROUP}  Hold: {{dataverse: cts_onetime, values: {{No: false, Invoice: true, All: true}}}}  #!\n",
        "DIPV1030 True stands for 2 values of Hold. Map each to its own value, or write 'direction: to_dataverse'.",
    ),
    "a default of another type": (
        f"{CUSTOMER}{KEY}  CreditMax: {{dataverse: cts_limit, dataverse_default: lots}}  #!\n",
        "DIPV1030 'lots' is no value of cts_limit: a number is expected.",
    ),
    "a required column that may get nothing": (
        "name: orders\nentity: Customer\ntable: cts_order\ndirection: to_dataverse\ncolumns:\n  Account: cts_number\n"
        "  Rating: cts_customer.cts_number  #!\n",
        "DIPV1031 cts_customer is required, and Rating may be null. Write 'dataverse_default:'",
    ),
    "a required field that may get nothing": (
        f"{BOTH}{KEY}  Group: cts_group  #!\n",
        "DIPV1031 Group is required, and cts_group may be null. Write 'operations_default:'",
    ),
    "a constant without a value": (
        f"{CUSTOMER}constants:\n  dataverse:\n    cts_rating: null  #!\n{KEY}",
        "DIPV1031 a constant needs a value.",
    ),
    "a default without an effect": (
        f"{CUSTOMER}{KEY}  Rating: {{dataverse: cts_rating, operations_default: x}}  #!\n",
        "operations_default has no effect: the column goes to_dataverse.",
    ),
    "a constant without an effect": (
        f"{CUSTOMER}constants:\n  operations: {{Group: x}}  #!\n{KEY}",
        "constants of operations have no effect: no row goes there.",
    ),
    "a master that sends nothing": (
        f"{CUSTOMER}initial:\n  master: dataverse  #!\n{KEY}",
        "rows come from operations alone, so that is the master. Write 'master: operations'.",
    ),
    "an outage of a queued map": (
        f"{CUSTOMER}mode: queued\non_outage: refuse  #!\n{KEY}",
        "on_outage has no effect: a queued map always waits for the other side.",
    ),
    "a conflict where rows go one way": (
        f"{CUSTOMER}conflict:  #!\n  resolve: newer\n{KEY}",
        "conflict has no effect: rows start on operations alone.",
    ),
    "an alert that waits for nothing": (
        f"{CUSTOMER}{KEY}alerts:\n- {{minutes: 5, count: 0}}  #!\n",
        "an alert waits for one error at least.",
    ),
    "an alert that looks back too far": (
        f"{CUSTOMER}{KEY}alerts:\n- count: 5\n  minutes: 20000  #!\n",
        "an alert looks back 1 to 10080 minutes (a week).",
    ),
    "an alert for nobody's address": (
        f"{CUSTOMER}{KEY}alerts:\n- count: 5\n  notify: [operators]  #!\n",
        "'operators' is no e-mail address.",
    ),
    "an alert that stands twice": (
        f"{CUSTOMER}{KEY}alerts:\n- {{action: pause}}\n- {{action: stop}}  #!\n",
        "10 application errors in 15 minutes set off two alerts. Make them one.",
    ),
    "a key column that comes twice": (
        f"{CUSTOMER}key:\n- cts_number  #!\n- cts_number\n{KEY}",
        "DIPV1003 cts_number is in the integration key twice.",
    ),
    "key values that become one": (
        f"{CUSTOMER}columns:\n  Account:\n    dataverse: cts_number\n    values: {{A: X, B: X}}  #!\n",
        "DIPV1030 Account is part of the integration key, and X stands for 2 of its values.",
    ),
    "no columns": (f"{CUSTOMER}columns: {{}}  #!\n", "the map has no columns."),
    "a company-specific lookup in a shared map": (
        "name: a\nentity: Worker\ntable: cts_worker\ndirection: to_dataverse\ncolumns:\n  Number: cts_number\n"
        "  Name: cts_customer.cts_number  #!\n",
        "DIPV1028 cts_customer has a cts_number in each company, and this map's rows have no company.",
    ),
}


@pytest.mark.parametrize("wrong", list(BAD))
def test_a_fault_is_found_on_its_line(wrong: str) -> None:
    yaml, text = BAD[wrong]
    line = next(number for number, content in enumerate(yaml.splitlines(), 1) if content.endswith("#!"))
    found = faults(yaml)
    assert any(text in message for _, message in found), found
    assert next(place for place, message in found if text in message) == line, found


def test_a_virtual_table_cannot_be_mapped() -> None:
    table = DATAVERSE.entities["cts_worker"]
    virtual = replace(table, version="", virtual_of="Worker")
    tables = replace(DATAVERSE, entities={**DATAVERSE.entities, "cts_worker": virtual})
    _, (fault,) = load_maps([source(WORKERS.lstrip())], OPERATIONS, tables)
    assert str(fault).startswith("maps/test.yaml:3: DIPV1019 cts_worker is a virtual table")


def test_a_solution_without_legal_entities_has_no_rows_for_a_company() -> None:
    _, (fault,) = load_maps([source(ORDERS.lstrip())], replace(OPERATIONS, legal_entities={}), DATAVERSE)
    assert str(fault).startswith("maps/test.yaml:2: DIPV1016 the solution has no legal entities")


def test_a_field_whose_type_only_the_database_knows_is_not_judged() -> None:
    customer = OPERATIONS.entities["Customer"]
    unknown = EntityField("CreditMax", "r", "creditmax", Kind.STRING)
    changed = replace(customer, fields={**customer.fields, "CreditMax": unknown})
    model = replace(OPERATIONS, entities={**OPERATIONS.entities, "Customer": changed})
    _, found = load_maps([source(CUSTOMERS)], model, DATAVERSE)
    assert found == ()


def test_good_maps_have_no_faults() -> None:
    assert len(loaded(CUSTOMERS, PERSONS, ORDERS, LINES, WORKERS).by_name) == 5


def test_two_files_of_one_name_and_version_contradict_each_other() -> None:
    _, (fault,) = load(WORKERS, WORKERS)
    assert str(fault).startswith("maps/1.yaml:2: map workers 1.0.0.0 is defined twice: see maps/0.yaml:2.")


def test_versions_of_a_map_pair_the_same() -> None:
    other = CUSTOMERS.replace("name: customers", "name: workers\nversion: 2.0.0.0")
    _, (fault,) = load(WORKERS, other)
    assert str(fault).startswith("maps/1.yaml:2: map workers pairs Customer and cts_customer, in another version")


def test_two_maps_of_one_pair_need_a_filter() -> None:
    other = WORKERS.replace("name: workers", "name: people")
    _, (fault,) = load(WORKERS, other)
    assert str(fault).startswith(
        "maps/1.yaml:2: Worker and cts_worker are paired by map workers too: see maps/0.yaml:2"
    )
    assert "'name: workers'" in fault.hint
    apart = "filter: {operations: \"Number ne '1'\"}\n"
    assert load(WORKERS, other + apart)[1] == ()


def test_a_dependency_on_no_map_is_a_fault() -> None:
    _, (fault,) = load(WORKERS, ORDERS + "depends_on:\n  - worker\n")
    assert str(fault) == "maps/1.yaml:9: map 'worker' is not known. Did you mean 'workers'?"


def test_a_table_has_one_integration_key() -> None:
    table = DATAVERSE.entities["cts_worker"]
    changed = replace(table, alternate_keys={**table.alternate_keys, "by_name": ("cts_name",)})
    tables = replace(DATAVERSE, entities={**DATAVERSE.entities, "cts_worker": changed})
    one_way = WORKERS.replace("columns:", "direction: to_dataverse\ncolumns:")
    other = one_way.replace("name: workers", "name: others").replace("columns:", "key: [cts_name]\ncolumns:")
    other += "filter: {operations: \"Number ne '1'\"}\n"
    _, (fault,) = load_maps([source(one_way), source(other, "maps/other.yaml")], OPERATIONS, tables)
    assert str(fault) == (
        "maps/other.yaml:6: DIPV1003 cts_worker has another integration key in maps/test.yaml:2. "
        "A table has one: write 'key: [cts_number]' in both maps."
    )


def test_a_key_that_leads_to_the_own_table_is_a_fault() -> None:
    table = DATAVERSE.entities["cts_customer"]
    keys = {**table.alternate_keys, "by_invoice": ("_cts_invoice_value", "_cts_company_value")}
    changed = replace(table, alternate_keys=keys)
    tables = replace(DATAVERSE, entities={**DATAVERSE.entities, "cts_customer": changed})
    yaml = f"{CUSTOMER}key: [cts_invoice]\n{KEY}  InvoiceAccount: cts_invoice.cts_number\n"
    _, (fault,) = load_maps([source(yaml)], OPERATIONS, tables)
    text = "maps/test.yaml:1: cts_invoice is part of the integration key and leads back to the map's own rows."
    assert str(fault).startswith(text)
