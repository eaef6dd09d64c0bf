"""Data files: what is written is what is read, in every format, and what may do harm is turned down."""

from __future__ import annotations

import datetime as dt
import io
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow
import pyarrow.parquet
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import DataSource, Entity, EntityField, Enum, EnumMember, Model
from forecourt.kernel.relation import TableName
from forecourt.kernel.types import Kind
from forecourt.operations.packages.files import CODECS
from forecourt.operations.packages.formats import Format, Table, TextRow
from forecourt.operations.packages.parquet_files import GROUP
from forecourt.operations.packages.values import FORMULA, Reading, cell_of, text_of_cell

KINDS = {
    "Id": Kind.STRING,
    "Text": Kind.STRING,
    "Small": Kind.INT32,
    "Large": Kind.INT64,
    "Amount": Kind.DECIMAL,
    "Ratio": Kind.DOUBLE,
    "Flag": Kind.BOOLEAN,
    "Day": Kind.DATE,
    "Moment": Kind.DATETIME,
    "Guid": Kind.GUID,
    "Status": Kind.ENUM,
}
FIELDS = {
    name: EntityField(name, "t", name.lower(), kind, enum="Status" if kind is Kind.ENUM else None)
    for name, kind in KINDS.items()
}
THING = Entity("ThingEntity", "Thing", "Things", (DataSource("t", TableName("erp", "thing")),), FIELDS, ("Id",))
STATUS = Enum("Status", (EnumMember("Open", 0, ""), EnumMember("Closed", 1, "")))
MODEL = Model({"ThingEntity": THING}, {"Status": STATUS})
TEXT = FIELDS["Text"]

Row = tuple[Any, ...]


def table(kind: Format) -> Table:
    return Table(THING, MODEL, f"Thing.{kind.suffix}")


def written(kind: Format, rows: list[Row]) -> bytes:
    stream = io.BytesIO()
    writer = CODECS[kind].write(stream, table(kind), tuple(FIELDS.values()))
    try:
        writer.write(rows)
    except Refusal:
        writer.discard()
        raise
    writer.close()
    return stream.getvalue()


def texts(kind: Format, data: bytes) -> list[TextRow]:
    return list(CODECS[kind].read(io.BytesIO(data), table(kind)))


def read(kind: Format, data: bytes) -> list[Row]:
    reading = Reading(THING, MODEL)
    found = texts(kind, data)
    assert [row.fault for row in found] == [""] * len(found)
    return [tuple(reading.values(row.texts)[name] for name in FIELDS) for row in found]


def refusal(kind: Format, data: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        texts(kind, data)
    assert caught.value.code == "FC4801"
    return caught.value


FORMATS = pytest.mark.parametrize("kind", list(Format), ids=lambda kind: kind.value)

FIRST = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, dt.UTC)

#: Rows at the edges of what the kinds hold.
EDGES: list[Row] = [
    ("1", "=1+1", -5, 2**63 - 1, Decimal("1.500000"), 0.1, True, dt.date(1900, 1, 1), None, UUID(int=7), 1),
    ("2", None, None, None, None, None, None, None, None, None, None),
    ("3", "", 0, -(2**63), Decimal("-123456789012345678.123456"), -1e300, False, dt.date(2026, 10, 1), None, None, 0),
    (
        "4",
        "\\N",
        1,
        1,
        Decimal("0.10"),
        3.0,
        False,
        dt.date(9999, 12, 31),
        dt.datetime(1, 1, 1, tzinfo=dt.UTC),
        None,
        0,
    ),
    ("5", '\'=\r\n,"q"\t\\N', 1, 1, Decimal(0), 3.0, False, dt.date(1, 1, 1), None, None, 0),
    ("6", "_x0041_ é😀 <&>]]>", 1, 1, Decimal(0), 3.0, False, dt.date(1900, 2, 28), None, None, 0),
    (
        "7",
        "  -5 ",
        1,
        1,
        Decimal(0),
        3.0,
        None,
        dt.date(1900, 3, 1),
        dt.datetime(2026, 1, 2, 3, 4, 5, 678901, dt.UTC),
        None,
        0,
    ),
]


@FORMATS
def test_what_is_written_is_what_is_read(kind: Format) -> None:
    assert read(kind, written(kind, EDGES)) == EDGES


@FORMATS
def test_a_file_without_rows_has_its_columns_all_the_same(kind: Format) -> None:
    assert read(kind, written(kind, [])) == []


