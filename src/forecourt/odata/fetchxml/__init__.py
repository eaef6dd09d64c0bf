"""FetchXML: Dataverse's query language in XML, as the same plans and predicates that OData becomes.

``markup`` reads the text safely and lifts its values; ``operators`` knows the conditions; ``filters`` turns a filter
into a predicate; ``query`` a whole fetch into a plan; ``cookie`` is paging. Source: pages-and-dataverse B1.8.
"""
