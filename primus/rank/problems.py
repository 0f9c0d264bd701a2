"""An end of a rank that its user is meant to read: one line and an exit code, no traceback."""

BAD_REQUEST = 2  # what was asked for is wrong
UNFIT = 3  # the request is right, this environment cannot serve it


class Refused(Exception):
    """The rank cannot do what it was given; `str()` is the whole message."""

    def __init__(self, message: str, exit_code: int = BAD_REQUEST) -> None:
        super().__init__(message)
        self.exit_code = exit_code
