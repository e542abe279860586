"""Bytes become ECS columns. A log format is a table (`formats/*.toml`), not code; four tokenizers do the work.

lines (framing, clocks) → envelope → observers → recognise → tokenizer (spans) → convert (columns) → `decoded.Decoded`
"""

from detector.decode.decoded import Decoded, Origin, Reject
from detector.decode.decoder import Decoder
from detector.decode.render import to_json

__all__ = ["Decoded", "Decoder", "Origin", "Reject", "to_json"]
