"""The stack on one machine: private servers and the services, started, watched and ended by `make up` and `make down`.

The test suite starts its own servers through the same modules. Nothing here is imported by a service.
"""
