"""Sales orders: what a new order takes from its customer, what a line costs, what the order comes to."""

from __future__ import annotations

from decimal import Decimal

from forecourt.operations.hooks import Refused, Row, default, finish, initial, validate

HEADER, LINE = "SalesOrderHeaderV2Entity", "SalesOrderLineEntity"
CUSTOMER, PRODUCT = "CustCustomerV3Entity", "EcoResReleasedProductV2Entity"

#: Stored values of enums: CustVendorBlocked and SalesStatus.
NOT_BLOCKED, BACKORDER = 0, 1

#: Field of an order -> field of its customer.
FROM_CUSTOMER = {
    "SalesOrderName": "OrganizationName",
    "InvoiceCustomerAccountNumber": "InvoiceAccount",
    "CurrencyCode": "SalesCurrencyCode",
    "LanguageId": "LanguageId",
    "PaymentTermsName": "PaymentTerms",
    "CustomerPaymentMethodName": "PaymentMethod",
    "DeliveryModeCode": "DeliveryMode",
    "DeliveryTermsCode": "DeliveryTerms",
    "DeliveryAddressName": "OrganizationName",
    "DeliveryAddressStreet": "AddressStreet",
    "DeliveryAddressCity": "AddressCity",
    "DeliveryAddressZipCode": "AddressZipCode",
    "DeliveryAddressStateId": "AddressState",
    "DeliveryAddressCountryRegionId": "AddressCountryRegionId",
}


@initial(HEADER)
def new_order(row: Row) -> None:
    row["SalesOrderStatus"] = BACKORDER


@default(HEADER)
async def as_the_customer_has_it(row: Row) -> None:
    """What the order leaves open is taken from its customer; an order for a blocked customer is turned down."""
    if row.operation != "create":
        return
    key = {"dataAreaId": row["dataAreaId"], "CustomerAccount": row["OrderingCustomerAccountNumber"]}
    customer = await row.rows.find(CUSTOMER, key)
    if customer is None:
        raise Refused(f"There is no customer {key['CustomerAccount']}.", field="OrderingCustomerAccountNumber")
    if customer["OnHoldStatus"] != NOT_BLOCKED:
        raise Refused(f"Customer {key['CustomerAccount']} is on hold.", field="OrderingCustomerAccountNumber")
    for own, theirs in FROM_CUSTOMER.items():
        if row[own] in (None, ""):
            row[own] = customer[theirs]
    if row["InvoiceCustomerAccountNumber"] in (None, ""):
        row["InvoiceCustomerAccountNumber"] = key["CustomerAccount"]


@initial(LINE)
def new_line(row: Row) -> None:
    row["SalesOrderLineStatus"] = BACKORDER


@validate(LINE, field="OrderedSalesQuantity")
def something_is_ordered(row: Row, value: Decimal | None) -> None:
    if value is None or value <= 0:
        raise Refused("The quantity must be more than zero.", field="OrderedSalesQuantity")


@default(LINE)
async def priced(row: Row) -> None:
    """A new line takes price and unit from its product; the amount follows from quantity, price and discount."""
    if row.operation == "create":
        key = {"dataAreaId": row["dataAreaId"], "SalesOrderNumber": row["SalesOrderNumber"]}
        order = await row.rows.find(HEADER, key)
        if order is None:
            raise Refused(f"There is no sales order {row['SalesOrderNumber']}.", field="SalesOrderNumber")
        row["CurrencyCode"] = order["CurrencyCode"]
        product = await row.rows.find(PRODUCT, {"dataAreaId": row["dataAreaId"], "ItemNumber": row["ItemNumber"]})
        if product is None:
            raise Refused(f"There is no product {row['ItemNumber']}.", field="ItemNumber")
        if not row["SalesPrice"]:
            row["SalesPrice"] = product["SalesPrice"]
        if row["SalesUnitSymbol"] in (None, ""):
            row["SalesUnitSymbol"] = product["SalesUnitSymbol"]
        if row["LineDescription"] in (None, ""):
            row["LineDescription"] = product["ProductSearchName"]
        if not row["LineNumber"]:
            lines = await row.rows.select(LINE, key)
            row["LineNumber"] = max((line["LineNumber"] for line in lines), default=Decimal(0)) + 1
    quantity, price = row["OrderedSalesQuantity"] or Decimal(0), row["SalesPrice"] or Decimal(0)
    discount = row["LineDiscountAmount"] or Decimal(0)
    percent = row["LineDiscountPercentage"] or Decimal(0)
    row["LineAmount"] = (quantity * (price - discount) * (1 - percent / 100)).quantize(Decimal("0.01"))


@finish(LINE)
async def totalled(row: Row) -> None:
    """The order comes to what its lines do."""
    gone = row.operation == "delete"
    company = row.before["dataAreaId"] if gone and row.before is not None else row["dataAreaId"]
    number = row.before["SalesOrderNumber"] if gone and row.before is not None else row["SalesOrderNumber"]
    key = {"dataAreaId": company, "SalesOrderNumber": number}
    lines = await row.rows.select(LINE, key)
    total = sum((line["LineAmount"] for line in lines), Decimal(0))
    if await row.rows.find(HEADER, key) is not None:
        await row.rows.update(HEADER, key, {"OrderTotalAmount": total})
