"""Episodes on disk: RLDS data sets written and read without TensorFlow, their statistics, and batches for training."""
