"""The `rldg` command: one thin module per verb."""
