"""Names of a drafted solution: words, plurals, ASCII names, YAML scalars."""

from __future__ import annotations

import pytest
import yaml

from forecourt.operations.draft import variable
from forecourt.operations.draft_files import flow, scalar
from forecourt.operations.draft_words import Names, ascii_name, label, plural, singular, words

PAIRS = [
    ("order", "orders"), ("company", "companies"), ("day", "days"), ("address", "addresses"), ("tax", "taxes"),
    ("status", "statuses"), ("person", "people"), ("child", "children"), ("analysis", "analyses"), ("box", "boxes"),
    ("branch", "branches"), ("index", "indexes"), ("matrix", "matrices"), ("shelf", "shelves"), ("house", "houses"),
    ("case", "cases"), ("invoice", "invoices"), ("purchase", "purchases"), ("database", "databases"),
    ("bus", "buses"), ("gas", "gases"), ("salesman", "salesmen"), ("history", "histories"), ("axis", "axes"),
    ("warehouse", "warehouses"), ("lease", "leases"), ("size", "sizes"), ("quiz", "quizzes"), ("photo", "photos"),
    ("currency", "currencies"), ("bonus", "bonuses"), ("campus", "campuses"), ("process", "processes"),
    ("cause", "causes"), ("license", "licenses"), ("price", "prices"), ("movie", "movies"), ("news", "news"),
    ("equipment", "equipment"), ("series", "series"), ("data", "data"), ("line", "lines"), ("use", "uses"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "many"), PAIRS)
def test_a_noun_has_its_plural_and_a_plural_its_singular(one: str, many: str) -> None:
    assert plural(one) == many
    assert plural(many) == many
    assert singular(many) == one
    assert singular(one) == one


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("salesorderheader", ("sales", "order", "header")),
        ("SalesOrderHeader", ("sales", "order", "header")),
        ("SALES_ORDER_HEADER", ("sales", "order", "header")),
        ("purchaseOrderURLText", ("purchase", "order", "url", "text")),
        ("addressline1", ("address", "line1")),
        ("custid", ("cust", "id")),
        ("wxyzid", ("wxyz", "id")),
        ("paid", ("paid",)),
        ("grid", ("grid",)),
        ("xylophone", ("xylophone",)),
        ("größe (cm)", ("größe", "cm")),
        ("", ()),
        ("!?", ()),
    ],
)
def test_a_sql_name_is_split_to_words(name: str, expected: tuple[str, ...]) -> None:
    assert words(name) == expected


def test_a_name_is_ascii_and_begins_with_a_letter_and_a_label_keeps_its_letters() -> None:
    assert ascii_name(words("straßen_nr"), 50, "Field") == "StrassenNr"
    assert ascii_name(words("имя"), 50, "Field") == "Imya"
    assert ascii_name(words("客户"), 50, "Field") == "U5BA2U6237"
    assert ascii_name((), 50, "Field") == "Field"
    assert ascii_name(("1st",), 50, "Field") == "Field1st"
    assert len(ascii_name(("x" * 63,), 50, "Field")) == 50
    assert label(words("straßen_nr"), "?") == "Straßen nr"


def test_names_are_unique_without_regard_to_case() -> None:
    names = Names(["taken"])
    assert [names.claim("A"), names.claim("a"), names.claim("a2"), names.claim("TAKEN", "Free")] == [
        "A", "a2", "a22", "Free"
    ]  # fmt: skip
    long = "x" * 50
    assert [names.claim(long), names.claim(long)] == [long, "x" * 49 + "2"]


@pytest.mark.parametrize(
    "text",
    ["a b", "no", "Null", "~", "1", "1e3", "a: b", "a #b", "#", "- a", "? a", "[a]", "{a}", "a, b", "*a", "&a", "!a",
     "%a", "@a", "`a", "'", '"', "\\", " a", "a ", "", "a\nb", "\t", "\x01", "\u2028", "\ufeff", "😀", "ä", "<<", "=",
     "2024-01-01", "0x1f", "1:30", "a:", "---", "...", "|", ">", "\x85", "\U000e0001", "y", "on"],
)  # fmt: skip
def test_any_text_survives_yaml(text: str) -> None:
    assert yaml.safe_load(scalar(text)) == text
    assert yaml.safe_load(flow({"column": text, "label": text})) == {"column": text, "label": text}
    assert yaml.safe_load(f"[{scalar(text)}, x]") == [text, "x"]


def test_the_variable_of_a_solution_is_one_that_a_shell_can_set() -> None:
    assert variable("adventure-works") == "ADVENTURE_WORKS_URL"
    assert variable("7eleven") == "_7ELEVEN_URL"
