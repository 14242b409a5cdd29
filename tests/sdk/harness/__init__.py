"""What the Python suites share: a receiver on loopback and a runner that counts."""
