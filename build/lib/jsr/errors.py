"""The one exception for mistakes of the user's, how to know that memory is short, and what to say of permissions."""

# In the messages of XLA's errors; the second is what a GPU without room to try its algorithms says.
_OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "Failed to determine best cudnn convolution algorithm")


class UserError(ValueError):
    """A mistake that the user can mend: a bad file, key, flag or folder.

    Its text is one line that names the file or key, says what is wrong and what to do.
    The commands print that line without a traceback and exit with a non-zero status.
    """


def is_out_of_memory(error):
    """Whether an exception, of whatever class, means that a device or the machine has too little memory."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY)


def no_permission(error):
    """The line for a PermissionError that no code foresaw: any file or folder that a command is given can raise one."""
    return f"{error.filename or error}: no permission; use another file or folder, or have its permissions changed"
