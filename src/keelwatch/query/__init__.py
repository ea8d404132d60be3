"""Questions as parameters become SQL here. Pure: nothing is read or written."""
