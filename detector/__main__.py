"""`python -m detector` is `tuermer`."""

from detector.cli import main

main()
