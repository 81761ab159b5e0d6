"""A trained model becomes the start of another: what is changed, what is kept, and what is said about it."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from rldg.errors import CheckpointError, UnknownNameError
from rldg.generalists.octo import config as configs
from rldg.generalists.octo.partial import load_params
from rldg.generalists.octo.surgery import Surgery
from rldg.generalists.octo.weights import flat
from tests.octo_checkpoints import LOWDIM, SMALL, same, weights

MORE = configs.LowdimConfig("joints", keys=("joints",))


@pytest.fixture(scope="module")
def given():
    return weights(SMALL, LOWDIM, seed=1)


def started(surgery, given, **options):
    """The weights and the report of a surgically changed `SMALL`."""
    model = surgery.apply(SMALL)
    sizes = {key: size for key, size in (LOWDIM | {"joints": 6}).items() if key in {part.name for part in model.lowdim}}
    return load_params(weights(model, sizes, seed=2), given, **options)


def test_nothing_asked_for_changes_nothing(given):
    assert Surgery().apply(SMALL) == SMALL
    params, report = started(Surgery(), given)
    assert same(params, given)
    assert not report.fitted and not report.fresh and not report.left


def test_dropping_the_wrist_and_swapping_the_head_keeps_the_rest(given):
    head = configs.ContinuousConfig(action_horizon=8)
    surgery = Surgery(drop=("wrist",), head=head, action_dim=6, lowdim=(MORE,), cameras={"primary": "side_1"})
    model = surgery.apply(SMALL)
    assert [(image.name, image.camera) for image in model.images] == [("primary", "side_1")]
    assert model.head == replace(head, action_dim=6)
    assert model.lowdim == (*SMALL.lowdim, MORE)
    params, report = started(surgery, given)
    trunk = {path for path in flat(given) if "wrist" not in path and not path.startswith("heads_action")}
    assert set(report.taken) == trunk
    assert all(np.array_equal(flat(params)[path], flat(given)[path]) for path in trunk)
    assert all("wrist" in path or path.startswith("heads_action") for path in report.left)
    assert set(report.fresh) == {path for path in flat(params) if "joints" in path or path.startswith("heads_action")}
    text = str(report)
    assert "not in the model" in text
    assert "initialised octo_transformer/obs_joints_projection (2 arrays): not in the checkpoint" in text
    assert len(text.splitlines()) < 30


def test_another_chunk_renews_only_what_depends_on_it(given):
    _, report = started(Surgery(action_horizon=2), given)
    assert report.fresh["heads_action/diffusion_model/reverse_network/Dense_1/kernel"] == (
        "its shape is (16, 14), the checkpoint's (16, 28)"
    )
    assert "heads_action/diffusion_model/cond_encoder/Dense_0/kernel" in report.taken
    _, report = started(Surgery(action_horizon=2), given, anew=("heads_action/*",))
    assert not any(path.startswith("heads_action") for path in report.taken)
    assert report.fresh["heads_action/diffusion_model/cond_encoder/Dense_0/kernel"] == "asked for"
    assert "initialised heads_action/diffusion_model (15 arrays): asked for" in str(report)


def test_a_longer_window_keeps_the_timesteps_that_were_trained(given):
    model = Surgery(window=5).apply(SMALL)
    assert (model.window, model.max_horizon) == (5, 5)
    params, report = started(Surgery(window=5), given)
    path = "octo_transformer/readout_action_pos_embedding"
    assert report.fitted[path] == "3 of the checkpoint's 3 timesteps kept for 5"
    np.testing.assert_array_equal(flat(params)[path][:, :3], flat(given)[path])
    shorter, _ = load_params(weights(replace(SMALL, max_horizon=2), LOWDIM), given)
    np.testing.assert_array_equal(flat(shorter)[path], flat(given)[path][:, :2])


def test_positions_of_patches_follow_the_size_of_the_images(given):
    path = "octo_transformer/obs_primary_pos_embedding"
    ramp = np.broadcast_to(np.arange(4.0)[:, None, None], (4, 4, 16)).reshape(1, 1, 16, 16)  # downwards
    given = {
        **given,
        "octo_transformer": {**given["octo_transformer"], path.split("/")[1]: jnp.zeros((1, 3, 16, 16)) + ramp},
    }
    params, report = started(Surgery(sizes={"primary": 16}), given)
    assert report.fitted[path] == "4 x 4 patches interpolated to 8 x 8"
    grid = np.asarray(flat(params)[path]).reshape(3, 8, 8, 16)
    assert (np.diff(grid, axis=1) >= 0).all()
    np.testing.assert_allclose(grid[:, [0, -1]], np.broadcast_to(np.array([0.0, 3.0])[:, None, None], (3, 2, 8, 16)))
    np.testing.assert_allclose(grid.mean(), 1.5)


def test_a_discrete_head_gets_the_readout_tokens_that_it_reads(given):
    head = configs.DiscreteConfig(bins=8, action_horizon=2)
    assert Surgery(head=head).apply(SMALL).readouts == 14
    assert Surgery(head=replace(head, pooling="attention")).apply(SMALL).readouts == 1
    _, report = started(Surgery(head=head), given)
    assert (
        report.fitted["octo_transformer/readout_action_pos_embedding"] == "1 of the checkpoint's 1 tokens kept for 14"
    )


@pytest.mark.parametrize(
    ("surgery", "error", "words"),
    [
        (Surgery(drop=("wirst",)), UnknownNameError, "Did you mean 'wrist'"),
        (Surgery(cameras={"primry": "side_1"}), UnknownNameError, "Did you mean 'primary'"),
        (Surgery(sizes={"proprio": 64}), UnknownNameError, "primary, wrist"),
        (Surgery(drop=("primary", "wrist", "proprio")), CheckpointError, "nothing to observe"),
        (Surgery(drop=("primary", "wrist", "language")), CheckpointError, "no task"),
        (Surgery(window=0), CheckpointError, "window must be at least 1"),
        (Surgery(sizes={"wrist": -4}), CheckpointError, "size of 'wrist'"),
        (Surgery(lowdim=(replace(MORE, name="wrist"),)), CheckpointError, "'wrist' is a slot"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_loaded(surgery, error, words):
    with pytest.raises(error, match=words):
        surgery.apply(SMALL)


def test_weights_of_something_else_are_refused(given):
    with pytest.raises(CheckpointError, match="no weight that fits"):
        load_params(given, {"actor": {"kernel": np.zeros((3, 3), np.float32)}})
