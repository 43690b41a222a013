"""How large the built image is and how fast it starts: `make image-report`."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

from image_build.archive import ImageArchive, Layer, read
from tests.gateway.upstreams import running_upstreams
from tests.image import built
from tests.image.container import running_container

STARTS = 7
MEGABYTE = 1_000_000
CONTENTS = ("Python, its libraries, certificates", "dependencies", "the gateway")


def size_table(layers: list[Layer]) -> str:
    """Sizes by layer: unpacked as the tar archive's, compressed as a registry stores and sends it."""
    rows = [
        *zip(CONTENTS, layers, strict=True),
        (
            "together",
            Layer(
                created_by="",
                size_bytes=sum(layer.size_bytes for layer in layers),
                compressed_bytes=sum(layer.compressed_bytes for layer in layers),
            ),
        ),
    ]
    lines = ["| layer | MB | MB compressed |", "|---|---|---|"]
    lines += [
        f"| {name} | {layer.size_bytes / MEGABYTE:.1f} | {layer.compressed_bytes / MEGABYTE:.1f} |"
        for name, layer in rows
    ]
    return "\n".join(lines)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Start:
    """One start, from the process's first moment to the first 200 of /health/ready."""

    wall_ms: float
    cpu_ms: float
    memory_mb: float


async def start_once(image: ImageArchive, root: Path) -> Start:
    """Start the image, wait until it is ready, stop it."""
    async with running_upstreams() as upstreams, running_container(image, root, upstreams) as gateway:
        await gateway.answers("/health/ready", 200)
        wall_ms = (time.monotonic() - gateway.started_s) * 1000
        process = psutil.Process(gateway.process.pid)
        used, memory = process.cpu_times(), process.memory_info()
        gateway.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(gateway.process.wait(), 20)
        return Start(
            wall_ms=wall_ms, cpu_ms=(used.user + used.system) * 1000, memory_mb=memory.rss / MEGABYTE
        )


async def measure(image: ImageArchive) -> None:
    """Print the tables."""
    print(f"image sha256:{image.id[:12]}, {image.architecture}\n")
    print(size_table(list(image.layers())))
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        image.unpack(root)
        starts = [await start_once(image, root) for _ in range(STARTS)]
    times_ms = sorted(start.wall_ms for start in starts)
    print(f"\nprocess start to ready, {STARTS} starts: median {statistics.median(times_ms):.0f} ms,", end=" ")
    print(f"{times_ms[0]:.0f} to {times_ms[-1]:.0f} ms")
    print(f"CPU time until ready: median {statistics.median(start.cpu_ms for start in starts):.0f} ms")
    print(f"memory when ready: {statistics.median(start.memory_mb for start in starts):.0f} MB")


def main() -> int:
    """Measure the built image; 1 with the reason if there is none to start here."""
    reason = built.reason_not_to_test()
    if reason is not None:
        sys.stderr.write(f"make image-report: {reason}\n")
        return 1
    asyncio.run(measure(read(built.ARCHIVE)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
