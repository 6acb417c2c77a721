"""Why a module's debug information is not made relative, or not normalised at all."""


class FarLines(Exception):
    """A function begins so far down (near line 2^27) that no object has room for its real lines."""


class Unsupported(Exception):
    """Debug information of a form that is not understood. It can stay as it is: right, and large."""
