"""What people see: the HTTP API, log-in and the pages. Questions come in, answers and HTML go out."""
