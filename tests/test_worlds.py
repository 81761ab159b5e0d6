"""Benchmarks' tasks keep the project's contracts. Where their packages are missing, a sentence says so."""

import numpy as np
import pytest

from rldg.env.make import make_env
from rldg.env.worlds.simplified import simplified
from rldg.env.worlds.view import placed_camera
from rldg.errors import RldgError, TaskFileError, UsageError
from rldg.policies.expert import Expert
from rldg.robots.cameras import SimulatedCameras
from rldg.rollout import rollout
from rldg.tasks import load_task, world_task_names
from rldg.tasks.world import installed

WORLDS = world_task_names()
FEW = [
    name for name in ("metaworld_button_press", "metaworld_drawer_open", "kitchen_slide_door_open") if name in WORLDS
]


def keeps_the_contracts(name):
    env = make_env(name, cameras=False)
    actions = np.random.default_rng(0).uniform(-1, 1, (4, 7)).astype(np.float32)
    traces = []
    for seed in (11, 12, 11):
        observation, info = env.reset(seed=seed)
        assert not info["success"]
        traces.append([observation])
        for action in actions:
            observation, reward, terminated, truncated, info = env.step(action)
            assert reward == float(info["success"]) == float(terminated) and not truncated
            traces[-1].append(observation)
    first, other, again = traces
    for one, same in zip(first, again, strict=True):
        assert env.observation_space.contains(one)
        for group in ("state", "privileged"):
            for part in one[group]:
                assert np.isfinite(one[group][part]).all()
                np.testing.assert_array_equal(one[group][part], same[group][part])
    assert not np.allclose(first[0]["privileged"]["world"], other[0]["privileged"]["world"])
    env.close()


def successes(name, episodes):
    env = make_env(name, cameras=False)
    episodes = [rollout(env, Expert(), seed) for seed in range(episodes)]
    for episode in episodes:
        assert episode.is_terminal[-1] == episode.success == (episode.reward[-1] == 1)
        assert episode.success or episode.metadata.failure_reason == "time_out"
    return sum(episode.success for episode in episodes)


@pytest.mark.parametrize("name", FEW)
def test_a_task_keeps_its_spaces_and_repeats_itself(name):
    keeps_the_contracts(name)


@pytest.mark.parametrize("name", FEW)
def test_the_expert_succeeds(name):
    assert successes(name, 3) == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_every_task_keeps_its_spaces_repeats_itself_and_can_be_done(name):
    keeps_the_contracts(name)
    assert successes(name, 6) >= 1  # docs/worlds.md says how often


@pytest.mark.skipif(not FEW, reason="Meta-World is not installed")
def test_pictures_show_the_scene_of_the_seed():
    env = make_env("metaworld_button_press")
    first, again, other = (env.reset(seed=seed)[0]["images"]["side_1"] for seed in (1, 1, 2))
    assert first.shape == (128, 128, 3) and first.dtype == np.uint8 and first.std() > 20
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    env.close()


@pytest.mark.skipif(not FEW, reason="Meta-World is not installed")
def test_what_the_hand_cannot_do_is_not_on_record():
    env = make_env("metaworld_button_press", cameras=False)
    env.reset(seed=0)
    *_, info = env.step(np.array([0.5, 0, 0, 1, 1, 1, 1], np.float32))
    np.testing.assert_allclose(info["step"].action, [0.02, 0, 0, 0, 0, 0, 1])
    np.testing.assert_allclose(info["step"].base_action, [0.02, 0, 0, 0, 0, 0, 1], atol=1e-9)
    *_, info = env.step(np.array([0, 0.5, 0.5, 0, 0, 0, 1], np.float32))
    np.testing.assert_allclose(info["step"].base_action, [0, -0.02, -0.02, 0, 0, 0, 1], atol=1e-9)


