"""OpenVLA in PyTorch: the published model and its checkpoints, without remote code."""
