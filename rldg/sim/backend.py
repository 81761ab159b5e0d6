"""Which OpenGL renders off-screen: EGL where it initialises, else OSMesa. `MUJOCO_GL` set by the user wins."""

import ctypes
import ctypes.util
import importlib
import os
import sys

_EGL_TRUE = 1
_EGL_PLATFORM_DEVICE = 0x313F
_MOST_DEVICES = 8
_CONTEXT_MODULE = "mujoco.rendering.classic.gl_context"


def choose_rendering_backend() -> str:
    """Sets `MUJOCO_GL` (MuJoCo reads it at import) unless it is set, and returns it; "" when nothing renders."""
    if "MUJOCO_GL" not in os.environ:
        if egl_initialises():
            os.environ["MUJOCO_GL"] = "egl"
        elif ctypes.util.find_library("OSMesa"):
            os.environ["MUJOCO_GL"] = "osmesa"
        else:
            return ""
        if _CONTEXT_MODULE in sys.modules:  # somebody imported MuJoCo first, and it settled for a window on a screen
            importlib.reload(sys.modules[_CONTEXT_MODULE])
    os.environ.setdefault("PYOPENGL_PLATFORM", os.environ["MUJOCO_GL"])
    return os.environ["MUJOCO_GL"]


def egl_initialises() -> bool:
    """Whether libEGL is there and at least one of its devices (a GPU, or Mesa in software) can be initialised.

    Asked through ctypes since PyOpenGL binds to one platform per process and cannot be told to try another.
    """
    name = ctypes.util.find_library("EGL")
    if name is None:
        return False
    egl = ctypes.CDLL(name)
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    egl.eglGetProcAddress.argtypes = [ctypes.c_char_p]
    query_address = egl.eglGetProcAddress(b"eglQueryDevicesEXT")
    display_address = egl.eglGetProcAddress(b"eglGetPlatformDisplayEXT")
    if not query_address or not display_address:
        return False
    query_devices = ctypes.CFUNCTYPE(
        ctypes.c_uint, ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_int)
    )(query_address)
    get_display = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)(display_address)
    devices, count = (ctypes.c_void_p * _MOST_DEVICES)(), ctypes.c_int(0)
    if query_devices(_MOST_DEVICES, devices, ctypes.byref(count)) != _EGL_TRUE:
        return False
    egl.eglInitialize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    for device in devices[: count.value]:
        display = get_display(_EGL_PLATFORM_DEVICE, device, None)
        if display and egl.eglInitialize(display, None, None) == _EGL_TRUE:
            return True
    return False
