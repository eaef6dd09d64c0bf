"""Values and algebra, no I/O: types, model, predicate, relation, plan, principal, errors, observe, document."""
