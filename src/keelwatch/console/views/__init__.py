"""What each page shows: records come in, what its template needs goes out. Pure, but for the reader."""
