"""Proofs over an opened solution, and the report of them as data and as text.

The solver is an extra: nothing here needs it to be imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from forecourt.app import Forecourt
from forecourt.cli.auditing.people import identities
from forecourt.kernel.errors import Refusal

if TYPE_CHECKING:
    from forecourt.security.prove.prover import Report, Verdict


def needed() -> None:
    """Raises Refusal FC7101 where the solver is not installed."""
    if find_spec("z3") is None:
        message = "Proofs need z3-solver, which is not installed."
        raise Refusal("FC7101", message, hint="Install forecourt[prove].")


async def proofs(forecourt: Forecourt, progress: Callable[[], None] = lambda: None) -> Report:
    """The verdicts over a solution and its people."""
    from forecourt.security.prove.prover import Prover
    from forecourt.security.prove.questions import Questioner, kinds

    meant = forecourt.definitions.header.public
    questioner = Questioner(forecourt.operations_gate.enforcer, forecourt.dataverse_gate.enforcer, meant)
    plane = forecourt.operations_gate.operations
    prover = Prover(plane.database, plane.catalog, progress)
    return await prover.run(questioner.all(kinds(await identities(forecourt))))


def document(report: Report) -> dict[str, Any]:
    """The report as plain data."""
    return {
        "questions": report.questions,
        "proved": report.count("proved"),
        "refuted": report.count("refuted"),
        "unknown": report.count("unknown"),
        "seconds": round(report.seconds, 3),
        "solver_seconds": round(report.solved, 3),
        "verdicts": [_plain(verdict) for verdict in report.verdicts],
    }


def _plain(verdict: Verdict) -> dict[str, Any]:
    shown = verdict.counterexample
    return {
        "status": verdict.status,
        "containment": verdict.containment,
        "entity": verdict.entity,
        "operation": verdict.operation.value,
        "text": verdict.text,
        "where": verdict.where,
        "people": list(verdict.kinds),
        "facts": list(verdict.facts),
        "assumptions": [
            {
                "text": item.text,
                "people": item.people,
                "broken": list(item.broken),
                "reason": item.reason,
            }
            for item in verdict.assumptions
        ],
        "counterexample": None
        if shown is None
        else {
            "row": shown.row,
            "rows": {str(table): [_texts(row) for row in rows] for table, rows in shown.rows.items()},
            "values": _texts(shown.values),
        },
        "reason": verdict.reason,
    }


def _texts(values: Any) -> dict[str, Any]:
    kept = (bool, int, float, str)
    return {name: value if value is None or isinstance(value, kept) else str(value) for name, value in values.items()}


def lines(report: Report) -> Iterator[str]:
    """The report for people, worst first."""
    for verdict in report.verdicts:
        yield (f"{verdict.status:8} {verdict.text}")
        yield (f"         for {'; '.join(verdict.kinds)}")
        for item in verdict.assumptions:
            kept = f"so for {item.people - len(item.broken)} of {item.people}"
            yield (f"         assuming that {item.text} ({item.reason or kept})")
            if item.broken:
                yield (f"         not so for {', '.join(item.broken[:3])}{' …' if len(item.broken) > 3 else ''}")
        if verdict.facts:
            yield (f"         since {'; '.join(verdict.facts)}")
        if verdict.counterexample is not None:
            yield (f"         shown to leak: {verdict.counterexample.row} ({verdict.where})")
            for table, rows in verdict.counterexample.rows.items():
                for row in rows:
                    yield (f"           {table}: {', '.join(f'{name}={value}' for name, value in row.items())}")
            for name, value in verdict.counterexample.values.items():
                yield (f"           {name} = {'null' if value is None else value}")
        if verdict.reason:
            yield (f"         {verdict.reason} ({verdict.where})")
    yield (
        f"{report.questions} questions: {report.count('proved')} answers proved, {report.count('refuted')} refuted, "
        f"{report.count('unknown')} unknown. {report.seconds:.1f} s, {report.solved:.1f} s of them in the solver."
    )
