"""Who watches: structured logs on stderr, and Prometheus metrics."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram

from forecourt.kernel.observe import (
    Alerted,
    Denied,
    Exported,
    Fault,
    Impersonated,
    Observation,
    Observer,
    PlanCompiled,
    RequestDone,
    Sealed,
    SignIn,
)


def logger(verbose: bool = False) -> Observer:
    """Logs what an operator wants to know: denials, sign-ins, faults; requests too where ``verbose``."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    log: Any = structlog.get_logger()

    def tell(observation: Observation) -> None:
        match observation:
            case Denied(door, identity, code, what):
                log.warning("denied", door=door, identity=identity, code=code, what=what)
            case SignIn(identity, kind, outcome):
                log.info("sign-in", identity=identity, kind=kind, outcome=outcome)
            case Impersonated(door, identity, acting_as):
                log.info("impersonation", door=door, identity=identity, acting_as=acting_as)
            case Exported(door, identity, entity, rows):
                log.info("export", door=door, identity=identity, entity=entity, rows=rows)
            case Sealed(anchor, entries):
                log.info("sealed", anchor=anchor, entries=entries)
            case Fault(correlation, error):
                log.error("fault", correlation=correlation, exc_info=error)
            case Alerted(name, alert, count, action, notify):
                log.warning("alert", map=name, alert=alert, count=count, action=action, notify=list(notify))
            case RequestDone(door, method, status, seconds, identity, correlation) if verbose:
                log.info(
                    "request",
                    door=door,
                    method=method,
                    status=status,
                    ms=round(seconds * 1000, 2),
                    identity=identity,
                    correlation=correlation,
                )
            case _:
                return

    return tell


def metrics(registry: CollectorRegistry) -> Observer:
    """Counts requests, denials, faults and compiled plans."""
    requests = Histogram(
        "forecourt_request_seconds", "Time of requests", ["door", "method", "status"], registry=registry
    )
    denied = Counter("forecourt_denied", "Refusals of security", ["door", "code"], registry=registry)
    faults = Counter("forecourt_faults", "Unexpected errors", registry=registry)
    plans = Counter("forecourt_plans_compiled", "Plan shapes compiled", ["door"], registry=registry)
    sign_ins = Counter("forecourt_sign_ins", "Sign-ins", ["outcome"], registry=registry)
    series: dict[tuple[str, str, int], Any] = {}

    def tell(observation: Observation) -> None:
        match observation:
            case RequestDone(door, method, status, seconds, _, _):
                key = (door, method if method in _METHODS else "other", status)
                if key not in series:
                    series[key] = requests.labels(key[0], key[1], str(status))
                series[key].observe(seconds)
            case Denied(door, _, code, _):
                denied.labels(door, code).inc()
            case Fault():
                faults.inc()
            case PlanCompiled(plane, _):
                plans.labels(plane).inc()
            case SignIn(_, _, outcome):
                sign_ins.labels(outcome).inc()
            case _:
                return

    return tell


_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
