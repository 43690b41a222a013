"""The content parts of a chat message: text, and images that travel inside the request."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.model import Image, Text
from gateway.surfaces.invalid import invalid, shortened

MAXIMUM_PARTS = 1024
"""In one message."""

IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_DATA_URL = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.IGNORECASE)


class TextPart(msgspec.Struct, gc=False, tag="text", tag_field="type"):
    """A run of text."""

    text: str


class RefusalPart(msgspec.Struct, gc=False, tag="refusal", tag_field="type"):
    """What an assistant said when it declined; text to every provider."""

    refusal: str


class ImageUrl(msgspec.Struct, gc=False):
    """Where an image is; `detail` is ignored."""

    url: Annotated[str, Meta(min_length=1)]


class ImagePart(msgspec.Struct, gc=False, tag="image_url", tag_field="type"):
    """An image."""

    image_url: ImageUrl


Part = TextPart | RefusalPart | ImagePart


def read_content(content: str | list[Part], where: str, *, images: bool) -> tuple[Text | Image, ...]:
    """The content as provider-neutral parts; `where` names it in errors; `images`: may it show any.

    Raises:
        RefusalError: `INVALID_REQUEST` for an image that is not allowed, not readable or not in the request.
    """
    if isinstance(content, str):
        return (Text(content),) if content else ()
    parts: list[Text | Image] = []
    for index, part in enumerate(content):
        match part:
            case TextPart(text):
                parts.append(Text(text))
            case RefusalPart(refusal):
                parts.append(Text(refusal))
            case ImagePart(image_url):
                place = f"{where}[{index}].image_url"
                if not images:
                    raise invalid("Only user and tool messages may show images.", place)
                parts.append(_read_image(image_url.url, f"{place}.url"))
    return tuple(parts)


def _read_image(url: str, where: str) -> Image:
    head = _DATA_URL.match(url[:100])
    if head is None:
        raise invalid("Send images as data: URLs in base64; the gateway does not fetch addresses.", where)
    media_type = head.group(1).lower()
    if media_type not in IMAGE_TYPES:
        raise invalid(f"Images may be {', '.join(IMAGE_TYPES)}, not {shortened(media_type)}.", where)
    try:
        data = base64.b64decode(url[head.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise invalid("The image is not valid base64.", where) from None
    if not data:
        raise invalid("The image is empty.", where)
    return Image(media_type, data)
