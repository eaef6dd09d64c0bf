"""A report as JSON, and baselines: reports of an earlier run, by the fingerprints of their findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import msgspec

from forecourt.security.audit import Finding, Report

#: Of the shape of the document.
VERSION = 2


def as_json(report: Report) -> str:
    """The report as a document that :func:`baseline` reads."""
    document = {
        "version": VERSION,
        "identities": report.identities,
        "comparisons": report.comparisons,
        "classes": report.classes,
        "findings": [record(finding) for finding in report.findings],
        "known": [record(finding) for finding in report.known],
        "rights": [
            {
                "fingerprint": right.fingerprint,
                "people": right.people,
                "door": right.door,
                "table": right.table,
                "operation": right.operation,
            }
            for right in report.rights
        ],
        "gone": [{"fingerprint": mark, "message": text} for mark, text in report.gone],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def record(finding: Finding) -> dict[str, Any]:
    """One finding as a JSON object."""
    return {
        "code": finding.code,
        "severity": finding.severity.word,
        "fingerprint": finding.fingerprint,
        "message": finding.message,
        "rule": finding.rule,
        "entity": finding.entity,
        "identity": finding.identity,
        "others": finding.others,
        "rows": finding.rows,
        "example": finding.example,
        "where": finding.written,
        "subject": finding.subject,
    }


@dataclass(frozen=True)
class Baseline:
    """What an earlier run said. ``findings``: fingerprint -> text; ``rights``: fingerprints."""

    findings: Mapping[str, str]
    rights: frozenset[str]


def baseline(path: Path) -> Baseline:
    """The findings and rights of an earlier report. Raises UsageError for another file."""
    try:
        document = msgspec.json.decode(path.read_bytes())
        found = [*document["findings"], *document["known"]]
        return Baseline(
            {str(item["fingerprint"]): f"{item['code']} {item['message']}" for item in found},
            frozenset(str(item["fingerprint"]) for item in document["rights"]),
        )
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError):
        raise click.UsageError(f"{path} is no report of 'forecourt audit --format json'.") from None


def compared(report: Report, known: Baseline) -> Report:
    """The report with what the baseline has set aside, and what only the baseline has told."""
    here = {finding.fingerprint for finding in report.findings}
    return replace(
        report,
        findings=tuple(finding for finding in report.findings if finding.fingerprint not in known.findings),
        known=tuple(finding for finding in report.findings if finding.fingerprint in known.findings),
        gone=tuple((mark, text) for mark, text in known.findings.items() if mark not in here),
    )
