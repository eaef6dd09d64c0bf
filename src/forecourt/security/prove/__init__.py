"""Prove: what holds for every row that the database could hold, not only for those that are there now.

A *question* asks whether the rows of a wide predicate are among those of a narrow one. Its answer is *proved* (no
database that keeps its own constraints has such a row), *refuted* (with rows that show it, run through the database's
own SQL) or *unknown*. Nothing is proved by accident: what is not understood may have any value.

    questions   which containments the rules of a solution pose, and what they assume of the data
    joins       predicates without outer joins, and other changes of form
    terms       columns, values and parameters as terms of the solver, and back
    encode      predicates as formulas over a finite universe of rows
    decide      a question to a proof, or to a candidate
    witness     the candidate as rows of a scratch database, where it has to reproduce
    prover      all of it over a solution, with the assumptions checked on the data
"""
