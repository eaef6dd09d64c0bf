"""What vendors answer to the purchase orders that were sent to them: a document for each version, with its lines.

Every open order that is confirmed or in external review has one. Of those in review, some wait for the vendor, some for
the buyer; of every fourth the vendor had changed the first version, and a second one lies before it.
"""

from collections.abc import Iterator

from contoso_sample.cast import Account
from contoso_sample.load import Load, Row, few, many
from contoso_sample.orders import orders_of, pool_of
from contoso_sample.world import DAY, NEVER, RECID, WORKDAY, Company

#: PurchaseOrderResponseState, VendorAnswer and PurchaseOrderResponseLineState, as they are stored.
UNANSWERED, ACCEPTED, REJECTED, CHANGED = 0, 1, 2, 4
ANSWER = {UNANSWERED: 0, ACCEPTED: 1, CHANGED: 2, REJECTED: 3}

_HEADER = (
    "recid dataareaid purchid versionnumber documentreference orderaccount responsestate processingstate answer "
    "sentdatetime respondingdatetime respondedby vendorref deliverydate confirmeddlv note buyernote"
)
_LINE = (
    "recid dataareaid purchid versionnumber responselinenumber linenumber linestate itemid name procurementcategory "
    "purchqty purchunit purchprice lineamount externalitemid currencycode deliverydate confirmedqty confirmeddlv"
)


def _versions(review: bool, luck: int, auto: bool) -> tuple[tuple[int, int], ...]:
    """State and processing state of each version: 0 awaiting action, 1 processed."""
    if not review:
        return ((ACCEPTED, 1),)
    if luck % 4 == 0:
        return ((CHANGED, 1), (UNANSWERED, 0))
    if luck % 4 == 1 and not auto:
        return ((ACCEPTED, 0),)
    return (((CHANGED, REJECTED)[luck % 16 // 8], 0),) if luck % 8 == 2 else ((UNANSWERED, 0),)


def response_loads(scale: int) -> Iterator[Load]:
    headers: list[Row] = []
    lines: list[str] = []
    for company, accounts, plan in orders_of("purchase", scale):
        for k, (status, document) in enumerate(zip(plan.status, plan.document, strict=True)):
            if status != 1 or document not in (4, 5):
                continue
            account = accounts[plan.account[k]]
            if not account.user:
                continue
            luck, due, sent = plan.chance[k], plan.due[k], WORKDAY[plan.created[k] + 1]
            confirmed = plan.confirmed[k] or due
            pool = pool_of(company, account.category)[0]
            start = k * 7919 % (len(pool) - 5)
            texts = pool[start : start + plan.lines[k]]
            for version, (state, processed) in enumerate(_versions(document == 4, luck, account.index % 3 != 2), 1):
                late = WORKDAY[due + 4] if state == CHANGED else confirmed
                sent, answered = WORKDAY[sent + 2 * (version - 1)], WORKDAY[sent + 2 * version - 1]
                headers.append(
                    _header(
                        RECID + len(headers), company, account, k, version, state, processed, sent, answered, due, late
                    )
                )
                head = f"\t{company.area}\tPO-{k + 1:06d}\t{version}\t"
                for number, text in enumerate(texts, 1):
                    line, day = (
                        (1, late) if state == CHANGED and number == 1 else (0, late if state == ACCEPTED else due)
                    )
                    lines.append(
                        f"{RECID + len(lines)}{head}{number}\t{number}\t{line}\t{text}\t{company.currency}\t"
                        f"{DAY[due]}\t{text.split(chr(9))[3]}\t{DAY[day]}\n"
                    )
    yield few("erp.purchaseorderresponseheader", _HEADER, headers)
    yield many("erp.purchaseorderresponseline", _LINE, len(lines), iter(lines), 6500)


def _header(
    recid: int,
    company: Company,
    account: Account,
    k: int,
    version: int,
    state: int,
    processed: int,
    sent: int,
    answered: int,
    due: int,
    late: int,
) -> Row:
    told = state != UNANSWERED
    return (
        recid,
        company.area,
        f"PO-{k + 1:06d}",
        version,
        f"PO-{k + 1:06d}-{version}",
        account.number,
        state,
        processed,
        ANSWER[state],
        f"{DAY[sent]} 09:12:00+00",
        f"{DAY[answered]} 14:40:00+00" if told else f"{NEVER} 00:00:00+00",
        f"{account.first} {account.last}" if told else "",
        f"SO-{100000 + (k * 48611 + account.index) % 900000}" if told and state != REJECTED else "",
        DAY[due],
        DAY[late] if told and state != REJECTED else NEVER,
        {CHANGED: "The first line comes later.", REJECTED: "We are out of material until spring."}.get(state, ""),
        "With your dates. Please confirm." if version > 1 else "",
    )
