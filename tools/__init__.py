"""Programs that build and check the course; no lesson imports them."""
