"""The monitor: the service that finds lost messages, dead owners and due timers, and acts on them."""
