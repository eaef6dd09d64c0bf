"""The scenarios: a vendor with many orders looks at one of them, and at a page of them.

Vendor US-101 of legal entity usmf has one in twenty of all purchase orders, which is where plans that were made for the
average vendor go wrong. The hand-written SQL says what the policy says, with the vendor and its legal entity bound: the
least that anybody would have to send. It checks no membership; the product does so in every statement.
"""

from forecourt.cli.benching.suite import PortalPage, Scenario, Suite

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

#: A vendor's orders at the portal. The SQL by hand is the least that the page needs for its rows.
HOME_PAGE = PortalPage(
    name="home",
    title="The home page: how many open orders there are",
    path="/",
    sql="""
        select count(*) from erp.purchtable
        where dataareaid = :company and orderaccount = :vendor and purchstatus = 1
    """,
    variants="""
        select $2::text as company, $1::text as vendor, 'href="/purchase-orders/"' as link
    """,
    shows="link",
)

LIST_PAGE = PortalPage(
    name="list",
    title="A list: the first 50 of all orders and how many there are",
    path="/purchase-orders/?view=all-purchase-orders",
    sql="""
        select recid, purchid, vendorref, purchstatus, documentstate, deliverydate, confirmeddlv, currencycode,
            (select count(*) from erp.purchtable where dataareaid = :company and orderaccount = :vendor) as total
        from erp.purchtable where dataareaid = :company and orderaccount = :vendor order by purchid desc limit 50
    """,
    variants="""
        select dataareaid as company, orderaccount as vendor, purchid as number from erp.purchtable
        where orderaccount = $1 and dataareaid = $2 order by purchid desc limit 1
    """,
    shows="number",
    links=50,
)

DETAILS_PAGE = PortalPage(
    name="details",
    title="An order with its lines",
    path="/purchase-orders/details/?id={record}",
    sql="""
        select * from erp.purchtable where dataareaid = :company and orderaccount = :vendor and purchid = :number;
        select * from erp.purchline where dataareaid = :company and purchid = :number order by linenumber limit 50
    """,
    variants="""
        select h.dataareaid as company, h.orderaccount as vendor, h.purchid as number, h.recid
        from erp.purchtable h where h.orderaccount = $1 and h.dataareaid = $2 order by h.purchid desc limit 1
    """,
    shows="number",
    entity_id=11001,
)

SUITE = Suite(
    solution="contoso",
    user="v-us-101",
    contact="select msdyn_contactid from dataverse.msdyn_externalportalusermapping where msdyn_userid = $1",
    scenarios=(KEY, PAGE),
    virtual_limit=1.3,
    unconstrained="purch.clerk",
    policy_limit=1.05,
    people="""
        select u.user_, v.accountnum, v.dataareaid from erp.dirpersonuser u
        join erp.contactperson c on c.party = u.personparty and c.inactive = 0
        join erp.vendtable v on v.party = c.contactforparty and v.dataareaid = c.dataareaid order by v.recid
    """,
    pages=(HOME_PAGE, LIST_PAGE, DETAILS_PAGE),
    edits=(("site/lists/Purchase-orders.list.yml", "adx_pagesize: 25", "adx_pagesize: 50"),),
    pages_limit=4.0,
)