@given(text=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00")) | st.none())
@pytest.mark.parametrize("kind", [Format.CSV, Format.XML], ids=str)
def test_any_text_survives_a_file(kind: Format, text: str | None) -> None:
    row = ("1", text, *[None] * 9)
    assert read(kind, written(kind, [row])) == [row]


@given(text=st.text() | st.none())
def test_no_cell_begins_like_a_formula_and_each_is_read_back(text: str | None) -> None:
    cell = cell_of(text, TEXT)
    assert not cell.startswith(FORMULA)
    assert text_of_cell(cell, TEXT) == text


def test_a_batch_of_rows_is_more_than_a_group_of_parquet() -> None:
    rows: list[Row] = [(str(n), None, n, *[None] * 8) for n in range(GROUP + 5)]
    assert read(Format.PARQUET, written(Format.PARQUET, rows)) == rows


def test_a_number_that_parquet_would_round_is_refused() -> None:
    row = ("1", None, None, None, Decimal("0.1234567890123"), *[None] * 6)
    with pytest.raises(Refusal, match="'Amount' is larger, or finer"):
        written(Format.PARQUET, [row])


def test_a_parquet_file_that_unpacks_to_much_more_is_refused() -> None:
    stream = io.BytesIO()
    long = pyarrow.array(["x" * 130_000] * 2_000)
    rows = pyarrow.table({"Id": ["1"] * 2_000, "Text": long, "Status": long})
    pyarrow.parquet.write_table(rows, stream)
    assert len(stream.getvalue()) < 300_000
    assert "500 rows are larger than 64 MB" in refusal(Format.PARQUET, stream.getvalue()).message


def test_a_parquet_file_with_lists_is_refused() -> None:
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"Id": ["1"], "Text": [["a"]]}), stream)
    assert "holds lists" in refusal(Format.PARQUET, stream.getvalue()).message


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Refusal, match="pyarrow") as caught:
        written(Format.PARQUET, [])
    assert caught.value.hint == "Install forecourt[packages]."


@FORMATS
def test_a_file_that_is_given_up_leaves_nothing_behind(
    kind: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    writer = CODECS[kind].write(io.BytesIO(), table(kind), tuple(FIELDS.values()))
    writer.write(EDGES)
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_text_that_a_cell_cannot_hold_is_refused() -> None:
    with pytest.raises(Refusal, match=r"row 1: 'Text' is longer than a cell"):
        written(Format.XLSX, [("1", "x" * 40_000, *[None] * 9)])


# ------------------------------------------------------------------------------------------------- files of others


def test_csv_may_have_a_byte_order_mark_any_line_breaks_and_any_order_of_columns() -> None:
    found = texts(Format.CSV, b'\xef\xbb\xbfText, Id\nhello,1\r\n\r\n"a\nb",2')
    assert [(row.number, row.texts) for row in found] == [
        (1, {"Text": "hello", "Id": "1"}),
        (2, {"Text": "a\nb", "Id": "2"}),
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no line of headings"),
        ("Id,Text\n1,a\n".encode("utf-16"), "not UTF-8"),
        (b"Id,Text\n1,a\n2,caf\xe9\n", "row 2: The text is not UTF-8"),
        (b"Id;Text\n1;a\n", "not separated by commas"),
        (b"Id,Txet\n1,a\n", "'Txet' is not a field of Thing. Did you mean 'Text'?"),
        (b"Id,Id\n1,1\n", "there twice"),
        (b'Id,Text\n1,"a"b\n', "row 1: The quotes do not match"),
        (b"Id,Text\n1," + b"x" * 200_000 + b"\n", "row 1: A cell is longer"),
        (b"Id,Text\n1," + b"x" * 5_000_000, "row 1: A line is longer"),
        (b'Id,Text\n1,"' + b"x\n" * 100_000, "row 1: A cell is longer"),
        (b",".join(b"c%d" % n for n in range(3_000)), "more than 2000 columns"),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_a_csv_file_that_cannot_be_read_is_refused_with_its_row(data: bytes, said: str) -> None:
    found = refusal(Format.CSV, data)
    assert said in found.text
    assert found.message.startswith("Thing.csv: ")


def test_a_row_with_too_few_cells_is_left_out_alone() -> None:
    found = texts(Format.CSV, b"Id,Text\n1\n2,b\n")
    assert [bool(row.fault) for row in found] == [True, False]


BOMB = "".join(f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not well-formed"),
        ("<Document><Thing><Id>1</Id></Thing><Thing>", "row 2: The XML is not well-formed"),
        (f'<!DOCTYPE d [<!ENTITY x0 "x">{BOMB}]><Document><Thing><Id>&x9;</Id></Thing></Document>', "entities"),
        (
            '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Document><Thing><Id>&x;</Id></Thing></Document>',
            "entit",
        ),
        ("<Document><Thing><Id>1</Id></Thing><Thing><Idd>1</Idd></Thing></Document>", "row 2: The column 'Idd'"),
        ("<Document><Thing><Id><b>1</b></Id></Thing></Document>", "row 1: A field has elements within it"),
        ("<?xml version='1.0' encoding='rot13'?><Document/>", "not in an encoding that is known"),
    ],
    ids=lambda item: item[:30],
)
def test_xml_that_cannot_be_read_or_may_do_harm_is_refused(text: str, said: str) -> None:
    assert said in refusal(Format.XML, text.encode()).message


def workbook(fill: Callable[[Any], object]) -> bytes:
    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream, {"in_memory": True})
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["Id", "Amount", "Day", "Flag"])
    fill(sheet)
    book.close()
    return stream.getvalue()


