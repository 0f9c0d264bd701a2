"""Import the framework, multiply two small matrices on every device, and print what came of it as one line of JSON."""

import importlib
import importlib.metadata
import json
import platform
import random
from typing import Any

_SIZE = 128
_LIMIT = 1e-3
"""Of the largest element: float32 on any device is within 1e-5 of float64, TF32 and xf32 are within 1e-3."""


def run(settings: dict[str, Any]) -> None:
    """Print {python, modules: {name: version or !error}, framework, cuda, hip, devices, products}."""
    told: dict[str, Any] = {"python": platform.python_version(), "modules": {}}
    for name in settings["modules"]:
        told["modules"][name] = _import(name)
    sound = {name for name, version in told["modules"].items() if not version.startswith("!")}
    if "torch" in sound:
        told |= _torch(settings["product"])
    elif "jax" in sound:
        told |= _jax(settings["product"])
    print(json.dumps(told), flush=True)


def _import(name: str) -> str:
    """The version of a module that can be imported, else `!` and why not."""
    try:
        module = importlib.import_module(name)
    except Exception as error:  # whatever a broken installation raises: AttributeError, OSError of a library, ...
        return f"!{type(error).__name__}: {error}".replace("\n", " ")[:300]
    version = getattr(module, "__version__", None)
    if isinstance(version, str):
        return version
    try:
        return importlib.metadata.version(importlib.metadata.packages_distributions()[name][0])
    except (KeyError, importlib.metadata.PackageNotFoundError):
        return "of unknown version"


def _torch(product: bool) -> dict[str, Any]:
    import torch

    count = torch.cuda.device_count()
    told = {"framework": f"torch {torch.__version__}", "devices": count}
    told |= {"cuda": torch.version.cuda, "hip": torch.version.hip}
    if not product:
        return told

    def multiply(device: str) -> list[list[float]]:
        a, b = (torch.tensor(matrix, dtype=torch.float32, device=device) for matrix in _matrices())
        found: list[list[float]] = (a @ b).cpu().double().tolist()
        return found

    names = [(f"gpu {index}", f"cuda:{index}") for index in range(count)] or [("cpu", "cpu")]
    a, b = (torch.tensor(matrix, dtype=torch.float64) for matrix in _matrices())
    return {**told, "products": [_product(name, multiply, device, (a @ b).tolist()) for name, device in names]}


def _jax(product: bool) -> dict[str, Any]:
    import jax
    import jax.numpy as jnp
    import numpy

    devices = jax.local_devices()
    gpus = [device for device in devices if device.platform != "cpu"]
    version = getattr(gpus[0].client, "platform_version", "") if gpus else ""
    kind = {"hip": version} if "rocm" in version.lower() else {"cuda": version.removeprefix("cuda ")[:2] or None}
    told = {"framework": f"jax {jax.__version__}", "devices": len(gpus), **kind}
    if not product:
        return told

    def multiply(device: Any) -> list[list[float]]:
        a, b = (jax.device_put(jnp.asarray(matrix, dtype=jnp.float32), device) for matrix in _matrices())
        found: list[list[float]] = numpy.asarray(a @ b, dtype=numpy.float64).tolist()
        return found

    a, b = (numpy.asarray(matrix, dtype=numpy.float64) for matrix in _matrices())
    names = [(f"gpu {n}", device) for n, device in enumerate(gpus)] or [("cpu", devices[0])]
    return {**told, "products": [_product(name, multiply, device, (a @ b).tolist()) for name, device in names]}


def _matrices() -> tuple[list[list[float]], list[list[float]]]:
    """The same two on every node and device."""
    numbers = random.Random(1234)
    a, b = ([[numbers.uniform(-1, 1) for _ in range(_SIZE)] for _ in range(_SIZE)] for _ in range(2))
    return a, b


def _product(name: str, multiply: Any, device: Any, right: list[list[float]]) -> dict[str, Any]:
    try:
        found = multiply(device)
    except Exception as error:  # of the driver, by whatever class the framework gives it
        return {"device": name, "error": None, "why": f"{type(error).__name__}: {error}".replace("\n", " ")[:300]}
    largest = max(abs(value) for row in right for value in row)
    pairs = [(x, y) for mine, theirs in zip(found, right, strict=True) for x, y in zip(mine, theirs, strict=True)]
    wrong = max(abs(x - y) if x == x else float("inf") for x, y in pairs)
    return {"device": name, "error": min(wrong / largest, 1e30), "limit": _LIMIT}
