"""A report as one page that stands alone: to read on any screen, in light and dark, and to print.

No script, no address of another place, nothing that is loaded. What comes from rules and rows is text, never markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Final

from forecourt import __version__
from forecourt.security.audit import Finding, Report, Severity

#: Findings of one code on one entity that are shown at once; the others are there to open.
SHOWN = 12

_STYLE: Final = (Path(__file__).parent / "page.css").read_text("utf-8")

#: A word, and a shape beside the colour.
_WORDS = {
    Severity.ERROR: ("error", "\N{BLACK DIAMOND}"),
    Severity.UNKNOWN: ("unknown", "\N{WHITE DIAMOND}"),
    Severity.WARNING: ("warning", "\N{BLACK UP-POINTING TRIANGLE}"),
    Severity.NOTE: ("note", "\N{BLACK CIRCLE}"),
}


def as_html(report: Report) -> str:
    """The report as a page."""
    return "\n".join(_page(report))


def _page(report: Report) -> Iterator[str]:
    count = len(report.findings)
    verdict = "No finding" if not count else f"{count} finding{'s' if count > 1 else ''}"
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>Audit: {verdict.lower()}</title><style>{_STYLE}</style></head><body>"
    yield '<header><p class="kind">Forecourt audit</p>'
    yield f"<h1>{verdict}</h1>"
    yield (
        f"<p>{report.identities:,} identities in {report.classes:,} classes, {report.comparisons:,} comparisons of "
        f"doors.</p></header><main>"
    )
    yield from _summary(report)
    for code, findings in groupby(report.findings, key=lambda finding: finding.code):
        yield from _section(code, list(findings))
    yield from _baseline(report)
    yield f"</main><footer><p>Made by Forecourt {escape(__version__)}.</p></footer></body></html>"


def _summary(report: Report) -> Iterator[str]:
    if not report.findings:
        yield '<p class="fine">Every comparison was made, and no door shows anybody more than another.</p>'
        return
    yield '<ul class="summary" aria-label="Findings by severity">'
    for severity in sorted(_WORDS, reverse=True):
        count = sum(finding.severity is severity for finding in report.findings)
        if count:
            yield f"<li>{_badge(severity)} <strong>{count:,}</strong></li>"
    yield "</ul>"


def _badge(severity: Severity) -> str:
    word, shape = _WORDS[severity]
    return f'<span class="badge {word}"><span aria-hidden="true">{shape}</span> {word}</span>'


def _section(code: str, findings: list[Finding]) -> Iterator[str]:
    first = findings[0]
    yield f'<section aria-labelledby="{code}"><h2 id="{code}">{escape(first.title.rstrip("."))}</h2>'
    yield f"<p>{_badge(first.severity)} <code>{code}</code></p>"
    yield from _cards(findings[:SHOWN])
    if len(findings) > SHOWN:
        yield f"<details><summary>{len(findings) - SHOWN:,} more</summary>"
        yield from _cards(findings[SHOWN:])
        yield "</details>"
    yield "</section>"


def _cards(findings: Iterable[Finding]) -> Iterator[str]:
    yield '<ol class="cards">'
    for finding in findings:
        yield f"<li><h3>{escape(finding.message.rstrip('.'))}</h3><dl>"
        more = f" and {finding.others:,} more" if finding.others else ""
        facts = (
            ("Identity", finding.identity + more),
            ("Table", finding.entity),
            ("Rows", f"{finding.rows:,}" if finding.rows else ""),
            ("For example", finding.example),
            ("Rule", finding.rule),
            ("Where", finding.written),
        )
        for name, value in facts:
            if value:
                yield f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>"
        yield "</dl></li>"
    yield "</ol>"


def _baseline(report: Report) -> Iterator[str]:
    if report.known:
        yield '<section aria-labelledby="known"><h2 id="known">Known from the baseline</h2>'
        yield f"<details><summary>{len(report.known):,} findings</summary><ul>"
        yield from (f"<li>{escape(finding.code)} {escape(finding.message)}</li>" for finding in report.known)
        yield "</ul></details></section>"
    if report.gone:
        yield '<section aria-labelledby="gone"><h2 id="gone">Gone since the baseline</h2><ul>'
        yield from (f"<li>{escape(text)}</li>" for _, text in report.gone)
        yield "</ul></section>"
