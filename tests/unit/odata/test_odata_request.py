"""A URL as data: structure before decoding, one key per shape, limits."""

from __future__ import annotations

import time

import pytest

from forecourt.kernel.errors import Refusal
from forecourt.odata.dialect import DATAVERSE, OPERATIONS, PORTAL, Dialect
from forecourt.odata.lexer import LiteralKind
from forecourt.odata.path import PathKind
from forecourt.odata.request import MAX_URL, Request, analyse


def ask(query: str, path: str = "/Set", dialect: Dialect = OPERATIONS) -> Request:
    return analyse(path, query, dialect)


def refused(query: str, path: str = "/Set", dialect: Dialect = OPERATIONS) -> Refusal:
    with pytest.raises(Refusal) as caught:
        analyse(path, query, dialect)
    return caught.value


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", PathKind.SERVICE),
        ("/", PathKind.SERVICE),
        ("/$metadata", PathKind.METADATA),
        ("/$batch", PathKind.BATCH),
        ("/Set", PathKind.SET),
        ("Set", PathKind.SET),
        ("/Set/", PathKind.SET),
        ("/Set/$count", PathKind.COUNT),
        ("/Set('x')", PathKind.ROW),
        ("/Set(A='x',B=5)", PathKind.ROW),
        ("/Set('x')/Nav", PathKind.MEMBER),
        ("/Set('x')/Nav/$count", PathKind.MEMBER_COUNT),
        ("/WhoAmI()", PathKind.OPERATION),
        ("/RetrieveMetadataChanges(Query=@p1)", PathKind.OPERATION),
        ("/Set('x')/Microsoft.Dynamics.DataEntities.confirm", PathKind.OPERATION),
        ("/Set/Microsoft.Dynamics.CRM.CreateMultiple", PathKind.OPERATION),
        ("/Set('x')/Nav/$ref", PathKind.OTHER),
        (
            "/EntityDefinitions(LogicalName='x')/Attributes/Microsoft.Dynamics.CRM.StringAttributeMetadata",
            PathKind.OTHER,
        ),
    ],
)
def test_a_path_is_told_by_its_form(path: str, kind: PathKind) -> None:
    assert analyse(path, "", DATAVERSE).path.kind is kind


def test_key_values_are_literals() -> None:
    first = analyse("/Set(dataAreaId='usmf',No='PO-1')", "", OPERATIONS)
    second = analyse("/Set(dataAreaId='usrt',No='PO-2')", "", OPERATIONS)
    assert first.shape_key == second.shape_key
    assert [literal.text for literal in second.literals] == ["usrt", "PO-2"]
    assert [(part.name, part.literal) for part in first.path.key] == [("dataAreaId", 0), ("No", 1)]


def test_a_slash_or_quote_in_a_key_stays_in_the_key() -> None:
    request = analyse("/Set('a%2Fb%27%27c')/Nav", "", OPERATIONS)
    assert request.literals[0].text == "a/b'c"
    assert request.path.member == "Nav"


@pytest.mark.parametrize(
    "path",
    ["/Set('x'", "/Set(x)", "/Set(A=1,A=2)", "/Set(1,2)", "/Set(A=1,2)", "/Set('x')y", "/Set(null)", "/Set('x' 'y')"],
)
def test_a_key_that_cannot_be_read_is_refused(path: str) -> None:
    assert refused("", path).status == 400


@pytest.mark.parametrize(
    "path", ["/$value", "/$metadata/x", "/Set//Nav", "/S et", "/$foo", "/Set (1)", "/5", "/é", "//"]
)
def test_a_path_that_names_nothing_is_not_found(path: str) -> None:
    assert refused("", path).status == 404


def test_the_query_is_split_before_it_is_decoded() -> None:
    request = ask("$filter=A eq 'R%26D%3D1'&$top=5")
    assert [literal.text for literal in request.literals] == ["R&D=1", "5"]
    assert [option.name for option in request.options] == ["$filter", "$top"]


def test_plus_and_percent_20_are_blanks_and_an_encoded_dollar_is_a_dollar() -> None:
    plain = ask("$filter=A eq 'x y'").shape_key
    for text in ("$filter=A+eq+'z+z'", "%24filter=A%20eq%20%27x%27", "%24filter=A+eq+%27x%2By%27"):
        assert ask(text).shape_key == plain
    assert ask("$filter=A+eq+'x%2By'").literals[0].text == "x+y"


