"""Names of subgrids in a site's metadata, against the forms of its tables: one that no form has offers nothing."""

from __future__ import annotations

from collections.abc import Iterator

from forecourt.dataverse.definitions import Subgrid
from forecourt.dataverse.tables import Tables
from forecourt.kernel.document import suggest
from forecourt.pages.site.definitions import FormDefinition
from forecourt.pages.site.site import Site


def names_of(subgrid: Subgrid) -> tuple[str, ...]:
    """What metadata may call a subgrid, in lower case."""
    return tuple(name.lower() for name in (subgrid.name, subgrid.relation, subgrid.label) if name)


def notices(site: Site, tables: Tables) -> tuple[str, ...]:
    """Metadata of subgrids that the table's form has not, as ``file:line: text``."""
    found = []
    for definition in _forms(site):
        table = tables.by_name.get(definition.table)
        form = table.form(definition.form) if table is not None else None
        if form is None:
            continue
        known = {name for subgrid in form.subgrids for name in names_of(subgrid)}
        for name, actions in definition.subgrids.items():
            if name not in known:
                hint = suggest(name, sorted(known))
                said = f"the form '{form.name}' of {definition.table} has no subgrid '{name}'; it has no effect."
                found.append(f"{actions.where}: {said} {hint}".rstrip())
    return tuple(found)


def _forms(site: Site) -> Iterator[FormDefinition]:
    """Basic forms, and those of steps."""
    yield from site.forms.values()
    for multistep in site.multistep_forms.values():
        yield from (step.basic for step in multistep.steps.values() if step.basic is not None)
