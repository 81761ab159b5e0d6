"""Pose algebra equals scipy's, and frames change as they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from rldg import geometry

numbers = st.floats(-3, 3, allow_nan=False)
vectors = arrays(np.float64, 3, elements=numbers)


@st.composite
def poses(draw: st.DrawFn) -> np.ndarray:
    return np.concatenate([draw(vectors), Rotation.from_rotvec(draw(vectors)).as_quat(canonical=True)])


def matrix(pose: np.ndarray) -> np.ndarray:
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = Rotation.from_quat(pose[3:]).as_matrix(), pose[:3]
    return result


@given(poses(), poses())
def test_composition_is_matrix_product(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(matrix(geometry.compose(a, b)), matrix(a) @ matrix(b), atol=1e-9)


@given(poses(), poses())
def test_relative_undoes_compose(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(matrix(geometry.relative(a, geometry.compose(a, b))), matrix(b), atol=1e-9)
    np.testing.assert_allclose(matrix(geometry.compose(a, geometry.invert(a))), np.eye(4), atol=1e-9)


@given(vectors, vectors)
def test_rotation_vectors_and_euler_angles_agree_with_scipy(position: np.ndarray, angles: np.ndarray) -> None:
    pose = geometry.pose_from_euler(position, angles)
    expected = Rotation.from_euler("xyz", angles)
    np.testing.assert_allclose(matrix(pose)[:3, :3], expected.as_matrix(), atol=1e-9)
    np.testing.assert_allclose(
        Rotation.from_rotvec(geometry.rotation_vector(pose)).as_matrix(), expected.as_matrix(), atol=1e-7
    )
    if abs(abs(expected.as_euler("xyz")[1]) - np.pi / 2) > 1e-3:  # beyond that the angles are not unique
        difference = geometry.euler(pose) - expected.as_euler("xyz")
        np.testing.assert_allclose(np.sin(difference / 2), 0, atol=1e-6)


@given(poses(), vectors, vectors)
def test_twists_turn_without_mixing_linear_and_angular_parts(pose: np.ndarray, v: np.ndarray, w: np.ndarray) -> None:
    rotation = Rotation.from_quat(pose[3:])
    turned = geometry.rotate_twist(pose, np.concatenate([v, w]))
    np.testing.assert_allclose(turned, np.concatenate([rotation.apply(v), rotation.apply(w)]), atol=1e-9)
    np.testing.assert_allclose(geometry.unrotate_twist(pose, turned), np.concatenate([v, w]), atol=1e-9)


@given(poses(), vectors)
def test_integrating_a_pure_translation_keeps_the_orientation(pose: np.ndarray, step: np.ndarray) -> None:
    moved = geometry.integrate(pose, np.concatenate([step, np.zeros(3)]))
    np.testing.assert_allclose(matrix(moved)[:3, :3], matrix(pose)[:3, :3], atol=1e-9)
    np.testing.assert_allclose(moved[:3], pose[:3] + Rotation.from_quat(pose[3:]).apply(step), atol=1e-9)


@pytest.mark.parametrize("angle", [0.0, 1e-9, np.pi - 1e-6])
def test_small_and_large_rotations_survive(angle: float) -> None:
    moved = geometry.integrate(geometry.IDENTITY, np.array([0, 0, 0, 0, angle, 0]))
    np.testing.assert_allclose(geometry.rotation_vector(moved), [0, angle, 0], atol=1e-12)
