"""The one exception for mistakes of the user's."""


class UserError(ValueError):
    """A mistake that the user can mend: a bad file, key, flag or folder.

    Its text is one line that names the file or key, says what is wrong and what to do.
    The commands print that line without a traceback and exit with a non-zero status.
    """
