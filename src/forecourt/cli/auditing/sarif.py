"""A report as SARIF 2.1.0 (OASIS), for code scanning: a rule for each code, a result for each finding.

A result is at the file and line of the rule that is wrong; its fingerprint is the finding's, so that a scanner knows it
again when lines move. Identity, entity, rows and example are properties of the result and part of its text.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from forecourt import __version__
from forecourt.kernel.errors import CODES
from forecourt.security.audit import Finding, Report, Severity

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

#: SARIF's levels. What could not be compared is no 'none': it has to be looked at.
LEVELS = {Severity.ERROR: "error", Severity.UNKNOWN: "warning", Severity.WARNING: "warning", Severity.NOTE: "note"}

#: How severe code scanning takes the findings of a rule for, of ten.
_SCORES = {Severity.ERROR: "8.5", Severity.UNKNOWN: "6.0", Severity.WARNING: "5.0", Severity.NOTE: "1.0"}

FINGERPRINT: Final = "forecourt/v1"


def as_sarif(report: Report) -> str:
    """The report as one run."""
    found = [*report.findings, *report.known]
    codes = sorted({finding.code for finding in found})
    severities = {finding.code: finding.severity for finding in found}
    rules = [_rule(code, severities[code]) for code in codes]
    new = [_result(finding, codes.index(finding.code), "new" if report.known else "") for finding in report.findings]
    known = [_result(finding, codes.index(finding.code), "unchanged") for finding in report.known]
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "forecourt audit",
                        "semanticVersion": __version__,
                        "rules": rules,
                    }
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [{"executionSuccessful": True}],
                "properties": {"identities": report.identities, "comparisons": report.comparisons},
                "results": [*new, *known],
            }
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _rule(code: str, severity: Severity) -> dict[str, Any]:
    return {
        "id": code,
        "shortDescription": {"text": CODES[code][1]},
        "defaultConfiguration": {"level": LEVELS[severity]},
        "properties": {"tags": ["security"], "security-severity": _SCORES[severity]},
    }


def _result(finding: Finding, index: int, state: str) -> dict[str, Any]:
    said = [finding.message.rstrip(".")]
    if finding.identity:
        more = f" and {finding.others} more" if finding.others else ""
        said.append(f"identity {finding.identity}{more}")
    if finding.example:
        said.append(f"for example {finding.example}")
    if finding.rule:
        said.append(finding.rule.rstrip("."))
    facts = {
        "identity": finding.identity,
        "entity": finding.entity,
        "rows": finding.rows,
        "example": finding.example,
        "severity": finding.severity.word,
        "others": finding.others,
    }
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": LEVELS[finding.severity],
        "message": {"text": "; ".join(said) + "."},
        "locations": [_location(finding)],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
        "properties": {name: value for name, value in facts.items() if value not in (None, "", 0)},
    }
    if state:
        result["baselineState"] = state
    return result


def _location(finding: Finding) -> dict[str, Any]:
    """Where the rule stands; what stands in no file is a place of the solution by name."""
    file, line = finding.place
    named = [{"name": finding.entity or finding.identity or finding.code, "kind": "resource"}]
    place = {"artifactLocation": {"uri": file or "solution.yaml"}, "region": {"startLine": max(line, 1)}}
    return {"physicalLocation": place, "logicalLocations": named}
