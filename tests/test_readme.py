"""The README says what the program says: generated tables are in step, commands and files that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from detector import config
from detector.cli import app
from detector.web import metrics

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- generated: make docs -->\n)(.*?)(\n<!-- /generated -->)", re.DOTALL)


def tables() -> tuple[str, str]:
    return config.table().strip(), metrics.table().strip()


def test_generated_tables_are_in_step() -> None:
    assert [match[1] for match in BLOCK.findall(README.read_text())] == list(tables()), "say `make docs`"


def test_every_command_it_names_exists() -> None:
    named = set(re.findall(r"`tuermer ([a-z-]+)", README.read_text()))
    assert len(named) >= 5
    assert named <= {name for name in app if not name.startswith("-")}


def test_every_file_it_links_exists() -> None:
    linked = {target for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()) if not target.startswith("http")}
    assert len(linked) >= 5
    assert [target for target in linked if not (ROOT / target).exists()] == []


@pytest.mark.parametrize("target", ["run", "test", "lint", "bench", "soak", "kafka", "conformance"])
def test_every_make_target_it_names_exists(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f"make {target}" in README.read_text()


def main() -> None:
    """Writes the generated tables into the README."""
    found = iter(tables())
    README.write_text(BLOCK.sub(lambda match: match[1] + next(found) + match[3], README.read_text()))


if __name__ == "__main__":
    main()