def test_a_workbook_with_a_formula_is_refused_with_its_cell() -> None:
    data = workbook(lambda sheet: sheet.write_formula(1, 1, "=1+1", None, 2))
    assert "cell B2: A formula is not read" in refusal(Format.XLSX, data).message


def test_a_workbook_of_somebody_else_is_read_by_its_cells() -> None:
    def fill(sheet: Any) -> None:
        sheet.write_row(1, 0, [17, 9.95])
        sheet.write_datetime(1, 2, dt.datetime(2026, 10, 1), sheet.workbook_add_format())
        sheet.write_boolean(1, 3, True)

    stream = io.BytesIO()
    book = xlsxwriter.Workbook(stream, {"in_memory": True})
    sheet = book.add_worksheet()
    sheet.workbook_add_format = lambda: book.add_format({"num_format": "dd.mm.yyyy"})
    sheet.write_row(0, 0, ["Id", "Amount", "Day", "Flag"])
    fill(sheet)
    book.close()
    (row,) = texts(Format.XLSX, stream.getvalue())
    assert row.texts == {"Id": "17", "Amount": "9.95", "Day": "2026-10-01", "Flag": "true"}


def rezipped(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, change(name, source.read(name)))
    return out.getvalue()


NOISE = os.urandom(1_000_000).hex().encode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda name, data: data + b" " * 50_000_000 if "sheet1" in name else data, "zip bomb"),
        (lambda name, data: data.replace(b"<worksheet", b"<!DOCTYPE x []><worksheet"), "Document types"),
        (lambda name, data: data.decode().encode("utf-16") if "sheet1" in name else data, "not UTF-8"),
        (lambda name, data: b"<" if "workbook.xml" in name else data, "cannot be read"),
        (lambda name, data: data.replace(b'r="A1"', b"r = 'xfd1048576'"), "more than 10000000 cells"),
        (lambda name, data: data.replace(b'r="A1"', b'r="AAAA1"'), "more than 10000000 cells"),
        (lambda name, data: data.replace(b'<row r="1"', b'<row r="99999999999"'), "more than 10000000 cells"),
        (lambda name, data: data.replace(b"<sheetData", b'<sheetData x="' + NOISE + b'"'), "cannot be read"),
    ],
)
def test_a_workbook_that_may_do_harm_is_refused(change: Callable[[str, bytes], bytes], said: str) -> None:
    assert said in refusal(Format.XLSX, rezipped(workbook(lambda sheet: None), change)).text


def test_a_workbook_may_hide_no_formula_in_a_part_of_another_name() -> None:
    def moved(name: str, data: bytes) -> bytes:
        return data.replace(b"worksheets/sheet1.xml", b"data.png")

    data = workbook(lambda sheet: sheet.write_formula(1, 1, "=1+1", None, 2))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            target.writestr(name.replace("worksheets/sheet1.xml", "data.png"), moved(name, source.read(name)))
    assert "A formula is not read" in refusal(Format.XLSX, out.getvalue()).message


@pytest.mark.parametrize("name", ["content.xml", "xl/workbook.bin"])
def test_a_workbook_that_could_be_read_as_another_format_is_refused(name: str) -> None:
    stream = io.BytesIO(workbook(lambda sheet: None))
    with zipfile.ZipFile(stream, "a") as target:
        target.writestr(name, "x")
    assert "is not XLSX" in refusal(Format.XLSX, stream.getvalue()).message


@pytest.mark.parametrize("kind", [Format.XLSX, Format.PARQUET], ids=str)
@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no zip", b"PAR1 no parquet PAR1", b"Id,Text\n1,a\n"])
def test_a_file_of_another_kind_is_refused(kind: Format, data: bytes) -> None:
    assert refusal(kind, data).message.startswith(f"Thing.{kind.suffix}: ")


# ------------------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("Small", "1_000", "a whole number"),
        ("Small", "2147483648", "a whole number from"),
        ("Small", "１２", "a whole number"),
        ("Amount", "1,5", "a number such as 9.95"),
        ("Amount", "NaN", "a number"),
        ("Ratio", "1e999", "a number"),
        ("Flag", "yes", "true or false"),
        ("Day", "01.10.2026", "a date such as 2026-10-01"),
        ("Moment", "soon", "a moment such as"),
        ("Guid", "{}", "a GUID"),
        ("Status", "Opened", "Did you mean 'Open'?"),
        ("Text", "a\x00b", "without NUL"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_its_field(name: str, text: str, said: str) -> None:
    with pytest.raises(Refusal) as caught:
        Reading(THING, MODEL).value(name, text)
    assert said in caught.value.text
    assert caught.value.source == name
