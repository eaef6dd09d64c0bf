"""``forecourt audit --fuzz``: random requests of random identities, on copies of the solution's databases.

Two promises are tried out. **The same rows at every door**: what an identity reads at a door is a function of the rows
and columns that the rules give it there, so each answer is worked out a second time, in Python, from those rows alone.
**Noninterference**: in two copies that differ in nothing that the identity may read, every answer is the same.

``worlds``: copies, served in this process, and people at their doors. ``readable``: what an identity may read.
``questions``: random questions. ``doors``, ``fetch``: how they are asked, by OData and by FetchXML. ``oracle``: what is
to be answered. ``agreement``: the first promise. ``probes``: requests of which only the answer counts.
``interference``: the second, two worlds in lockstep. ``native``: plain SQL under the roles of native access.
"""
