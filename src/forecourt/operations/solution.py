"""The operations part of a solution: entities, roles, policies, users, loaded and checked together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.model import LegalEntity, Model, Where
from forecourt.kernel.principal import OperationsUser
from forecourt.kernel.solution import SolutionHeader
from forecourt.operations.actions import check_actions
from forecourt.operations.contexts import context_strings
from forecourt.operations.definitions import (
    ConstructFile,
    EntityFile,
    EnumsFile,
    NumberSequencesFile,
    PolicyFile,
    RolesFile,
    UserTables,
)
from forecourt.operations.duties import role_conflicts, user_conflicts
from forecourt.operations.entities import build_entities, enums
from forecourt.operations.hooks import Hooks, load_hooks
from forecourt.operations.logic import FieldRules, field_rules
from forecourt.operations.packages.definitions import ProjectsFile
from forecourt.operations.packages.projects import Projects, load_projects
from forecourt.operations.policies.constructs import build_constructs
from forecourt.operations.policies.findings import policy_findings, user_findings
from forecourt.operations.policies.policies import build_policies
from forecourt.operations.roles import build_roles, build_users
from forecourt.operations.sequences import NumberSequences, load_sequences
from forecourt.security.rules import OperationsRules
from forecourt.store.catalog import Catalog
from forecourt.store.folder import Faults, read_file, read_files


@dataclass(frozen=True)
class OperationsSolution:
    """``findings``: well-formed rules that cannot mean what their author meant."""

    model: Model
    rules: OperationsRules
    users: Mapping[str, OperationsUser] = field(default_factory=dict)
    user_tables: UserTables | None = None
    findings: tuple[DefinitionError, ...] = ()
    hooks: Hooks = field(default_factory=Hooks)
    sequences: NumberSequences = field(default_factory=lambda: NumberSequences({}))
    fields: Mapping[str, FieldRules] = field(default_factory=dict)
    projects: Projects = field(default_factory=Projects)


def load_operations(root: Path, header: SolutionHeader, catalog: Catalog | None, faults: Faults) -> OperationsSolution:
    """Reads ``operations/``. Faults are collected; ``catalog`` None checks names against the files alone."""
    folder = root / "operations"
    enum_files = list(read_files(root, "operations/enums.yaml", EnumsFile, faults))
    entity_files = list(read_files(root, "operations/entities/*.yaml", EntityFile, faults))
    all_enums = enums(enum_files, entity_files, faults)
    entities = build_entities(entity_files, all_enums, catalog, faults)
    roles_file = read_file(root, folder / "roles.yaml", RolesFile, faults) if (folder / "roles.yaml").exists() else None
    hooks = load_hooks(root, entities, faults)
    check_actions(hooks, faults.add)
    roles, segregation = build_roles(roles_file, entities, frozenset(hooks.actions()), faults)
    users = build_users(roles_file, roles, faults)
    attributes = frozenset(name for user in users.values() for name, _ in user.attributes)
    construct_files = read_files(root, "operations/constructs/*.yaml", ConstructFile, faults)
    constructs = build_constructs(construct_files, catalog, attributes, faults)
    policy_files = read_files(root, "operations/policies/*.yaml", PolicyFile, faults)
    policies = build_policies(policy_files, catalog, attributes, constructs, faults)
    rules = OperationsRules(
        roles=roles,
        policies=tuple(policy for policy, _ in policies),
        external_users=header.external_users,
        strings=context_strings(root),
        views=catalog.views() if catalog is not None else {},
        segregation=segregation,
    )
    declared = [(user.id, user.roles) for user in users.values() if user.enabled]
    numbers = read_files(root, "operations/number_sequences.yaml", NumberSequencesFile, faults)
    sequences = load_sequences(list(numbers), faults)
    companies = {item.id: LegalEntity(item.id, item.name, item.currency) for item in header.legal_entities}
    model = Model(entities, all_enums, companies)
    projects = list(read_files(root, "operations/projects.yaml", ProjectsFile, faults))
    return OperationsSolution(
        model=model,
        rules=rules,
        users=users,
        user_tables=roles_file.record.user_tables if roles_file is not None else None,
        findings=(
            *policy_findings(policies, rules, entities),
            *role_conflicts(rules),
            *user_conflicts(rules, declared),
            *user_findings(rules, entities, declared, Where(str(folder / "roles.yaml"), 1)),
        ),
        hooks=hooks,
        sequences=sequences,
        fields=field_rules(entity_files, entities, all_enums, sequences, faults),
        projects=load_projects(projects, model, faults),
    )
