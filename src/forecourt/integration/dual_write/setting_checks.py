"""Rules about how a map works: settings that have no effect, alerts that can't go off (operations-and-integration 1.9,
1.13)."""

from __future__ import annotations

from forecourt.integration.dual_write.faults import Faults, Rule, fault
from forecourt.integration.dual_write.subject import Subject

#: Minutes that failures are kept for alerts: a week.
LONGEST = 7 * 24 * 60


def settings_have_an_effect(subject: Subject) -> Faults:
    given = subject.document.data
    if subject.record.mode == "queued" and "on_outage" in given:
        text = "on_outage has no effect: a queued map always waits for the other side."
        yield fault(subject, "", text, "on_outage", hint="Leave it out, or write 'mode: live'.", kind="FC6003")
    if len(subject.sides) == 1 and "conflict" in given:
        text = f"conflict has no effect: rows start on {subject.sides[0].value} alone."
        yield fault(subject, "", text, "conflict", hint="Leave it out.", kind="FC6003")


def alerts_can_go_off(subject: Subject) -> Faults:
    seen = set()
    for place, alert in enumerate(subject.record.alerts):
        if alert.count < 1:
            yield fault(subject, "", "an alert waits for one error at least.", "alerts", place, "count")
        if not 1 <= alert.minutes <= LONGEST:
            text = f"an alert looks back 1 to {LONGEST} minutes (a week)."
            yield fault(subject, "", text, "alerts", place, "minutes")
        wrong = next((address for address in alert.notify if "@" not in address), None)
        if wrong is not None:
            yield fault(subject, "", f"'{wrong}' is no e-mail address.", "alerts", place, "notify")
        kind = (alert.errors, alert.count, alert.minutes)
        if kind in seen:
            text = f"{alert.count} {alert.errors} errors in {alert.minutes} minutes set off two alerts."
            yield fault(subject, "", text, "alerts", place, hint="Make them one.", kind="FC6003")
        seen.add(kind)


RULES: tuple[Rule, ...] = (settings_have_an_effect, alerts_can_go_off)
