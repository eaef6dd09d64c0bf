"""What an order comes to is the ERP's to say."""

from forecourt.operations.hooks import Refused, Row, default, validate


@validate("PairOrderEntity", field="Quantity")
def in_stock(row: Row, value: int) -> None:
    if value > 1_000:
        raise Refused("There are only 1,000 of them.", field="Quantity")


@default("PairOrderEntity")
def totalled(row: Row) -> None:
    row["Total"] = (row["Quantity"] or 0) * (row["Price"] or 0)
