"""Everything that the files of a solution say, read and checked, with or without a look at its database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from forecourt.dataverse.solution import DataverseSolution, check_tables, load_dataverse, relationships
from forecourt.dataverse.tables import Tables
from forecourt.integration.dual_write.definitions import MapFile
from forecourt.integration.dual_write.loader import PATTERN as MAP_FILES
from forecourt.integration.dual_write.loader import Maps, load_maps
from forecourt.integration.virtual.catalog import virtual_tables
from forecourt.kernel.errors import DefinitionError, DefinitionErrors
from forecourt.kernel.model import Where
from forecourt.kernel.predicate import Predicate
from forecourt.kernel.solution import SolutionHeader
from forecourt.operations.solution import OperationsSolution, load_operations
from forecourt.pages.liquid.reading import notices as liquid_notices
from forecourt.pages.site.loader import load_site
from forecourt.pages.site.site import Site
from forecourt.pages.subgrids.naming import notices as subgrid_notices
from forecourt.security.columns import opened, profiled
from forecourt.security.custom_access import meant, with_conditions
from forecourt.security.permission_checks import faults as permission_faults
from forecourt.security.permission_checks import findings as permission_findings
from forecourt.security.rules import PortalRules, Rules
from forecourt.store.catalog import Catalog
from forecourt.store.folder import Faults, read_file, read_files, read_words


@dataclass(frozen=True)
class Definitions:
    """Everything that a solution's files say, checked."""

    header: SolutionHeader
    operations: OperationsSolution
    dataverse: DataverseSolution
    tables: Tables
    site: Site | None
    rules: Rules
    maps: Maps
    public_rows: Mapping[str, Predicate]

    @property
    def findings(self) -> tuple[DefinitionError, ...]:
        """Well-formed rules that cannot mean what their author meant."""
        if self.site is None:
            return self.operations.findings
        roles = self.site.web_roles
        everybody = (roles.anonymous, roles.authenticated)
        permissions = permission_findings(self.rules.portal, self.tables.model, *everybody, self.header.public)
        return (*self.operations.findings, *permissions, *self.site.findings)

    @property
    def notices(self) -> tuple[str, ...]:
        """What is odd in the site's files and texts but harmless, as ``file:line: text``."""
        if self.site is None:
            return ()
        return (*self.site.notices, *subgrid_notices(self.site, self.tables), *liquid_notices(self.site))


def read_header(root: Path) -> SolutionHeader:
    """``solution.yaml``. Raises DefinitionErrors."""
    faults = Faults()
    if not (root / "solution.yaml").is_file():
        hint = "Name the folder that holds solution.yaml."
        raise DefinitionErrors((DefinitionError(str(root / "solution.yaml"), 1, "the file does not exist.", hint),))
    loaded = read_file(root, root / "solution.yaml", SolutionHeader, faults)
    faults.raise_any()
    assert loaded is not None
    return loaded.record


def load_definitions(root: Path, catalog: Catalog | None = None) -> Definitions:
    """Reads and checks all files. ``catalog`` None: without looking at the database. Raises DefinitionErrors."""
    header = read_header(root)
    faults = Faults()
    read_words(root, faults)
    operations = load_operations(root, header, catalog, faults)
    dataverse = load_dataverse(root, frozenset(operations.model.entities), faults)
    virtual, choices = virtual_tables(operations.model, [item.record for item in dataverse.files])
    tables = Tables({**dataverse.native, **virtual}, {**dataverse.enums, **choices})
    check_tables(tables, dataverse.files, faults)
    maps, wrong = load_maps(read_files(root, MAP_FILES, MapFile, faults), operations.model, tables.model)
    for fault in wrong:
        faults.add(fault)
    people = relationships(dataverse.files, tables, faults)
    site = None
    if (root / "site").is_dir():
        try:
            site = load_site(root / "site")
        except DefinitionErrors as error:
            for item in error.errors:
                faults.add(item)
    portal = PortalRules()
    if site is not None:
        permissions, unread = with_conditions(site.permissions, tables.model)
        for fault in unread:
            faults.add(fault)
        columns = opened(site.web_api_columns, tables.model)
        portal = PortalRules(permissions, people, columns, profiled(site.column_profiles, tables.model))
    for fault in permission_faults(portal, tables.model):
        faults.add(fault)
    place = Where((root / "solution.yaml").as_posix(), 1)
    meant_rows, unclear = meant(header.public_rows, header.public, tables.model, place)
    for fault in unclear:
        faults.add(fault)
    faults.raise_any()
    rules = Rules(operations.rules, portal, dataverse.rules)
    return Definitions(header, operations, dataverse, tables, site, rules, maps, meant_rows)
