"""`python -m rldg` is `rldg`."""

from rldg.cli.main import run

run()
