"""The pages: an address comes in, HTML goes out. What a page shows is decided in views/."""
