"""What Octo and OpenVLA are told of a data set: entries to paste, statistics under their names, and what goes wrong."""
