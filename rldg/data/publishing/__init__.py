"""Many collections into one sharded, shuffled, published data set: by Apache Beam on a cluster, or in this process.

What travels between machines are file names and offsets. Workers need this package, TFDS and protobuf, and of `rldg`
nothing else: no simulator, no JAX, no TensorFlow.
"""
