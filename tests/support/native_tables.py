"""Native tables for tests: files of a small company beside the built-in ones, in a database of their own."""

from __future__ import annotations

from pathlib import Path

from forecourt.dataverse.definitions import TableFile
from forecourt.dataverse.solution import STANDARD
from forecourt.kernel.document import compose, convert
from forecourt.store.folder import Faults, read_files

ORDER = """
table: fc_order
schema_name: fc_Order
label: Order
label_plural: Orders
primary_name: fc_number
notes: true
states:
  - {value: 0, label: Open, reasons: [{value: 1, label: New}, {value: 2, label: Approved}]}
  - {value: 1, label: Closed, reasons: [{value: 3, label: Invoiced}]}
columns:
  fc_number: {type: autonumber, label: Number, length: 30, format: 'SO-{SEQNUM:5}', seed: 7}
  fc_text: {type: text, label: Text, length: 40, default: "it's new"}
  fc_memo: {type: memo, label: Memo, default: long, length: 2000}
  fc_whole: {type: whole, label: Whole, default: -5, min: -10, max: 10}
  fc_big: {type: big, label: Big, default: 5}
  fc_decimal: {type: decimal, label: Decimal, precision: 4, default: 2.5, max: 99.5}
  fc_double: {type: double, label: Double, default: 0.5}
  fc_amount: {type: money, label: Amount, min: 0}
  fc_date: {type: date, label: Date}
  fc_moment: {type: datetime, label: Moment}
  fc_clock: {type: datetime, label: Clock, behavior: time_zone_independent}
  fc_day: {type: datetime, label: Day, behavior: date_only}
  fc_choice:
    type: choice
    label: Choice
    default: 2
    options: [{value: 1, label: One}, {value: 2, label: Two}]
  fc_yes: {type: yesno, label: 'Yes', default: true}
  fc_customerid: {type: customer, label: Customer, on_delete: clear}
  fc_regardingid: {type: lookup, label: Regarding, targets: [account, fc_order], on_delete: restrict}
  fc_accountid:
    type: lookup
    schema_name: fc_AccountId
    label: Account
    target: account
    relationship: fc_account_orders
  fc_parentid: {type: lookup, label: Parent, target: fc_order, on_delete: restrict}
  fc_guid: {type: uniqueid, label: Guid}
keys:
  fc_order_code: [fc_text, fc_accountid]
many_to_many:
  - {name: fc_order_contact, target: contact}
"""
LINE = """
table: fc_line
label: Line
ownership: organization
states: []
primary_name: fc_name
columns:
  fc_name: {type: text, label: Name}
  fc_orderid: {type: lookup, label: Order, target: fc_order, relationship: fc_order_lines, on_delete: cascade}
"""


def table_file(text: str) -> TableFile:
    """A table file from its text."""
    return convert(compose(text, "table.yaml"), TableFile)


def standard_files() -> list[TableFile]:
    """The built-in tables."""
    faults = Faults()
    files = [item.record for item in read_files(STANDARD, "*.yaml", TableFile, faults)]
    faults.raise_any()
    return files


def company_files(*texts: str) -> list[TableFile]:
    """The built-in tables and others; without ``texts`` orders and their lines."""
    return [*standard_files(), *map(table_file, texts or (ORDER, LINE))]


def solution_folder(root: Path, **files: str) -> Path:
    """A folder with table files, for what reads files."""
    folder = root / "dataverse" / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, "utf-8")
    return root
