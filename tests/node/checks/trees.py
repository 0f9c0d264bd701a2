"""Trees of the kernel's files, as its documentation describes them, and what this machine itself has."""

from pathlib import Path


def write(root: Path, files: dict[str, str]) -> Path:
    """Make files below `root` by their paths."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def port(
    device: str, state: str = "4: ACTIVE", rate: str = "400 Gb/sec (4X NDR)", layer: str = "InfiniBand"
) -> dict[str, str]:
    """sysfs-class-infiniband of Documentation/ABI/stable."""
    at = f"sys/class/infiniband/{device}/ports/1"
    return {f"{at}/state": f"{state}\n", f"{at}/rate": f"{rate}\n", f"{at}/link_layer": f"{layer}\n"}
