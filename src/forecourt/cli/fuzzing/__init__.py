"""``forecourt audit --fuzz``: random requests of random identities, on copies of the solution's databases.

Two promises are tried out. **The same rows at every door**: what an identity reads at a door is a function of the rows
and columns that the rules give it there, so each answer is worked out a second time, in Python, from those rows alone.
**Noninterference**: in two copies that differ in nothing that the identity may read, every answer is the same.

``worlds``: copies, served in this process, and people at their doors; ``furnished``: with notes and security roles.
``readable``: what an identity may read. ``questions``: random questions. ``ways``: how they are asked: ``doors`` by
OData, ``fetch`` by FetchXML, ``tracked`` with change tracking, ``exported`` as data packages. ``oracle``: what is to be
answered. ``agreement``: the first promise. ``interference``: the second, two worlds in lockstep, with ``changes``,
writes (``probes``) and the pages of the portal, its lists, files and lookups (``site``; a further door of the portal is
a line of ``SITE_DOORS``). ``native``: plain SQL under the roles of native access.
"""
