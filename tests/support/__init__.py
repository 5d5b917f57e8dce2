"""What several tests share: real servers on free loopback ports, builders of data sets."""