@pytest.mark.skipif(not FEW, reason="Meta-World is not installed")
def test_a_new_variant_differs_in_shape_colour_and_place():
    old, new = (make_env(f"metaworld_button_press{suffix}", cameras=False) for suffix in ("", "_new"))
    models = [env.simulation.model for env in (old, new)]
    assert models[0].mat("btn_yellow").rgba[2] < 0.1 < models[1].mat("btn_yellow").rgba[2]
    cap = [model.geom_size[model.body("button").geomadr[0] + 4][0] for model in models]
    np.testing.assert_allclose(cap, [0.043, 0.06])
    for seed in range(3):
        x = [env.reset(seed=seed)[0]["privileged"]["world"][4] for env in (old, new)]
        assert x[0] <= 0.1 < 0.12 <= x[1]


@pytest.mark.skipif(not FEW, reason="Meta-World is not installed")
def test_pictures_of_a_simplified_model_are_those_of_the_model():
    env = make_env("metaworld_button_press")
    image = env.reset(seed=1)[0]["images"]["side_1"].astype(float)
    whole = SimulatedCameras(
        env.simulation.model,
        {"side_1": env.task.cameras["side_1"]},
        {"side_1": placed_camera(env.task.world.views["side_1"])},
        markers=True,
    )
    assert np.abs(whole.render(env.simulation.data)["side_1"] - image).mean() < 4  # grey levels
    assert simplified(env.simulation.model).mesh_facenum.sum() < 0.4 * env.simulation.model.mesh_facenum.sum()
    whole.close()
    env.close()


@pytest.mark.skipif(not FEW, reason="Meta-World is not installed")
@pytest.mark.parametrize(
    ("edit", "wrong"),
    [
        ("{kind: material, name: blue, rgba: [0, 0, 0, 1]}", "no material 'blue'"),
        ("{kind: geom, name: button/99, size: [1, 1, 1]}", "no geom 'button/99'"),
        ("{kind: geom, name: cap, size: [1, 1, 1]}", "a geom is named BODY/NUMBER"),
        ("{kind: mesh, name: stopbot, rgba: [0, 0, 0, 1]}", "of a mesh can be set: scale"),
    ],
)
def test_an_edit_of_what_is_not_there_is_said(tmp_path, edit, wrong):
    file = tmp_path / "mine.yaml"
    file.write_text(f"extends: metaworld.yaml\nname: mine\nworld: {{env: button-press, edits: [{edit}]}}\n")
    with pytest.raises(TaskFileError, match=wrong):
        make_env(str(file), cameras=False)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("extends: metaworld.yaml\ncameras: {top: {}}\nworld: {env: reach}\n", "world.views must say where camera top"),
        ("extends: kitchen.yaml\nworld: {env: slide cabinet, repeat: 2}\n", "only Meta-World's tasks have"),
    ],
)
def test_what_a_world_does_not_know_is_refused(tmp_path, text, wrong):
    (tmp_path / "mine.yaml").write_text(f"name: mine\n{text}")
    with pytest.raises(TaskFileError, match=wrong):
        load_task(tmp_path / "mine.yaml")


def test_a_missing_benchmark_is_said_in_a_sentence(monkeypatch):
    monkeypatch.setattr("rldg.tasks.world.find_spec", lambda name: None)
    assert not installed("metaworld")
    task = load_task("metaworld_button_press")  # data sets and reports can still be read
    assert task.name not in world_task_names()
    with pytest.raises(UsageError, match=r"'metaworld', which is not installed: pip install 'rldg\[worlds\]'"):
        make_env(task)


@pytest.mark.skipif(not FEW, reason="Meta-World is not installed")
def test_a_benchmark_is_neither_at_a_station_nor_judged_by_others(tmp_path):
    from rldg.env.robot_env import RobotEnv

    with pytest.raises(RldgError, match="judged by its benchmark"):
        RobotEnv(load_task("metaworld_button_press"))
    (tmp_path / "mine.yaml").write_text("extends: metaworld.yaml\nname: mine\nworld: {env: buton-press}\n")
    with pytest.raises(UsageError, match="Did you mean 'button-press'"):
        make_env(str(tmp_path / "mine.yaml"))
