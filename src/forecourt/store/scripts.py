"""Python files of a solution folder, loaded as modules of their own. All faults of all files are collected.

Solutions bring business logic as Python: plug-ins of the Dataverse side, hooks of the operations side. A file is part
of the solution as much as its YAML and is trusted as much as the server's own code: it runs in this process, once,
when the solution is loaded. It is UTF-8 text, at most 4 MB, never outside of the folder.

A module's name is private (``forecourt_solution.<hash>.<name>``), so that two solutions, or two files of one name,
never meet; files are found by path, ``sys.path`` is left as it is, and no bytecode is written beside them. Files do
not import each other: what several need belongs into a package that is installed.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from forecourt.kernel.errors import DefinitionError, ForecourtError
from forecourt.kernel.model import Where
from forecourt.store.folder import MAX_BYTES, Faults

#: First part of the names of all loaded modules.
PREFIX = "forecourt_solution"


@dataclass(frozen=True)
class Script:
    """A loaded file."""

    path: Path
    module: ModuleType

    def functions(self, mark: str) -> list[Callable[..., Any]]:
        """The file's own functions that carry the attribute ``mark``, as a decorator leaves it; in their order."""
        found = {
            id(item): item
            for item in vars(self.module).values()
            if callable(item) and hasattr(item, mark) and getattr(item, "__module__", None) == self.module.__name__
        }
        return sorted(found.values(), key=line_of)

    def where(self, found: object = None) -> Where:
        """The place of a function of the file, or of the file."""
        return Where(str(self.path), line_of(found))


def line_of(found: object) -> int:
    """The first line of a function, its decorators included; 1 where it has none."""
    code = getattr(inspect.unwrap(found) if callable(found) else found, "__code__", None)
    return code.co_firstlineno if isinstance(code, CodeType) else 1


def load_scripts(root: Path, pattern: str, faults: Faults) -> list[Script]:
    """All Python files of ``pattern`` below ``root``, run in name order; faulty ones are noted and left out.

    Files and folders whose name begins with ``_`` or ``.`` are left out (``__pycache__``).
    """
    loaded = []
    for path in sorted(root.glob(pattern)):
        if not path.is_file() or any(part.startswith(("_", ".")) for part in path.relative_to(root).parts):
            continue
        try:
            loaded.append(Script(path, _load(root, path)))
        except DefinitionError as error:
            faults.add(error)
    return loaded


def _load(root: Path, path: Path) -> ModuleType:
    file = str(path)
    code = _compiled(root, path)
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    module = ModuleType(f"{PREFIX}.{place}.{path.stem}")
    module.__file__ = file
    sys.modules[module.__name__] = module  # dataclasses and typing look a class's module up here
    try:
        exec(code, module.__dict__)  # noqa: S102  (the solution's own code: see above)
    except Exception as error:
        del sys.modules[module.__name__]
        raise DefinitionError(file, _line(error, file), _what(error), _hint(error)) from error
    except SystemExit:
        del sys.modules[module.__name__]
        raise DefinitionError(
            file, 1, "leaves the program while it is loaded.", "Only define functions here."
        ) from None
    return module


def _compiled(root: Path, path: Path) -> CodeType:
    file = str(path)
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            raise DefinitionError(file, 1, "leads out of the solution's folder.")
        if path.stat().st_size > MAX_BYTES:
            raise DefinitionError(file, 1, f"is larger than {MAX_BYTES // 1024 // 1024} MB.")
        text = path.read_text("utf-8-sig")
        return compile(text, file, "exec", dont_inherit=True)
    except UnicodeDecodeError:
        raise DefinitionError(file, 1, "is not UTF-8 text.", "Save it as UTF-8.") from None
    except OSError as error:
        raise DefinitionError(file, 1, f"cannot be read: {error.strerror}.") from None
    except SyntaxError as error:
        raise DefinitionError(file, error.lineno or 1, f"not valid Python: {error.msg}.") from None
    except ValueError:
        raise DefinitionError(file, 1, "not valid Python: it holds a null character.") from None


def _line(error: Exception, file: str) -> int:
    """The line of ``file`` that was running when ``error`` was raised: the innermost one."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return (lines[-1] if lines else None) or 1


def _what(error: Exception) -> str:
    if isinstance(error, DefinitionError):
        return error.message
    text = str(error)
    return text if isinstance(error, ForecourtError) else f"fails when it is loaded: {type(error).__name__}: {text}."


def _hint(error: Exception) -> str:
    return error.hint if isinstance(error, DefinitionError) else ""
