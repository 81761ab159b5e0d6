"""Whether a data set can be trusted: checks over its files, its episodes, and the whole; see docs/validate.md."""

from rldg.data.validation.finding import Finding, Place, Report
from rldg.data.validation.validate import validate

__all__ = ["Finding", "Place", "Report", "validate"]
