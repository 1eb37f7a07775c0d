"""From alpha2F to the transition, and from measured curves to numbers."""
