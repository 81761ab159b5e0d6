"""The tf.data pipeline that `benchmarks.data_reading` compares with, in a process of its own: FOLDER BATCHES THREADS.

For every line on standard input it reads so many batches and prints [frames / s, frames / CPU s].
"""

import json
import os
import sys
import time
from pathlib import Path

BATCH = 256


def main() -> None:
    """Builds the pipeline, then measures on request."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    folder, batches, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    image, action = "steps/observation/image_wrist_1", "steps/action"
    described = {
        image: tf.io.RaggedFeature(tf.string),
        action: tf.io.FixedLenSequenceFeature((7,), tf.float32, allow_missing=True),
    }

    def steps(record):  # noqa: ANN001, ANN202
        episode = tf.io.parse_single_example(record, described)
        return tf.data.Dataset.from_tensor_slices((episode[image], episode[action]))

    def augmented(encoded, action):  # noqa: ANN001, ANN202
        picture = tf.image.convert_image_dtype(tf.io.decode_jpeg(encoded, channels=3), tf.float32)
        side = 0.9**0.5
        corner = tf.random.uniform((2,), 0, 1 - side)
        box = tf.concat([corner, corner + side], 0)
        picture = tf.image.crop_and_resize(picture[None], box[None], [0], (128, 128))[0]
        picture = tf.image.random_brightness(picture, 0.2)
        picture = tf.image.random_contrast(picture, 0.8, 1.2)
        picture = tf.image.random_saturation(picture, 0.8, 1.2)
        picture = tf.image.random_hue(picture, 0.05)
        return tf.image.convert_image_dtype(picture, tf.uint8, saturate=True), action

    files = tf.data.Dataset.from_tensor_slices(sorted(map(str, folder.glob("*.tfrecord-*"))))
    frames = files.shuffle(1000).repeat().interleave(tf.data.TFRecordDataset, 8).flat_map(steps).shuffle(2000)
    pipeline = frames.map(augmented, num_parallel_calls=threads).batch(BATCH).prefetch(4)
    reader = pipeline.as_numpy_iterator()
    next(reader)
    for _ in sys.stdin:
        for _ in range(4):
            next(reader)  # what was read ahead meanwhile does not count
        started, cpu = time.perf_counter(), time.process_time()
        for _ in range(batches):
            next(reader)
        count = batches * BATCH
        print(json.dumps([count / (time.perf_counter() - started), count / (time.process_time() - cpu)]), flush=True)


if __name__ == "__main__":
    main()
