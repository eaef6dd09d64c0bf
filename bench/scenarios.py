"""The scenarios: a vendor with many orders looks at one of them, and at a page of them.

Vendor US-101 of legal entity usmf has one in twenty of all purchase orders, which is where plans that were made for the
average vendor go wrong. The hand-written SQL says what the policy says, with the vendor and its legal entity bound: the
least that anybody would have to send. It checks no membership; the product does so in every statement.
"""

from forecourt.cli.benching.suite import Scenario, Suite

ORDERS = "/data/PurchaseOrderHeadersV2"
ORDER_ROWS = "/api/data/v9.2/mserp_purchpurchaseorderheaderv2entities"

#: Every column that the entity shows.
COLUMNS = """
    xmin, dataareaid, purchid, orderaccount, invoiceaccount, purchname, purchstatus, documentstate,
    changerequestrequired, vendorref, currencycode, languageid, deliverydate, confirmeddlv, requestedshipdate,
    confirmedshipdate, accountingdate, fixedduedate, payment, paymmode, cashdisc, cashdiscpercent, discpercent, incltax,
    taxgroup, dlvmode, dlvterm, inventsiteid, inventlocationid, deliveryname, deliverystreet, deliverycity,
    deliveryzipcode, deliverystate, deliverycountryregionid, itembuyergroupid, contactpersonid, email, projid,
    reasoncode, reasoncomment, defaultdimension, transportationdocumentlineid
"""

KEY = Scenario(
    name="key",
    title="One purchase order by its key, all 42 columns",
    data=ORDERS + "(dataAreaId='{company}',PurchaseOrderNumber='{number}')",
    virtual=ORDER_ROWS + "({record})",
    sql=f"""
        select {COLUMNS} from erp.purchtable
        where dataareaid = :company and orderaccount = :vendor and purchid = :number
    """,
    variants="""
        select dataareaid as company, orderaccount as vendor, purchid as number, recid from erp.purchtable
        where dataareaid = 'usmf' and orderaccount = 'US-101' order by purchid
    """,
    entity_id=11001,
    rows=None,
    data_id="PurchaseOrderNumber",
    virtual_id="mserp_purchaseordernumber",
    sql_id="purchid",
    wanted=0.20,
)

PAGE = Scenario(
    name="page",
    title="A filtered page: 50 invoiced purchase orders from a number on, 5 columns",
    data=ORDERS
    + """?$select=PurchaseOrderNumber,PurchaseOrderStatus,RequestedDeliveryDate,CurrencyCode,DeliveryAddressCity
        &$filter=PurchaseOrderStatus eq Microsoft.Dynamics.DataEntities.PurchStatus'Invoiced'
         and PurchaseOrderNumber ge '{number}'
        &$orderby=PurchaseOrderNumber&$top=50""",
    filtered=ORDERS
    + """?$select=PurchaseOrderNumber,PurchaseOrderStatus,RequestedDeliveryDate,CurrencyCode,DeliveryAddressCity
        &$filter=PurchaseOrderStatus eq Microsoft.Dynamics.DataEntities.PurchStatus'Invoiced'
         and PurchaseOrderNumber ge '{number}'
         and OrderVendorAccountNumber eq '{vendor}' and dataAreaId eq '{company}'
        &$orderby=PurchaseOrderNumber&$top=50""",
    virtual=ORDER_ROWS
    + """?$select=mserp_purchaseordernumber,mserp_purchaseorderstatus,mserp_requesteddeliverydate,mserp_currencycode,
            mserp_deliveryaddresscity
        &$filter=mserp_purchaseorderstatus eq 200000003 and mserp_purchaseordernumber ge '{number}'
        &$orderby=mserp_purchaseordernumber&$top=50""",
    sql="""
        select xmin, purchid, purchstatus, deliverydate, currencycode, deliverycity from erp.purchtable
        where dataareaid = :company and orderaccount = :vendor and purchstatus = 3 and purchid >= :number
        order by purchid limit 50
    """,
    # Numbers that at least 50 invoiced orders follow.
    variants="""
        select dataareaid as company, orderaccount as vendor, purchid as number from (
            select *, row_number() over (order by purchid desc) as left_over from erp.purchtable
            where dataareaid = 'usmf' and orderaccount = 'US-101' and purchstatus = 3
        ) as invoiced
        where left_over >= 50 order by purchid
    """,
    rows=50,
    data_id="PurchaseOrderNumber",
    virtual_id="mserp_purchaseordernumber",
    sql_id="purchid",
    wanted=0.45,
)

SUITE = Suite(
    solution="contoso",
    user="v-us-101",
    contact="select msdyn_contactid from dataverse.msdyn_externalportalusermapping where msdyn_userid = $1",
    scenarios=(KEY, PAGE),
    virtual_limit=1.3,
    unconstrained="purch.clerk",
    policy_limit=1.05,
)
