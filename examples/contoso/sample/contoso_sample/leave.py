"""What workers keep themselves: addresses and leave, and who decides on it."""

from datetime import date

from contoso_sample.cast import Cast, Worker
from contoso_sample.load import Row
from contoso_sample.world import DAY, NEVER, RECID, TODAY, USMF, WORKDAY, Company

#: LeaveRequestStatus
IN_REVIEW, APPROVED, DENIED = 1, 2, 3
_ANSWERS = {APPROVED: "Enjoy it.", DENIED: "Stocktaking: please choose another week."}

#: The worker, by position, whom a second legal entity employs, and which one.
SECOND = {1: USMF}


def companies_of(worker: Worker) -> tuple[Company, ...]:
    """The legal entities that employ a worker."""
    second = SECOND.get(worker.index)
    return (worker.company, second) if second is not None else (worker.company,)


def address_rows(cast: Cast) -> list[Row]:
    rows: list[Row] = []
    for w in (w for w in cast.workers if w.user):
        c, i = w.company, w.index
        place = c.places[i % 5]
        street = f"{1 + i * 37 % 140} {c.streets[i % len(c.streets)]}"
        parts = (street, place.zipcode, place.city, place.state, place.country)
        rows.append((RECID + len(rows), w.number, f"LOC-{len(rows) + 1:06d}", "Home", *parts, 1))
        if i % 4 == 1:
            other = c.places[(i + 7) % len(c.places)]
            street = f"{3 + i} {c.streets[(i + 2) % len(c.streets)]}"
            parts = (street, other.zipcode, other.city, other.state, other.country)
            rows.append((RECID + len(rows), w.number, f"LOC-{len(rows) + 1:06d}", "Weekends", *parts, 0))
    return rows


def manager_rows(cast: Cast) -> list[Row]:
    """The first worker of a legal entity manages those whom it employs and who sign in."""
    heads: dict[Company, Worker] = {}
    rows: list[Row] = []
    for w in (w for w in cast.workers if w.user):
        for company in companies_of(w):
            head = heads.setdefault(company, w)
            if head is not w:
                rows.append((RECID + len(rows), company.area, w.number, head.number))
    return rows


def leave_rows(cast: Cast) -> list[Row]:
    """For each worker who signs in: leave that was decided, and for one in three leave that waits for its manager."""
    rows: list[Row] = []
    managers = {(area, number): manager for _, area, number, manager in manager_rows(cast)}
    for w in (w for w in cast.workers if w.user):
        for company in companies_of(w):
            past, coming = TODAY - 40 - w.index * 3 % 200, TODAY + 20 + w.index * 5 % 150
            decided = DENIED if w.index % 7 == 6 else APPROVED
            wanted = [(past, decided)] + ([(coming, IN_REVIEW)] if w.index % 3 == 1 else [])
            for day, status in wanted:
                first = WORKDAY[day]
                last = WORKDAY[first + w.index % 9]
                by = str(managers.get((company.area, w.number), "")) if status != IN_REVIEW else ""
                rows.append(
                    (
                        RECID + len(rows),
                        company.area,
                        f"LR-{len(rows) + 1:06d}",
                        w.number,
                        f"{w.first} {w.last}",
                        (0, 0, 0, 2, 3)[w.index % 5],
                        DAY[first],
                        DAY[last],
                        working_days(DAY[first], DAY[last]),
                        "",
                        status,
                        f"{DAY[day - 30]} 08:00:00+00",
                        by,
                        f"{DAY[day - 25]} 09:00:00+00" if by else f"{NEVER} 00:00:00+00",
                        _ANSWERS.get(status, "") if by else "",
                    )
                )
    return rows


def working_days(first: str, last: str) -> int:
    """From Monday to Friday, both ends included."""
    begin, end = date.fromisoformat(first).toordinal(), date.fromisoformat(last).toordinal()
    return sum(date.fromordinal(day).weekday() < 5 for day in range(begin, end + 1))
