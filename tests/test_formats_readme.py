"""The worked example of detector/decode/formats/README.md is a format: it is read out of the page and its samples are tried."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from detector.config import Topic
from detector.decode import Decoder, to_json
from detector.decode.table import of_toml, shipped
from detector.records import Place, of_lines

PAGE = (Path(__file__).parents[1] / "detector" / "decode" / "formats" / "README.md").read_text("utf-8")
NOW = int(datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp() * 1_000_000)


def test_the_worked_example_works_beside_the_shipped_formats() -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    table = of_toml(toml, "README.md")
    decoder = Decoder.build([Topic(name="*", tenant="stadt", timezone="UTC")], tables={**shipped(), table.name: table})
    lines = [sample.line.encode() for sample in table.samples]
    answers = to_json(decoder.decode(of_lines(lines, Place("doors", 0), timestamp=NOW)), len(lines))
    refused, tested, broken = answers
    assert {name: value for name, value in refused.items() if name not in ("event.dataset", "session.key")} == table.samples[0].event
    assert (tested, broken) == ({"ignored": "doord"}, {"dead_letter": "no-template"})


def test_the_page_lists_every_action_that_a_shipped_format_sets() -> None:
    set_somewhere = {
        outcome.set["event.action"]
        for table in shipped().values()
        for outcome in (*table.rules, *table.templates)
        if "event.action" in outcome.set
    }
    assert {action for action in set_somewhere if f"`{action}`" not in PAGE} == set()
