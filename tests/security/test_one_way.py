"""There is one way to rows, and the code shows it: who makes secured plans, who works as the system, who writes SQL."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import forecourt

SOURCE = Path(forecourt.__file__).resolve().parent

#: Modules that do the system's own work, each with a reason that its statements give.
SYSTEM = {
    "app/__init__.py",
    "app/databases.py",
    "cli/bench_audit.py",
    "cli/benching/subject.py",
    "cli/user.py",
    "dataverse/organization.py",
    "dataverse/schema_apply.py",
    "dataverse/schema_catalog.py",
    "identity/accounts.py",
    "identity/applications.py",
    "identity/contacts.py",
    "identity/invitations.py",
    "identity/links.py",
    "identity/mail/outbox.py",
    "identity/pending.py",
    "identity/people.py",
    "identity/principals.py",
    "identity/providers/identities.py",
    "identity/recovery.py",
    "identity/registration.py",
    "identity/second_factor.py",
    "identity/sessions.py",
    "identity/throttle.py",
    "identity/tokens.py",
    "kernel/plan.py",
    "operations/packages/blobs.py",
    "operations/packages/queues.py",
    "operations/packages/register.py",
    "operations/sequences.py",
    "server.py",
    "store/beneath.py",
    "store/catalog.py",
    "store/cells.py",
    "store/database.py",
    "store/form_sessions.py",
    "store/integration_log.py",
    "store/migrate.py",
    "store/page_texts.py",
    "store/recovery.py",
    "store/seals.py",
    "store/security_log.py",
    "store/servers.py",
    "store/submissions.py",
    "store/sync/bulk.py",
    "store/sync/contests.py",
    "store/sync/ends.py",
    "store/sync/journal.py",
    "store/sync/merge.py",
    "store/sync/outbox.py",
    "store/sync/registry.py",
    "store/tombstones.py",
    "store/watched.py",
    "store/work.py",
}

#: Methods of a database that run work of the system, and who may call them.
SYSTEM_CALLS = {"system", "transaction", "script", "copy_in"}
SYSTEM_CALLERS = SYSTEM | {
    "cli/workspace.py",
    "dataverse/assigning.py",
    "dataverse/cascades.py",
    "dataverse/changes.py",
    "identity/schema.py",
    "operations/packages/error_files.py",
    "operations/packages/exports.py",
    "operations/packages/jobs.py",
}

#: Modules that compose SQL text.
SQL = ("store/", "identity/", "dataverse/schema", "operations/packages/register.py", "operations/sequences.py")


def modules() -> list[str]:
    return sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))


def tree(module: str) -> ast.Module:
    return ast.parse((SOURCE / module).read_text("utf-8"))


def calls(module: str) -> Iterator[tuple[str, ast.Call]]:
    """Names of what is called, without what it belongs to."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                yield function.id, node
            elif isinstance(function, ast.Attribute):
                yield function.attr, node


def imported(module: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name.rpartition(".")[2] for alias in node.names}
    return names


def test_the_search_sees_the_code() -> None:
    assert len(modules()) > 100
    assert ("SecuredPlan" in {name for name, _ in calls("security/enforce.py")}) is True


@pytest.mark.parametrize("name", ["SecuredPlan", "SecuredExpand", "SecuredWrite"])
def test_only_enforcement_makes_what_the_store_runs(name: str) -> None:
    makers = [module for module in modules() if name in {called for called, _ in calls(module)}]
    assert makers == ["security/enforce.py"]


def test_nothing_makes_a_secured_plan_in_a_roundabout_way() -> None:
    """No alias, no subclass, no replacement of a field, no pickled or converted plan."""
    secured = {"SecuredPlan", "SecuredExpand", "SecuredWrite"}
    for module in modules():
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.ImportFrom | ast.Import):
                assert not any(alias.name in secured and alias.asname for alias in node.names), module
            elif isinstance(node, ast.ClassDef):
                assert not any(isinstance(base, ast.Name) and base.id in secured for base in node.bases), module
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
                assert node.value.id not in secured, module
        if {"security/enforce.py", "kernel/plan.py"} & {module} or module.startswith("store/"):
            continue
        for called, node in calls(module):
            if called == "replace":
                text = ast.unparse(node)
                assert "secured" not in text, (module, text)
            assert called not in {"pickle", "eval", "exec"}, module


def test_the_store_compiles_requests_for_the_gate_alone() -> None:
    compilers = {"compile_read", "compile_write"}
    users = [module for module in modules() if not module.startswith("store/") and compilers & imported(module)]
    assert users == ["security/gate.py", "security/writes.py"]


def test_a_select_of_the_systems_own_is_compiled_where_nobody_asks_for_rows() -> None:
    """Explain looks through the gate, and so does what asks at random, audit looks at cohorts of people; users and
    umbrellas are what decisions rest on."""
    compilers = {"compile_select", "compile_witness"}
    users = {module for module in modules() if not module.startswith("store/") and compilers & imported(module)}
    assert users == {"operations/users.py", "security/gate.py", "security/scopes.py", "security/standing.py"}
    lookers = {module for module in modules() if "look" in {called for called, _ in calls(module)}}
    assert lookers <= {"cli/fuzzing/readable.py", "security/explain/looking.py"}
    cohorts = {module for module in modules() if "cohort" in {called for called, _ in calls(module)}}
    assert cohorts <= {"security/audit/asking.py"}


def test_the_systems_own_statements_are_made_where_they_are_listed() -> None:
    makers = {module for module in modules() if "SystemPlan" in {called for called, _ in calls(module)}}
    assert makers <= SYSTEM, sorted(makers - SYSTEM)


def test_a_database_works_for_the_system_only_where_it_is_listed() -> None:
    for module in modules():
        if module.startswith("store/") or module in SYSTEM_CALLERS or module.startswith("cli/"):
            continue
        found = SYSTEM_CALLS & {called for called, node in calls(module) if isinstance(node.func, ast.Attribute)}
        assert not found, (module, found)


def test_pages_and_integration_reach_no_database() -> None:
    for module in modules():
        if not module.startswith(("pages/", "integration/", "studio/")):
            continue
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                assert not node.module.startswith(("forecourt.store", "asyncpg", "sqlalchemy")), module


def test_only_the_store_knows_the_driver_and_the_sql_library() -> None:
    for module in modules():
        if module.startswith(("store/", "cli/")):
            continue
        for node in ast.walk(tree(module)):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else []
            )
            assert not any(name.split(".")[0] in ("asyncpg", "sqlalchemy") for name in names), module


def test_sql_is_composed_in_the_store_and_never_from_text_elsewhere() -> None:
    """An f-string, a ``%`` or a ``format`` over what looks like SQL, outside the modules that may."""
    words = ("select ", "insert into", "update ", "delete from", " where ", "create table", "alter table", "drop ")
    for module in modules():
        if module.startswith(SQL) or module.startswith("cli/"):
            continue
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value for part in node.values if isinstance(part, ast.Constant)]
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant):
                parts = [node.left.value]
            else:
                continue
            text = " ".join(str(part) for part in parts).lower()
            assert not text.lstrip().startswith(words[:4]), (module, node.lineno, text)
            assert not any(word in text for word in words[5:7]), (module, node.lineno, text)
