"""What building an image can end with."""


class ImageBuildError(Exception):
    """The image cannot be built as asked; says what, why, and what to do."""
