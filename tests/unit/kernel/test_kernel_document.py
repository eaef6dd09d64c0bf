"""Definition files: every fault has its line, and names what would be right."""

from __future__ import annotations

import pytest

from forecourt.kernel.document import compose, convert, suggest
from forecourt.kernel.errors import CODES, DefinitionError, DefinitionErrors, Refusal, not_found
from forecourt.kernel.solution import Record


class Inner(Record, frozen=True):
    size: int
    names: tuple[str, ...] = ()


class Outer(Record, frozen=True):
    name: str
    inner: Inner | None = None
    many: dict[str, Inner] = {}
    listed: tuple[Inner, ...] = ()


def fault(text: str) -> DefinitionError:
    with pytest.raises(DefinitionError) as found:
        convert(compose(text, "a.yaml"), Outer)
    return found.value


def test_a_document_becomes_a_record_and_knows_its_lines() -> None:
    document = compose("# head\nname: x\nmany:\n  one:\n    size: 1\nlisted:\n  - size: 2\n", "a.yaml")
    assert convert(document, Outer) == Outer(name="x", many={"one": Inner(size=1)}, listed=(Inner(size=2),))
    assert document.where("many", "one", "size").line == 5
    assert document.where("listed", 0, "size").line == 7
    assert document.where("listed", 0, "nothing", "below").line == 7, "the nearest that is known"
    assert str(document.where()) == "a.yaml:2"


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("name: 5\n", 1, "Expected 'str'"),
        ("name: x\ninner:\n  size: big\n", 3, "Expected 'int'"),
        ("name: x\nmany:\n  one: {size: 1}\n  two: {size: x}\n", 4, "Expected 'int'"),
        ("name: x\nlisted:\n  - size: 1\n  - size: 1\n    names: [a, 5]\n", 5, "Expected 'str'"),
        ("name: x\nlabel: y\n", 2, "'label' is not known here."),
        ("name: x\ninner:\n  size: 1\n  nmaes: []\n", 4, "Did you mean 'names'?"),
        ("name: x\ninner: {}\n", 2, "missing required field 'size'"),
        ("inner: {size: 1}\n", 1, "missing required field 'name'"),
        ("name: x\nname: y\n", 2, "'name' is given twice."),
        ("name: x\ninner: *a\n", 2, "not valid YAML"),
        ("name: &a x\ninner: [*a]\n", 1, "aliases"),
        ("name: [x\n", 2, "not valid YAML"),
        ("name: x\n\tinner: y\n", 2, "not valid YAML"),
        ("name: " + "[" * 80 + "]" * 80, 1, "nested deeper than 64 levels"),
    ],
)
def test_a_fault_is_told_at_its_line(text: str, line: int, part: str) -> None:
    found = fault(text)
    assert str(found).startswith(f"a.yaml:{line}: "), str(found)
    assert part in str(found)


def test_a_suggestion_names_what_is_near_or_all_where_these_are_few() -> None:
    assert suggest("colour", ["color", "size"]) == "Did you mean 'color'?"
    assert suggest("SIZE", ["color", "size"]) == "Did you mean 'size'?"
    assert suggest("zzz", ["color", "size"]) == "Known are: color, size."
    assert suggest("zzz", [f"name{number}" for number in range(20)]) == ""
    assert suggest("zzz", []) == ""


def test_every_code_has_a_status_that_fits_and_a_sentence() -> None:
    for code, (status, text) in CODES.items():
        assert code[:2] == "FC"
        assert code[2:].isdigit()
        assert len(code) == 6
        assert status == 0 or 400 <= status < 600
        assert text.endswith(".")
        assert (status == 0) is code.startswith(("FC6", "FC7"))


def test_a_refusal_takes_the_status_of_its_code_unless_it_has_its_own() -> None:
    assert Refusal("FC1003", "x").status == 400
    assert Refusal("FC1005", "x", status=414).status == 414
    assert Refusal("FC1003", "What.", hint="How.").text == "What. How."
    assert not_found().code == not_found("Another").code == "FC4041"


def test_faults_are_shown_one_to_a_line() -> None:
    errors = DefinitionErrors((DefinitionError("a", 1, "x."), DefinitionError("b", 2, "y.", "Write z.")))
    assert str(errors) == "a:1: x.\nb:2: y. Write z."
