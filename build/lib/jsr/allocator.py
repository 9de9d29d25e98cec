"""The C library's allocator, set for arrays of many megabytes that come and go."""

import ctypes

# Parameters of glibc's mallopt, from its malloc.h: {name: (number, value)}.
_KEEPING = {
    "M_MMAP_MAX": (-4, 0),                  # no allocation is mapped by itself, and so unmapped when it is freed
    "M_TRIM_THRESHOLD": (-1, 2**31 - 1),    # bytes free at the top of the heap before they are given back
    "M_ARENA_MAX": (-8, 1),                 # one heap for all threads: those of others cannot hold large arrays
}


def keep_pages():
    """Lets this process keep the memory that it frees, up to 2 GiB, for its next allocation; glibc only, else nothing.

    On a CPU, XLA allocates a program's intermediate arrays anew at every call, and the kernel hands them over as
    zeroed pages, one fault for each 4 KiB: Bicubic++ x3 on 1280x720 spends almost half its time so. To be called by a
    program, not by a library, since it is for the whole process, and before the first large array.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another system, or another C library
        return
    for number, value in _KEEPING.values():
        mallopt(number, value)
