"""A page to look at data sets with: served to this machine, or written out as a static folder."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"  # the page itself, the same for both
