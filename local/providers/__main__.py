"""`python -m local.providers --port N [--bedrock-authority URL]`: serve them on loopback until stopped."""

from __future__ import annotations

import argparse
import asyncio
import signal

from local.providers.server import serve


async def _run(port: int, bedrock_authority: str | None) -> None:
    stopped = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stopped.set)
    runner, actual = await serve(port, bedrock_authority=bedrock_authority)
    print(f"simulated providers listen on http://127.0.0.1:{actual}", flush=True)
    try:
        await stopped.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m local.providers", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="TCP port on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--bedrock-authority", help="emulated AWS that judges who may invoke a Bedrock model")
    arguments = parser.parse_args()
    asyncio.run(_run(arguments.port, arguments.bedrock_authority))


if __name__ == "__main__":
    main()
