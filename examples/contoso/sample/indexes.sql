-- The sample company's ERP database: keys and indexes, made after the load, then statistics.

-- Users, legal entities, people
alter table erp.userinfo                     add primary key (id);
alter table erp.securityuserrole             add primary key (user_, role);
alter table erp.securityuserroleorganization add primary key (user_, role, dataareaid);
alter table erp.companyinfo                  add primary key (dataareaid);
alter table erp.dirpartytable                add primary key (recid), add unique (partynumber);
alter table erp.dirpersonuser                add primary key (recid), add unique (user_);
alter table erp.contactperson                add primary key (recid), add unique (dataareaid, contactpersonid);
alter table erp.hcmworker                    add primary key (recid), add unique (personnelnumber);
alter table erp.hcmemployment                add primary key (recid), add unique (worker, legalentity, validfrom);
alter table erp.hcmworkeraddress             add primary key (recid), add unique (personnelnumber, locationid);
alter table erp.hcmworkermanager             add primary key (recid), add unique (personnelnumber, dataareaid);
alter table erp.leaverequest                 add primary key (recid), add unique (dataareaid, requestid);

create index on erp.hcmworkermanager (manager);
create index on erp.leaverequest (personnelnumber, dataareaid);
create index on erp.dirpersonuser (personparty);
create index on erp.contactperson (party);
create index on erp.contactperson (contactforparty);
create index on erp.hcmworker (person);

-- Products
alter table erp.inventtable add primary key (recid), add unique (dataareaid, itemid);

-- Vendors and purchase orders: a vendor's orders in order of their numbers come from one index
alter table erp.vendtable  add primary key (recid), add unique (dataareaid, accountnum);
alter table erp.purchtable add primary key (recid), add unique (dataareaid, purchid);
alter table erp.purchline  add primary key (recid), add unique (dataareaid, purchid, linenumber);

create index on erp.vendtable (party);
create index on erp.purchtable (dataareaid, orderaccount, purchid);
create index on erp.purchtable (orderaccount);

-- Vendor collaboration and requests for quotation
alter table erp.purchaseorderresponseheader add primary key (recid), add unique (dataareaid, purchid, versionnumber);
alter table erp.purchaseorderresponseline
    add primary key (recid), add unique (dataareaid, purchid, versionnumber, responselinenumber);
alter table erp.purchrfqcasetable add primary key (recid), add unique (dataareaid, rfqcaseid);
alter table erp.purchrfqcaseline  add primary key (recid), add unique (dataareaid, rfqcaseid, linenumber);
alter table erp.purchrfqinterest  add primary key (recid), add unique (dataareaid, interestid);

create index on erp.purchaseorderresponseheader (dataareaid, orderaccount);
create index on erp.purchrfqinterest (dataareaid, rfqcaseid);

-- Customers and sales orders
alter table erp.custtable  add primary key (recid), add unique (dataareaid, accountnum);
alter table erp.salestable add primary key (recid), add unique (dataareaid, salesid);
alter table erp.salesline  add primary key (recid), add unique (dataareaid, inventtransid);

create index on erp.custtable (party);
create index on erp.salestable (dataareaid, custaccount, salesid);
create index on erp.salesline (dataareaid, salesid);

-- New rows continue the record ids of the loaded ones
select setval(pg_get_serial_sequence('erp.dirpartytable', 'recid'), (select max(recid) from erp.dirpartytable));
select setval(pg_get_serial_sequence('erp.dirpersonuser', 'recid'), (select max(recid) from erp.dirpersonuser));
select setval(pg_get_serial_sequence('erp.contactperson', 'recid'), (select max(recid) from erp.contactperson));
select setval(pg_get_serial_sequence('erp.hcmworker', 'recid'), (select max(recid) from erp.hcmworker));
select setval(pg_get_serial_sequence('erp.hcmemployment', 'recid'), (select max(recid) from erp.hcmemployment));
select setval(pg_get_serial_sequence('erp.hcmworkeraddress', 'recid'), (select max(recid) from erp.hcmworkeraddress));
select setval(pg_get_serial_sequence('erp.hcmworkermanager', 'recid'), (select max(recid) from erp.hcmworkermanager));
select setval(pg_get_serial_sequence('erp.leaverequest', 'recid'), (select max(recid) from erp.leaverequest));
select setval(pg_get_serial_sequence('erp.inventtable', 'recid'), (select max(recid) from erp.inventtable));
select setval(pg_get_serial_sequence('erp.vendtable', 'recid'), (select max(recid) from erp.vendtable));
select setval(pg_get_serial_sequence('erp.purchtable', 'recid'), (select max(recid) from erp.purchtable));
select setval(pg_get_serial_sequence('erp.purchline', 'recid'), (select max(recid) from erp.purchline));
select setval(pg_get_serial_sequence('erp.purchaseorderresponseheader', 'recid'), max(recid))
from erp.purchaseorderresponseheader;
select setval(pg_get_serial_sequence('erp.purchaseorderresponseline', 'recid'), max(recid))
from erp.purchaseorderresponseline;
select setval(pg_get_serial_sequence('erp.purchrfqcasetable', 'recid'), max(recid)) from erp.purchrfqcasetable;
select setval(pg_get_serial_sequence('erp.purchrfqcaseline', 'recid'), max(recid)) from erp.purchrfqcaseline;
select setval(pg_get_serial_sequence('erp.custtable', 'recid'), (select max(recid) from erp.custtable));
select setval(pg_get_serial_sequence('erp.salestable', 'recid'), (select max(recid) from erp.salestable));
select setval(pg_get_serial_sequence('erp.salesline', 'recid'), (select max(recid) from erp.salesline));

analyze erp.userinfo, erp.securityuserrole, erp.securityuserroleorganization, erp.companyinfo, erp.dirpartytable,
    erp.dirpersonuser, erp.contactperson, erp.hcmworker, erp.hcmemployment, erp.hcmworkeraddress, erp.hcmworkermanager,
    erp.leaverequest, erp.inventtable, erp.vendtable, erp.purchtable, erp.purchline, erp.purchaseorderresponseheader,
    erp.purchaseorderresponseline, erp.purchrfqcasetable, erp.purchrfqcaseline, erp.custtable, erp.salestable,
    erp.salesline;
