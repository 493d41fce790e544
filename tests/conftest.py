"""Markers: by folder, by what a test needs, and for modules whose tests start other programs or take seconds."""

import gc
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, however slow the machine is.
settings.register_profile(
    "orstats", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("orstats")

#: A grammar that jsonschema, for nbformat, would compile for two seconds to check a format of no notebook.
sys.modules["rfc3987_syntax"] = None

HERE = Path(__file__).parent
BY_FOLDER = {"browser": ("browser", "slow"), "chaos": ("chaos", "slow")}
#: Modules whose tests are slow: processes, notebooks, engines, commands of the documentation, simulated hours.
SLOW = {
    "account/test_list_generations.py",
    "account/test_reconcile.py",
    "api/test_rate_limit.py",
    "archive/test_archive_processes.py",
    "archive/test_archive_remote.py",
    "archive/test_flipped_bits.py",
    "archive/test_rewritten_parts.py",
    "cli/test_conditions.py",
    "cli/test_explore.py",
    "cli/test_help_examples.py",
    "cli/test_processes.py",
    "cli/test_report_change.py",
    "cli/test_scheduled.py",
    "docs/test_notebooks.py",
    "docs/test_pages.py",
    "docs/test_site.py",
    "export/test_html_page.py",
    "fetching/test_fetch.py",
    "fetching/test_fetch_archive.py",
    "fetching/test_fetch_faults.py",
    "fetching/test_fetch_threads.py",
    "fuzz/test_fuzz.py",
    "packaging/test_distributions.py",
    "plots/test_plots.py",
    "reports/test_backends.py",
    "reports/test_report_inputs.py",
    "reports/test_report_periods.py",
    "reports/test_report_time.py",
    "security/test_bombs.py",
    "security/test_injection.py",
    "security/test_key.py",
    "security/test_key_locals.py",
    "sim/test_sdk.py",
}


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Start two workers more than cores, because tests wait for servers, browsers and programs half of the time."""
    return (yield) + 2


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Keep modules and tests out of garbage collection: to look through them again and again is a fifth of all CPU."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


@cache
def markers_of(path):
    """The markers of a module by its place; None for the examples of a docstring."""
    if not path.is_relative_to(HERE):
        return None
    below = path.relative_to(HERE)
    return (*BY_FOLDER.get(below.parts[0], ()), *(["slow"] if below.as_posix() in SLOW else []))


def pytest_collection_modifyitems(items):
    for item in items:
        markers = markers_of(item.path)
        if markers is None:
            continue
        is_spark = any("spark" in name for name in (*item.fixturenames, item.name))
        for name in {*markers, *(["spark", "slow"] if is_spark else [])}:
            item.add_marker(getattr(pytest.mark, name))
    # Modules with slow tests first, so that no worker is left with one of them at the end (--no-loadscope-reorder).
    browser, slow = ({item.path for item in items if item.get_closest_marker(name)} for name in ("browser", "slow"))
    items.sort(key=lambda item: (item.path not in browser, item.path not in slow))
