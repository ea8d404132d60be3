"""Bytes to records. Pure: nothing here opens a file or a socket, and no input makes it fail."""
