"""Who entered a container by the API server (exec, attach, debug, port-forward), and what came of it."""
