"""Runs of notebooks: the only file that knows papermill."""

import io
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lga.lookup import check_name
from lga.paths import NOTEBOOKS, ROOT, require_clone, shown
from lga.runs import Run


def run_notebook(run: Run, parameters: Mapping[str, Any]) -> Path:
    """Executes a dataset's notebook and keeps the executed copy with its run.

    Args:
        run: the resolved run; the notebook resolves it again from the parameters.
        parameters: what the notebook's parameters cell is given.

    Returns:
        The run's folder.

    Raises:
        FileNotFoundError: outside a clone, or for a dataset without a notebook.
        ValueError: for a parameter that the notebook does not have.
        RuntimeError: when a cell fails, with its error's last line.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    require_clone("running a notebook")
    notebook = NOTEBOOKS / f"{run.dataset}.ipynb"
    known = papermill.inspect_notebook(str(notebook))
    for name in parameters:
        check_name("notebook parameter", name, known)

    executed = run.folder.path.with_name(f".{run.folder.path.name}.ipynb")
    executed.parent.mkdir(parents=True, exist_ok=True)
    progress = PrefixedLines(f"{run.dataset}/{run.system}/{run.folder.path.name}")
    try:
        papermill.execute_notebook(
            str(notebook),
            str(executed),
            dict(parameters),
            progress_bar=False,
            stdout_file=progress,
            stderr_file=progress,
            # critical only: a shutdown interrupts its kernel, which may log that as an error
            extra_arguments=["--IPKernelApp.log_level=50"],
        )
    except PapermillExecutionError as error:
        raise RuntimeError(
            f"{error.ename}: {error.evalue}\n(cell {error.exec_count} of {shown(executed)})"
        ) from error
    clean(executed)
    return run.folder.add_notebook(executed)


class PrefixedLines(io.TextIOBase):
    """Shows the lines that cells print, each behind the name of its run: several run at a time."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def write(self, text: str) -> int:
        for line in filter(str.strip, text.splitlines()):
            print(f"{self.prefix} | {line}", file=sys.stderr, flush=True)
        return len(text)


def clean(notebook: Path) -> None:
    """Takes timings and paths that papermill wrote out of a notebook's metadata."""
    import nbformat

    content = nbformat.read(notebook, as_version=4)
    content.metadata.pop("papermill", None)
    for cell in content.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
    nbformat.write(content, notebook)


# ---------------------------------------------------------------------------------------------
# The public address: pyproject.toml holds it, badges and notebooks repeat it.

ADDRESS = re.compile(r"github\.com/[\w.-]+/[\w.-]+?(?=[/\s\"'\\)#]|\.git)")
BADGE_ADDRESS = re.compile(r"((?:/gh|/github)/)[\w.-]+/[\w.-]+(?=/)")


def public_address() -> str:
    """The repository's address without its scheme, as pyproject.toml has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["urls"]["Repository"].removeprefix("https://")


def write_address() -> list[Path]:
    """Writes the public address into README, CITATION.cff and notebooks; returns what changed."""
    address = public_address()
    repository = address.removeprefix("github.com/")
    changed = []
    for path in [ROOT / "README.md", ROOT / "CITATION.cff", *sorted(NOTEBOOKS.glob("*.ipynb"))]:
        old = path.read_text()
        new = BADGE_ADDRESS.sub(rf"\g<1>{repository}", ADDRESS.sub(address, old))
        if new != old:
            path.write_text(new)
            changed.append(path)
    return changed
