"""The packages that the project names are the same wherever it names them."""

import re
import tomllib

from conftest import ROOT

CONDA_NAMES = {"torch": "pytorch", "snakemake": "snakemake-minimal"}


def names(lines):
    """Package names without versions and extras, in lower case."""
    return {re.split(r"[<>=!~\[; ]", line.strip(), maxsplit=1)[0].lower() for line in lines}


def wanted():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    return names([*project["dependencies"], *(name for extra in extras for name in extra)])


def test_the_environment_holds_what_the_project_names():
    entries = re.findall(r"^ +- ([\w=.-]+)$", (ROOT / "environment.yml").read_text(), re.MULTILINE)
    there = names(entries) - {"conda-forge", "python", "pip"}
    assert there == {CONDA_NAMES.get(name, name) for name in wanted()}


def test_the_lock_holds_what_the_project_names_and_no_address():
    text = (ROOT / "requirements.lock").read_text()
    assert wanted() <= names(text.splitlines())
    assert "://" not in text and "--index" not in text
