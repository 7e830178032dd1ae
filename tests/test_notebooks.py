"""Notebooks: thin, executed from top to bottom, checked by nbval where it counts."""

import json

import nbformat
import pytest
from conftest import ROOT, publish, record

import lga
from lga import notebooks

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def code_cells(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def test_every_dataset_has_its_notebook():
    assert set(lga.DATASETS) <= {path.stem for path in NOTEBOOKS}


@every_notebook
def test_notebook_is_thin(path):
    cells = code_cells(path)
    assert len(cells) <= 15 and path.stat().st_size <= 200_000
    for cell in cells:
        if path.stem == "your_own_data" and cell.source.startswith("class Gamma"):
            lines = [line for line in cell.source.splitlines() if line.strip()]
            assert len(lines) <= 10  # a group of one's own, in ten lines
            continue
        assert len(cell.source.splitlines()) <= 8, cell.source
        starts = {line.split(" ")[0] for line in cell.source.splitlines()}
        assert not starts & {"def", "class", "for", "while"}, cell.source


@every_notebook
def test_notebook_was_executed_from_top_to_bottom_without_an_error(path):
    cells = code_cells(path)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    assert not [o for c in cells for o in c.outputs if o.output_type == "error"]


@every_notebook
def test_nbval_has_something_to_check(path):
    """nbval passes a marked cell without an execution count unchecked."""
    marked = [c for c in code_cells(path) if "nbval-check-output" in tags(c)]
    assert marked and all(c.execution_count and c.outputs for c in marked)


@every_notebook
def test_metadata_holds_nothing_of_one_run_or_machine(path):
    content = nbformat.read(path, as_version=4)
    assert "papermill" not in content.metadata and "widgets" not in content.metadata
    assert all("execution" not in cell.metadata for cell in content.cells)
    assert str(ROOT) not in path.read_text()


@pytest.mark.parametrize("dataset", lga.DATASETS)
def test_parameters_are_those_of_the_contract_with_a_reason_each(dataset):
    path = ROOT / "notebooks" / f"{dataset}.ipynb"
    (cell,) = [c for c in code_cells(path) if "parameters" in tags(c)]
    names = [line.split(" = ")[0] for line in cell.source.splitlines()]
    assert names == ["system", "profile", "seed", "source", "data_root", "results_dir", "overrides"]
    assert all("  # " in line for line in cell.source.splitlines())
    import papermill

    assert list(papermill.inspect_notebook(str(path))) == names


def test_an_unknown_notebook_parameter_is_an_error(tmp_path):
    run = lga.configure("rotated_mnist", results_dir=tmp_path)
    with pytest.raises(ValueError, match="unknown notebook parameter 'sede'"):
        notebooks.run_notebook(run, {"sede": 1})


def test_a_failing_cell_is_an_error_and_leaves_no_record(tmp_path):
    run = lga.configure("rotated_mnist", results_dir=tmp_path)
    with pytest.raises(RuntimeError, match="unknown system 'nobody'"):
        notebooks.run_notebook(run, {"system": "nobody", "results_dir": str(tmp_path)})
    assert not list(tmp_path.rglob("metrics.json"))


def test_one_place_holds_the_public_address(monkeypatch, tmp_path):
    address = notebooks.public_address()
    found = []
    for path in [ROOT / "README.md", *NOTEBOOKS]:
        found += [m.group() for m in notebooks.ADDRESS.finditer(path.read_text())]
    assert set(found) == {address}

    (tmp_path / "notebooks").mkdir()
    for name in ("README.md", "CITATION.cff", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    project = tmp_path / "pyproject.toml"
    project.write_text(project.read_text().replace(address, "github.com/someone/somewhere"))
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path / "notebooks")
    assert tmp_path / "README.md" in notebooks.write_address()
    text = (tmp_path / "README.md").read_text()
    assert address not in text and "/gh/someone/somewhere/" in text
    assert notebooks.write_address() == []


def test_tables_are_shown_where_little_was_run(tmp_path):
    publish(tmp_path, record())
    namespace = {}
    for cell in code_cells(ROOT / "notebooks" / "tables.ipynb"):
        exec(cell.source, namespace)
        if "parameters" in tags(cell):
            namespace |= {"profile": "quick", "results_dir": tmp_path}


@pytest.mark.slow
def test_lga_run_keeps_the_executed_notebook_with_its_record(tmp_path):
    run = {"system": "swarnali2025", "overrides": "train_pairs=256 validations=2 test_pairs=20",
           "results_dir": str(tmp_path)}  # fmt: skip
    folder = notebooks.run_notebook(lga.configure("rotated_mnist", **run), run)
    executed = json.loads((folder / "notebook.ipynb").read_text())
    assert "swarnali2025" in json.dumps(executed["cells"])
    assert "papermill" not in executed["metadata"]
    assert lga.records.read_json(folder / "metrics.json")["train_pairs"] == 256
