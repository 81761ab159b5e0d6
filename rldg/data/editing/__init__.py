"""Edits of data sets. Each gives a new data set with its lineage; originals are never changed. One operation a file."""
