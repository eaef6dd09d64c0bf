"""Reports of an audit: the same findings for people, programs and code scanning."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import click
import pytest

from forecourt.cli.auditing import document, page, sarif, text
from forecourt.security.audit import Finding, Report

WIDE = Finding(
    "FC7001",
    "12 rows of Orders can be read at /data and not through the portal",
    "no active XDS policy constrains erp.orders for anna",
    "OrderEntity",
    "anna <b>@parts.example",
    12,
    "Number=PO-1",
    "operations/entities/OrderEntity.yaml:7",
    subject="/data",
)
IDLE = Finding("FC7012", "duty Old has no effect: nothing refers to it", "take it away", subject="duty Old")
UNKNOWN = Finding("FC7000", "Orders could not be compared", "what could not be asked", "OrderEntity", "bea", others=4)
REPORT = Report((WIDE, UNKNOWN, IDLE), 3, 9, 2)


def test_a_fingerprint_stays_when_rows_lines_and_words_change() -> None:
    moved = replace(WIDE, rows=13, example="Number=PO-2", where="operations/entities/OrderEntity.yaml:9", message="x")
    assert moved.fingerprint == WIDE.fingerprint
    for other in ({"identity": "bea"}, {"entity": "LineEntity"}, {"code": "FC7002"}, {"subject": "data packages"}):
        assert replace(WIDE, **other).fingerprint != WIDE.fingerprint  # type: ignore[arg-type]


def test_a_baseline_leaves_what_is_new_and_says_what_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    file.write_text(document.as_json(Report((WIDE, IDLE), 3, 9)), "utf-8")
    now = document.compared(Report((WIDE, UNKNOWN), 3, 9), document.baseline(file))
    assert now.findings == (UNKNOWN,)
    assert now.known == (WIDE,)
    assert [mark for mark, _ in now.gone] == [IDLE.fingerprint]
    file.write_text(document.as_json(now), "utf-8")
    again = document.compared(Report((WIDE, UNKNOWN), 3, 9), document.baseline(file))
    assert again.findings == ()
    assert again.gone == ()


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"findings": 3, "known": []}', "\x00"])
def test_a_file_that_is_no_report_is_no_baseline(tmp_path: Path, content: str) -> None:
    file = tmp_path / "audit.json"
    file.write_text(content, "utf-8")
    with pytest.raises(click.UsageError, match="no report"):
        document.baseline(file)


def test_text_names_identity_row_rule_and_place() -> None:
    shown = "\n".join(text.lines(REPORT))
    for part in ("FC7001 error", "anna", "Number=PO-1", "no active XDS policy", "OrderEntity.yaml:7", "bea and 4 more"):
        assert part in shown
    assert "3 identities, 9 comparisons of doors: 3 findings." in shown


def test_sarif_has_what_the_standard_requires() -> None:
    """Required properties and references of SARIF 2.1.0: 3.13, 3.14, 3.18, 3.19, 3.27, 3.28, 3.49."""
    log = json.loads(sarif.as_sarif(REPORT))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"]
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids)) == 3
    for result in run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["message"]["text"]
        assert result["level"] in ("error", "warning", "note")
        assert re.fullmatch(r"[0-9a-f]{32}", result["partialFingerprints"]["forecourt/v1"])
        for location in result["locations"]:
            place = location["physicalLocation"]
            assert not place["artifactLocation"]["uri"].startswith("/")
            assert place["region"]["startLine"] >= 1
    wide = next(result for result in run["results"] if result["ruleId"] == "FC7001")
    assert wide["locations"][0]["physicalLocation"]["region"]["startLine"] == 7
    assert wide["properties"]["rows"] == 12


def test_sarif_tells_new_from_known() -> None:
    log = json.loads(sarif.as_sarif(replace(REPORT, findings=(WIDE,), known=(IDLE,))))
    assert [result["baselineState"] for result in log["runs"][0]["results"]] == ["new", "unchanged"]


class _Seen(HTMLParser):
    """Tags that are open, attributes that load something, and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)
        self.loads += [str(value) for name, value in attrs if name in ("src", "href", "action")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_stands_alone_and_takes_rows_and_rules_for_text() -> None:
    shown = page.as_html(replace(REPORT, known=(IDLE,), gone=(("x", "FC7001 <i>gone</i>"),)))
    seen = _Seen()
    seen.feed(shown)
    assert seen.open == []
    assert seen.loads == []
    assert "<script" not in shown
    assert "url(" not in shown
    assert "anna <b>@parts.example" in seen.text
    assert "FC7001 <i>gone</i>" in seen.text


def test_the_page_of_a_clean_audit_says_so() -> None:
    assert "No finding" in page.as_html(Report((), 3, 9, 2))


def test_every_code_that_a_finding_may_have_has_a_severity_and_a_meaning() -> None:
    from forecourt.kernel.errors import CODES
    from forecourt.security.audit.findings import SEVERITIES

    codes: Any = {code for code in CODES if code.startswith("FC70")}
    assert set(SEVERITIES) == codes
