"""MP4 files of camera pictures, written and read through FFmpeg's libraries (PyAV)."""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rldg.data.exchange.extras import required
from rldg.errors import DatasetError, UsageError

Codec = Literal["h264", "av1"]
PIXELS = "yuv420p"  # colour at half the resolution: what browsers and hardware decoders play
_ENCODERS = {"h264": "libx264", "av1": "libsvtav1"}
# x264's macroblock tree looks further ahead than such short groups go, and reads memory that nobody has written: its
# files would differ from run to run.
_OPTIONS = {"h264": {"bf": "0", "mbtree": "0"}, "av1": {}}
LARGEST_CRF = {"h264": 51, "av1": 63}
_GROUP = 2  # every second frame can be decoded by itself, as LeRobot does: training reads frames at random


class VideoFile:
    """Frames of one camera, written one by one; the file carries its name once `close` has been called.

    Args:
        path: of the MP4 file.
        rate: frames per second.
        shape: height, width, channels of every frame.
        codec: "h264", which everything plays, or "av1", which is smaller and slower.
        crf: quality, from 0 (best) to `LARGEST_CRF`.
    """

    def __init__(self, path: Path, rate: float, shape: tuple[int, ...], codec: Codec, crf: int) -> None:
        av = required("av", "lerobot")
        os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder's own log: errors only
        height, width = shape[:2]
        if height % 2 or width % 2:
            raise UsageError(f"Video needs even sizes, not {height} x {width}; pass --images embedded.")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._temporary = path, path.with_name(path.name + ".tmp")
        self._container = av.open(str(self._temporary), "w", format="mp4")
        options = {"crf": str(crf), "g": str(_GROUP), **_OPTIONS[codec]}
        self._stream: Any = self._container.add_stream(_ENCODERS[codec], rate=Fraction(rate), options=options)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, PIXELS
        self._stream.codec_context.thread_count = 1  # the number of threads would change the bytes
        self._frame = av.VideoFrame
        self._step = Fraction(1) / Fraction(rate)
        self.frames = 0
        self.size = 0  # bytes of the pictures so far

    def write(self, picture: np.ndarray) -> None:
        """Adds (H, W, 3) uint8 RGB."""
        frame = self._frame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = self.frames, self._step
        self._mux(frame)
        self.frames += 1

    def _mux(self, frame: Any) -> None:
        packets = self._stream.encode(frame)
        self.size += sum(packet.size for packet in packets)
        self._container.mux(packets)

    def close(self) -> None:
        """Completes the file."""
        self._mux(None)
        self._container.close()
        self._temporary.replace(self._path)


def read_frames(path: Path, start: float, count: int, rate: float) -> Iterator[np.ndarray]:
    """The `count` frames from `start` [s] on as (H, W, 3) uint8 RGB.

    Raises `DatasetError` if the file is missing, broken or ends before.
    """
    av = required("av", "lerobot")
    found = 0
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            container.seek(int(start / stream.time_base), stream=stream)
            for frame in container.decode(stream) if count else ():
                if frame.time < start - 0.5 / rate:
                    continue
                yield frame.to_ndarray(format="rgb24")
                found += 1
                if found == count:
                    return
    except (av.FFmpegError, OSError, IndexError) as error:
        raise DatasetError(f"{path} is no video that can be read: {error}.") from None
    if found < count:
        raise DatasetError(f"{path} has {found} of the {count} frames wanted from {start:.3f} s on.")
