"""The one exception of this package."""


class ReadError(ValueError):
    """A file of a run is missing, damaged, or not what its name promises."""
