"""The container image, made from Debian packages and wheels without a container engine."""
