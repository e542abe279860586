"""The rooms of the house: who may import whom, and what every file promises. Each rule carries its reason."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "detector"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Downwards in the journey only: a room may import from rooms that stand before it here, and from itself.
ROOMS = (
    ("sentence", "visible"),
    ("sections",),
    ("grafanasections", "desksections", "retentionsections"),
    ("records", "config", "logs"),
    ("configcheck", "packs"),
    ("grafanacheck", "deskcheck", "openingcheck"),
    ("configload",),
    ("sources",),
    ("decode",),
    ("privacy",),
    ("features",),
    ("forest",),
    ("judge",),
    ("pipeline",),
    ("store",),
    ("deliver",),
    ("opening",),
    ("simulate",),
    ("learn",),
    ("grafana",),
    ("web",),
    ("lanes",),
    ("inputs",),
    ("daemon", "scorer"),
    ("rehearsal",),
    ("drill",),
    ("night",),
    ("watch", "grafanawatch"),
    ("assembly",),
    ("warm",),
    ("desk",),
    ("custody",),
    ("proofreport", "prooftext"),
    ("proof",),
    ("modelsdesk",),
    ("options",),
    ("deskcli", "modelscli", "grafanacli", "openingcli", "pagecli", "privacycli"),
    ("practice",),
    ("notebookcli",),
    ("run", "demo", "replay", "tryout", "doctor"),
    ("backtest", "traincli"),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(ROOMS) for name in names}
PURE = ("features", "judge", "forest")
# What does I/O. forest/artefact.py and features/table.py read model files: the one exception, by name.
IO_MODULES = {"socket", "psycopg", "kafka", "subprocess", "requests", "urllib", "http", "time", "random", "threading"}
SECRETS_OF_PYTHON = {"pickle", "shelve", "marshal", "dill", "joblib"}


def imports(module: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def room(name: str) -> str:
    return name.split(".")[1]


def test_there_are_modules_to_check() -> None:
    assert len(MODULES) > 30


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(ROOT)))
def test_imports_point_downwards_in_the_journey(module: Path) -> None:
    own = module.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    assert own in RANK, f"{own} is not in the list of rooms"
    for name in imports(module):
        if name.startswith("detector.") and room(name) != own and room(name) in RANK:
            assert RANK[room(name)] < RANK[own], f"{module.name} imports {name}, which comes later in the journey"


@pytest.mark.parametrize("module", [m for m in MODULES if m.relative_to(PACKAGE).parts[0] in PURE], ids=lambda m: str(m.relative_to(ROOT)))
def test_the_core_does_no_io_and_reads_no_clock(module: Path) -> None:
    touched = {name.split(".")[0] for name in imports(module)} & IO_MODULES
    assert not touched
    assert not re.search(r"\b(datetime\.now|time\.time|time\.monotonic)\(", module.read_text())


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(ROOT)))
def test_nothing_is_unpickled(module: Path) -> None:
    assert not ({name.split(".")[0] for name in imports(module)} & SECRETS_OF_PYTHON)
    assert "allow_pickle=True" not in module.read_text()


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(ROOT)))
def test_modules_stay_readable(module: Path) -> None:
    assert module.read_text().count("\n") <= 330, "about 300 lines: split it by idea"


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name != "" and (ROOT / name).is_file()]


def test_no_words_that_the_product_is_not() -> None:
    banned = re.compile("|".join(["insider" + " threat", "user risk" + " score", "employee" + " monitoring"]), re.IGNORECASE)
    found = [p.name for p in tracked() if p.suffix in {".py", ".md", ".toml", ".html", ".sql"} and banned.search(p.read_text())]
    assert found == []


def test_no_address_of_a_package_registry_is_committed() -> None:
    hosts = re.compile(
        "|".join(["pypi" + r"\.org", "pythonhosted" + r"\.org", "repo1?" + r"\.maven", "registry" + r"\.npmjs", "--index" + "-url"])
    )
    found = [p.name for p in tracked() if p.suffix not in {".png", ".npy", ".npz"} and hosts.search(p.read_text(errors="replace"))]
    assert found == []
