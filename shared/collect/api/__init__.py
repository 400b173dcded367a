"""The answers of the REST API as pydantic models. The gateway serialises with them, and the client parses with them."""
