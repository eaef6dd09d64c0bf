"""Any request gives a Request or a Refusal; literals, shapes and paging tokens keep their promises on any input."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from urllib.parse import quote
from uuid import UUID

import msgspec
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import DataSource, Entity, EntityField, Enum, EnumMember, Model, Relation
from forecourt.kernel.relation import TableName
from forecourt.kernel.types import Kind
from forecourt.odata import record_id
from forecourt.odata.body import parse_object
from forecourt.odata.dialect import DATAVERSE, OPERATIONS, Dialect
from forecourt.odata.errors import render
from forecourt.odata.etag import parse as parse_etag
from forecourt.odata.paging import make_token
from forecourt.odata.payload import RowWriter
from forecourt.odata.prefer import accept_json, parse_prefer
from forecourt.odata.query import plan
from forecourt.odata.request import analyse
from forecourt.odata.rows import BodyReader

#: Machines differ in speed: no example has a deadline.
PATIENT = settings(deadline=None)

COLORS = Enum("Color", (EnumMember("Red", 1, "Red", 200000000), EnumMember("Blue", 2, "Blue", 200000001)))
KINDS = {
    "Text": Kind.STRING,
    "Small": Kind.INT32,
    "Big": Kind.INT64,
    "Exact": Kind.DECIMAL,
    "Real": Kind.DOUBLE,
    "Flag": Kind.BOOLEAN,
    "Day": Kind.DATE,
    "Moment": Kind.DATETIME,
    "Id": Kind.GUID,
}
FIELDS = {name: EntityField(name, "r", name.lower(), kind) for name, kind in KINDS.items()}
FIELDS["Color"] = EntityField("Color", "r", "color", Kind.ENUM, enum="Color")
FIELDS["Row"] = EntityField("Row", "r", "row", Kind.GUID, record_of=7)
RELATIONS = {"Up": Relation("Up", "T", False, (("Id", "Id"),)), "Down": Relation("Down", "T", True, (("Id", "Id"),))}
THING = Entity("T", "Thing", "Things", (DataSource("r", TableName("s", "t")),), FIELDS, ("Text", "Small"), RELATIONS)
MODEL = Model({"T": THING}, {"Color": COLORS})

texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"))
ints = st.integers(-(2**31), 2**31 - 1)
bigs = st.integers(-(2**63), 2**63 - 1)
decimals = st.decimals(-(10**20), 10**20, places=6).map(lambda value: value.normalize() + 0)
floats = st.floats(allow_nan=False, allow_infinity=False)
days = st.dates()
moments = st.datetimes(
    dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=st.just(dt.UTC)
)  # an offset can move a moment out of the calendar
dialects = st.sampled_from([OPERATIONS, DATAVERSE])


def ask(query: str, dialect: Dialect = OPERATIONS) -> tuple[object, ...]:
    """The bound values of a query that is planned over the model."""
    request = analyse("/Things", query, dialect)
    return plan(request, MODEL, dialect).bind(request.literals)


def check_refusal(refusal: Refusal, dialect: Dialect) -> None:
    assert 400 <= refusal.status < 500
    json.loads(render(refusal, dialect)[2])


# ------------------------------------------------------------------------------------------ anything at all

WORDS = [
    "and",
    "or",
    "not",
    "eq",
    "ne",
    "gt",
    "add",
    "mul",
    "null",
    "true",
    "(",
    ")",
    ",",
    "/",
    ":",
    "'",
    "any",
    "all",
    "x",
    "contains",
    "'a'",
    "'*'",
    "5",
    "-5",
    "5.5",
    "1e5",
    "2026-10-01",
    ";",
    "=",
    "Ns.T'x'",
    "2026-10-01T00:00:00Z",
    "Microsoft.Dynamics.DataEntities.Color'Red'",
    "$select",
    "$filter",
    "$top",
    "@p",
    '"a"',
    "[",
    "]",
    "*",
    "&",
    "PropertyValues",
    "Microsoft.Dynamics.CRM.In",
    "PropertyName='Small'",
    "00000a6c-0000-0000-0d00-005001000000",
    "$filter=",
    "$orderby=",
    "$expand=",
    "$count=",
    "$skiptoken=",
    "desc",
    "%27",
    "%",
    "+",
    "é",
    "%2527",
    "@p=",
]
words = st.sampled_from([*FIELDS, *RELATIONS, *WORDS, "\x00"])
phrases = st.lists(words, max_size=30).map(" ".join)
options = st.sampled_from(["$filter", "$select", "$orderby", "$expand", "$top", "$skip", "$count", "$skiptoken", "x"])
queries = st.one_of(
    st.text(),
    st.binary(),
    phrases,
    st.lists(st.tuples(options, phrases).map("=".join), max_size=4).map("&".join),
    st.tuples(options, phrases).map(lambda pair: f"{pair[0]}={quote(pair[1])}"),
)
paths = st.one_of(
    st.text(), st.binary(), st.just("/Things"), phrases, phrases.map(lambda text: f"/Things({quote(text)})")
)


@PATIENT
@given(paths, queries, dialects)
@example("/Things", "$filter=" + "not " * 5000, OPERATIONS)
@example("/Things", "$filter=" + "(" * 10000, OPERATIONS)
@example("/Things" + "('" * 1000, "", OPERATIONS)
@example("/Things", "$filter=Small eq @p&@p=@p", DATAVERSE)
def test_anything_is_a_request_or_a_refusal(path: str | bytes, query: str | bytes, dialect: Dialect) -> None:
    try:
        request = analyse(path, query, dialect)
        plan(request, MODEL, dialect).bind(request.literals)
    except Refusal as refusal:
        check_refusal(refusal, dialect)


@PATIENT
@given(st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "replace"))))
def test_any_body_is_changes_or_a_refusal(body: bytes) -> None:
    try:
        BodyReader(MODEL, OPERATIONS).row(parse_object(body), THING, {})
    except Refusal as refusal:
        check_refusal(refusal, OPERATIONS)


json_values = st.recursive(
    st.none() | st.booleans() | bigs | st.integers() | floats | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@PATIENT
@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), json_values), dialects)
def test_any_values_of_known_columns_are_changes_or_a_refusal(body: dict[str, object], dialect: Dialect) -> None:
    try:
        changes = BodyReader(MODEL, dialect).row(parse_object(json.dumps(body).encode()), THING).values
    except Refusal as refusal:
        check_refusal(refusal, dialect)
    else:
        assert [name for name, _ in changes] == list(body)


@PATIENT
@given(st.text(), dialects)
def test_any_header_is_read_or_refused(header: str, dialect: Dialect) -> None:
    parse_prefer(header, dialect)
    for read in (parse_etag, accept_json):
        try:
            read(header)
        except Refusal as refusal:
            assert 400 <= refusal.status < 500


# ------------------------------------------------------------------------------------------ literals


def bound(column: str, literal: str, dialect: Dialect = OPERATIONS) -> object:
    (value,) = ask(f"$filter={quote(f'{column} eq {literal}', safe='')}", dialect)
    return value


@PATIENT
@given(texts, dialects)
def test_text_comes_through_unchanged(text: str, dialect: Dialect) -> None:
    literal = "'" + text.replace("'", "''") + "'"
    assume(len(quote(literal)) < 30_000)
    assert bound("Text", literal, dialect) == text


@PATIENT
@given(ints, bigs, decimals, floats)
def test_numbers_come_through_unchanged(small: int, big: int, exact: Decimal, real: float) -> None:
    assert bound("Small", str(small)) == small
    assert bound("Big", str(big)) == big
    assert bound("Exact", f"{exact:f}") == exact
    assert bound("Real", repr(real)) == real


@PATIENT
@given(days, moments, st.uuids())
def test_dates_and_guids_come_through_unchanged(day: dt.date, moment: dt.datetime, guid: UUID) -> None:
    assert bound("Day", day.isoformat()) == day
    assert bound("Moment", moment.isoformat().replace("+00:00", "Z")) == moment
    assert bound("Day", moment.isoformat()) == moment.date()
    assert bound("Id", str(guid)) == guid
    assert bound("Id", f"'{guid}'", DATAVERSE) == guid


@PATIENT
@given(bigs, st.integers(0, 2**32 - 1))
def test_row_ids_are_records_of_their_own_table_only(record: int, entity: int) -> None:
    row = record_id.encode(entity, record)
    assert record_id.decode(entity, row) == record
    assert bound("Row", str(row)) == (record if entity == 7 else record_id.NO_RECORD)
    assert record_id.writer(entity)(record) == str(row)


# ------------------------------------------------------------------------------------------ shapes

literal_kinds = st.sampled_from(["text", "star", "int", "decimal", "double", "day", "moment", "guid", "symbol", "null"])


@st.composite
def literals(draw: st.DrawFn, kind: str) -> str:
    match kind:
        case "text":
            return "'" + draw(texts.filter(lambda text: "*" not in text)).replace("'", "''")[:50] + "'"
        case "star":
            return "'*" + draw(texts).replace("'", "''")[:50].rstrip("'") + "'"
        case "int":
            return str(draw(bigs))
        case "decimal":
            return f"{draw(st.decimals(-1000, 1000, places=2)):f}"
        case "double":
            return f"{draw(ints)}e{draw(st.integers(-5, 5))}"
        case "day":
            return draw(days).isoformat()
        case "moment":
            return draw(moments).isoformat()
        case "guid":
            return str(draw(st.uuids()))
        case "symbol":
            return "Ns.Color'" + draw(texts).replace("'", "''")[:50].rstrip("'") + "'"
        case _:
            return "null"


@PATIENT
@given(st.data(), st.lists(literal_kinds, min_size=1, max_size=4), st.lists(literal_kinds, min_size=1, max_size=4))
def test_shapes_are_equal_exactly_when_only_values_differ(
    data: st.DataObject, first: list[str], second: list[str]
) -> None:
    def key(kinds: list[str]) -> object:
        parts = []
        for index, kind in enumerate(kinds):
            literal = data.draw(literals(kind))
            literal = literal if literal.count("'") % 2 == 0 else "'x'" if kind == "text" else "'*'"
            literal = "Ns.Color'x'" if kind == "symbol" and not literal.startswith("Ns") else literal
            parts.append(f"F{index} eq {literal}")
        return analyse("/Things", "$filter=" + quote(" and ".join(parts), safe=""), OPERATIONS).shape_key

    assert (key(first) == key(second)) == (first == second)
    assert key(first) == key(first)


@PATIENT
@given(st.lists(st.tuples(texts, ints), min_size=2, max_size=2))
def test_keys_of_rows_share_a_shape(keys: list[tuple[str, int]]) -> None:
    shapes = set()
    for text, number in keys:
        literal = quote("'" + text.replace("'", "''")[:50] + "'", safe="")
        assume(text[:50].count("'") == text.count("'"))
        request = analyse(f"/Things(Text={literal},Small={number})", "", DATAVERSE)
        assert plan(request, MODEL, DATAVERSE).bind(request.literals) == (text[:50], number)
        shapes.add(request.shape_key)
    assert len(shapes) == 1


# ------------------------------------------------------------------------------------------ paging

positions = st.fixed_dictionaries(
    {
        "Text": texts.map(lambda text: text[:100]),
        "Small": ints,
        "Big": bigs,
        "Exact": decimals,
        "Real": floats,
        "Flag": st.booleans(),
        "Day": days,
        "Moment": moments,
        "Id": st.uuids(),
        "Color": st.sampled_from([1, 2]),
        "Row": bigs,
    }
)


@PATIENT
@given(positions, st.lists(st.sampled_from(sorted(FIELDS)), unique=True), st.sets(st.sampled_from(sorted(FIELDS))))
def test_a_paging_token_carries_any_position(values: dict[str, object], order: list[str], nulls: set[str]) -> None:
    query = f"$orderby={','.join(order)}" if order else ""
    request = analyse("/Things", query, OPERATIONS)
    steps = [item.path[0] for item in plan(request, MODEL, OPERATIONS).order]
    position = [None if name in nulls else values[name] for name in steps]
    following = analyse("/Things", f"{query}&$skiptoken={make_token(request, position, 10)}", OPERATIONS)
    parsed = plan(following, MODEL, OPERATIONS)
    bound_values = parsed.bind(following.literals)
    assert parsed.plan.after is not None
    assert [None if slot is None else bound_values[slot.index] for slot in parsed.plan.after] == position


@PATIENT
@given(st.text(st.characters(codec="ascii"), max_size=200), dialects)
def test_any_token_that_was_not_issued_is_refused(token: str, dialect: Dialect) -> None:
    try:
        analyse("/Things", f"$skiptoken={quote(token, safe='')}", dialect)
    except Refusal as refusal:
        assert refusal.code == "FC1007" or "\x00" in token
    else:
        raise AssertionError("the token was accepted")


# ------------------------------------------------------------------------------------------ payload


@PATIENT
@given(st.lists(positions, max_size=4), st.sets(st.sampled_from(sorted(FIELDS))), dialects)
def test_rows_are_valid_json_with_the_values_of_the_rows(
    rows: list[dict[str, object]], nulls: set[str], dialect: Dialect
) -> None:
    names = sorted(FIELDS)
    given_rows = [tuple(None if name in nulls else row[name] for name in names) for row in rows]
    body = RowWriter(THING, MODEL, names, dialect).encode(given_rows)
    found = msgspec.json.decode(body)
    assert len(found) == len(rows)
    for row, item in zip(rows, found, strict=True):
        assert list(item) == names
        for name in nulls:
            assert item[name] is None
        for name in {"Text", "Small", "Big", "Flag", "Real"} - nulls:
            assert item[name] == row[name]
        if "Color" not in nulls:
            assert item["Color"] == COLORS.by_value[row["Color"]].symbol  # type: ignore[index]
