"""OpenVLA as a policy: what the original predicts, and what its checkpoint says of the task."""

import json

import numpy as np
import pytest
import torch

from rldg.cli.main import dispatch
from rldg.data.transform import RLDG_OPENVLA
from rldg.env.robot_env import RobotEnv
from rldg.env.types import ActionContract
from rldg.errors import CheckpointError, ContractError, UsageError
from rldg.generalists.openvla.checkpoint import Extension, load_checkpoint
from rldg.generalists.openvla.policy import OpenVLAPolicy, load_openvla
from rldg.policies.frame import FramePolicy
from rldg.resolve import load_policy
from rldg.rollout import rollout
from rldg.rollout.loop import check_contract
from rldg.tasks import load_task
from tests.openvla_golden import SHARED, arrays, batch, needs_shared, picture, read, write


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("openvla") / "checkpoint"
    write(folder)
    return folder


@needs_shared
@pytest.mark.parametrize(
    "answer", read("predict_action.json")["predictions"], ids=lambda a: f"{a['sample']}-{a['unnorm_key']}"
)
def test_rldg_predict_gives_the_originals_action(answer, capsys):
    sample, key = answer["sample"], answer["unnorm_key"]
    image, text = SHARED / "images" / f"img{sample}.png", read("prompts.json")["instructions"][sample]
    command = ["predict", str(SHARED / "model"), "--image", f"primary={image}", "--instruction", text]
    assert dispatch([*command, "--statistics", key, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["actions"] == [answer["action"]]
    assert (found["policy"], found["statistics"]) == ("openvla", key)


@needs_shared
@pytest.mark.parametrize(("key", "said"), [("", "2 data sets"), ("nope", "no statistics of 'nope'")])
def test_a_key_that_decides_nothing_is_answered_with_the_valid_ones(key, said):
    with pytest.raises(CheckpointError, match=f"{said}.*valid: tiny_bridge, tiny_libero"):
        load_policy(str(SHARED / "model"), statistics=key)


@needs_shared
def test_an_adapters_merged_model_predicts_what_the_originals_did():
    merged = load_checkpoint(SHARED / "lora" / "adapter_step1", base=SHARED / "model", dtype=torch.float32)
    policy = OpenVLAPolicy(merged, statistics_key="tiny_bridge")
    found = policy.predict({"primary": picture("img0.png")}, read("prompts.json")["instructions"][0])
    np.testing.assert_array_equal(found[0], arrays("lora", "after_step1.npz")["merged_predict_action_sample0"])


def pictures(count, seed=0):
    return list(np.random.default_rng(seed).integers(0, 255, (count, 48, 48, 3), dtype=np.uint8))


def test_answers_are_greedy_unless_a_seed_asks_for_a_sample(checkpoint):
    policy = load_openvla(checkpoint)
    assert isinstance(policy, FramePolicy)
    images = {"wrist_1": pictures(1)[0]}
    greedy = policy.predict(images, "insert it")
    assert greedy.shape == (1, 7)
    np.testing.assert_array_equal(policy.predict(images, "insert it"), greedy)
    drawn = [policy.predict(images, "insert it", seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()
    with pytest.raises(UsageError, match="neither a goal"):
        policy.predict(images, "insert it", proprio=np.zeros(7))


def test_a_batch_of_environments_gets_what_each_gets_alone(checkpoint):
    policy = load_openvla(checkpoint)
    images, texts = pictures(3), ["insert it", "put the red cup into the box", "go"]
    together = policy.predict_batch(images, texts)
    for number in range(3):
        alone = policy.predict({"wrist_1": images[number]}, texts[number])
        np.testing.assert_array_equal(alone[0], together[number])


def test_the_checkpoint_says_what_is_done_to_pictures(tmp_path):
    treatment = RLDG_OPENVLA.model_copy(update={"height": 32, "width": 32})
    extension = Extension(image_sizes={"wrist_1": 48}, images={"wrist_1": treatment})
    write(tmp_path / "c", extension=extension)
    policy = load_openvla(tmp_path / "c")
    seen = {}
    processor = policy._checkpoint.processor.images
    policy._checkpoint.processor.images = lambda given: seen.update(given=given) or processor(given)
    (image,) = pictures(1)
    policy.predict({"wrist_1": image}, "x")
    np.testing.assert_array_equal(seen["given"][0], treatment(image))
    with pytest.raises(UsageError, match="knows its own"):
        load_openvla(tmp_path / "c", crop=0.9)


@needs_shared
def test_a_foreign_checkpoint_is_shown_the_crop_that_is_asked_for():
    policy = load_policy(f"{SHARED / 'model'}:crop=0.9", statistics="tiny_bridge")
    images = [picture(f"img{number}.png") for number in range(3)]
    found = np.stack([policy._treated(image) for image in images]).astype(int)
    wanted = [picture(f"img{number}_center_crop224.png") for number in range(3)]
    assert np.abs(found - np.stack(wanted)).max() <= 1
    for wrong in ("crop=2", "crop=0"):
        with pytest.raises(UsageError, match="share of the area"):
            load_policy(f"{SHARED / 'model'}:{wrong}", statistics="tiny_bridge")
    with pytest.raises(UsageError, match="no option execute"):
        load_policy(f"{SHARED / 'model'}:execute=2")


def test_quantised_weights_say_what_they_need(checkpoint, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(UsageError, match="bitsandbytes, which is not installed"):
        load_policy(f"{checkpoint}:bits=4")
    with pytest.raises(UsageError, match="8 or 4 bits, not to 3"):
        load_policy(f"{checkpoint}:bits=3")


@needs_shared
@pytest.mark.parametrize(("bits", "difference"), [(8, 0.05), (4, 0.3)])
def test_quantised_weights_stay_near_the_others(bits, difference):
    pytest.importorskip("bitsandbytes")
    inputs, losses = batch(), []
    for chosen in (None, bits):
        model = load_checkpoint(SHARED / "model", dtype=torch.float32, bits=chosen).model
        with torch.inference_mode():
            losses.append(model(**inputs).loss.item())
    assert 0 < abs(losses[1] - losses[0]) < difference


@needs_shared
def test_a_foreign_checkpoint_acts_on_the_camera_that_is_named():
    task = load_task("usb_a_insertion")
    contract, env = ActionContract.of(task), RobotEnv(task)
    with pytest.raises(ContractError, match=r"needs camera 'primary'; the environment has \['side_1', 'wrist_1'\]"):
        rollout(env, load_policy(str(SHARED / "model"), statistics="tiny_bridge"), seed=0)
    policy = load_policy(f"{SHARED / 'model'}:primary=wrist_1", statistics="tiny_bridge")
    check_contract(policy, env)
    observation, _ = env.reset(seed=0)
    policy.reset(task, task.instruction)
    predicted = policy.predict({"wrist_1": observation["images"]["wrist_1"]}, task.instruction)
    np.testing.assert_array_equal(policy.act(observation), contract.to_normalized(predicted))
    with pytest.raises(UsageError, match="no option wrist"):
        load_policy(f"{SHARED / 'model'}:wrist=wrist_1", statistics="tiny_bridge")


class Env:
    """What `check_contract` looks at."""

    def __init__(self, task, sizes):
        self.task, self.camera_sizes = task, sizes


def test_the_task_is_checked_against_what_it_was_trained_for(checkpoint):

    task = load_task("usb_a_insertion")
    policy = load_openvla(checkpoint)
    assert policy.metadata.checkpoint_step == 7
    with pytest.raises(ContractError, match="acts by"):
        check_contract(policy, Env(task, {"wrist_1": 48}))
    mine = ActionContract.of(task)
    policy.metadata = policy.metadata.__class__(**{**policy.metadata.__dict__, "action_contract": mine})
    check_contract(policy, Env(task, {"wrist_1": 48}))
    for sizes, said in (({"wrist_1": 64}, "at 48 px"), ({"side": 48}, "camera 'wrist_1'")):
        with pytest.raises(ContractError, match=said):
            check_contract(policy, Env(task, sizes))