def test_the_key_holds_the_kind_of_each_literal() -> None:
    kinds = ["5", "5.5", "1e5", "'5'", "'5*'", "2026-10-01", "2026-10-01T00:00:00Z", "null", "true", "Ns.T'a'"]
    keys = {ask(f"$filter=A eq {text}").shape_key for text in kinds}
    assert len(keys) == len(kinds)


def test_the_key_holds_dialect_company_and_path() -> None:
    keys = {
        ask("$top=5").shape_key,
        ask("$top=5", dialect=DATAVERSE).shape_key,
        ask("$top=5", dialect=PORTAL).shape_key,
        ask("$top=5", "/Other").shape_key,
        ask("$top=5&cross-company=true").shape_key,
        ask("$top=5&cross-company=false").shape_key,
        ask("$skip=5").shape_key,
    }
    assert len(keys) == 7


def test_options_of_others_are_kept_and_do_not_change_the_shape() -> None:
    request = ask("fetchXml=%3Cfetch/%3E&$top=5&tag=a%26b")
    assert request.custom_option("fetchXml") == "<fetch/>"
    assert request.custom_option("tag") == "a&b"
    assert request.custom_option("sql") is None
    assert request.shape_key == ask("$top=7").shape_key


def test_cross_company_is_an_option_of_operations() -> None:
    assert ask("cross-company=true").cross_company is True
    assert ask("cross-company=True").cross_company is True
    assert ask("cross-company=false").cross_company is False
    assert ask("cross-company=true", dialect=DATAVERSE).cross_company is False
    assert refused("cross-company=maybe").code == "FC1001"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("$fitler=A eq 5", "FC1004"),
        ("$Filter=A eq 5", "FC1004"),
        ("$search=x", "FC1004"),
        ("$top=5&$top=5", "FC1001"),
        ("$top=5&%24top=6", "FC1001"),
        ("a=1&a=2", "FC1001"),
        ("$filter=", "FC1001"),
        ("$filter", "FC1001"),
        ("$filter=%ff", "FC1001"),
        ("$filter=A eq '%00'", "FC1001"),
        ("$format=xml", "FC1010"),
        ("$skiptoken=abc", "FC1007"),
    ],
)
def test_what_is_not_understood_is_refused(query: str, code: str) -> None:
    assert refused(query).code == code


def test_a_misspelt_option_is_named_with_the_right_one() -> None:
    assert "$filter" in refused("$fitler=A eq 5").hint


def test_json_is_the_only_format() -> None:
    for text in ("json", "application/json", "application/json;odata.metadata=full"):
        assert ask(f"$format={text}").option("$format") is not None
    assert refused("$format=json", dialect=DATAVERSE).code == "FC1004"


def test_empty_parts_of_a_query_mean_nothing() -> None:
    assert ask("&&$top=5&").shape_key == ask("$top=5").shape_key


def test_bytes_and_text_are_the_same_request() -> None:
    assert analyse(b"/Set", b"$filter=A%20eq%20'x'", OPERATIONS) == ask("$filter=A%20eq%20'x'")
    with pytest.raises(Refusal):
        analyse(b"/Set", b"$filter=\xff", OPERATIONS)


def test_raw_characters_beyond_ascii_are_text() -> None:
    assert ask("$filter=A eq 'Zürich'").literals[0].text == "Zürich"
    assert refused("$filter=A eq '\ud800'").code == "FC1001"


def test_a_url_that_is_too_long_is_a_414() -> None:
    started = time.process_time()
    refusal = refused("$filter=" + "A eq 5 or " * 100_000)
    assert (refusal.code, refusal.status) == ("FC1005", 414)
    assert time.process_time() - started < 0.1
    assert refused("$top=5", "/" + "a" * MAX_URL).status == 414


def test_literals_are_numbered_from_the_path_on() -> None:
    request = analyse("/Set('k')", "$select=a&$expand=N($filter=A eq 5)", DATAVERSE)
    assert [literal.kind for literal in request.literals] == [LiteralKind.STRING, LiteralKind.INTEGER]
    option = request.option("$expand")
    assert option is not None and option.first == 1


def test_aliases_stand_for_their_values() -> None:
    first = ask("$filter=A eq @p1&@p1='x'", dialect=DATAVERSE)
    second = ask("$filter=A eq @p1&@p1='y'", dialect=DATAVERSE)
    assert first.shape_key == second.shape_key
    assert second.literals[0].text == "y"
    assert first.shape_key != ask("$filter=A eq @p1&@p1=5", dialect=DATAVERSE).shape_key
    assert first.shape_key != ask("$filter=A eq @p1", dialect=DATAVERSE).shape_key
