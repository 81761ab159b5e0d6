"""MuJoCo scenes. The rendering backend is chosen here, before MuJoCo is imported for the first time."""

from rldg.sim.backend import choose_rendering_backend

choose_rendering_backend()
