"""What the container runtimes know: from a container id to pod, image, labels and log file."""
