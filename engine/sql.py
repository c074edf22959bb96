"""The only ways a name or a text gets into SQL."""


def ident(name: str) -> str:
    """A quoted identifier. Customer headers never come here: columns are c0…cN inside SQL."""
    if "\0" in name:
        raise ValueError("an SQL name cannot hold a NUL character")
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A quoted text literal, for values of a plan that become part of an expression."""
    if "\0" in value:
        raise ValueError("an SQL text cannot hold a NUL character")
    return "'" + value.replace("'", "''") + "'"
