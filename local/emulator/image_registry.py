"""ECR as the CDK command line relies on it: an unknown image is an error.

The emulator answers DescribeImages with an empty list instead, which the command line takes for "is
there already" and then never builds.
"""

from __future__ import annotations

from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import ecr


def refuse_unknown_images() -> None:
    """Make DescribeImages raise ImageNotFoundException as AWS documents it."""
    describe = ecr._describe_images

    def describe_known(data: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        name = data.get("repositoryName", "")
        for image_id in data.get("imageIds") or []:
            if name in ecr._repositories and not ecr._find_image(name, image_id):
                text = f"The image with imageId {image_id} does not exist within the repository '{name}'"
                return error_response_json("ImageNotFoundException", text, 400)  # type: ignore[no-any-return]
        return describe(data)  # type: ignore[no-any-return]

    ecr._describe_images = describe_known
