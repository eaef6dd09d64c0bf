"""Where literals begin and end, and that a shape tells everything but their values."""

from __future__ import annotations

import contextlib
import time

import pytest

from forecourt.kernel.errors import Refusal
from forecourt.odata.dialect import DATAVERSE, OPERATIONS
from forecourt.odata.lexer import MAX_LITERALS, Literal, LiteralKind, lift, tokenise


@pytest.mark.parametrize(
    ("text", "shape", "kind", "value"),
    [
        ("A eq 'x'", "A eq 's'", LiteralKind.STRING, "x"),
        ("A eq 'O''Brian'", "A eq 's'", LiteralKind.STRING, "O'Brian"),
        ("A eq ''", "A eq 's'", LiteralKind.STRING, ""),
        ("A eq ''''", "A eq 's'", LiteralKind.STRING, "'"),
        ("A eq 'x and B eq 5'", "A eq 's'", LiteralKind.STRING, "x and B eq 5"),
        ("A eq '*x*'", "A eq 'w'", LiteralKind.WILDCARD, "*x*"),
        ("A eq 5", "A eq 'i'", LiteralKind.INTEGER, "5"),
        ("A eq -5", "A eq 'i'", LiteralKind.INTEGER, "-5"),
        ("A eq 5.25", "A eq 'n'", LiteralKind.DECIMAL, "5.25"),
        ("A eq 1e3", "A eq 'f'", LiteralKind.DOUBLE, "1e3"),
        ("A eq -1.5E-3", "A eq 'f'", LiteralKind.DOUBLE, "-1.5E-3"),
        ("A eq 2026-10-01", "A eq 'd'", LiteralKind.DATE, "2026-10-01"),
        ("A eq 2026-10-01T12:00:00Z", "A eq 't'", LiteralKind.DATETIME, "2026-10-01T12:00:00Z"),
        (
            "A eq 2026-10-01T12:00:00.1234567+02:00",
            "A eq 't'",
            LiteralKind.DATETIME,
            "2026-10-01T12:00:00.1234567+02:00",
        ),
        ("A eq 2026-10-01T12:00Z", "A eq 't'", LiteralKind.DATETIME, "2026-10-01T12:00Z"),
        (
            "A eq abcdef01-0000-0000-0d00-005001000000",
            "A eq 'g'",
            LiteralKind.GUID,
            "abcdef01-0000-0000-0d00-005001000000",
        ),
        ("A eq Ns.PurchStatus'Backorder'", "A eq Ns.PurchStatus'e'", LiteralKind.ENUM, "Backorder"),
        ("(A)eq(5)", "(A)eq('i')", LiteralKind.INTEGER, "5"),
    ],
)
def test_a_literal_is_lifted_with_its_kind(text: str, shape: str, kind: LiteralKind, value: str) -> None:
    assert lift(text, OPERATIONS) == (shape, (Literal(kind, value),))


@pytest.mark.parametrize("name", ["Address1_Line1", "A1e5", "_x_value", "a.b5.c", "abcdef01", "F5"])
def test_digits_inside_a_name_are_no_literal(name: str) -> None:
    assert lift(f"{name} eq null", OPERATIONS) == (f"{name} eq null", ())


def test_keywords_stay_in_the_shape() -> None:
    assert lift("A eq null or B eq true", OPERATIONS) == ("A eq null or B eq true", ())


def test_a_star_is_ordinary_text_where_the_dialect_has_no_wildcards() -> None:
    assert lift("A eq '*x*'", DATAVERSE)[1] == (Literal(LiteralKind.STRING, "*x*"),)


@pytest.mark.parametrize("text", ["A eq 'x", "'", "A eq 'x'' and B eq 5", "Ns.T'x", "A eq 'x''", "'a''5", '"', "'x' '"])
def test_a_quote_that_is_not_closed_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        lift(text, OPERATIONS)
    assert caught.value.code == "FC1001"


@pytest.mark.parametrize("text", ["A eq 5x", "A eq 2026-1-1", "A eq 0x5", "A eq é", "A eq 1-2-3", "A & B", "A eq #"])
def test_text_that_is_no_token_is_refused_later_not_guessed(text: str) -> None:
    shape, _ = lift(text, OPERATIONS)
    with pytest.raises(Refusal) as caught:
        tokenise(shape, 0, "$filter")
    assert caught.value.code == "FC1001"


def test_double_quotes_are_texts_of_dataverse_only() -> None:
    assert lift('["a","b\\u0041"]', DATAVERSE)[1] == (
        Literal(LiteralKind.STRING, "a"),
        Literal(LiteralKind.STRING, "bA"),
    )
    with pytest.raises(Refusal):
        lift('["a"]', OPERATIONS)


def test_the_column_that_a_query_function_names_belongs_to_the_shape() -> None:
    shape, literals = lift("F(PropertyName='s',PropertyValues=['a'])", DATAVERSE)
    assert shape == "F(PropertyName=s,PropertyValues=['s'])"
    assert literals == (Literal(LiteralKind.STRING, "a"),)


def test_an_alias_is_replaced_by_its_literal_and_is_null_without_one() -> None:
    shape, literals = lift("a eq @p1 and b eq @p2", DATAVERSE, {"@p1": "'x'"})
    assert [token.text for token in tokenise(shape, 0, "$filter")][:7] == ["a", "eq", "s", "and", "b", "eq", "null"]
    assert literals == (Literal(LiteralKind.STRING, "x"),)
    with pytest.raises(Refusal):
        lift("a eq @p1", DATAVERSE, {"@p1": "b eq 'x'"})
    with pytest.raises(Refusal):
        lift("a eq @p1", OPERATIONS, {"@p1": "'x'"})


def test_tokens_carry_the_number_of_their_literal() -> None:
    tokens = tokenise("A eq 's' or B eq Ns.T'e'", 3, "$filter")
    assert [(token.type, token.text, token.index) for token in tokens if token.index >= 0] == [
        ("literal", "s", 3),
        ("enum", "Ns.T", 4),
    ]


def test_too_many_literals_are_refused() -> None:
    with pytest.raises(Refusal) as caught:
        lift(" ".join("5" for _ in range(MAX_LITERALS + 1)), OPERATIONS)
    assert (caught.value.code, caught.value.status) == ("FC1005", 400)


@pytest.mark.parametrize(
    "text", ["'" * 30001, '"\\' * 15000, "a" * 30000 + "'", "1" * 30000 + "x", "a.'" * 10001, "-" * 30000]
)
def test_hostile_text_takes_linear_time(text: str) -> None:
    started = time.process_time()
    for dialect in (OPERATIONS, DATAVERSE):
        with contextlib.suppress(Refusal):
            tokenise(lift(text, dialect)[0], 0, "$filter")
    assert time.process_time() - started < 0.5
