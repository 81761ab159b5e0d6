"""`EpisodesBuilder`: the class from which the builders of published data sets derive."""

import dataclasses
from importlib.util import find_spec
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder

from rldg.data.description import FEATURES, read_features
from rldg.data.publishing.files import as_path
from rldg.data.publishing.publication import Publication
from rldg.data.publishing.publish import publish
from rldg.data.publishing.tasks import Engine, in_process

# TFDS's configuration with the fields of `Publication`, so that `--config` takes them as JSON.
EpisodesConfig = dataclasses.make_dataclass(
    "EpisodesConfig",
    [(field.name, field.type, dataclasses.field(default=field.default)) for field in dataclasses.fields(Publication)],
    bases=(tfds.core.BuilderConfig,),
    eq=False,
    kw_only=True,
)


class EpisodesBuilder(FileReaderBuilder):
    """Publishes data sets of episodes as one. A data set with a name of its own sets `VERSION` and `PUBLICATION`.

    TFDS's own Beam writer sends every episode through the runner's shuffle, which the local runner holds in memory.
    This one sends paths: see `rldg.data.publishing`.
    """

    VERSION = tfds.core.Version("1.0.0")
    PUBLICATION: Publication | None = None

    @property
    def publication(self) -> Publication:
        """What is published: that of the class, or that of the configuration."""
        if self.PUBLICATION is not None:
            return self.PUBLICATION
        fields: dict[str, Any] = {
            field.name: getattr(self.builder_config, field.name) for field in dataclasses.fields(Publication)
        }
        return Publication(**{**fields, "sources": tuple(fields["sources"])})

    def _info(self) -> tfds.core.DatasetInfo:
        described = [as_path(folder) for folder in (self.data_dir, *self.publication.sources)]
        features = next((read_features(folder) for folder in described if (folder / FEATURES).exists()), None)
        info = tfds.core.DatasetInfo(builder=self, features=features, description=self.publication.description)
        if self.publication.file_format != "tfrecord":  # else `--file_format` may still choose
            info.set_file_format(self.publication.file_format)
        return info

    def download_and_prepare(  # pyright: ignore
        self, *, download_config: Any = None, file_format: Any = None, **_: Any
    ) -> None:
        """Publishes into `data_dir`. TFDS's own would work in a folder that it deletes when it is interrupted."""
        if file_format:
            self.info.set_file_format(file_format, override=True)
        self._download_and_prepare(None, download_config)
        self.info.read_from_directory(self.data_dir)

    def _download_and_prepare(self, dl_manager: Any, download_config: Any = None) -> None:
        download_config = download_config or tfds.download.DownloadConfig()
        file_format: Any = self.info.file_format
        asked = {"file_format": file_format.value, "shards": download_config.num_shards}
        publish(
            dataclasses.replace(self.publication, **{name: value for name, value in asked.items() if value}),
            self.data_dir,
            tfds.core.DatasetIdentity.from_builder(self),
            engine=_engine(download_config),
            overwrite=download_config.download_mode.overwrite_dataset,
        )


def _engine(download_config: Any) -> Engine:
    """Beam as `tfds build` was told to use it; this process where Beam is not installed."""
    if find_spec("apache_beam") is None:
        return in_process
    from rldg_episodes.beam_engine import BeamEngine

    return BeamEngine(download_config.beam_options, download_config.beam_runner)
