"""Prometheus metrics of copies: rows that have moved, what waits, what is wrong, what is in doubt."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from forecourt.kernel.observe import Alerted, DoubtSeen, MapSeen, Observation, Observer, Synced

STATES = ("not running", "initializing", "running", "paused", "resuming")


def copy_metrics(registry: CollectorRegistry) -> Observer:
    """Counts what the engines tell, shows how maps stood when somebody last looked. ``side``: where changes start."""
    rows = Counter("forecourt_sync_rows", "Rows moved", ["map", "side", "operation"], registry=registry)
    wrong = Counter("forecourt_sync_row_errors", "Rows set aside in error", ["map", "side"], registry=registry)
    alerts = Counter("forecourt_sync_alerts", "Alerts of table maps", ["map", "action"], registry=registry)
    backlog = Gauge("forecourt_sync_backlog_rows", "Changed rows that wait", ["map", "side"], registry=registry)
    lag = Gauge("forecourt_sync_lag_seconds", "Age of the oldest waiting change", ["map", "side"], registry=registry)
    errors = Gauge("forecourt_sync_errors", "Rows in error now", ["map"], registry=registry)
    states = Gauge("forecourt_sync_state", "1 for the state that a map is in", ["map", "state"], registry=registry)
    doubt = Gauge("forecourt_prepared_transactions", "Transactions prepared and not finished", registry=registry)
    age = Gauge("forecourt_prepared_transaction_age_seconds", "Age of the oldest of them", registry=registry)

    def tell(observation: Observation) -> None:
        match observation:
            case Synced(name, side, written, deleted, failed):
                rows.labels(name, side, "written").inc(written)
                rows.labels(name, side, "deleted").inc(deleted)
                wrong.labels(name, side).inc(failed)
            case Alerted(name, _, _, action, _):
                alerts.labels(name, action).inc()
            case MapSeen(name, state, sides, failing):
                for side in ("operations", "dataverse"):
                    waiting = next(((count, old) for found, count, old in sides if found == side), (0, 0.0))
                    backlog.labels(name, side).set(waiting[0])
                    lag.labels(name, side).set(waiting[1])
                errors.labels(name).set(failing)
                for other in STATES:
                    states.labels(name, other).set(other == state)
            case DoubtSeen(count, seconds):
                doubt.set(count)
                age.set(seconds)
            case _:
                return

    return tell
