from pathlib import Path

import nbclient
import nbformat
import pytest

from orstats.cli.demo_log import write_app_log
from orstats.sim import SimServer

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture
def quiet_home(tmp_path, monkeypatch):
    """No key, archive or settings of the user who runs the tests."""
    for variable in ("OPENROUTER_API_KEY", "OPENROUTER_MANAGEMENT_KEY", "OPENROUTER_BASE_URL", "ORSTATS_ARCHIVE"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("HOME", "XDG_DATA_HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "TMPDIR"):
        folder = tmp_path / variable.lower()
        folder.mkdir()
        monkeypatch.setenv(variable, str(folder))
    return tmp_path


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not [cell for cell in code if cell.outputs or cell.execution_count]
    assert "widgets" not in notebook.metadata
    assert notebook.cells[0].cell_type == "markdown", "goals come first"
    assert "Goals" in notebook.cells[0].source


def executed(path, folder):
    """Run all cells, then one that needs the API, as *Load prompt and completion* does; return what was printed."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("print('still there:', client.key()['label'])"))
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    assert "still there:" in printed
    bars = [text for one in outputs if (text := one.get("data", {}).get("text/plain", "")).startswith("orstats:")]
    assert bars
    assert all(bar.startswith("orstats: 100%") for bar in bars), "exports show the text of a bar, not its widget"
    return printed


def test_notebook_runs_without_a_key_and_keeps_its_simulator(quiet_home):
    """The site's tutorials, of test_site.py, are all notebooks without a key. This one writes files."""
    (path,) = (path for path in NOTEBOOKS if "02" in path.stem)
    executed(path, quiet_home)
    (report,) = quiet_home.rglob("report.html")
    assert {"by_model.xlsx", "by_model.csv"} <= {file.name for file in report.parent.iterdir()}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_with_a_key_and_a_log(path, quiet_home, monkeypatch):
    with SimServer(100) as sim:
        write_app_log(sim, quiet_home / "app.log")
        monkeypatch.setenv("OPENROUTER_API_KEY", sim.key)
        monkeypatch.setenv("OPENROUTER_BASE_URL", sim.base_url)
        monkeypatch.setenv("ORSTATS_ARCHIVE", str(quiet_home / "archive"))
        assert "Using the simulator" not in executed(path, quiet_home)
        assert sim.requests > 100


@pytest.mark.parametrize("path", NOTEBOOKS[:1], ids=lambda path: path.stem)
def test_notebook_with_a_key_and_no_log_says_that_it_uses_the_simulator(path, quiet_home, monkeypatch):
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-none")
    message = f"OPENROUTER_API_KEY is set, but {quiet_home / 'app.log'} does not exist. Using the simulator."
    assert message in executed(path, quiet_home)
