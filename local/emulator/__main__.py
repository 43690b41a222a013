"""`python -m local.emulator --port N --account A --region R --state-directory D`.

Serves the emulated AWS on loopback until SIGTERM. The environment's `AWS_ACCESS_KEY_ID` and
`AWS_SECRET_ACCESS_KEY` become the credentials of the account's administrator; everyone else needs a
role, because IAM is enforced.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main() -> None:
    """Parse the command line, configure the emulator through its environment, serve."""
    parser = argparse.ArgumentParser(prog="python -m local.emulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--account", required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--state-directory", type=Path, required=True)
    arguments = parser.parse_args()
    scratch = arguments.state_directory / "emulator"
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        GATEWAY_PORT=str(arguments.port),
        BIND_HOST="127.0.0.1",
        MINISTACK_HOST="127.0.0.1",
        MINISTACK_ACCOUNT_ID=arguments.account,
        MINISTACK_REGION=arguments.region,
        AUTH="true",
        LAMBDA_EXECUTOR="local",
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        TMPDIR=str(scratch),
        S3_DATA_DIR=str(scratch / "s3"),
        STATE_DIR=str(scratch / "state"),
    )
    # The emulator reads its environment when it is imported.
    from local.emulator import (
        alarm_messages,
        enforcement,
        image_registry,
        parameters,
        registration,
        rotation,
        schedules,
        secret_versions,
    )

    enforcement.complete()
    registration.extend()
    parameters.complete()
    alarm_messages.complete()
    secret_versions.complete()
    rotation.complete()
    schedules.complete()
    image_registry.refuse_unknown_images()
    from ministack import app

    sys.argv = sys.argv[:1]  # the emulator parses the command line again
    app.main()


if __name__ == "__main__":
    main()
