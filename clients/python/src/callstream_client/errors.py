"""Errors that a caller meets. What is wrong with one record is a value in its batch and never an error."""


class ClientError(Exception):
    """Reading cannot go on; the message says what to do."""


class UnreachableError(ClientError):
    """No broker answered within the connection's patience."""


class RegistryError(ClientError):
    """The schema registry did not answer within the connection's patience, or it refused."""
