"""`python -m gateway [command]`: serve, or do one of these.

health                  ask the gateway of this container whether it is live
schemas <directory>     write the JSON schemas of what operators declare below `environments/`
flags <directory>       write the declarations of the flags below `environments/`
expired-flags           fail where a flag is past its day
"""

from __future__ import annotations

import http.client
import os
import sys
from pathlib import Path

HEALTH_TIMEOUT_S = 3.0


def serve() -> int:
    """Serve until told to stop."""
    import uvloop

    from gateway.server import serve as run
    from gateway.settings import SettingsError, read_settings
    from gateway.telemetry.logs import configure_logging

    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        print("The gateway cannot start:", *error.mistakes, sep="\n  ", file=sys.stderr)
        return 1
    configure_logging(settings.log_level)
    uvloop.run(run(settings))
    return 0


def health() -> int:
    """0 where the gateway of this container is live, else 1. Runs every few seconds: no heavy imports."""
    address = os.environ.get("LISTEN_ADDRESS", "")
    host = "127.0.0.1" if address in ("", "0.0.0.0") else address  # noqa: S104 - compared, not bound
    try:
        connection = http.client.HTTPConnection(
            host, int(os.environ.get("PORT", "8080")), timeout=HEALTH_TIMEOUT_S
        )
        connection.request("GET", "/health/live")
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"not live: {error}", file=sys.stderr)
        return 1


def schemas(directory: str) -> int:
    """Write the JSON schemas below `directory`."""
    from gateway.schemas import write_schemas

    write_schemas(Path(directory))
    return 0


def flags(directory: str) -> int:
    """Write the declarations of the flags below `directory`."""
    from gateway.control.flag_declarations import write_flags

    write_flags(Path(directory))
    return 0


def expired_flags() -> int:
    """1 where a flag should be gone by now; each is printed with its owner."""
    import datetime

    from gateway.control.flag_declarations import expired

    found = expired(datetime.datetime.now(datetime.UTC).date())
    print(*found, sep="\n", file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


def main(arguments: list[str]) -> int:
    """Run the command; its exit status."""
    match arguments:
        case []:
            return serve()
        case ["health"]:
            return health()
        case ["schemas", directory]:
            return schemas(directory)
        case ["flags", directory]:
            return flags(directory)
        case ["expired-flags"]:
            return expired_flags()
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
