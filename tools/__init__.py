"""What builds, checks, shows and measures the project; never installed with it."""
