"""The builder of published data sets."""
