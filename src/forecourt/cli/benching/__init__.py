"""The benchmark's machinery. What is measured, and how the numbers came out, is in ``bench/`` of the source tree.

suite       what a suite of scenarios says, and reading one
questions   a question as HTTP requests and as SQL, and who contends
subject     the solution under measurement: sample, tokens, the SQL it sends, its server process, right answers
portal      the portal under measurement: people who are signed in, their pages
browser     what Chromium sees of a page on a slow connection
generator   the load generator: a program of its own
pgbench     the same work by pgbench
machine     cores, and CPU time of process trees
rounds      the interleaved run
report      medians, spreads, ratios; table and JSON
"""
