"""The import rule of CONTRIBUTING.md, read off the source."""

import ast
import subprocess
import sys
from pathlib import Path

import lga

PACKAGE = Path(lga.__file__).parent
LEAVES = {"devices", "lookup", "metrics", "options", "pairs", "paths", "precision", "sources",
          "splits"}  # fmt: skip
MAY_IMPORT = {
    **{leaf: set() for leaf in LEAVES},
    "groups": {"devices"},
    "networks": {"networks", "cameras", "devices", "representations"},
    "representations": {"devices", "groups"},
    "latents": {"groups", "representations"},
    "cameras": {"devices", "groups"},
    "losses": {"lookup", "metrics"},
    "profiles": {"datasets", "lookup", "options", "systems"},
    "systems": {"systems", "cameras", "networks", "latents", "losses", "groups", "pairs", "lookup",
                "metrics", "options", "representations"},
    "pictures": {"pictures", "cameras", "groups", "paths", "splits"},
    "datasets": {"datasets", "cameras", "devices", "groups", "pairs", "pictures", "lookup",
                 "options", "paths", "sources", "splits"},
    "laws": {"metrics", "networks", "systems"},
    "figures": {"metrics", "pairs", "systems"},
    "records": {"paths"},
    "tables": {"metrics", "paths", "records", "sources"},
    "optimizers": {"precision"},
    "training": {"datasets", "metrics", "optimizers", "pairs", "precision", "profiles", "systems"},
    "evaluation": {"datasets", "laws", "metrics", "pairs", "profiles", "systems"},
    "runs": {"datasets", "evaluation", "figures", "lookup", "metrics", "options", "paths",
             "precision", "profiles", "records", "sources", "systems", "training"},
    "explorer": {"datasets", "groups", "precision", "runs", "systems"},
    "ablations": {"lookup", "metrics", "paths", "records", "runs", "tables"},
    "benchmarks": {"paths", "records"},
    "charts": {"figures", "paths", "records", "tables"},
    "probes": {"datasets", "lookup", "runs", "systems", "tables"},
    "catalogue": {"datasets", "lookup", "metrics", "paths", "precision", "profiles", "records",
                  "runs", "systems", "tables"},
}  # fmt: skip
ABOVE_ALL = {"__init__", "cli", "notebooks"}


def modules_used(path: Path) -> set[str]:
    """Top-level names of everything a file imports; `lga.x.y` counts as `lga.x`."""
    used = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            used |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "lga":
            used |= {f"lga.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            used.add(node.module)
    return {".".join(name.split(".")[:2]) if name.startswith("lga") else name.split(".")[0]
            for name in used}  # fmt: skip


def sources() -> dict[Path, str]:
    """Every source file with the name of its layer."""
    return {path: path.relative_to(PACKAGE).parts[0].removesuffix(".py")
            for path in PACKAGE.rglob("*.py")}  # fmt: skip


def test_every_module_has_its_place():
    assert set(sources().values()) == set(MAY_IMPORT) | ABOVE_ALL


def test_imports_point_down():
    for path, layer in sources().items():
        if layer not in ABOVE_ALL:
            own = {name.removeprefix("lga.") for name in modules_used(path) if "lga." in name}
            assert own <= MAY_IMPORT[layer], f"{path.name} may not import {own - MAY_IMPORT[layer]}"


def test_only_notebooks_knows_papermill():
    knowing = {path.name for path in sources() if "papermill" in modules_used(path)}
    assert knowing == {"notebooks.py"}


def test_training_needs_no_notebook_or_rendering_package():
    """The training path imports nothing that a bare GPU machine lacks."""
    code = (
        "import sys, lga; d = lga.load_dataset('rotated_mnist');"
        "s = lga.build_system('jin2024', d);"
        "lga.fit(s, d, lga.settings_for('quick', train_pairs=64, validations=1));"
        "heavy = {'papermill', 'nbformat', 'IPython', 'trimesh', 'nilearn', 'lpips', 'typer'};"
        "print(heavy & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "set()"
