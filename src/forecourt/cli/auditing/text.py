"""A report for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from forecourt.security.audit import Finding, Report

#: Findings of one kind on one entity that are printed in full.
SHOWN = 3


def lines(report: Report) -> Iterator[str]:
    """The report, a line for each finding; of many of one kind on one entity the first ones."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in report.findings:
        groups.setdefault((finding.code, finding.entity, finding.subject), []).append(finding)
    for group in groups.values():
        yield from (line(finding) for finding in group[:SHOWN])
        others = len(group) - SHOWN + sum(finding.others for finding in group[SHOWN:])
        if len(group) > SHOWN:
            yield f"  … and the same for {others} more identities (all of them with --format json)"
    for _, text in report.gone:
        yield f"gone since the baseline: {text}"
    if not report.identities:
        yield "Nothing was compared: there is no mapped contact and no external user."
        return
    verdict = f"{len(report.findings)} findings" if report.findings else "no finding"
    known = f", {len(report.known)} that the baseline has" if report.known else ""
    yield f"{report.identities} identities, {report.comparisons} comparisons of doors: {verdict}{known}."


def line(finding: Finding) -> str:
    """One finding in one line."""
    parts = [f"{finding.code} {finding.severity.word}: {finding.message.rstrip('.')}"]
    if finding.identity:
        more = f" and {finding.others} more" if finding.others else ""
        parts.append(f"identity {finding.identity}{more}")
    if finding.example:
        parts.append(f"for example {finding.example}")
    if finding.rule:
        parts.append(finding.rule)
    if finding.written:
        parts.append(f"see {finding.written}")
    return "; ".join(parts)
